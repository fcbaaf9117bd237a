"""Who may do what: the only gate. What is refused looks as if it were not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Kind = Literal["nobody", "teacher", "county", "host"]
Action = Literal["see", "edit", "print", "export", "notify"]

# states in which the teacher's own data may still change
_OPEN_STATES = ("filling", "filed", "returned")


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something: a teacher by account, staff by county and level."""

    kind: Kind
    account: str = ""
    year: int = 0
    level: str = ""
    county: str = ""


NOBODY = Actor("nobody")


class Subject(Protocol):
    """What access is asked for: an application, as far as the gate must know it."""

    @property
    def account(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def fill_opens(self) -> datetime | None: ...
    @property
    def fill_closes(self) -> datetime | None: ...


def can(actor: Actor, action: Action, object_: Subject, now: datetime) -> bool:
    """Tell whether somebody may do this to that, at this moment.

    Teachers see their own application alone, and change it while the window of their
    level is open and it has not been approved. Staff have no end yet: they may nothing.
    """
    if actor.kind != "teacher" or not actor.account:
        return False
    if actor.account != object_.account:
        return False
    if action == "edit":
        return object_.state in _OPEN_STATES and window_open(object_, now)
    return True


def window_open(object_: Subject, now: datetime) -> bool:
    """Tell whether the time to fill in is on; the moment of closing is closed."""
    opens, closes = object_.fill_opens, object_.fill_closes
    return opens is not None and closes is not None and opens <= now < closes
