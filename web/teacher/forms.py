"""What was typed into the forms: a value, or the problems to mend. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.datastructures import FormData

from jiepin.web import passwords
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems
from jiepin.web.store.applications import Appointment, Person
from jiepin.web.store.schools import LEVELS

LONGEST_NAME, LONGEST_PHONE, LONGEST_EMAIL, LONGEST_HINT = 50, 30, 254, 60
MOST_YEARS = 60

_LANDLINE = re.compile(r"0\d{1,3}-\d{5,8}(#\d{1,6})?", re.ASCII)
_MOBILE = re.compile(r"09\d{8}", re.ASCII)
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)

Typed = Mapping[str, str]


def typed(form: FormData) -> dict[str, str]:
    """Return the text fields of a form; of several with one name, the last."""
    return {name: value for name, value in form.multi_items() if isinstance(value, str)}


def seen_version(form: Typed) -> int:
    """Return the version that a page was made from; 0 when it does not say."""
    return _whole(form, "version")


def seen_notices(form: Typed) -> int:
    """Return the version of the notices that were shown; 0 when it does not say."""
    return _whole(form, "notices_version")


def _whole(form: Typed, field: str) -> int:
    text = form.get(field, "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def as_seen(version: int) -> dict[str, str]:
    """Return the field that `seen_version` reads, for values that are fresh."""
    return {"version": str(version)}


def read_code(form: Typed) -> str:
    """Return a mailed code as typed, whatever spaces are in it.

    >>> read_code({"code": " 1234 5678 "})
    '12345678'
    """
    return "".join(form.get("code", "").split())


# the door


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in as typed: `answer` is the reader's, `practice` a practice card."""

    level: str
    password: str
    answer: dict[str, str]
    practice: str


def read_sign_in(form: Typed) -> SignIn | Problems:
    """Read the sign-in form (階段別, 密碼) with the answer that the page fetched."""
    level = form.get("level", "")
    if level not in LEVELS:
        return Problems.of(Problem("level", _("請選擇階段別")))
    answer = {name: form.get(name, "") for name in ("sealed", "signature")}
    return SignIn(level, form.get("password", ""), answer, form.get("practice", ""))


# step 2


@dataclass(frozen=True, slots=True)
class NewPassword:
    password: str
    hint: str


def read_password(form: Typed, about: Sequence[str]) -> NewPassword | Problems:
    """Read step 2. The hint must not give away what it hints at."""
    password, again = form.get("password", ""), form.get("again", "")
    hint = form.get("hint", "").strip()
    weak = passwords.problem(password, about)
    problems = Problems.of(
        Problem("password", weak) if weak else None,
        Problem("again", _("兩次輸入的密碼不同")) if password != again else None,
        _hint_problem(hint, password, about),
    )
    return problems or NewPassword(password, hint)


def _hint_problem(hint: str, password: str, about: Sequence[str]) -> Problem | None:
    if len(hint) > LONGEST_HINT or not hint.isprintable():
        return Problem("hint", _("密碼提示至多 %(n)s 個字元", n=str(LONGEST_HINT)))
    folded = hint.casefold()
    words = [password, *about]
    if any(len(word) > 3 and word.casefold() in folded for word in words):
        return Problem("hint", _("密碼提示不可含有密碼、身分證字號、生日或聯絡資料"))
    return None


# step 3


@dataclass(frozen=True, slots=True)
class PersonForm:
    person: Person
    email: str


def read_person(form: Typed) -> PersonForm | Problems:
    """Read step 3 (姓名, 聯絡電話1, 聯絡電話2, 電子郵件)."""
    name, phone1, phone2, email = (
        form.get(field, "").strip() for field in ("name", "phone1", "phone2", "email")
    )
    problems = Problems.of(
        name_problem(name),
        _phone_problem("phone1", phone1, needed=True),
        _phone_problem("phone2", phone2, needed=False),
        email_problem(email),
    )
    return problems or PersonForm(Person(name, phone1, phone2), email)


def name_problem(name: str) -> Problem | None:
    """Say what is wrong with a person's name."""
    if not name:
        return Problem("name", _("請填寫姓名"))
    if len(name) > LONGEST_NAME or not name.isprintable():
        return Problem("name", _("姓名至多 %(n)s 個字", n=str(LONGEST_NAME)))
    return None


def _phone_problem(field: str, phone: str, needed: bool) -> Problem | None:
    """Say what is wrong with a telephone number.

    >>> [_phone_problem("phone1", p, True) for p in ("07-1234567#89", "0912345678")]
    [None, None]
    """
    if not phone and not needed:
        return None
    if not phone:
        return Problem(field, _("請填寫聯絡電話"))
    if _LANDLINE.fullmatch(phone) or _MOBILE.fullmatch(phone):
        return None
    return Problem(
        field, _("電話格式不符，市話如 07-1234567#89，行動電話如 0912345678")
    )


def email_problem(email: str) -> Problem | None:
    """Say what is wrong with an address."""
    if len(email) <= LONGEST_EMAIL and _EMAIL.fullmatch(email):
        return None
    return Problem("email", _("請填寫可收信的電子郵件，例如 name@example.com"))


# step 4


def read_appointment(form: Typed, max_subjects: int) -> Appointment | Problems:
    """Read step 4. 是 without its confirmation is no choice yet."""
    indigenous = {"yes": True, "no": False}.get(form.get("indigenous", ""))
    confirmed = form.get("indigenous_confirmed") == "yes"
    years = form.get("service_years", "").strip()
    subjects = [form.get(f"subject{n}", "") for n in (1, 2, 3)]
    further = [code for code in subjects[1:] if code]
    problems = Problems.of(
        Problem("indigenous_confirmed", _("請確認是否申請優先辦理原民調"))
        if indigenous and not confirmed
        else None,
        _missing("area", form, _("請選擇教師證任教地區限制")),
        _years_problem(years),
        _missing("school", form, _("請選擇現任服務學校")),
        _missing("subject1", form, _("請選擇現任服務學校應聘科(類)別")),
        _further_problem(subjects[0], further, max_subjects),
    )
    return problems or Appointment(
        indigenous,
        form["area"],
        int(years),
        form["school"],
        (subjects[0], *further),
    )


def _missing(field: str, form: Typed, text: str) -> Problem | None:
    return None if form.get(field) else Problem(field, text)


def _years_problem(years: str) -> Problem | None:
    if re.fullmatch(r"[0-9]{1,2}", years) and int(years) <= MOST_YEARS:
        return None
    text = _("服務年資請填 0 至 %(n)s 的整數", n=str(MOST_YEARS))
    return Problem("service_years", text)


def _further_problem(
    first: str, further: Sequence[str], max_subjects: int
) -> Problem | None:
    if len({first, *further}) < 1 + len(further):
        return Problem("subject2", _("申請應聘科(類)別不可重複"))
    if 0 < max_subjects < 1 + len(further):
        limit = str(max_subjects)
        return Problem("subject2", _("申請應聘科(類)別至多 %(n)s 個", n=limit))
    return None
