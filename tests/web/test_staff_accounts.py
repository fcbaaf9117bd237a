"""Accounts of staff: made, changed, renewed, closed; one's own; on the command line."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from practice_round import Client, Page
from staff_cards import (
    HE,
    PASSWORD,
    SHI,
    ZHENG,
    ZHOU,
    Telephone,
    begin,
    enrol,
    handed_over,
    host_head,
    new_member,
    sign_in,
)
from staff_site import county_desk, host_desk

from jiepin.web.cli import main
from jiepin.web.demo import Person
from jiepin.web.site import Site
from jiepin.web.staff import accounts
from jiepin.web.store import staff
from jiepin.web.store.applications import Absent
from jiepin.web.store.database import Database
from jiepin.web.store.staff import Member
from jiepin.web.vault import Vault


def member(client: Client, kind: str, person: Person) -> Member:
    async def read(site: Site) -> Member:
        key = site.vault.lookup(0, f"staff:{kind}", person.national_id)
        async with site.database.reading() as db:
            found = await staff.by_lookup(db, kind, key)
        assert found is not None
        return found

    return client.call(read)


def audited(client: Client, action: str) -> list[tuple[str, str, str, str]]:
    async def read(site: Site) -> list[tuple[str, str, str, str]]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(
                "select actor, object, county, detail from audit "
                "where action = ? order by id",
                (action,),
            )
        return [tuple(row) for row in rows]

    return client.call(read)


@pytest.fixture
def head(client: Client) -> Client:
    return county_desk(client)


@pytest.fixture
def clerk(head: Client) -> tuple[Client, Telephone, Member]:
    """A clerk whom the head has made, enrolled, half a minute later."""
    page = head.post("/city/staff/new", **new_member(ZHOU)).text
    browser = head.another()
    telephone = enrol(browser, "city", ZHOU, handed_over(page))
    head.clock.move(seconds=30)
    return browser, telephone, member(head, "county", ZHOU)


def change(head: Client, found: Member, path: str = "", **fields: str):
    address = f"/{head_end(head)}/staff/{found.id}{path}"
    return head.post(address, **{"version": found.version, **fields})


def head_end(head: Client) -> str:
    return "host" if head.actor.kind == "host" else "city"


# making


def test_from_the_command_line_to_the_clerk_of_a_county(client: Client) -> None:
    host, county, clerk = client.another(), client.another(), client.another()
    enrol(host, "host", SHI, host_head(client).code)
    made = host.post("/host/staff/new-head", **new_member(HE, county="12"))
    assert "https://tas.test/city/enrol" in made.text
    enrol(county, "city", HE, handed_over(made.text))
    assert "高雄市 國小 主管 何承恩" in county.get("/city/staff").text
    made = county.post("/city/staff/new", **new_member(ZHOU))
    enrol(clerk, "city", ZHOU, handed_over(made.text))
    assert "高雄市 國小 承辦人 周書安" in clerk.get("/city/account").text
    [first, second, third] = audited(client, "staff-added")
    assert [first[0], first[2]] == ["command line", ""]
    assert second[0] == member(client, "host", SHI).id
    assert third == (
        member(client, "county", HE).id,
        member(client, "county", ZHOU).id,
        "12",
        '{"levels":["elementary"],"role":"clerk"}',
    )


def test_asvs_14_2_6_the_list_shows_masked_ids_and_states(head: Client) -> None:
    head.post("/city/staff/new", **new_member(ZHOU))
    page = Page(head.get("/city/staff").text).text
    assert "周書安" in page
    assert f"{ZHOU.national_id[:3]}****{ZHOU.national_id[7:]}" in page
    assert ZHOU.national_id not in page
    assert "待首次登入" in page
    head.clock.move(days=7)
    fresh = county_desk(head, name="another head")
    assert "登記碼已逾期" in fresh.get("/city/staff").text


def test_the_id_is_nowhere_in_the_database(head: Client) -> None:
    head.post("/city/staff/new", **new_member(ZHOU))
    for file in head.site.settings.data.glob("jiepin.db*"):
        assert ZHOU.national_id.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"national_id": "A123456788"}, "身分證字號的格式或檢查碼不符"),
        ({"national_id": ""}, "身分證字號的格式或檢查碼不符"),
        ({"name": ""}, "請填寫姓名"),
        ({"name": "x" * 51}, "姓名至多 50 個字"),
        ({"email": "nowhere"}, "請填寫可收信的電子郵件"),
        ({"role": "emperor"}, "請選擇角色"),
        ({"levels": ""}, "請至少選擇一個您可管理的階段別"),
    ],
)
def test_wrong_input_is_told_and_kept(
    head: Client, wrong: dict[str, str], told: str
) -> None:
    before = head.digest()
    form = new_member(ZHOU, email="zhou@example.org") | wrong
    answer = head.post("/city/staff/new", **form)
    assert answer.status_code == 422
    assert told in answer.text
    values = Page(answer.text).values
    for name in ("name", "national_id", "email"):
        assert values[name] == form[name]
    assert head.digest() == before


def test_one_person_has_one_account_at_an_end(head: Client) -> None:
    head.post("/city/staff/new", **new_member(ZHOU))
    elsewhere = county_desk(head, county="13")
    for desk in (head, elsewhere):
        answer = desk.post("/city/staff/new", **new_member(ZHOU))
        assert answer.status_code == 422
        assert "此身分證字號已有使用中的帳號" in answer.text
    found = member(head, "county", ZHOU)
    change(head, found, "/access", reason="left")
    again = head.post("/city/staff/new", **new_member(ZHOU))
    assert "請在名單中恢復使用" in again.text


def test_whoever_moves_to_another_county_gets_an_account_there(head: Client) -> None:
    head.post("/city/staff/new", **new_member(ZHOU))
    found = member(head, "county", ZHOU)
    change(head, found, "/access", reason="left")
    elsewhere = county_desk(head, county="13")
    made = elsewhere.post("/city/staff/new", **new_member(ZHOU))
    enrol(head.another(), "city", ZHOU, handed_over(made.text))
    assert member(head, "county", ZHOU).county == "13"
    page = head.get(f"/city/staff/{found.id}").text
    assert "健保卡改用於其他縣市的帳號" in page
    assert "恢復使用" not in page
    found = head.call(lambda site: by_id(site, found.id))
    assert change(head, found, "/access", reason="returned").status_code == 404


async def by_id(site: Site, id_: str) -> Member:
    async with site.database.reading() as db:
        found = await staff.by_id(db, id_)
    assert found is not None
    return found


# who may


@pytest.mark.parametrize("role", ["clerk", "reviewer"])
def test_only_heads_look_after_accounts(client: Client, role: str) -> None:
    for desk, end in (
        (county_desk(client, role), "city"),
        (host_desk(client, role), "host"),
    ):
        assert f'href="/{end}/staff"' not in desk.get(f"/{end}/account").text
        before = client.digest()
        for path in ("", "/new", f"/{desk.actor.account}"):
            assert desk.get(f"/{end}/staff{path}").status_code == 404
        answer = desk.post(f"/{end}/staff/new", **new_member(ZHOU))
        assert answer.status_code == 404
        assert client.digest() == before


def test_heads_of_counties_stay_in_their_county(head: Client) -> None:
    head.post("/city/staff/new", **new_member(ZHOU))
    found = member(head, "county", ZHOU)
    other = county_desk(head, county="13")
    assert "周書安" not in other.get("/city/staff").text
    before = head.digest()
    assert other.get(f"/city/staff/{found.id}").status_code == 404
    form = new_member(ZHOU, role="head")
    for path, fields in (
        ("", form),
        ("/code", {"reason": "forgotten"}),
        ("/access", {"reason": "left"}),
    ):
        assert change(other, found, path, **fields).status_code == 404
    assert head.digest() == before


def test_the_host_makes_heads_of_counties_alone(head: Client) -> None:
    head.post("/city/staff/new", **new_member(ZHOU))
    host = host_desk(head)
    page = host.get("/host/staff").text
    assert "county head" in page
    assert "周書安" not in page
    assert "尚無主管可登入的縣市" in page
    assert (
        "高雄市" not in page.partition("尚無主管可登入的縣市")[2].partition("</p>")[0]
    )
    clerk = member(head, "county", ZHOU)
    assert host.get(f"/host/staff/{clerk.id}").status_code == 404
    assert change(host, clerk, "/access", reason="left").status_code == 404
    led = head.call(lambda site: by_id(site, head.actor.account))
    form = {"name": "何承恩", "role": "clerk", "levels": "junior-high"}
    assert change(host, led, **form).status_code == 303
    led = head.call(lambda site: by_id(site, head.actor.account))
    assert (led.role, led.levels) == ("head", ("junior-high",))
    assert change(host, led, "/access", reason="left").status_code == 303
    assert head.get("/city/account").headers["location"] == "/city/"


def test_a_head_gives_no_level_that_is_not_his(client: Client) -> None:
    head = county_desk(client, levels=("elementary",))
    answer = head.post("/city/staff/new", **new_member(ZHOU, levels="junior-high"))
    assert "請至少選擇一個您可管理的階段別" in answer.text
    above = county_desk(client, levels=("elementary", "junior-high"), name="周主管")
    assert "周主管" in head.get("/city/staff").text
    path = f"/city/staff/{above.actor.account}"
    assert head.get(path).status_code == 404
    assert above.get(f"/city/staff/{head.actor.account}").status_code == 200


def test_nobody_shuts_himself_out(client: Client) -> None:
    for head in (county_desk(client), host_desk(client)):
        own = client.call(lambda site, head=head: by_id(site, head.actor.account))
        page = head.get(f"/{head_end(head)}/staff/{own.id}")
        assert "這是您自己的帳號" in page.text
        assert "停用帳號" not in page.text
        before = client.digest()
        form = new_member(ZHOU)
        for path, fields in (
            ("", form),
            ("/code", {"reason": "forgotten"}),
            ("/access", {"reason": "left"}),
        ):
            assert change(head, own, path, **fields).status_code == 404
        assert client.digest() == before


def test_of_two_heads_who_shut_each_other_out_one_stays(client: Client) -> None:
    one, two = host_desk(client), host_desk(client)
    first = client.call(lambda site: by_id(site, one.actor.account))
    second = client.call(lambda site: by_id(site, two.actor.account))
    assert change(one, second, "/access", reason="left").status_code == 303
    answer = change(two, first, "/access", reason="left")
    assert answer.headers["location"] == "/host/"
    assert client.call(lambda site: by_id(site, first.id)).disabled is None


def test_whoever_lost_access_meanwhile_changes_nothing(client: Client) -> None:
    one, two = host_desk(client), host_desk(client)
    second = client.call(lambda site: by_id(site, two.actor.account))
    other = host_desk(client).actor.account
    third = client.call(lambda site: by_id(site, other))
    change(one, second, "/access", reason="left")

    async def too_late(site: Site) -> None:
        with pytest.raises(Absent):
            await accounts.set_access(
                site, two.actor, third.id, third.version, disable=True, reason="left"
            )

    client.call(too_late)
    assert client.call(lambda site: by_id(site, third.id)).disabled is None


# changing, renewing, closing


def test_role_levels_and_name_are_changed(clerk, head: Client) -> None:
    browser, _, found = clerk
    form = {"name": "周小安", "role": "reviewer", "email": "zhou@example.org"}
    answer = change(head, found, **form, levels="kindergarten")
    assert answer.headers["location"] == f"/city/staff/{found.id}?saved=1"
    assert "已儲存。" in head.get(answer.headers["location"]).text
    assert "高雄市 幼兒園 審核人 周小安" in browser.get("/city/account").text
    [(actor, object_, county, detail)] = audited(head, "staff-changed")
    assert (actor, object_, county) == (head.actor.account, found.id, "12")
    assert json.loads(detail) == {"role": "reviewer", "levels": ["kindergarten"]}


def test_a_page_that_is_not_the_newest_changes_nothing(clerk, head: Client) -> None:
    _, _, found = clerk
    form = new_member(ZHOU, role="reviewer")
    assert change(head, found, **form).status_code == 303
    before = head.digest()
    for path, fields in (
        ("", form),
        ("/code", {"reason": "forgotten"}),
        ("/access", {"reason": "left"}),
    ):
        answer = change(head, found, path, **fields)
        assert answer.status_code == 409
        assert "已由他人或在其他視窗變更" in answer.text
    assert head.digest() == before


def test_wrong_changes_are_told_and_kept(clerk, head: Client) -> None:
    _, _, found = clerk
    before = head.digest()
    answer = change(head, found, name="", role="clerk", email="zhou@example.org")
    assert answer.status_code == 422
    assert Page(answer.text).values["email"] == "zhou@example.org"
    assert "請填寫姓名" in answer.text
    for path in ("/code", "/access"):
        answer = change(head, found, path, reason="because")
        assert answer.status_code == 422
        assert "請選擇原因" in answer.text
    assert head.digest() == before


def test_asvs_7_4_5_a_new_code_ends_what_was_before(clerk, head: Client) -> None:
    browser, telephone, found = clerk
    made = change(head, found, "/code", reason="telephone")
    code = handed_over(made.text)
    assert browser.get("/city/account").headers["location"] == "/city/"
    assert sign_in(browser, "city", ZHOU, telephone.code()).status_code == 422
    [(_, object_, county, detail)] = audited(head, "staff-renewed")
    assert (object_, county, detail) == (found.id, "12", '{"reason":"telephone"}')
    fresh = enrol(browser, "city", ZHOU, code)
    assert fresh.secret != telephone.secret
    assert browser.get("/city/account").status_code == 200


def test_a_new_code_ends_a_first_sign_in_under_way(head: Client) -> None:
    code = handed_over(head.post("/city/staff/new", **new_member(ZHOU)).text)
    browser = head.another()
    begin(browser, "city", ZHOU, code)
    found = member(head, "county", ZHOU)
    change(head, found, "/code", reason="expired")
    assert browser.get("/city/enrol/setup").headers["location"] == "/city/enrol"
    assert begin(browser, "city", ZHOU, code).status_code == 422


def test_asvs_7_4_2_access_is_taken_away_and_given_again(clerk, head: Client) -> None:
    browser, telephone, found = clerk
    assert change(head, found, "/access", reason="left").status_code == 303
    assert browser.get("/city/account").headers["location"] == "/city/"
    assert sign_in(browser, "city", ZHOU, telephone.code()).status_code == 422
    assert "已停用" in head.get("/city/staff").text
    found = member(head, "county", ZHOU)
    assert change(head, found, "/access", reason="returned").status_code == 303
    assert sign_in(browser, "city", ZHOU, telephone.code()).status_code == 303
    [closed], [opened] = (
        audited(head, f"staff-{action}") for action in ("disabled", "enabled")
    )
    assert (closed[3], opened[3]) == ('{"reason":"left"}', '{"reason":"returned"}')


def test_who_has_no_access_completes_no_first_sign_in(head: Client) -> None:
    code = handed_over(head.post("/city/staff/new", **new_member(ZHOU)).text)
    browser = head.another()
    begin(browser, "city", ZHOU, code)
    change(head, member(head, "county", ZHOU), "/access", reason="mistake")
    assert browser.get("/city/enrol/setup").headers["location"] == "/city/enrol"
    assert begin(browser, "city", ZHOU, code).status_code == 422


def test_no_entry_of_the_audit_tells_who_somebody_is(clerk, head: Client) -> None:
    _, _, found = clerk
    change(head, found, "/access", reason="left")

    async def whole(site: Site) -> str:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(
                "select actor, action, object, county, detail from audit"
            )
        return repr([tuple(row) for row in rows])

    text = head.call(whole)
    for secret in (ZHOU.name, ZHOU.national_id, found.masked, PASSWORD):
        assert secret not in text


# one's own account


NEW = {"password": "a quite other one", "again": "a quite other one"}


def test_asvs_6_2_3_one_changes_the_own_password_with_a_fresh_code(clerk) -> None:
    browser, telephone, _ = clerk
    other = browser.another()
    assert sign_in(other, "city", ZHOU, telephone.code()).status_code == 303
    used = telephone.code()
    form = NEW | {"present": PASSWORD}
    refused = browser.post("/city/account", **form, code=used)
    assert refused.status_code == 422
    assert "目前的密碼或驗證碼不符" in refused.text
    done = browser.post("/city/account", **form, code=telephone.code(1))
    assert done.headers["location"] == "/city/account?saved=1"
    assert "密碼已變更" not in done.text
    assert browser.get("/city/account?saved=1").status_code == 200
    assert other.get("/city/account").headers["location"] == "/city/"
    browser.clock.move(minutes=1)
    assert sign_in(other, "city", ZHOU, telephone.code()).status_code == 422
    new = sign_in(other, "city", ZHOU, telephone.code(), NEW["password"])
    assert new.status_code == 303


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"present": "wrong"}, "目前的密碼或驗證碼不符"),
        ({"present": ""}, "請輸入目前的密碼"),
        ({"code": ""}, "請輸入驗證器上的六位數驗證碼"),
        ({"again": "x"}, "兩次輸入的密碼不同"),
        ({"password": "short"}, "密碼至少 12 個字元"),
        ({"password": f"x{ZHOU.national_id.lower()}x"}, "密碼不可含有身分證字號"),
        ({"password": f"I am {ZHENG.national_id}"}, "兩次輸入的密碼不同"),
    ],
)
def test_wrong_new_passwords_are_told(clerk, change: dict[str, str], told: str) -> None:
    browser, telephone, _ = clerk
    form = NEW | {"present": PASSWORD, "code": telephone.code()} | change
    answer = browser.post("/city/account", **form)
    assert answer.status_code == 422
    assert told in answer.text
    assert ("密碼不可含有身分證字號" in answer.text) is (told.startswith("密碼不可"))


def test_the_present_password_is_tried_five_times(clerk) -> None:
    browser, telephone, _ = clerk
    form = NEW | {"code": telephone.code()}
    for _ in range(5):
        assert "不符" in browser.post("/city/account", **form, present="no").text
    answer = browser.post("/city/account", **form, present=PASSWORD)
    assert "登入失敗次數過多" in answer.text


def test_other_sessions_are_shown_and_ended(clerk) -> None:
    browser, telephone, _ = clerk
    assert "結束其他連線" not in browser.get("/city/account").text
    other = browser.another()
    sign_in(other, "city", ZHOU, telephone.code())
    page = browser.get("/city/account").text
    assert "這個視窗" in page
    assert "其他瀏覽器或電腦" in page
    browser.post("/city/account/sessions")
    assert browser.get("/city/account").status_code == 200
    assert other.get("/city/account").headers["location"] == "/city/"


# the command line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of a site that was started once."""
    Vault.new().write(tmp_path / "keys.json")

    async def open_once() -> None:
        await (await Database.open(tmp_path / "jiepin.db")).close()

    asyncio.run(open_once())
    return tmp_path


def add_host(folder: Path, typed: str, name: str = "施文傑"):
    words = ["staff", "add-host", "--data", str(folder), "--name", name]
    return CliRunner().invoke(main, words, input=typed + "\n")


def test_the_command_line_makes_the_first_head(folder: Path) -> None:
    first = add_host(folder, SHI.national_id.lower())
    assert first.exit_code == 0, first.output
    code = re.compile(r"登記碼（只顯示這一次）：([A-Z2-7-]{19})，有效至")
    assert SHI.national_id not in first.output
    again = add_host(folder, SHI.national_id, "施主管")
    assert code.search(first.output)[1] != code.search(again.output)[1]

    async def read() -> list[Member]:
        database = await Database.open(folder / "jiepin.db")
        try:
            async with database.reading() as db:
                return list(await staff.of_end(db, "host", None))
        finally:
            await database.close()

    [found] = asyncio.run(read())  # one account, whose code is another now
    assert (found.role, found.name, found.enrolled) == ("head", "施主管", False)


@pytest.mark.parametrize(
    ("typed", "told"),
    [("A123456788", "check digit of the ID is wrong"), ("x", "check digit")],
)
def test_the_command_line_tells_what_is_wrong(
    folder: Path, typed: str, told: str
) -> None:
    done = add_host(folder, typed)
    assert done.exit_code == 2
    assert told in done.output
    assert "沒有建立帳號" in done.output
    assert typed not in done.output.replace("national ID", "")


def test_the_command_line_needs_a_site(tmp_path: Path) -> None:
    done = add_host(tmp_path, SHI.national_id)
    assert done.exit_code == 2
    assert "no database there" in done.output


def test_the_command_line_lets_in_again_who_lost_everything(client: Client) -> None:
    browser = client.another()
    telephone = enrol(browser, "host", SHI, host_head(client).code)
    found = member(client, "host", SHI)
    other = host_desk(client)
    assert change(other, found, "/access", reason="suspected").status_code == 303
    code = host_head(client).code
    client.clock.move(seconds=30)
    assert sign_in(browser, "host", SHI, telephone.code()).status_code == 422
    enrol(browser, "host", SHI, code)
    assert browser.get("/host/staff").status_code == 200
