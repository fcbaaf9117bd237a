"""A new computer: the password alone leads to a code sent to the confirmed address."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from practice_round import (
    CHEN,
    CLOSES,
    LIN,
    PASSWORD,
    Client,
    Page,
    appointment_form,
    device_of,
    person_form,
)
from starlette.routing import Route

from jiepin.web import accounts
from jiepin.web.app import ROUTES
from jiepin.web.site import Site

DEVICE, COOKIE = "/teacher/device", "__Host-sid"
OPEN = {"/teacher/help", DEVICE}  # what everybody may see, and the code page
DOORS = {
    "/teacher/challenge",
    "/teacher/sign-in",
    "/teacher/sign-out",
    "/teacher/forgot",
    "/teacher/reset/13",
    DEVICE,
    DEVICE + "/again",
}


def addresses(method: str) -> list[str]:
    """Return the addresses of the teacher's end that take a method."""
    return [
        re.sub(r"\{[^}]*\}", "13", route.path)
        for route in ROUTES
        if isinstance(route, Route)
        and method in (route.methods or ())
        and route.path.startswith("/teacher/")
    ]


@pytest.fixture
def away(client: Client) -> Client:
    """A browser on a new computer that has given the right password."""
    client.fill_in(5)
    away = client.elsewhere()
    assert away.sign_in(LIN, PASSWORD).headers["location"] == "/teacher/"
    return away


def mailed(client: Client) -> str:
    return client.mailed("device-code")[-1]["code"]


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


def actions(client: Client, *names: str) -> list[tuple[str, str]]:
    async def read(site: Site) -> list[tuple[str, str]]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall("select action, detail from audit")
        return [tuple(row) for row in rows if row[0] in names]

    return client.call(read)


def test_a_new_computer_is_asked_for_the_code(away: Client) -> None:
    assert away.get("/teacher/").headers["location"] == DEVICE
    page = Page(away.get(DEVICE).text).text
    assert "l***@example.org" in page
    assert away.mailed("device-code")[-1]["to"] == "lin@example.org"
    done = away.post(DEVICE, code=mailed(away))
    assert done.headers["location"] == "/teacher/wishes"
    assert away.get("/teacher/appointment").status_code == 200


@pytest.mark.parametrize("path", sorted({*addresses("GET")} - OPEN))
def test_until_then_no_page_is_reachable(away: Client, path: str) -> None:
    answer = away.get(path)
    if path.startswith("/teacher/reset/"):
        assert "重設密碼" in answer.text  # needs its own link and card
    elif path.startswith("/teacher/pool/") or path != "/teacher/":
        assert (answer.status_code, answer.headers["location"]) == (303, DEVICE)


@pytest.mark.parametrize("path", sorted({*addresses("POST")} - DOORS))
def test_until_then_nothing_is_saved(away: Client, path: str) -> None:
    before = away.digest()
    fields = appointment_form() | person_form() | {"version": "5"}
    answer = away.post(path, **fields, wish="133601", counties="13")
    assert (answer.status_code, answer.headers["location"]) == (303, DEVICE)
    assert away.digest() == before


def test_until_then_no_page_tells_who_it_is(away: Client) -> None:
    for path in OPEN:
        page = away.http.get(path, follow_redirects=True).text
        for secret in (LIN.name, LIN.national_id, "lin@example.org", "07-1234567"):
            assert secret not in page


def test_the_computer_counts_as_confirmed_afterwards(away: Client) -> None:
    away.post(DEVICE, code=mailed(away))
    away.post("/teacher/sign-out")
    away.sign_in(LIN, PASSWORD)
    assert away.get("/teacher/appointment").status_code == 200
    assert len(away.mailed("device-code")) == 1


def test_asvs_7_2_4_the_code_makes_a_new_session(away: Client) -> None:
    before = away.http.cookies[COOKIE]
    away.post(DEVICE, code=mailed(away))
    assert away.http.cookies[COOKIE] != before
    thief = away.another()
    thief.http.cookies.set(COOKIE, before)
    assert thief.get("/teacher/wishes").headers["location"] == "/teacher/"


def test_the_first_computer_is_confirmed_with_the_address(client: Client) -> None:
    client.fill_in(4)
    assert client.get("/teacher/appointment").status_code == 200
    client.post("/teacher/sign-out")
    client.sign_in(LIN, PASSWORD)
    assert client.get("/teacher/appointment").status_code == 200


def test_without_a_confirmed_address_nobody_is_asked(client: Client) -> None:
    client.fill_in(3)
    away = client.elsewhere()
    away.sign_in(LIN, PASSWORD)
    assert away.get("/teacher/person").status_code == 200


def test_a_confirmed_address_asks_other_computers_at_once(client: Client) -> None:
    client.fill_in(3)
    away = client.elsewhere()
    away.sign_in(LIN, PASSWORD)
    client.save("/teacher/person", **person_form())
    client.save("/teacher/person/code", code=client.code())
    assert away.get("/teacher/person").headers["location"] == DEVICE
    assert "重新寄送" in away.get(DEVICE).text
    away.post(DEVICE + "/again")
    assert away.post(DEVICE, code=mailed(away)).status_code == 303


def test_a_computer_is_confirmed_for_one_account_alone(client: Client) -> None:
    client.fill_in(4)
    chen = client.elsewhere()
    chen.fill_in(4, CHEN)
    swapped = client.another()
    swapped.device = chen.device
    swapped.sign_in(LIN, PASSWORD)
    assert swapped.get("/teacher/").headers["location"] == DEVICE


def test_a_new_password_keeps_the_computer(client: Client) -> None:
    client.fill_in(4)
    fresh = {"password": "another morning", "again": "another morning", "hint": ""}
    client.save("/teacher/password", **fresh, present=PASSWORD)
    assert client.get("/teacher/appointment").status_code == 200


def test_a_reset_confirms_the_computer(client: Client) -> None:
    client.fill_in(4)
    away = client.elsewhere()
    form = {"level": LIN.level, "confirmed": "yes"}
    away.post("/teacher/forgot", **form, **away.answer(LIN))
    link = client.mailed("reset")[-1]["link"].removeprefix("https://tas.test")
    fresh = {"password": "another morning", "again": "another morning"}
    away.post(link, **fresh, **away.answer(LIN))
    away.sign_in(LIN, "another morning")
    assert away.get("/teacher/appointment").status_code == 200
    assert away.mailed("device-code") == []


def test_it_works_after_the_deadline(away: Client) -> None:
    away.clock.set(CLOSES + timedelta(days=1))
    away.sign_in(LIN, PASSWORD)
    assert away.post(DEVICE, code=mailed(away)).status_code == 303
    assert away.get("/teacher/appointment").status_code == 200


# the code


def test_five_wrong_codes_end_it(away: Client) -> None:
    code = mailed(away)
    for _ in range(accounts.CODE_TRIES):
        refused = away.post(DEVICE, code=wrong(code))
        assert refused.status_code == 422
    assert "驗證碼不符或已失效" in Page(refused.text).text
    assert away.post(DEVICE, code=code).status_code == 422


def test_the_code_ends_after_fifteen_minutes(away: Client) -> None:
    code = mailed(away)
    away.clock.move(minutes=15)
    assert away.post(DEVICE, code=code).status_code == 422


def test_another_code_after_a_minute(away: Client) -> None:
    first = mailed(away)
    early = away.post(DEVICE + "/again")
    assert early.status_code == 422
    assert "後再重新寄送" in early.text
    away.clock.move(minutes=1)
    assert away.post(DEVICE + "/again").headers["location"] == DEVICE
    assert away.post(DEVICE, code=first).status_code == 422
    assert away.post(DEVICE, code=mailed(away)).status_code == 303


def test_asvs_6_6_2_a_code_is_good_on_its_own_computer_alone(away: Client) -> None:
    code = mailed(away)
    third = away.elsewhere()
    third.sign_in(LIN, PASSWORD)
    assert third.post(DEVICE, code=code).status_code == 422
    assert away.post(DEVICE, code=code).status_code == 303


def test_many_new_computers_get_few_codes(away: Client) -> None:
    for _ in range(10):
        away.elsewhere().sign_in(LIN, PASSWORD)
    assert len(away.mailed("device-code")) == accounts.CODES
    late = away.elsewhere()
    late.sign_in(LIN, PASSWORD)
    assert "重新寄送" in late.get(DEVICE).text
    late.clock.move(minutes=15)
    late.sign_in(LIN, PASSWORD)
    assert len(away.mailed("device-code")) == accounts.CODES + 1


def test_a_code_for_a_new_address_confirms_no_computer(client: Client) -> None:
    client.fill_in(5)
    away = client.elsewhere()
    away.sign_in(LIN, PASSWORD)
    client.clock.move(minutes=1)
    moved = person_form(email="new@example.org")
    client.save("/teacher/person", **moved, present=PASSWORD)
    assert away.post(DEVICE, code=client.code()).status_code == 422
    assert away.post(DEVICE, code=mailed(away)).status_code == 303


def test_a_code_mailed_to_the_old_address_is_over(client: Client) -> None:
    client.fill_in(5)
    client.clock.move(minutes=1)
    moved = person_form(email="new@example.org")
    client.save("/teacher/person", **moved, present=PASSWORD)
    away = client.elsewhere()
    away.sign_in(LIN, PASSWORD)
    client.save("/teacher/person/code", code=client.code())
    assert away.post(DEVICE, code=mailed(away)).status_code == 422


def test_the_waiting_session_ends(away: Client) -> None:
    thief = away.another()
    thief.http.cookies.set(COOKIE, away.http.cookies[COOKIE])
    away.post("/teacher/sign-out")
    assert thief.post(DEVICE, code=mailed(away)).headers["location"] == "/teacher/"
    away.sign_in(LIN, PASSWORD)
    away.clock.move(minutes=30, seconds=1)
    assert away.get(DEVICE).headers["location"] == "/teacher/"


def test_the_code_page_is_for_those_who_wait_alone(client: Client) -> None:
    assert client.get(DEVICE).headers["location"] == "/teacher/"
    assert client.post(DEVICE, code="00000000").headers["location"] == "/teacher/"
    client.fill_in(4)
    assert client.get(DEVICE).headers["location"] == "/teacher/"
    assert client.post(DEVICE + "/again").headers["location"] == "/teacher/"


# the audit


def test_every_new_computer_is_in_the_audit(away: Client) -> None:
    away.post(DEVICE, code=wrong(mailed(away)))
    away.post(DEVICE, code=mailed(away))
    away.post("/teacher/sign-out")
    away.sign_in(LIN, PASSWORD)
    assert actions(away, "sign-in", "device-refused", "device-confirmed") == [
        ("sign-in", '{"code_asked":true,"new_device":true}'),
        ("device-refused", "{}"),
        ("device-confirmed", "{}"),
        ("sign-in", '{"code_asked":false,"new_device":false}'),
    ]


# the throttle


def test_nobody_locks_a_confirmed_computer_from_afar(client: Client) -> None:
    client.fill_in(4)
    client.post("/teacher/sign-out")
    attacker = client.elsewhere()
    for _ in range(6):
        locked = attacker.sign_in(LIN, "wrong one")
    assert "密碼錯誤次數過多" in locked.text
    assert "密碼錯誤次數過多" in client.elsewhere().sign_in(LIN, PASSWORD).text
    assert client.sign_in(LIN, PASSWORD).status_code == 303
    assert client.get("/teacher/appointment").status_code == 200
    assert "密碼錯誤次數過多" in client.elsewhere().sign_in(LIN, PASSWORD).text


def test_a_neighbour_slows_no_confirmed_computer(client: Client) -> None:
    client.fill_in(4)

    async def fail(site: Site) -> None:
        for _ in range(accounts.ADDRESS_FAILURES):
            await accounts.count_failure(site, "testclient", "")

    client.call(fail)
    assert "此網路位址登入失敗" in client.elsewhere().sign_in(LIN, PASSWORD).text
    assert client.another().sign_in(LIN, PASSWORD).status_code == 303


def test_a_confirmed_computer_is_locked_for_itself(client: Client) -> None:
    client.fill_in(4)
    other = client.another()
    for _ in range(5):
        other.sign_in(LIN, "wrong one")
    assert "密碼錯誤次數過多" in other.sign_in(LIN, PASSWORD).text
    assert client.elsewhere().sign_in(LIN, PASSWORD).status_code == 303


def test_the_page_speaks_english(away: Client) -> None:
    away.post("/language", language="en", back=DEVICE)
    page = Page(away.get(DEVICE).text).text
    assert "Confirm this computer" in page
    assert "A code was sent to l***@example.org" in " ".join(page.split())


def test_devices_differ(client: Client) -> None:
    assert device_of(client.elsewhere()) != device_of(client)
    assert device_of(client.another()) == device_of(client)
