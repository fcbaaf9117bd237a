"""What a teacher has changed between two versions of an application. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PLAIN: Final = (
    "name",
    "phone1",
    "phone2",
    "email",
    "indigenous",
    "area",
    "service_years",
    "school",
    "subjects",
    "counties",
)


@dataclass(frozen=True, slots=True)
class Change:
    """A field with its value before and now."""

    field: str
    before: Any
    now: Any


@dataclass(frozen=True, slots=True)
class WishChanges:
    """How one list of wishes became another; places count from 1.

    `moved` are those whose order among the schools of both lists has changed, as few
    as tell the difference; the others have only made room.
    """

    added: tuple[tuple[int, str], ...] = ()
    removed: tuple[tuple[int, str], ...] = ()
    moved: tuple[tuple[int, int, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.moved)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the fields that differ, except the list of wishes.

    >>> changes({"name": "林小明"}, {"name": "林曉明"})
    (Change(field='name', before='林小明', now='林曉明'),)
    """
    return tuple(
        Change(field, before.get(field), now.get(field))
        for field in PLAIN
        if before.get(field) != now.get(field)
    )


def wish_changes(before: Sequence[str], now: Sequence[str]) -> WishChanges:
    """Return how a list of wishes has changed.

    >>> wish_changes(["a", "b", "c", "d"], ["c", "a", "b", "e"])
    WishChanges(added=((4, 'e'),), removed=((4, 'd'),), moved=((3, 1, 'c'),))
    """
    old = {school: place for place, school in enumerate(before, 1)}
    new = {school: place for place, school in enumerate(now, 1)}
    kept = [school for school in now if school in old]
    steady = _longest_rising([old[school] for school in kept])
    return WishChanges(
        added=tuple((new[school], school) for school in now if school not in old),
        removed=tuple((old[school], school) for school in before if school not in new),
        moved=tuple(
            (old[school], new[school], school)
            for school in kept
            if old[school] not in steady
        ),
    )


def _longest_rising(places: Sequence[int]) -> frozenset[int]:
    """Return the places of a longest rising part: those that need not have moved."""
    ends: list[int] = []  # the smallest last place of a rising part of each length
    before: dict[int, int | None] = {}
    for place in places:
        at = bisect_left(ends, place)
        before[place] = ends[at - 1] if at else None
        ends[at : at + 1] = [place]
    found, place_ = set(), ends[-1] if ends else None
    while place_ is not None:
        found.add(place_)
        place_ = before[place_]
    return frozenset(found)
