"""The checker: wishes that cannot succeed, for reasons of one's own alone.

It is given what the teacher told about himself and what the counties publish about
their schools. Nothing else may come in: no other applicant, no number of those who want
a school, no sign of whether anybody there wants to leave. That a school has no vacancy
is no reason either, since an exchange needs none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

NOT_TAUGHT: Final = "not-taught"  # none of the subjects applied for is taught there
OUTSIDE_AREA: Final = "outside-area"  # the certificate does not reach there
HOME_SCHOOL: Final = "home-school"
SHORT_SERVICE: Final = "short-service"
NO_INDIGENOUS_SCHOOL: Final = "no-indigenous-school"

INDIGENOUS: Final = "indigenous"
BOUND_YEARS: Final = 3  # six semesters at the present school, 介聘辦法 §5


@dataclass(frozen=True, slots=True)
class Own:
    """What the checker knows of the teacher.

    subjects       applied for, in order
    area_tags      schools where the certificate is good have one of these; empty: all
    service_years  None where not told yet
    indigenous     applied for the indigenous stage (原民調)
    """

    subjects: tuple[str, ...] = ()
    area_tags: frozenset[str] = frozenset()
    service_years: int | None = None
    indigenous: bool = False
    home_school: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What the checker knows of a school; `taught` is empty where it is not known."""

    tags: frozenset[str] = frozenset()
    taught: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a wish, or with `school` empty the list as a whole, cannot succeed."""

    reason: str
    school: str = ""


def check(own: Own, wishes: Iterable[str], places: Mapping[str, Place]) -> list[Doubt]:
    """Return the doubts of the list as a whole, then those of its schools in order.

    A wish without a place (a school that is gone) is told of by wish_list.stale.

    >>> own = Own(subjects=("E02",), area_tags=frozenset({"remote"}), service_years=5)
    >>> town, hills = Place(taught=frozenset({"E01"})), Place(frozenset({"remote"}))
    >>> for doubt in check(own, ["A", "B"], {"A": town, "B": hills}):
    ...     print(doubt.school, doubt.reason)
    A not-taught
    A outside-area
    """
    listed = [school for school in wishes if school in places]
    doubts = _of_list(own, [places[school] for school in listed])
    for school in listed:
        doubts += [
            Doubt(why, school) for why in _of_school(own, school, places[school])
        ]
    return doubts


def _of_list(own: Own, listed: list[Place]) -> list[Doubt]:
    doubts = []
    if own.service_years is not None and own.service_years < BOUND_YEARS:
        doubts.append(Doubt(SHORT_SERVICE))
    if own.indigenous and listed and not any(INDIGENOUS in p.tags for p in listed):
        doubts.append(Doubt(NO_INDIGENOUS_SCHOOL))
    return doubts


def _of_school(own: Own, school: str, place: Place) -> list[str]:
    reasons = []
    if school == own.home_school:
        reasons.append(HOME_SCHOOL)
    if own.subjects and place.taught and place.taught.isdisjoint(own.subjects):
        reasons.append(NOT_TAUGHT)
    if own.area_tags and place.tags.isdisjoint(own.area_tags):
        reasons.append(OUTSIDE_AREA)
    return reasons
