"""The host's set-up and progress board in a real browser, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from site_browser import WIDTHS, Browser, Page, check, expect, launched, opened
from site_server import SiteServer, practice_server, site_server
from staff_site import member

from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import schools, staff
from jiepin.web.store.schools import Window
from jiepin.web.vault import digest

PAGES = {
    "home": "/host/home",
    "round": "/host/round",
    "schedule": "/host/round/schedule",
    "counties": "/host/round/lists/counties",
    "subjects": "/host/round/lists/elementary",
    "rules": "/host/rules?preset=county-internal",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteServer]:
    with practice_server(tmp_path_factory.mktemp("practice")) as running:
        running.run(invent, running.site)
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module", params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return WIDTHS[request.param]


@pytest.fixture(scope="module")
def page(width: int, chromium: Browser, running: SiteServer) -> Iterator[Page]:
    page = signed_in(chromium, running, width)
    yield page
    page.context.close()


def signed_in(chromium: Browser, running: SiteServer, width: int, **kind: bool) -> Page:
    page = opened(chromium, running.origin, width, **kind)
    token = running.run(sit_down, running.site)
    cookie = {"name": "staff", "value": token, "url": running.origin}
    page.context.add_cookies([cookie])
    return page


async def sit_down(site: Site) -> str:
    found = await member(site, "host", name="陳主管")
    async with site.database.writing() as db:
        await staff.add_session(db, digest(found.id), found.id, site.clock.now())
    return found.id


async def invent(site: Site) -> None:
    """Put people of some counties into every state, without what they filled in."""
    states = (
        ["approved"] * 5 + ["filed"] * 3 + ["returned", "rejected"] + ["filling"] * 2
    )
    async with site.database.writing() as db:
        [[year]] = await db.execute_fetchall("select max(year) from round")
        for at in range(len(states) * 6):
            level, county = schools.LEVELS[at % 3], ("12", "13", "09")[at // 3 % 3]
            keys = {"id": f"{at}", "year": year, "level": level, "county": county}
            keys |= {"state": states[at % len(states)], "lookup": f"{at}".encode()}
            await db.execute(
                """insert into account (id, year, level, lookup, county, national_id,
                birth_date, sex, card_name, card_name_certain, created) values (:id,
                :year, :level, :lookup, :county, x'', x'', 'F', '', 1, 0)""",
                keys,
            )
            await db.execute(
                """insert into application (id, account, year, level, county, saved,
                state, step) values (:id, :id, :year, :level, :county, 0, :state, 5)""",
                keys,
            )


@pytest.mark.parametrize("language", ["zh-Hant", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_at_both_widths(page: Page, name: str, language: str) -> None:
    cookies = [c for c in page.context.cookies() if c["name"] == "staff"]
    lang = {"name": "lang", "value": language, "domain": cookies[0]["domain"]}
    page.context.add_cookies([lang | {"path": "/"}])
    page.goto(PAGES[name])
    assert page.locator("h1").count() == 1
    check(page, f"{name}-{language}")


def test_h04_the_board_looks_again_by_itself(
    chromium: Browser, running: SiteServer
) -> None:
    page = signed_in(chromium, running, 1280)
    page.clock.install()
    page.goto("/host/home")
    cell = page.locator('[data-key="elementary-12-filed"]')
    before = int(cell.inner_text())
    running.run(file_one_more, running.site)
    page.clock.run_for(10_500)
    expect(cell).to_have_text(str(before + 1))
    expect(page.locator("#waits")).to_have_text("自動更新中")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(21 * 60 * 1000)
    expect(page.locator("#waits")).to_have_text("久未操作，已停止自動更新")
    n = len(asked)
    page.clock.run_for(60 * 1000)
    assert len(asked) == n
    page.context.close()


async def file_one_more(site: Site) -> None:
    async with site.database.writing() as db:
        await db.execute(
            "update application set state = 'filed' where id = (select id "
            "from application where state = 'approved' and level = 'elementary' "
            "and county = '12' limit 1)"
        )


def test_forms_work_by_keyboard_without_scripts(
    chromium: Browser, running: SiteServer
) -> None:
    page = signed_in(chromium, running, 390, java_script_enabled=False)
    page.goto("/host/round")
    page.get_by_label("志願學校至多").fill("40")
    page.get_by_label("特殊積分").fill("abc")
    page.get_by_label("特殊積分").press("Enter")
    assert page.locator("#summary a").get_attribute("href") == "#points-special"
    page.get_by_label("特殊積分").fill("10.5")
    page.get_by_label("特殊積分").press("Enter")
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
    assert page.get_by_label("志願學校至多").input_value() == "40"
    page.get_by_role("link", name="作業日程").click()
    page.get_by_role("link", name="幼兒園", exact=True).click()
    end = page.locator("#review-closes")
    later = (running.site.clock.now() + timedelta(days=60)).strftime("%Y-%m-%dT00:00")
    end.fill(later)
    page.get_by_label("所有階段別用相同日程").uncheck()
    page.get_by_role("button", name="儲存日程").press("Enter")
    assert page.locator("#summary a").get_attribute("href") == "#reason"
    page.get_by_label("理由").fill("延長審核")  # it is under way on a practice site
    page.get_by_role("button", name="儲存日程").press("Enter")
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
    assert running.run(review_end, running.site, "kindergarten") != running.run(
        review_end, running.site, "elementary"
    )
    page.goto("/host/rules?preset=taiwan-110")
    page.get_by_role("button", name="檢查並預覽").press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("規則可用")
    page.context.close()


async def review_end(site: Site, level: str) -> Window | None:
    async with site.database.reading() as db:
        year = (await schools.the_round(db)).year
        return await schools.window(db, year, level, "review")


def test_the_first_year_begins_in_a_browser(chromium: Browser, tmp_path: Path) -> None:
    def settings_at(origin: str) -> Settings:
        return Settings(tmp_path, origin, tmp_path / "keys.json")

    with site_server(settings_at) as empty:
        page = signed_in(chromium, empty, 390)
        page.goto("/host/home")
        check(page, "empty-home")
        page.get_by_role("link", name="開始第一個年度").click()
        check(page, "first")
        page.get_by_label("主辦單位").fill("高雄市政府教育局")
        page.get_by_role("button", name="開始年度").click()
        expect(page.locator("h1")).to_contain_text("年度設定")
        page.goto("/host/home")
        check(page, "empty-board")
        page.context.close()
