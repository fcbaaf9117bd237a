"""When a result is public: who may say so, to the moment, and nothing before it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from practice_round import CHEN, LIN, START, YEAR, Client, running
from published_round import HUANG, PAN, Frozen, frozen_round
from staff_site import county_desk, host_desk

from jiepin.web.host.schedule import typed_time
from jiepin.web.site import Site
from jiepin.web.store import applications, results
from jiepin.web.store.applications import Absent, Refused
from jiepin.web.store.results import Publication
from jiepin.web.store.runs import Move

SOON = timedelta(minutes=10)
FILES = (
    "/public/results.csv",
    "/public/results.ods",
    "/public/report",
    "/public/pictures/flows.svg",
    "/public/snapshots/1/round.zip",
)
CLEAN = (
    "delete from publication",
    "delete from result",
    "delete from outbox",
    "delete from approval",
    "delete from run_move where run > 1",
    "delete from run where id > 1",
    "delete from window where kind = 'result'",
    "update run set lawful = 1, state = 'done'",
    "update snapshot set withdrawn = null",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with running(tmp_path_factory.mktemp("site")) as client:
        yield frozen_round(client)


@pytest.fixture
def frozen(made: Frozen) -> Iterator[Frozen]:
    """The round, frozen and run once; what a test does to it is undone."""
    yield made
    for statement in CLEAN:
        made.sql(statement)
    made.client.clock.set(START)


def ask(frozen: Frozen, question: Any, *rest: Any) -> Any:
    """Ask the store something about the publications of the year, as of now."""

    async def read(site: Site) -> Any:
        async with site.database.reading() as db:
            return await question(db, YEAR, *rest)

    return frozen.client.call(read)


def in_force(frozen: Frozen) -> Publication | None:
    found: Publication | None = ask(
        frozen, results.published, frozen.client.clock.now()
    )
    return found


def planned(frozen: Frozen) -> Publication | None:
    found: Publication | None = ask(frozen, results.planned, frozen.client.clock.now())
    return found


def plan(desk: Client, moment: datetime | None = None, **fields: object):
    form = {"run": 1, "at": typed_time(moment), "sure": "yes", **fields}
    return desk.post("/host/results/plan", **form)


def told(frozen: Frozen) -> list[str]:
    """Return who was told of a result, in order."""
    rows = frozen.sql("select application from outbox where event = 'result'")
    return sorted(row[0].removeprefix("application of ") for row in rows)


# who may publish, and what


def test_h07_two_people_of_different_roles_approve_first(frozen: Frozen) -> None:
    assert plan(frozen.host).status_code == 422
    frozen.approve_as("clerk")
    frozen.approve_as("clerk")
    refused = plan(frozen.host)
    assert refused.status_code == 422
    assert "兩位不同角色" in refused.text
    assert in_force(frozen) is None
    frozen.approve_as("reviewer")
    assert plan(frozen.host).status_code == 303
    assert in_force(frozen) is not None


@pytest.mark.parametrize(
    "spoiled",
    [
        "update run set lawful = 0",
        "update run set lawful = null, state = 'failed'",
        "update snapshot set withdrawn = 1",
    ],
)
def test_h07_only_lawful_runs_of_snapshots_in_force(
    frozen: Frozen, spoiled: str
) -> None:
    frozen.approve()
    frozen.sql(spoiled)
    refused = plan(frozen.host)
    assert refused.status_code == 422
    assert "通過檢核" in refused.text
    assert frozen.sql("select count(*) from publication") == [(0,)]


def test_only_a_head_of_the_host_publishes(frozen: Frozen) -> None:
    frozen.approve()
    clerk, reviewer = (
        host_desk(frozen.client, "clerk"),
        host_desk(frozen.client, "reviewer"),
    )
    for desk in (clerk, reviewer):
        assert plan(desk).status_code == 404
        assert "由主管排定公告" in desk.get("/host/results").text
        assert 'name="at"' not in desk.get("/host/results").text
    county = county_desk(frozen.client)
    assert plan(county).headers["location"] == "/host/"  # to the door: nobody there
    assert in_force(frozen) is None
    actor = clerk.actor
    with pytest.raises(Absent):
        frozen.client.call(lambda site: results.publish(site, actor, 1, None))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"run": ""}, "請選擇要公告的計算結果"),
        ({"run": "99"}, "通過檢核"),
        ({"at": "soon"}, "時間請填如"),
        ({"at": "2020-01-01T09:00"}, "公告時間已過"),
        ({"sure": ""}, "請勾選確認"),
    ],
)
def test_what_is_wrong_is_told_and_what_was_typed_stays(
    frozen: Frozen, fields: dict[str, str], text: str
) -> None:
    frozen.approve()
    at = frozen.client.clock.now() + SOON
    refused = plan(frozen.host, at, **fields)
    assert refused.status_code == 422
    assert text in refused.text
    assert f'value="{fields.get("at", typed_time(at))}"' in refused.text
    assert planned(frozen) is None


def test_one_publication_waits_at_a_time(frozen: Frozen) -> None:
    frozen.approve()
    now = frozen.client.clock.now()
    assert plan(frozen.host, now + SOON).status_code == 303
    again = plan(frozen.host, now + 2 * SOON)
    assert again.status_code == 422
    assert "先撤回" in again.text
    frozen.client.clock.move(minutes=10)
    same = plan(frozen.host)
    assert same.status_code == 422
    assert "已經公告" in same.text


# nothing before the moment


def seen(frozen: Frozen) -> dict[str, tuple[int, bytes]]:
    """Return everything that teachers, counties and everybody see now."""
    browsers = {
        "teacher": (frozen.teacher(), ("/teacher/status", "/teacher/result")),
        "staying": (frozen.teacher(HUANG), ("/teacher/status", "/teacher/result")),
        "county": (
            county_desk(frozen.client),
            ("/city/results", "/city/results?way=out"),
        ),
        "host": (
            host_desk(frozen.client, "clerk"),
            ("/host/results/list",),
        ),
        "everybody": (
            frozen.client.another(),
            ("/public/", "/public/results", "/public/statistics", *FILES),
        ),
    }
    found = {}
    for who, (browser, paths) in browsers.items():
        for path in paths:
            answer = browser.get(path)
            # how many sit at their desks is no secret, and changes
            text = answer.text.split("線上人數")[0] + answer.text.split("系統時間")[-1]
            found[f"{who} {path}"] = (answer.status_code, text)
    for who, path in (
        ("county", "/city/results.ods"),
        ("host", "/host/results/list.csv"),
    ):
        found[f"{who} {path}"] = (browsers[who][0].post(path).status_code, "")
    own = frozen.teacher().post("/teacher/own-data.json").json()
    found["own data"] = (own["result"], own["notices"]["sent"])
    return found


def test_h07_nothing_shows_before_it_is_public(frozen: Frozen) -> None:
    before = seen(frozen)
    frozen.approve()
    frozen.publish(frozen.client.clock.now() + SOON)
    frozen.client.clock.move(minutes=9, seconds=59)
    frozen.tend()
    frozen.client.clock.set(START)  # pages tell the time
    assert seen(frozen) == before
    assert before["teacher /teacher/result"][0] == 404
    assert before["own data"] == (None, [])
    assert {before[f"everybody {path}"][0] for path in FILES} == {404}
    assert before["county /city/results.ods"][0] == 404
    assert before["host /host/results/list.csv"][0] == 404
    assert told(frozen) == []


def test_h07_it_is_public_to_the_moment(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish(frozen.client.clock.now() + SOON)
    teacher, county = frozen.teacher(), county_desk(frozen.client)
    shown = {
        "/teacher/status": (teacher, "達成介聘：屏東縣中正鄉 中正國小"),
        "/public/results": (frozen.client, "林○明"),
        "/public/statistics": (frozen.client, "各縣市人數"),
        "/city/results": (county, "潘阿妹"),
    }
    frozen.client.clock.move(minutes=9, seconds=59.999)
    for path, (browser, text) in shown.items():
        assert text not in browser.get(path).text, path
    frozen.client.clock.move(seconds=0.001)
    for path, (browser, text) in shown.items():
        assert text in browser.get(path).text, path
    assert frozen.client.get("/public/results.csv").status_code == 200


def test_the_schedule_says_when(frozen: Frozen) -> None:
    frozen.approve()
    at = frozen.client.clock.now() + SOON
    frozen.publish(at)
    opens = frozen.sql("select distinct opens from window where kind = 'result'")
    assert opens == [(int(at.timestamp() * 1000),)]


# retraction


def test_h07_retracted_before_its_time_it_never_shows(frozen: Frozen) -> None:
    before = seen(frozen)
    frozen.approve()
    plan(frozen.host, frozen.client.clock.now() + SOON)
    waiting = planned(frozen)
    assert waiting is not None
    fields = {"publication": waiting.id, "reason": ""}
    assert frozen.host.post("/host/results/retract", **fields).status_code == 422
    fields["reason"] = "資料有誤"
    assert frozen.host.post("/host/results/retract", **fields).status_code == 303
    frozen.client.clock.move(minutes=11)
    frozen.tend()
    assert in_force(frozen) is None
    assert frozen.sql("select count(*) from result") == [(0,)]
    assert frozen.sql("select count(*) from window where kind = 'result'") == [(0,)]
    frozen.client.clock.set(START)
    assert seen(frozen) == before
    assert told(frozen) == []
    page = frozen.host.get("/host/results").text
    assert "資料有誤" in page
    entry = frozen.sql("select detail from audit where action like '%retracted'")[-1]
    assert json.loads(entry[0]) == {"run": 1}  # not the reason: people write names


def test_h07_what_is_public_is_not_retracted(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish(frozen.client.clock.now() + SOON)
    waiting = planned(frozen)
    assert waiting is not None
    frozen.client.clock.move(minutes=10)
    fields = {"publication": waiting.id, "reason": "資料有誤"}
    refused = frozen.host.post("/host/results/retract", **fields)
    assert refused.status_code == 422
    assert in_force(frozen) is not None


def test_only_a_head_retracts(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish(frozen.client.clock.now() + SOON)
    clerk = host_desk(frozen.client, "clerk")
    fields = {"publication": 1, "reason": "x"}
    assert clerk.post("/host/results/retract", **fields).status_code == 404
    assert planned(frozen) is not None


# notices


def test_n01_everybody_is_told_once(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish(frozen.client.clock.now() + SOON)
    frozen.tend()
    assert told(frozen) == []
    frozen.client.clock.move(minutes=10)
    frozen.tend()
    frozen.tend()
    everybody = ["林小明", "潘阿妹", "王大同", "陳美華", "黃𡍼生"]
    assert told(frozen) == sorted(everybody)
    mail = frozen.client.mailed("result")[0]
    assert mail["language"] == "zh-Hant"
    assert "school" not in mail  # that there is a result, not which
    current = in_force(frozen)
    assert current is not None
    assert current.told == frozen.client.clock.now()
    rows = frozen.sql("select count(*) from audit where action = 'published'")
    assert rows[0][0] >= 1


def test_n05_after_a_crash_the_rest_is_told(
    frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen.approve()
    frozen.publish()
    tell, n = applications.tell, 0

    async def breaks(*args: Any, **more: Any) -> None:
        nonlocal n
        n += 1
        if n == 4:
            raise RuntimeError("power cut")
        await tell(*args, **more)

    monkeypatch.setattr(results, "_AT_ONCE", 2)
    monkeypatch.setattr(applications, "tell", breaks)
    with pytest.raises(RuntimeError):
        frozen.tend()
    assert len(told(frozen)) == 2
    monkeypatch.setattr(applications, "tell", tell)
    frozen.tend()
    assert len(told(frozen)) == 5


# a later publication


def corrected(frozen: Frozen) -> int:
    """Make a second run in which 陳美華 stays, and approve of it."""
    run = frozen.run_again()
    frozen.sql(
        "update run_move set stage = '', school = '123602', choice = null "
        "where run = :run and number = '1220002'",
        run=run,
    )
    frozen.approve(run)
    return run


def test_a_later_publication_replaces_the_earlier_one_in_its_time(
    frozen: Frozen,
) -> None:
    frozen.approve()
    frozen.publish()
    frozen.tend()
    teacher = frozen.teacher(CHEN)
    assert "仁愛國小（第 1 志願" in teacher.get("/teacher/status").text
    run = corrected(frozen)
    frozen.publish(frozen.client.clock.now() + SOON, run)
    assert "仁愛國小（第 1 志願" in teacher.get("/teacher/status").text
    assert "陳○華" in frozen.client.get("/public/results").text
    frozen.client.clock.move(minutes=10)
    assert "未達成介聘" in teacher.get("/teacher/status").text
    assert "陳○華" not in frozen.client.get("/public/results").text
    page = frozen.host.get("/host/results").text
    assert "已由後來的公告取代" in page
    assert "已由後來的公告取代" in frozen.client.get("/public/").text


def test_of_a_later_publication_those_are_told_for_whom_it_is_news(
    frozen: Frozen,
) -> None:
    frozen.approve()
    frozen.publish()
    frozen.tend()
    run = corrected(frozen)
    frozen.sql(
        "update run_move set school = '133601' where run = :run and number = :number",
        run=run,
        number="1220001",
    )
    frozen.publish(run=run)
    frozen.tend()
    assert told(frozen).count("陳美華") == 2  # stays now
    assert told(frozen).count("林小明") == 2  # goes elsewhere
    assert len(told(frozen)) == 7


def test_retracting_a_correction_leaves_the_first_in_force(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish()
    first = in_force(frozen)
    assert first is not None
    frozen.publish(frozen.client.clock.now() + SOON, corrected(frozen))
    waiting, actor = planned(frozen), frozen.host.actor
    assert waiting is not None
    frozen.client.call(lambda site: results.retract(site, actor, waiting.id, "更正"))
    frozen.client.clock.move(minutes=11)
    assert in_force(frozen) == first
    opens = frozen.sql("select distinct opens from window where kind = 'result'")
    assert opens == [(int(first.publish_at.timestamp() * 1000),)]
    assert len(frozen.sql("select 1 from result")) == 5


def test_what_is_planned_is_no_answer_to_a_second_head(frozen: Frozen) -> None:
    """Two heads press the button at the same moment: one publication comes of it."""
    frozen.approve()
    one, other = frozen.host.actor, host_desk(frozen.client).actor
    at = frozen.client.clock.now() + SOON
    frozen.client.call(lambda site: results.publish(site, one, 1, at))
    with pytest.raises(Refused):
        frozen.client.call(lambda site: results.publish(site, other, 1, at))


# what others write


def test_results_are_written_anew_with_notes(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish()
    moves = [
        Move("1220001", "", None, "123601", "E01", None),
        Move("1320001", "", None, "133602", "E01", None),
        Move("1220002", "one-way", None, "133603", "E01", 1),
    ]
    notes = {"1220001": "dropped-out", "1320001": "void"}

    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            await results.write(db, 1, moves, notes)
            concerned = ["application of " + PAN.name]
            await results.tell_changed(db, site, concerned, site.clock.now())

    frozen.client.call(write)
    assert "連帶失效" in frozen.teacher(PAN).get("/teacher/status").text
    assert "未獲聘任" in frozen.teacher(LIN).get("/teacher/status").text
    assert "林○明" not in frozen.client.get("/public/results").text
    assert "陳○華" in frozen.client.get("/public/results").text
    assert told(frozen) == [PAN.name]
