"""From lists of choices to claims and wishes: counting first, then filling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jiepin.core.kernels.compiling import IndexArray, compiled

NOWHERE = -1  # a (subject, school) where nobody sits and no seat is open


class Lists(NamedTuple):
    """What the applicants listed, flat, applicant by applicant.

    Entries of applicant i are starts[i] up to starts[i + 1]; starts are int64, schools,
    subjects and counties indices of their tables, points int64 hundredths.
    """

    choice_start: npt.NDArray[np.int64]
    choices: IndexArray
    subject_start: npt.NDArray[np.int64]
    subjects: IndexArray
    county_start: npt.NDArray[np.int64]
    counties: IndexArray
    points: npt.NDArray[np.int64]


@compiled
def points_for(lists: Lists, applicant: int, county: int) -> int:
    """Return the applicant's points for a county; -1 where it is not wished."""
    for k in range(lists.county_start[applicant], lists.county_start[applicant + 1]):
        if lists.counties[k] == county:
            return int(lists.points[k])
    return -1


@compiled
def best_points(lists: Lists, applicant: int, county_of_school: IndexArray) -> int:
    """Return the most points the applicant has for any of its own choices, or -1."""
    best = -1
    for c in range(lists.choice_start[applicant], lists.choice_start[applicant + 1]):
        points = points_for(lists, applicant, county_of_school[lists.choices[c]])
        best = max(best, points)
    return best


@compiled
def count_wishes(
    lists: Lists,
    home_of: IndexArray,
    position_at: IndexArray,
    n_schools: int,
    n_wishes: IndexArray,
) -> None:
    """Count each applicant's wishes for positions that exist, home left out.

    position_at has a position index or NOWHERE for subject * n_schools + school.
    """
    for i in range(len(home_of)):
        count = 0
        for c in range(lists.choice_start[i], lists.choice_start[i + 1]):
            for s in range(lists.subject_start[i], lists.subject_start[i + 1]):
                at = lists.subjects[s] * n_schools + lists.choices[c]
                position = position_at[at]
                if position != NOWHERE and position != home_of[i]:
                    count += 1
        n_wishes[i] = count


@compiled
def fill_wishes(
    lists: Lists,
    home_of: IndexArray,
    position_at: IndexArray,
    n_schools: int,
    county_of_school: IndexArray,
    best: bool,
    list_start: IndexArray,
    position: IndexArray,
    choice: IndexArray,
    points: npt.NDArray[np.int64],
) -> None:
    """Fill each applicant's wishes in wish order: position, choice number, points."""
    for i in range(len(home_of)):
        w = list_start[i]
        most = best_points(lists, i, county_of_school) if best else -1
        first = lists.choice_start[i]
        for c in range(first, lists.choice_start[i + 1]):
            school = lists.choices[c]
            here = most if best else points_for(lists, i, county_of_school[school])
            for s in range(lists.subject_start[i], lists.subject_start[i + 1]):
                at = position_at[lists.subjects[s] * n_schools + school]
                if at != NOWHERE and at != home_of[i]:
                    position[w] = at
                    choice[w] = c - first + 1
                    points[w] = here
                    w += 1


@compiled
def number_claims(
    list_start: IndexArray, points: npt.NDArray[np.int64], claim_of: IndexArray
) -> int:
    """Number the claims, applicant by applicant, and return how many there are.

    A claim is the set of an applicant's wishes of one points value; claim_of gets the
    claim of each wish.
    """
    n_claims = 0
    for i in range(len(list_start) - 1):
        for w in range(list_start[i], list_start[i + 1]):
            claim = NOWHERE
            for v in range(list_start[i], w):  # wishes of one value mostly stand first
                if points[v] == points[w]:
                    claim = claim_of[v]
                    break
            if claim == NOWHERE:
                claim = n_claims
                n_claims += 1
            claim_of[w] = claim
    return n_claims


@compiled
def count_keys(keys: IndexArray, starts: IndexArray) -> None:
    """Turn keys 0 … n - 1 into the n + 1 starts of their groups."""
    starts[:] = 0
    for key in keys:
        starts[key + 1] += 1
    for k in range(1, len(starts)):
        starts[k] += starts[k - 1]


@compiled
def fill_groups(
    keys: IndexArray, starts: IndexArray, cursor: IndexArray, members: IndexArray
) -> None:
    """List the places of each key, group by group, in the order they come.

    cursor is scratch of the length of starts.
    """
    cursor[:] = starts
    for k in range(len(keys)):
        members[cursor[keys[k]]] = k
        cursor[keys[k]] += 1
