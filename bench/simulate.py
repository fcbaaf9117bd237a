"""Milliseconds per part of one replication of a simulation, on one thread.

    .venv/bin/python bench/simulate.py [TEACHERS [REPLICATIONS]]

Three rule sets on generated rounds: those of the year, vacated seats reopened,
exchanges up to three. `measure` takes all measures that need no optimum. The figures
are medians over the replications, wall and processor time; `replicate` is the whole of
one as the workers of `jiepin simulate` run it. The lines written are JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

os.environ["POLARS_MAX_THREADS"] = "1"  # before Polars starts; as in the workers

from jiepin.core import Rules
from jiepin.core.market import encode
from jiepin.core.measures import Background, Situation, measure
from jiepin.core.simulation.replicate import Prepared, Seeds, prepare, replicate
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.toml_text import toml_text
from jiepin.core.solve import clear

TEACHERS, REPLICATIONS = 4_000, 20
WARM_UP = 2  # replications: the first compiles


def scenario(teachers: int, replications: int) -> Scenario:
    """Return three rule sets on one population."""
    rules = Rules.load("taiwan-110").to_dict()
    stages = rules["stage"]
    reopen = [
        {**stage, "reopen": stage["name"] == "one-way"}
        if stage["kind"] == "one-way"
        else stage
        for stage in stages
    ]
    cases = {
        "official": stages,
        "reopen": reopen,
        "up-to-three": [stage for stage in stages if stage.get("size", 0) <= 3],
    }
    table = {
        "name": "bench",
        "replications": replications,
        "seed": 1,
        "population": {"kind": "generated", "teachers": teachers},
        "case": [
            {"name": name, "rules": {**rules, "stage": some}}
            for name, some in cases.items()
        ],
    }
    return Scenario.from_toml(toml_text(table))


class Clock:
    """Collects how long each part took, in milliseconds."""

    def __init__(self) -> None:
        self.wall: dict[str, list[float]] = defaultdict(list)
        self.processor: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        wall, processor = time.perf_counter(), time.process_time()
        yield
        self.wall[name].append(1000 * (time.perf_counter() - wall))
        self.processor[name].append(1000 * (time.process_time() - processor))

    def figures(self) -> dict[str, dict[str, float]]:
        return {
            kind: {name: round(median(times), 1) for name, times in parts.items()}
            for kind, parts in (("wall", self.wall), ("processor", self.processor))
        }


def time_parts(prepared: Prepared, number: int, clock: Clock) -> None:
    """Do what `replicate` does, part by part."""
    with clock.part("generate"):
        round_ = prepared.round_of(number)
    cases = prepared.scenario.cases
    with clock.part("encode"):
        lottery = Seeds.of(prepared.scenario.seed, number).lottery
        background = Background(encode(round_, cases[0].rules, lottery))
    for case in cases:
        with clock.part(f"solve {case.name}"):
            moves = clear(background.encoded, case.rules)
        with clock.part(f"measure {case.name}"):
            situation = Situation.of(background, case.rules, moves)
            measure(situation, prepared.scenario.measures)


def main() -> None:
    given = [int(word) for word in sys.argv[1:]]
    teachers, replications = (*given, *(TEACHERS, REPLICATIONS)[len(given) :])
    prepared = prepare(scenario(teachers, replications))
    clock = Clock()
    for number in range(-WARM_UP, replications):
        timed = clock if number >= 0 else Clock()
        time_parts(prepared, number + WARM_UP, timed)
        with timed.part("replicate"):
            replicate(prepared, number + WARM_UP)
    print(json.dumps({"teachers": teachers, "replications": replications}))
    print(json.dumps(clock.figures()))


if __name__ == "__main__":
    main()
