"""Kill a site again and again while several people save, and count what was kept.

    .venv/bin/python bench/faults.py [--rounds N] [--seed N]

Four people save lists, persons and appointments over HTTP and file, all at once; the
site is killed (SIGKILL) at a random moment. After each kill every save that was told
done must be stored whole, with its version, audit entry and receipt; `integrity_check`,
`foreign_key_check` and the chain of the audit must hold. The first thing that does not
ends the run. The code is that of tests/web/test_crash.py, which makes ten rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from killed_site import killed_while_saving

MOST_AT_ONE_SITE = 50  # a session ends when its page was not seen for half an hour


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    start, saves = time.perf_counter(), 0
    for done in range(0, chosen.rounds, MOST_AT_ONE_SITE):
        rounds = min(MOST_AT_ONE_SITE, chosen.rounds - done)
        with tempfile.TemporaryDirectory() as folder:
            site = Path(folder) / "site"
            saves += killed_while_saving(site, rounds, chosen.seed + done)
        seconds = time.perf_counter() - start
        print(
            f"{done + rounds} kills, {saves} saves told done, 0 lost, 0 torn, "
            f"{seconds:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
