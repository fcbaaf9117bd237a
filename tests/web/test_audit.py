"""The audit: followed to its first broken entry, exported, searched, told by shell."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice_round import LIN, Client, running, with_site
from staff_site import county_desk, host_desk

from jiepin.web.cli import main
from jiepin.web.documents import spreadsheets
from jiepin.web.site import Site
from jiepin.web.store import audit

ZEROS = "00" * 32


def shell(*words: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, words)])


def tamper(folder: Path, change: str) -> None:
    """Change the audit as somebody could who has the file."""
    with sqlite3.connect(folder / "jiepin.db") as db:
        db.execute("drop trigger if exists audit_not_changed")
        db.execute("drop trigger if exists audit_not_deleted")
        db.execute(change)
    db.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose site has stopped, with six entries."""

    async def fill(site: Site) -> None:
        for n in range(6):
            async with site.database.writing() as db:
                await audit.add(
                    db, site.clock.now(), "a1", "sign-in", "x", "12", {"n": n}
                )

    with_site(tmp_path, fill)
    return tmp_path


def test_a_whole_audit_is_told_with_its_last_digest(folder: Path) -> None:
    done = shell("verify", "--data", folder)
    assert done.exit_code == 0
    assert "異動紀錄完整，共 6 筆" in done.output
    assert "6 entries" in done.output


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("update audit set actor = 'x' where id = 3", 3),
        ("update audit set detail = '{}' where id = 1", 1),
        ("update audit set at = at + 1 where id = 6", 6),
        ("update audit set digest = zeroblob(32) where id = 2", 2),
        ("delete from audit where id = 4", 5),
        ("update audit set id = 16 where id = 6", 16),
        ("delete from audit where id = 1", 2),
        ("update audit set at = 9000000000000000000 where id = 5", 5),
        (
            "insert into audit select 7, at, actor, action, object, county, detail, "
            "digest from audit where id = 6",
            7,
        ),
    ],
)
def test_asvs_16_4_2_the_first_broken_entry_is_named(
    folder: Path, change: str, broken: int
) -> None:
    tamper(folder, change)
    done = shell("verify", "--data", folder)
    assert done.exit_code == 1
    assert f"編號 {broken} 起不符" in done.stderr
    assert f"entry {broken} of " in done.stderr
    assert "'sign-in'" in done.stderr


def test_it_is_verified_while_the_site_runs(tmp_path: Path) -> None:
    with running(tmp_path / "site") as client:
        client.fill_in(3)
        done = shell("verify", "--data", tmp_path / "site")
        assert done.exit_code == 0, done.output
        assert "共 0 筆" not in done.output
        client.save("/teacher/notices")  # and the site writes on


def test_an_export_proves_itself(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    assert shell("export", "--data", folder, file).exit_code == 0
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3, 4, 5, 6]
    done = shell("verify", "--file", file)
    assert done.exit_code == 0
    assert lines[-1]["digest"] in done.output
    assert "Traceback" not in shell("export", "--data", folder, file).output
    assert shell("export", "--data", folder, file).exit_code == 2  # never over one

    lines[2]["actor"] = "x"
    text = "".join(audit.canonical(line) + "\n" for line in lines)
    file.write_text(text, "utf-8")
    done = shell("verify", "--file", file)
    assert done.exit_code == 1
    assert "編號 3 起不符" in done.stderr


def test_entries_taken_off_the_end_show_against_an_export(
    folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "audit.jsonl"
    shell("export", "--data", folder, file)
    both = ("verify", "--data", folder, "--file", file)
    assert shell(*both).exit_code == 0
    tamper(folder, "delete from audit where id = 6")
    assert shell("verify", "--data", folder).exit_code == 0  # the chain alone is whole
    done = shell(*both)
    assert done.exit_code == 1
    assert "6 筆紀錄已不在資料庫中" in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{}\n", "line 1"),
        (b"not json\n", "line 1"),
        (b"\xff\xfe\n", "utf-8"),
        (b'["a"]\n', "line 1"),
        (b'{"digest": "zz"}\n', "line 1"),
    ],
)
def test_a_file_that_is_no_export_is_told(
    tmp_path: Path, content: bytes, told: str
) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    done = shell("verify", "--file", file)
    assert done.exit_code == 2
    assert "不是異動紀錄的匯出檔" in done.stderr
    assert told in done.stderr


@given(st.binary(max_size=200))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_file_gets_a_verdict_or_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.jsonl"
    file.write_bytes(content)
    assert shell("verify", "--file", file).exit_code in (0, 2)


def test_wrong_arguments(tmp_path: Path) -> None:
    assert shell("verify").exit_code == 2
    assert shell("verify", "--data", tmp_path).exit_code == 2
    assert shell("verify", "--file", tmp_path / "none").exit_code == 2
    assert shell("export", "--data", tmp_path, tmp_path / "x").exit_code == 2


def test_an_empty_audit_is_whole(tmp_path: Path) -> None:
    async def nothing(_site: Site) -> None:
        return None

    with_site(tmp_path, nothing)
    done = shell("verify", "--data", tmp_path)
    assert done.exit_code == 0
    assert ZEROS in done.output


# the page


def test_the_host_sees_everything_and_searches(client: Client) -> None:
    client.fill_in(3)
    host = host_desk(client, "reviewer")
    page = host.get("/host/audit").text
    assert "首次登入" in page
    assert "同意注意事項" in page
    assert "國小" in page
    page = host.get("/host/audit?action=notices").text
    assert "共 1 筆" in page
    assert "共 1 筆" in host.get("/host/audit?action=notices&county=12").text
    for nothing in ("county=13", "until=2020-01-01", "of=9999999"):
        assert "沒有符合的紀錄" in host.get(f"/host/audit?{nothing}").text
    assert host.get("/host/audit?since=x&first=-3&county=%27").status_code == 200
    host.post("/language", language="en", back="/host/audit")
    assert "Elementary school (no number yet)" in host.get("/host/audit").text


def test_no_person_stands_in_it(client: Client) -> None:
    client.fill_in(5)
    host = host_desk(client)
    everything = host.get("/host/audit").text + host.get("/host/audit/chain.jsonl").text
    for personal in (LIN.name, LIN.national_id, "07-1234567", "lin@example.org"):
        assert personal not in everything


def test_the_page_says_whether_the_chain_holds(client: Client) -> None:
    client.fill_in(3)
    host = host_desk(client)
    assert "紀錄完整" in host.get("/host/audit?check=1").text

    async def tampered(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("drop trigger audit_not_changed")
            await db.execute("update audit set actor = 'x' where id = 2")

    client.call(tampered)
    page = host.get("/host/audit?check=1").text
    assert "第 2 筆與寫入時不符" in page
    assert "紀錄完整" not in page


def test_the_whole_chain_is_downloaded_and_verified(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jiepin.web.host.audit.AT_ONCE", 2)
    client.fill_in(4)
    answer = host_desk(client).get("/host/audit/chain.jsonl")
    assert "attachment" in answer.headers["content-disposition"]
    file = tmp_path / "audit.jsonl"
    file.write_bytes(answer.content)
    done = shell("verify", "--data", client.site.settings.data, "--file", file)
    assert done.exit_code == 0, done.output


def test_what_was_found_is_a_table(client: Client) -> None:
    client.fill_in(3)
    host = host_desk(client)
    content = host.get("/host/audit/table/ods?action=notices").content
    [sheet] = spreadsheets.read(content)
    assert [row[3] for row in sheet.rows] == ["同意注意事項"]
    assert host.get("/host/audit/table/exe").status_code == 404


def test_it_is_paged(client: Client) -> None:
    async def many(site: Site) -> None:
        async with site.database.writing() as db:
            for _ in range(60):
                await audit.add(db, site.clock.now(), "system", "published")

    client.call(many)
    host = host_desk(client)
    assert "下一頁" in host.get("/host/audit").text
    last = host.get("/host/audit?first=50").text
    assert "下一頁" not in last
    assert "上一頁" in last


def test_pages_are_there_before_there_is_a_round(client: Client) -> None:
    async def clear(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("delete from window")
            await db.execute("delete from round")

    client.call(clear)
    host = host_desk(client)
    for page in ("audit?check=1", "dropouts", "corrections", "archive"):
        assert host.get(f"/host/{page}").status_code == 200, page
    assert host.get("/host/archive/115").status_code == 404
    assert host.get("/host/dropouts/1").status_code == 404
    assert host.get("/host/dropouts/x").status_code == 404
    assert county_desk(client).get("/city/dropouts").status_code == 200


def test_a_county_does_not_see_that_of_all(client: Client) -> None:
    desk = county_desk(client)
    for path in ("/host/audit", "/host/audit/chain.jsonl", "/host/audit/table/csv"):
        assert desk.get(path).headers["location"] == "/host/"
