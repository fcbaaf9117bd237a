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


class Wishes(NamedTuple):
    """Wishes in wish order, applicant by applicant, and the claims they belong to.

    Wishes of applicant i are list_start[i] up to list_start[i + 1].
    """

    list_start: IndexArray
    position: IndexArray  # wish -> position
    choice: IndexArray  # wish -> 1-based number of the school in the list
    claim: IndexArray  # wish -> claim
    points: npt.NDArray[np.int64]  # claim -> hundredths
    holder: IndexArray  # claim -> applicant
    length: IndexArray  # claim -> its number of wishes


@compiled
def points_for(lists: Lists, row: int, county: int) -> int:
    """Return a teacher's points for a county; -1 where it is not wished."""
    for k in range(lists.county_start[row], lists.county_start[row + 1]):
        if lists.counties[k] == county:
            return int(lists.points[k])
    return -1


@compiled
def best_points(lists: Lists, row: int, county_of_school: IndexArray) -> int:
    """Return the most points a teacher has for any of its own choices, or -1."""
    best = -1
    for c in range(lists.choice_start[row], lists.choice_start[row + 1]):
        points = points_for(lists, row, county_of_school[lists.choices[c]])
        best = max(best, points)
    return best


@compiled
def count_wishes(
    lists: Lists,
    home_of_row: IndexArray,
    position_at: IndexArray,
    n_schools: int,
    n_wishes: IndexArray,
) -> None:
    """Count each row's wishes for positions that exist, home left out.

    position_at has a position index or NOWHERE for subject * n_schools + school.
    """
    for row in range(len(home_of_row)):
        count = 0
        for c in range(lists.choice_start[row], lists.choice_start[row + 1]):
            for s in range(lists.subject_start[row], lists.subject_start[row + 1]):
                at = lists.subjects[s] * n_schools + lists.choices[c]
                position = position_at[at]
                if position != NOWHERE and position != home_of_row[row]:
                    count += 1
        n_wishes[row] = count


@compiled
def fill_wishes(
    lists: Lists,
    applicant_of: IndexArray,
    home_of_row: IndexArray,
    position_at: IndexArray,
    n_schools: int,
    county_of_school: IndexArray,
    best: bool,
    wishes: Wishes,
) -> int:
    """Fill each applicant's wishes in wish order, and return how many claims they make.

    applicant_of[row] is whose lists stand in a row; position_at as in count_wishes.
    A claim is the set of an applicant's wishes of one points value; claims are numbered
    row by row as their first wishes come. With `best` all wishes count with
    the most points of the applicant.
    """
    n_claims = 0
    for row in range(len(home_of_row)):
        i = applicant_of[row]
        w, first_claim = wishes.list_start[i], n_claims
        most = best_points(lists, row, county_of_school) if best else -1
        first = lists.choice_start[row]
        for c in range(first, lists.choice_start[row + 1]):
            school = lists.choices[c]
            points = most
            if not best:
                points = points_for(lists, row, county_of_school[school])
            claim = NOWHERE
            for s in range(lists.subject_start[row], lists.subject_start[row + 1]):
                at = position_at[lists.subjects[s] * n_schools + school]
                if at == NOWHERE or at == home_of_row[row]:
                    continue
                if claim == NOWHERE:
                    claim = first_claim
                    while claim < n_claims and wishes.points[claim] != points:
                        claim += 1
                    if claim == n_claims:
                        wishes.points[claim] = points
                        wishes.holder[claim] = i
                        wishes.length[claim] = 0
                        n_claims += 1
                wishes.position[w] = at
                wishes.choice[w] = c - first + 1
                wishes.claim[w] = claim
                wishes.length[claim] += 1
                w += 1
    return n_claims


@compiled
def group(keys: IndexArray, starts: IndexArray, members: IndexArray) -> None:
    """List the places of each key 0 … n - 1, key by key, in the order they come.

    starts, of length n + 1, gets where the members of each key begin.
    """
    starts[:] = 0
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


@compiled
def regroup_wishes(
    wishes: Wishes,
    new_claim: IndexArray,
    cursor: IndexArray,
    wish_position: IndexArray,
    wish_choice: IndexArray,
    wish_claim: IndexArray,
    list_wish: IndexArray,
    wisher_start: IndexArray,
) -> None:
    """Lay the wishes out claim by claim, claim c becoming new_claim[c].

    cursor starts as where the wishes of each new claim begin. list_wish gets the new
    place of each wish in wish order, wisher_start where the wishers of each position
    begin.
    """
    wisher_start[:] = 0
    for w in range(len(wishes.claim)):
        claim, position = new_claim[wishes.claim[w]], wishes.position[w]
        at = cursor[claim]
        cursor[claim] = at + 1
        wish_position[at] = position
        wish_choice[at] = wishes.choice[w]
        wish_claim[at] = claim
        list_wish[w] = at
        wisher_start[position + 1] += 1
    for p in range(1, len(wisher_start)):
        wisher_start[p] += wisher_start[p - 1]


@compiled
def fill_wishers(
    wish_position: IndexArray,
    wish_claim: IndexArray,
    cursor: IndexArray,
    wisher: IndexArray,
) -> None:
    """List for each position the claims that wish it; cursor starts as wisher_start."""
    for w in range(len(wish_position)):
        at = cursor[wish_position[w]]
        wisher[at] = wish_claim[w]
        cursor[wish_position[w]] = at + 1
