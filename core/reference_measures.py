"""The measures once more, slow and obvious, from the tables of a round and a result.

For tests alone. Those that need the optimum are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import networkx as nx  # type: ignore[import-untyped]

from jiepin.core import terms
from jiepin.core.outcome import Outcome
from jiepin.core.plain import PlainRound
from jiepin.core.round import Round

Figures = Iterable[tuple[str, float]]  # key and value

_BANDS = ("1", "2", "3", "4–5", "6–10", "11–20", "21–50", "51–")
_SIZES = (*map(str, range(2, 11)), "11–")
_REMOTE = ("remote", "special-remote", "extreme-remote")
_INDIGENOUS = ("indigenous",)


@dataclass(frozen=True)
class Person:
    """An applicant, the wishes that can come true, and the result."""

    number: int
    home: int
    wishes: tuple[int, ...]
    place: int
    stage: str | None
    choice: int | None

    @property
    def better(self) -> tuple[int, ...]:
        """The wishes that stand before the result."""
        if self.stage is None:
            return self.wishes
        return self.wishes[: self.wishes.index(self.place)]


@dataclass(frozen=True)
class Seen:
    """A round and its result."""

    plain: PlainRound
    outcome: Outcome
    people: tuple[Person, ...]

    @property
    def movers(self) -> list[Person]:
        """Those who moved."""
        return [person for person in self.people if person.stage is not None]

    def county(self, position: int) -> str:
        """Return the county of a position."""
        return self.plain.school_at(position).county

    @property
    def counties(self) -> list[str]:
        """The counties that have a school."""
        return sorted({school.county for school in self.plain.schools})


def measure(round_: Round, outcome: Outcome) -> list[tuple[str, str, float]]:
    """Return all figures that need no optimum: measure, key and value.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> measure(round_, solve(round_, Rules.load("taiwan-110")))[0]
    ('moves', '', 2.0)
    """
    seen = _seen(round_, outcome)
    level_of = dict(round_.schools.select("school", "level").iter_rows())
    figures = {
        "moves": _moves(seen, level_of),
        "share": _share(seen, level_of),
        **{name: compute(seen) for name, compute in _OTHERS.items()},
    }
    return [
        (name, key, float(value)) for name in figures for key, value in figures[name]
    ]


def _seen(round_: Round, outcome: Outcome) -> Seen:
    plain = PlainRound.of(round_, outcome.rules, outcome.seed)
    known = {*plain.homes, *plain.seats}
    place_of = {
        (school.code, subject.code): s * len(plain.subjects) + t
        for s, school in enumerate(plain.schools)
        for t, subject in enumerate(plain.subjects)
    }
    rows = outcome.assignments.iter_rows(named=True)
    people = (
        Person(
            number=i,
            home=plain.homes[i],
            wishes=tuple(p for p in plain.wishes(i) if p in known),
            place=place_of[row["school"], row["subject"]],
            stage=row["stage"],
            choice=row["choice"],
        )
        for i, row in enumerate(rows)
    )
    return Seen(plain, outcome, tuple(people))


# ---- Moves


def _levels(seen: Seen, level_of: Mapping[str, str]) -> Iterator[tuple[str, list[int]]]:
    """Yield each level that has a school, with whether each applicant there moved."""
    for level in terms.LEVELS:
        if level in level_of.values():
            yield (
                level,
                [
                    int(person.stage is not None)
                    for person in seen.people
                    if level_of[seen.plain.school_at(person.home).code] == level
                ],
            )


def _moves(seen: Seen, level_of: Mapping[str, str]) -> Figures:
    return [
        ("", len(seen.movers)),
        *((level, sum(moved)) for level, moved in _levels(seen, level_of)),
    ]


def _share(seen: Seen, level_of: Mapping[str, str]) -> Figures:
    groups = [("", [int(person.stage is not None) for person in seen.people])]
    groups += _levels(seen, level_of)
    return [(key, sum(moved) / len(moved) if moved else 0) for key, moved in groups]


def _choices(seen: Seen) -> Figures:
    for band in _BANDS:
        first, _, last = band.partition("–")
        high = int(last) if last else (10**9 if "–" in band else int(first))
        yield (
            band,
            sum(int(first) <= (person.choice or 0) <= high for person in seen.movers),
        )


def _stages(seen: Seen) -> Figures:
    for name in seen.outcome.stage_names:
        yield name, sum(person.stage == name for person in seen.movers)


def _exchanges(seen: Seen) -> Figures:
    sizes = seen.outcome.exchanges["size"].to_list()
    yield "", len(sizes)
    for key in _SIZES:
        if key.endswith("–"):
            yield key, sum(size > 10 for size in sizes)
        else:
            yield key, sizes.count(int(key))


# ---- Counties


def _flow(seen: Seen, origin: str, destination: str) -> int:
    return sum(
        (seen.county(person.home), seen.county(person.place)) == (origin, destination)
        for person in seen.movers
    )


def _flows(seen: Seen) -> Figures:
    for one in seen.counties:
        for other in seen.counties:
            yield f"{one}>{other}", _flow(seen, one, other)


def _came(seen: Seen, county: str) -> int:
    return sum(_flow(seen, c, county) for c in seen.counties if c != county)


def _left(seen: Seen, county: str) -> int:
    return sum(_flow(seen, county, c) for c in seen.counties if c != county)


def _within(seen: Seen, county: str) -> int:
    return _flow(seen, county, county)


def _with_total(count: Callable[[Seen, str], int]) -> Callable[[Seen], Figures]:
    def compute(seen: Seen) -> Figures:
        counts = [(county, count(seen, county)) for county in seen.counties]
        return [("", sum(n for _, n in counts)), *counts]

    return compute


def _net(seen: Seen) -> Figures:
    for county in seen.counties:
        yield county, _came(seen, county) - _left(seen, county)


# ---- Remote and indigenous schools


def _years(seen: Seen, tags: Iterable[str], after: bool) -> list[int]:
    """Return the years of service of each who sits there, hundredths."""
    return [
        seen.plain.service_years[person.number] or 0
        for person in seen.people
        if not seen.plain.school_at(
            person.place if after else person.home
        ).tags.isdisjoint(tags)
    ]


def _applicants_at(tags: Iterable[str]) -> Callable[[Seen], Figures]:
    return lambda seen: [
        (key, len(_years(seen, tags, after)))
        for key, after in (("before", False), ("after", True))
    ]


def _mean_years_at(tags: Iterable[str]) -> Callable[[Seen], Figures]:
    return lambda seen: [
        (key, float(Fraction(sum(years), 100 * len(years))))
        for key, after in (("before", False), ("after", True))
        if (years := _years(seen, tags, after))
    ]


def _experience_lost(tags: Iterable[str]) -> Callable[[Seen], Figures]:
    def compute(seen: Seen) -> Figures:
        lost = 0
        for person in seen.movers:
            years = seen.plain.service_years[person.number] or 0
            was, is_ = (
                not seen.plain.school_at(position).tags.isdisjoint(tags)
                for position in (person.home, person.place)
            )
            lost += years * (was - is_)
        return [("", lost / 100)]

    return compute


# ---- Envy, seats left, exchanges left


def _counted(per_person: Iterable[int]) -> Figures:
    counts = list(per_person)
    return [("", sum(counts)), ("applicants", sum(count > 0 for count in counts))]


def _envy(seen: Seen) -> Figures:
    def outranked(person: Person, position: int) -> bool:
        key = seen.plain.key(person.number, position)
        return any(
            other.place == position and key < seen.plain.key(other.number, position)
            for other in seen.movers
        )

    return _counted(
        sum(outranked(person, position) for position in person.better)
        for person in seen.people
    )


def _waste(seen: Seen) -> Figures:
    left = _seats_left(seen)
    return _counted(
        sum(
            left.get(position, 0) > 0 and _may_take(seen, person, position)
            for position in person.better
        )
        for person in seen.people
    )


def _seats_left(seen: Seen) -> dict[int, int]:
    left = dict(seen.plain.seats)
    staged = seen.outcome.mechanism == terms.STAGED
    stages = {stage.name: stage for stage in seen.outcome.rules.stages}
    for person in seen.movers:
        stage = stages[person.stage or ""] if staged else None
        if stage is None or stage.kind == terms.ONE_WAY:
            left[person.place] = left.get(person.place, 0) - 1
        if stage is None or stage.reopen:
            left[person.home] = left.get(person.home, 0) + 1
    return left


def _may_take(seen: Seen, person: Person, position: int) -> bool:
    plain = seen.plain
    if seen.outcome.mechanism != terms.STAGED:
        return not (plain.swap_only(person.home) or plain.swap_only(position))
    return any(
        plain.takes_part(person.number, stage) and plain.is_offered(position, stage)
        for stage in seen.outcome.rules.stages
        if stage.kind == terms.ONE_WAY
    )


def _blocking_pairs(seen: Seen) -> Figures:
    pairs = sum(
        other.place in person.better and person.place in other.better
        for person in seen.people
        for other in seen.people[: person.number]
    )
    return [("", pairs)]


def _blocking_circles(seen: Seen) -> Figures:
    envies = nx.DiGraph(
        (person.number, other.number)
        for person in seen.people
        for other in seen.people
        if other.place in person.better
    )
    circles = nx.strongly_connected_components(envies)
    return [("", sum(len(circle) for circle in circles if len(circle) > 1))]


# ---- Regret


def _regret(seen: Seen) -> Figures:
    wishers = sorted(
        (person for person in seen.people if person.wishes),
        key=lambda person: min(
            seen.plain.key(person.number, position) for position in person.wishes
        ),
    )
    tenths: dict[str, list[Fraction]] = {"": [], **{str(n + 1): [] for n in range(10)}}
    for place, person in enumerate(wishers):
        regret = Fraction(len(person.better), len(person.wishes))
        tenths[""].append(regret)
        tenths[str(10 * place // len(wishers) + 1)].append(regret)
    for key, regrets in tenths.items():
        if regrets:
            yield key, float(sum(regrets) / len(regrets))


_OTHERS: Final[Mapping[str, Callable[[Seen], Figures]]] = {
    "choices": _choices,
    "stages": _stages,
    "exchanges": _exchanges,
    "county_in": _with_total(_came),
    "county_out": _with_total(_left),
    "county_within": _with_total(_within),
    "county_net": _net,
    "flows": _flows,
    "remote_applicants": _applicants_at(_REMOTE),
    "remote_years": _mean_years_at(_REMOTE),
    "remote_experience_lost": _experience_lost(_REMOTE),
    "indigenous_applicants": _applicants_at(_INDIGENOUS),
    "indigenous_years": _mean_years_at(_INDIGENOUS),
    "indigenous_experience_lost": _experience_lost(_INDIGENOUS),
    "envy": _envy,
    "waste": _waste,
    "blocking_pairs": _blocking_pairs,
    "blocking_circles": _blocking_circles,
    "regret": _regret,
}
