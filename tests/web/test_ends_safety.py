"""What staff and the public may ask of the ends with ill intent, or by mistake."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from practice_round import CHEN, LIN, Client
from published_round import Frozen, frozen_round
from staff_site import county_desk, host_desk

from jiepin.web import downloads
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.downloads import csv_of
from jiepin.web.site import Site
from jiepin.web.store import audit, review_lists, round_folder

HUGE = "9" * 5000  # more digits than Python reads as a number


@pytest.fixture
def published(client: Client) -> Frozen:
    found = frozen_round(client)
    found.approve()
    found.publish()
    found.tend()
    return found


@pytest.mark.parametrize("file", ["manifest.json", "round.zip"])
def test_a_number_that_no_database_holds_is_absent(client: Client, file: str) -> None:
    assert client.get(f"/public/snapshots/{'9' * 30}/{file}").status_code == 404


@pytest.mark.parametrize(
    ("path", "fields", "status"),
    [
        ("/host/round/begin", {}, 409),
        ("/host/results/plan", {"run": HUGE, "sure": "yes"}, 422),
        ("/host/results/retract", {"publication": HUGE, "reason": "x"}, 422),
        ("/host/runs/freeze", {"left_out": HUGE, "reason": "x"}, 422),
    ],
)
def test_fields_that_no_form_of_ours_sends_are_no_fault(
    published: Frozen, path: str, fields: dict[str, str], status: int
) -> None:
    assert published.host.post(path, **fields).status_code == status


def test_who_could_not_be_reached_is_told_at_the_own_levels(published: Frozen) -> None:
    published.sql(
        "update outbox set state = 'failed' where application = :id",
        id="application of " + LIN.name,
    )
    desks = {
        level: county_desk(published.client, levels=[level]).get("/city/results").text
        for level in ("elementary", "junior-high")
    }
    assert "1220001" in desks["elementary"]
    assert "1220001" not in desks["junior-high"]
    assert "產生介聘結果" in desks["junior-high"]  # to 王大同


def test_a_name_looked_for_among_the_results_is_in_no_address(
    published: Frozen,
) -> None:
    desk = host_desk(published.client, "clerk")
    found = desk.post("/host/results/list", who=LIN.name)
    assert LIN.name in found.text
    assert CHEN.name not in found.text
    page = desk.get(f"/host/results/list?who={LIN.name}").text
    assert CHEN.name in page  # it narrows nothing
    assert 'method="post" action="/host/results/list"' in page


def test_a_snapshot_is_on_the_disk_with_all_folders_above_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[Path] = []
    monkeypatch.setattr(round_folder, "settle", settled.append)
    folder = tmp_path / "rounds" / "115" / "snapshot-1"
    round_folder.write(folder, {"a.csv": b"a"})
    names_in = [folder, folder.parent, folder.parent.parent, tmp_path]
    assert settled[1:] == names_in  # after the file itself
    settled.clear()
    round_folder.write(folder.with_name("snapshot-2"), {})
    assert settled == [folder.with_name("snapshot-2"), folder.parent]


@pytest.mark.parametrize("sign", "=+-@\t\r\n＝＋－＠")
def test_asvs_1_2_10_no_text_of_a_csv_is_a_formula(sign: str) -> None:
    sheet = Sheet("t", ("a",), [(f"{sign}1",)])
    _head, cell = csv.reader(io.StringIO(csv_of(sheet).decode("utf-8-sig")))
    assert cell == [f"'{sign}1"]


def corrected(frozen: Frozen, state: str):
    """Open 陳美華's application, leave it in a state, close it, and freeze again."""
    application = "application of " + CHEN.name
    frozen.host.post("/host/corrections", number="1220002", reason="誤算")
    statement = "update application set state = :state where id = :id"
    frozen.sql(statement, state=state, id=application)
    frozen.host.post("/host/corrections/close", application=application)
    return frozen.host.post("/host/corrections/freeze", why="誤算")


@pytest.mark.parametrize("state", ["filed", "returned"])
def test_nobody_falls_out_of_a_corrected_round_unseen(
    published: Frozen, state: str
) -> None:
    refused = corrected(published, state)
    assert refused.status_code == 422
    assert "有 1 件原已審核通過的申請" in refused.text
    assert published.sql("select count(*) from snapshot") == [(1,)]


def test_a_corrected_snapshot_tells_how_many_were_never_reviewed(
    published: Frozen,
) -> None:
    published.sql("delete from snapshot_teacher where number = '1420001'")
    published.sql("update application set state = 'filed' where number = '1420001'")
    assert corrected(published, "rejected").status_code == 303
    told = "select left_out, teachers from snapshot order by id desc limit 1"
    assert published.sql(told) == [(1, 3)]


def test_moves_that_have_fallen_already_wait_for_no_county(published: Frozen) -> None:
    host, county = published.host, county_desk(published.client)
    first, second = (
        host.post("/host/dropouts", number=n, kind="gave-up", reason="家庭", days="3")
        for n in ("1220001", "1220002")
    )
    url = first.headers["location"]
    assert host.post(url + "/apply").status_code == 409  # 潘阿妹 would fall
    county.post(url.replace("/host/", "/city/"), answer="none")
    assert host.post(url + "/apply").status_code == 303
    # with 陳美華 nobody falls, whom her county could keep
    assert host.post(second.headers["location"] + "/apply").status_code == 303


def test_what_is_open_for_correction_is_not_open_after_another_freeze(
    client: Client,
) -> None:
    frozen = frozen_round(client)
    frozen.host.post("/host/corrections", number="1220002", reason="誤算")
    refused = frozen.host.post("/host/runs/snapshots/1/withdraw", reason="重來")
    assert refused.status_code == 422
    assert "尚有 1 件申請正在更正" in refused.text
    frozen.host.post("/host/corrections/close", application="application of 陳美華")
    again = frozen.host.post("/host/runs/snapshots/1/withdraw", reason="重來")
    assert again.status_code == 303


def test_a_file_for_everybody_is_written_once_for_all_who_ask(
    published: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = spreadsheets.write

    def counted(kind: spreadsheets.Kind, sheets: Sequence[Sheet]) -> bytes:
        written.append(kind)
        return write(kind, sheets)

    monkeypatch.setattr(spreadsheets, "write", counted)
    everybody = published.client.another()
    first, again = (everybody.get("/public/results.ods").content for _ in range(2))
    assert first == again
    everybody.get("/public/results.xlsx")
    assert written == ["ods", "xlsx"]
    published.sql("update result set school = null where stage = 'one-way'")
    assert everybody.get("/public/results.ods").content != first


def test_files_that_are_kept_are_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(downloads, "MOST_WRITTEN", 1)
    written: list[str] = []

    def write(_kind: spreadsheets.Kind, sheets: Sequence[Sheet]) -> bytes:
        written.append(sheets[0].title)
        return sheets[0].title.encode()

    monkeypatch.setattr(spreadsheets, "write", write)

    async def ask() -> list[bytes]:
        files = downloads.Written()
        sheets = [Sheet(title, (), ()) for title in "aaba"]
        return [await files.file("ods", [sheet]) for sheet in sheets]

    assert asyncio.run(ask()) == [b"a", b"a", b"b", b"a"]
    assert written == ["a", "b", "a"]


def test_who_takes_names_away_is_in_the_audit(published: Frozen) -> None:
    county, clerk = county_desk(published.client), host_desk(published.client, "clerk")
    for desk, path in ((county, "/city/results"), (clerk, "/host/results/list")):
        page = desk.get(path).text
        assert f'formaction="{path}.ods' in page
        assert desk.get(f"{path}.ods").status_code == 405
        assert desk.post(f"{path}.pdf").status_code == 404
        assert LIN.name in desk.post(f"{path}.csv?way=out&county=12").text
    told = "select actor, county, detail from audit where action = 'results-exported'"
    assert published.sql(told) == [
        (county.actor.account, "12", '{"kind":"csv"}'),
        (clerk.actor.account, "", '{"kind":"csv"}'),
    ]
    assert "下載結果名單" in county.get("/city/audit").text


def test_a_new_year_shows_no_notices_of_the_last(published: Frozen) -> None:
    host, county = published.host, county_desk(published.client)
    assert LIN.name in county.get("/city/audit/notices").text
    begun = host.post("/host/round/begin", year="115", confirmed="yes")
    assert begun.status_code == 303
    assert LIN.name not in county.get("/city/audit/notices").text
    assert "產生介聘結果" not in host.get("/host/results").text


def test_whose_entries_of_the_audit_are_is_found_by_index(client: Client) -> None:
    """With 5,000 applications it else takes five seconds of a reader."""

    async def plans(site: Site) -> str:
        told: list[str] = []
        async with site.database.reading() as db:
            ask = db.execute_fetchall

            async def explained(statement: str, keys: dict[str, Any]) -> list[Any]:
                rows = await ask("explain query plan " + statement, keys)
                told.extend(row["detail"] for row in rows)
                return []

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(db, "execute_fetchall", explained)
                await audit.applicants(db, ["x"])
                await review_lists.names_of_objects(db, ["elementary"], ["x"])
        return "\n".join(told)

    found = client.call(plans)
    assert found.count("MULTI-INDEX OR") == 2
    assert "SCAN application" not in found


def test_the_audit_beside_a_snapshot_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, settled = tmp_path / "audit.jsonl", []
    monkeypatch.setattr(round_folder, "settle", settled.append)
    round_folder.write_beside(file, "林\n")
    assert file.read_text("utf-8") == "林\n"
    assert settled == [tmp_path / ".audit.jsonl-new", tmp_path]

    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(round_folder, "settle", full)
    with pytest.raises(OSError, match="No space"):
        round_folder.write_beside(tmp_path / "other.jsonl", "x")
    assert not (tmp_path / "other.jsonl").exists()
