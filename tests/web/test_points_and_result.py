"""What the review and the matching add to step 6: points, and the result in its time.

The rows are written as the county's and the host's end will write them.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from practice_round import LIN, Client, Page, save_and_file

from jiepin.web.access import Actor
from jiepin.web.clock import to_ms
from jiepin.web.site import Site
from jiepin.web.store import applications

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


def decide(client: Client, result: tuple[object, ...]) -> None:
    row = (client.application().id, *result)
    write(client, "insert into result values (?, ?, ?, ?, ?, '')", row)


def publish(client: Client, after: timedelta) -> None:
    opens = to_ms(client.clock.now() + after)
    row = (115, LIN.level, "result", opens, None)
    write(client, "insert into window values (?, ?, ?, ?, ?)", row)


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


@pytest.mark.parametrize("result", [NOT_PLACED, PLACED])
def test_t607_before_publication_the_page_is_the_same(
    filed: Client, result: tuple[object, ...]
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
