"""From lists of choices to claims and wishes: counting first, then filling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

NOWHERE = -1  # a (subject, school) where nobody sits and no seat is open


class Lists(NamedTuple):
    """What the teachers listed, flat, row by row of their table.

    Entries of row r are starts[r] up to starts[r + 1]; starts are int64, schools,
    subjects and counties indices of their tables, points int64 hundredths.
    """

    choice_start: npt.NDArray[np.int64]
    choices: IndexArray
    subject_start: npt.NDArray[np.int64]
    subjects: IndexArray
    county_start: npt.NDArray[np.int64]
    counties: IndexArray
    points: npt.NDArray[np.int64]


class Forms(NamedTuple):
    """What is listed row by row, and what is needed to make sense of it.

    A claim is the set of an applicant's wishes of one points value. Each county listed
    is a slot; a claim is in the first slot of its points, so a slot holds one claim or
    none. With `best` all wishes count with the most points of the applicant.
    """

    lists: Lists
    home_of: IndexArray  # row -> position
    position_at: IndexArray  # subject * n_schools + school -> position or NOWHERE
    county_of_school: IndexArray
    best: bool


class Slots(NamedTuple):
    """The claims by slot, and how many wishes each row has."""

    points: npt.NDArray[np.int64]  # hundredths
    length: IndexArray  # number of wishes; 0 where there is no claim
    n_wishes: IndexArray  # shape (n_rows,)


class Layout(NamedTuple):
    """The wishes claim by claim, to be filled."""

    claim_of_slot: IndexArray
    cursor: IndexArray  # claim -> where its next wish goes
    list_cursor: IndexArray  # row -> where its wishes go in list_wish
    wish_position: IndexArray
    wish_choice: IndexArray  # 1-based number of the school in the list
    wish_claim: IndexArray
    list_wish: IndexArray  # the wishes of each applicant in wish order


@compiled
def slot_of(forms: Forms, row: int, school: int) -> int:
    """Return the slot of a choice, or NOWHERE if its county is not listed."""
    lists, county = forms.lists, forms.county_of_school[school]
    first = lists.county_start[row]
    for k in range(first, lists.county_start[row + 1]):
        if lists.counties[k] == county:
            if forms.best:
                return int(first)
            for same in range(first, k):
                if lists.points[same] == lists.points[k]:
                    return same
            return k
    return NOWHERE


@compiled
def most_points(forms: Forms, row: int) -> int:
    """Return the most points of a row for any of its choices."""
    lists, most = forms.lists, 0
    for c in range(lists.choice_start[row], lists.choice_start[row + 1]):
        county = forms.county_of_school[lists.choices[c]]
        for k in range(lists.county_start[row], lists.county_start[row + 1]):
            if lists.counties[k] == county:
                most = max(most, lists.points[k])
    return most


@compiled
def position_of(forms: Forms, row: int, subject: int, school: int) -> int:
    """Return the position of a wish, or NOWHERE if there is none or it is home."""
    n_schools = len(forms.county_of_school)
    position = forms.position_at[subject * n_schools + school]
    return NOWHERE if position == forms.home_of[row] else position


@compiled
def count_wishes(forms: Forms, slots: Slots, first: int, last: int) -> None:
    """Count the wishes of some rows, slot by slot."""
    lists = forms.lists
    for row in range(first, last):
        low, high = lists.county_start[row], lists.county_start[row + 1]
        for slot in range(low, high):
            slots.length[slot] = 0
            slots.points[slot] = lists.points[slot]
        if forms.best and low < high:
            slots.points[low] = most_points(forms, row)
        n_wishes = 0
        for c in range(lists.choice_start[row], lists.choice_start[row + 1]):
            school = lists.choices[c]
            slot = slot_of(forms, row, school)
            if slot == NOWHERE:
                continue
            n = 0
            for s in range(lists.subject_start[row], lists.subject_start[row + 1]):
                n += position_of(forms, row, lists.subjects[s], school) != NOWHERE
            slots.length[slot] += n
            n_wishes += n
        slots.n_wishes[row] = n_wishes


@compiled
def fill_wishes(forms: Forms, layout: Layout, first: int, last: int) -> None:
    """Lay out the wishes of some rows."""
    lists = forms.lists
    for row in range(first, last):
        w, begin = layout.list_cursor[row], lists.choice_start[row]
        for c in range(begin, lists.choice_start[row + 1]):
            school = lists.choices[c]
            slot = slot_of(forms, row, school)
            if slot == NOWHERE:
                continue
            claim = layout.claim_of_slot[slot]
            for s in range(lists.subject_start[row], lists.subject_start[row + 1]):
                position = position_of(forms, row, lists.subjects[s], school)
                if position == NOWHERE:
                    continue
                at = layout.cursor[claim]
                layout.cursor[claim] = at + 1
                layout.wish_position[at] = position
                layout.wish_choice[at] = c - begin + 1
                layout.wish_claim[at] = claim
                layout.list_wish[w] = at
                w += 1


@compiled
def group(keys: IndexArray, starts: IndexArray, members: IndexArray) -> None:
    """List the places of each key 0 … n - 1, key by key, in the order they come.

    starts, of length n + 1, gets where the members of each key begin.
    """
    for k in range(len(starts)):
        starts[k] = 0
    for key in keys:
        starts[key + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]
    for k in range(len(keys)):
        members[starts[keys[k]]] = k
        starts[keys[k]] += 1
    # every start has moved to the next one's place
    for k in range(len(starts) - 1, 0, -1):
        starts[k] = starts[k - 1]
    starts[0] = 0
