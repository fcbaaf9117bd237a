"""What somebody at a browser may ask of the site: every address, right and wrong.

An address is filled in with the ids of everybody's things, a form with what is right or
nearly so. `FORMS` has an entry for every address that is posted to, `FILLED` one for
every name in an address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, TypeVar

from little_country import (
    CODE,
    LEVELS,
    PASSWORD,
    SECRET,
    STAFF,
    TEACHERS,
    Browser,
    Country,
    Teacher,
    mark,
    school_of,
)
from practice_round import YEAR, Page
from review_desk import ANSWERS, POINTS
from starlette.routing import Route
from who_may import Seen, Who

from jiepin.web import demo
from jiepin.web.app import ROUTES
from jiepin.web.card import from_base64
from jiepin.web.clock import from_ms
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.host.schedule import typed_time
from jiepin.web.staff import second_factor
from jiepin.web.staff.accounts import REASONS

Form = dict[str, Any]
Picked = TypeVar("Picked")

COUNTIES = ("12", "13", "14")
SCHOOLS = tuple(
    school_of(county, level, place)
    for county in COUNTIES
    for level in LEVELS
    for place in (1, 2, 3)
)
ADDRESSES: Mapping[str, Route] = {
    route.path: route for route in ROUTES if isinstance(route, Route)
}


@dataclass
class Asking:
    """Somebody about to ask for something; `rng` says what is drawn."""

    rng: Random
    country: Country
    seen: Seen
    browser: Browser
    who: Who
    route: str
    params: Mapping[str, str]
    tokens: list[str]  # of tables that were tried, by anybody

    def pick(self, some: Sequence[Picked]) -> Picked:
        return self.rng.choice(some)

    def often(self, of_ten: int = 8) -> bool:
        return self.rng.randrange(10) < of_ten

    def one(self, statement: str, **values: Any) -> Any:
        return self.seen.one(statement, **values)

    def column(self, statement: str, **values: Any) -> list[str]:
        return [str(row[0]) for row in self.seen.rows(statement, **values)]

    @property
    def me(self) -> Teacher | None:
        """The teacher who is signed in."""
        return next((t for t in TEACHERS if t.letters == self.who.teacher), None)

    def teacher(self) -> Teacher:
        """Return somebody, more often one of one's own."""
        own = [t for t in TEACHERS if self.who.serves(t) or t == self.me]
        return self.pick(own) if own and self.often(7) else self.pick(TEACHERS)

    def text(self, about: Teacher | None = None) -> str:
        """Return free text that marks whom it may be shown to.

        About a teacher where one may know of him; else it is one's own, and must not
        come out anywhere else.
        """
        if about is not None and (self.who.serves(about) or about == self.me):
            return f"事由{mark('t', about.n)}"
        for each in STAFF:
            if each.id == self.who.staff and each.kind == "county":
                return f"事由{mark('t', each.n)}"
        return f"事由{mark('t', self.me.n)}" if self.me else "事由"

    def version(self, statement: str, **values: Any) -> str:
        """Return the version that is stored, now and then an older one."""
        found = int(self.one(statement, **values) or 0)
        return str(found if self.often(9) else max(found - 1, 0))


def _own_version(a: Asking) -> str:
    return a.version(
        "select version from application where id = :id", id=f"ap-{a.who.teacher}"
    )


# addresses


def _numbers(table: str) -> Callable[[Asking], str]:
    def draw(a: Asking) -> str:
        return a.pick([*a.column(f"select id from {table}"), "1", "99"])

    return draw


def _application(a: Asking) -> str:
    return a.teacher().application if a.often(9) else a.pick(("ap-zz", "..", "1"))


def _member(a: Asking) -> str:
    county = a.who.county or None
    of_county = "select id from staff where county is :county order by rowid"
    own = a.column(of_county, county=county)
    everybody = a.column("select id from staff order by rowid")
    return a.pick(own if own and a.often(5) else everybody)


def _school(a: Asking) -> str:
    own = [code for code in SCHOOLS if code[:2] == a.who.county]
    return a.pick(own) if own and a.often(6) else a.pick((*SCHOOLS, "999999"))


def _token(a: Asking) -> str:
    if a.route.startswith("/teacher"):
        reset = "tok-{}-reset"
        return a.pick((reset.format("aa"), reset.format("aj"), "guessed"))
    if a.often(6):
        return _tried_now(a)
    return a.pick(a.tokens) if a.tokens else "guessed"


def _tried_now(a: Asking) -> str:
    """Let somebody send a table, and return what its page is known by."""
    form = _table(a)
    file = file_for(a, form, "/city/tables")
    sent = a.country.ask(a.browser, "POST", "/city/tables", form, file)
    a.country.changes()
    where = sent.header("location")
    if "/tried/" not in where:
        return "guessed"
    a.tokens.append(where.rsplit("/", 1)[1])
    return a.tokens[-1]


def _kind(a: Asking) -> str:
    return a.pick(("csv", "xlsx", "ods", "csv", "pdf"))


FILLED: Mapping[str, Callable[[Asking], str]] = {
    "/city/applications/{id}": _application,
    "/city/dropouts/{id}": _numbers("dropout"),
    "/host/dropouts/{id}": _numbers("dropout"),
    "/host/archive/{id}": lambda a: a.pick((str(YEAR), str(YEAR + 1), "x")),
    "/host/corrections/{id}": _numbers("run"),
    "/host/runs/{id:row}": _numbers("run"),
    "/host/runs/snapshots/{id:row}": _numbers("snapshot"),
    "/public/snapshots/{id:row}": _numbers("snapshot"),
    "{a:row}": _numbers("run"),
    "{b:row}": _numbers("run"),
    "{member}": _member,
    "{code}": _school,
    "{token}": _token,
    "{kind}": _kind,
    "{lang}": lambda a: a.pick(("zh", "en", "fr")),
    "{list}": lambda a: a.pick(("counties", *LEVELS, "x")),
    "{file}": lambda a: a.pick(
        ("roster.ods", "schools.xlsx", "seats.ods", "points.ods", "x.ods")
    ),
    "{name}": lambda a: a.pick(("flows", "stages", "choices", "x")),
    "{level}": lambda a: a.pick((*LEVELS, "x")),
    "{county}": lambda a: a.pick((*COUNTIES, "99")),
    "{digest}": lambda a: a.pick((pool_digest(a), "0" * 16)),
}


def pool_digest(a: Asking) -> str:
    """Return the digest in the address of a pool of schools, as a page has it."""
    page = a.country.ask(a.browser, "GET", "/teacher/wishes").body.decode()
    found = re.search(r"/teacher/pool/[^/]+/[^/]+/(\w+)", page)
    return found[1] if found else "x"


QUERIES = (
    *("level=elementary", "level=junior-high", "level=x", "county=12", "county=13"),
    *("page=2", "way=out", "way=in", "first=2", "first=99", "compare=1", "compare=2"),
    *("state=filed", "order=name", "school=122601", "signed_in=yes", "saved=1"),
    *("code=1&state=2", "preset=taiwan-110", "check=1", "of=ap-aa", "action=opened"),
    *("subject=E01", "township=x", "keyword=a", "done=put", "told=3", "left=1"),
)


def names_in(path: str) -> list[str]:
    """Return the names in an address, as they stand there.

    >>> names_in("/host/runs/{a:row}/compare/{b:row}.{kind}")
    ['{a:row}', '{b:row}', '{kind}']
    """
    return ["{" + part.partition("}")[0] + "}" for part in path.split("{")[1:]]


def filler(path: str, name: str) -> Callable[[Asking], str]:
    """Return what draws a name of an address; KeyError for one that nobody knows."""
    start = path[: path.index(name) + len(name)]
    return FILLED[start] if start in FILLED else FILLED[name]


def address(a: Asking) -> str:
    """Return the address with its names filled in, and what was drawn in `params`."""
    drawn = {name: filler(a.route, name)(a) for name in names_in(a.route)}
    a.params = {name.strip("{}").partition(":")[0]: v for name, v in drawn.items()}
    path = a.route
    for name, value in drawn.items():
        path = path.replace(name, value)
    return path if a.often(7) else f"{path}?{a.pick(QUERIES)}"


# forms


def _card(a: Asking, one: Any = None) -> Form:
    """Let somebody's card answer a fresh challenge of this browser."""
    one = one or a.pick((*TEACHERS, a.teacher()))
    end = a.route.split("/")[1]
    asked = a.country.ask(a.browser, "POST", f"/{end}/challenge")
    a.country.changes()
    if asked.status != 200:
        return {}
    raw = from_base64(json.loads(asked.body)["challenge"])
    return dict(demo.sealed(one, raw, a.browser.device, "pcsc"))


def _sign_in(a: Asking) -> Form:
    one = a.teacher()
    password = PASSWORD if a.often(7) else "wrong"
    return {"level": one.level, "password": password, **_card(a, one)}


def _staff_signs_in(a: Asking) -> Form:
    kind = "host" if a.route.startswith("/host") else "county"
    one = a.pick([each for each in STAFF if each.kind == kind])
    return {
        "level": a.pick(("", "", *LEVELS)),
        "password": PASSWORD if a.often() else "wrong",
        "code": _six_digits(a, SECRET),
        **_card(a, one),
    }


def _six_digits(a: Asking, secret: str) -> str:
    """Return what an authenticator shows, or a code that was used or is old."""
    steps = a.pick((0, 0, 0, 30, -30, -300))
    return second_factor.code_at(secret, a.country.now + timedelta(seconds=steps))


def _forgot(a: Asking) -> Form:
    one = a.teacher()
    return {"level": one.level, "confirmed": "yes", **_card(a, one)}


def _new_password(a: Asking) -> Form:
    new = a.pick((PASSWORD, "another quiet morning"))
    again = new if a.often(9) else "x"
    present = PASSWORD if a.often() else "wrong"
    code = _six_digits(a, SECRET)
    return {"password": new, "again": again, "present": present, "code": code}


def _reset(a: Asking) -> Form:
    owner = next((t for t in TEACHERS if t.letters in a.params["token"]), None)
    return {**_new_password(a), **_card(a, owner if a.often() else None)}


def _password(a: Asking) -> Form:
    hint = f"想{mark('t', a.me.n)}" if a.me else ""
    return {**_new_password(a), "hint": hint, "version": _own_version(a)}


def _notices(a: Asking) -> Form:
    text = a.version("select notices_version from round order by year desc")
    return {"notices_version": text, "version": _own_version(a)}


def _person(a: Asking) -> Form:
    me = a.me or TEACHERS[0]
    email = me.email if a.often(7) else me.email.replace("@", ".b@")
    return {
        "name": me.name,
        "phone1": me.phone,
        "phone2": "",
        "email": email,
        "present": PASSWORD,
        "version": _own_version(a),
    }


def _mailed_code(a: Asking) -> Form:
    """Type the code that was mailed last, or a wrong one."""
    if a.often(6):
        _ask_for_code(a)
    letters = a.who.teacher or a.who.newcomer
    rows = a.seen.rows(
        "select key, payload from outbox where application = :id and payload not null "
        "and event in ('mail-code', 'device-code') order by id desc",
        id=f"ap-{letters}",
    )
    code = "00000000"
    if rows and a.often():
        key, payload = rows[0]["key"], rows[0]["payload"]
        code = json.loads(a.country.site.vault.open(payload, "outbox.payload", key))[
            "code"
        ]
    return {"code": code, "version": _own_version(a)}


def _ask_for_code(a: Asking) -> None:
    if a.who.newcomer:
        a.country.ask(a.browser, "POST", "/teacher/device/again")
    elif a.me:
        form = _person(a) | {"email": a.me.email.replace("@", ".c@")}
        a.country.ask(a.browser, "POST", "/teacher/person", form)
    a.country.changes()


def _appointment(a: Asking) -> Form:
    me = a.me or TEACHERS[0]
    level = me.level if a.often(9) else a.pick(tuple(LEVELS))
    return {
        "indigenous": "no",
        "area": "general",
        "service_years": str(a.rng.randrange(12)),
        "school": school_of(me.county if a.often(9) else "14", level, 1),
        "subject1": LEVELS[level],
        "version": _own_version(a),
    }


def _counties(a: Asking) -> Form:
    first, second = a.pick(COUNTIES), a.pick((*COUNTIES, ""))
    confirmed = a.pick(("yes", ""))
    version = _own_version(a)
    return {
        "county1": first,
        "county2": second,
        "confirmed": confirmed,
        "version": version,
    }


def _draft(a: Asking) -> Form:
    page = a.country.ask(a.browser, "GET", "/teacher/wishes").body.decode()
    a.country.changes()
    found = page.partition('name="draft" value="')[2].partition('"')[0]
    return {"draft": found, "version": _own_version(a)}


def _wishes(a: Asking) -> Form:
    level = a.me.level if a.me else "elementary"
    some = [code for code in SCHOOLS if list(LEVELS)[int(code[2]) - 1] == level]
    listed = a.rng.sample(some if a.often(9) else SCHOOLS, a.rng.randrange(4))
    then = a.pick(("", "check"))
    return {"schools": " ".join(listed), "then": then, **_draft(a)}


def _edit(a: Asking) -> Form:
    action = a.pick(("up", "down", "remove", "clear", "restore", "first"))
    code = a.pick(SCHOOLS)
    what = {"add": code} if a.often(5) else {"action": action, "school": code}
    return {**what, "place": "1", **_draft(a)}


def _check(a: Asking) -> Form:
    return {"version": _own_version(a)}


def _notify(a: Asking) -> Form:
    return {"wanted": a.pick(("mail-receipt", "mail-result", ""))}


def _enrol(a: Asking) -> Form:
    waits = [one for one in STAFF if one.waits or one.gone]
    enrol = CODE if a.often() else CODE[::-1]
    return {"enrol": enrol, **_new_password(a), **_card(a, a.pick(waits))}


def _set_up(a: Asking) -> Form:
    """Take the second factor from the page, after the card and the code were shown."""
    if a.often(7):
        a.country.ask(a.browser, "POST", a.route.removesuffix("/setup"), _enrol(a))
    page = a.country.ask(a.browser, "GET", a.route).body.decode()
    a.country.changes()
    found = re.search(r'<code class="key">([A-Z2-7 ]+)</code>', page)
    secret = found[1].replace(" ", "") if found else SECRET
    return {"code": _six_digits(a, secret)}


def _member_form(a: Asking) -> Form:
    fields = {
        "name": f"新{a.text()}",
        "email": "staff@example.org",
        "role": a.pick(("clerk", "reviewer", "head")),
        "levels": a.rng.sample(tuple(LEVELS), a.rng.randrange(1, 4)),
        "county": a.pick(COUNTIES),
        "national_id": demo.national_id("W", "M", a.rng.randrange(10**6)),
    }
    id_ = a.params.get("member", "")
    version = a.version("select version from staff where id = :id", id=id_)
    return {**fields, "version": version}


def _reasoned(a: Asking) -> Form:
    id_ = a.params["member"]
    gone = a.one("select disabled from staff where id = :id", id=id_)
    kind = "renew" if a.route.endswith("code") else "enable" if gone else "disable"
    reasons = tuple(REASONS[kind if a.often() else "renew"])
    version = a.version("select version from staff where id = :id", id=id_)
    return {"reason": a.pick(reasons), "version": version}


def _about(a: Asking) -> Teacher | None:
    return next((t for t in TEACHERS if t.application == a.params.get("id")), None)


def _seen_versions(a: Asking) -> Form:
    """Return the versions of a record; more often than not it is opened before."""
    if a.often():
        path = f"/city/applications/{a.params['id']}/open"
        a.country.ask(a.browser, "POST", path, {"also": "yes"})
        a.country.changes()
    ask = "select {} from application where id = :id"
    id_ = a.params["id"]
    return {
        "version": a.version(ask.format("version"), id=id_),
        "review": a.version(ask.format("review_version"), id=id_),
    }


def _review(a: Asking) -> Form:
    text = a.text(_about(a))
    notes = {"review-note": text, "note-service": text, "note-home": text}
    points = {**POINTS, "service": str(a.rng.randrange(90))}
    answers = ANSWERS if a.often(9) else {}
    then = a.pick(("", "approve", "approve"))
    return {**points, **answers, **notes, "then": then, **_seen_versions(a)}


def _sheet(a: Asking) -> Form:
    id_ = a.params["id"] if a.often() else a.teacher().application
    digest = a.one("select digest from application where id = :id", id=id_)
    return {"code": digest or "0" * 16, **_seen_versions(a)}


def _decision(field: str) -> Callable[[Asking], Form]:
    def form(a: Asking) -> Form:
        reason = a.text(_about(a)) if a.often(9) else ""
        return {field: reason, **_seen_versions(a)}

    return form


def _help(a: Asking) -> Form:
    about = _about(a)
    devices = a.column(
        "select hex(device) from device where account = :id order by device",
        id=about.account if about else "",
    )
    return {
        "help": a.pick(("unlock", "mail", "sessions", "computer")),
        "computer": a.pick((*devices, "00")),
        "help-reason": a.text(about),
    }


def _school_form(a: Asking) -> Form:
    code = a.params.get("code") or a.pick((f"{a.who.county}9{a.rng.randrange(9)}", "1"))
    level = a.one("select level from school where code = :code", code=code)
    subject = LEVELS[level or a.pick(tuple(LEVELS))]
    version = a.version("select version from school where code = :code", code=code)
    return {
        "code": code,
        "level": level or a.pick(tuple(LEVELS)),
        "name": f"校{code}",
        "township": "某區",
        "open": a.pick(("yes", "yes", "")),
        f"taught-{subject}": "yes",
        f"total-{subject}": str(a.rng.randrange(4)),
        f"seats-{subject}": str(a.rng.randrange(3)),
        "version": version,
    }


def _confirmed(a: Asking, form: Form, path: str) -> Form:
    """Say yes to what the site asks first, where it does."""
    asked = a.country.ask(a.browser, "POST", path, form).body.decode()
    a.country.changes()
    found = asked.partition('name="confirmed" value="')[2].partition('"')[0]
    return {**form, "confirmed": found} if found else form


def _school_saved(a: Asking) -> Form:
    form = _school_form(a)
    code = a.params.get("code")
    if code and a.often(3):
        return _confirmed(a, form, f"/city/schools/{code}")
    return form


def _seats(a: Asking) -> Form:
    level = a.pick(tuple(LEVELS))
    form = {"level": level, "subject": LEVELS[level]}
    for code in a.rng.sample(SCHOOLS, 3):
        version = a.version("select version from school where code = :code", code=code)
        form |= {f"version-{code}": version, f"total-{code}": "3", f"seats-{code}": "2"}
    return form


def _roster(a: Asking) -> Form:
    one = a.teacher()
    return {
        "level": one.level,
        "national_id": one.national_id,
        "school": a.pick((one.home, "")),
    }


@cache
def table(name: str, county: str) -> bytes:
    """Return a table that a county may try to put in; some rows are another's."""
    some = [t for t in TEACHERS if t.county == county] or list(TEACHERS)
    columns, rows = {
        "roster": (
            ("身分證統一編號", "階段別", "現任學校"),
            [(t.national_id, _LEVEL_TEXT[t.level], t.home) for t in some[:4]],
        ),
        "schools": (
            ("學校代碼", "階段別", "校名", "鄉鎮市區", "設有科(類)別"),
            [(f"{county}2609", "國小", "新國小", "某區", "普通")],
        ),
        "seats": (
            ("學校代碼", "科(類)別", "缺額總數", "提列他縣市"),
            [(school_of(county, "elementary", 3), "普通", "2", "1")],
        ),
        "points": (
            ("申請編號", "年資積分"),
            [(t.application, "12") for t in some[:2]],
        ),
    }[name]
    return spreadsheets.write("ods", [Sheet("t", columns, rows)])


_LEVEL_TEXT = {"junior-high": "國中", "elementary": "國小", "kindergarten": "幼兒園"}


def _table(a: Asking) -> Form:
    return {
        "table": a.pick(("roster", "schools", "seats", "points", "x")),
        "mode": a.pick(("add", "replace")),
    }


def file_for(a: Asking, form: Form, route: str) -> bytes:
    """Return the file that goes with a form of an address."""
    if route != "/city/tables" or form["table"] == "x":
        return b""
    county = a.who.county if a.who.county and a.often() else a.pick(COUNTIES)
    if form["table"] == "points" and a.often():
        return points_of(a)
    return table(form["table"], county)


def points_of(a: Asking) -> bytes:
    """Return the table of points as the county takes it away, for putting in again."""
    path = "/city/tables/points"
    taken = a.country.ask(a.browser, "POST", path, {"kind": "ods"})
    a.country.changes()
    return taken.body if taken.status == 200 else b""


def _tried(a: Asking) -> Form:
    page = a.country.ask(
        a.browser, "GET", f"/city/tables/tried/{a.params['token']}"
    ).body.decode()
    found = page.partition('name="fingerprint" value="')[2].partition('"')[0]
    return {"fingerprint": found if a.often(9) else "x"}


def _round_version(a: Asking) -> str:
    return a.version("select version from round order by year desc")


def _setup(a: Asking) -> Form:
    return {
        "level": list(LEVELS),
        "county": list(COUNTIES),
        "max_counties": "2",
        "max_subjects": "3",
        "max_choices": a.pick(("0", "30")),
        "retention_days": a.pick(("30", "365")),
        "points-service": a.pick(("", "90")),
        "version": _round_version(a),
    }


def _texts(a: Asking) -> Form:
    notices = a.pick(("", "一\n二"))
    return {"organiser": "主辦", "notices": notices, "version": _round_version(a)}


def _begin(a: Asking) -> Form:
    return {"year": a.pick((str(YEAR + 1), str(YEAR))), "confirmed": "yes"}


def _schedule(a: Asking) -> Form:
    form = {"level": a.pick(tuple(LEVELS)), "reason": "改期", "confirmed": "yes"}
    for row in a.seen.rows("select * from window where level = :l", l=form["level"]):
        for side in ("opens", "closes"):
            if row[side] and row["kind"] != "result":
                form[f"{row['kind']}-{side}"] = _shifted(a, row[side])
    return {**form, "version": _round_version(a)}


def _shifted(a: Asking, at: int) -> str:
    days = a.pick((0, 0, 0, 1, 3))
    return typed_time(from_ms(at) + timedelta(days=days))


def _lists(a: Asking) -> Form:
    """Return a list as its page has it, with another name in English."""
    path = f"/host/round/lists/{a.params['list']}"
    form: Form = Page(a.country.ask(a.browser, "GET", path).body.decode()).values
    name = f"{a.rng.randrange(99)} name"
    return {
        field: text for field, text in form.items() if not field.startswith("gone")
    } | {"name_en-0": name}


def _rules(a: Asking) -> Form:
    return {"rules": "", "then": a.pick(("check", "")), "version": _round_version(a)}


def _freeze(a: Asking) -> Form:
    left = a.one(
        "select count(*) from application where state in ('filed', 'returned')"
    )
    return {"reason": a.pick(("逾期未審", "")), "left_out": str(left)}


def _plan(a: Asking) -> Form:
    at = a.country.now + timedelta(hours=1)
    return {
        "run": a.pick((*a.column("select id from run"), "9")),
        "at": a.pick(("", typed_time(at))),
        "sure": a.pick(("yes", "yes", "")),
    }


def _retract(a: Asking) -> Form:
    ids = a.column("select id from publication")
    return {"publication": a.pick((*ids, "9")), "reason": a.pick(("撤回", ""))}


def _number(a: Asking) -> str:
    numbers = a.column("select number from application where number not null")
    return a.pick((*numbers, "1229999"))


def _correction(a: Asking) -> Form:
    applications = a.column("select id from application where number is null")
    if a.often(7):
        return {"number": _number(a), "reason": "更正"}
    return {"application": a.pick((*applications, "x")), "reason": "更正"}


def _close(a: Asking) -> Form:
    opened = a.column("select application from correction where closed is null")
    return {"application": a.pick((*opened, "ap-aa"))}


def _dropout(a: Asking) -> Form:
    kind = a.pick(("gave-up", "no-show", "refused", "x"))
    return {"number": _number(a), "kind": kind, "reason": "事由", "days": "3"}


def _of_kind(a: Asking) -> Form:
    return {"kind": _kind(a)}


def _nothing(_a: Asking) -> Form:
    return {}


FORMS: Mapping[str, Callable[[Asking], Form]] = {
    "/language": lambda a: {"language": a.pick(("en", "")), "back": "/city/home"},
    "/teacher/challenge": _nothing,
    "/teacher/sign-in": _sign_in,
    "/teacher/sign-out": _nothing,
    "/teacher/device": _mailed_code,
    "/teacher/device/again": _nothing,
    "/teacher/forgot": _forgot,
    "/teacher/reset/{token}": _reset,
    "/teacher/notices": _notices,
    "/teacher/password": _password,
    "/teacher/person": _person,
    "/teacher/person/code": _mailed_code,
    "/teacher/person/again": _nothing,
    "/teacher/appointment": _appointment,
    "/teacher/wishes/counties": _counties,
    "/teacher/wishes/edit": _edit,
    "/teacher/wishes/mine": _nothing,
    "/teacher/wishes/draft": _wishes,
    "/teacher/wishes/save": _wishes,
    "/teacher/check": _check,
    "/teacher/notify": _notify,
    "/teacher/notify/unlink": _nothing,
    "/teacher/line": lambda _a: {"code": "1", "state": "2"},
    "/teacher/own-data.json": _nothing,
    "/city/applications/search": lambda a: {
        "words": a.pick((a.teacher().application, "林", "1220001", mark("n", 3)))
    },
    "/city/applications/{id}/open": lambda a: {"also": a.pick(("yes", "yes", ""))},
    "/city/applications/{id}/close": _nothing,
    "/city/applications/{id}/sheet": _sheet,
    "/city/applications/{id}/save": _review,
    "/city/applications/{id}/return": _decision("return-reason"),
    "/city/applications/{id}/reject": _decision("reject-reason"),
    "/city/applications/{id}/undo": _decision("undo-reason"),
    "/city/applications/{id}/help": _help,
    "/city/schools/new": _school_saved,
    "/city/schools/{code}": _school_saved,
    "/city/schools/seats": _seats,
    "/city/roster/add": _roster,
    "/city/roster/remove": _roster,
    "/city/tables": _table,
    "/city/tables/points": _of_kind,
    "/city/tables/tried/{token}": _tried,
    "/city/audit/{kind}": _nothing,
    "/city/results.{kind}": _nothing,
    "/city/dropouts/{id}": lambda a: {"answer": a.pick(("open", "none"))},
    "/host/staff/new-head": _member_form,
    "/host/round": _setup,
    "/host/round/texts": _texts,
    "/host/round/begin": _begin,
    "/host/round/schedule": _schedule,
    "/host/round/lists/{list}": _lists,
    "/host/rules": _rules,
    "/host/runs/freeze": _freeze,
    "/host/runs/snapshots/{id:row}/run": _nothing,
    "/host/runs/snapshots/{id:row}/withdraw": lambda _a: {"reason": "撤回"},
    "/host/runs/{id:row}/cancel": _nothing,
    "/host/runs/{id:row}/approve": _nothing,
    "/host/runs/{id:row}/unapprove": _nothing,
    "/host/results/plan": _plan,
    "/host/results/retract": _retract,
    "/host/results/list": lambda a: {"who": a.pick(("林", mark("n", 3)))},
    "/host/results/list.{kind}": _nothing,
    "/host/archive/{id}": lambda a: {"year": a.params["id"] if a.often() else ""},
    "/host/archive/{id}/compact": _nothing,
    "/host/corrections": _correction,
    "/host/corrections/close": _close,
    "/host/corrections/freeze": lambda _a: {"why": "更正"},
    "/host/corrections/schools": lambda a: {
        "county": a.pick((*COUNTIES, "99")),
        "county_reason": "更正",
    },
    "/host/corrections/schools/close": lambda a: {"county": a.pick(COUNTIES)},
    "/host/corrections/{id}/file": _of_kind,
    "/host/dropouts": _dropout,
    "/host/dropouts/{id}/apply": _nothing,
    "/host/dropouts/{id}/undo": lambda _a: {"reason": "撤銷"},
    "/host/dropouts/{id}/letters": _nothing,
    "/host/dropouts/{id}/finish": _nothing,
    **{
        f"/{end}{path}": form
        for end in ("city", "host")
        for path, form in (
            ("/challenge", _nothing),
            ("/sign-in", _staff_signs_in),
            ("/sign-out", _nothing),
            ("/enrol", _enrol),
            ("/enrol/setup", _set_up),
            ("/account", _new_password),
            ("/account/sessions", _nothing),
            ("/staff/new", _member_form),
            ("/staff/{member}", _member_form),
            ("/staff/{member}/code", _reasoned),
            ("/staff/{member}/access", _reasoned),
        )
    },
}
