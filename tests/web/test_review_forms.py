"""What is typed at the review desk: points, codes of sheets, reasons; differences."""

from __future__ import annotations

import hashlib
from decimal import Decimal, InvalidOperation
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiepin.web.county import differences
from jiepin.web.county.eligibility import CHECKS, YES, Answer, obstacles
from jiepin.web.county.review_forms import (
    parse_points,
    points_text,
    read_reason,
    read_seen,
    read_stamp,
)
from jiepin.web.documents.sheet import short_digest
from jiepin.web.problems import Problem
from jiepin.web.store.review import SHARED, Seen, items_of
from jiepin.web.teacher.status import item_labels, total_lines

PLAIN = st.text(st.sampled_from("0123456789０１９.．,-+eE xX∞½²٣"), max_size=9)


def exactly(text: str) -> int | None:
    """Return what Decimal makes of a text, in whole hundredths below 1000 points."""
    if not text.isascii() or not set(text) <= set("0123456789."):
        return None
    try:
        value = Decimal(text) * 100
    except InvalidOperation:
        return None
    fits = value == value.to_integral_value() and 0 <= value < 100_000
    return int(value) if fits else None


NEARLY = st.from_regex(r"[0-9]{1,4}\.?[0-9]{0,3}", fullmatch=True)


@given(st.one_of(NEARLY, PLAIN, st.text(max_size=12)))
def test_any_text_is_exact_hundredths_or_none(text: str) -> None:
    value = parse_points(text)
    if value is not None:
        assert 0 <= value < 100_000
        assert parse_points(points_text(value)) == value
        ascii_ = text.strip().translate(str.maketrans("０１９．", "019."))
        if ascii_.isascii():
            assert value == exactly(ascii_)


@given(st.integers(0, 99_999))
def test_points_come_back_exactly(value: int) -> None:
    assert parse_points(points_text(value)) == value
    assert parse_points(f"{value / 100:.2f}") == value
    assert Decimal(points_text(value)) * 100 == value


SIDES = st.sampled_from([("13",), ("13", "14")])
ENTERED = st.dictionaries(
    st.sampled_from(("reason1", "reason2", *SHARED)), st.integers(0, 99_999)
)


@given(SIDES, ENTERED)
def test_a_total_is_the_sum_of_what_counts_for_its_county(
    counties: tuple[str, ...], points: dict[str, int]
) -> None:
    application: Any = SimpleNamespace(counties=counties)
    names: Any = SimpleNamespace(county=lambda code: code)
    shared = sum(points.get(item, 0) for item in SHARED)
    sums = [shared + points.get(f"reason{n}", 0) for n in range(1, len(counties) + 1)]
    totals = [
        Decimal(text) * 100 for _label, text in total_lines(application, names, points)
    ]
    assert totals == sums
    assert [*items_of(application)] == [*item_labels(application, names)]


@pytest.mark.parametrize(
    "text", ["", ".", "1.", ".5", "-1", "+1", "1e2", "1,5", "1.234", "1000", "一", "½"]
)
def test_what_is_no_such_number(text: str) -> None:
    assert parse_points(text) is None


@given(st.binary(max_size=8))
def test_a_digest_is_read_from_the_sheet_and_from_its_code(content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    typed = read_stamp(f" {short_digest(digest).lower()} ")
    scanned = read_stamp(f"JIEPIN/115/ELEMENTARY/7/{digest.upper()}\n")
    assert typed is not None
    assert typed.digest == digest[:16]
    assert scanned is not None
    assert (scanned.digest, scanned.version) == (digest, 7)


@given(st.text(max_size=100))
def test_no_other_text_is_a_code(text: str) -> None:
    stamp = read_stamp(text)
    assert stamp is None or len(stamp.digest) >= 16


def test_versions_of_a_page() -> None:
    assert read_seen({"version": "12", "review": "3"}) == Seen(12, 3)
    assert read_seen({"version": "x", "review": "-1"}) == Seen(0, 0)


def test_reasons() -> None:
    assert read_reason({"r": " a\r\nb "}, "r") == "a\nb"
    assert isinstance(read_reason({"r": " \n"}, "r"), Problem)
    assert isinstance(read_reason({"r": "x" * 501}, "r"), Problem)


# differences

LISTS = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@given(LISTS, LISTS)
def test_changes_of_a_list_tell_how_to_make_it(
    before: list[str], now: list[str]
) -> None:
    changed = differences.wish_changes(before, now)
    told = {school for *_places, school in (*changed.removed, *changed.moved)}
    steady = [school for school in before if school not in told]
    placed = dict(changed.added)
    placed |= {new: school for _old, new, school in changed.moved}
    rest = iter(steady)
    made = [placed[n] if n in placed else next(rest) for n in range(1, len(now) + 1)]
    assert made == now
    assert all(before[old - 1] == school for old, _new, school in changed.moved)
    assert all(before[old - 1] == school for old, school in changed.removed)
    assert bool(changed) == (before != now)


@given(st.permutations(list("abcdefg")), st.integers(0, 6), st.integers(0, 6))
def test_one_that_moves_is_one_move(order: list[str], old: int, new: int) -> None:
    now = list(order)
    now.insert(new, now.pop(old))
    moved = differences.wish_changes(order, now).moved
    assert len(moved) == (order != now)


def test_fields_that_differ() -> None:
    before = {"name": "林小明", "email": "a@example.org", "wishes": ["1"], "version": 3}
    now = before | {"email": "b@example.org", "wishes": ["2"], "version": 4}
    [change] = differences.changes(before, now)
    assert (change.field, change.before, change.now) == (
        "email",
        "a@example.org",
        "b@example.org",
    )


# eligibility


FINE = {
    check.item: Answer("not-applicable" if check.optional else YES) for check in CHECKS
}
ITEMS = [check.item for check in CHECKS]
NEEDED = [check.item for check in CHECKS if check.needed]


def refused(
    answers: dict[str, str], *, indigenous: bool = False, barred: bool = False
) -> set[str]:
    """Return which checks stand in the way, all others being met."""
    given = FINE | {item: Answer(answer) for item, answer in answers.items()}
    found = obstacles(given, indigenous=indigenous, barred=barred)
    return {problem.field.removeprefix("check-") for problem in found}


def test_c06_who_meets_everything_may_be_approved() -> None:
    assert refused({}) == set()


@pytest.mark.parametrize("item", ITEMS)
def test_c06_each_check_has_to_be_answered(item: str) -> None:
    assert refused({item: ""}) == {item}


@pytest.mark.parametrize("item", NEEDED)
def test_c06_what_is_not_met_stands_in_the_way(item: str) -> None:
    assert refused({item: "no"}) == {item}


def test_c06_less_than_six_semesters_needs_an_exception() -> None:
    short = {"six-semesters": "no"}
    assert refused(short) == {"six-semesters"}
    assert refused(short | {"exception": "no"}) == {"six-semesters"}
    assert refused(short | {"exception": "yes"}) == set()
    assert refused({"exception": "no"}) == set()


def test_c06_the_indigenous_stage_needs_proof() -> None:
    assert refused({}, indigenous=True) == {"indigenous"}
    assert refused({"indigenous": "yes"}, indigenous=True) == set()


def test_c06_a_known_bar_cannot_be_answered_away() -> None:
    assert refused({"no-bar": "yes"}, barred=True) == {"no-bar"}
