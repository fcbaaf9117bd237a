"""Sends bad input to the site for a while, and counts what was tried.

    .venv/bin/python bench/fuzz_site.py [--seconds N] [--seed N] [--surface NAME …]

Surfaces: posts, fields, gets, wrapped (methods and headers) and cookies against sites
at three stages of a year, each request judged and the database brought back; tables
(files to be read as spreadsheets), card (answers of a reader that lies) and sockets
(bytes to the real server). Ends with 1 where something was found, and says how it
came about.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "web")]

import fuzz_requests  # noqa: E402
import fuzz_site  # noqa: E402
import fuzz_tables  # noqa: E402
import test_fuzz_card  # noqa: E402
import test_fuzz_sockets  # noqa: E402
from site_server import practice_server  # noqa: E402

BATCH = 500  # inputs of one surface, before the next has its turn
Try = Callable[[Any], object]  # what is done with one input; says what came of it
Surface = tuple[st.SearchStrategy[Any], Try]


def judged(site: fuzz_site.FuzzedSite, kind: str) -> Surface:
    """Return requests of a kind and their judge."""
    after = fuzz_requests.afterwards(site) if kind == "posts" else st.just([])
    drawn = st.tuples(fuzz_requests.DRAWN[kind](site), after)

    def judge(one: Any) -> object:
        (who, asked), shown = one
        return site.judged(asked, who, shown).status

    return drawn, judge


def card() -> Surface:
    """Return answers sealed by a reader that lies."""
    drawn = st.tuples(st.sampled_from(test_fuzz_card.PLACES), test_fuzz_card.ANY)

    def open_it(one: Any) -> object:
        text = test_fuzz_card.json.dumps(test_fuzz_card.changed(*one))
        found = test_fuzz_card.opened(test_fuzz_card.sealed(text.encode()))
        if found is not None:
            test_fuzz_card.holds(found)
        return "refused" if found is None else "read"

    return drawn, open_it


def sockets(server: Any) -> Surface:
    """Return bytes for the real server."""

    def send(lines: Any) -> object:
        whole = test_fuzz_sockets.sent(server, lines)
        answer = test_fuzz_sockets.said(server, whole, hang_up=True)
        found = test_fuzz_sockets.statuses(answer)
        assert not [status for status in found if status >= 500], answer[:500]
        return found[0] if found else "hung up"

    return test_fuzz_sockets.ANY_LINES, send


@contextmanager
def surfaces(folder: Path, stage: str) -> Iterator[dict[str, Surface]]:
    """Run a site at a stage; give everything that can be tried there."""
    with (
        fuzz_site.fuzzed(folder / "site", stage) as site,
        practice_server(folder / "practice") as server,
    ):
        found = {kind: judged(site, kind) for kind in fuzz_requests.DRAWN}
        found["tables"] = (fuzz_tables.FILES, fuzz_tables.read)
        found["card"] = card()
        found["sockets"] = sockets(server)
        yield found


def attempt(name: str, surface: Surface, number: int, counts: Counter[str]) -> None:
    """Try a batch of inputs, the same for the same number; raises what was found."""
    drawn, try_one = surface

    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def run(one: Any) -> None:
        counts[f"{name} {try_one(one)}"] += 1

    run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--surface", nargs="*", default=[])
    options = parser.parse_args()
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    counts: Counter[str] = Counter()
    found = 0
    ends = time.monotonic() + options.seconds
    for number in itertools.count(options.seed):
        stage = list(fuzz_site.STAGES)[number % len(fuzz_site.STAGES)]
        with (
            tempfile.TemporaryDirectory() as folder,
            surfaces(Path(folder), stage) as known,
        ):
            for name, surface in known.items():
                if options.surface and name not in options.surface:
                    continue
                try:
                    attempt(name, surface, number, counts)
                except Exception as fault:
                    found += 1
                    print(f"FOUND {name} at {stage}, --seed {number}: {fault!r}"[:6000])
        if time.monotonic() > ends:
            break
    tell(counts, found)


def tell(counts: Counter[str], found: int) -> None:
    """Print how many inputs were tried on each surface, and what came of them."""
    totals: Counter[str] = Counter()
    for name, n in counts.items():
        totals[name.split()[0]] += n
    for surface, total in totals.items():
        ends = {
            k.split(" ", 1)[1]: n for k, n in counts.items() if k.startswith(surface)
        }
        print(f"{surface:8} {total:7}  {dict(sorted(ends.items()))}")
    print(f"{sum(totals.values())} inputs, {found} faults found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
