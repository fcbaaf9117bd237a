"""The end of a round: nothing personal is left, what is left can be run again."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from practice_round import Client, running
from published_round import TEACHERS, Frozen, frozen_round, solve_folder
from staff_site import county_desk, host_desk

from jiepin.web.access import Role
from jiepin.web.site import Site
from jiepin.web.store import audit, database, outbox
from jiepin.web.store.archive import NAMES, PURGED
from jiepin.web.vault import digest

RETAINED = 365
KEPT = {"bar", "audit"}  # tables that go by ids of the purged, and stay
# what identifies, written where each of them stands
SENTINELS = {
    "name": "甲乙丙丁名字",
    "phone1": "07-7654321",
    "phone2": "0999000111",
    "email": "sentinel@example.net",
    "review_note": "家訪紀錄甲",
    "reason": "戶籍遷出甲",
}


def published(client: Client) -> Frozen:
    """Publish the small round, and write what is personal all over it."""
    found = frozen_round(client)
    found.approve()
    found.publish()
    found.tend()
    changes = ", ".join(f"{name} = :{name}" for name in SENTINELS)
    client.call(lambda site: plant(site, changes))
    return found


async def plant(site: Site, changes: str) -> None:
    person = TEACHERS[0]
    async with site.database.writing() as db:
        await db.execute(
            "update application set " + changes + " where id = :id",
            SENTINELS | {"id": person.application},
        )
        await db.execute(
            "insert into application_version values (:id, 9, 0, 'filed', '', :name)",
            SENTINELS | {"id": person.application},
        )
        await db.execute(
            "update account set card_name = :name where id = :account",
            SENTINELS | {"account": person.account},
        )
        await db.execute(
            "update points set note = :name where application = :id",
            SENTINELS | {"id": person.application},
        )
        message = outbox.Message(
            "mail", "result", person.application, "12", 99, {"to": SENTINELS["email"]}
        )
        await outbox.add(db, site.vault, message, site.clock.now())
        await db.execute(
            "insert into line_link values (:id, :user, 0)",
            {"id": person.application, "user": b"sealed"},
        )
        await db.execute(
            "insert into roster values (115, 'elementary', x'aa', '12', null)"
        )


def later(client: Client, role: Role = "head", days: int = RETAINED) -> Client:
    """Let the retention time pass, and sit down again."""
    client.clock.move(days=days)
    return host_desk(client, role)


def purged(client: Client) -> Client:
    published(client)
    host = later(client)
    done = host.post("/host/archive/115", year="115")
    assert done.status_code == 303, done.text
    return host


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("jiepin.db*")}


def everything(content: dict[str, bytes]) -> bytes:
    return b"".join(content.values())


def test_nothing_personal_is_left_in_the_files(client: Client) -> None:
    published(client)
    folder = client.site.settings.data
    before = everything(files_of(folder))
    for name, text in SENTINELS.items():
        assert text.encode() in before, name
    host = later(client)
    assert host.post("/host/archive/115", year="115").status_code == 303
    files = files_of(folder)
    assert files["jiepin.db-wal"] == b""
    for name, text in SENTINELS.items():
        assert text.encode() not in everything(files), name


def test_what_somebody_still_reads_is_told_and_goes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 50)
    with running(tmp_path) as client:
        published(client)
        host = later(client)
        with closing(sqlite3.connect(tmp_path / "jiepin.db")) as reading:
            reading.execute("begin")
            reading.execute("select * from account").fetchall()
            done = host.post("/host/archive/115", year="115")
            page = host.get(done.headers["location"]).text
            assert "已刪除的內容可能還留在檔案裡" in page
            assert SENTINELS["email"].encode() in everything(files_of(tmp_path))
        again = host.post("/host/archive/115/compact")
        assert "可能還留在" not in host.get(again.headers["location"]).text
        assert SENTINELS["email"].encode() not in everything(files_of(tmp_path))


def test_no_table_holds_anything_of_the_year(client: Client) -> None:
    """Whatever table points to an account or an application, also a future one."""
    purged(client)

    async def left(site: Site) -> dict[str, int]:
        found = {}
        async with site.database.reading() as db:
            tables = await db.execute_fetchall(
                "select name from sqlite_master where type = 'table'"
            )
            for (table,) in tables:
                keys = await db.execute_fetchall(
                    "select 1 from pragma_table_info(:table) "
                    "where name in ('account', 'application')",
                    {"table": table},
                )
                if table in PURGED or (keys and table not in KEPT):
                    count = await db.execute_fetchall(f'select count(*) from "{table}"')
                    found[table] = next(iter(count))[0]
        return found

    found = client.call(left)
    assert PURGED.keys() <= found.keys()
    assert not any(found.values()), found


def test_every_purged_table_has_its_name() -> None:
    assert NAMES.keys() == PURGED.keys()


def test_the_archive_runs_again_and_names_nobody(
    client: Client, tmp_path: Path
) -> None:
    host = purged(client)
    answer = host.get("/host/archive/115/file")
    assert answer.headers["content-type"] == "application/zip"
    content = zipfile.ZipFile(io.BytesIO(answer.content))
    content.extractall(tmp_path)
    kept = tmp_path / "archive-115"
    seed = json.loads((kept / "result" / "summary.json").read_text("utf-8"))["seed"]
    solve_folder(kept / "round", tmp_path / "again", seed)
    for name in ("assignments.csv", "exchanges.csv"):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (kept / "result" / name).read_bytes()
        assert again == (kept / "after-dropouts" / name).read_bytes()
    summary = json.loads((kept / "summary.json").read_text("utf-8"))
    assert summary["year"] == 115
    assert {"county": "12", "level": "elementary", "state": "approved", "count": 2} in (
        summary["applications"]
    )
    told = b"".join(content.read(name) for name in content.namelist())
    personal = [text for one in TEACHERS for text in (one.person.national_id,)]
    for text in (*SENTINELS.values(), *personal, "1985-03-09"):
        assert text.encode() not in told


def test_who_dropped_out_is_counted_in_what_is_kept(client: Client) -> None:
    found = published(client)
    form = {"number": "1220001", "kind": "gave-up", "reason": "x", "days": "1"}
    url = found.host.post("/host/dropouts", **form).headers["location"]
    desk = county_desk(client)
    desk.post(url.replace("/host/", "/city/"), answer="none")
    found.host.post(url + "/apply")
    host = later(client)
    refused = host.post("/host/archive/115", year="115")
    assert refused.status_code == 422
    assert "尚未確定" in refused.text
    host.post(url + "/finish")
    assert host.post("/host/archive/115", year="115").status_code == 303
    answer = host.get("/host/archive/115/file")
    content = zipfile.ZipFile(io.BytesIO(answer.content))
    after = content.read("archive-115/after-dropouts/assignments.csv").decode()
    assert "1220001,,,123601,E01," in after
    summary = json.loads(content.read("archive-115/summary.json"))
    assert summary["dropped_out"] == [
        {"kind": "gave-up", "count": 1, "seats_opened": 0}
    ]
    bars = found.sql("select year from bar")
    assert bars == [(115,)]  # ten years, by HMAC alone


def test_it_waits_for_its_time(client: Client) -> None:
    found = published(client)
    page = found.host.get("/host/archive/115").text
    assert "保存期限未到" in page
    assert "封存並清除個人資料</button>" not in page
    before = client.digest()
    refused = found.host.post("/host/archive/115", year="115")
    assert refused.status_code == 422
    assert client.digest() == before
    assert not (client.site.settings.data / "rounds/115/archive-115.zip").exists()
    host = later(client, days=RETAINED - 1)
    assert host.post("/host/archive/115", year="115").status_code == 422
    host = later(client, days=1)
    assert "保存期限已過" in host.get("/host/archive").text
    assert host.post("/host/archive/115", year="115").status_code == 303


def test_the_dry_run_tells_how_much_goes(client: Client) -> None:
    published(client)
    page = later(client).get("/host/archive/115").text
    assert "將刪除的資料筆數" in page
    assert "帳號與身分資料" in page
    assert "備份" in page


@pytest.mark.parametrize("typed", ["", "114", "yes"])
def test_the_year_has_to_be_typed(client: Client, typed: str) -> None:
    published(client)
    host = later(client)
    before = client.digest()
    refused = host.post("/host/archive/115", year=typed)
    assert refused.status_code == 422
    assert "請輸入 115 以確認" in refused.text
    assert client.digest() == before


def test_a_head_of_the_host_alone(client: Client) -> None:
    published(client)
    for desk in (later(client, "clerk"), host_desk(client, "reviewer")):
        before = client.digest()
        assert desk.get("/host/archive").status_code == 404
        assert desk.post("/host/archive/115", year="115").status_code == 404
        assert desk.get("/host/archive/115/file").status_code == 404
        assert "封存與清除" not in desk.get("/host/audit").text
        assert client.digest() == before


def test_the_audit_stays_whole_and_tells_of_it(client: Client) -> None:
    purged(client)

    async def read(site: Site) -> audit.Link:
        async with site.database.reading() as db:
            assert (await audit.chain(db)).broken is None
            [link] = await audit.found(db, audit.Search(action="archived"))
        return link

    detail = json.loads(client.call(read).detail)
    assert detail["year"] == 115
    assert detail["rows"] > 20


def test_afterwards(client: Client) -> None:
    host = purged(client)
    page = host.get("/host/archive/115").text
    assert "個人資料已於" in page
    assert "封存並清除個人資料</button>" not in page
    assert host.post("/host/archive/115/compact").status_code == 303
    kept = host.get("/host/archive/115/file").content
    again = host.post("/host/archive/115", year="115")
    assert again.status_code == 422
    assert "已經清除" in again.text
    assert host.get("/host/archive/115/file").content == kept
    for path in ("/host/results", "/host/dropouts", "/host/corrections", "/host/audit"):
        assert host.get(path).status_code == 200
    assert host.get("/host/archive/99").status_code == 404
    # whoever was signed in is nobody any more
    browser = client.another()
    browser.http.cookies.set(client.site.settings.cookie, "x", domain="tas.test")
    assert browser.get("/teacher/status").status_code == 303


def test_another_year_is_not_touched(client: Client) -> None:
    published(client)

    async def next_year(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(
                "insert into round (year, organiser, notices_version, max_counties, "
                "max_subjects, max_choices) values (116, 'x', 1, 2, 3, 0)"
            )
            await db.execute(
                "insert into account select 'new', 116, level, lookup, county, "
                "national_id, birth_date, sex, card_name, card_name_certain, null, "
                "null, 0, null from account limit 1"
            )
            await db.execute(
                "insert into session values (:token, 'new', 0, 0, null)",
                {"token": digest("x")},
            )

    client.call(next_year)
    host = later(client)
    assert host.post("/host/archive/115", year="115").status_code == 303

    async def left(site: Site) -> list[str]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall("select id from account")
            sessions = await db.execute_fetchall("select account from session")
        return [row[0] for row in (*rows, *sessions)]

    assert client.call(left) == ["new", "new"]


def test_a_round_that_was_never_published_is_purged_after_its_schedule(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as client:
        client.fill_in(5)
        host = later(client, days=RETAINED + 30)
        assert host.post("/host/archive/115", year="115").status_code == 303
        answer = host.get("/host/archive/115/file")
        names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert not any("round/" in name for name in names)
    assert b"07-1234567" not in everything(files_of(tmp_path))
