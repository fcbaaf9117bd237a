"""Who may do what on the site, written down once more and plainly.

Nothing here asks `jiepin.web.access`: tables of who may change what at which address,
whose rows, when, and of whom an answer may tell. `looked_at` holds them against what a
request did.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from little_country import (
    PEOPLE,
    TEACHERS,
    Answer,
    Browser,
    Change,
    Official,
    Teacher,
    Told,
    told_by,
)

from jiepin.web.clock import to_ms

Row = Mapping[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Who may change something at an address, and which tables. `door`: whoever comes;
# `new`: with the right password at a new computer; `city` and `host` with the roles
# that may: clerk, reviewer, head. What is not here changes nothing.
_SAVED = "application application_version audit"
_LIST = f"{_SAVED} wish wish_draft outbox"
_DECIDED = "application review_open review_event audit outbox"
_SCHOOL = "school school_subject vacancy round audit outbox"
_MEMBER = "staff staff_session staff_enrolment audit"
_AFTER = "dropout result bar audit outbox"
WRITES: Mapping[str, tuple[str, str]] = {
    "/teacher/challenge": ("door", "session challenge throttle"),
    "/teacher/sign-in": (
        "door",
        "account application session device challenge throttle audit mail_code outbox",
    ),
    "/teacher/sign-out": ("door", "session challenge"),
    "/teacher/device": ("new", "device mail_code session audit"),
    "/teacher/device/again": ("new", "mail_code outbox throttle"),
    "/teacher/forgot": ("door", "challenge throttle audit reset outbox"),
    "/teacher/reset/{token}": (
        "door",
        "account challenge throttle audit reset outbox session device",
    ),
    "/teacher/notices": ("teacher", _SAVED),
    "/teacher/password": ("teacher", f"{_SAVED} account session outbox throttle reset"),
    "/teacher/person": ("teacher", f"{_SAVED} mail_code outbox throttle"),
    "/teacher/person/code": ("teacher", f"{_SAVED} mail_code outbox device"),
    "/teacher/person/again": ("teacher", "mail_code outbox throttle"),
    "/teacher/appointment": ("teacher", _SAVED),
    "/teacher/wishes/counties": ("teacher", _LIST),
    "/teacher/wishes/edit": ("teacher", "wish_draft"),
    "/teacher/wishes/mine": ("teacher", "wish_draft"),
    "/teacher/wishes/draft": ("teacher", "wish_draft"),
    "/teacher/wishes/save": ("teacher", _LIST),
    "/teacher/check": ("teacher", f"{_SAVED} outbox"),
    "/teacher/notify": ("teacher", "notify_choice audit"),
    "/teacher/notify/unlink": ("teacher", "line_link audit"),
    "/teacher/line": ("teacher", "line_link audit"),
    "/teacher/own-data.json": ("teacher", "audit"),
    "/city/applications/{id}/open": ("city crh", "review_open audit"),
    "/city/applications/{id}/close": ("city crh", "review_open"),
    "/city/applications/{id}/sheet": ("city crh", "application audit"),
    "/city/applications/{id}/save": ("city crh", f"{_DECIDED} points review_check"),
    "/city/applications/{id}/return": ("city -rh", _DECIDED),
    "/city/applications/{id}/reject": ("city -rh", _DECIDED),
    "/city/applications/{id}/undo": ("city -rh", _DECIDED),
    "/city/applications/{id}/help": (
        "city c-h",
        "throttle session reset device mail_code review_event audit outbox",
    ),
    "/city/schools/new": ("city c-h", _SCHOOL),
    "/city/schools/seats": ("city c-h", _SCHOOL),
    "/city/schools/{code}": ("city c-h", _SCHOOL),
    "/city/roster/add": ("city c-h", "roster audit"),
    "/city/roster/remove": ("city c-h", "roster audit"),
    "/city/tables": ("city crh", "upload"),
    "/city/tables/points": ("city crh", "audit"),
    "/city/tables/tried/{token}": (
        "city crh",
        f"upload roster application points {_SCHOOL}",
    ),
    "/city/audit/{kind}": ("city crh", "audit"),
    "/city/results.{kind}": ("city crh", "audit"),
    "/city/dropouts/{id}": ("city --h", "dropout audit"),
    "/host/staff/new-head": ("host --h", "staff staff_session audit"),
    "/host/round": ("host c-h", "round round_county points_limit audit"),
    "/host/round/texts": ("host c-h", "round audit"),
    "/host/round/begin": (
        "host --h",
        "round round_county points_limit window vacancy session audit",
    ),
    "/host/round/schedule": ("host c-h", "window window_change round audit"),
    "/host/round/lists/{list}": ("host c-h", "county subject round audit"),
    "/host/rules": ("host c-h", "round audit"),
    "/host/runs/freeze": (
        "host c-h",
        "snapshot snapshot_teacher round application correction audit",
    ),
    "/host/runs/snapshots/{id:row}/run": ("host c-h", "run audit"),
    "/host/runs/snapshots/{id:row}/withdraw": (
        "host c-h",
        "snapshot round run correction application audit",
    ),
    "/host/runs/{id:row}/cancel": ("host c-h", "run audit"),
    "/host/runs/{id:row}/approve": ("host crh", "approval audit"),
    "/host/runs/{id:row}/unapprove": ("host crh", "approval audit"),
    "/host/results/plan": ("host --h", "publication result window audit outbox"),
    "/host/results/retract": ("host --h", "publication result window audit"),
    "/host/results/list.{kind}": ("host crh", "audit"),
    "/host/archive/{id}": ("host --h", "*"),
    "/host/corrections": ("host c-h", "correction application audit"),
    "/host/corrections/close": ("host c-h", "correction application audit"),
    "/host/corrections/freeze": (
        "host c-h",
        "snapshot snapshot_teacher application correction audit",
    ),
    "/host/corrections/schools": ("host c-h", "correction audit"),
    "/host/corrections/schools/close": ("host c-h", "correction audit"),
    "/host/corrections/{id}/file": ("host c-h", "audit"),
    "/host/dropouts": ("host c-h", "dropout audit"),
    "/host/dropouts/{id}/apply": ("host c-h", _AFTER),
    "/host/dropouts/{id}/undo": ("host c-h", _AFTER),
    "/host/dropouts/{id}/letters": ("host c-h", "audit"),
    "/host/dropouts/{id}/finish": ("host --h", "dropout bar audit"),
    **{
        f"/{end}{path}": (who.format(end=end), tables)
        for end in ("city", "host")
        for path, (who, tables) in {
            "/challenge": ("door", "session challenge throttle"),
            "/sign-in": ("door", "challenge throttle audit staff staff_session"),
            "/sign-out": ("door", "staff_session staff_enrolment"),
            "/enrol": (
                "door",
                "challenge throttle audit staff_enrolment staff_session",
            ),
            "/enrol/setup": ("door", f"{_MEMBER} throttle"),
            "/account": ("{end} crh", "staff staff_session audit throttle"),
            "/account/sessions": ("{end} crh", "staff_session audit"),
            "/staff/new": ("{end} --h", "staff staff_session audit"),
            "/staff/{{member}}": ("{end} --h", "staff staff_session audit"),
            "/staff/{{member}}/code": ("{end} --h", _MEMBER),
            "/staff/{{member}}/access": ("{end} --h", _MEMBER),
        }.items()
        for path in [path.replace("{{", "{").replace("}}", "}")]
    },
}
CHANGES_NOTHING = frozenset(
    (
        "/language",  # a cookie alone
        "/city/applications/search",  # posted so that no name is in an address
        "/host/results/list",
        "/host/archive/{id}/compact",  # writes the file anew, with the same rows in it
    )
)
# what a refused request may change: failures are counted, a list under way is kept
COUNTED: Mapping[str, str] = {
    **{
        f"/{end}/{door}": "challenge throttle audit"
        for end in ("teacher", "city", "host")
        for door in ("sign-in", "enrol", "enrol/setup", "forgot", "account")
    },
    "/teacher/reset/{token}": "challenge throttle audit",
    "/teacher/forgot": "challenge throttle audit reset outbox",  # answers alike
    "/teacher/challenge": "throttle",
    "/city/challenge": "throttle",
    "/host/challenge": "throttle",
    "/teacher/device": "mail_code audit",
    "/teacher/password": "throttle audit",
    "/teacher/person": f"{_SAVED} throttle",  # saved; the next code has to wait
    "/teacher/person/code": "mail_code",
    "/teacher/wishes/save": "wish_draft",
}

# what a county sees once it has opened a record, which its teacher can see; nobody else
_OF_RECORD = ("national", "birth", "phone", "email")
_OWN = _words(
    """version step state saved digest notices_version notices_at name phone1 phone2
    email email_confirmed indigenous area service_years school subject1 subject2
    subject3 county1 county2 wishes_saved filed language"""
)
_OF_REVIEW = _words(
    """state reason number review_version reviewed sheet_checked
    review_note"""
)
OF_RESULT = _words(
    """/teacher/result /city/results.{kind} /host/results/list /public/report
    /host/results/list.{kind} /public/results.{kind} /public/pictures/{name}.svg
    /public/snapshots/{id:row}/round.zip"""
)
_OF_SCHOOL = ("school", "school_subject", "vacancy")
_OF_ROUND = _words(
    """round window window_change round_county points_limit county subject snapshot
    snapshot_teacher run approval publication"""
)
IDLE, ABSOLUTE = timedelta(minutes=30), timedelta(hours=8)


@dataclass(frozen=True)
class Who:
    """Who somebody at a browser is, at the ends where he is signed in.

    teacher, newcomer   letters of the account; a newcomer has to enter a code first
    kind, staff         of a member of staff, with his role, county and levels
    enrolling           of staff that has shown card and code for the first time
    """

    teacher: str = ""
    newcomer: str = ""
    enrolling: str = ""
    kind: str = ""
    staff: str = ""
    role: str = ""
    county: str = ""
    levels: tuple[str, ...] = ()

    @property
    def accounts(self) -> set[str]:
        """As whom the audit may name him."""
        named = {f"ac-{one}" for one in (self.teacher, self.newcomer) if one}
        return named | ({self.staff} if self.staff else set())

    def serves(self, one: Teacher) -> bool:
        """Tell whether he is staff of a teacher's county, at the teacher's level."""
        return (self.kind, self.county) == ("county", one.county) and (
            one.level in self.levels
        )

    def is_allowed(self, spec: str) -> bool:
        """Tell whether he is one of those that WRITES names."""
        end, _, roles = spec.partition(" ")
        if end in ("door", "teacher", "new"):
            return {"door": True, "teacher": self.teacher, "new": self.newcomer}[
                end
            ] not in (False, "")
        kind = {"city": "county", "host": "host"}[end]
        return self.kind == kind and self.role[:1] in roles.replace("-", "")


class Seen:
    """The database as a stranger sees it beside the site: only to look."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        self._db.row_factory = sqlite3.Row

    def rows(self, statement: str, **values: Any) -> list[sqlite3.Row]:
        return self._db.execute(statement, values).fetchall()

    def one(self, statement: str, **values: Any) -> Any:
        """Return the first column of the first row, None where there is none."""
        found = self.rows(statement, **values)
        return found[0][0] if found else None

    def who(self, browser: Browser, now: datetime) -> Who:
        """Return who sits at a browser: its cookies, and what is known of them."""
        teacher = self._teacher(browser.cookies.get("__Host-sid", ""), now)
        cookie = browser.cookies.get("__Host-staff", "")
        official = self._official(cookie, now)
        enrolling = self.one(
            "select staff from staff_enrolment where token = :token", token=_sha(cookie)
        )
        return Who(**teacher, **official, enrolling=enrolling or "")

    def _teacher(self, cookie: str, now: datetime) -> dict[str, Any]:
        rows = self.rows(
            """select session.account, session.seen, session.created,
            application.email_confirmed is null or device.confirmed is not null as here
            from session join application using (account)
            left join device on device.account = session.account
            and device.device = session.device where token = :token""",
            token=_sha(cookie),
        )
        for row in rows:
            if not _is_over(row, now):
                return {"teacher" if row["here"] else "newcomer": row["account"][3:]}
        return {}

    def _official(self, cookie: str, now: datetime) -> dict[str, Any]:
        rows = self.rows(
            """select staff.*, staff_session.level as chosen, staff_session.seen,
            staff_session.created as begun from staff_session
            join staff on staff.id = staff_session.staff
            where token = :token and staff.disabled is null""",
            token=_sha(cookie),
        )
        for row in rows:
            held = row["levels"].split("|")
            levels = tuple(one for one in held if row["chosen"] in ("", one))
            over = _is_over({**row, "created": row["begun"]}, now)
            if levels and not over:  # the level that was chosen may be taken away
                return {
                    "kind": row["kind"],
                    "staff": row["id"],
                    "role": row["role"],
                    "county": row["county"] or "",
                    "levels": levels,
                }
        return {}

    def is_public(self, now: datetime) -> int | None:
        """Return the run whose publication is in force."""
        run: int | None = self.one(
            "select run from publication where retracted is null "
            "and publish_at <= :now order by publish_at desc, id desc",
            now=to_ms(now),
        )
        return run

    def is_on(self, kind: str, level: str, now: datetime) -> bool:
        """Tell whether a phase of a level is on."""
        rows = self.rows(
            "select 1 from window where year = (select max(year) from round) and "
            "kind = :kind and level = :level and opens <= :now and closes > :now",
            kind=kind,
            level=level,
            now=to_ms(now),
        )
        return bool(rows)

    def is_frozen(self, application: str) -> bool:
        """Tell whether the year of an application is frozen, be it over or not."""
        ask = (
            "select round.frozen from round join application on "
            "application.year = round.year where application.id = :id"
        )
        return self.one(ask, id=application) is not None

    @property
    def frozen(self) -> bool:
        return self.one("select frozen from round order by year desc") is not None


def _sha(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _is_over(session: Any, now: datetime) -> bool:
    at = to_ms(now)
    return at - session["seen"] > IDLE / timedelta(milliseconds=1) or at - session[
        "created"
    ] > ABSOLUTE / timedelta(milliseconds=1)


# what was asked, and what came of it


@dataclass(frozen=True)
class Deed:
    """One request: by whom, of what, and all that came of it."""

    seen: Seen
    who: Who  # before the request
    now: datetime
    method: str
    route: str
    path: str
    form: Mapping[str, Any]
    answer: Answer
    changes: Sequence[Change]
    secrets: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return (
            f"{self.who}\n{self.method} {self.path} at {self.now}\n{dict(self.form)}\n"
            f"{self.answer.status} {self.answer.header('location')}"
        )

    @cached_property
    def typed(self) -> set[Told]:
        """Return what the request itself tells of: an answer may say it again."""
        return told_by(f"{self.path} {self.form}")

    @cached_property
    def public(self) -> int | None:
        return self.seen.is_public(self.now)


def wrongs(deed: Deed) -> Iterator[str]:
    """Say what a request did, or told, that it should not."""
    if deed.answer.status >= 500:
        yield "the site has failed"
    yield from _leaks(deed)
    yield from _foreign(deed)
    if deed.route in OF_RESULT and deed.public is None and deed.answer.status == 200:
        yield "shows a result before it is public"
    yield from _writes(deed)


# what an answer tells


def _leaks(deed: Deed) -> Iterator[str]:
    for text in deed.answer.texts():
        for one in told_by(text) - deed.typed:
            if not may_be_told(deed, one):
                yield f"tells {one}"
        if deed.public is None and any(secret in text for secret in deed.secrets):
            yield "tells the seed before there is a result"
        if "$argon2" in text:
            yield "tells what is kept of a password"


def may_be_told(deed: Deed, one: Told) -> bool:
    """Tell whether somebody may learn this of a person."""
    who = deed.who
    if one.kind == "token":
        return False  # what a browser or a link is known by
    if one.kind == "number":
        return _may_know_number(deed, one.of)
    person = PEOPLE[one.of]
    if isinstance(person, Official):
        return _may_know_official(deed, person)
    if who.teacher == person.letters:
        return True
    if who.kind == "host":
        return one.kind not in _OF_RECORD
    if who.serves(person):
        return one.kind not in _OF_RECORD or _has_opened(deed, person)
    return one.kind == "name" and _receives(deed, person)


def _has_opened(deed: Deed, one: Teacher) -> bool:
    """Tell whether a record is open with somebody, or was until this request."""
    closed = any(
        change.table == "review_open" and change.rows[0]["staff"] == deed.who.staff
        for change in deed.changes
    )
    ask = "select 1 from review_open where application = :id and staff = :staff"
    found = deed.seen.rows(ask, id=one.application, staff=deed.who.staff)
    return bool(found) or closed


def _may_know_number(deed: Deed, number: str) -> bool:
    """Numbers are in the frozen round, which is public with the result."""
    if deed.public is not None or deed.who.kind == "host":
        return True
    rows = deed.seen.rows("select id from application where number = :n", n=number)
    for row in rows:
        one = PEOPLE[row["id"][3:]]
        if isinstance(one, Teacher) and (
            deed.who.serves(one) or deed.who.teacher == one.letters
        ):
            return True
    return False


def _may_know_official(deed: Deed, one: Official) -> bool:
    """Staff knows its colleagues; of the host's, who acted in matters of the county."""
    who = deed.who
    if one.id in (who.staff, who.enrolling):
        return True
    if who.kind == "county" and one.kind == "host":
        return deed.route.startswith("/city/audit")
    return who.kind == "host" or (who.kind, who.county) == ("county", one.county)


def _receives(deed: Deed, one: Teacher) -> bool:
    """Tell whether a published result sends a teacher to the county of somebody."""
    who = deed.who
    if who.kind != "county" or one.level not in who.levels:
        return False
    there = deed.seen.one(
        "select school from result where application = :id and run = :run",
        id=one.application,
        run=deed.public,
    )
    return bool(there) and str(there)[:2] == who.county


# what is as if it were not there


def _foreign(deed: Deed) -> Iterator[str]:
    """Whoever is signed in finds nothing at the address of what is not his."""
    if _is_foreign(deed) and deed.answer.status != 404:
        yield f"finds what is not his: {deed.answer.status}"
    owner = _owner_of_table(deed)
    gone = deed.answer.header("location").endswith("done=gone")
    if deed.who.kind == "county" and owner not in ("", deed.who.staff) and not gone:
        yield "finds a table that somebody else tried"


def _owner_of_table(deed: Deed) -> str:
    """Return who has tried the table of an address, empty where it is none."""
    if deed.route != "/city/tables/tried/{token}":
        return ""
    for change in deed.changes:
        if change.table == "upload" and change.old:
            return str(change.old["staff"])
    token = deed.path.partition("?")[0].rsplit("/", 1)[1]
    ask = "select staff from upload where token = :token"
    return deed.seen.one(ask, token=_sha(token).hex()) or ""


def _is_foreign(deed: Deed) -> bool:
    who, parts = deed.who, deed.path.partition("?")[0].split("/")
    if who.kind == "county" and deed.route.startswith("/city/applications/{id}"):
        one = PEOPLE.get(parts[3][3:])
        return not (isinstance(one, Teacher) and who.serves(one))
    if who.kind == "county" and deed.route == "/city/schools/{code}":
        return not _is_own_school(deed, parts[3])
    if who.kind == "county" and deed.route.startswith("/city/staff/{member}"):
        county = deed.seen.one("select county from staff where id = :id", id=parts[3])
        return county != who.county or who.role != "head"
    return False


# what changes


def _writes(deed: Deed) -> Iterator[str]:
    if not deed.changes:
        return
    if deed.method != "POST":
        yield f"looking changes {sorted({one.table for one in deed.changes})}"
        return
    spec, tables = WRITES.get(deed.route, ("door", ""))
    if deed.answer.status >= 400:
        tables = COUNTED.get(deed.route, "")
    elif not deed.who.is_allowed(spec):
        yield f"is for {spec}, and changes {sorted({c.table for c in deed.changes})}"
    for change in deed.changes:
        if tables != "*" and change.table not in tables.split():
            yield f"changes {change.table}"
        yield from _change(deed, change)
    yield from _unseen(deed)


# tables with versions, and what a form calls the one that it was made from
_SEEN_AS = {
    ("application", "version"): "version",
    ("application", "review_version"): "review",
    ("staff", "version"): "version",
    ("school", "version"): "version",
}


def _unseen(deed: Deed) -> Iterator[str]:
    """Say whether something was saved over what its form was not made from.

    A list of wishes may be saved although another step was saved since its page came.
    """
    if deed.route == "/teacher/wishes/save":
        return
    for (table, column), field in _SEEN_AS.items():
        before = [c.old for c in deed.changes if c.table == table and c.old]
        if not before or field not in deed.form:
            continue
        if str(before[0][column]) != deed.form[field]:
            yield f"saves over version {before[0][column]} of {table}, not seen"


def _change(deed: Deed, change: Change) -> Iterator[str]:
    if deed.route == "/host/archive/{id}":
        return  # takes out everything of a year
    if deed.route == "/host/round/begin" and change.table in ("session", "vacancy"):
        return  # both are of the year that is over
    for row in change.rows:
        if not _is_his(deed, change.table, row):
            yield f"changes {change.table} of somebody else: {dict(row)}"
    if change.table == "application":
        yield from _application(deed, change)
    if change.table == "wish" and not _may_fill_in(deed, deed.who.teacher):
        yield "changes wishes out of time"
    if change.table in ("points", "review_check"):
        yield from _reviewed(deed, change.rows[0]["application"])


def _is_his(deed: Deed, table: str, row: Row) -> bool:
    """Tell whether a row is about the one who asks, or about what he looks after."""
    who, door = deed.who, WRITES.get(deed.route, ("door", ""))[0] == "door"
    if table == "audit":
        unnamed = row["actor"] == "" and deed.route in COUNTED  # a failure
        return row["actor"] in who.accounts or door or unnamed
    if table in _OF_ROUND:
        return who.kind == "host" or (table == "round" and who.kind == "county")
    if table in _OF_SCHOOL:
        return _is_own_school(deed, row.get("school", row.get("code")))
    if table == "roster":
        return row["county"] == who.county and row["level"] in who.levels
    if table in ("staff", "staff_session", "staff_enrolment", "upload"):
        return door or _is_own_official(deed, row.get("staff", row.get("id")))
    if table in ("challenge", "throttle", "wish_draft", "bar", "reset") and door:
        return True
    if "application" in row or table == "application":
        return door or _is_own_application(deed, table, row)
    if "account" in row or table == "account":
        return door or _is_own_account(who, row.get("account", row.get("id")))
    return True


def _is_own_school(deed: Deed, code: Any) -> bool:
    ask = "select county, level from school where code = :code"
    return any(
        row["county"] == deed.who.county and row["level"] in deed.who.levels
        for row in deed.seen.rows(ask, code=code)
    )


def _is_own_official(deed: Deed, id_: Any) -> bool:
    who = deed.who
    rows = deed.seen.rows("select kind, county, role from staff where id = :id", id=id_)
    if id_ == who.staff:
        return True
    if who.role != "head" or not rows:
        return False
    of = rows[0]
    if who.kind == "host":
        return of["kind"] == "host" or of["role"] == "head"
    return (of["kind"], of["county"]) == ("county", who.county)


def _is_own_application(deed: Deed, table: str, row: Row) -> bool:
    who, id_ = deed.who, row["id"] if table == "application" else row["application"]
    if who.kind == "host" or id_ is None:
        return True
    if table == "outbox" and deed.route in TELLS_OTHERS:
        return True
    return _is_own_account(who, str(id_))


# a school that is taken away is told to those who wish for it, wherever they are
TELLS_OTHERS = frozenset(
    (
        "/city/schools/{code}",
        "/city/schools/seats",
        "/city/schools/new",
        "/city/tables/tried/{token}",
    )
)


def _is_own_account(who: Who, id_: str) -> bool:
    """Tell it by the id of an account or of its application."""
    one = PEOPLE.get(id_[3:])
    own = who.teacher == id_[3:] or who.newcomer == id_[3:]
    return isinstance(one, Teacher) and (own or who.serves(one))


def _application(deed: Deed, change: Change) -> Iterator[str]:
    old, new = change.old, change.new
    if old is None or new is None:
        if deed.route != "/teacher/sign-in" or new is None:
            yield "makes or takes away an application"
        return
    changed = {name for name in old if old[name] != new[name]}
    if deed.who.teacher and deed.route.startswith("/teacher/"):
        if changed - _OWN:
            yield f"a teacher changes {changed - _OWN}"
        if not _may_fill_in(deed, deed.who.teacher):
            yield f"a teacher changes {changed} out of time"
    elif deed.who.kind == "county":
        if changed - _OF_REVIEW:
            yield f"a county changes {changed - _OF_REVIEW}"
        if changed & {"state", "number"} and deed.who.role == "clerk":
            yield "a clerk decides"
        yield from _reviewed(deed, new["id"])
    elif deed.who.kind == "host":
        if changed - {"correcting"}:
            yield f"the host changes {changed - {'correcting'}}"
    else:
        yield f"nobody changes {changed}"


def _may_fill_in(deed: Deed, teacher: str) -> bool:
    """Tell whether a teacher may change what he applies for, now."""
    one = PEOPLE[teacher]
    assert isinstance(one, Teacher)
    state = _state_before(deed, one.application)
    if deed.seen.frozen or state not in ("filling", "filed", "returned"):
        return False
    filling = deed.seen.is_on("fill", one.level, deed.now)
    returned = state == "returned" and deed.seen.is_on("review", one.level, deed.now)
    return filling or returned


def _state_before(deed: Deed, application: str) -> str:
    for change in deed.changes:
        old = change.old if change.table == "application" else None
        if old is not None and old["id"] == application:
            return str(old["state"])
    ask = "select state from application where id = :id"
    return str(deed.seen.one(ask, id=application))


def _reviewed(deed: Deed, application: str) -> Iterator[str]:
    one = PEOPLE[application[3:]]
    assert isinstance(one, Teacher)
    open_ = deed.seen.is_on("review", one.level, deed.now)
    # those of a year that is over may be corrected while the next one is under way
    if deed.seen.is_frozen(application):
        open_ = bool(
            deed.seen.one(
                "select correcting from application where id = :id", id=application
            )
        )
    if not open_:
        yield "reviews out of time"


assert len(TEACHERS) < 40  # staff have the numbers from there on
