"""Time two revisions by turns: does a change make the engine slower?

    .venv/bin/python bench/compare.py REV [--times N]

REV is checked out beside the working tree and installed in an environment of its own;
then both time the same cases, one process after the other, and the ratio of each pair
is printed: above 1 the working tree takes longer. Generated rounds are solved by the
command of either revision.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CASES = {
    "solve, 5,000 teachers": 5_000,
    "solve, 50,000 teachers": 50_000,
}
PHASES = ("read", "encode", "solve", "write")


def checked_out(revision: str, scratch: Path) -> Path:
    """Return the command `jiepin` of a revision, installed under scratch."""
    tree = scratch / "tree"
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run(
        [*git, "rev-parse", "--verify", f"{revision}^{{commit}}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if name.returncode:
        print(
            f"{revision!r} is no revision of this repository; give a commit, a branch "
            "or a tag, as in make bench-compare BASE=HEAD~1",
            file=sys.stderr,
        )
        raise SystemExit(2)
    archive = subprocess.Popen(
        [*git, "archive", name.stdout.strip()], stdout=subprocess.PIPE
    )
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", str(tree)], stdin=archive.stdout, check=True)
    venv.create(scratch / "venv", with_pip=True)
    python = scratch / "venv" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, "--editable", str(tree)], check=True)
    return python.with_name("jiepin")


def seconds(jiepin: Path, round_: Path, out: Path) -> dict[str, float]:
    """Return the seconds by phase of one run of the command."""
    command = [str(jiepin), "solve", str(round_), "--out", str(out), "-q"]
    subprocess.run(command, check=True, capture_output=True)
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    found: dict[str, float] = summary["seconds"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Time two revisions by turns")
    parser.add_argument("base", metavar="REV", help="a commit, branch or tag")
    parser.add_argument("--times", type=int, default=7, help="pairs of runs a case")
    arguments = parser.parse_args()
    here = Path(sys.executable).with_name("jiepin")
    with tempfile.TemporaryDirectory(prefix="jiepin-bench-") as folder:
        scratch = Path(folder)
        base = checked_out(arguments.base, scratch)
        print(f"| case | phase | {arguments.base} | here | here / base | range |")
        print("|---|---|---|---|---|---|")
        for case, n_teachers in CASES.items():
            round_ = scratch / f"{n_teachers}"
            make = [here, "generate", round_, "--teachers", n_teachers]
            subprocess.run(list(map(str, make)), check=True, capture_output=True)
            for jiepin in (base, here):  # compiles
                seconds(jiepin, round_, scratch / "out")
            pairs = [
                tuple(
                    seconds(jiepin, round_, scratch / "out") for jiepin in (base, here)
                )
                for _ in range(arguments.times)
            ]
            for phase in PHASES:
                ratios = [new[phase] / old[phase] for old, new in pairs]
                old = statistics.median(pair[0][phase] for pair in pairs)
                new = statistics.median(pair[1][phase] for pair in pairs)
                print(
                    f"| {case} | {phase} | {old * 1e3:.1f} ms | {new * 1e3:.1f} ms "
                    f"| {statistics.median(ratios):.2f} | {min(ratios):.2f}–"
                    f"{max(ratios):.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
