"""From a round to arrays: numbering, claims, claim order, lots."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from jiepin.core import BadRound, Round, Rules, errors
from jiepin.core.market import Encoded, encode

RULES = Rules.load("taiwan-110")

SCHOOLS = """school,name,county,township,level,tags
a1,甲一國小,1,甲,elementary,
a2,甲二國小,1,甲,elementary,swap-only
b1,乙一國小,2,乙,elementary,remote|free
c1,丙一國小,3,丙,elementary,
"""
SUBJECTS = "subject,name,level\ng,普通,elementary\ne,英語,elementary\n"
HEADER = (
    "teacher_id,school,subject,subjects,counties,points,groups,"
    "service_years,birth_date,choices\n"
)


def round_of(folder: Path, *teachers: str, vacancies: str = "") -> Round:
    """Write and read a round of these rows of teachers.csv."""
    (folder / "schools.csv").write_text(SCHOOLS, "utf-8")
    (folder / "subjects.csv").write_text(SUBJECTS, "utf-8")
    (folder / "teachers.csv").write_text(HEADER + "\n".join(teachers) + "\n", "utf-8")
    if vacancies:
        text = "school,subject,seats\n" + vacancies
        (folder / "vacancies.csv").write_text(text, "utf-8")
    return Round.read(folder)


def claims(encoded: Encoded) -> list[tuple[str, list[int]]]:
    """Return the claims in claim order: teacher and wished choice numbers."""
    market = encoded.market
    ids = encoded.round_.teachers["teacher_id"].gather(encoded.row_of)
    starts = market.graph.wish_start
    return [
        (
            ids[int(market.graph.holder_of[claim])],
            market.wish_choice[starts[claim] : starts[claim + 1]].tolist(),
        )
        for claim in market.claim_order
    ]


def test_two_totals_make_two_claims(tmp_path: Path) -> None:
    round_ = round_of(
        tmp_path,
        "T1,a1,g,g,2|3,70|71.5,,,,b1|c1",
        "T2,b1,g,g,1|3,71|71,,,,c1|a1",
        "T3,c1,g,g,,,,,,",
    )
    encoded = encode(round_, RULES)
    assert claims(encoded) == [("T1", [2]), ("T2", [1, 2]), ("T1", [1])]


def test_best_counts_only_counties_of_own_choices(tmp_path: Path) -> None:
    round_ = round_of(
        tmp_path,
        "T1,a1,g,g,2|3,70|99,,,,b1",
        "T2,b1,g,g,1|3,60|71,,,,a1|c1",
        "T3,c1,g,g,,,,,,",
    )
    encoded = encode(round_, replace(RULES, priority="best"))
    assert claims(encoded) == [("T2", [1, 2]), ("T1", [1])]


def test_wishes_nobody_can_serve_are_left_out(tmp_path: Path) -> None:
    round_ = round_of(
        tmp_path,
        "T1,a1,g,g|e,2|3,70|70,,,,c1|b1",
        "T2,b1,g,g,1,70,,,,a1",
        vacancies="c1,e,2\n",
    )
    market = encode(round_, RULES).market
    assert market.n_positions == 3
    assert market.wish_choice.tolist() == [1, 2, 1]
    assert market.seats.tolist() == [2, 0, 0]


TIED = (
    "T1,a1,g,g,2,70,,5,1980-01-01,b1",
    "T2,a1,g,g,2,70,,5.5,1990-01-01,b1",
    "T3,a1,g,g,2,70,,,1970-01-01,b1",
    "T4,a1,g,g,2,70,,5,,b1",
    "T5,a1,g,g,2,70,,5,1979-12-31,b1",
    "T6,b1,g,g,,,,,,",
)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], ["T1", "T2", "T3", "T4", "T5"]),
        (["service_years"], ["T2", "T1", "T4", "T5", "T3"]),
        (["birth_date"], ["T3", "T5", "T1", "T2", "T4"]),
        (["service_years", "birth_date"], ["T2", "T5", "T1", "T4", "T3"]),
    ],
)
def test_tie_keys(tmp_path: Path, keys: list[str], expected: list[str]) -> None:
    round_ = round_of(tmp_path, *TIED)
    encoded = encode(round_, replace(RULES, tie_break=tuple(keys)))
    assert [teacher for teacher, _ in claims(encoded)] == expected


@pytest.mark.parametrize("seed", [0, 1, -7, 2**70])
def test_lots(tmp_path: Path, seed: int) -> None:
    ids = [f"教師{n}" for n in range(30)]
    rows = [f"{teacher},a1,g,g,2,70,,5,,b1" for teacher in ids]
    round_ = round_of(tmp_path, *rows, "Z,b1,g,g,,,,,,")
    drawn = sorted(
        ids,
        key=lambda teacher: hashlib.blake2b(
            f"{seed}:{teacher}".encode(), digest_size=8
        ).digest(),
    )
    encoded = encode(round_, RULES, seed)
    assert [teacher for teacher, _ in claims(encoded)] == drawn


def test_lots_come_after_the_keys_before_them(tmp_path: Path) -> None:
    round_ = round_of(tmp_path, *TIED)
    rules = replace(RULES, tie_break=("service_years", "lottery", "birth_date"))
    order = [teacher for teacher, _ in claims(encode(round_, rules))]
    assert order[0] == "T2"
    assert order[-1] == "T3"
    assert sorted(order[1:4]) == ["T1", "T4", "T5"]


def test_filters(tmp_path: Path) -> None:
    round_ = round_of(
        tmp_path,
        "T4,a2,g,g,,,indigenous|x,,,",
        "T2,b1,g,g,,,,,,",
        "T3,c1,g,g,,,x,,,",
    )
    encoded = encode(round_, RULES)
    assert encoded.by_id.tolist() == [1, 2, 0]
    assert encoded.in_group("x").tolist() == [1, 0, 1]
    assert encoded.in_group("nobody").tolist() == [0, 0, 0]
    assert encoded.at_schools_tagged("remote").tolist() == [0, 1, 0]
    assert encoded.swap_only.tolist() == [1, 0, 0]


def test_limits_are_checked_even_if_the_round_was_read_without(tmp_path: Path) -> None:
    round_ = round_of(tmp_path, "T1,a1,g,g,1,70,,,,a2", "T2,a2,g,g,,,,,,")
    with pytest.raises(BadRound) as caught:
        encode(round_, RULES)
    assert [type(problem) for problem in caught.value.problems] == [
        errors.HomeCountyWished
    ]


def test_no_teachers_at_all(tmp_path: Path) -> None:
    round_ = round_of(tmp_path)
    market = encode(round_, RULES).market
    assert market.n_applicants == market.n_claims == 0
    assert round_.teachers.schema["points"] == pl.List(pl.Int64)
