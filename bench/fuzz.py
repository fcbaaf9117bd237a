"""Bad input to the engine and the card reader, for as long as asked, with counts.

    python bench/fuzz.py --seconds 600 [--seed 1] [--surface "round folders"]

Every input comes from one number: a failure names it, and the same `--seed` with
`--inputs 1` shows it again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

import core_surfaces  # noqa: E402
import reader_surfaces  # noqa: E402

SURFACES = {**core_surfaces.SURFACES, **reader_surfaces.SURFACES}
BATCH = 20  # inputs tried of one surface before the next has its turn


def fuzz(
    surfaces: Mapping[str, core_surfaces.Surface],
    seconds: float,
    seed: int,
    most: int,
    scratch: Path,
) -> tuple[dict[str, Counter[str]], list[str]]:
    """Try the surfaces by turns; return what came of the inputs, and each failure."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in surfaces}
    failures: dict[str, str] = {}
    end, number = time.monotonic() + seconds, seed
    while time.monotonic() < end and number < seed + most:
        for name, surface in surfaces.items():
            for one in range(number, min(number + BATCH, seed + most)):
                try:
                    counts[name][surface(random.Random(one), scratch)] += 1
                except Exception as error:
                    counts[name]["FAILED"] += 1
                    place = traceback.extract_tb(error.__traceback__)[-1]
                    kind = f"{name}: {type(error).__name__} {place.name}:{place.lineno}"
                    failures.setdefault(
                        kind, f"--seed {one} --surface '{name}' {error}"
                    )
        number += BATCH
    return counts, [f"{kind}\n  {told[:2_000]}" for kind, told in failures.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inputs", type=int, default=10**9, help="of each surface")
    parser.add_argument("--surface", choices=list(SURFACES))
    words = parser.parse_args()
    chosen = [words.surface] if words.surface else list(SURFACES)
    surfaces = {name: SURFACES[name] for name in chosen}
    with tempfile.TemporaryDirectory(prefix="jiepin-fuzz-") as scratch:
        counts, failures = fuzz(
            surfaces, words.seconds, words.seed, words.inputs, Path(scratch)
        )
    print("| surface | inputs | of them |\n|---|---|---|")
    for name, count in counts.items():
        told = ", ".join(f"{n:,} {what}" for what, n in sorted(count.items()))
        print(f"| {name} | {count.total():,} | {told} |")
    for failure in failures:
        print(failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
