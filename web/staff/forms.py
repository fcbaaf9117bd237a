"""What was typed at the door and into the forms of accounts: a value, or problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import FormData

from jiepin.web import national_id, passwords
from jiepin.web.access import Role
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.staff.sign_in import SHORTEST, NewPassword
from jiepin.web.store.schools import LEVELS
from jiepin.web.store.staff import Changes
from jiepin.web.teacher.forms import Typed, email_problem, name_problem

ROLES: Sequence[Role] = ("clerk", "reviewer", "head")


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in as typed: `answer` is the reader's, `practice` a practice card."""

    level: str
    password: str = field(repr=False)
    code: str = field(repr=False)
    answer: dict[str, str] = field(repr=False)
    practice: str


def read_sign_in(form: Typed) -> SignIn | Problems:
    """Read the sign-in form; no level asks for all of the account's."""
    level = form.get("level", "")
    problems = Problems.of(
        Problem("level", _("請選擇階段別")) if level not in ("", *LEVELS) else None,
        _missing(form, "password", _("請輸入密碼")),
        _missing(form, "code", _("請輸入驗證器上的六位數驗證碼")),
    )
    return problems or SignIn(
        level, form["password"], digits(form), read_answer(form), practice_card(form)
    )


def read_answer(form: Typed) -> dict[str, str]:
    """Return what the page fetched from the reader."""
    return {name: form.get(name, "") for name in ("sealed", "signature")}


def practice_card(form: Typed) -> str:
    """Return the number of the practice card chosen, if any."""
    return form.get("practice", "")


def digits(form: Typed) -> str:
    """Return a code as typed, whatever spaces are in it.

    >>> digits({"code": " 123 456 "})
    '123456'
    """
    return "".join(form.get("code", "").split())


def _missing(form: Typed, name: str, text: str) -> Problem | None:
    return None if form.get(name, "").strip() else Problem(name, text)


@dataclass(frozen=True, slots=True)
class FirstSignIn:
    """A first sign-in as typed."""

    code: str = field(repr=False)
    password: str = field(repr=False)
    answer: dict[str, str] = field(repr=False)
    practice: str


def read_first_sign_in(form: Typed) -> FirstSignIn | Problems:
    """Read the form of the first sign-in: the code, the password and it again."""
    problems = Problems.of(
        _missing(form, "enrol", _("請輸入登記碼")), *_new_password(form, ())
    )
    return problems or FirstSignIn(
        form["enrol"], form["password"], read_answer(form), practice_card(form)
    )


def weak_password(form: Typed, about: Sequence[str]) -> Problems:
    """Say what is wrong with a new password for somebody known by these words."""
    return Problems.of(*_new_password(form, about))


def _new_password(form: Typed, about: Sequence[str]) -> tuple[Problem | None, ...]:
    password, again = form.get("password", ""), form.get("again", "")
    weak = passwords.problem(password, about, SHORTEST)
    differ = Problem("again", _("兩次輸入的密碼不同"))
    return (
        Problem("password", weak) if weak else None,
        differ if password != again else None,
    )


def read_change(form: Typed, about: Sequence[str]) -> NewPassword | Problems:
    """Read the form by which staff changes the own password."""
    problems = Problems.of(
        _missing(form, "present", _("請輸入目前的密碼")),
        _missing(form, "code", _("請輸入驗證器上的六位數驗證碼")),
        *_new_password(form, about),
    )
    return problems or NewPassword(form["present"], digits(form), form["password"])


# accounts


@dataclass(frozen=True, slots=True)
class NewMember:
    """An account to be made, as typed."""

    changes: Changes
    county: str
    national_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Choices:
    """What may be chosen; what there is one of is not asked for.

    No levels: the account is for all of them.
    """

    roles: Sequence[Role]
    levels: Sequence[str]
    counties: Sequence[str]


def read_new_member(fields: FormData, choices: Choices) -> NewMember | Problems:
    """Read the form of a new account."""
    county = _only_or_typed(fields, "county", choices.counties)
    id_ = national_id.clean(text(fields, "national_id"))
    changes = read_member(fields, choices)
    problems = Problems.of(
        Problem("county", _("請選擇縣市")) if county is None else None,
        None
        if national_id.is_right(id_)
        else Problem("national_id", _("身分證字號的格式或檢查碼不符，請核對 10 碼")),
    )
    if isinstance(changes, Problems):
        return problems + changes
    if county is None or problems:
        return problems
    return NewMember(changes, county, id_)


def read_member(fields: FormData, choices: Choices) -> Changes | Problems:
    """Read the fields of an account that may change."""
    name, email = text(fields, "name"), text(fields, "email")
    asked = _only_or_typed(fields, "role", choices.roles)
    role = next((role for role in ROLES if role == asked), None)
    typed = [level for level in LEVELS if level in fields.getlist("levels")]
    levels = tuple(typed) if choices.levels else LEVELS
    problems = Problems.of(
        name_problem(name),
        email_problem(email) if email else None,
        Problem("role", _("請選擇角色")) if role is None else None,
        _levels_problem(levels, choices.levels or LEVELS),
    )
    if role is None or problems:
        return problems
    return Changes(role, levels, name, email)


def _only_or_typed(fields: FormData, name: str, allowed: Sequence[str]) -> str | None:
    """Return the only choice there is, or that which was made, None for no good one."""
    if len(allowed) == 1:
        return allowed[0]
    return text(fields, name) if text(fields, name) in allowed else None


def _levels_problem(levels: Sequence[str], allowed: Sequence[str]) -> Problem | None:
    if levels and set(levels) <= set(allowed):
        return None
    return Problem("levels", _("請至少選擇一個您可管理的階段別"))


def read_reason(fields: FormData, reasons: Mapping[str, str]) -> str | Problems:
    """Read why something grave is done."""
    reason = text(fields, "reason")
    if reason in reasons:
        return reason
    return Problems.of(Problem("reason", _("請選擇原因")))


def text(fields: FormData, name: str) -> str:
    """Return one text field, empty where it is missing or a file."""
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""
