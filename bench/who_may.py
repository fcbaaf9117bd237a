"""Who may do what, for longer than a test has time: everybody asks for everything.

    .venv/bin/python bench/who_may.py [--steps N] [--seed N]

The state machine of tests/everybody.py, in rounds with a seed each. It ends with the
request that went wrong, or with how many were looked at. 200,000 take about half an
hour of one core.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from everybody import walk
from little_country import little_country

EXAMPLES = 20  # of a round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000, help="requests")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    asked = parser.parse_args()
    done, seed, start = 0, asked.seed, time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="jiepin-who-may-") as folder,
        little_country(Path(folder)) as country,
    ):
        while done < asked.steps:
            done += walk(country, EXAMPLES, seed).requests
            took = time.monotonic() - start
            print(f"seed {seed}: {done:,} requests in {took:.0f} s", flush=True)
            seed += 1


if __name__ == "__main__":
    main()
