"""`generate`: an invented round of realistic shape, of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from jiepin.core import errors, terms
from jiepin.core.checks import add_up
from jiepin.core.folders import check_replaceable, written_whole
from jiepin.core.round import FILES, Round, decimal_text, write_table
from jiepin.core.simulation import places
from jiepin.core.simulation.columns import coded
from jiepin.core.simulation.directory import read_directories
from jiepin.core.simulation.draws import Draws
from jiepin.core.simulation.schools import Schools
from jiepin.core.simulation.teachers import Population
from jiepin.core.tables import SCHOOLS

FEWEST, MOST = 10, 10_000_000  # teachers of a round
CSV_UP_TO = 200_000  # teachers; more of them go into a Parquet file
BLOCK = 50_000  # teachers held in memory at a time
ROW_GROUP = 100_000  # teachers, in a Parquet file

_TEACHERS_PER_SEAT = 25  # applicants for each seat that the counties open
_ID_WIDTH = 7

Report = Callable[[int, int], None]  # teachers written, teachers in all


def generate(
    folder: str | Path,
    teachers: int,
    seed: int = 0,
    levels: Sequence[str] | None = None,
    schools: Sequence[str | Path] = (),
    report: Report | None = None,
    *,
    csv_up_to: int = CSV_UP_TO,
    block: int = BLOCK,
) -> None:
    """Write an invented round of so many applicants into a folder, whole or not at all.

    teachers  10 to 10,000,000; up to `csv_up_to` in teachers.csv, else teachers.parquet
    seed      any whole number; the same one gives the same bytes, for every `block`
    levels    out of junior-high, elementary, kindergarten; all that there are if None
    schools   directories of the Ministry to take the schools from; without them the
              whole country is there under invented names, however few the teachers
    report    is told from time to time how many teachers are written

    The round keeps the limits of taiwan-110. Only applicants are in it, no teachers who
    stay. Raises BadArgument, BadDirectory, or FolderInTheWay when the folder holds
    anything but a round.

    >>> from tempfile import TemporaryDirectory
    >>> from jiepin.core import Round
    >>> with TemporaryDirectory() as folder:
    ...     generate(folder, teachers=10, seed=7)
    ...     round_ = Round.read(folder)
    >>> round_.teachers.height, round_.schools.height
    (10, 5758)
    """
    _check_numbers(teachers, seed)
    check_replaceable(Path(folder), FILES)
    directory = read_directories(schools) if schools else places.invented_directory()
    chosen = _levels(levels, directory)
    population = Population.of(Schools.of(directory, chosen, Draws(seed)))
    with written_whole(Path(folder), replaceable=FILES) as target:
        _write_tables(population, teachers, target)
        blocks = _blocks(population, teachers, block, report)
        if teachers <= csv_up_to:
            _write_csv(blocks, target / "teachers.csv")
        else:
            _write_parquet(blocks, target / "teachers.parquet")


@dataclass(frozen=True)
class Country:
    """The schools that invented rounds share, and what their teachers are drawn from.

    >>> country = Country.of(["kindergarten"], seed=1)
    >>> country.round_of(teachers=10, draws=Draws(7)).teachers.height
    10
    """

    population: Population
    schools: pl.DataFrame  # as a Round holds them
    subjects: pl.DataFrame

    @classmethod
    def of(cls, levels: Sequence[str] | None, seed: int) -> Country:
        """Return the whole country under invented names; the seed marks the schools."""
        directory = places.invented_directory()
        chosen = _levels(levels, directory)
        population = Population.of(Schools.of(directory, chosen, Draws(seed)))
        schools, subjects = _schools(population), population.subjects.frame
        columns = [name for name in SCHOOLS.known if name in schools.columns]
        return cls(
            population,
            schools.select(columns).with_columns(coded(schools["school"])),
            subjects.sort("subject").with_columns(coded(subjects["subject"].sort())),
        )

    def round_of(self, teachers: int, draws: Draws) -> Round:
        """Return a round of so many applicants, as one written by `generate` is read.

        The same `draws` give the same applicants and seats; the schools stay.
        """
        population = replace(self.population, draws=draws)
        return Round(
            schools=self.schools,
            subjects=self.subjects,
            vacancies=_vacancies(population, teachers),
            teachers=population.teachers(
                np.arange(1, teachers + 1), _id_width(teachers)
            ),
        )


def _id_width(teachers: int) -> int:
    return max(_ID_WIDTH, len(str(teachers)))


def _check_numbers(teachers: int, seed: int) -> None:
    for name, value in (("teachers", teachers), ("seed", seed)):
        if not isinstance(value, int) or isinstance(value, bool):
            raise errors.BadArgument(f"{name} {value!r}; expected a whole number")
    if not FEWEST <= teachers <= MOST:
        raise errors.BadArgument(
            f"teachers {teachers}; expected a number from {FEWEST} to {MOST:,}"
        )


def _levels(levels: Sequence[str] | None, directory: pl.DataFrame) -> list[str]:
    """Return the chosen levels in the order of terms.LEVELS."""
    present = set(directory["level"])
    if levels is None:
        return [level for level in terms.LEVELS if level in present]
    known = ", ".join(terms.LEVELS)
    for level in levels:
        if level not in terms.LEVELS:
            raise errors.BadArgument(
                f"unknown level {level!r}; expected some of {known}"
            )
        if level not in present:
            raise errors.BadDirectory(
                f"no school of level {level} in the directories; give the Ministry's "
                "directory of that level as well, or leave the level out"
            )
    if not levels:
        raise errors.BadArgument(f"no level chosen; expected some of {known}")
    return [level for level in terms.LEVELS if level in levels]


def _write_tables(population: Population, teachers: int, target: Path) -> None:
    """Write schools, subjects and vacancies."""
    _flat(_schools(population)).write_csv(target / "schools.csv")
    population.subjects.frame.write_csv(target / "subjects.csv")
    write_table(_vacancies(population, teachers), target / "vacancies.csv")


def _schools(population: Population) -> pl.DataFrame:
    schools = population.schools.frame.sort("school").drop("teachers")
    no_address = schools["address"].null_count() == schools.height
    return schools.drop("address") if no_address else schools


def _vacancies(population: Population, teachers: int) -> pl.DataFrame:
    """Return the open seats: few, and none in the counties that open none."""
    draws, offering = population.draws, population.offering
    seat = np.arange(-(-teachers // _TEACHERS_PER_SEAT))
    level = population.draw_levels("level of seat", seat)
    possible = offering.totals[level] > 0
    seat, level = seat[possible], level[possible]
    school = offering.draw(draws, "school of seat", seat, level)
    subject = population.subjects.draw_first(draws, "subject of seat", seat, level)
    return add_up(
        pl.DataFrame(
            {
                "school": population.school_codes.gather(school),
                "subject": population.subject_codes.gather(subject),
                "seats": np.ones_like(school),
            }
        )
    )


def _blocks(
    population: Population, teachers: int, block: int, report: Report | None
) -> Iterator[pl.DataFrame]:
    """Yield the teachers in the order of their numbers."""
    id_width = _id_width(teachers)
    for done in range(0, teachers, block):
        if report is not None:
            report(done, teachers)
        numbers = np.arange(done + 1, min(done + block, teachers) + 1)
        yield _as_text(population.teachers(numbers, id_width))
    if report is not None:
        report(teachers, teachers)


def _as_text(teachers: pl.DataFrame) -> pl.DataFrame:
    """Return teachers as files hold them: texts, lists of texts, null for nothing."""
    texts = pl.List(pl.String)
    points = pl.col("points").list.eval(decimal_text(pl.element()))
    groups = pl.when(pl.col("groups").list.len() > 0).then("groups")
    return teachers.select(
        "teacher_id",
        pl.col("school", "subject").cast(pl.String),
        pl.col("subjects", "counties").cast(texts),
        points,
        groups,
        pl.col("service_years") // terms.POINTS_PER_POINT,
        "birth_date",
        pl.col("choices").cast(texts),
        decimal_text(pl.col("home_points")),
    )


def _write_csv(blocks: Iterator[pl.DataFrame], file: Path) -> None:
    with file.open("wb") as content:
        for number, frame in enumerate(blocks):
            _flat(frame).write_csv(content, include_header=number == 0)


def _write_parquet(blocks: Iterator[pl.DataFrame], file: Path) -> None:
    """Write the blocks one by one, then join them without holding them all."""
    parts = file.with_suffix(".parts")
    parts.mkdir()
    names = []
    for number, frame in enumerate(blocks):
        names.append(parts / f"{number:06d}.parquet")
        frame.write_parquet(names[-1])
    pl.scan_parquet(names).sink_parquet(file, row_group_size=ROW_GROUP)
    for name in names:
        name.unlink()
    parts.rmdir()


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with each list as one text, an empty list as null."""
    lists = [name for name, kind in frame.schema.items() if kind == pl.List]
    return frame.with_columns(
        pl.when(pl.col(name).list.len() > 0)
        .then(pl.col(name).list.join(terms.LIST_SEPARATOR))
        .alias(name)
        for name in lists
    )
