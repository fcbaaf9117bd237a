"""Schools, seats, roster and tables in a real browser, wide and narrow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import staff_site
from practice_round import save_and_file
from site_browser import WIDTHS, Browser, Page, check, expect, launched, opened
from wish_site import Served, served

from jiepin.web.access import Actor
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.site import Site
from jiepin.web.store import applications, schools, staff
from jiepin.web.store.schools import Seats
from jiepin.web.vault import digest

SCHOOL = "134601"  # 和平國小 in 屏東市, which the one teacher wishes
PAGES = {
    "schools": "/city/schools?level=elementary",
    "school": f"/city/schools/{SCHOOL}",
    "school-new": "/city/schools/new?level=elementary",
    "seats": "/city/schools/seats?level=elementary&subject=E01",
    "roster": "/city/roster?done=added",
    "tables": "/city/tables",
}
ROSTER = Sheet(
    "名冊",
    ("身分證統一編號", "階段別", "現任學校"),
    [["A123456789", "國小", "和平國小"], ["A123456788", "國小", "沒有這所國小"]],
)
SEATS = Sheet(
    "缺額",
    ("學校代碼", "科(類)別", "缺額總數", "提列他縣市"),
    [[SCHOOL, "普通", 2, 0], ["134602", "普通", 3, 2]],
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("site")) as site:
        site.run(invent, site.site, site.account)
        yield site


async def invent(site: Site, account: str) -> None:
    """Open seats, let the one teacher file; the roster of 屏東縣 is seen here."""
    async with site.database.writing() as db:
        codes = [SCHOOL, "134602"]
        await schools.add_taught(db, [(code, "E01") for code in codes])
        await schools.add_seats(db, [(code, "E01", Seats(4, 2)) for code in codes])
        await db.execute("update roster set county = '13', school = '134602'")
    actor = Actor("teacher", account, 115, "elementary", "12")
    async with site.database.reading() as db:
        found = await applications.of_account(db, account)
    assert found is not None
    chosen, _ = await applications.change_counties(
        site, actor, found.version, ("13", "14")
    )
    await save_and_file(site, actor, chosen.version, (SCHOOL, "144601"))


async def sit_down(site: Site) -> str:
    found = await staff_site.member(site, "county", "clerk", "13", name="周承辦")
    async with site.database.writing() as db:
        await staff.add_session(db, digest(found.id), found.id, site.clock.now())
    return found.id


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module", params=WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return WIDTHS[request.param]


@pytest.fixture(scope="module")
def page(width: int, chromium: Browser, site: Served) -> Iterator[Page]:
    page = signed_in(chromium, site, width)
    yield page
    page.context.close()


def signed_in(chromium: Browser, site: Served, width: int, **kind: Any) -> Page:
    page = opened(chromium, site.origin, width, **kind)
    name, token = site.site.settings.staff_cookie, site.run(sit_down, site.site)
    page.context.add_cookies([{"name": name, "value": token, "url": site.origin}])
    return page


def speak(page: Page, site: Served, language: str) -> None:
    page.context.add_cookies([{"name": "lang", "value": language, "url": site.origin}])


@pytest.mark.parametrize("language", ["zh-Hant", "en"])
@pytest.mark.parametrize("name", PAGES)
def test_pages_at_both_widths(
    page: Page, site: Served, name: str, language: str
) -> None:
    speak(page, site, language)
    page.goto(PAGES[name])
    assert page.locator("h1").count() == 1
    check(page, f"{name}-{language}")


@pytest.mark.parametrize("language", ["zh-Hant", "en"])
def test_what_is_tried_at_both_widths(
    page: Page, site: Served, tmp_path: Path, language: str
) -> None:
    speak(page, site, language)
    for name, sheet in (("roster", ROSTER), ("seats", SEATS)):
        file = tmp_path / f"{name}.ods"
        file.write_bytes(spreadsheets.write("ods", [sheet]))
        page.goto("/city/tables")
        page.set_input_files(f"#{name}-file", file)
        form = page.locator("form", has=page.locator(f"#{name}-file"))
        form.locator("button").click()
        page.wait_for_load_state()
        check(page, f"tried-{name}-{language}")
        if name == "roster":
            expect(page.locator("#summary")).to_be_visible()
            assert "A123456788" not in page.content()
        else:
            page.wait_for_url("**/city/tables/tried/*")
            expect(page.locator("table.list")).to_be_visible()  # whom it touches


def test_a_correction_by_keyboard_and_without_script(
    width: int, chromium: Browser, site: Served
) -> None:
    page = signed_in(chromium, site, width, java_script_enabled=False)
    page.goto(f"/city/schools/{SCHOOL}")
    page.fill("#total-E01", "5")
    page.click("button[value=half]")
    expect(page.locator("#seats-E01")).to_have_value("3")
    page.focus("#open")
    page.keyboard.press("Space")
    page.focus("button[value=save]")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("確認更正")
    expect(page.locator("table.list")).to_contain_text("高雄市")
    page.locator("main form button").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".good")).to_contain_text("1 人")
    page.check("#open")  # as it was, for the next width
    page.click("button[value=save]")
    expect(page.locator(".good")).to_contain_text("已儲存")
    page.context.close()


def test_the_confirmation_fits_the_page(page: Page, site: Served) -> None:
    for language in ("zh-Hant", "en"):
        speak(page, site, language)
        page.goto(f"/city/schools/{SCHOOL}")
        page.uncheck("#open")
        page.click("button[value=save]")
        page.wait_for_selector("main input[name=confirmed]", state="attached")
        check(page, f"confirm-{language}")
