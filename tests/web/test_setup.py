"""The host's set-up: first year, settings, texts, schedule, lists, the next year."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from practice_round import CHEN, LIN, START, Client, Page, running
from staff_site import county_desk, host_desk
from starlette.testclient import TestClient

from jiepin.web.app import create_app
from jiepin.web.clock import SetClock, to_ms
from jiepin.web.host import schedule as pages
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import accounts, rounds, schedule, schools
from jiepin.web.store.schools import RoundSettings, Window
from jiepin.web.vault import Vault

PAGE, TEXTS, BEGIN = "/host/round", "/host/round/texts", "/host/round/begin"
SCHEDULE, RULES = "/host/round/schedule", "/host/rules"
LISTS = "/host/round/lists"


@pytest.fixture
def host(client: Client) -> Client:
    return host_desk(client)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A host's desk on a site that the tests leave as it is."""
    with running(tmp_path_factory.mktemp("site")) as client:
        yield host_desk(client)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Client]:
    """A real site at its first start: no round, no school."""
    folder = tmp_path / "empty"
    settings = Settings(folder, "https://tas.test", folder / "keys.json")
    app, clock = create_app(settings, Vault.new(), SetClock(START)), SetClock(START)
    with TestClient(app, "https://tas.test", follow_redirects=False) as http:
        yield Client(app, http, clock)


def setup_form(client: Client, **changes: object) -> dict[str, object]:
    """Return the form of the settings as the page shows it."""
    html = client.get(PAGE).text
    ticked = re.findall(r'name="(level|county)" value="([\w-]+)" checked', html)
    form: dict[str, object] = {
        name: [value for field, value in ticked if field == name]
        for name in ("level", "county")
    }
    names = ["max_counties", "max_subjects", "max_choices", "retention_days"]
    names += [f"points-{item}" for item in rounds.POINT_ITEMS]
    values = Page(html).values
    version = client.hidden(PAGE)["version"]
    form |= {name: values[name] for name in names} | {"version": version}
    return form | changes


def save_settings(client: Client, **changes: object):
    return client.http.post(PAGE, data=setup_form(client, **changes))


def settings_of(client: Client) -> RoundSettings:
    async def read(site: Site) -> RoundSettings:
        async with site.database.reading() as db:
            return await schools.the_round(db)

    return client.call(read)


def rows(client: Client, statement: str) -> list[tuple[object, ...]]:
    async def read(site: Site) -> list[tuple[object, ...]]:
        async with site.database.reading() as db:
            return [tuple(row) for row in await db.execute_fetchall(statement)]

    return client.call(read)


def write(client: Client, statement: str, *values: object) -> None:
    async def run(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(statement, values)

    client.call(run)


def freeze(client: Client) -> None:
    write(client, "update round set frozen = ?", to_ms(client.clock.now()))


def noted(client: Client, action: str) -> list[dict[str, object]]:
    found = rows(client, "select action, detail from audit order by id")
    return [json.loads(str(detail)) for name, detail in found if name == action]


# an empty site


def test_every_page_survives_that_there_is_no_year(empty: Client) -> None:
    host = host_desk(empty)
    for path in ("/host/home", PAGE, LISTS + "/counties", LISTS + "/elementary"):
        answer = host.get(path)
        assert answer.status_code == 200, path
    assert "開始第一個年度" in host.get("/host/home").text
    assert host.get("/host/progress.json").json() == {}
    for path in (SCHEDULE, RULES):
        assert host.get(path).headers["location"] == PAGE
        assert host.post(path).headers["location"] == PAGE
    assert host.post(TEXTS).status_code == 303
    assert host.post(PAGE).status_code == 200


def test_h03_the_first_year_begins_on_an_empty_site(empty: Client) -> None:
    host = host_desk(empty)
    wrong = host.post(BEGIN, year="99", organiser="")
    assert wrong.status_code == 422
    assert 'value="99"' in wrong.text
    assert host.post(BEGIN, year="115", organiser="高雄市").status_code == 303
    assert settings_of(host).year == 115
    assert settings_of(host).organiser == "高雄市"
    assert noted(host, "year-begun") == [{"year": 115}]
    for path in ("/host/home", PAGE, SCHEDULE, RULES):
        assert host.get(path).status_code == 200, path
    assert save_settings(host, max_choices="30").status_code == 303
    assert host.get("/teacher/").status_code == 200


def test_only_the_head_begins_a_year(empty: Client) -> None:
    clerk = host_desk(empty, "clerk")
    assert "主管開始第一個年度" in clerk.get(PAGE).text
    assert clerk.post(BEGIN, year="115", organiser="x").status_code == 404
    assert rows(empty, "select * from round") == []


# settings


def test_h03_settings_are_kept_and_the_pages_of_teachers_follow(
    client: Client, host: Client
) -> None:
    counties = ["12", "13", "14"]
    saved = save_settings(
        host,
        county=counties,
        level=["elementary", "junior-high"],
        max_counties="1",
        max_choices="30",
        **{"points-service": "20.5", "points-reason1": ""},
    )
    assert saved.headers["location"] == PAGE + "?saved=1"
    assert 'value="20.5"' in host.get(PAGE).text
    found = settings_of(host)
    assert found.levels == ("junior-high", "elementary")
    assert (found.max_counties, found.max_choices, found.version) == (1, 30, 2)
    assert rows(host, "select item, most from points_limit") == [("service", 2050)]
    client.fill_in(5)
    html = client.get("/teacher/wishes/counties").text
    assert re.findall(r'<option value="(\d\d)"', html) == ["13", "14"]
    refused = client.save("/teacher/wishes/counties", county1="09")
    assert refused.status_code == 422
    assert "請從清單選擇志願縣市" in refused.text


def test_a_level_that_is_not_in_the_round_has_no_door(
    client: Client, host: Client
) -> None:
    save_settings(host, level=["junior-high"])
    offered = re.findall('<option value="([a-z-]+)"', client.get("/teacher/").text)
    assert offered == ["junior-high"]
    assert client.sign_in(LIN).status_code == 422


def test_all_counties_ticked_holds_for_those_that_come_later(host: Client) -> None:
    save_settings(host)
    assert rows(host, "select * from round_county") == []
    save_settings(host, county=["12", "13"])
    assert rows(host, "select county from round_county") == [("12",), ("13",)]


WRONG_SETTINGS = [
    ({"level": []}, "levels"),
    ({"county": ["12"]}, "counties"),
    ({"max_counties": "3"}, "max_counties"),
    ({"max_counties": "0"}, "max_counties"),
    ({"max_subjects": "4"}, "max_subjects"),
    ({"max_choices": "-1"}, "max_choices"),
    ({"max_choices": "１"}, "max_choices"),
    ({"retention_days": "1"}, "retention_days"),
    ({"points-awards": "1e3"}, "points-awards"),
    ({"points-awards": "7.125"}, "points-awards"),
    ({"county": ["12", "13", "no such"]}, "counties"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG_SETTINGS)
def test_wrong_settings_are_told_at_their_field(
    still: Client, changes: dict[str, object], field: str
) -> None:
    before = still.digest()
    answer = save_settings(still, **changes)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    if field.startswith("points"):
        assert f'value="{changes[field]}"' in answer.text
    assert still.digest() == before


def test_limits_never_cut_off_what_is_there(client: Client, host: Client) -> None:
    client.file("133601", "133602", "143601")
    for changes, field in (
        ({"max_choices": "2"}, "max_choices"),
        ({"max_counties": "1"}, "max_counties"),
        ({"level": ["kindergarten"]}, "levels"),
        ({"county": ["13", "14"]}, "counties"),
        ({"county": ["12", "13"]}, "counties"),
    ):
        answer = save_settings(host, **changes)
        assert answer.status_code == 422, changes
        assert f'href="#{field}">' in answer.text, changes
        assert "已有 1 件申請" in answer.text
    id_ = client.application().id
    write(host, "insert into points values (?, 'service', 1200, '')", id_)
    answer = save_settings(host, **{"points-service": "11.99"})
    assert 'href="#points-service">' in answer.text
    assert save_settings(host, **{"points-service": "12"}).status_code == 303
    assert save_settings(host, max_choices="3").status_code == 303


def test_an_older_page_overwrites_nothing(host: Client) -> None:
    older = setup_form(host, max_choices="7")
    save_settings(host, max_choices="9")
    for path in (PAGE, TEXTS, SCHEDULE, RULES):
        form = older | {"organiser": "x", "rules": "", "level": "elementary"}
        answer = host.http.post(path, data=form)
        assert answer.status_code == 409, path
    assert settings_of(host).max_choices == 9


# texts


def test_another_text_of_the_notices_is_agreed_to_again(
    client: Client, host: Client
) -> None:
    client.fill_in(3)
    form = {"organiser": "屏東縣政府", "notices": "", "notices_en": ""}
    host.save(TEXTS, **form | {"version": host.version(PAGE)})
    assert settings_of(host).notices_version == 1
    assert "已於" in client.get("/teacher/notices").text
    form["notices"] = "  第一項\r\n\r\n第二項 "
    host.save(TEXTS, **form | {"version": host.version(PAGE)})
    found = settings_of(host)
    assert (found.notices, found.notices_version) == ("第一項\n第二項", 2)
    assert "請重新閱讀並同意" in client.get("/teacher/notices").text
    host.save(TEXTS, **form | {"version": host.version(PAGE)})
    assert settings_of(host).notices_version == 2
    assert noted(host, "texts-changed")[-1]["notices"] == 2


def test_wrong_texts_come_back_as_typed(host: Client) -> None:
    form = {"organiser": "", "notices": "", "notices_en": "one"}
    answer = host.post(TEXTS, version=host.version(PAGE), **form)
    assert answer.status_code == 422
    assert 'href="#organiser"' in answer.text
    assert 'href="#notices"' in answer.text
    assert ">one</textarea>" in answer.text


# who may


@pytest.mark.parametrize("role", ["reviewer", "clerk", "head"])
def test_who_may_set_up(client: Client, role: str) -> None:
    host = host_desk(client, role)
    expected = 404 if role == "reviewer" else 303
    assert host.get(PAGE).status_code == 200
    assert ("儲存參加者與上限" in host.get(PAGE).text) == (expected == 303)
    assert save_settings(host).status_code == expected
    typed = {"organiser": "x", "notices": "", "notices_en": ""}
    saved = host.post(TEXTS, version=host.version(PAGE), **typed)
    assert saved.status_code == expected
    answers = [
        host.save(SCHEDULE, **schedule_form(host)),
        host.save(RULES, rules="", version=host.version(PAGE)),
        save_list(host, "counties"),
    ]
    assert [answer.status_code for answer in answers] == [expected] * 3


def test_nobody_else_comes_here(client: Client) -> None:
    client.sign_in()
    paths = ("/host/home", "/host/progress.json", PAGE, SCHEDULE, RULES, LISTS)
    for browser in (client, county_desk(client), client.another()):
        for path in (*paths[:-1], LISTS + "/counties"):
            assert browser.get(path).headers["location"] == "/host/", path
    for path in (PAGE, TEXTS, BEGIN, SCHEDULE, RULES, LISTS + "/counties"):
        assert county_desk(client).post(path).headers["location"] == "/host/"


def test_after_the_freeze_only_texts_change(client: Client, host: Client) -> None:
    forms = {
        PAGE: setup_form(host, max_choices="7"),
        SCHEDULE: schedule_form(host) | {"level": "elementary"},
        RULES: {"rules": "", "version": host.version(PAGE)},
        LISTS + "/counties": list_form(host, "counties"),
    }
    freeze(client)
    before = host.digest()
    for path, form in forms.items():
        answer = host.http.post(path, data=form)
        assert answer.status_code == 409, path
        assert "已凍結" in answer.text
        assert "僅供查閱" in host.get(path).text
    assert host.digest() == before
    typed = {"organiser": "新北市", "notices": "一", "notices_en": ""}
    saved = host.post(TEXTS, version=host.version(PAGE), **typed)
    assert saved.status_code == 303
    assert settings_of(host).organiser == "新北市"
    assert settings_of(host).frozen is not None


# schedule


def schedule_form(client: Client, **changes: str) -> dict[str, str]:
    """Return the form of the schedule as the page shows it."""
    html = client.get(SCHEDULE + "?level=elementary").text
    found = re.findall(
        r'name="(\w+-(?:opens|closes))" type="[^"]*" value="(.*?)"', html
    )
    version = client.hidden(PAGE)["version"]
    return {**dict(found), "version": version, "level": "elementary"} | changes


def windows(client: Client, level: str = "elementary") -> dict[str, Window]:
    async def read(site: Site) -> dict[str, Window]:
        async with site.database.reading() as db:
            return (await schedule.of_year(db, 115))[level]

    return client.call(read)


WHOLE = {
    "fill-opens": "2026-04-19T09:00",
    "fill-closes": "2026-05-01T00:00",
    "review-opens": "2026-05-01T00:00",
    "review-closes": "2026-05-08T17:00",
    "notice-opens": "2026-05-11T09:00",
    "notice-closes": "2026-05-13T17:00",
    "freeze-opens": "2026-05-14T09:00",
    "run-opens": "2026-05-15T09:00",
}


def test_h02_a_schedule_of_all_levels_in_taiwans_time(host: Client) -> None:
    form = schedule_form(host, **WHOLE, all="yes", reason="核定日程")
    assert host.post(SCHEDULE, **form).status_code == 303
    for level in schools.LEVELS:
        found = windows(host, level)
        assert found["fill"].opens == datetime(2026, 4, 19, 1, tzinfo=UTC)
        assert found["fill"].closes == datetime(2026, 4, 30, 16, tzinfo=UTC)
        assert set(found) == {"fill", "review", "notice", "freeze", "run"}
    html = host.get(SCHEDULE).text
    assert "115年4月19日（週日） 09:00" in html
    assert 'value="2026-05-08T17:00"' in html
    assert "核定日程" in html
    [entry] = noted(host, "schedule-changed")
    assert "核定日程" not in json.dumps(entry, ensure_ascii=False)
    host.post("/language", language="en", back="/")
    assert "19 April 2026 (Sunday) 09:00" in host.get(SCHEDULE).text


def test_h02_one_level_has_its_own_times(host: Client) -> None:
    form = schedule_form(host, **WHOLE, reason="國小先辦")
    host.post(SCHEDULE, **form)
    assert set(windows(host, "junior-high")) == {"fill"}
    assert set(windows(host)) >= {"fill", "review"}


def test_h02_an_extension_while_it_is_on_needs_a_reason(
    client: Client, host: Client
) -> None:
    form = schedule_form(host, **{"fill-closes": "2026-05-05T00:00"})
    refused = host.post(SCHEDULE, **form)
    assert refused.status_code == 422
    assert 'href="#reason"' in refused.text
    assert 'value="2026-05-05T00:00"' in refused.text
    assert host.post(SCHEDULE, **form, reason="颱風停班").status_code == 303
    assert windows(host)["fill"].closes == datetime(2026, 5, 4, 16, tzinfo=UTC)
    [change] = rows(host, "select level, kind, reason from window_change")
    assert change == ("elementary", "fill", "颱風停班")
    client.clock.set(datetime(2026, 5, 2, tzinfo=UTC))
    assert client.sign_in().status_code == 303


def test_h02_an_end_at_once_is_asked_for_twice(client: Client, host: Client) -> None:
    client.fill_in(5)
    times = {"fill-opens": "2026-04-19T09:00", "fill-closes": "2026-04-20T08:00"}
    form = schedule_form(host, **times, reason="誤植")
    asked = host.post(SCHEDULE, **form)
    assert asked.status_code == 422
    assert 'name="confirmed"' in asked.text
    assert "目前 1 人還在填報或補正，0 件待審核。" in asked.text
    assert windows(host)["fill"].closes > client.clock.now()
    assert host.post(SCHEDULE, **form, confirmed="yes").status_code == 303
    assert windows(host)["fill"].closes < client.clock.now()


def test_what_was_not_touched_is_no_change(client: Client, host: Client) -> None:
    """A time with seconds is shown to the minute, and stays when saved like that."""
    opens = START - timedelta(days=1, seconds=-7)
    write(host, "update window set opens = ? where kind = 'fill'", to_ms(opens))
    times = {"review-opens": "2026-04-30T00:00", "review-closes": "2026-05-08T17:00"}
    assert host.post(SCHEDULE, **schedule_form(host, **times)).status_code == 303
    assert windows(client)["fill"].opens == opens
    assert rows(host, "select kind from window_change") == [("review",)]


def test_taking_a_running_phase_out_is_an_end_at_once(host: Client) -> None:
    form = schedule_form(host, **{"fill-opens": "", "fill-closes": ""}, reason="x")
    asked = host.post(SCHEDULE, **form)
    assert 'name="confirmed"' in asked.text
    host.post(SCHEDULE, **form, confirmed="yes")
    assert windows(host) == {}


WRONG_TIMES = [
    ({"fill-closes": ""}, "fill-closes"),
    ({"fill-closes": "2026-04-19T09:00"}, "fill-closes"),
    ({"review-opens": "2026-04-18T09:00"}, "review-opens"),
    ({"review-closes": "2026-04-30T00:00"}, "review-closes"),
    ({"notice-opens": ""}, "notice-opens"),
    ({"notice-closes": "2026-05-08T09:00"}, "notice-closes"),
    ({"freeze-opens": "2026-05-12T09:00"}, "freeze-closes"),
    ({"freeze-opens": "2026-05-07T09:00"}, "freeze-opens"),
    (
        {
            "notice-opens": "",
            "notice-closes": "",
            "freeze-opens": "2026-05-07T09:00",
            "freeze-closes": "2026-05-14T09:00",
        },
        "freeze-opens",
    ),
    ({"run-opens": "2026-05-13T09:00"}, "run-opens"),
    ({"run-opens": "tomorrow"}, "run-opens"),
    ({"run-opens": "2026-02-30T09:00"}, "run-opens"),
]


@pytest.mark.parametrize(("changes", "field"), WRONG_TIMES)
def test_times_follow_each_other(
    still: Client, changes: dict[str, str], field: str
) -> None:
    before = still.digest()
    form = schedule_form(still, **WHOLE, reason="x", confirmed="yes") | changes
    answer = still.post(SCHEDULE, **form)
    assert answer.status_code == 422
    assert f'href="#{field}"' in answer.text
    assert still.digest() == before


def test_what_is_typed_is_what_is_read() -> None:
    moment = START
    for _ in range(500):
        assert pages.read_time(pages.typed_time(moment)) == moment
        moment += timedelta(hours=31, minutes=7)


# lists


def list_form(client: Client, name: str, **changes: str) -> dict[str, str]:
    html = client.get(f"{LISTS}/{name}").text
    fields = {
        field: value
        for field, value in Page(html).values.items()
        if re.match(r"(place|code|name|name_en|new)-\d", field)
    }
    return {**fields, "version": client.hidden(f"{LISTS}/{name}")["version"]} | changes


def save_list(client: Client, name: str, **changes: str):
    return client.post(f"{LISTS}/{name}", **list_form(client, name, **changes))


def test_h03_a_county_is_renamed_and_added(client: Client, host: Client) -> None:
    client.fill_in(5)
    form = list_form(host, "counties")
    n = next(f[5:] for f, v in form.items() if f.startswith("code-") and v == "13")
    last = max(int(f[5:]) for f in form if f.startswith("code-"))
    new = {f"code-{last}": "80", f"name-{last}": "新縣", f"name_en-{last}": "New"}
    renamed = {f"name-{n}": "屏東市", f"name_en-{n}": "Pingtung"}
    saved = save_list(host, "counties", **new, **renamed)
    assert saved.headers["location"] == f"{LISTS}/counties?saved=1"
    assert ("80", "新縣", "New") in rows(host, "select * from county")
    html = client.get("/teacher/wishes/counties").text
    assert "屏東市" in html
    assert "新縣" in html


def test_h03_subjects_are_put_in_order(host: Client) -> None:
    places = {"place-0": "2", "place-1": "1"}
    assert save_list(host, "kindergarten", **places).status_code == 303
    found = rows(
        host, "select code from subject where level = 'kindergarten' order by place"
    )
    assert [code for (code,) in found] == ["K02", "K01", "K03"]


def test_what_is_used_is_never_deleted(host: Client) -> None:
    form = list_form(host, "counties")
    unused = next(f[5:] for f, v in form.items() if f.startswith("code-") and v == "09")
    used = next(f[5:] for f, v in form.items() if f.startswith("code-") and v == "12")
    html = host.get(f"{LISTS}/counties").text
    assert f'name="gone-{unused}"' in html
    assert f'name="gone-{used}"' not in html
    refused = save_list(host, "counties", **{f"gone-{used}": "yes"})
    assert refused.status_code == 422
    assert "使用中，不能刪除：12" in refused.text
    assert save_list(host, "counties", **{f"gone-{unused}": "yes"}).status_code == 303
    assert ("09",) not in rows(host, "select code from county")


WRONG_ROWS = [
    ("counties", {"code": "1", "name": "a", "name_en": "a"}, "code"),
    ("counties", {"code": "", "name": "a", "name_en": "a"}, "code"),
    ("counties", {"code": "81", "name": "", "name_en": "a"}, "name"),
    ("counties", {"code": "81", "name": "a", "name_en": ""}, "name_en"),
    ("counties", {"code": "12", "name": "a", "name_en": "a"}, ""),
    ("elementary", {"code": "12", "name": "a", "name_en": "a"}, "code"),
    ("elementary", {"code": "J01", "name": "a", "name_en": "a"}, ""),
    ("elementary", {"code": "E99", "name": "a", "name_en": "a", "place": "x"}, "place"),
]


@pytest.mark.parametrize(("name", "typed", "field"), WRONG_ROWS)
def test_wrong_rows_are_told(
    still: Client, name: str, typed: dict[str, str], field: str
) -> None:
    before = still.digest()
    last = max(int(f[5:]) for f in list_form(still, name) if f.startswith("code-"))
    answer = save_list(still, name, **{f"{f}-{last}": v for f, v in typed.items()})
    assert answer.status_code == 422
    assert not field or f'href="#{field}-{last}"' in answer.text
    assert field or "代碼重複" in answer.text
    assert f'value="{typed["name_en"] or typed["name"]}"' in answer.text
    assert still.digest() == before


def test_an_older_list_overwrites_nothing(host: Client) -> None:
    older = list_form(host, "kindergarten", **{"name-0": "甲"})
    save_list(host, "kindergarten", **{"name-1": "乙"})
    assert host.post(f"{LISTS}/kindergarten", **older).status_code == 409


def test_there_are_no_other_lists(host: Client) -> None:
    assert host.get(LISTS).headers["location"] == f"{LISTS}/counties"
    assert host.get(f"{LISTS}/staff").status_code == 404


# the next year


def publish(client: Client) -> None:
    """Write the least that says that a result is public."""
    now = to_ms(client.clock.now())
    [(staff, *_)] = rows(client, "select id from staff limit 1")
    write(
        client,
        """insert into snapshot (year, kind, made, made_by, rules, folder, manifest,
        digest, signature, seed, commitment, teachers, left_out)
        values (115, 'freeze', ?, ?, '', '', '', '', x'', x'', '', 0, 0)""",
        now,
        staff,
    )
    write(
        client,
        "insert into run (snapshot, asked, asked_by, state) values (1, ?, ?, 'done')",
        now,
        staff,
    )
    write(
        client,
        "insert into publication (year, run, publish_at, set_by, set_at) "
        "values (115, 1, ?, ?, ?)",
        now,
        staff,
        now,
    )


def test_h03_the_next_year_is_a_copy_of_the_last(client: Client, host: Client) -> None:
    client.fill_in(5)
    save_settings(host, county=["12", "13", "14"], **{"points-special": "5"})
    host.post(SCHEDULE, **schedule_form(host, **WHOLE, all="yes", reason="x"))
    write(
        host, "insert into vacancy (school, subject, seats) values ('133601','E01',2)"
    )
    assert host.post(BEGIN, year="115", confirmed="yes").status_code == 422
    assert "本年度結果公告後才能開始" in host.get(PAGE).text
    publish(host)
    freeze(host)
    assert host.post(BEGIN, year="115").status_code == 422
    assert host.post(BEGIN, year="114", confirmed="yes").status_code == 409
    assert host_desk(client, "clerk").post(BEGIN, year="115").status_code == 404
    assert host.post(BEGIN, year="115", confirmed="yes").status_code == 303
    found = settings_of(host)
    assert (found.year, found.frozen, found.version) == (116, None, 1)
    assert found.organiser == "高雄市政府教育局"
    assert rows(host, "select * from vacancy") == []
    listed = "select county from round_county where year = 116"
    assert rows(host, listed) == [("12",), ("13",), ("14",)]
    limit = "select item, most from points_limit where year = 116"
    assert rows(host, limit) == [("special", 500)]
    [(opens,)] = rows(
        host,
        "select opens from window where year = 116 and kind = 'fill' "
        "and level = 'elementary'",
    )
    assert opens == to_ms(datetime(2027, 4, 19, 1, tzinfo=UTC))
    assert rows(host, "select count(*) from school")[0] > (0,)


def test_a_new_year_shuts_out_the_old_one(client: Client, host: Client) -> None:
    """Last year's sessions end, its accounts open nothing, its data stays as it was."""
    client.fill_in(5)
    assert client.get("/teacher/wishes").status_code in (200, 303)
    publish(host)
    old = rows(host, "select id, version, digest from application")
    host.post(BEGIN, year="115", confirmed="yes")
    assert client.get("/teacher/person").headers["location"] == "/teacher/"
    client.clock.move(minutes=1)
    assert client.sign_in().status_code == 422
    assert client.sign_in(password="a quiet morning").status_code == 422
    assert rows(host, "select id, version, digest from application") == old
    for path in ("/host/home", PAGE, SCHEDULE, RULES):
        assert host.get(path).status_code == 200, path


def test_the_roster_of_the_new_year_lets_people_in(
    client: Client, host: Client
) -> None:
    host.post(BEGIN, year="115", confirmed="yes")

    async def roster(site: Site) -> None:
        lookup = site.vault.lookup(116, CHEN.level, CHEN.national_id)
        async with site.database.writing() as db:
            await accounts.add_to_roster(db, 116, CHEN.level, lookup, "12", None)

    client.call(roster)
    client.clock.set(datetime(2027, 4, 21, tzinfo=UTC))
    assert client.sign_in(CHEN).status_code == 303
    [(year,)] = rows(client, "select year from application")
    assert year == 116


# what others call


def test_limits_and_rules_follow_the_settings(client: Client, host: Client) -> None:
    save_settings(host, max_choices="12", **{"points-awards": "3.25"})

    async def read(site: Site) -> dict[str, int]:
        async with site.database.reading() as db:
            return await rounds.limits(db, 115)

    assert client.call(read) == {"awards": 325}
    assert "choices = 12" in rounds.rules_text(settings_of(host))
