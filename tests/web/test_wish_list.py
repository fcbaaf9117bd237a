"""The list of wishes, each action against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jiepin.web.teacher import wish_list
from jiepin.web.teacher.wish_list import Edit, Insert, WishList

CODES = [f"{n:06d}" for n in range(134601, 134613)]
SCHOOLS = st.sampled_from(CODES)
LISTS = st.lists(SCHOOLS, unique=True)
PLACES = st.integers(-3, 20)
INSERTS = st.builds(Insert, st.sampled_from(wish_list.INSERT_MODES), PLACES)
ON_ONE = st.sampled_from(["remove", *wish_list.MOVES])


def clamp(n: int, low: int, high: int) -> int:
    return sorted((low, n, high))[1]


class Editing(RuleBasedStateMachine):
    """Any run of actions; the model is a list that Python itself edits."""

    @initialize(saved=LISTS)
    def open(self, saved: list[str]) -> None:
        self.saved = WishList(tuple(saved))
        self.wishes, self.model = self.saved, list(saved)

    def do(self, edit: Edit) -> None:
        self.wishes = wish_list.edited(self.wishes, edit, self.saved)

    @rule(school=SCHOOLS, insert=INSERTS)
    def add(self, school: str, insert: Insert) -> None:
        if school in self.model:
            with pytest.raises(wish_list.AlreadyChosen) as caught:
                self.do(Edit("add", school, insert=insert))
            assert caught.value.choice == self.model.index(school) + 1
            return
        self.do(Edit("add", school, insert=insert))
        places = {"last": len(self.model), "first": 0, "before": max(insert.n - 1, 0)}
        self.model.insert(places[insert.mode], school)

    @rule(
        school=SCHOOLS, action=st.sampled_from(["remove", *wish_list.MOVES]), n=PLACES
    )
    def act(self, school: str, action: str, n: int) -> None:
        if school not in self.model:
            with pytest.raises(wish_list.NotChosen, match=school):
                self.do(Edit(action, school, place=n))
            return
        self.do(Edit(action, school, place=n))
        at = self.model.index(school)
        self.model.remove(school)
        to = {
            "forward": at - 1,
            "backward": at + 1,
            "first": 0,
            "last": len(self.model),
            "place": n - 1,
        }
        if action != "remove":
            self.model.insert(clamp(to[action], 0, len(self.model)), school)

    @rule()
    def clear(self) -> None:
        self.do(Edit("clear"))
        self.model = []

    @rule()
    def restore(self) -> None:
        self.do(Edit("restore"))
        self.model = list(self.saved)

    @invariant()
    def agrees(self) -> None:
        assert list(self.wishes) == self.model
        assert len(set(self.wishes)) == len(self.wishes)


TestEditing = Editing.TestCase


@given(LISTS, SCHOOLS, st.sampled_from(wish_list.MOVES), PLACES)
def test_a_move_loses_nobody_and_leaves_the_others_in_order(
    schools: list[str], school: str, action: str, n: int
) -> None:
    wishes = WishList(tuple(dict.fromkeys([*schools, school])))
    moved = wish_list.edited(wishes, Edit(action, school, place=n), WishList())
    assert sorted(moved) == sorted(wishes)
    assert moved.remove(school) == wishes.remove(school)


def test_a_school_cannot_stand_in_a_list_twice() -> None:
    with pytest.raises(wish_list.AlreadyChosen, match="'A' is already choice 1"):
        WishList(("A", "B", "A"))


def test_a_full_list_takes_no_more_but_can_be_put_in_order() -> None:
    full = WishList(("A", "B"))
    with pytest.raises(wish_list.TooManyChoices, match="at most 2") as caught:
        wish_list.edited(full, Edit("add", "C"), WishList(), limit=2)
    assert (caught.value.found, caught.value.limit) == (3, 2)
    turned = wish_list.edited(full, Edit("first", "B"), WishList(), limit=2)
    assert turned.schools == ("B", "A")


def test_zero_is_no_limit() -> None:
    wish_list.check_number(WishList(tuple(CODES)), 0)


@given(LISTS, st.lists(st.sampled_from(["13", "14", "30"]), unique=True, max_size=2))
def test_a_change_of_counties_parts_the_list(
    schools: list[str], counties: list[str]
) -> None:
    county_of = {code: ("13", "14", "30")[int(code) % 3] for code in CODES[:-1]}
    wishes = WishList(tuple(schools))
    kept, dropped = wish_list.keep_counties(wishes, counties, county_of)
    assert sorted((*kept, *dropped)) == sorted(wishes)
    assert [s for s in wishes if s in kept] == list(kept)
    assert all(county_of.get(s, counties) not in counties for s in dropped)
    assert all(s not in county_of or county_of[s] in counties for s in kept)


def test_schools_that_vanished_or_closed_are_flagged() -> None:
    """T514."""
    wishes = WishList(("A", "B", "C"))
    flags = wish_list.stale(wishes, {"A": True, "C": False})
    assert flags == {"B": wish_list.GONE, "C": wish_list.CLOSED}
