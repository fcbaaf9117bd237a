"""The load command asks, compares what was acknowledged, and says what it saw."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LOAD = Path(__file__).resolve().parents[2] / "bench" / "load"


def test_the_load_command_works(tmp_path: Path) -> None:
    command = [sys.executable, str(LOAD), "mix", "--applicants", "40"]
    done = subprocess.run(
        [*command, "--minutes", "0.05"],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    row = re.search(r"\*\*all\*\* \| (\d+) \|.*\| (\d+) \| (\d+) \|", done.stdout)
    assert row is not None, done.stdout + done.stderr
    asked, refused, errors = map(int, row.groups())
    assert asked > 200
    assert (refused, errors) == (0, 0)
    assert re.search(
        r"\d\d acknowledged saves, 0 lost, 0 torn; .*check ok", done.stdout
    )
    assert re.search(r"longest gap .*: \d+ ms \(200: \d+", done.stdout)
