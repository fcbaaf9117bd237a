"""The figures of a result: counts and cut-offs, never a name or a teacher_id."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from jiepin.core import terms
from jiepin.core.outcome import Outcome
from jiepin.core.round import Round
from jiepin.core.rules import Rules
from jiepin.core.terms import Label

BANDS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, None))
_KEYS = ["county", "subject"]


@dataclass(frozen=True, slots=True)
class LevelFigures:
    """Applicants of a level, and how many of them moved."""

    level: str
    applicants: int
    moved: int


NO_EXCHANGE = Label("未經交換", "in no exchange")


@dataclass(frozen=True, slots=True)
class StageFigures:
    """A stage: people per exchange (0 one-way), exchanges made, people moved.

    Of another mechanism: one size of its exchanges, 0 for moves in no exchange.
    """

    stage: str
    size: int
    exchanges: int
    moved: int

    @property
    def label(self) -> Label:
        """Return what people call the stage, or the size.

        >>> StageFigures("top_trading_cycles", 3, 2, 6).label.zh
        '三角調'
        """
        if self.stage not in terms.MECHANISMS:
            return terms.stage_label(self.stage)
        return terms.exchange_label(self.size) if self.size else NO_EXCHANGE


@dataclass(frozen=True, slots=True)
class BandFigures:
    """How many moved to their choices `first` to `last`; None: and all after."""

    first: int
    last: int | None
    moved: int

    @property
    def label(self) -> str:
        """Return the band as people write it.

        >>> BandFigures(4, 5, 0).label, BandFigures(51, None, 0).label
        ('4–5', '51–')
        """
        if self.first == self.last:
            return str(self.first)
        return f"{self.first}–{self.last or ''}"


@dataclass(frozen=True, slots=True)
class CountyFigures:
    """Applicants who sit in a county; those who left it, came to it, moved within."""

    county: str
    applicants: int
    left: int
    came: int
    within: int

    @property
    def net(self) -> int:
        """Return by how many teachers the county has grown."""
        return self.came - self.left


@dataclass(frozen=True, slots=True)
class Flow:
    """How many moved from one county to another, or within one."""

    origin: str
    destination: str
    moved: int


@dataclass(frozen=True, slots=True)
class CutOff:
    """One-way moves to a county in one subject.

    seats   open at the start or opened again, without those of swap-only schools
    moved   how many took one
    points  the fewest with which somebody did, hundredths; None when nobody did
    """

    county: str
    level: str
    subject: str
    subject_name: str
    seats: int
    moved: int
    points: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """A result in figures.

    levels, stages and choices in their own order; counties by code; flows by codes;
    cut-offs by county, level and subject, where seats were open or somebody came.
    """

    applicants: int
    moved: int
    levels: tuple[LevelFigures, ...]
    stages: tuple[StageFigures, ...]
    choices: tuple[BandFigures, ...]
    counties: tuple[CountyFigures, ...]
    flows: tuple[Flow, ...]
    cut_offs: tuple[CutOff, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as tables that a JSON file understands."""
        return asdict(self)


def figures(round_: Round, outcome: Outcome) -> Figures:
    """Count what a result came to.

    Raises BadResult when the outcome has not one row for each teacher of the round, or
    a move without a choice.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> found = figures(round_, solve(round_, Rules.load("taiwan-110")))
    >>> found.applicants, found.moved, found.flows[0]
    (3, 2, Flow(origin='01', destination='02', moved=1))
    """
    outcome.check_teachers(round_.teachers["teacher_id"].sort().to_list())
    outcome.check_moves()
    people = _people(round_, outcome)
    flows = _flows(people)
    return Figures(
        applicants=people.height,
        moved=outcome.moves.height,
        levels=_levels(people),
        stages=_stages(outcome),
        choices=bands(outcome),
        counties=_counties(round_, people, flows),
        flows=flows,
        cut_offs=_cut_offs(round_, outcome, people),
    )


def bands(outcome: Outcome) -> tuple[BandFigures, ...]:
    """Return how many moved to their 1st, 2nd … choice, the long tail in bands."""
    moved = outcome.moved_per_choice()
    return tuple(
        BandFigures(
            first, last, sum(n for k, n in moved.items() if first <= k <= (last or k))
        )
        for first, last in BANDS
    )


def _people(round_: Round, outcome: Outcome) -> pl.DataFrame:
    """Return everybody: home, and where, how and by which subject afterwards.

    Columns: those of the assignments, then home_school, home_subject, home (county)
    and level, and county (where they are afterwards).
    """
    schools = _schools(round_)
    homes = round_.teachers.select(
        "teacher_id",
        pl.col("school").cast(pl.String).alias("home_school"),
        pl.col("subject").cast(pl.String).alias("home_subject"),
    ).join(
        schools.select(
            pl.col("school").alias("home_school"),
            pl.col("county").alias("home"),
            "level",
        ),
        on="home_school",
    )
    places = schools.select("school", "county")
    return outcome.assignments.join(homes, on="teacher_id").join(places, on="school")


def _schools(round_: Round) -> pl.DataFrame:
    return round_.schools.select(
        pl.col("school", "county", "level").cast(pl.String), "tags"
    )


def _levels(people: pl.DataFrame) -> tuple[LevelFigures, ...]:
    counts = people.group_by("level").agg(
        pl.len(), pl.col("stage").is_not_null().sum().alias("moved")
    )
    found = {level: (n, moved) for level, n, moved in counts.iter_rows()}
    return tuple(
        LevelFigures(level, *found[level]) for level in terms.LEVELS if level in found
    )


def sizes(outcome: Outcome) -> tuple[tuple[int, int, int], ...]:
    """Return size, exchanges made and people moved; size 0: in no exchange.

    Those in no exchange come first, then the sizes that occur.
    """
    made = outcome.exchanges.group_by("size").len().sort("size")
    alone = outcome.moves["exchange"].null_count()
    in_exchanges = ((size, n, size * n) for size, n in made.iter_rows())
    return ((0, 0, alone), *in_exchanges)


def _stages(outcome: Outcome) -> tuple[StageFigures, ...]:
    if outcome.mechanism != terms.STAGED:
        return tuple(StageFigures(outcome.mechanism, *row) for row in sizes(outcome))
    made = dict(outcome.exchanges.group_by("stage").len().iter_rows())
    moved = outcome.moved_per_stage()
    return tuple(
        StageFigures(stage.name, stage.size, made.get(stage.name, 0), moved[stage.name])
        for stage in outcome.rules.stages
    )


def _flows(people: pl.DataFrame) -> tuple[Flow, ...]:
    movers = people.filter(pl.col("stage").is_not_null())
    counts = movers.group_by("home", "county").len().sort("home", "county")
    return tuple(Flow(*row) for row in counts.iter_rows())


def _counties(
    round_: Round, people: pl.DataFrame, flows: tuple[Flow, ...]
) -> tuple[CountyFigures, ...]:
    applicants = dict(people.group_by("home").len().iter_rows())
    left, came, within = Counter[str](), Counter[str](), Counter[str]()
    for flow in flows:
        if flow.origin == flow.destination:
            within[flow.origin] += flow.moved
        else:
            left[flow.origin] += flow.moved
            came[flow.destination] += flow.moved
    return tuple(
        CountyFigures(
            county,
            applicants=applicants.get(county, 0),
            left=left[county],
            came=came[county],
            within=within[county],
        )
        for county in sorted(_schools(round_)["county"].unique())
    )


def _cut_offs(
    round_: Round, outcome: Outcome, people: pl.DataFrame
) -> tuple[CutOff, ...]:
    """Return the cut-offs; none where seats are not given by points one-way."""
    if outcome.mechanism != terms.STAGED:
        return ()
    rules = outcome.rules
    one_way = [stage for stage in rules.stages if stage.kind == terms.ONE_WAY]
    came = people.filter(pl.col("stage").is_in([stage.name for stage in one_way]))
    points = _points(round_, rules, came)
    lowest = came.join(points, on="teacher_id", how="left").group_by(_KEYS)
    found = (
        _open_seats(round_, people, [stage.name for stage in one_way if stage.reopen])
        .join(
            lowest.agg(pl.len().alias("moved"), pl.col("points").min()),
            on=_KEYS,
            how="full",
            coalesce=True,
        )
        .filter((pl.col("seats") > 0) | (pl.col("moved") > 0))
        .join(_subjects(round_), on="subject")
        .sort("county", "order", "subject")
        .with_columns(pl.col("seats", "moved").fill_null(0))
    )
    columns = ("county", "level", "subject", "name", "seats", "moved", "points")
    return tuple(CutOff(*row) for row in found.select(columns).iter_rows())


def _subjects(round_: Round) -> pl.DataFrame:
    levels = list(terms.LEVELS)
    return round_.subjects.select(
        pl.col("subject", "name", "level").cast(pl.String),
        pl.col("level").replace_strict(levels, range(len(levels))).alias("order"),
    )


def _open_seats(
    round_: Round, people: pl.DataFrame, reopening: list[str]
) -> pl.DataFrame:
    """Return the seats that one-way moves could take, by county and subject."""
    schools = _schools(round_).filter(~pl.col("tags").list.contains(terms.SWAP_ONLY))
    listed = round_.vacancies.select(
        pl.col("school", "subject").cast(pl.String), "seats"
    ).join(schools, on="school")
    reopened = people.filter(pl.col("stage").is_in(reopening)).select(
        pl.col("home").alias("county"),
        pl.col("home_subject").alias("subject"),
        pl.lit(1, pl.Int64).alias("seats"),
    )
    both = pl.concat([listed.select(*_KEYS, "seats"), reopened])
    return both.group_by(_KEYS).agg(pl.col("seats").sum())


def _points(round_: Round, rules: Rules, came: pl.DataFrame) -> pl.DataFrame:
    """Return the points with which each of those who came did, by teacher_id."""
    teachers = round_.teachers
    held = teachers.select(
        "teacher_id", pl.col("counties").alias("county"), "points"
    ).explode("county", "points")
    held = held.with_columns(pl.col("county").cast(pl.String))
    if rules.priority == terms.PER_COUNTY:
        counting = came.select("teacher_id", "county")
    else:
        wished = teachers.select("teacher_id", pl.col("choices").alias("school"))
        counting = (
            wished.explode("school")
            .with_columns(pl.col("school").cast(pl.String))
            .join(_schools(round_), on="school")
            .select("teacher_id", "county")
        )
    points = counting.unique().join(held, on=["teacher_id", "county"])
    return points.group_by("teacher_id").agg(pl.col("points").max())
