"""The county's own log, how far its notices are, and help for who cannot sign in."""

from __future__ import annotations

import io
import zipfile

import pytest
from practice_round import CHEN, LIN, PASSWORD, Client, Page, teacher
from review_desk import file, open_record, post, record, reviewed, sign_in, stored
from staff_site import county_desk

from jiepin.web.access import Actor
from jiepin.web.documents import spreadsheets
from jiepin.web.site import Site
from jiepin.web.store import accounts, audit, outbox


def shown(desk: Client, path: str) -> str:
    return " ".join(Page(desk.get(path).text).text.split())


def write(client: Client, statement: str, **values: object) -> None:
    async def do(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(statement, values)

    client.call(do)


def test_c11_the_log_of_the_own_county(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    line = shown(desk, "/city/audit")
    assert "county clerk（承辦人）開啟申請資料林小明" in line
    assert "申請人完成申請林小明" in line
    other = county_desk(client, county="13")
    assert "沒有符合的紀錄" in shown(other, "/city/audit")
    assert "沒有這個電腦編號的申請" in shown(other, f"/city/audit?of={id_}")


def test_c11_other_levels_are_not_named(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client, levels=("junior-high",))
    page = shown(desk, "/city/audit")
    assert "完成申請" in page
    assert "林小明" not in page
    assert "沒有這個電腦編號" in shown(desk, f"/city/audit?of={id_}")


def test_c11_filters_of_the_log(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    write(client, "update application set number = '1220001'")
    client.clock.move(days=1)
    desk = county_desk(client)
    open_record(desk, id_, also="yes")
    day = "2026-04-21"
    for query, n in {
        "?action=opened": 2,
        "?action=sheet-checked": 1,
        "?action=opened&since=" + day: 1,
        "?action=opened&until=2026-04-20": 1,
        f"?since={day}&until={day}": 1,
        "?since=2026-04-22": 0,
        "?since=nonsense&action=opened": 2,
        "?of=1220001&action=opened": 2,
        "?of=1229999": 0,
    }.items():
        assert desk.get("/city/audit" + query).text.count("<tr><td>") == n, query


def test_c11_the_log_has_pages(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jiepin.web.county.audit.ON_A_PAGE", 3)
    file(client)
    desk = county_desk(client)
    page = desk.get("/city/audit").text
    assert 'href="/city/audit?first=3"' in page
    assert desk.get("/city/audit?first=3").text.count("<tr><td>") == 3


@pytest.mark.parametrize("kind", ["ods", "xlsx", "csv"])
def test_c11_the_log_as_a_table(client: Client, kind: str) -> None:
    desk, _id = reviewed(client, "clerk")
    answer = desk.post(f"/city/audit/{kind}?action=opened")
    assert "attachment" in answer.headers["content-disposition"]
    if kind == "csv":
        lines = answer.content.decode("utf-8-sig").splitlines()
        assert lines[0] == "時間,使用者,動作,申請人,版本"
        assert "林小明" in lines[1]
    else:
        assert zipfile.is_zipfile(io.BytesIO(answer.content))
        [sheet] = spreadsheets.read(answer.content)
        assert len(sheet.rows) == 1
        assert sheet.rows[0][3] == "林小明"
    line = shown(desk, "/city/audit?action=audit-exported")
    assert "county clerk（承辦人）下載異動紀錄" in line
    before = client.digest()
    assert desk.post("/city/audit/exe").status_code == 404
    assert desk.get(f"/city/audit/{kind}").status_code == 405
    assert client.digest() == before


def test_n05_the_county_sees_which_notices_failed(client: Client) -> None:
    desk, id_ = reviewed(client)
    post(desk, id_, "return", **{"return-reason": "缺件"})

    async def fail(site: Site) -> None:
        async with site.database.reading() as db:
            [[number]] = await db.execute_fetchall(
                "select id from outbox where event = 'returned'"
            )
        await outbox.failed(site, number, "no such mailbox", None)

    client.call(fail)
    assert "未能送達的通知<b>1</b>" in desk.get("/city/home").text
    page = shown(desk, "/city/audit/notices?state=failed")
    assert "林小明退回補正電子郵件未能送達" in page
    assert "共 1 筆" in page
    assert "退回補正電子郵件未能送達" in shown(desk, record(id_))
    other = county_desk(client, county="13")
    assert "沒有符合的通知" in shown(other, "/city/audit/notices")


# help with signing in


def locked(client: Client) -> Actor:
    """Lock the teacher's account at every computer, as failures at the door do."""

    async def lock(site: Site) -> Actor:
        actor, _found = await teacher(site, CHEN)
        now = site.clock.now()
        lookup = site.vault.lookup(115, CHEN.level, CHEN.national_id).hex()
        computer = f"account:{lookup}:{'ab' * 32}"
        keys = (f"account:{lookup}", computer, f"present:{actor.account}")
        async with site.database.writing() as db:
            await db.execute("delete from throttle")
            for key in (*keys, "address:10.0.0.0/24", "account:" + "00" * 32):
                await accounts.count_failure(db, key, now, now)
                until = now.replace(hour=now.hour + 1)
                await accounts.refuse_until(db, key, until)
        return actor

    return client.call(lock)


def throttles(client: Client) -> set[str]:
    async def read(site: Site) -> set[str]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall("select key from throttle")
        return {key for (key,) in rows}

    return client.call(read)


CHENS = "application of " + CHEN.name


def test_c11_a_lock_is_lifted_with_a_reason(client: Client) -> None:
    locked(client)
    desk = county_desk(client, "clerk")
    assert "鎖定至 115年4月20日 10:00:00" in shown(desk, record(CHENS))
    before = client.digest()
    assert help_with(desk, "unlock", "").status_code == 422
    assert help_with(desk, "nothing", "x").status_code == 422
    assert client.digest() == before
    assert help_with(desk, "unlock", "本人來電").status_code == 303
    assert throttles(client) == {"address:10.0.0.0/24", "account:" + "00" * 32}
    page = shown(desk, record(CHENS))
    assert "未鎖定" in page
    assert "解除登入鎖定" in page
    assert "本人來電" in page


def help_with(desk: Client, what: str, reason: str, **more: str):  # type: ignore[no-untyped-def]
    form = {"help": what, "help-reason": reason} | more
    return desk.post(record(CHENS, "help"), **form)


def test_c11_a_locked_teacher_gets_in_again(client: Client) -> None:
    client.fill_in(4)
    for _try in range(6):
        client.another().sign_in(LIN, "wrong")
        client.elsewhere().sign_in(LIN, "wrong")
    assert client.another().sign_in(LIN, PASSWORD).status_code != 303
    desk = county_desk(client, "head")
    id_ = client.application().id
    form = {"help": "unlock", "help-reason": "x"}
    assert desk.post(record(id_, "help"), **form).status_code == 303
    write(client, "delete from throttle where key like 'address:%'")
    assert client.another().sign_in(LIN, PASSWORD).status_code == 303


def test_c11_a_link_for_a_new_password_is_mailed(client: Client) -> None:
    locked(client)
    desk = county_desk(client, "head")
    assert help_with(desk, "mail", "本人臨櫃").status_code == 303
    [mail] = client.mailed("reset")
    assert mail["to"] == "lin@example.org"
    assert mail["link"].startswith("https://tas.test/teacher/reset/")
    write(client, "update application set email_confirmed = null")
    before = client.digest()
    assert help_with(desk, "mail", "x").status_code == 422
    assert client.digest() == before


def test_c11_sessions_end_and_a_computer_is_forgotten(client: Client) -> None:
    id_ = file(client)
    sign_in(client)
    desk = county_desk(client, "head")
    url = record(id_, "help")
    assert client.get("/teacher/status").status_code == 200
    desk.post(url, help="sessions", **{"help-reason": "遺失手機"})
    assert client.get("/teacher/status").headers["location"] == "/teacher/"
    sign_in(client)
    key = b"the computer of the test".hex()
    assert f'value="{key}"' in desk.get(record(id_)).text
    for wrong in ("", "zz", "00"):
        form = {"help": "computer", "computer": wrong, "help-reason": "x"}
        assert desk.post(url, **form).status_code == 422
    form = {"help": "computer", "computer": key, "help-reason": "x"}
    assert desk.post(url, **form).status_code == 303
    assert f'value="{key}"' not in desk.get(record(id_)).text
    assert client.get("/teacher/status").headers["location"] == "/teacher/"


def test_c11_the_teacher_sees_what_was_done(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client, "head")
    form = {"help": "unlock", "help-reason": "保密的原因"}
    desk.post(record(id_, "help"), **form)
    sign_in(client)
    page = client.get("/teacher/own-data").text
    assert "<td>高雄市 主管</td><td>解除登入鎖定</td>" in page
    assert stored(client, id_).state == "filed"

    async def whole(site: Site) -> str:
        async with site.database.reading() as db:
            found = await audit.found(db, audit.Search())
        return repr(found)

    assert "保密的原因" not in client.call(whole)


def test_first_sign_ins_are_shown_to_the_county(client: Client) -> None:
    client.sign_in(LIN)
    desk = county_desk(client)
    assert "首次登入" in shown(desk, "/city/audit?action=first-sign-in")
    assert LIN.name in shown(desk, "/city/applications")
