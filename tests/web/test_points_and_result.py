"""What the review and the matching add to step 6: points, and the result in its time.

The rows are written as the county's and the host's end will write them.
"""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta

import public_result
import pytest
from practice_round import LIN, Client, Page, save_and_file
from public_result import Row, decide
from staff_site import county_desk, open_review

from jiepin.web.access import Actor
from jiepin.web.notify import texts
from jiepin.web.site import Site
from jiepin.web.store import applications
from jiepin.web.store.schools import Window, save_window

STATUS = "/teacher/status"
POINTS = {
    "reason1": 3000,
    "reason2": 1050,
    "appraisal": 850,
    "service": 1200,
    "awards": 230,
    "special": 0,
    "studies": 125,
}
NOT_PLACED = ("", None, None, None)
PLACED = ("elementary-1", "143601", "E01", 2)


@pytest.fixture
def filed(client: Client) -> Client:
    """A teacher who has filed: 屏東縣 first, then 臺東縣."""
    client.fill_in(5)
    found = client.application()
    actor = Actor("teacher", found.account, found.year, found.level, found.county)

    async def file(site: Site) -> None:
        chosen, _ = await applications.change_counties(
            site, actor, found.version, ("13", "14")
        )
        await save_and_file(site, actor, chosen.version, ("133601", "143601"))

    client.call(file)
    return client


def write(client: Client, statement: str, *rows: tuple[object, ...]) -> None:
    async def do(site: Site) -> None:
        async with site.database.writing() as db:
            await db.executemany(statement, rows)

    client.call(do)


def give_points(client: Client) -> None:
    id_ = client.application().id
    rows = [(id_, item, value) for item, value in POINTS.items()]
    write(
        client, "insert into points (application, item, value) values (?, ?, ?)", *rows
    )


def publish(client: Client, after: timedelta) -> None:
    public_result.publish(client, client.clock.now() + after)


def announce(client: Client, opens: timedelta, closes: timedelta | None) -> None:
    """Set the time at which points are announced, and till when one may object."""
    now = client.clock.now()
    window = Window(now + opens, None if closes is None else now + closes)

    async def save(site: Site) -> None:
        async with site.database.writing() as db:
            await save_window(db, 115, "elementary", "notice", window)

    client.call(save)


def shown(client: Client) -> str:
    return " ".join(Page(client.get(STATUS).text).text.split())


def value_after(client: Client, label: str) -> str:
    html = client.get(STATUS).text
    return html.split(f"<dt>{label}</dt>")[1].split(">")[1].split("<")[0]


def test_t604_before_the_review_all_is_nought(filed: Client) -> None:
    for label in ("屏東縣(甲)原因積分", "臺東縣(乙)原因積分", "臺東縣(乙)積分總計"):
        assert value_after(filed, label) == "0.0"


@pytest.mark.parametrize(
    ("label", "value"),
    [
        ("屏東縣(甲)原因積分", "30.0"),
        ("臺東縣(乙)原因積分", "10.5"),
        ("考績積分", "8.5"),
        ("年資積分", "12.0"),
        ("獎懲積分", "2.3"),
        ("特殊積分", "0.0"),
        ("研習積分", "1.25"),  # nothing is rounded away
        ("屏東縣(甲)積分總計", "54.05"),
        ("臺東縣(乙)積分總計", "34.55"),
    ],
)
def test_t604_points_and_a_total_for_each_county(
    filed: Client, label: str, value: str
) -> None:
    give_points(filed)
    assert value_after(filed, label) == value


def test_t604_the_items_stand_in_the_order_of_the_handbook(filed: Client) -> None:
    give_points(filed)
    html = filed.get(STATUS).text
    labels = (
        "屏東縣(甲)原因積分",
        "臺東縣(乙)原因積分",
        "考績積分",
        "年資積分",
        "獎懲積分",
        "特殊積分",
        "研習積分",
        "屏東縣(甲)積分總計",
        "臺東縣(乙)積分總計",
    )
    places = [html.index(f"<dt>{label}</dt>") for label in labels]
    assert places == sorted(places)


TOTALS = ("54.05", "34.55")


def test_points_are_announced_to_the_millisecond(filed: Client) -> None:
    give_points(filed)
    announce(filed, timedelta(minutes=10), timedelta(minutes=20))
    filed.clock.move(minutes=10, milliseconds=-1)
    page = shown(filed)
    assert "積分自 115年4月20日 09:10 起公告。" in page
    sheet = filed.get("/teacher/sheet").text
    assert "自 115年4月20日 09:10 起" in sheet
    table = filed.post("/teacher/own-data.json").json()
    assert table["points_in_hundredths"] is None
    assert table["review"]["notes_on_points"] is None
    assert table["points_announced"] == "2026-04-20T01:10:00+00:00"
    for text in (page, sheet):
        assert not any(word in text for word in TOTALS)
        assert "積分總計" not in text
    filed.clock.move(milliseconds=1)
    assert value_after(filed, "屏東縣(甲)積分總計") == "54.05"
    assert "起公告" not in shown(filed)
    assert "54.05" in filed.get("/teacher/sheet").text
    table = filed.post("/teacher/own-data.json").json()
    assert table["points_in_hundredths"] == POINTS
    assert table["review"]["notes_on_points"] == {}


def test_objections_go_to_the_own_county_while_points_are_announced(
    filed: Client,
) -> None:
    announce(filed, timedelta(0), timedelta(minutes=20))
    objection = "請於 115年4月20日 09:20 前向高雄市介聘承辦人申請複查"
    filed.clock.move(minutes=20, milliseconds=-1)
    assert objection in shown(filed)
    filed.clock.move(milliseconds=1)
    assert "複查" not in shown(filed)
    give_points(filed)
    assert value_after(filed, "屏東縣(甲)積分總計") == "54.05"
    announce(filed, timedelta(0), None)
    assert "請向高雄市介聘承辦人申請複查" in shown(filed)
    filed.post("/language", language="en", back=STATUS)
    assert "ask the transfer staff of Kaohsiung City" in shown(filed)


def test_the_county_prints_points_before_they_are_announced(filed: Client) -> None:
    give_points(filed)
    announce(filed, timedelta(days=1), None)
    id_ = filed.application().id
    open_review(filed)
    desk = county_desk(filed)
    desk.post(f"/city/applications/{id_}/open")
    printed = desk.get(f"/city/applications/{id_}/sheet.pdf").content
    command = ["pdftotext", "-raw", "-", "-"]
    text = subprocess.run(command, input=printed, capture_output=True).stdout.decode()
    assert "54.05" in text
    assert "起公告" not in text
    assert "54.05" in desk.get(f"/city/applications/{id_}").text


@pytest.mark.parametrize("event", ["passed", "returned", "rejected", "reopened"])
def test_mails_of_the_review_tell_no_points(event: str) -> None:
    facts = {"language": "zh-Hant", "name": "x", "number": "1220001", "reason": "缺件"}
    body = texts.letter(event, facts, texts.Sender("https://tas.test", "")).body
    assert not re.search(r"\d+\.\d", body)
    assert "總計" not in body


@pytest.mark.parametrize("result", [NOT_PLACED, PLACED])
def test_t607_before_publication_the_page_is_the_same(
    filed: Client, result: Row
) -> None:
    publish(filed, timedelta(days=1))
    before = filed.get(STATUS)
    decide(filed, result)
    after = filed.get(STATUS)
    assert after.text == before.text
    assert after.headers == before.headers
    assert "介聘結果" not in shown(filed).replace("介聘結果LINE", "")


def test_t607_without_a_day_of_publication_nothing_is_shown(filed: Client) -> None:
    before = filed.get(STATUS).text
    decide(filed, PLACED)
    assert filed.get(STATUS).text == before


def test_t607_it_is_published_to_the_moment(filed: Client) -> None:
    publish(filed, timedelta(hours=1))
    decide(filed, PLACED)
    filed.clock.move(minutes=29)  # a session ends after half an hour of silence
    filed.get(STATUS)
    filed.clock.move(minutes=30, seconds=59)
    filed.sign_in(LIN, "a quiet morning")
    assert "達成介聘" not in shown(filed)
    filed.clock.move(seconds=1)
    assert "達成介聘" in shown(filed)


def test_t607_placed(filed: Client) -> None:
    publish(filed, timedelta(0))
    decide(filed, PLACED)
    school = "達成介聘：臺東縣豐里鄉 豐里國小（第 2 志願，普通）"
    assert f"介聘結果：{school}" in shown(filed)
    filed.post("/language", language="en", back=STATUS)
    assert "豐里國小" in shown(filed)


def test_t607_not_placed(filed: Client) -> None:
    publish(filed, timedelta(0))
    decide(filed, NOT_PLACED)
    assert "介聘結果：未達成介聘" in shown(filed)


def test_t607_published_but_not_decided_here(filed: Client) -> None:
    publish(filed, timedelta(0))
    assert "達成介聘" not in shown(filed)
