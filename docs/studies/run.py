"""Run the studies again, and keep their pictures and tables beside them.

    python docs/studies/run.py                          all of them
    python docs/studies/run.py 2-reopen --workers 4     those of one folder

Every scenario FOLDER/NAME.toml gives FOLDER/NAME/. The reports and the results of each
replication go to build/studies/, where a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

STUDIES = Path(__file__).resolve().parent
RESULTS = STUDIES.parents[1] / "build" / "studies"
KEPT = ("summary.csv", "pictures/*.svg")


def main() -> None:
    folders = sorted(path.name for path in STUDIES.iterdir() if path.is_dir())
    parser = argparse.ArgumentParser(description="Run the studies again.")
    parser.add_argument("folders", nargs="*", metavar="FOLDER", help=", ".join(folders))
    parser.add_argument("--workers", help="processes; one for each core if not given")
    given = parser.parse_args()
    for name in given.folders or folders:
        if name not in folders:
            parser.error(f"no study {name!r}; expected some of {', '.join(folders)}")
        for scenario in sorted((STUDIES / name).glob("*.toml")):
            run(scenario, given.workers)


def run(scenario: Path, workers: str | None) -> None:
    """Simulate a scenario, and keep what is to be looked at."""
    results = RESULTS / scenario.parent.name / scenario.stem
    command = [Path(sys.executable).with_name("jiepin"), "simulate", scenario]
    options = ["--out", results, *(["--workers", workers] if workers else [])]
    results.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, *options], check=True)
    keep(results, scenario.with_suffix(""))


def keep(results: Path, folder: Path) -> None:
    """Replace what is kept of a study by what is there now."""
    shutil.rmtree(folder, ignore_errors=True)
    for pattern in KEPT:
        for file in sorted(results.glob(pattern)):
            target = folder / file.relative_to(results)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


if __name__ == "__main__":
    main()
