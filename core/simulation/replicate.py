"""One replication of a scenario: draw a round, clear it case by case, measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from jiepin.core import checks, errors, terms
from jiepin.core.market import Encoded, encode
from jiepin.core.measures import MEASURES, Background, Situation, measure
from jiepin.core.mechanisms import (
    block_exchange,
    one_sided_block_exchange,
    teacher_optimal_block_exchange,
)
from jiepin.core.round import Round
from jiepin.core.simulation.cases import Case, Generated, Given, Uniform
from jiepin.core.simulation.draws import Draws, Int64Array
from jiepin.core.simulation.entries import SEAT_PARTS, file_digests
from jiepin.core.simulation.population import Country
from jiepin.core.simulation.resampling import Resampled
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.uniform import Yardstick
from jiepin.core.solve import clear

RESULT_SCHEMA: Final = pl.Schema(
    {
        "scenario": pl.String(),
        "replication": pl.Int64(),
        "case": pl.String(),
        "measure": pl.String(),
        "key": pl.String(),
        "value": pl.Float64(),
    }
)
DIGEST_SHOWN: Final = 16  # digits of the scenario's digest in a row

_MOST_SEATS_DRAWN = 10_000_000
_OPTIMUM_PACKAGES = ("ortools", "highspy")
_TWO_SIDED = (
    block_exchange.NAME,
    one_sided_block_exchange.NAME,
    teacher_optimal_block_exchange.NAME,
)


class Seeds(NamedTuple):
    """The seeds of one replication, whole numbers from 0."""

    population: int
    lottery: int

    @classmethod
    def of(cls, seed: int, number: int) -> Seeds:
        """Derive them from the scenario's seed and the number of the replication."""
        return cls(*(_derived(f"{seed}:{number}:{name}") for name in cls._fields))


def _derived(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=7).digest(), "big")


@dataclass(frozen=True)
class Prepared:
    """A scenario with all that its replications share; it can be pickled."""

    scenario: Scenario
    source: Country | Yardstick | Resampled

    def round_of(self, number: int) -> Round:
        """Return the round of a replication, before seats are taken away or added.

        `round_of(number).write(folder)` gives it to the other commands.
        """
        seed = Seeds.of(self.scenario.seed, number).population
        population = self.scenario.population
        if isinstance(self.source, Country) and isinstance(population, Generated):
            return self.source.round_of(population.teachers, Draws(seed))
        if isinstance(self.source, Yardstick):
            return self.source.round_of(seed)
        assert isinstance(self.source, Resampled)
        return self.source.round_of(Draws(seed))


def prepare(scenario: Scenario) -> Prepared:
    """Make all that the replications of a scenario share, and see that they can run.

    Raises BadRound when a given round is refused or wishes more than the rules of a
    case allow, NoHomePoints when a case needs points that it does not have, BadScenario
    when it has changed or lies nowhere; NotInstalled when an optimum is asked for and
    the packages of the extra `optimum` are not there.
    """
    _check_packages(scenario)
    population = scenario.population
    if isinstance(population, Generated):
        return Prepared(scenario, Country.of(population.levels, scenario.seed))
    if isinstance(population, Uniform):
        return Prepared(scenario, Yardstick.of(population.shape, population.scores))
    round_ = _read(scenario, population)
    for case in scenario.cases:
        encoded = encode(round_, case.rules)  # holds the round to the limits
        if case.mechanism in _TWO_SIDED:
            encoded.check_home_points(case.mechanism)
    return Prepared(scenario, Resampled.of(round_, population.resample))


def _check_packages(scenario: Scenario) -> None:
    optimum = any(case.mechanism == terms.OPTIMUM for case in scenario.cases)
    if optimum or any(MEASURES[name].needs_optimum for name in scenario.measures):
        errors.NotInstalled.check(_OPTIMUM_PACKAGES, "optimum")


def _read(scenario: Scenario, population: Given) -> Round:
    """Read the round of a scenario, the same that its digests are of."""
    folder = population.folder
    if folder is None or file_digests(folder) != population.digests:
        expected = "the folder of the round, its files as they were"
        problem = errors.BadEntry(
            scenario.name, "population, folder", str(folder or ""), expected
        )
        raise errors.BadScenario([problem])
    round_ = Round.read(folder)
    seats = round_.vacancies["seats"].sum()
    if "vacancies" in population.resample and seats > _MOST_SEATS_DRAWN:
        expected = f"a round of at most {_MOST_SEATS_DRAWN:,} seats to draw anew"
        problem = errors.BadEntry(
            scenario.name, "population, resample", f"vacancies: {seats}", expected
        )
        raise errors.BadScenario([problem])
    return round_


def replicate(prepared: Prepared, number: int) -> pl.DataFrame:
    """Run one replication, numbered from 0: every case on the same round and lottery.

    Columns RESULT_SCHEMA: the first digits of the scenario's digest, the number, then
    the figures in the order of the cases, of the measures, and of each one's keys.
    The same scenario and number give the same rows anywhere.

    >>> scenario = Scenario.from_toml('''
    ... name = "smallest"
    ... replications = 2
    ... seed = 1
    ... measures = ["moves"]
    ... population = {kind = "uniform", teachers = 900, wishes = 5}
    ... case = [{name = "today", rules = "taiwan-110"}]
    ... ''')
    >>> rows = replicate(prepare(scenario), number=1)
    >>> rows.row(0)[1:5]
    (1, 'today', 'moves', '')
    """
    scenario = prepared.scenario
    found = [
        (case.name, *row)
        for case, situation in situations(prepared, number)
        for row in measure(situation, scenario.measures)
    ]
    names, measures, keys, values = zip(*found, strict=True)
    return pl.DataFrame(
        {
            "scenario": pl.repeat(
                scenario.digest[:DIGEST_SHOWN], len(found), eager=True
            ),
            "replication": pl.repeat(number, len(found), dtype=pl.Int64, eager=True),
            "case": names,
            "measure": measures,
            "key": keys,
            "value": values,
        },
        schema=RESULT_SCHEMA,
    )


def situations(prepared: Prepared, number: int) -> Iterator[tuple[Case, Situation]]:
    """Yield each case of a replication with what came of it, in their order."""
    scenario = prepared.scenario
    markets = _Markets(prepared.round_of(number), Seeds.of(scenario.seed, number))
    for case in scenario.cases:
        background = markets.of(case)
        moves = clear(
            background.encoded,
            case.rules,
            mechanism=case.mechanism,
            options=case.options,
        )
        yield case, Situation.of(background, case.rules, moves, case.mechanism)


class _Markets:
    """The markets of a round, one for all cases that differ in their stages alone."""

    def __init__(self, round_: Round, seeds: Seeds) -> None:
        self.round_ = round_
        self.seeds = seeds
        self.encoded: dict[tuple[str, tuple[str, ...]], Encoded] = {}
        self.backgrounds: dict[tuple[str, tuple[str, ...], int], Background] = {}

    def of(self, case: Case) -> Background:
        order = (case.rules.priority, case.rules.tie_break)
        parts = round(case.seats * SEAT_PARTS)
        if (*order, parts) not in self.backgrounds:
            if order not in self.encoded:
                # limits were held against the rules before anything started
                round_ = replace(self.round_, limits=case.rules.limits)
                self.encoded[order] = encode(round_, case.rules, self.seeds.lottery)
            encoded = with_seats(
                self.encoded[order], parts, Draws(self.seeds.population)
            )
            self.backgrounds[(*order, parts)] = Background(encoded)
        return self.backgrounds[(*order, parts)]


def with_seats(encoded: Encoded, parts: int, draws: Draws) -> Encoded:
    """Offer so many ten-thousandths of the open seats of each position.

    What is left over a whole number is one seat more with that chance, by lot for each
    position: with more parts no position has fewer seats. A position keeps its place
    in the market even without a seat.
    """
    if parts == SEAT_PARTS:
        return encoded
    market, round_ = encoded.market, encoded.round_
    n_schools = round_.schools.height
    place = encoded.subject_of.astype(np.int64) * n_schools + encoded.school_of
    vacancies = round_.vacancies
    listed = checks.index_of(vacancies["subject"]).astype(np.int64) * n_schools
    listed += checks.index_of(vacancies["school"])
    seats = _share(market.seats, place, parts, draws)
    left = _share(vacancies["seats"].to_numpy(), listed, parts, draws)
    return replace(
        encoded,
        market=market._replace(seats=seats),
        round_=replace(
            round_, vacancies=vacancies.with_columns(pl.Series("seats", left))
        ),
    )


def _share(
    seats: Int64Array, place: Int64Array, parts: int, draws: Draws
) -> Int64Array:
    whole, rest = np.divmod(seats * parts, SEAT_PARTS)
    lot = draws.numbers("seat of a share", place, SEAT_PARTS)
    return np.asarray(whole + (lot < rest), dtype=np.int64)
