"""What comes after the result, in a real browser: to the archive of the year."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import staff_site
from practice_round import YEAR, fill
from published_round import enter, run
from site_browser import WIDTHS, Browser, Page, check, expect, launched, opened
from site_server import SiteServer, site_server

from jiepin.web.access import Kind, Role
from jiepin.web.clock import to_ms
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.staff.desk import actor_of
from jiepin.web.store import results, snapshots, staff
from jiepin.web.vault import digest

LANGUAGES = ("zh-Hant", "en")


@dataclass(frozen=True)
class Office:
    """A site with a published round and a corrected one that has been run."""

    server: SiteServer
    host: str
    county: str
    corrected: int

    def sit_down(self, page: Page, who: str, language: str = "zh-Hant") -> None:
        name = self.server.site.settings.staff_cookie
        cookies = {name: who, "lang": language}
        page.context.add_cookies(
            [
                {"name": name, "value": value, "url": self.server.origin}
                for name, value in cookies.items()
            ]
        )


async def colleague(
    site: Site, kind: Kind, role: Role = "head", county: str | None = None
) -> str:
    found = await staff_site.member(site, kind, role, county)
    async with site.database.writing() as db:
        await staff.add_session(db, digest(found.id), found.id, site.clock.now())
    return found.id


async def prepare(site: Site, host: str) -> int:
    """Publish the small round; correct it, and run it once more."""
    await fill(site)
    await enter(site)
    async with site.database.reading() as db:
        member = await staff.by_id(db, host)
    assert member is not None
    actor = actor_of(member)
    first = await run(
        site, actor, (await snapshots.freeze(site, actor, "freeze", "")).id
    )
    clerk = await colleague(site, "host", "clerk")
    async with site.database.writing() as db:
        now = to_ms(site.clock.now())
        for who, role in ((host, "head"), (clerk, "clerk")):
            await db.execute(
                "insert into approval values (?, ?, ?, ?)", (first, who, role, now)
            )
    await results.publish(site, actor, first, None)
    async with site.database.writing() as db:
        await db.execute(
            "update points set value = 9000 where application = :id",
            {"id": "application of 林小明"},
        )
    again = await snapshots.freeze(site, actor, "correction", "積分誤算")
    return await run(site, actor, again.id)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder: Path = tmp_path_factory.mktemp("after")

    def settings_at(origin: str) -> Settings:
        return Settings(data=folder, origin=origin, keys=folder / "keys.json")

    with site_server(settings_at) as server:
        host = server.run(colleague, server.site, "host")
        corrected = server.run(prepare, server.site, host)
        county = server.run(colleague, server.site, "county", "head", "12")
        yield Office(server, host, county, corrected)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


async def put_back(site: Site) -> None:
    """Forget what an earlier run of the test has written down."""
    async with site.database.writing() as db:
        for table in ("dropout", "bar", "correction"):
            await db.execute("delete from " + table)
        await db.execute("update application set correcting = null")
        [[published]] = await db.execute_fetchall("select run from publication")
        await results.write(db, published)


@pytest.fixture(params=WIDTHS)
def page(
    request: pytest.FixtureRequest, chromium: Browser, office: Office
) -> Iterator[Page]:
    office.server.run(put_back, office.server.site)
    found = opened(chromium, office.server.origin, WIDTHS[request.param])
    office.sit_down(found, office.host)
    yield found
    found.context.close()


def write_down(page: Page) -> None:
    page.goto("/host/dropouts")
    page.get_by_label("電腦編號").fill("1220001")
    page.get_by_label("情形").select_option("gave-up")
    page.get_by_label("登記事由").fill("家庭因素，無法赴任")
    page.get_by_role("button", name="登記").click()
    page.wait_for_url("**/host/dropouts/*")


def test_one_drops_out_and_a_seat_is_opened(page: Page, office: Office) -> None:
    page.goto("/host/dropouts")
    check(page, "dropouts-none")
    page.get_by_role("button", name="登記").click()
    expect(page.get_by_role("alert")).to_contain_text("公告結果中沒有")
    check(page, "dropouts-wrong")
    write_down(page)
    own = page.url
    expect(page.get_by_role("row", name="1320001")).to_contain_text("中正國小")
    check(page, "dropout-waiting")
    office.sit_down(page, office.county)
    page.goto("/city/dropouts")
    check(page, "city-dropouts")
    page.get_by_role("button", name="增開一個缺額", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("增開一個缺額")
    office.sit_down(page, office.host)
    page.goto(own)
    page.get_by_role("button", name="套用到結果").click()
    expect(page.get_by_role("main")).to_contain_text("均維持")
    check(page, "dropout-applied")
    page.goto("/host/dropouts")
    check(page, "dropouts")


def open_county(page: Page) -> None:
    page.goto("/host/corrections")
    page.get_by_label("縣市", exact=True).select_option("12")
    page.get_by_label("開放縣市的原因").fill("缺額誤植")
    page.get_by_role("button", name="開放縣市更正").click()
    expect(page.get_by_role("row", name="缺額誤植")).to_be_visible()


def test_every_page_in_english(page: Page, office: Office) -> None:
    write_down(page)
    own = page.url
    open_county(page)
    for language, more in zip(LANGUAGES, ("", "-en"), strict=True):
        office.sit_down(page, office.host, language)
        page.goto("/host/corrections")
        check(page, "corrections" + more)
        page.goto(f"/host/corrections/{office.corrected}")
        check(page, "differences" + more)
        page.goto("/host/audit?check=1")
        check(page, "audit" + more)
        page.goto("/host/archive")
        check(page, "archives" + more)
        page.goto(f"/host/archive/{YEAR}")
        check(page, "archive" + more)
    pages = ((own, "dropout-en"), ("/host/dropouts", "dropouts-en"))
    for address, name in pages:
        page.goto(address)
        check(page, name)
    office.sit_down(page, office.county, "en")
    page.goto("/city/dropouts")
    check(page, "city-dropouts-en")
    page.goto("/city/schools")
    check(page, "city-schools-correcting-en")


def test_without_scripts_by_keyboard(chromium: Browser, office: Office) -> None:
    office.server.run(put_back, office.server.site)
    page = opened(chromium, office.server.origin, 390, java_script_enabled=False)
    office.sit_down(page, office.host)
    page.goto("/host/corrections")
    page.get_by_label("電腦編號").focus()
    page.keyboard.type("1220002")
    page.get_by_label("更正事由").focus()
    page.keyboard.type("積分誤算")
    page.keyboard.press("Enter")
    close = page.get_by_role("button", name="更正完成，關閉 1220002")
    expect(close).to_be_visible()
    close.press("Enter")
    expect(close).to_have_count(0)
    write_down(page)
    page.get_by_label("撤銷事由").fill("誤登")
    page.get_by_role("button", name="撤銷").press("Enter")
    expect(page.get_by_role("main")).to_contain_text("已撤銷")
    page.context.close()
