"""Who may do what at the review desk, and when: whoever may not changes nothing."""

from __future__ import annotations

import re

import pytest
from practice_round import CHEN, LIN, WANG, Client, Person, save_and_file, teacher
from review_desk import (
    ANSWERS,
    POINTS,
    approve,
    check_sheet,
    file,
    open_record,
    post,
    record,
    seen,
    stored,
    work,
)
from staff_site import county_desk, host_desk

from jiepin.web.clock import to_ms
from jiepin.web.site import Site
from jiepin.web.store import applications

REASONS = {
    "return-reason": "x",
    "reject-reason": "x",
    "undo-reason": "x",
    "help-reason": "x",
}
WHOLE = REASONS | POINTS | ANSWERS | {"also": "yes", "help": "sessions"}
POSTS = ("open", "close", "sheet", "save", "return", "reject", "undo", "help")
DECISIONS = ("return", "reject", "undo")


def write(client: Client, statement: str, **values: object) -> None:
    async def do(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(statement, values)

    client.call(do)


def versions(client: Client, id_: str) -> dict[str, str]:
    found = stored(client, id_)
    return {"version": str(found.version), "review": str(found.review_version)}


def all_posts(desk: Client, id_: str) -> dict[str, int]:
    """Post everything there is to post; return how each was answered."""
    form = WHOLE | versions(desk, id_) | {"code": stored(desk, id_).digest}
    answers = {what: desk.post(record(id_, what), **form) for what in POSTS}
    approval = desk.post(record(id_, "save"), **form, then="approve")
    return {what: one.status_code for what, one in answers.items()} | {
        "approve": approval.status_code
    }


STRANGERS = {
    "another county": {"county": "13"},
    "another level": {"levels": ("junior-high", "kindergarten")},
}


@pytest.mark.parametrize("who", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize("role", ["clerk", "reviewer", "head"])
def test_asvs_8_2_2_what_belongs_to_others_is_not_there(
    client: Client, role: str, who: dict[str, object]
) -> None:
    id_ = file(client)
    open_record(county_desk(client), id_)
    desk = county_desk(client, role, **who)  # type: ignore[arg-type]
    before = client.digest()
    assert set(all_posts(desk, id_).values()) == {404}
    for page in ("", "openers", "sheet.pdf", "points.pdf"):
        assert desk.get(record(id_, page)).status_code == 404
    for page in ("/city/home", "/city/applications", "/city/audit"):
        assert "林小明" not in desk.get(page).text
    assert "林小明" not in desk.post("/city/applications/search", words="林").text
    assert client.digest() == before


def test_nobody_teachers_and_the_host_are_led_to_the_door(client: Client) -> None:
    id_ = file(client)
    for desk in (client.another(), host_desk(client)):
        before = client.digest()
        assert set(all_posts(desk, id_).values()) == {303}
        assert desk.get(record(id_)).headers["location"] == "/city/"
        assert client.digest() == before


@pytest.mark.parametrize("role", ["clerk", "reviewer", "head"])
def test_asvs_8_3_1_roles(client: Client, role: str) -> None:
    id_ = file(client)
    desk = county_desk(client, role)
    open_record(desk, id_)
    assert check_sheet(desk, id_).status_code == 303
    assert post(desk, id_, "save", **POINTS).status_code == 303
    help_ = post(desk, id_, "help", help="sessions", **REASONS).status_code
    assert help_ == (404 if role == "reviewer" else 303)
    decides = 404 if role == "clerk" else 303
    assert approve(desk, id_).status_code == decides
    if role != "clerk":
        open_record(desk, id_)
        assert post(desk, id_, "undo", **REASONS).status_code == 303


TIMES = {
    "before the review": "update window set opens = closes where kind = 'review'",
    "after the review": "update window set closes = opens where kind = 'review'",
    "without a review": "delete from window where kind = 'review'",
    "after the freeze": "update round set frozen = 1",
}


@pytest.mark.parametrize("statement", TIMES.values(), ids=TIMES)
def test_outside_of_the_review_records_can_be_seen_and_no_more(
    client: Client, statement: str
) -> None:
    id_ = file(client)
    desk = county_desk(client)
    write(client, statement)
    assert open_record(desk, id_).status_code == 303
    assert LIN.national_id in desk.get(record(id_)).text
    before = stored(client, id_), work(client, id_)
    found = all_posts(desk, id_)
    review = {found[what] for what in ("save", "approve", "sheet", *DECISIONS)}
    assert review == {409}
    assert (stored(client, id_), work(client, id_)) == before
    assert found["help"] == 303  # locks are lifted at any time


def test_after_the_freeze_what_the_host_has_opened(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client)
    write(client, "update round set frozen = 1")
    write(client, "update application set correcting = 2")
    open_record(desk, id_)
    check_sheet(desk, id_)
    assert approve(desk, id_).status_code == 303


def test_the_review_that_ends_meanwhile_is_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = file(client)
    desk = county_desk(client)
    open_record(desk, id_)
    form = seen(desk, id_) | POINTS
    closes = to_ms(client.clock.now()) + 60_000
    write(client, "update window set closes = :closes", closes=closes)
    before = client.digest()
    original = applications.by_id
    calls = []

    async def slow(*arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 3:  # after the writing, before the commit
            client.clock.move(minutes=1)
        return await original(*arguments)

    monkeypatch.setattr(applications, "by_id", slow)
    assert desk.post(record(id_, "save"), **form).status_code == 409
    assert client.digest() == before


def filed(client: Client, person: Person, *wishes: str) -> str:
    async def do(site: Site) -> str:
        actor, found = await teacher(site, person)
        counties = tuple(dict.fromkeys(code[:2] for code in wishes))
        chosen, _ = await applications.change_counties(
            site, actor, found.version, counties
        )
        return (await save_and_file(site, actor, chosen.version, wishes)).id

    return client.call(do)


def test_c05_numbers_count_on_by_level(client: Client) -> None:
    more = [filed(client, CHEN, "133602"), filed(client, WANG, "133501")]
    ids = [*more, file(client)]
    desk = county_desk(client, "head")
    numbers = []
    for id_ in ids:
        open_record(desk, id_)
        check_sheet(desk, id_)
        approve(desk, id_)
        numbers.append(stored(client, id_).number)
    assert numbers == ["1220001", "1210001", "1220002"]


# the list


@pytest.fixture
def three(client: Client) -> Client:
    """林 has filed with three wishes, 陳 and 王 with one."""
    filed(client, CHEN, "133602")
    filed(client, WANG, "133501")
    file(client)
    return client


def listed(desk: Client, query: str = "") -> list[str]:
    page = desk.get("/city/applications" + query).text
    return re.findall(r'<th scope="row"><a [^>]*>([^<]*)</a>', page)


def test_c02_filters_narrow_the_list(three: Client) -> None:
    desk = county_desk(three)
    write(three, "update application set indigenous = 1 where level = 'junior-high'")
    write(
        three,
        "update application set state = 'approved', number = '1220007', reviewed = 2, "
        "subject2 = 'E03' where name = :name",
        name=LIN.name,
    )
    everybody = {LIN.name, CHEN.name, WANG.name}
    for query, expected in {
        "": everybody,
        "?level=junior-high": {WANG.name},
        "?level=nowhere&state=what&order=x": everybody,
        "?state=approved": {LIN.name},
        "?state=filling": set(),
        "?school=123601": {LIN.name, CHEN.name},
        "?school=1'--": set(),
        "?subject=E03": {LIN.name},
        "?subject=J01": {WANG.name},
        "?indigenous=yes": {WANG.name},
        "?changed=yes": {LIN.name},
        "?first=50": set(),
        "?first=-1": everybody,
    }.items():
        assert set(listed(desk, query)) == expected, query
    page = desk.get("/city/applications").text
    assert "尚未審核通過<b>2</b>" in page
    assert "審核通過<b>1</b>" in page


def test_c02_the_list_is_sorted(three: Client) -> None:
    desk = county_desk(three)
    write(
        three,
        "update application set number = '1220002' where level != 'x' and name = :name",
        name=LIN.name,
    )
    assert listed(desk, "?order=number")[0] == LIN.name
    assert listed(desk, "?order=name") == sorted((LIN.name, CHEN.name, WANG.name))
    assert listed(desk, "?order=school")[0] == WANG.name  # 123501


def test_c02_a_level_is_not_seen_by_others(three: Client) -> None:
    assert listed(county_desk(three, levels=("junior-high",))) == [WANG.name]
    desk = county_desk(three, levels=("junior-high",))
    assert listed(desk, "?level=elementary") == [WANG.name]


def test_c02_a_long_list_has_pages(
    three: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jiepin.web.county.applications.ON_A_PAGE", 2)
    desk = county_desk(three)
    page = desk.get("/city/applications?order=name").text
    assert 'href="/city/applications?order=name&amp;first=2"' in page
    assert "共 3 筆，顯示第 1 至 2 筆" in page
    first, second = (listed(desk, f"?order=name&first={n}") for n in (0, 2))
    assert first + second == sorted((LIN.name, CHEN.name, WANG.name))


def test_c02_search(three: Client) -> None:
    desk = county_desk(three)
    write(
        three,
        "update application set number = '1220002' where name = :name",
        name=CHEN.name,
    )
    digest = stored(three, "application of " + LIN.name).digest
    for words, expected in {
        "陳": {CHEN.name},
        "122000": {CHEN.name},
        "新興": {LIN.name, CHEN.name},
        digest[:16]: {LIN.name},
        f"JIEPIN/115/ELEMENTARY/9/{digest}".upper(): {LIN.name},
        "' or 1=1": set(),
    }.items():
        page = desk.post("/city/applications/search", words=words).text
        for name in (LIN.name, CHEN.name, WANG.name):
            assert (f">{name}</a>" in page) == (name in expected), (words, name)
    assert desk.get("/city/applications/search").headers["location"]


def test_asvs_14_2_1_a_name_looked_for_is_in_no_address(three: Client) -> None:
    page = county_desk(three).get("/city/applications").text
    form = page[page.index('role="search"') - 80 : page.index('name="words"')]
    assert 'method="post"' in form


# the county's page


def test_home_says_what_is_open_and_what_waits(three: Client) -> None:
    desk = county_desk(three)
    page = " ".join(desk.get("/city/home").text.split())
    assert "待審核<b>3</b>" in page
    assert "尚餘 7 天" in page
    assert "已截止" in page
    assert "目前沒有人開啟申請資料" in page


def test_before_there_is_a_round_the_pages_stand(client: Client) -> None:
    desk = county_desk(client)

    async def empty(site: Site) -> None:
        async with site.database.writing() as db:
            for table in ("roster", "window", "round"):
                await db.execute("delete from " + table)

    client.call(empty)
    for path in ("/city/home", "/city/applications", "/city/audit"):
        assert desk.get(path).status_code == 200
