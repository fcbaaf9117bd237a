"""Signing in: throttle, challenges, sessions, first sign-in, and the vault."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from practice_round import (
    CHEN,
    CLOSES,
    LIN,
    PASSWORD,
    STRANGER,
    Client,
    person_form,
    teacher,
    with_site,
)

from jiepin.web import access, accounts
from jiepin.web.demo import Person
from jiepin.web.passwords import Busy, Passwords
from jiepin.web.rotation import seal_again
from jiepin.web.site import Site
from jiepin.web.store import accounts as store
from jiepin.web.store import applications, audit
from jiepin.web.vault import BadKeys, NotSealedHere, Vault, digest

COOKIE = "__Host-sid"


# signing in


def test_asvs_6_3_3_first_sign_in_is_for_the_roster_alone(client: Client) -> None:
    assert client.sign_in(STRANGER).status_code == 422
    assert client.sign_in(LIN).headers["location"] == "/teacher/"

    async def actions(site: Site) -> list[str]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall("select action, county from audit")
        return [tuple(row) for row in rows]

    assert ("first-sign-in", "12") in client.call(actions)


def test_first_sign_in_ends_with_the_period(client: Client) -> None:
    client.clock.set(CLOSES)
    assert "目前不在填報期間" in client.sign_in(LIN).text


def test_without_a_password_nobody_comes_past_step_2(client: Client) -> None:
    client.fill_in(2)
    assert client.get("/teacher/person").headers["location"] == "/teacher/password"


def test_asvs_2_4_1_five_failures_lock_for_fifteen_minutes(client: Client) -> None:
    client.fill_in(3)
    other = client.another()
    for _ in range(5):
        assert "密碼不符" in other.sign_in(LIN, "wrong one").text
    locked = other.sign_in(LIN, PASSWORD)
    assert "密碼錯誤次數過多，請於 115年4月20日 09:15:00 後再試" in locked.text
    client.clock.move(minutes=15)
    assert other.sign_in(LIN, PASSWORD).status_code == 303


def test_asvs_2_4_1_others_are_not_locked_with_one(client: Client) -> None:
    client.fill_in(3)
    other = client.another()
    for _ in range(6):
        other.sign_in(LIN, "wrong one")
    assert other.sign_in(CHEN).status_code == 303


def test_asvs_2_4_1_a_success_starts_the_count_again(client: Client) -> None:
    client.fill_in(3)
    other = client.another()
    for _ in range(3):
        for _ in range(4):
            other.sign_in(LIN, "wrong one")
        assert other.sign_in(LIN, PASSWORD).status_code == 303


def test_asvs_2_4_1_one_address_is_slowed(client: Client) -> None:
    client.call(many_failures)
    assert "此網路位址登入失敗次數過多" in client.sign_in(CHEN).text
    client.clock.move(minutes=1)
    assert client.sign_in(CHEN).status_code == 303


async def many_failures(site: Site) -> None:
    for _ in range(accounts.ADDRESS_FAILURES):
        await accounts.count_failure(site, "testclient", "")


def test_many_wrong_passwords_at_once_are_counted_too(client: Client) -> None:
    client.fill_in(3)

    async def storm(site: Site) -> int:
        lookup = site.vault.lookup(115, LIN.level, LIN.national_id).hex()
        tries = [
            accounts.take_attempt(site, f"account:{lookup}", "1.2.3.4")
            for _ in range(20)
        ]
        done = await asyncio.gather(*tries, return_exceptions=True)
        return sum(answer is None for answer in done)

    assert client.call(storm) == accounts.FAILURES


def test_asvs_2_4_1_resets_from_one_address_are_slowed(client: Client) -> None:
    client.call(many_failures)
    form = {"level": LIN.level, "confirmed": "yes"}
    slowed = client.post("/teacher/forgot", **form, **client.answer(LIN))
    assert "此網路位址登入失敗次數過多" in slowed.text


def test_asvs_6_4_3_a_reset_writes_the_same_for_unknown_people(client: Client) -> None:
    client.fill_in(4)

    async def written(site: Site) -> int:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(
                "select 1 from audit where action = 'reset-asked'"
            )
        return len(list(rows))

    form = {"level": LIN.level, "confirmed": "yes"}
    for number, person in enumerate((LIN, STRANGER), 1):
        client.post("/teacher/forgot", **form, **client.answer(person))
        assert client.call(written) == number


def test_the_present_password_cannot_be_tried_for_long(client: Client) -> None:
    client.fill_in(4)
    client.clock.move(minutes=1)
    fresh = {"password": "another morning", "again": "another morning", "hint": ""}
    for _ in range(accounts.FAILURES):
        wrong = client.save("/teacher/password", **fresh, present="wrong one")
        assert "目前密碼不符" in wrong.text
    locked = client.save("/teacher/password", **fresh, present=PASSWORD)
    assert "密碼錯誤次數過多" in locked.text
    moved = person_form(email="new@example.org")
    assert (
        "密碼錯誤次數過多"
        in client.save("/teacher/person", **moved, present=PASSWORD).text
    )
    client.clock.move(minutes=15)
    assert client.save("/teacher/person", **moved, present=PASSWORD).status_code == 303


def test_codes_cannot_be_mailed_to_the_whole_world(client: Client) -> None:
    client.fill_in(3)
    for number in range(10):
        form = person_form(email=f"victim{number}@example.org")
        last = client.save("/teacher/person", **form)
    assert len(client.mailed("mail-code")) == accounts.CODES
    assert "後再重新寄送" in last.text


def test_asvs_6_3_7_the_address_learns_of_a_new_password_and_address(
    client: Client,
) -> None:
    client.fill_in(4)
    fresh = {"password": "another morning", "again": "another morning", "hint": ""}
    client.save("/teacher/password", **fresh, present=PASSWORD)
    assert client.mailed("password-changed")[-1]["to"] == "lin@example.org"
    moved = person_form(email="new@example.org")
    client.save("/teacher/person", **moved, present="another morning")
    client.save("/teacher/person/code", code=client.code())
    assert client.mailed("email-changed")[-1]["to"] == "lin@example.org"


def test_a_reset_under_way_is_not_undone_by_the_old_password(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash changes while the old password is being checked, and is an old hash."""
    client.fill_in(3)
    passwords = client.app.state.passwords
    check = passwords.matches

    async def meanwhile(stored: str | None, password: str) -> bool:
        right: bool = await check(stored, password)
        async with client.site.database.writing() as db:
            await db.execute("update account set password = 'the new one'")
        return right

    monkeypatch.setattr(passwords, "matches", meanwhile)
    monkeypatch.setattr(passwords, "outdated", lambda _stored: True)
    assert client.another().sign_in(LIN, PASSWORD).status_code == 422
    fresh = {"password": "another morning", "again": "another morning", "hint": ""}
    late = client.save("/teacher/password", **fresh, present=PASSWORD)
    assert late.status_code == 422  # wrong by now

    async def stored(site: Site) -> str:
        async with site.database.reading() as db:
            [[password]] = await db.execute_fetchall("select password from account")
        return str(password)

    assert client.call(stored) == "the new one"


def test_a_save_of_step_2_does_not_undo_a_reset(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, saved = await teacher(site)
        with pytest.raises(applications.ChangedElsewhere):
            await applications.save_password(site, actor, saved.version, "mine", "")

    with_site(tmp_path, work)


def test_a_change_of_the_password_does_not_undo_a_reset(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash changes after the present password was found right."""
    client.fill_in(3)
    passwords = client.app.state.passwords
    hash_ = passwords.hash

    async def meanwhile(password: str) -> str:
        async with client.site.database.writing() as db:
            await db.execute("update account set password = 'the new one'")
        hashed: str = await hash_(password)
        return hashed

    monkeypatch.setattr(passwords, "hash", meanwhile)
    late = client.save("/teacher/password", **FRESH, present=PASSWORD)
    assert late.status_code == 422
    assert "目前密碼不符" in late.text
    assert client.mailed("password-changed") == []


# the password is no part of the application once there is one

FRESH = {"password": "another morning", "again": "another morning", "hint": "dawn"}


def test_a_new_password_makes_no_new_version(client: Client) -> None:
    client.fill_in(4)
    before = client.application()
    client.save("/teacher/password", **FRESH, present=PASSWORD)
    assert client.application() == before
    assert client.call(actions)[-1] == "password-changed"
    assert len(client.mailed("password-changed")) == 1


async def actions(site: Site) -> list[str]:
    async with site.database.reading() as db:
        rows = await db.execute_fetchall("select action from audit order by id")
    return [row["action"] for row in rows]


def test_the_password_can_change_after_the_period(client: Client) -> None:
    client.fill_in(4)
    client.clock.set(CLOSES)
    client.sign_in(LIN, PASSWORD)
    assert "<button>儲存" in client.get("/teacher/password").text
    assert (
        client.save("/teacher/password", **FRESH, present=PASSWORD).status_code == 303
    )
    assert client.another().sign_in(LIN, "another morning").status_code == 303


def test_the_password_can_change_after_the_approval(client: Client) -> None:
    client.fill_in(5)
    client.call(approve)
    assert (
        client.save("/teacher/password", **FRESH, present=PASSWORD).status_code == 303
    )
    assert client.another().sign_in(LIN, "another morning").status_code == 303


async def approve(site: Site) -> None:
    async with site.database.writing() as db:
        await db.execute("update application set state = 'approved'")


def test_what_is_approved_shows_no_buttons_to_save(client: Client) -> None:
    client.fill_in(5)
    client.call(approve)
    for path in ("person", "appointment"):
        page = client.get(f"/teacher/{path}").text
        assert "<button>儲存" not in page
        assert "申請已完成審核，資料僅供查閱" in page
        assert "目前不在填報期間" not in page


# what the card says


class LinForged(Person):
    """Somebody else's data under the national ID of LIN."""

    @property
    def national_id(self) -> str:
        return LIN.national_id


def test_the_newest_card_counts_until_there_is_a_password(client: Client) -> None:
    wrong = LinForged("林不明", "F", date(1970, 1, 1), LIN.level, LIN.county, LIN.place)
    assert client.another().sign_in(wrong).status_code == 303
    client.sign_in(LIN)
    account = client.application().account
    assert client.call(lambda site: accounts.identity(site, account)) == (
        LIN.national_id,
        LIN.birth_date.isoformat(),
    )
    saved = client.application()
    assert (saved.sex, saved.card_name) == (LIN.sex, LIN.name)


def test_a_sign_in_without_a_password_ends_the_one_before(client: Client) -> None:
    client.sign_in()
    assert client.get("/teacher/notices").status_code == 200
    owner = client.elsewhere()
    owner.sign_in()
    assert owner.get("/teacher/notices").status_code == 200
    assert client.get("/teacher/notices").headers["location"] == "/teacher/"


def test_another_birthday_is_refused_once_there_is_a_password(client: Client) -> None:
    client.fill_in(4)
    other = replace(LIN, birth_date=date(1970, 1, 1))
    refused = client.another().sign_in(other, PASSWORD)
    assert refused.status_code == 422
    assert "無法登入：密碼不符，或您不在本階段別的介聘名冊中" in refused.text
    assert client.call(last_entry) == ("", "sign-in-refused", '{"other_birthday":true}')
    assert client.another().sign_in(LIN, PASSWORD).status_code == 303


def test_another_birthday_resets_no_password(client: Client) -> None:
    client.fill_in(4)
    other = replace(LIN, birth_date=date(1970, 1, 1))
    form = {"level": LIN.level, "confirmed": "yes"}
    client.another().post("/teacher/forgot", **form, **client.another().answer(other))
    thief = client.another()
    said = thief.post("/teacher/forgot", **form, **thief.answer(other))
    assert "重設密碼的信已寄出" in said.text
    assert client.mailed("reset") == []
    client.post("/teacher/forgot", **form, **client.answer(LIN))
    link = client.mailed("reset")[-1]["link"].removeprefix("https://tas.test")
    fresh = {"password": "another morning", "again": "another morning"}
    assert "連結已失效" in thief.post(link, **fresh, **thief.answer(other)).text


async def last_entry(site: Site) -> tuple[str, ...]:
    async with site.database.reading() as db:
        rows = await db.execute_fetchall(
            "select actor, action, detail from audit order by id desc limit 1"
        )
    [entry] = rows
    return tuple(entry)


# too many at once


def test_who_was_not_checked_is_not_counted(client: Client) -> None:
    client.fill_in(3)
    passwords, other = client.app.state.passwords, client.another()
    for _ in range(accounts.FAILURES - 1):
        other.sign_in(LIN, "wrong one")
    client.app.state.passwords = Passwords(most_waiting=0)
    for _ in range(accounts.FAILURES):
        assert other.sign_in(LIN, PASSWORD).status_code == 503
    client.app.state.passwords = passwords
    assert other.sign_in(LIN, PASSWORD).status_code == 303


def test_the_present_password_is_not_counted_unchecked(client: Client) -> None:
    client.fill_in(4)
    passwords = client.app.state.passwords
    client.app.state.passwords = Passwords(most_waiting=0)
    for _ in range(accounts.FAILURES + 1):
        busy = client.save("/teacher/password", **FRESH, present=PASSWORD)
        assert busy.status_code == 503
    client.app.state.passwords = passwords
    assert (
        client.save("/teacher/password", **FRESH, present=PASSWORD).status_code == 303
    )


def test_a_lock_that_is_over_is_not_counted_again(tmp_path: Path) -> None:
    async def work(site: Site) -> int:
        now = site.clock.now()
        async with site.database.writing() as db:
            await store.count_failure(db, "k", now, now)
            await store.refuse_until(db, "k", now)
            await store.count_failure(db, "k", now, now - accounts.LOCK)
            await store.take_back(db, "k", accounts.FAILURES, now)
            return await store.count_failure(db, "k", now, now - accounts.LOCK)

    assert with_site(tmp_path, work) == 1


# challenges


def test_an_answer_counts_once(client: Client) -> None:
    fields = {"level": LIN.level, "password": "", **client.answer(LIN)}
    assert client.post("/teacher/sign-in", **fields).status_code == 303
    client.post("/teacher/sign-out")
    assert "已逾時" in client.post("/teacher/sign-in", **fields).text


def test_an_answer_is_good_for_a_minute(client: Client) -> None:
    answer = client.answer(LIN)
    client.clock.move(seconds=60)
    late = client.post("/teacher/sign-in", level=LIN.level, **answer)
    assert "已逾時" in late.text


def test_an_answer_to_another_session_is_refused(client: Client) -> None:
    answer = client.another().answer(LIN)
    client.post("/teacher/challenge")
    stolen = client.post("/teacher/sign-in", level=LIN.level, **answer)
    assert "健保卡讀取結果無法辨識" in stolen.text


def test_a_practice_card_is_refused_in_production(client: Client) -> None:
    answer = client.answer(LIN, source="replay")
    refused = client.post("/teacher/sign-in", level=LIN.level, **answer)
    assert "正式網站不接受練習卡" in refused.text
    refused = client.post("/teacher/sign-in", level=LIN.level, practice="0")
    assert refused.status_code == 422


# sessions


def test_asvs_7_2_4_signing_in_makes_a_new_session(client: Client) -> None:
    answer = client.answer(LIN)
    planted = client.http.cookies[COOKIE]
    client.post("/teacher/sign-in", level=LIN.level, **answer)
    assert client.http.cookies[COOKIE] != planted
    thief = client.another()
    thief.http.cookies.set(COOKIE, planted)
    assert thief.get("/teacher/notices").headers["location"] == "/teacher/"


def test_asvs_7_4_1_signing_out_ends_the_session(client: Client) -> None:
    client.sign_in()
    thief = client.another()
    thief.http.cookies.set(COOKIE, client.http.cookies[COOKIE])
    client.post("/teacher/sign-out")
    assert thief.get("/teacher/notices").headers["location"] == "/teacher/"


def test_asvs_7_3_1_half_an_hour_of_silence_ends_it(client: Client) -> None:
    client.sign_in()
    for _ in range(3):
        client.clock.move(minutes=29)
        assert client.get("/teacher/notices").status_code == 200
    client.clock.move(minutes=30, seconds=1)
    assert client.get("/teacher/notices").status_code == 303


def test_asvs_7_3_2_eight_hours_end_it(client: Client) -> None:
    client.sign_in()
    for _ in range(24):
        client.clock.move(minutes=20)
        assert client.get("/teacher/notices").status_code == 200
    client.clock.move(minutes=1)
    assert client.get("/teacher/notices").status_code == 303


def test_being_seen_reaches_the_database_later(client: Client) -> None:
    client.sign_in()
    client.clock.move(minutes=20)
    client.get("/teacher/notices")

    async def flush(site: Site) -> int:
        await accounts.flush(site, client.app.state.presence)
        async with site.database.reading() as db:
            [[seen]] = await db.execute_fetchall(
                "select seen from session where account is not null"
            )
        return seen

    assert client.call(flush) == int(client.clock.now().timestamp()) * 1000


def test_asvs_7_4_3_a_new_password_ends_the_other_sessions(client: Client) -> None:
    client.fill_in(3)
    other = client.another()
    other.sign_in(LIN, PASSWORD)
    fresh = {"password": "another morning", "again": "another morning", "hint": ""}
    client.save("/teacher/password", **fresh, present=PASSWORD)
    assert client.get("/teacher/person").status_code == 200
    assert other.get("/teacher/person").headers["location"] == "/teacher/"


def test_only_a_digest_of_the_cookie_is_kept(client: Client) -> None:
    client.sign_in()

    async def tokens(site: Site) -> list[bytes]:
        async with site.database.reading() as db:
            return [
                row[0] for row in await db.execute_fetchall("select token from session")
            ]

    assert digest(client.http.cookies[COOKIE]) in client.call(tokens)


# access


def test_nobody_sees_or_changes_what_is_not_his(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        lin, of_lin = await teacher(site, LIN)
        chen, of_chen = await teacher(site, CHEN)
        now = site.clock.now()
        for action in ("see", "edit", "print", "export", "notify"):
            assert access.can(lin, action, of_lin, now)
            assert not access.can(lin, action, of_chen, now)
            assert not access.can(chen, action, of_lin, now)
            assert not access.can(access.NOBODY, action, of_lin, now)
            assert not access.can(
                access.Actor("county", county="12"), action, of_lin, now
            )
            assert access.can(lin, action, of_lin, CLOSES) == (action != "edit")
            early = now - timedelta(days=2)
            assert access.can(lin, action, of_lin, early) == (action != "edit")

    with_site(tmp_path, work)


def test_two_teachers_never_see_each_other(client: Client) -> None:
    client.fill_in(4)
    client.save(
        "/teacher/person",
        name="林記號",
        phone1="07-7654321",
        phone2="",
        email="lin@example.org",
    )
    other = client.another()
    other.sign_in(CHEN)
    for path in ("notices", "password", "own-data"):
        page = other.get(f"/teacher/{path}").text
        assert "林記號" not in page
        assert LIN.national_id not in page


# passwords


def test_asvs_11_4_2_how_passwords_are_kept() -> None:
    async def work() -> None:
        passwords = Passwords()
        stored = await passwords.hash(PASSWORD)
        assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await passwords.matches(stored, PASSWORD)
        assert not await passwords.matches(stored, "another")
        assert not await passwords.matches(None, "nobody has this password")

    asyncio.run(work())


def test_a_crowd_is_asked_to_come_back() -> None:
    async def work() -> list[object]:
        passwords = Passwords(most_waiting=3)
        tries = [passwords.matches(None, "x") for _ in range(6)]
        return await asyncio.gather(*tries, return_exceptions=True)

    answers = asyncio.run(work())
    assert [type(answer) for answer in answers] == [bool] * 3 + [Busy] * 3


def test_busy_is_a_friendly_page(client: Client) -> None:
    client.app.state.passwords = Passwords(most_waiting=0)
    answer = client.sign_in()
    assert answer.status_code == 503
    assert "請稍候" in answer.text


# the vault


@given(st.text(), st.text(), st.text())
def test_asvs_11_3_3_what_is_sealed_opens_in_its_place_alone(
    text: str, row: str, other: str
) -> None:
    sealed = VAULT.seal(text, "a.b", row)
    assert VAULT.open(sealed, "a.b", row) == text
    assert text.encode() not in sealed or len(text) < 3
    if other != row:
        with pytest.raises(NotSealedHere):
            VAULT.open(sealed, "a.b", other)


VAULT = Vault.new()


def test_keys_survive_their_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    vault = Vault.new()
    vault.write(file)
    assert os.stat(file).st_mode & 0o777 == 0o600
    sealed = vault.seal("x", "a.b", "1")
    again = Vault.read(file)
    assert again.open(sealed, "a.b", "1") == "x"
    assert again.lookup(115, "elementary", "A1") == vault.lookup(
        115, "elementary", "A1"
    )


def test_keys_are_in_no_message_and_in_no_open_file(tmp_path: Path) -> None:
    assert repr(VAULT) == "Vault()"
    left = tmp_path / "keys.json.new"
    left.touch(0o644)
    VAULT.write(tmp_path / "keys.json")
    assert os.stat(tmp_path / "keys.json").st_mode & 0o777 == 0o600


def test_bad_key_files(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with pytest.raises(BadKeys, match="keys create"):
        Vault.read(file)
    file.write_text("{}")
    os.chmod(file, 0o644)
    with pytest.raises(BadKeys, match="chmod 600"):
        Vault.read(file)
    os.chmod(file, 0o600)
    with pytest.raises(BadKeys, match="not a key file"):
        Vault.read(file)


def test_rotation_seals_everything_again(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, _ = await teacher(site)
        rotated = site.vault.rotated()
        assert await seal_again(site.database, rotated) >= 2
        assert await seal_again(site.database, rotated) == 0
        newest = rotated.only_newest()
        async with site.database.reading() as db:
            national_id, _ = await store.sealed_identity(db, actor.account)
            assert (await audit.chain(db)).broken is None
        opened = newest.open(national_id, "account.national_id", actor.account)
        assert opened == LIN.national_id
        with pytest.raises(NotSealedHere):
            site.vault.open(national_id, "account.national_id", actor.account)

    with_site(tmp_path, work)
