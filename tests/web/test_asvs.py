"""What the ASVS asks of sign-in, sessions, passwords, steps, faults and the log.

The numbers in the names are those of the requirements; docs/security.md lists them.
Requirements that another test covers already have it there, under the same kind of
name.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from datetime import timedelta

import pytest
import staff_cards
from hypothesis import given, settings
from hypothesis import strategies as st
from practice_round import (
    CHEN,
    LIN,
    PASSWORD,
    Client,
    appointment_form,
    person_form,
)
from staff_cards import SHI, Telephone
from staff_site import county_desk
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from jiepin.web import accounts, logs
from jiepin.web.passwords import LONGEST, SHORTEST, problem
from jiepin.web.site import Site
from jiepin.web.staff import sign_in as staff_sign_in
from jiepin.web.store import audit

FRESH = {"password": "another morning", "again": "another morning", "hint": ""}


def rows(client: Client, statement: str) -> list[tuple[object, ...]]:
    async def read(site: Site) -> list[tuple[object, ...]]:
        async with site.database.reading() as db:
            found = await db.execute_fetchall(statement)
        return [tuple(row) for row in found]

    return client.call(read)


def actions(client: Client) -> list[str]:
    return [str(name) for (name,) in rows(client, "select action from audit")]


def reset_link(client: Client) -> str:
    """Ask for a link from another browser; returns its path."""
    asker = client.another()
    form = {"level": LIN.level, "confirmed": "yes"}
    asker.post("/teacher/forgot", **form, **asker.answer(LIN))
    link: str = client.mailed("reset")[-1]["link"]
    return link.removeprefix(client.site.settings.origin)


# steps


SAVES = {
    2: ("/teacher/password", FRESH),
    3: ("/teacher/person", person_form()),
    4: ("/teacher/appointment", appointment_form()),
    5: ("/teacher/wishes/counties", {"county1": "13"}),
    6: ("/teacher/check", {}),
}


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_asvs_2_3_1_no_step_is_jumped_over(client: Client, step: int) -> None:
    """From each step, what belongs to all the later ones is posted."""
    client.fill_in(step)
    before = client.application()
    assert before.step == step
    for later in range(step + 1, 7):
        path, form = SAVES[later]
        for version in (before.version, 0, 99):
            answer = client.post(path, version=version, notices_version=1, **form)
            assert answer.status_code in (303, 409, 422), (path, answer.status_code)
            assert client.application() == before, path


# attempts


async def stuff(site: Site, accounts_: int) -> tuple[int, int]:
    """Fail once at each of many accounts; returns how many were tried and slowed."""
    tried = slowed = 0
    for number in range(accounts_):
        try:
            await accounts.take_attempt(site, f"account:{number}", "192.0.2.7")
        except accounts.Refused:
            slowed += 1
            continue
        tried += 1
        await accounts.count_failure(site, "192.0.2.7", "")
    for number, address in enumerate(("192.0.2.200", "2001:db8::1")):
        await accounts.take_attempt(site, f"account:{number}", address)
    return tried, slowed


def test_asvs_6_3_1_stuffing_from_one_address_is_slowed(client: Client) -> None:
    """Known passwords tried at many accounts: each account would allow a first try."""
    client.fill_in(3)

    tried, slowed = client.call(lambda site: stuff(site, 1000))
    assert tried == accounts.ADDRESS_FAILURES
    assert slowed == 1000 - tried
    assert client.another().sign_in(LIN, PASSWORD).status_code == 303


def test_asvs_6_3_1_who_is_unknown_costs_the_same_work(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash is computed whether there is an account or not, and no other work done."""
    client.fill_in(3)
    passwords, worked = client.app.state.passwords, []
    check = passwords.matches

    async def counted(stored: str | None, password: str) -> bool:
        worked.append(password)
        right: bool = await check(stored, password)
        return right

    monkeypatch.setattr(passwords, "matches", counted)
    known = client.another().sign_in(LIN, "a wrong one")
    unknown = client.another().sign_in(CHEN, "a wrong one", level="kindergarten")
    assert worked == ["a wrong one"] * 2
    assert known.status_code == unknown.status_code == 422
    said = "無法登入：密碼不符，或您不在本階段別的介聘名冊中"
    assert said in known.text
    assert said in unknown.text


# passwords


def test_asvs_6_2_1_short_passwords_are_refused() -> None:
    assert problem("xqzjvkw"[: SHORTEST - 1])
    assert not problem("xqzjvkwb"[:SHORTEST])
    assert SHORTEST >= 8
    assert problem("xqzjvkwbmpt", shortest=staff_sign_in.SHORTEST)
    assert staff_sign_in.SHORTEST >= 12


def test_asvs_6_2_2_a_teacher_changes_his_password(client: Client) -> None:
    client.fill_in(3)
    assert (
        client.save("/teacher/password", **FRESH, present="not it").status_code == 422
    )
    saved = client.save("/teacher/password", **FRESH, present=PASSWORD)
    assert saved.status_code == 303
    assert client.another().sign_in(LIN, PASSWORD).status_code == 422
    assert client.another().sign_in(LIN, FRESH["password"]).status_code == 303


def test_asvs_6_2_4_what_is_used_most_is_refused() -> None:
    listed = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST]
    assert len(listed[:3000]) == 3000
    assert [word for word in listed[:3000] if not problem(word)] == []
    assert [word for word in listed[:3000] if not problem(word.upper())] == []
    letters = [word for word in listed[:3000] if word.isalpha()]
    assert len(letters) > 1000
    assert [word for word in letters if not problem(word + "2026!")] == []


def test_asvs_6_2_12_what_was_found_in_breaches_is_refused() -> None:
    """The list is of passwords out of breaches, the 30,000 that occurred most."""
    listed = [word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST]
    assert len(listed) > 11_000
    assert [word for word in listed if not problem(word)] == []


@pytest.mark.parametrize(
    "signs",
    ["abcdefghij", "ABCDEFGHIJ", "0123456789", "!@#%^&*()-", "介聘教師林明華屏東縣"],
)
def test_asvs_6_2_5_any_composition_will_do(signs: str) -> None:
    assert not problem("".join(signs[int(digit)] for digit in "7162839405173"))


def test_asvs_6_2_8_and_6_2_9_a_long_password_counts_as_typed(client: Client) -> None:
    """Blanks at both ends, capitals, rare signs: nothing is changed or cut off."""
    client.fill_in(2)
    password = (" Quiet 𡍼 林 ZhuangBei " + "abcdefghijklmnop" * 8)[: LONGEST - 1] + " "
    assert len(password) == LONGEST >= 64
    form = {"password": password, "again": password, "hint": ""}
    assert client.save("/teacher/password", **form).status_code == 303
    for other in (password.strip(), password.lower(), password[:-2], password[:72]):
        assert client.another().sign_in(LIN, other).status_code == 422
        client.clock.move(minutes=15)
    assert client.another().sign_in(LIN, password).status_code == 303


def test_asvs_6_2_10_passwords_do_not_grow_old(client: Client) -> None:
    client.fill_in(3)
    client.clock.move(days=300)
    assert client.another().sign_in(LIN, PASSWORD).status_code == 303


ABOUT = {
    "national id": "my A123456789 key",
    "birthday": "since 19850309 here",
    "birthday of Taiwan": "since 740309 here!",
    "name": "to 林小明 and on",
    "telephone": "call 1234567 later on",
    "mail": "as lin@example.org knows",
}


@pytest.mark.parametrize("password", ABOUT.values(), ids=ABOUT)
def test_asvs_6_2_11_words_about_oneself_are_refused(
    client: Client, password: str
) -> None:
    client.fill_in(4)
    password = password.replace("A123456789", LIN.national_id)
    form = {"password": password, "again": password, "hint": "", "present": PASSWORD}
    answer = client.save("/teacher/password", **form)
    assert answer.status_code == 422
    assert "密碼不可含有" in answer.text


# resets and codes


def test_asvs_6_4_2_the_hint_is_on_no_page(client: Client) -> None:
    client.fill_in(2)
    form = {"password": PASSWORD, "again": PASSWORD, "hint": "那一天的白鷺鷥"}
    client.save("/teacher/password", **form)
    client.save("/teacher/person", **person_form())
    client.save("/teacher/person/code", code=client.code())
    link = reset_link(client)
    assert client.mailed("reset")[-1]["hint"] == form["hint"]  # there, and only there
    for path in ("/teacher/", "/teacher/password", "/teacher/own-data", link):
        assert form["hint"] not in client.get(path).text
    wrong = client.another().sign_in(LIN, "not this one")
    assert form["hint"] not in wrong.text


def test_asvs_6_4_3_a_link_alone_opens_nothing(client: Client) -> None:
    client.fill_in(4)
    link = reset_link(client)
    thief = client.elsewhere()
    assert "連結" in thief.get(link).text or thief.get(link).status_code == 200
    fresh = {"password": "another morning", "again": "another morning"}
    assert thief.post(link, **fresh).status_code == 422
    assert thief.post(link, **fresh, **thief.answer(CHEN)).status_code == 422
    assert thief.get("/teacher/notices").headers["location"] == "/teacher/"
    done = client.another()
    assert "密碼已重設" in done.post(link, **fresh, **done.answer(LIN)).text
    assert done.get("/teacher/notices").headers["location"] == "/teacher/"


def test_asvs_6_5_1_a_link_and_a_code_count_once(client: Client) -> None:
    client.fill_in(4)
    used = client.code()
    again = client.save("/teacher/person/code", code=used)
    assert again.status_code in (303, 422)
    link, fresh = reset_link(client), {"password": "x" * 9, "again": "x" * 9}
    fresh = {"password": "another morning", "again": "another morning"}
    done = client.another()
    assert "密碼已重設" in done.post(link, **fresh, **done.answer(LIN)).text
    replay = client.another()
    third = {"password": "a third morning", "again": "a third morning"}
    assert replay.post(link, **third, **replay.answer(LIN)).status_code == 422
    assert client.another().sign_in(LIN, "another morning").status_code == 303


def test_asvs_6_5_2_and_6_5_4_only_digests_of_secrets_are_kept(client: Client) -> None:
    client.fill_in(4)
    token = reset_link(client).rpartition("/")[2]
    client.save(
        "/teacher/person", **person_form(email="n@example.org"), present=PASSWORD
    )
    code = client.code()
    made = staff_cards.host_head(client)
    stored = {row[0] for row in rows(client, "select token from reset")}
    stored |= {row[0] for row in rows(client, "select code from mail_code")}
    stored |= {row[0] for row in rows(client, "select enrol from staff")}
    letters = made.code.replace("-", "")
    digests = {hashlib.sha256(t.encode()).digest() for t in (token, code, letters)}
    assert digests <= stored
    assert len(token) >= 22  # 128 bits
    assert re.fullmatch(r"\d{8}", code)  # 26 bits, five tries, a quarter of an hour
    assert len(letters) == 16  # 80 bits


def test_asvs_6_5_5_a_link_lives_ten_minutes(client: Client) -> None:
    client.fill_in(4)
    link = reset_link(client)
    client.clock.move(minutes=10)
    late = client.another()
    fresh = {"password": "another morning", "again": "another morning"}
    assert late.post(link, **fresh, **late.answer(LIN)).status_code == 422


# sessions


@pytest.fixture
def host(client: Client) -> tuple[Client, Telephone]:
    browser = client.another()
    code = staff_cards.host_head(client).code
    return browser, staff_cards.enrol(browser, "host", SHI, code)


def test_asvs_7_2_1_to_7_2_3_tokens(
    client: Client, host: tuple[Client, Telephone]
) -> None:
    """Random, of 256 bits, known to the database by their digests; others are none."""
    client.sign_in(LIN)
    site = client.site.settings
    held = {
        "session": str(client.http.cookies.get(site.cookie)),
        "staff_session": str(host[0].http.cookies.get(site.staff_cookie)),
    }
    for table, token in held.items():
        assert re.fullmatch(r"[\w-]{43}", token)
        digests = {row[0] for row in rows(client, f"select token from {table}")}
        assert hashlib.sha256(token.encode()).digest() in digests
        assert token.encode() not in digests
    stranger = client.another()
    for value in ("", "x", "A" * 43, held["session"][:-1], held["session"].lower()):
        stranger.http.cookies.set(site.cookie, value, domain="tas.test")
        stranger.http.cookies.set(site.staff_cookie, value, domain="tas.test")
        assert stranger.get("/teacher/notices").headers["location"] == "/teacher/"
        assert stranger.get("/host/home").headers["location"] == "/host/"


def test_asvs_7_3_2_eight_hours_end_it_for_staff(
    host: tuple[Client, Telephone],
) -> None:
    browser, _ = host
    for _turn in range(24):
        browser.clock.move(minutes=20)
        assert browser.get("/host/account").status_code == 200
    browser.clock.move(minutes=1)
    assert browser.get("/host/account").headers["location"] == "/host/"


def test_asvs_7_4_3_a_reset_ends_all_sessions(client: Client) -> None:
    client.fill_in(4)
    other = client.another()
    other.sign_in(LIN, PASSWORD)
    link, done = reset_link(client), client.another()
    fresh = {"password": "another morning", "again": "another morning"}
    done.post(link, **fresh, **done.answer(LIN))
    for browser in (client, other):
        assert browser.get("/teacher/notices").headers["location"] == "/teacher/"


def test_asvs_7_5_1_another_address_needs_the_password(client: Client) -> None:
    client.fill_in(4)
    moved = person_form(email="thief@example.org")
    for present in ("", "not it"):
        answer = client.save("/teacher/person", **moved, present=present)
        assert answer.status_code == 422
    assert client.application().email == "lin@example.org"
    assert client.save("/teacher/person", **moved, present=PASSWORD).status_code == 303
    assert client.application().email == "lin@example.org"  # until the code is here


# uploads


def test_asvs_5_3_2_the_name_of_a_file_leads_nowhere(client: Client) -> None:
    desk = county_desk(client)
    data = client.site.settings.data
    before = sorted(data.parent.rglob("*"))
    for name in (
        "../../evil.ods",
        "/tmp/evil.ods",
        "..\\evil.ods",
        "a\x00b.ods",
        "x" * 999,
    ):
        file = {"file": (name, io.BytesIO(b"MZ no spreadsheet"))}
        form = {"table": "roster", "mode": "add"}
        answer = desk.http.post("/city/tables", data=form, files=file)
        assert answer.status_code == 422
        assert "evil" not in answer.text
    assert sorted(data.parent.rglob("*")) == before


# faults


async def _fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise RuntimeError("secret detail /srv/jiepin select * from account")


def test_asvs_16_5_4_whatever_fails_the_answer_tells_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every address is made to fail, for those who look and those who post."""
    routes = [route for route in client.app.router.routes if isinstance(route, Route)]
    assert len(routes) > 100
    caplog.set_level(logging.CRITICAL)
    for route in routes:
        monkeypatch.setattr(route, "app", _fails)
        path = re.sub(r"\{[^}]*\}", "13", route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            answer = client.http.request(method, path)
            assert answer.status_code == 500, path
            for word in ("secret", "Traceback", "RuntimeError", "select *", "/srv"):
                assert word not in answer.text, (path, word)
            assert re.search("<code>[0-9a-f]{8}</code>", answer.text), path
            assert "content-security-policy" in answer.headers


def test_asvs_16_2_5_what_a_fault_says_is_not_logged(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object) -> None:
        raise ValueError(f"bad value {LIN.national_id} for {PASSWORD}")

    monkeypatch.setattr("jiepin.web.teacher.door.practice_cards", fail)
    assert client.get("/teacher/").status_code == 500
    caplog.handler.setFormatter(logs.Json())
    written = "\n".join(caplog.handler.format(record) for record in caplog.records)
    assert "ValueError" in written
    assert LIN.national_id not in written
    assert PASSWORD not in written


# the log and the audit


@settings(max_examples=50)
@given(st.text(), st.text())
def test_asvs_16_4_1_one_line_for_each_entry(words: str, name: str) -> None:
    """Whatever stands in a message: no second entry can be made to look like one."""
    entry = logging.LogRecord(name, 30, "", 0, "%s", (words,), None)
    line = logs.Json().format(entry)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert json.loads(line)["message"] == words


def test_asvs_16_2_1_to_16_2_4_entries_say_when_where_who_and_what(
    client: Client,
) -> None:
    client.sign_in(LIN)
    record = logging.LogRecord("jiepin.web.app", 20, "", 0, "x", (), None)
    line = json.loads(logs.Json().format(record))
    assert line.keys() == {"time", "level", "logger", "message"}
    assert line["time"].endswith("+00:00")

    async def newest(site: Site) -> audit.Entry:
        async with site.database.reading() as db:
            [[account]] = await db.execute_fetchall("select id from account")
            return (await audit.of_object(db, account))[-1]

    entry = client.call(newest)
    assert entry.at == client.clock.now()
    assert entry.action == "first-sign-in"
    assert entry.actor == str(rows(client, "select id from account")[0][0])
    assert entry.at.utcoffset() == timedelta()


def test_asvs_16_3_1_sign_ins_and_failures_are_in_the_audit(
    client: Client, host: tuple[Client, Telephone]
) -> None:
    client.fill_in(3)
    client.another().sign_in(LIN, "wrong")
    client.another().sign_in(LIN, PASSWORD)
    browser, telephone = host
    staff_cards.sign_in(browser, "host", SHI, "000000")
    browser.clock.move(minutes=1)
    staff_cards.sign_in(browser, "host", SHI, telephone.code())
    found = actions(client)
    for action in ("first-sign-in", "sign-in-refused", "sign-in", "staff-sign-in"):
        assert action in found, found
    assert found.count("sign-in-refused") == 2


def test_asvs_16_3_2_who_asks_for_what_is_not_his_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jiepin")
    clerk = county_desk(client, "clerk")
    assert clerk.get("/city/staff").status_code == 404
    assert clerk.post("/city/applications/another/save").status_code == 404
    told = [record.getMessage() for record in caplog.records]
    assert f"absent: GET /city/staff for {clerk.actor.account}" in told
    where = "/city/applications/{id}/save"
    assert f"absent: POST {where} for {clerk.actor.account}" in told


def test_asvs_16_3_3_what_goes_around_the_controls_is_logged(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jiepin")
    foreign = {"sec-fetch-site": "cross-site"}
    client.http.post("/teacher/sign-in", headers=foreign)
    client.http.get("/teacher/", headers={"host": "evil.example"})
    told = [record.getMessage() for record in caplog.records]
    assert "refused: made by another site" in told
    assert "refused: meant for another host" in told
    assert "evil" not in str(told)
