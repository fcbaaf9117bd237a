"""The review desk in a real browser: an application from the list to its approval."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import staff_site
from practice_round import save_and_file
from site_browser import WIDTHS, Browser, Page, check, expect, launched, opened
from wish_site import Served, served

from jiepin.web.access import Actor
from jiepin.web.county.eligibility import CHECKS
from jiepin.web.site import Site
from jiepin.web.store import applications, schools, staff
from jiepin.web.store.applications import Application
from jiepin.web.vault import digest

POINTS = {"reason1": "30", "reason2": "10.5", "appraisal": "8.5", "service": "12"}
POINTS |= {"awards": "2.3", "special": "0", "studies": "1.25"}
REVIEWED = 9  # the version that an earlier review saw
NOTES = {"awards": "嘉獎 4 次、記功 1 次", "studies": "研習 36 小時"}


@dataclass(frozen=True)
class Office:
    """A site whose one teacher has filed, and two colleagues of the county."""

    site: Served
    reviewer: str
    clerk: str
    application: str

    def sit_down(self, page: Page, who: str) -> None:
        name = self.site.site.settings.staff_cookie
        cookie = {"name": name, "value": who, "url": self.site.origin}
        page.context.add_cookies([cookie])


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with served(tmp_path_factory.mktemp("office")) as site:
        application = site.run(file, site.site, site.account)
        site.run(open_review, site.site)
        yield Office(
            site,
            site.run(colleague, site.site, "reviewer", "洪審核"),
            site.run(colleague, site.site, "clerk", "江承辦"),
            application,
        )


async def file(site: Site, account: str) -> str:
    """File, return it, and let the teacher change it and file again."""
    actor = Actor("teacher", account, 115, "elementary", "12")
    async with site.database.reading() as db:
        found = await applications.of_account(db, account)
    assert found is not None
    chosen, _ = await applications.change_counties(
        site, actor, found.version, ("13", "14")
    )
    wishes = ("134601", "134602", "134701", "144601")
    saved = await save_and_file(site, actor, chosen.version, wishes)
    person = applications.Person("林曉明", "07-1234567", "0912345678")
    saved = await applications.save_person(site, actor, saved.version, person)
    changed = ("144601", "134602", "134701", "144701")
    filed: Application = await save_and_file(site, actor, saved.version, changed)
    return filed.id


async def open_review(site: Site) -> None:
    now = site.clock.now()
    window = schools.Window(now - timedelta(hours=1), now + timedelta(days=7))
    async with site.database.writing() as db:
        for level in schools.LEVELS:
            await schools.save_window(db, 115, level, "review", window)
        await db.execute("insert into points_limit values (115, 'awards', 1000)")


async def colleague(site: Site, role: str, name: str) -> str:
    found = await staff_site.member(site, "county", role, "12", name=name)
    async with site.database.writing() as db:
        now = site.clock.now()
        await staff.add_session(db, digest(found.id), found.id, now)
    return found.id


async def put_back(site: Site, reviewed: int) -> None:
    """Forget what an earlier run of the test has entered and decided."""
    async with site.database.writing() as db:
        for table in ("review_open", "review_check", "points"):
            await db.execute("delete from " + table)
        await db.execute(
            "update application set state = 'filed', sheet_checked = null, "
            "reviewed = :reviewed",
            {"reviewed": reviewed},
        )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(params=WIDTHS)
def desk(
    request: pytest.FixtureRequest, chromium: Browser, office: Office
) -> Iterator[Page]:
    office.site.run(put_back, office.site.site, REVIEWED)
    page = opened(chromium, office.site.origin, WIDTHS[request.param])
    office.sit_down(page, office.reviewer)
    yield page
    page.context.close()


def test_from_the_list_to_the_approval(desk: Page, office: Office) -> None:
    desk.goto("/city/home")
    check(desk, "city-home")
    desk.get_by_role("link", name="待審核").click()
    desk.wait_for_url("**/city/applications?state=filed")
    check(desk, "city-applications")
    desk.get_by_role("link", name="林曉明").click()
    check(desk, "city-record-closed")
    desk.get_by_role("button", name="開啟這筆資料").click()
    expect(desk.get_by_text("與第 9 版的差異")).to_be_visible()
    expect(desk.get_by_text("移動：台東國小")).to_be_visible()
    check(desk, "city-record")

    fill_in(desk)
    expect(desk.locator("[data-total='1']")).to_have_text("54.05")
    desk.fill("#awards", "2.345")
    expect(desk.locator("[data-total='1']")).to_have_text("—")
    desk.fill("#awards", "10.01")
    desk.get_by_role("button", name="儲存並審核通過").click()
    expect(desk.locator("#summary")).to_contain_text("積分應在 0 與 10.00 之間")
    expect(desk.locator("#studies")).to_have_value("1.25")
    desk.fill("#awards", "2.3")
    desk.get_by_role("button", name="儲存並審核通過").click()
    expect(desk.locator("#summary")).to_contain_text("尚未核對第")
    check(desk, "city-record-problems")
    desk.get_by_role("button", name="儲存", exact=True).click()
    desk.fill("#code", sheet_code(office))
    desk.keyboard.press("Enter")
    expect(desk.locator(".sheet-state")).to_contain_text("已核對")
    desk.get_by_role("button", name="儲存並審核通過").click()
    expect(desk.locator("h1")).to_contain_text("審核通過")
    check(desk, "city-record-approved")


def fill_in(page: Page) -> None:
    for item, value in POINTS.items():
        page.fill(f"#{item}", value)
    for item, note in NOTES.items():
        page.fill(f"#note-{item}", note)
    for one in CHECKS:
        answer = "not-applicable" if one.optional else "yes"
        page.check(f"#check-{one.item}-{answer}")


def sheet_code(office: Office) -> str:
    found = office.site.stored()
    stamp = ("JIEPIN", 115, "elementary", found.version, found.digest)
    return "/".join(str(word) for word in stamp).upper()


def test_two_at_once_see_each_other(
    desk: Page, office: Office, chromium: Browser
) -> None:
    url = f"/city/applications/{office.application}"
    desk.goto(url)
    desk.get_by_role("button", name="開啟這筆資料").click()
    desk.wait_for_selector("#review")
    other = opened(chromium, office.site.origin, 1280)
    office.sit_down(other, office.clerk)
    other.goto(url)
    expect(other.locator("#others")).to_contain_text("洪審核（審核人）")
    other.get_by_role("button", name="開啟這筆資料").click()
    expect(other.locator("#summary")).to_contain_text("其他人正開啟這筆資料")
    check(other, "city-record-other")
    other.get_by_label("我知道其他人正開啟這筆資料").check()
    other.get_by_role("button", name="開啟這筆資料").click()
    other.wait_for_selector("#review")
    other.context.close()
    desk.reload()
    expect(desk.locator("#others")).to_contain_text("江承辦（承辦人）")


def test_an_unattended_record_keeps_nobody_signed_in(
    chromium: Browser, office: Office
) -> None:
    office.site.run(put_back, office.site.site, REVIEWED)
    page = opened(chromium, office.site.origin, 1280)
    office.sit_down(page, office.reviewer)
    page.clock.install()
    page.goto(f"/city/applications/{office.application}")
    page.get_by_role("button", name="開啟這筆資料").click()
    page.wait_for_selector("#review")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(21 * 60 * 1000)
    n = len(asked)
    assert n > 0
    page.clock.run_for(60 * 1000)
    assert len(asked) == n
    page.keyboard.press("Shift")
    page.clock.run_for(30 * 1000)
    assert len(asked) > n
    page.context.close()


def test_log_and_notices_and_english(desk: Page, office: Office) -> None:
    desk.context.add_cookies(
        [{"name": "lang", "value": "en", "url": office.site.origin}]
    )
    url = f"/city/applications/{office.application}"
    desk.goto(url)
    desk.get_by_role("button", name="Open this record").click()
    desk.wait_for_selector("#review")
    for path, name in {
        "/city/home": "city-home-en",
        "/city/applications": "city-applications-en",
        url: "city-record-en",
        "/city/audit": "city-audit-en",
        "/city/audit/notices": "city-notices-en",
    }.items():
        desk.goto(path)
        check(desk, name)
    desk.context.clear_cookies(name="lang")
    for path, name in {
        "/city/audit": "city-audit",
        "/city/audit/notices": "city-notices",
    }.items():
        desk.goto(path)
        check(desk, name)


def test_without_scripts(chromium: Browser, office: Office) -> None:
    office.site.run(put_back, office.site.site, REVIEWED)
    page = opened(chromium, office.site.origin, 1280, java_script_enabled=False)
    office.sit_down(page, office.reviewer)
    page.goto(f"/city/applications/{office.application}")
    page.get_by_role("button", name="開啟這筆資料").click()
    fill_in(page)
    page.get_by_role("button", name="儲存", exact=True).click()
    expect(page.locator("[data-total='1']")).to_have_text("54.05")
    page.locator("summary", has_text="退回補正").click()
    page.fill("#return-reason", "請補服務證明")
    page.locator("form[action$='/return'] button").click()
    expect(page.locator("h1")).to_contain_text("退回補正")
    page.context.close()
