"""The roster of a county: who may sign in for the first time, and who has."""

from __future__ import annotations

import json

import pytest
from practice_round import CHEN, LIN, STRANGER, WANG, YEAR, Client, Page
from staff_site import county_desk, host_desk

from jiepin.web.demo import Person
from jiepin.web.site import Site
from jiepin.web.store import accounts, audit, roster


def add(desk: Client, person: Person = STRANGER, school: str = "", id_: str = ""):
    number = id_ or person.national_id
    return desk.post(
        "/city/roster/add", level=person.level, national_id=number, school=school
    )


def remove(desk: Client, person: Person = STRANGER):
    form = {"level": person.level, "national_id": person.national_id}
    return desk.post("/city/roster/remove", **form)


def county_of(client: Client, person: Person = STRANGER) -> str | None:
    async def read(site: Site) -> str | None:
        lookup = site.vault.lookup(YEAR, person.level, person.national_id)
        async with site.database.reading() as db:
            return await accounts.roster_county(db, YEAR, person.level, lookup)

    return client.call(read)


def test_c08_who_is_added_can_sign_in_and_is_seen(client: Client) -> None:
    assert client.another().sign_in(STRANGER).status_code != 303
    desk = county_desk(client, role="clerk")
    done = add(desk, school="新興國小", id_=f" {STRANGER.national_id.lower()} ")
    assert done.headers["location"] == "/city/roster?done=added"
    assert "已加入名冊" in desk.get("/city/roster?done=added").text
    assert client.another().sign_in(STRANGER).status_code == 303
    page = Page(desk.get("/city/roster").text).text
    assert "外人" in page
    assert "115年4月20日" in page  # his first sign-in
    assert "新興鄉新興國小" in page
    assert STRANGER.national_id not in page


def test_same_person_again(client: Client) -> None:
    desk = county_desk(client)
    assert add(desk, LIN).headers["location"].endswith("same")
    assert add(desk, LIN, "123602").headers["location"].endswith("changed")
    assert add(desk, LIN, "123602").headers["location"].endswith("same")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"national_id": "A123456788"}, "檢查碼不符"),
        ({"national_id": ""}, "檢查碼不符"),
        ({"school": "不存在國小"}, "沒有這所學校"),
        ({"school": "133601"}, "沒有這所學校"),  # of another county
        ({"school": "123501"}, "沒有這所學校"),  # of another level
        ({"level": "university"}, "請選擇階段別"),
    ],
)
def test_what_is_wrong_is_told(
    client: Client, changes: dict[str, str], text: str
) -> None:
    desk = county_desk(client)
    form = {"level": "elementary", "national_id": "A123456789", "school": ""}
    before = client.digest()
    answer = desk.post("/city/roster/add", **form | changes)
    assert answer.status_code == 422
    assert text in answer.text
    assert Page(answer.text).values["national_id"] == (form | changes)["national_id"]
    assert client.digest() == before


def test_asvs_8_4_1_nobody_takes_a_teacher_off_another_county(client: Client) -> None:
    desk = county_desk(client, county="13")
    before = client.digest()
    answer = add(desk, LIN)
    assert answer.status_code == 422
    assert "其他縣市的名冊" in answer.text
    assert "高雄" not in answer.text.partition("<footer")[0]
    assert remove(desk, LIN).headers["location"].endswith("absent")
    assert client.digest() == before
    assert county_of(client, LIN) == "12"


def test_taking_off_leaves_what_was_begun(client: Client) -> None:
    desk = county_desk(client)
    client.fill_in(2)
    assert remove(desk, LIN).headers["location"].endswith("kept")
    assert client.application(LIN).state == "filling"
    assert county_of(client, LIN) is None
    assert remove(desk, CHEN).headers["location"].endswith("removed")
    assert remove(desk, CHEN).headers["location"].endswith("absent")
    assert client.another().sign_in(CHEN).status_code != 303


def test_who_may_not_change_the_roster(client: Client) -> None:
    desks = [
        county_desk(client, role="reviewer"),
        county_desk(client, levels=["junior-high"]),
    ]
    before = client.digest()
    for desk in desks:
        assert add(desk).status_code in (404, 422)
        assert remove(desk, LIN).status_code in (404, 422)
    assert add(host_desk(client)).headers["location"] == "/city/"
    assert client.digest() != before  # of the host's new session
    assert county_of(client) is None
    assert county_of(client, LIN) == "12"
    reads = desks[0].get("/city/roster")
    assert "您只能查看" in reads.text
    assert "身分證" not in Page(reads.text).values


def test_nothing_changes_after_the_freeze(client: Client) -> None:
    desk = county_desk(client)

    async def freeze(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("update round set frozen = 1")

    client.call(freeze)
    assert add(desk).status_code == 404
    assert county_of(client) is None


def test_the_list_is_narrowed_and_turned_over(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = county_desk(client)
    add(desk, WANG, "123501")
    client.another().sign_in(LIN)
    everybody = Page(desk.get("/city/roster").text).text
    assert everybody.index("林小明") < everybody.index("前鎮國中")
    assert "林小明" not in desk.get("/city/roster?level=junior-high").text
    assert "前鎮國中" not in desk.get("/city/roster?signed_in=yes").text
    assert "林小明" not in desk.get("/city/roster?school=%E5%89%8D%E9%8E%AE").text
    monkeypatch.setattr(roster, "PAGE", 2)
    first = desk.get("/city/roster")
    assert "第 1 / 2 頁" in first.text
    assert "林小明" not in desk.get("/city/roster?page=2").text
    assert desk.get("/city/roster?page=99").status_code == 200


def test_levels_of_others_are_not_seen(client: Client) -> None:
    desk = county_desk(client, levels=["junior-high"])
    client.another().sign_in(LIN)
    assert "林小明" not in desk.get("/city/roster?level=elementary").text


def test_the_audit_tells_what_was_done_without_who(client: Client) -> None:
    desk = county_desk(client)
    add(desk, school="123601")
    remove(desk)

    async def read(site: Site) -> list[tuple[str, str]]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(
                "select action, detail from audit where actor = ?",
                (desk.actor.account,),
            )
            assert (await audit.chain(db)).broken is None
        return [(action, detail) for action, detail in rows]

    found = client.call(read)
    assert [action for action, _ in found] == ["roster-added", "roster-removed"]
    assert json.loads(found[0][1]) == {"level": "elementary", "school": "123601"}


def test_before_there_is_a_round_nothing_is_here(client: Client) -> None:
    desk = county_desk(client)

    async def forget(site: Site) -> None:
        async with site.database.writing() as db:
            for table in ("roster", "window", "round"):
                await db.execute("delete from " + table)

    client.call(forget)
    assert desk.get("/city/roster").status_code == 404
    assert add(desk).status_code == 404
    assert desk.post("/city/tables", table="roster").status_code == 422
