"""The checker of wishes that cannot succeed for reasons of one's own."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiepin.web.teacher import check
from jiepin.web.teacher.check import Doubt, Own, Place

SUBJECTS = ["E01", "E02", "E03"]
TAGS = ["remote", "special-remote", "extreme-remote", "indigenous", "correctional"]
CODES = ["134601", "134602", "134603", "134604"]


def sets(values: list[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values))


OWN = st.builds(
    Own,
    subjects=st.lists(st.sampled_from(SUBJECTS), unique=True).map(tuple),
    area_tags=sets(TAGS),
    service_years=st.none() | st.integers(0, 40),
    indigenous=st.booleans(),
    home_school=st.sampled_from(["", *CODES]),
)
PLACES = st.dictionaries(
    st.sampled_from(CODES), st.builds(Place, tags=sets(TAGS), taught=sets(SUBJECTS))
)
WISHES = st.lists(st.sampled_from(CODES), unique=True)


def of(own: Own, place: Place) -> list[str]:
    """Return the reasons against a single wish."""
    return [doubt.reason for doubt in check.check(own, ["A"], {"A": place})]


def test_a_subject_that_is_not_taught_there() -> None:
    own = Own(subjects=("E02", "E03"))
    assert of(own, Place(taught=frozenset({"E01"}))) == [check.NOT_TAUGHT]
    assert of(own, Place(taught=frozenset({"E01", "E03"}))) == []


def test_a_school_whose_subjects_are_not_known_gives_no_doubt() -> None:
    assert of(Own(subjects=("E02",)), Place()) == []


def test_a_certificate_for_remote_areas_alone() -> None:
    """介聘辦法 §13."""
    own = Own(area_tags=frozenset({"remote", "special-remote"}))
    assert of(own, Place(tags=frozenset({"correctional"}))) == [check.OUTSIDE_AREA]
    assert of(own, Place(tags=frozenset({"special-remote"}))) == []
    assert of(Own(), Place()) == []


@pytest.mark.parametrize(("years", "doubted"), [(0, 1), (2, 1), (3, 0), (None, 0)])
def test_service_that_still_binds_to_the_present_school(
    years: int | None, doubted: int
) -> None:
    """介聘辦法 §5: six semesters."""
    doubts = check.check(Own(service_years=years), [], {})
    assert doubts == [Doubt(check.SHORT_SERVICE)] * doubted


def test_priority_for_indigenous_teachers_needs_an_indigenous_school() -> None:
    """T403: in that stage only the indigenous schools of the list are used."""
    own = Own(indigenous=True)
    places = {"A": Place(), "B": Place(tags=frozenset({"indigenous"}))}
    assert check.check(own, ["A"], places) == [Doubt(check.NO_INDIGENOUS_SCHOOL)]
    assert check.check(own, ["A", "B"], places) == []
    assert check.check(own, [], places) == []


def test_the_school_one_is_at() -> None:
    assert of(Own(home_school="A"), Place()) == [check.HOME_SCHOOL]


@given(OWN, WISHES, PLACES)
def test_doubts_of_the_list_come_first_then_in_order_of_the_wishes(
    own: Own, wishes: list[str], places: dict[str, Place]
) -> None:
    doubts = check.check(own, wishes, places)
    order = ["", *wishes]
    assert [d.school for d in doubts] == sorted(
        (d.school for d in doubts), key=order.index
    )
    assert len(set(doubts)) == len(doubts)
    assert all(d.school in places for d in doubts if d.school)


@given(OWN, WISHES, PLACES)
def test_a_wish_is_judged_alone(
    own: Own, wishes: list[str], places: dict[str, Place]
) -> None:
    """Neither its place in the list nor what else is listed changes its doubts."""
    together = {d for d in check.check(own, wishes, places) if d.school}
    alone = {
        d for w in reversed(wishes) for d in check.check(own, [w], places) if d.school
    }
    assert together == alone


def test_the_checker_is_told_nothing_of_others() -> None:
    """Whoever gives it more must think of issue 5: "nothing that depends on others"."""
    assert [field.name for field in fields(Own)] == [
        "subjects",
        "area_tags",
        "service_years",
        "indigenous",
        "home_school",
    ]
    assert [field.name for field in fields(Place)] == ["tags", "taught"]
