"""Small rounds for the tests of verify and explain: written as a folder, then read."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from jiepin.core import Limits, Outcome, Round, Rules, Stage
from jiepin.core.outcome import ASSIGNMENT_SCHEMA, EXCHANGE_SCHEMA

ANY_LIMITS = Limits(counties=0, subjects=0, choices=0, home_county=True)
ONE_WAY = Stage("one-way", "one-way")
REOPEN = Stage("remote", "one-way", reopen=True)
EXCHANGES = {
    2: Stage("mutual", "exchange", 2),
    3: Stage("three-way", "exchange", 3),
    4: Stage("four-way", "exchange", 4),
    5: Stage("five-way", "exchange", 5),
}

Row = dict[str, Any]


def rules_of(*stages: Stage, **settings: Any) -> Rules:
    return Rules("small", stages, limits=ANY_LIMITS, **settings)


@dataclass(frozen=True)
class Teacher:
    """A teacher at school `at`; points per county, or one number for every county."""

    teacher_id: str
    at: str
    choices: str = ""  # codes of schools in order, one letter each
    points: int | Mapping[str, int] = 50
    subjects: str = "g"  # codes, one letter each; the first is held
    groups: str = ""
    years: str = ""
    born: str = ""


def read_round(
    folder: Path,
    schools: Mapping[str, str],
    teachers: Iterable[Teacher],
    seats: Mapping[str, int] | None = None,
) -> Round:
    """Write and read a round.

    schools  one-letter code -> county, then tags, with blanks between: "02 remote"
    seats    school and subject, "Ag" -> open seats
    """
    people = list(teachers)
    county = {code: entry.split()[0] for code, entry in schools.items()}
    vacant = seats or {}
    applied = {subject for teacher in people for subject in teacher.subjects}
    subjects = sorted(applied | {place[1] for place in vacant})
    tables = {
        "schools": [
            "school,name,county,township,level,tags",
            *(
                f"{code},{code}校,{county[code]},,elementary,"
                + "|".join(entry.split()[1:])
                for code, entry in schools.items()
            ),
        ],
        "subjects": [
            "subject,name,level",
            *(f"{code},{code}科,elementary" for code in subjects),
        ],
        "vacancies": [
            "school,subject,seats",
            *(f"{place[0]},{place[1]},{n}" for place, n in vacant.items()),
        ],
        "teachers": [
            "teacher_id,school,subject,subjects,counties,points,groups,"
            "service_years,birth_date,choices",
            *(_teacher_line(teacher, county) for teacher in people),
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return Round.read(folder)


def _teacher_line(teacher: Teacher, county: Mapping[str, str]) -> str:
    counties = list(dict.fromkeys(county[code] for code in teacher.choices))
    points = teacher.points
    shown = [points if isinstance(points, int) else points[code] for code in counties]
    return ",".join(
        (
            teacher.teacher_id,
            teacher.at,
            teacher.subjects[0],
            "|".join(teacher.subjects),
            "|".join(counties),
            "|".join(map(str, shown)),
            teacher.groups,
            teacher.years,
            teacher.born,
            "|".join(teacher.choices),
        )
    )


def edited(
    outcome: Outcome,
    rows: Sequence[Mapping[str, Any]] | None = None,
    exchanges: Sequence[Mapping[str, Any]] | None = None,
) -> Outcome:
    """Return an outcome whose tables hold other rows."""
    assignments, made = outcome.assignments, outcome.exchanges
    if rows is not None:
        assignments = pl.DataFrame(rows, schema=ASSIGNMENT_SCHEMA)
    if exchanges is not None:
        made = pl.DataFrame(exchanges, schema=EXCHANGE_SCHEMA)
    return replace(outcome, assignments=assignments, exchanges=made)


def rows_of(outcome: Outcome) -> list[Row]:
    return outcome.assignments.to_dicts()


def exchanges_of(outcome: Outcome) -> list[Row]:
    return outcome.exchanges.to_dicts()


def random_round(folder: Path, seed: int) -> Round:
    """Return a small round in which everything occurs: ties, groups, tags, seats."""
    rng = random.Random(seed)
    letters = "ABCDEFGHIJKL"[: rng.randint(3, 12)]
    n_counties = rng.randint(2, 5)
    tags = ("", "", "", " remote", " swap-only")
    schools = {
        code: f"{rng.randint(1, n_counties):02d}{rng.choice(tags)}" for code in letters
    }
    subjects = "gmx"[: rng.randint(1, 3)]
    teachers = [
        _random_teacher(rng, f"T{number:02d}", letters, subjects, schools)
        for number in range(rng.randint(4, 36))
    ]
    seats = {
        code + rng.choice(subjects): rng.randint(0, 2)
        for code in rng.sample(letters, rng.randint(0, len(letters) // 2))
    }
    return read_round(folder, schools, teachers, seats)


def _random_teacher(
    rng: random.Random,
    teacher_id: str,
    letters: str,
    subjects: str,
    schools: Mapping[str, str],
) -> Teacher:
    at = rng.choice(letters)
    others = [code for code in letters if code != at]
    wanted = rng.sample(others, rng.randint(0, min(len(others), 6)))
    counties = {entry.split()[0] for entry in schools.values()}
    return Teacher(
        teacher_id,
        at,
        choices="".join(wanted),
        points={county: rng.randint(40, 44) for county in sorted(counties)},
        subjects="".join(rng.sample(subjects, rng.randint(1, len(subjects)))),
        groups=rng.choice(("", "", "remote")),
        years=rng.choice(("", "3", "3.5", "10")),
        born=rng.choice(("", "1980-01-01", "1985-09-28")),
    )


def random_rules(seed: int) -> Rules:
    """Return a rule set of up to six stages in any order, some with gaps."""
    rng = random.Random(seed)
    stages: list[Stage] = []
    for number in range(rng.randint(1, 6)):
        if rng.random() < 0.4:
            stage = Stage(
                f"open-{number}",
                "one-way",
                applicants=rng.choice((None, None, "remote")),
                schools=rng.choice((None, None, "remote")),
                reopen=rng.random() < 0.5,
            )
        else:
            stage = Stage(f"swap-{number}", "exchange", rng.randint(2, 5))
        stages.append(stage)
    keys = ["service_years", "birth_date", "lottery"]
    rng.shuffle(keys)
    return rules_of(
        *stages,
        priority=rng.choice(("per-county", "best")),
        tie_break=tuple(keys[: rng.randint(0, 3)]),
    )
