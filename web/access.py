"""Who may do what: the only gate. What is refused looks as if it were not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

Kind = Literal["nobody", "teacher", "county", "host"]
Role = Literal["", "clerk", "reviewer", "head"]
Action = Literal[
    "see",
    "edit",
    "print",
    "export",
    "notify",
    # of a county, about an application
    "review",  # enter points, checks and notes
    "decide",  # approve, return, reject, undo
    "unlock",  # lift a lock, mail a new password, read the own audit about it
    # of a county, about its own matters
    "schools",
    "roster",
    "staff",  # its own accounts, at their levels
    "audit",
    "open-seat",  # §11: at the school of somebody who dropped out
    # of the host, about a county
    "heads",  # the accounts of its heads
    # of the host, about the round
    "set-up",  # year, limits, schedule, lists, rules: until the round is frozen
    "texts",  # organiser and notices
    "begin",  # the first year, or the next one
    "freeze",
    "leave-out",  # freeze without what nobody has reviewed
    "run",
    "approve",
    "publish",
    "correct",  # dropouts (§11) and corrections (§14)
    "finish",  # make a dropout final
    "archive",
]

# states in which the teacher's own data may still change
_OPEN_STATES = ("filling", "filed", "returned")
_SEEN_BY_STAFF: frozenset[Action] = frozenset(("see", "print", "export"))
_OF_COUNTY: dict[Action, tuple[Role, ...]] = {
    "see": ("clerk", "reviewer", "head"),
    "export": ("clerk", "reviewer", "head"),
    "schools": ("clerk", "head"),
    "roster": ("clerk", "head"),
    "staff": ("head",),
    "audit": ("clerk", "reviewer", "head"),
    "open-seat": ("head",),
}
_OF_APPLICATION: dict[Action, tuple[Role, ...]] = {
    "review": ("clerk", "reviewer", "head"),
    "decide": ("reviewer", "head"),
    "unlock": ("clerk", "head"),
}
_OF_HOST_IN_COUNTY: dict[Action, tuple[Role, ...]] = {
    "see": ("clerk", "reviewer", "head"),
    "print": ("clerk", "reviewer", "head"),
    "export": ("clerk", "reviewer", "head"),
    "heads": ("head",),
}
_OF_ROUND: dict[Action, tuple[Role, ...]] = {
    "see": ("clerk", "reviewer", "head"),
    "export": ("clerk", "reviewer", "head"),
    "audit": ("clerk", "reviewer", "head"),
    "set-up": ("clerk", "head"),
    "texts": ("clerk", "head"),
    "begin": ("head",),
    "freeze": ("clerk", "head"),
    "leave-out": ("head",),
    "run": ("clerk", "head"),
    "approve": ("clerk", "reviewer", "head"),
    "publish": ("head",),
    "correct": ("clerk", "head"),
    "finish": ("head",),
    "archive": ("head",),
    "staff": ("head",),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who does something: a teacher by account, staff by county and level.

    `account` is the id of the teacher's account or of the member of staff; `levels`
    are those that staff act for.
    """

    kind: Kind
    account: str = ""
    year: int = 0
    level: str = ""
    county: str = ""
    role: Role = ""
    levels: tuple[str, ...] = ()


NOBODY = Actor("nobody")


class Subject(Protocol):
    """What access is asked for: an application, as far as the gate must know it."""

    @property
    def account(self) -> str: ...
    @property
    def county(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def fill_opens(self) -> datetime | None: ...
    @property
    def fill_closes(self) -> datetime | None: ...
    @property
    def review_opens(self) -> datetime | None: ...
    @property
    def review_closes(self) -> datetime | None: ...
    @property
    def frozen(self) -> datetime | None: ...
    @property
    def correcting(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """One county's matters at one level, or at all levels ('').

    `frozen`: since when the round is; schools and rosters change no more, but for
    schools that the host lets the county mend, since `correcting`.
    """

    county: str
    level: str = ""
    frozen: datetime | None = None
    correcting: datetime | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """The matters of the host: one year's round."""

    year: int
    frozen: datetime | None = None


def can(
    actor: Actor, action: Action, object_: Subject | Scope | Round, now: datetime
) -> bool:
    """Tell whether somebody may do this to that, at this moment.

    Teachers see their own application alone, and change it while the window of their
    level is open and it has not been approved; one returned for correction as long as
    it is reviewed. Staff of a county see what belongs to
    it at their levels, review while the window of the review is open or the host has
    opened one application for correction, and change schools and rosters until the
    round is frozen; schools again while the host has opened those of their county for
    correction. The host sees every county and alone looks after the round, whose
    settings change no more once it is frozen; its head looks after the accounts of
    the counties' heads.
    """
    if not actor.account:
        return False
    if isinstance(object_, Round):
        return _can_in_round(actor, action, object_)
    if isinstance(object_, Scope):
        return _can_in_county(actor, action, object_)
    if actor.kind == "teacher":
        return _can_as_teacher(actor, action, object_, now)
    return _can_as_staff(actor, action, object_, now)


def _has_role(
    actor: Actor, action: Action, allowed: dict[Action, tuple[Role, ...]]
) -> bool:
    return actor.role in allowed.get(action, ())


def _can_as_teacher(
    actor: Actor, action: Action, application: Subject, now: datetime
) -> bool:
    if actor.account != application.account:
        return False
    if action == "edit":
        return application.state in _OPEN_STATES and edit_open(application, now)
    return action in ("see", "print", "export", "notify")


def _can_in_round(actor: Actor, action: Action, round_: Round) -> bool:
    if action == "set-up" and round_.frozen is not None:
        return False
    return actor.kind == "host" and _has_role(actor, action, _OF_ROUND)


def _can_in_county(actor: Actor, action: Action, scope: Scope) -> bool:
    if actor.kind == "host":
        return _has_role(actor, action, _OF_HOST_IN_COUNTY)
    if actor.kind != "county" or actor.county != scope.county:
        return False
    if scope.level and scope.level not in actor.levels:
        return False
    if action == "roster" and scope.frozen is not None:
        return False
    if action == "schools" and not _schools_open(scope):
        return False
    return _has_role(actor, action, _OF_COUNTY)


def _schools_open(scope: Scope) -> bool:
    return scope.frozen is None or scope.correcting is not None


def _can_as_staff(
    actor: Actor, action: Action, application: Subject, now: datetime
) -> bool:
    if actor.kind == "host":
        return action in _SEEN_BY_STAFF
    if actor.kind != "county" or actor.county != application.county:
        return False
    if application.level not in actor.levels:
        return False
    if action in _SEEN_BY_STAFF:
        return True
    if action in ("review", "decide") and not review_open(application, now):
        return False
    return _has_role(actor, action, _OF_APPLICATION)


def window_open(object_: Subject, now: datetime) -> bool:
    """Tell whether the time to fill in is on; the moment of closing is closed."""
    return _within(object_.fill_opens, object_.fill_closes, now)


def edit_open(object_: Subject, now: datetime) -> bool:
    """Tell whether a teacher's own data may change now.

    What was returned for correction may be mended as long as the review is on.
    """
    if object_.frozen is not None:
        return False
    returned = object_.state == "returned"
    return window_open(object_, now) or (returned and review_open(object_, now))


def edit_closes(object_: Subject) -> datetime | None:
    """Return when a teacher's own data may change no more, None where nothing is set.

    What was returned for correction may be mended until the review is over.
    """
    closes = [object_.fill_closes]
    if object_.state == "returned":
        closes.append(object_.review_closes)
    return max((moment for moment in closes if moment is not None), default=None)


def review_open(object_: Subject, now: datetime) -> bool:
    """Tell whether an application may be reviewed now.

    After the freeze only one that the host has opened for correction.
    """
    if object_.frozen is not None:
        return object_.correcting is not None
    return _within(object_.review_opens, object_.review_closes, now)


def _within(opens: datetime | None, closes: datetime | None, now: datetime) -> bool:
    return opens is not None and closes is not None and opens <= now < closes
