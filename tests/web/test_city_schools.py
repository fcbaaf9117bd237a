"""A county's schools and seats: C07, T514, and whom a correction touches."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from practice_round import Client, Page, school
from review_desk import file, sign_in
from staff_site import county_desk, host_desk

from jiepin.web.county import school_forms
from jiepin.web.problems import Problems
from jiepin.web.site import Site
from jiepin.web.store import applications, school_changes, schools
from jiepin.web.store.school_changes import Wisher
from jiepin.web.store.schools import Record, Seats, Window

CODE = "133602"  # 中正國小, which 林小明 wishes
SOME = Seats(3, 2)


def fields(client: Client, code: str = CODE) -> dict[str, str]:
    """Return the form of a school as its page shows it."""
    html = client.get(f"/city/schools/{code}").text
    form = {}
    for tag in re.findall(r"<input [^>]*>", html[html.index("data-guarded") :]):
        found = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if found.get("type") != "checkbox" or " checked" in tag:
            form[found["name"]] = found.get("value", "")
    return form


def record(client: Client, code: str = CODE) -> Record:
    async def read(site: Site) -> Record:
        async with site.database.reading() as db:
            return (await schools.records_of(db, [code]))[code]

    return client.call(read)


def offer(client: Client, seats: Seats = SOME, code: str = CODE) -> None:
    """Let a school teach E01 and open seats of it."""

    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            found = (await schools.records_of(db, [code]))[code]
            new = replace(found, taught=frozenset({"E01", "E02"}), seats={"E01": seats})
            await schools.write_record(db, new)

    client.call(write)


def save(desk: Client, code: str = CODE, **changes: str):
    form = {k: v for k, v in {**fields(desk, code), **changes}.items() if v is not None}
    return desk.post(f"/city/schools/{code}", **form, then="save")


def test_c07_the_list_is_narrowed_and_counted(client: Client) -> None:
    offer(client)
    desk = county_desk(client, county="13")
    everything = desk.get("/city/schools?level=").text
    for name in ("青山國小", "中正國小", "仁愛國小", "明正國中"):
        assert name in everything
    assert "新興國小" not in everything  # of another county
    assert "<b>4</b>" in everything
    seats = desk.get("/city/schools?level=elementary&state=seats").text
    assert "中正國小" in seats
    assert "青山國小" not in seats
    found = desk.get("/city/schools?level=&q=%E9%9D%92%E5%B1%B1").text
    assert "青山國小" in found
    assert "中正國小" not in found


def test_c07_everything_about_a_school_is_kept(client: Client) -> None:
    desk = county_desk(client, county="13", role="clerk")
    changes = {
        "name": "中正實驗國小",
        "short_name": "中正實小",
        "township": "屏東市",
        "address": "屏東市一號",
        "notice": "實驗教育",
        "tag-remote": "yes",
        "tag-indigenous": "yes",
        "taught-E01": "yes",
        "taught-E02": "yes",
        "total-E01": "3",
        "seats-E01": "2",
        "seats-E02": "0",
    }
    answer = save(desk, **changes)
    assert answer.headers["location"] == f"/city/schools/{CODE}?told=0"
    found = record(client)
    assert found.school.name == "中正實驗國小"
    assert found.school.tags == ("remote", "indigenous")
    assert found.school.open
    assert found.taught == {"E01", "E02"}
    assert found.seats == {"E01": Seats(3, 2), "E02": Seats(None, 0)}
    assert found.school.version == 2
    shown = fields(desk)
    assert {name: shown.get(name) for name in changes} == changes


def test_the_pool_of_the_teachers_follows(client: Client) -> None:
    async def revision(site: Site) -> int:
        async with site.database.reading() as db:
            return (await schools.the_round(db)).schools_revision

    before = client.call(revision)
    save(county_desk(client, county="13"), name="新校名國小")
    assert client.call(revision) > before


def test_half_of_the_seats_by_a_button_saves_nothing(client: Client) -> None:
    desk = county_desk(client, county="13")
    before = client.digest()
    form = fields(desk) | {"taught-E01": "yes", "total-E01": "5", "then": "half"}
    page = Page(desk.post(f"/city/schools/{CODE}", **form).text)
    assert page.values["seats-E01"] == "3"
    assert client.digest() == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": " "}, "請填寫校名"),
        ({"taught-E01": "yes", "total-E01": "2", "seats-E01": "3"}, "不可多於缺額總數"),
        ({"taught-E01": "yes", "seats-E01": "-1"}, "須為 0 至 999 的整數"),
        ({"taught-E01": "yes", "total-E01": "3"}, "須為 0 至 999 的整數"),
        ({"seats-E01": "1"}, "未勾選設有此科"),
        ({"tag-remote": "yes", "tag-special-remote": "yes"}, "只能擇一"),
        (
            {"tag-swap-only": "yes", "taught-E01": "yes", "seats-E01": "1"},
            "不能提列他縣市缺額",
        ),
    ],
)
def test_what_does_not_hold_is_told_and_changes_nothing(
    client: Client, changes: dict[str, str], text: str
) -> None:
    desk = county_desk(client, county="13")
    before = client.digest()
    answer = save(desk, **changes)
    assert answer.status_code == 422
    assert text in answer.text
    for name, value in changes.items():
        if not name.startswith(("taught", "tag")):
            assert Page(answer.text).values[name] == value
    assert client.digest() == before


def test_two_windows_do_not_overwrite_each_other(client: Client) -> None:
    desk = county_desk(client, county="13")
    form = fields(desk)
    save(desk, name="先存的國小")
    answer = desk.post(f"/city/schools/{CODE}", **form | {"name": "後存的國小"})
    assert answer.status_code == 409
    assert record(client).school.name == "先存的國小"


def test_a_new_school(client: Client) -> None:
    desk = county_desk(client, county="13")
    form = {
        "level": "elementary",
        "name": "新設國小",
        "township": "屏東市",
        "open": "yes",
    }
    again = desk.post("/city/schools/new", **form, code="133601", version="0")
    assert again.status_code == 422
    assert "已有學校使用" in again.text
    added = desk.post("/city/schools/new", **form, code="133699", version="0")
    assert added.headers["location"] == "/city/schools/133699?told=0"
    assert record(client, "133699").school.county == "13"
    wrong = desk.post("/city/schools/new", **form, code="x y", version="0")
    assert "學校代碼須為" in wrong.text


def test_who_may_not_change_schools(client: Client) -> None:
    offer(client)
    form = fields(county_desk(client, county="13")) | {"name": "不可能國小"}
    before = record(client)
    others = [
        county_desk(client, county="12"),
        county_desk(client, county="13", levels=["junior-high"]),
        county_desk(client, county="13", role="reviewer"),
    ]
    for desk in others:
        assert desk.post(f"/city/schools/{CODE}", **form).status_code == 404
    for desk in others[1:]:
        assert desk.post("/city/schools/new", **form).status_code == 404
    for anybody in (host_desk(client), client):
        answer = anybody.post(f"/city/schools/{CODE}", **form)
        assert answer.headers["location"] == "/city/"
    assert others[2].get(f"/city/schools/{CODE}").status_code == 200
    assert others[0].get(f"/city/schools/{CODE}").status_code == 404
    assert record(client) == before


def test_h05_nothing_changes_after_the_freeze(client: Client) -> None:
    desk = county_desk(client, county="13")
    form = fields(desk) | {"name": "太晚國小"}

    async def freeze(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("update round set frozen = 1")

    client.call(freeze)
    assert desk.post(f"/city/schools/{CODE}", **form).status_code == 409
    assert record(client).school.name == "中正國小"
    assert "您只能查看" in desk.get("/city/schools").text
    assert desk.get("/city/schools/new").status_code == 404


# whom a correction touches


def test_t514_closing_a_wished_school_asks_first_and_tells_once(client: Client) -> None:
    id_ = file(client, CODE, "133601")
    desk = county_desk(client, county="13")
    before = client.digest()
    asked = save(desk, open=None)
    assert asked.status_code == 200
    assert "確認更正" in asked.text
    assert "高雄市" in asked.text
    assert "林小明" not in asked.text  # of another county: a number is enough
    assert client.digest() == before
    page = Page(asked.text)
    confirmed = {k: v for k, v in page.values.items() if k not in ("back", "open")}
    done = desk.post(f"/city/schools/{CODE}", **confirmed)
    assert done.headers["location"] == f"/city/schools/{CODE}?told=1"
    assert not record(client).school.open
    [letter] = client.mailed("schools")
    assert letter["schools"] == ["中正鄉中正國小：已自介聘學校名單移除"]
    assert letter["language"] == "zh-Hant"
    save(desk, address="改了地址")  # it has been closed already
    assert len(client.mailed("schools")) == 1

    async def read(site: Site) -> tuple[str, ...]:
        async with site.database.reading() as db:
            found = await applications.by_id(db, id_)
            assert found is not None
            return found.wishes

    assert CODE in client.call(read)  # what was saved stays; the teacher decides


def test_t514_losing_the_last_seat_of_a_subject_is_told(client: Client) -> None:
    offer(client)
    file(client, CODE)
    desk = county_desk(client, county="13")
    fewer = save(desk, **{"seats-E01": "1"})
    assert "told=0" in fewer.headers["location"]
    asked = save(desk, **{"seats-E01": "0"})
    assert "僅能以互調達成" in asked.text
    done = desk.post(f"/city/schools/{CODE}", **Page(asked.text).values)
    assert "told=1" in done.headers["location"]
    [letter] = client.mailed("schools")
    assert "僅能以互調達成" in letter["schools"][0]


def fill_in_again(client: Client) -> None:
    """Let the time to fill in be on, which `file` had ended."""
    now = client.clock.now()
    window = Window(now - timedelta(days=1), now + timedelta(days=1))

    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            await schools.save_window(db, 115, "elementary", "fill", window)

    client.call(write)


def test_t514_the_teacher_sees_that_only_an_exchange_leads_there(
    client: Client,
) -> None:
    offer(client)
    file(client, CODE, "133601")
    sign_in(client)
    fill_in_again(client)
    told = "此志願只能以互調達成"
    assert told not in client.get("/teacher/wishes").text
    offer(client, Seats(4, 0))
    assert client.get("/teacher/wishes").text.count(told) == 1  # not of 青山國小
    offer(client, SOME)

    async def swap_only(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(
                "update school set tags = 'swap-only' where code = '133601'"
            )

    client.call(swap_only)
    assert client.get("/teacher/wishes").text.count(told) == 1


def test_nobody_is_told_of_what_was_not_shown(client: Client) -> None:
    file(client, CODE)
    desk = county_desk(client, county="13")
    stale = fields(desk) | {"confirmed": "0" * 64}
    del stale["open"]
    answer = desk.post(f"/city/schools/{CODE}", **stale)
    assert "確認更正" in answer.text
    assert record(client).school.open


def test_a_correction_that_touches_nobody_is_saved_at_once(client: Client) -> None:
    file(client, "133601")
    answer = save(county_desk(client, county="13"), open=None)
    assert answer.headers["location"].endswith("told=0")
    assert client.mailed("schools") == []


# many schools at once


def test_seats_of_many_schools(client: Client) -> None:
    for code in ("133601", CODE):
        offer(client, Seats(None, 0), code)
    desk = county_desk(client, county="13")
    here = "/city/schools/seats?level=elementary&subject=E01"
    page = Page(desk.get(here).text)
    assert "仁愛國小" not in page.text  # does not teach it
    form = page.values | {"total-133601": "5", f"total-{CODE}": "0"}
    half = desk.post("/city/schools/seats", **form | {"then": "half"})
    form = Page(half.text).values
    assert (form["seats-133601"], form[f"seats-{CODE}"]) == ("3", "0")
    saved = desk.post("/city/schools/seats", **form | {"then": "save"})
    assert saved.headers["location"] == here + "&told=0"
    assert record(client, "133601").seats["E01"] == Seats(5, 3)
    assert record(client).seats["E01"] == Seats(0, 0)
    wrong = desk.post("/city/schools/seats", **form | {"seats-133601": "9"})
    assert wrong.status_code == 422
    assert "不可多於缺額總數" in wrong.text


def test_seats_of_many_schools_touch_applicants_too(client: Client) -> None:
    offer(client)
    file(client, CODE)
    desk = county_desk(client, county="13")
    page = Page(desk.get("/city/schools/seats?level=elementary&subject=E01").text)
    emptied = {f"total-{CODE}": "", f"seats-{CODE}": ""}
    asked = desk.post("/city/schools/seats", **page.values | emptied)
    assert "確認更正" in asked.text
    assert record(client).seats["E01"].seats == 2
    done = desk.post("/city/schools/seats", **Page(asked.text).values)
    assert "told=1" in done.headers["location"]
    assert record(client).seats == {}


def test_vacancies_are_those_of_open_schools(client: Client) -> None:
    offer(client)
    offer(client, Seats(1, 1), "133601")
    offer(client, Seats(1, 1), "133603")

    async def change(site: Site) -> list[tuple[str, str, int]]:
        async with site.database.writing() as db:
            await db.execute("update school set open = 0 where code = '133601'")
            await db.execute(
                "update school set tags = 'x|swap-only' where code = '133603'"
            )
            return await schools.vacancies(db)

    assert client.call(change) == [(CODE, "E01", 2)]


# the rules, without a site

PLACE = school(CODE, "中正國小", "remote", "indigenous")
SEATS = st.builds(
    lambda total, less: Seats(total, max(total - less, 0)),
    st.integers(0, 9),
    st.integers(0, 9),
)
RECORDS = st.builds(
    lambda is_open, tags, taught, seats: Record(
        replace(PLACE, open=is_open, tags=tuple(tags)),
        taught,
        {subject: told for subject, told in seats.items() if subject in taught},
    ),
    st.booleans(),
    st.lists(st.sampled_from(["remote", "indigenous"]), unique=True),
    st.frozensets(st.sampled_from(["E01", "E02"])),
    st.dictionaries(st.sampled_from(["E01", "E02"]), SEATS),
)
WISHERS = st.builds(
    Wisher,
    st.just("a"),
    st.just("12"),
    st.just("elementary"),
    st.frozensets(st.sampled_from(["E01", "E02"]), min_size=1),
    st.sampled_from([frozenset(), frozenset({"remote"})]),
    st.booleans(),
    st.just(frozenset({CODE})),
)


@given(WISHERS, RECORDS, RECORDS)
def test_what_is_lost_was_there_before_and_is_not_after(
    wisher: Wisher, before: Record, after: Record
) -> None:
    found = school_changes.lost(wisher, before, after)
    assert school_changes.lost(wisher, before, before) == ()
    assert ("closed" in found) == (before.school.open and not after.school.open)
    if "closed" in found:
        assert found == ("closed",)
    if "seat" in found:
        assert wisher.subjects & before.offered - after.offered
    if "taught" in found:
        assert wisher.subjects & before.taught - after.taught
    if "area" in found or "indigenous" in found:
        assert set(before.school.tags) - set(after.school.tags)


@given(RECORDS)
def test_a_form_says_what_a_record_holds(found: Record) -> None:
    read = school_forms.read(school_forms.values(found), found, ["E01", "E02"])
    if len(school_forms.REMOTENESS.intersection(found.school.tags)) <= 1:
        assert not isinstance(read, Problems)
        assert set(read.school.tags) == set(found.school.tags)
        assert (read.taught, read.seats) == (found.taught, found.seats)
        assert read.school.open == found.school.open


@given(st.lists(st.integers(0, 999)))
def test_half_is_rounded_up_and_never_more_than_all(totals: list[int]) -> None:
    form = {f"total-{at}": str(total) for at, total in enumerate(totals)}
    halved = school_forms.halved(form)
    for at, total in enumerate(totals):
        seats = int(halved[f"seats-{at}"])
        assert total <= 2 * seats <= total + 1
    _, problems = school_forms.read_seats(halved, [str(n) for n in range(len(totals))])
    assert not problems
