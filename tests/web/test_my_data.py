"""Everything held about a teacher, as a file, and who has opened the record."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from practice_round import LIN, PASSWORD, Client, person_form
from public_result import decide, publish

from jiepin.web.site import Site
from jiepin.web.store import audit, notices

# What a table holds about a teacher, and where the file tells of it. A new table with
# personal data fails the test below until it is told of here.
TOLD = {
    "account": "account",
    "bar": "review",
    "correction": "review",
    "dropout": "review",
    "review_check": "review",
    "review_event": "review",
    "run_move": "result",
    "snapshot_teacher": "review",
    "application": "application",
    "application_version": "versions",
    "audit": "history",
    "device": "account",
    "line_link": "notices",
    "mail_code": "account",
    "notify_choice": "notices",
    "outbox": "notices",
    "points": "points_in_hundredths",
    "result": "result",
    "roster": "account",
    "session": "account",
    "wish": "application",
    "wish_draft": "unsaved_draft",
}
SHORT_LIVED = {"challenge", "reset", "throttle", "upload"}  # end within the hour
NOBODYS = {"round", "window", "county", "subject", "area", "school", "school_subject"}
NOBODYS |= {"vacancy", "round_county", "points_limit", "window_change"}
OF_STAFF = {"staff", "staff_session", "staff_enrolment", "review_open", "approval"}
OF_THE_ROUND = {"snapshot", "run", "publication"}


def download(client: Client) -> dict[str, Any]:
    answer = client.post("/teacher/own-data.json")
    assert answer.headers["content-type"] == "application/json"
    assert "attachment" in answer.headers["content-disposition"]
    table: dict[str, Any] = json.loads(answer.content)
    return table


def test_every_table_is_told_of(client: Client) -> None:
    async def tables(site: Site) -> set[str]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(
                "select name from sqlite_master where type = 'table'"
            )
        return {row["name"] for row in rows}

    assert client.call(tables) == (
        TOLD.keys() | SHORT_LIVED | NOBODYS | OF_STAFF | OF_THE_ROUND
    )
    client.fill_in(5)
    assert set(TOLD.values()) <= download(client).keys()


def test_what_was_filled_in_comes_back(client: Client) -> None:
    client.fill_in(5)
    table = download(client)
    assert table["person"]["national_id"] == LIN.national_id
    assert table["person"]["birth_date"] == LIN.birth_date.isoformat()
    assert table["application"]["name"] == "林小明"
    assert table["application"]["phone1"] == "07-1234567#89"
    assert table["application"]["email"] == "lin@example.org"
    assert table["application"]["school"] == "123601"
    versions = [one["version"] for one in table["versions"]]
    assert versions == list(range(2, client.application().version + 1))
    assert table["account"]["sessions"]
    assert table["account"]["computers"]
    assert [one["event"] for one in table["notices"]["sent"]] == ["mail-code"]


def test_address_still_to_be_proved(client: Client) -> None:
    client.fill_in(4)
    client.clock.move(minutes=1)
    moved = person_form(email="new@example.org")
    client.save("/teacher/person", **moved, present=PASSWORD)
    assert download(client)["account"]["email_to_prove"] == "new@example.org"


def test_secrets_are_told_of_and_not_told(client: Client) -> None:
    client.fill_in(4)
    fresh = {"password": "another morning", "again": "another morning"}
    client.save("/teacher/password", **fresh, hint="my dog", present=PASSWORD)
    answer = client.post("/teacher/own-data.json")
    assert download(client)["account"]["hint_set"]
    assert download(client)["account"]["password_set"]
    for secret in ("my dog", "argon2", PASSWORD, "another morning"):
        assert secret not in answer.text


def test_line_and_choices(client: Client) -> None:
    client.fill_in(4)
    application = client.application().id

    async def link(site: Site) -> None:
        async with site.database.writing() as db:
            now = site.clock.now()
            await notices.link_line(db, site.vault, application, "U1", now)
            await notices.save_unwanted(db, application, [("mail", "result")])

    client.call(link)
    found = download(client)["notices"]
    assert found["line_linked"] == "2026-04-20T01:00:00+00:00"
    assert found["turned_off"] == [{"channel": "mail", "kind": "result"}]


def test_result_stays_hidden_before_it_is_published(client: Client) -> None:
    client.fill_in(5)
    now = client.clock.now()
    publish(client, now + timedelta(minutes=5))
    decide(client, ("mutual", "133602", "E01", 2))
    answer = client.post("/teacher/own-data.json")
    assert json.loads(answer.content)["result"] is None
    assert "133602" not in answer.text
    client.clock.move(minutes=5)
    assert download(client)["result"]["school"] == "133602"


def test_own_data_waits_for_a_confirmed_address(client: Client) -> None:
    client.fill_in(3)
    assert 'href="/teacher/own-data"' not in client.get("/teacher/person").text
    assert client.get("/teacher/own-data").headers["location"] == "/teacher/person"
    before = client.digest()
    refused = client.post("/teacher/own-data.json")
    assert refused.headers["location"] == "/teacher/person"
    assert client.digest() == before


def test_nobody_is_named_before_any_proof(client: Client) -> None:
    client.fill_in(4)
    client.another().sign_in(LIN, "wrong one")
    away = client.elsewhere()
    away.sign_in(LIN, PASSWORD)
    away.post("/teacher/device", code="no such code")
    away.post("/teacher/device", code=away.mailed("device-code")[-1]["code"])
    reset = {"level": LIN.level, "confirmed": "yes"}
    client.another().post("/teacher/forgot", **reset, **client.another().answer(LIN))
    page = client.get("/teacher/own-data").text
    for line in (
        "<td>未確認身分者</td><td>登入失敗</td>",
        "<td>未確認身分者</td><td>新電腦驗證碼錯誤</td>",
        "<td>您本人</td><td>確認新電腦</td>",
    ):
        assert line in page
    client.http.cookies.set("__Host-lang", "en")
    page = client.get("/teacher/own-data").text
    for line in (
        "<td>not confirmed</td><td>Failed sign-in</td>",
        "<td>not confirmed</td><td>Wrong code for a new computer</td>",
        "<td>Confirmed a new computer</td>",
    ):
        assert line in page


def test_who_opened_the_record_is_shown(client: Client) -> None:
    client.fill_in(4)
    application = client.application()

    async def opened(site: Site) -> None:
        async with site.database.writing() as db:
            now = site.clock.now()
            await audit.add(db, now, "officer 7", "opened", application.id, "12")

    client.call(opened)
    assert "officer 7" in client.get("/teacher/own-data").text
    history = download(client)["history"]
    assert {"who": "officer 7", "what": "opened"}.items() <= history[-2].items()
    assert history[-1]["what"] == "exported"
