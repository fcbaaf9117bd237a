"""Every public function is typed, and mypy strict agrees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("core", "web", "reader")


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    packages = [word for program in PROGRAMS for word in ("-p", f"jiepin.{program}")]
    mypy = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", folder / "cache"]
    return subprocess.run(
        [*mypy, *packages],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def link_programs(folder: Path) -> None:
    (folder / "jiepin").mkdir()
    for program in PROGRAMS:
        (folder / "jiepin" / program).symlink_to(ROOT / program)


def test_mypy_strict(tmp_path: Path) -> None:
    link_programs(tmp_path)
    done = check(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
