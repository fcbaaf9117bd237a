"""The progress board: its numbers, what does not fit, and the answer to its script."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from practice_round import CHEN, LIN, WANG, Client, save_and_file, teacher
from staff_site import county_desk, host_desk, open_review

from jiepin.web.clock import to_ms
from jiepin.web.host import home
from jiepin.web.site import Site
from jiepin.web.store import applications, progress
from jiepin.web.store.progress import Progress

HOME, NUMBERS = "/host/home", "/host/progress.json"


@pytest.fixture
def host(client: Client) -> Client:
    return host_desk(client)


def write(client: Client, statement: str, *values: object) -> None:
    async def run(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(statement, values)

    client.call(run)


async def file_two(site: Site) -> None:
    """陳美華 files, 王大同 has begun; 林小明 is on the roster alone."""
    actor, saved = await teacher(site, CHEN)
    saved, _ = await applications.change_counties(site, actor, saved.version, ("13",))
    await save_and_file(site, actor, saved.version, ["133601", "133602"])
    await teacher(site, WANG)


def numbers(client: Client) -> dict[str, Any]:
    answer = client.get(NUMBERS)
    assert answer.headers["cache-control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def row(client: Client, key: str) -> dict[str, str]:
    """Return the row of a county and level, as the page's script finds it."""
    start = f"{key}-"
    texts = numbers(client)["texts"].items()
    return {k.removeprefix(start): v for k, v in texts if k.startswith(start)}


def state(client: Client, person: Any, state: str, **columns: object) -> None:
    sets = ", ".join(f"{name} = ?" for name in columns)
    write(
        client,
        f"update application set state = ?{', ' * bool(sets)}{sets} where id = ?",
        state,
        *columns.values(),
        "application of " + person.name,
    )


def test_h04_every_state_is_counted_where_it_is(client: Client, host: Client) -> None:
    client.call(file_two)
    found = row(host, "elementary-12")
    assert found == {
        "roster": "2",
        "signed_in": "1",
        "began": "1",
        "submitted": "1",
        "filed": "1",
        "returned": "0",
        "rejected": "0",
        "approved": "0",
        "changed": "0",
        "percent": "0%",
    }
    assert row(host, "junior-high-12")["submitted"] == "0"
    assert row(host, "junior-high-12")["began"] == "1"
    assert row(host, "kindergarten-12")["roster"] == "0"
    state(client, CHEN, "approved", number="1220001", reviewed=1)
    assert row(host, "elementary-12")["approved"] == "1"
    assert row(host, "elementary-12")["changed"] == "1"
    assert row(host, "elementary-12")["percent"] == "100%"
    assert numbers(host)["meters"]["elementary-12"] == [1, 1]
    state(client, WANG, "returned")
    assert row(host, "junior-high-12")["returned"] == "1"
    state(client, WANG, "rejected")
    assert row(host, "junior-high")["percent"] == "100%"


def test_h04_totals_are_the_sums(client: Client, host: Client) -> None:
    client.call(file_two)

    async def read(site: Site) -> progress.Board:
        async with site.database.reading() as db:
            return await progress.board(db, 115)

    board = client.call(read)
    assert set(board) == {("elementary", "12"), ("junior-high", "12")}
    assert sum(board.values(), Progress()) == Progress(
        roster=3, signed_in=2, began=2, filling=1, filed=1
    )
    assert row(host, "elementary")["roster"] == "2"
    bars = numbers(host)["bars"]
    assert bars["elementary-filed"] == [0.0, 100.0]
    assert bars["junior-high-filling"] == [0.0, 100.0]


def test_every_place_that_the_script_fills_is_on_the_page(
    client: Client, host: Client
) -> None:
    client.call(file_two)
    html, found = host.get(HOME).text, numbers(host)
    keys = set(re.findall(r'data-key="([^"]+)"', html))
    assert keys == found["texts"].keys() | {"as_of"}
    assert set(re.findall(r'data-meter="([^"]+)"', html)) == found["meters"].keys()
    assert set(re.findall(r'data-bar="([^"]+)"', html)) == found["bars"].keys()
    for key, text in found["texts"].items():
        assert re.search(rf'data-key="{key}">{re.escape(text)}<', html), key


def test_counties_that_do_not_take_part_are_left_out(
    client: Client, host: Client
) -> None:
    write(client, "insert into round_county values (115, '13'), (115, '14')")
    assert row(host, "elementary-13")["roster"] == "0"
    assert row(host, "elementary-09") == {}
    assert row(host, "elementary-12")["roster"] == "2"  # who has teachers is not hidden


def test_h04_what_does_not_fit_together_is_told(client: Client, host: Client) -> None:
    client.call(file_two)
    html = host.get(HOME).text
    assert 'id="no-doubts">' in html
    state(client, CHEN, "approved", school="133601")
    write(client, "update school set open = 0 where code in ('133601', '133602')")
    write(
        client, "insert into vacancy (school, subject, seats) values ('133601','J01',1)"
    )
    write(client, "delete from roster where level = 'junior-high'")
    write(client, "update roster set county = '13'")
    told = numbers(host)["doubts"]
    assert told == [
        "志願中有已移除的學校：高雄市 1",
        "現職學校與縣市或階段別不符：高雄市 1",
        "審核通過而無電腦編號：高雄市 1",
        "審核通過而無積分：高雄市 1",
        "沒有任何可用的志願學校：高雄市 1",
        "已登入而不在名冊：高雄市 1",
        "名冊所載縣市與申請不同：高雄市 1",
        "已移除的學校仍有缺額：屏東縣 1",
        "缺額科(類)別與學校階段別不符：屏東縣 1",
    ]
    html = host.get(HOME).text
    assert all(f"<li>{text}</li>" in html for text in told)
    id_ = "application of " + CHEN.name
    write(client, "insert into points values (?, 'service', 1200, '')", id_)
    write(client, "insert into points_limit values (115, 'service', 1000)")
    told = numbers(host)["doubts"]
    assert "積分超過本年度上限：高雄市 1" in told
    assert "審核通過而無積分：高雄市 1" not in told
    host.post("/language", language="en", back="/")
    assert "Signed in, not on the roster: Kaohsiung City 1" in numbers(host)["doubts"]


def test_h04_the_queue_of_notices_and_who_is_here(client: Client, host: Client) -> None:
    client.sign_in(LIN)
    client.get("/teacher/notices")
    now = to_ms(client.clock.now() - timedelta(hours=3))
    client.call(file_two)
    write(client, "update outbox set state = 'waiting', created = ?", now)
    write(client, "update outbox set state = 'failed' where id = 1")
    texts = numbers(host)["texts"]
    assert texts["teachers"] == "1"
    assert texts["staff"] == "1"
    assert texts["failed"] == "1"
    assert re.fullmatch(r"\d+，最久 3 小時.*", texts["waiting"]), texts["waiting"]


def test_what_stands_in_the_way_is_told_until_nothing_does(
    client: Client, host: Client
) -> None:
    html = host.get(HOME).text
    assert "凍結前還要做的事" in html
    assert "沒有審核通過的申請" in html
    client.call(file_two)
    state(client, CHEN, "approved", number="1220001")
    open_review(client)
    client.clock.move(days=8)
    later = host_desk(client)
    assert "沒有阻礙，可以凍結。" in later.get(HOME).text
    write(client, "update round set frozen = ?", to_ms(client.clock.now()))
    html = later.get(HOME).text
    assert "本年度資料已於" in html
    assert "凍結前還要做的事" not in html


def test_the_board_is_the_hosts(client: Client) -> None:
    for browser in (client.another(), county_desk(client)):
        for path in (HOME, NUMBERS):
            assert browser.get(path).headers["location"] == "/host/"
    for role in ("clerk", "reviewer"):
        assert host_desk(client, role).get(HOME).status_code == 200


def test_no_person_is_named(client: Client, host: Client) -> None:
    client.call(file_two)
    text = host.get(HOME).text + json.dumps(numbers(host), ensure_ascii=False)
    for person in (CHEN, WANG, LIN):
        assert person.name not in text
        assert person.national_id not in text


def test_a_costly_count_is_kept_for_a_while_and_says_of_when(
    client: Client, host: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(home, "COSTLY", -1.0)
    monkeypatch.setattr(home, "KEPT_TIMES", 1e9)
    before = numbers(host)
    client.call(file_two)
    client.clock.move(seconds=30)
    assert numbers(host)["as_of"] == before["as_of"]
    assert row(host, "elementary")["filed"] == "0"
    client.app.state.counting._until = 0.0  # a minute later
    assert row(host, "elementary")["filed"] == "1"
    assert numbers(host)["as_of"] != before["as_of"]
