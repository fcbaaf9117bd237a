"""The list of wishes while it is edited: each action gives a new list.

A list holds school codes, the first wish first, and never the same school twice. A
choice (志願序) is the 1-based number of a school in the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

LAST: Final = "last"
FIRST: Final = "first"
BEFORE: Final = "before"

INSERT_MODES: Final = (LAST, FIRST, BEFORE)
MOVES: Final = ("place", "forward", "backward", "first", "last")
WHOLE: Final = ("clear", "restore")  # replace the list as a whole
ACTIONS: Final = ("add", "remove", *MOVES, *WHOLE)

GONE: Final = "gone"  # no longer in the list of schools
CLOSED: Final = "closed"  # its county takes no transfers to it this year


class WishError(Exception):
    """An edit that cannot be done; the list stays as it was."""


class AlreadyChosen(WishError):
    def __init__(self, school: str, choice: int) -> None:
        self.school, self.choice = school, choice
        super().__init__(f"school {school!r} is already choice {choice}")


class NotChosen(WishError):
    def __init__(self, school: str) -> None:
        self.school = school
        super().__init__(f"school {school!r} is not in the list; add it first")


class TooManyChoices(WishError):
    def __init__(self, found: int, limit: int) -> None:
        self.found, self.limit = found, limit
        super().__init__(
            f"{found} schools in the list; at most {limit} may be, remove some"
        )


class Insert(NamedTuple):
    """Where a new school goes in (志願插入模式); `n` counts for BEFORE alone."""

    mode: str = LAST
    n: int = 1

    def choice(self, length: int) -> int:
        """Return the choice that a school gets which joins a list of this length.

        >>> Insert().choice(4), Insert("first").choice(4), Insert("before", 3).choice(4)
        (5, 1, 3)
        """
        return {LAST: length + 1, FIRST: 1, BEFORE: self.n}[self.mode]


AT_THE_END: Final = Insert()


@dataclass(frozen=True, slots=True)
class WishList:
    """School codes in order; raises AlreadyChosen when one stands in it twice.

    >>> wishes = WishList(("A", "B", "C"))
    >>> wishes.add("D", Insert("before", 2)).place("C", 1).remove("B").schools
    ('C', 'A', 'D')
    """

    schools: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.schools)) < len(self.schools):
            school = next(s for s in self.schools if self.schools.count(s) > 1)
            raise AlreadyChosen(school, self.choice(school))

    def __len__(self) -> int:
        return len(self.schools)

    def __iter__(self) -> Iterator[str]:
        return iter(self.schools)

    def __contains__(self, school: object) -> bool:
        return school in self.schools

    def choice(self, school: str) -> int:
        """Return the choice of a school; raises NotChosen."""
        if school not in self.schools:
            raise NotChosen(school)
        return self.schools.index(school) + 1

    def add(self, school: str, insert: Insert = AT_THE_END) -> WishList:
        """Return the list with one more school; raises AlreadyChosen."""
        if school in self.schools:
            raise AlreadyChosen(school, self.choice(school))
        return self._with(school, insert.choice(len(self)))

    def remove(self, school: str) -> WishList:
        """Return the list without the school (刪除); raises NotChosen."""
        at = self.choice(school) - 1
        return WishList(self.schools[:at] + self.schools[at + 1 :])

    def place(self, school: str, n: int) -> WishList:
        """Return the list with the school at choice n (移動到第 n 位).

        A number below 1 means the first place, one beyond the end the last. Raises
        NotChosen.
        """
        return self.remove(school)._with(school, n)

    def forward(self, school: str) -> WishList:
        """Return the list with the school one place nearer to the front (往前移動)."""
        return self.place(school, self.choice(school) - 1)

    def backward(self, school: str) -> WishList:
        """Return the list with the school one place nearer to the end (往後移動)."""
        return self.place(school, self.choice(school) + 1)

    def first(self, school: str) -> WishList:
        """Return the list with the school in front (移動到第一位)."""
        return self.place(school, 1)

    def last(self, school: str) -> WishList:
        """Return the list with the school at the end (移動到最後一位)."""
        return self.place(school, len(self))

    def _with(self, school: str, n: int) -> WishList:
        at = min(max(n, 1), len(self) + 1) - 1
        return WishList((*self.schools[:at], school, *self.schools[at:]))


@dataclass(frozen=True, slots=True)
class Edit:
    """One action of a person: `place` counts for "place", `insert` for "add"."""

    action: str
    school: str = ""
    place: int = 1
    insert: Insert = AT_THE_END


def edited(wishes: WishList, edit: Edit, saved: WishList, limit: int = 0) -> WishList:
    """Return the list after one action; "restore" gives the list last saved.

    `limit` is how many schools may be listed, 0 for any number; it stops only what
    makes the list longer. Raises AlreadyChosen, NotChosen or TooManyChoices.

    >>> draft = edited(WishList(("A",)), Edit("add", "B"), saved=WishList())
    >>> edited(draft, Edit("forward", "B"), saved=WishList()).schools
    ('B', 'A')
    """
    assert edit.action in ACTIONS, edit.action
    match edit.action:
        case "clear":
            return WishList()
        case "restore":
            return saved
        case "add":
            longer = wishes.add(edit.school, edit.insert)
            check_number(longer, limit)
            return longer
        case "place":
            return wishes.place(edit.school, edit.place)
    changed: WishList = getattr(wishes, edit.action)(edit.school)
    return changed


def check_number(wishes: WishList, limit: int) -> None:
    """Raise TooManyChoices when the list is longer than the limit; 0 is no limit."""
    if limit and len(wishes) > limit:
        raise TooManyChoices(len(wishes), limit)


class Kept(NamedTuple):
    """What a change of counties leaves of a list, and what it takes out."""

    kept: WishList
    dropped: WishList


def keep_counties(
    wishes: WishList, counties: Collection[str], county_of: Mapping[str, str]
) -> Kept:
    """Part a list by the counties wished from now on; both parts keep their order.

    A school that is gone from the list of schools is nobody's, so it stays and is
    flagged by `stale`.

    >>> keep_counties(WishList(("A", "B")), {"13"}, {"A": "13", "B": "14"})
    Kept(kept=WishList(schools=('A',)), dropped=WishList(schools=('B',)))
    """
    gone = {s for s in wishes if s in county_of and county_of[s] not in counties}
    kept = tuple(s for s in wishes if s not in gone)
    dropped = tuple(s for s in wishes if s in gone)
    return Kept(WishList(kept), WishList(dropped))


def stale(wishes: WishList, is_open: Mapping[str, bool]) -> dict[str, str]:
    """Return the listed schools that can no longer be wished, each GONE or CLOSED.

    `is_open` tells of every school there is whether its county takes transfers to it.

    >>> stale(WishList(("A", "B", "C")), {"A": True, "B": False})
    {'B': 'closed', 'C': 'gone'}
    """
    return {
        school: CLOSED if school in is_open else GONE
        for school in wishes
        if not is_open.get(school, False)
    }
