"""Tables of a county, in and out: tried first, whole or not at all. C08."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice_round import CHEN, LIN, STRANGER, WANG, YEAR, Client, Page, school
from review_desk import file
from staff_site import county_desk

from jiepin.web.access import Actor
from jiepin.web.county import table_rows
from jiepin.web.county.table_rows import Line, Table
from jiepin.web.county.tables import MOST_FAULTS, TABLES
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Kind, Sheet
from jiepin.web.site import Site
from jiepin.web.store import review, roster, schools
from jiepin.web.store.schools import Record, Seats

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "tables"
ROSTER = ("身分證統一編號", "階段別", "現任學校")
SEATS = ("學校代碼", "科(類)別", "缺額總數", "提列他縣市")
Rows = Sequence[Sequence[str | int]]


def upload(
    desk: Client,
    table: str,
    columns: Sequence[str],
    rows: Rows,
    *,
    mode: str = "add",
    kind: Kind = "xlsx",
):
    content = spreadsheets.write(kind, [Sheet("a", tuple(columns), rows)])
    return send(desk, table, content, mode)


def send(desk: Client, table: str, content: bytes, mode: str = "add"):
    sent = {"file": ("x.xlsx", content, "application/octet-stream")}
    form = {"table": table, "mode": mode}
    return desk.http.post("/city/tables", data=form, files=sent)


def put(desk: Client, answer):
    """Confirm what a trial shows."""
    assert answer.status_code == 303, Page(answer.text).text
    here = answer.headers["location"]
    shown = desk.get(here)
    assert shown.status_code == 200
    mark = Page(shown.text).values["fingerprint"]
    return desk.post(here, fingerprint=mark)


def counted(desk: Client, answer) -> list[str]:
    """Return new, changed, same, removed as the page of a trial shows them."""
    assert answer.status_code == 303, Page(answer.text).text
    html = desk.get(answer.headers["location"]).text
    return re.findall(r"<li><b>(\d+)</b>", html)


def faults(answer) -> list[tuple[str, str, str]]:
    assert answer.status_code == 422
    cells = r'<tr><td class="amount">(\d+)</td><td>(.*?)</td><td>(.*?)</td>'
    return re.findall(cells, answer.text)


def listed(client: Client, county: str = "12") -> int:
    async def read(site: Site) -> int:
        async with site.database.reading() as db:
            found = await roster.schools_of(db, YEAR, county, schools.LEVELS)
            return len(found)

    return client.call(read)


def records(client: Client, county: str = "12") -> dict[str, Record]:
    async def read(site: Site) -> dict[str, Record]:
        async with site.database.reading() as db:
            return await schools.records(db, county, schools.LEVELS)

    return client.call(read)


def teach(client: Client, *codes: str) -> None:
    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            await schools.add_taught(
                db, [(c, s) for c in codes for s in ("E01", "E02")]
            )

    client.call(write)


# the roster


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
def test_c08_a_roster_is_tried_and_then_put_in(client: Client, kind: Kind) -> None:
    desk = county_desk(client, role="clerk")
    rows = [
        [STRANGER.national_id, "國小", "新興國小"],
        [LIN.national_id, "elementary", "123602"],
        [CHEN.national_id.lower(), "國小", ""],
    ]
    tried = upload(desk, "roster", ROSTER, rows, kind=kind)
    assert counted(desk, tried) == ["1", "1", "1", "0"]
    assert listed(client) == 3  # nothing yet
    assert put(desk, tried).headers["location"] == "/city/tables?done=put"
    assert listed(client) == 4
    assert client.another().sign_in(STRANGER).status_code == 303
    again = desk.get(tried.headers["location"])
    assert again.headers["location"] == "/city/tables?done=gone"


def test_a_whole_roster_takes_off_who_is_missing(client: Client) -> None:
    client.fill_in(2)  # 林小明 has signed in
    desk = county_desk(client)
    rows = [[STRANGER.national_id, "國小", ""]]
    tried = upload(desk, "roster", ROSTER, rows, mode="replace")
    assert counted(desk, tried) == ["1", "0", "0", "2"]
    assert "其中 1 人已登入過" in desk.get(tried.headers["location"]).text
    put(desk, tried)
    assert listed(client) == 2  # 王大同 is at another level
    assert client.application(LIN).state == "filling"


def test_faults_name_row_and_column_and_never_a_person(client: Client) -> None:
    desk = county_desk(client)
    wrong = STRANGER.national_id[:-1] + "x"
    rows = [
        [STRANGER.national_id, "國小", ""],
        [wrong, "國小", ""],
        ["", "", ""],
        [STRANGER.national_id, "國小", "新興國小"],
        [WANG.national_id, "高中", ""],
        [WANG.national_id, "國中", "新興國小"],
    ]
    before = client.digest()
    answer = upload(desk, "roster", ROSTER, rows)
    found = faults(answer)
    assert [(row, column) for row, column, _ in found] == [
        ("3", "身分證統一編號"),
        ("5", "身分證統一編號"),
        ("6", "階段別"),
        ("7", "現任學校"),
    ]
    assert "重複" in found[1][2]
    for id_ in (wrong, STRANGER.national_id, WANG.national_id):
        assert id_ not in answer.text
    assert client.digest() == before


def test_somebody_of_another_county_stops_the_whole_table(client: Client) -> None:
    desk = county_desk(client, county="13")
    rows = [[STRANGER.national_id, "國小", ""], [LIN.national_id, "國小", ""]]
    found = faults(upload(desk, "roster", ROSTER, rows))
    assert [row for row, _, _ in found] == ["3"]
    assert listed(client, "13") == 0


def test_at_most_a_hundred_faults_are_listed(client: Client) -> None:
    desk = county_desk(client)
    answer = upload(desk, "roster", ROSTER, [["?", "國小", ""]] * 130)
    assert len(faults(answer)) == MOST_FAULTS
    assert "發現 130 個錯誤" in answer.text


def test_what_changed_in_between_is_shown_again(client: Client) -> None:
    desk = county_desk(client)
    tried = upload(desk, "roster", ROSTER, [[STRANGER.national_id, "國小", ""]])
    here = tried.headers["location"]
    mark = Page(desk.get(here).text).values["fingerprint"]
    desk.post("/city/roster/remove", level=CHEN.level, national_id=CHEN.national_id)
    answer = desk.post(here, fingerprint=mark)
    assert answer.status_code == 409
    assert "沒有匯入" in answer.text
    assert listed(client) == 2
    fresh = Page(answer.text).values["fingerprint"]
    assert desk.post(here, fingerprint=fresh).status_code == 303
    assert listed(client) == 3


def test_a_trial_is_its_own_ends_soon_and_is_sealed(client: Client) -> None:
    desk, other = county_desk(client), county_desk(client)
    tried = upload(desk, "roster", ROSTER, [[STRANGER.national_id, "國小", ""]])
    here = tried.headers["location"]
    assert other.get(here).headers["location"] == "/city/tables?done=gone"

    async def stored(site: Site) -> bytes:
        async with site.database.reading() as db:
            [[content]] = await db.execute_fetchall("select content from upload")
            return bytes(content)

    assert STRANGER.national_id.encode() not in client.call(stored)
    mark = Page(desk.get(here).text).values["fingerprint"]
    client.clock.move(minutes=29)
    desk.get("/city/home")
    client.clock.move(minutes=2)
    answer = desk.post(here, fingerprint=mark)
    assert answer.headers["location"] == "/city/tables?done=gone"
    assert listed(client) == 3


# schools


def test_c08_the_list_of_schools_goes_out_and_in_again(client: Client) -> None:
    teach(client, "123601")
    desk = county_desk(client)
    content = desk.get("/city/tables/schools.ods").content
    [sheet] = spreadsheets.read(content)
    assert sheet.rows[0][:3] == ("123501", "國中", "前鎮國中")
    same = send(desk, "schools", content)
    assert counted(desk, same) == ["0", "0", "3", "0"]
    assert "沒有需要匯入" in desk.get(same.headers["location"]).text
    before = records(client)
    place = desk.post(same.headers["location"], fingerprint="")
    assert place.status_code == 409
    assert records(client) == before


def test_schools_new_changed_and_closed(client: Client) -> None:
    desk = county_desk(client)
    columns = ("學校代碼", "階段別", "校名", "鄉鎮市區", "註記", "設有科(類)別")
    rows = [
        [
            "123601",
            "國小",
            "新興實驗國小",
            "新興區",
            "偏遠、原民校",
            "E01、加註英語專長",
        ],
        ["123699", "國小", "新設國小", "左營區", "", "普通"],
    ]
    tried = upload(desk, "schools", columns, rows, mode="replace")
    assert counted(desk, tried) == ["1", "2", "0", "0"]
    assert "其中 1 所學校將改為未開放" in desk.get(tried.headers["location"]).text
    put(desk, tried)
    found = records(client)
    assert found["123601"].school.name == "新興實驗國小"
    assert found["123601"].school.short_name == "新興"  # not in the file: as it was
    assert found["123601"].school.tags == ("remote", "indigenous")
    assert found["123601"].taught == {"E01", "E02"}
    assert found["123699"].school.open
    assert not found["123602"].school.open
    assert found["123501"].school.open  # of a level that the file does not hold


def test_faults_of_schools(client: Client) -> None:
    desk = county_desk(client, levels=["elementary"])
    columns = ("學校代碼", "階段別", "校名", "鄉鎮市區", "註記", "開放介聘")
    rows = [
        ["133601", "國小", "青山國小", "三地門鄉", "", ""],
        ["123501", "國中", "前鎮國中", "前鎮區", "", ""],
        ["123601", "國小", "", "新興區", "很遠", "也許"],
        ["123602", "國小", "前金國小", "前金區", "", ""],
        ["123602", "國小", "前金國小", "前金區", "", ""],
    ]
    found = faults(upload(desk, "schools", columns, rows))
    assert [(row, column) for row, column, _ in found] == [
        ("2", "學校代碼"),
        ("3", "學校代碼"),
        ("4", "開放介聘"),
        ("4", "註記"),
        ("4", "校名"),
        ("6", "學校代碼"),
    ]
    assert "很遠" in found[3][2]


def test_a_table_that_touches_applicants_tells_them(client: Client) -> None:
    file(client, "133602")
    desk = county_desk(client, county="13")
    columns = ("學校代碼", "階段別", "校名", "鄉鎮市區", "開放介聘")
    rows = [["133602", "國小", "中正國小", "中正鄉", "否"]]
    tried = upload(desk, "schools", columns, rows)
    assert "受影響的申請人" in desk.get(tried.headers["location"]).text
    assert client.mailed("schools") == []
    put(desk, tried)
    assert len(client.mailed("schools")) == 1
    assert not records(client, "13")["133602"].school.open


# seats


def test_c08_seats_by_table(client: Client) -> None:
    teach(client, "123601", "123602")
    desk = county_desk(client)
    [sheet] = spreadsheets.read(desk.get("/city/tables/seats.xlsx").content)
    assert [row[0] for row in sheet.rows] == ["123601", "123601", "123602", "123602"]
    rows = [["123601", "E01", 5, 3], ["新興國小", "加註英語專長", "", "0"]]
    put(desk, upload(desk, "seats", SEATS, rows))
    seats = records(client)["123601"].seats
    assert seats == {"E01": Seats(5, 3), "E02": Seats(None, 0)}
    put(desk, upload(desk, "seats", SEATS, [["123602", "普通", 1, 1]], mode="replace"))
    assert records(client)["123601"].seats == {}
    assert records(client)["123602"].seats == {"E01": Seats(1, 1)}


def test_old_excel_is_read_too(client: Client) -> None:
    answer = send(county_desk(client), "seats", (FIXTURES / "seats.xls").read_bytes())
    assert [row for row, _, _ in faults(answer)] == ["2", "3"]


def test_faults_of_seats(client: Client) -> None:
    teach(client, "123601")
    desk = county_desk(client)
    rows = [
        ["123601", "E01", 1, 2],
        ["123602", "E01", "", 1],
        ["123601", "J01", "", 1],
        ["23601", "E01", "", 1],
        ["123601", "E02", "", "x"],
        ["123601", "E02", "", 1],
    ]
    found = faults(upload(desk, "seats", SEATS, rows))
    assert [(row, column) for row, column, _ in found] == [
        ("2", "提列他縣市"),
        ("3", "提列他縣市"),
        ("4", "科(類)別"),
        ("5", "學校代碼"),
        ("6", "提列他縣市"),
        ("7", "科(類)別"),
    ]


def test_a_lost_zero_is_guessed(client: Client) -> None:
    desk = county_desk(client, county="01")

    async def add(site: Site) -> None:
        async with site.database.writing() as db:
            await schools.add(db, [school("013601", "板橋國小")])

    client.call(add)
    [(_, _, text)] = faults(upload(desk, "seats", SEATS, [[13601, "E01", "", 1]]))
    assert "開頭的 0" in text


# points


def points_of(client: Client, id_: str) -> dict[str, tuple[int, str]]:
    async def read(site: Site) -> dict[str, tuple[int, str]]:
        async with site.database.reading() as db:
            return await review.entries(db, id_)

    return client.call(read)


def test_c08_points_go_out_and_in(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client)
    out = desk.post("/city/tables/points", kind="ods")
    assert 'filename="115-12-points.ods"' in out.headers["content-disposition"]
    [sheet] = spreadsheets.read(out.content)
    [row] = sheet.rows
    assert (row[0], row[2]) == (id_, "林小明")
    filled = dict(zip(sheet.columns, row, strict=True))
    filled |= {"考績積分": "8.5", "年資積分": 12, "原因積分(甲)": "0.05"}
    put(desk, upload(desk, "points", tuple(filled), [list(filled.values())]))
    assert points_of(client, id_) == {
        "appraisal": (850, ""),
        "service": (1200, ""),
        "reason1": (5, ""),
    }
    same = upload(desk, "points", tuple(filled), [list(filled.values())])
    assert counted(desk, same) == ["0", "0", "1", "0"]


def test_faults_of_points(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client)
    columns = ("申請編號", "考績積分", "年資積分")
    rows = [["nobody", 1, 1], [id_, "1.005", "-1"]]
    found = faults(upload(desk, "points", columns, rows))
    assert [(row, column) for row, column, _ in found] == [
        ("2", "申請編號"),
        ("3", "考績積分"),
        ("3", "年資積分"),
    ]
    other = county_desk(client, county="13")
    [(_, column, _)] = faults(upload(other, "points", columns, [[id_, 1, 1]]))
    assert column == "申請編號"
    client.clock.move(days=8)  # the time of the review is over
    late = county_desk(client)
    [(_, _, text)] = faults(upload(late, "points", columns, [[id_, 1, 1]]))
    assert "不在審核期間" in text
    assert points_of(client, id_) == {}


# any table


def test_who_may_put_in_what(client: Client) -> None:
    reviewer = county_desk(client, role="reviewer")
    rows = [[STRANGER.national_id, "國小", ""]]
    assert upload(reviewer, "roster", ROSTER, rows).status_code == 404
    assert (
        upload(reviewer, "seats", SEATS, [["123601", "E01", 1, 1]]).status_code == 404
    )
    assert upload(reviewer, "points", ["申請編號"], [["x"]]).status_code == 422
    assert reviewer.get("/city/tables/schools.ods").status_code == 200
    assert upload(client, "roster", ROSTER, rows).headers["location"] == "/city/"
    for path in ("points.ods", "schools.exe", "nothing.ods"):
        assert reviewer.get(f"/city/tables/{path}").status_code == 404


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"MZ a program", "不是試算表"),
        (b"", "請選擇檔案"),
        (spreadsheets.write("ods", [Sheet("a", ("x",), [["1"]])]), "找不到欄位"),
        (spreadsheets.write("ods", [Sheet("a", ROSTER, [])]), "沒有資料列"),
        (
            spreadsheets.write("ods", [Sheet("a", (*ROSTER, "階段別"), [["a"] * 4])]),
            "出現兩次",
        ),
    ],
)
def test_a_file_that_does_not_suit_is_refused(
    client: Client, content: bytes, text: str
) -> None:
    desk = county_desk(client)
    before = client.digest()
    answer = send(desk, "roster", content)
    assert answer.status_code == 422
    assert text in answer.text
    assert client.digest() == before
    bare = desk.post("/city/tables", table="roster")
    assert bare.status_code == 422
    assert "請選擇檔案" in bare.text


def test_columns_are_known_in_both_languages_and_any_order(client: Client) -> None:
    desk = county_desk(client)
    columns = ("Present school", "note", "LEVEL", "National ID")
    rows = [["123601", "?", "elementary school", STRANGER.national_id]]
    desk.http.cookies.set("__Host-lang", "en", domain="tas.test")
    assert "Put it in" in desk.get(put_here(upload(desk, "roster", columns, rows))).text


def put_here(answer) -> str:
    assert answer.status_code == 303, Page(answer.text).text
    return answer.headers["location"]


CELLS = st.one_of(
    st.text(st.characters(codec="utf-8"), max_size=8),
    st.sampled_from(
        [
            "國小",
            "國中",
            "123601",
            "新興國小",
            "E01",
            "普通",
            "是",
            "否",
            "3",
            "-1",
            "1.5",
        ]
    ),
    st.integers(-5, 10**6),
)


LIKELY: dict[str, Sequence[str | int]] = {
    "id": [person.national_id for person in (LIN, WANG, STRANGER)],
    "level": ["國小", "國小", "國中"],
    "school": ["123601", "新興國小", ""],
    "code": ["123601", "123602", "123699"],
    "name": ["新興國小", "甲國小"],
    "short_name": ["甲", ""],
    "township": ["新興區"],
    "tags": ["偏遠、原民校", "特偏", ""],
    "address": ["", "一號"],
    "notice": [""],
    "open": ["是", "否", ""],
    "taught": ["E01", "普通、E02", ""],
    "subject": ["E01", "普通"],
    "total": ["", 5, 6],
    "seats": ["0", 1, 5],
}


def cells_of(key: str) -> st.SearchStrategy[str | int]:
    """Draw what may stand in a column, most often something that suits it."""
    likely = st.sampled_from(LIKELY.get(key, [""]))
    return st.integers(0, 9).flatmap(lambda lot: CELLS if lot == 9 else likely)


class Undone(Exception):
    """What a plan wrote is taken back."""


async def put_twice(site: Site, actor: Actor, table: Table, lines: list[Line]) -> None:
    """Assert that a plan that was put in has nothing left to do; take it back."""
    with suppress(Undone):
        async with site.database.writing() as db:
            plan = await table.plan(db, site, actor, lines, replace=False)
            if plan.faults:
                numbers = {line.number for line in lines}
                assert {fault.row for fault in plan.faults} <= numbers
                assert plan.empty
            else:
                await plan.write(db)
                again = await table.plan(db, site, actor, lines, replace=False)
                assert again.empty
            raise Undone


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_table_has_faults_or_is_put_in_once(
    client: Client, data: st.DataObject
) -> None:
    if client.actor.kind == "nobody":
        teach(client, "123601")
        client.actor = county_desk(client).actor
    table = TABLES[data.draw(st.sampled_from(sorted(TABLES)))]
    row = st.tuples(*(cells_of(column.key) for column in table.columns))
    rows = data.draw(st.lists(row, min_size=1, max_size=4))
    sheet = Sheet("a", tuple(column.name for column in table.columns), rows)
    lines, faults = table_rows.read_lines(table.columns, [sheet])
    assert not faults
    client.call(lambda site: put_twice(site, client.actor, table, lines))
