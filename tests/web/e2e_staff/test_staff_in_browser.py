"""The doors and the accounts of staff in a real browser, from the first sign-in on."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from site_browser import (
    WIDTHS,
    Browser,
    Page,
    check,
    close_all,
    expect,
    keep_picture,
    launched,
    opened,
)
from site_server import SiteServer, practice_server

from jiepin.web.site import Site
from jiepin.web.staff import second_factor

CLERK, HEAD, HOST_HEAD = "staff-0", "staff-2", "staff-11"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteServer]:
    with practice_server(tmp_path_factory.mktemp("practice")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(params=WIDTHS)
def page(
    request: pytest.FixtureRequest, chromium: Browser, running: SiteServer
) -> Iterator[Page]:
    running.run(forget_steps, running.site)
    yield opened(chromium, running.origin, WIDTHS[request.param])
    close_all(chromium)


async def forget_steps(site: Site) -> None:
    """Let the codes of this half minute count again: tests do not wait for the next."""
    async with site.database.writing() as db:
        await db.execute("update staff set totp_step = 0")


def enter(page: Page, end: str, number: str) -> None:
    """Sign in with a practice card and what the page gives away, by keyboard."""
    page.goto(f"/{end}/")
    page.select_option("#practice", number)
    note = page.locator(".note code")
    page.fill("#password", note.first.inner_text())
    page.fill("#code", note.last.inner_text())
    page.press("#code", "Enter")
    page.wait_for_url(f"**/{end}/home")


def in_both(page: Page, path: str, name: str) -> None:
    """Check a page, and that it fits in English as well; it stays in Chinese."""
    page.goto(path)
    check(page, name)
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    keep_picture(page, name + "-en")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shown = page.locator("main").inner_text()
    assert not re.search("密碼|登入|帳號|驗證碼", shown), shown
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hant-TW")


def test_doors(page: Page) -> None:
    in_both(page, "/", "landing")
    in_both(page, "/city/enrol", "city-enrol")
    in_both(page, "/host/", "host-door")
    page.get_by_role("link", name="縣市管理端").click()
    page.wait_for_url("**/city/")
    page.click("#enter")
    expect(page.locator("#summary")).to_contain_text("請輸入密碼")
    check(page, "city-door-wrong")


def test_accounts(page: Page) -> None:
    enter(page, "host", HOST_HEAD)
    in_both(page, "/host/staff", "host-staff")
    in_both(page, "/host/staff/new-head", "host-new-head")
    enter(page, "city", HEAD)
    in_both(page, "/city/account", "city-account")
    in_both(page, "/city/staff/new", "city-staff-new")
    in_both(page, f"/city/staff/{CLERK}", "city-member")
    page.get_by_role("button", name="停用").click()
    expect(page.locator("#summary")).to_contain_text("請選擇原因")
    check(page, "city-member-wrong")


def test_a_newcomer_comes_in_without_scripts(
    chromium: Browser, running: SiteServer
) -> None:
    running.run(forget_steps, running.site)
    page = opened(chromium, running.origin, 390, java_script_enabled=False)
    page.goto("/city/")
    page.select_option("#practice", HEAD)
    note = page.locator(".note code")
    page.fill("#password", note.first.inner_text())
    page.fill("#code", note.last.inner_text())
    page.click("#enter")
    page.wait_for_url("**/city/home")
    page.goto(f"/city/staff/{CLERK}")
    page.select_option("#renew-reason", "telephone")
    page.get_by_role("button", name="重新發給").click()
    code = page.locator("code.key").inner_text()
    page.get_by_role("button", name="登出").click()
    page.wait_for_url("**/city/")
    page.goto("/city/enrol")
    page.fill("#enrol", code)
    page.fill("#password", "a clerk of every day")
    page.fill("#again", "a clerk of every day")
    page.select_option("#practice", CLERK)
    page.click("#enter")
    page.wait_for_url("**/city/enrol/setup")
    secret = page.locator("code.key").inner_text().replace(" ", "")
    page.fill("#code", second_factor.code_at(secret, running.site.clock.now()))
    page.get_by_role("button", name="確認並登入").click()
    page.wait_for_url("**/city/home")
    expect(page.locator(".identity")).to_contain_text("承辦人 周書安")
    close_all(chromium)


def test_the_code_and_the_picture_of_the_second_factor(page: Page) -> None:
    enter(page, "city", HEAD)
    page.goto(f"/city/staff/{CLERK}")
    page.select_option("#renew-reason", "telephone")
    page.get_by_role("button", name="重新發給").click()
    check(page, "handover")
    code = page.locator("code.key").inner_text()
    page.get_by_role("button", name="登出").click()
    page.wait_for_url("**/city/")
    page.goto("/city/enrol")
    page.select_option("#practice", CLERK)
    page.fill("#enrol", code)
    page.fill("#password", "a clerk of every day")
    page.fill("#again", "a clerk of every day")
    page.press("#again", "Enter")
    page.wait_for_url("**/city/enrol/setup")
    in_both(page, "/city/enrol/setup", "set-up")
    picture = page.locator(".qr img")
    expect(picture).to_have_js_property("complete", True)
    assert picture.evaluate("image => image.naturalWidth") > 100
    seen = read_code(picture.screenshot())
    secret = page.locator("code.key").inner_text().replace(" ", "")
    assert f"secret={secret}&" in seen
    page.fill("#code", "000000")
    page.get_by_role("button", name="確認並登入").click()
    expect(page.locator("#summary")).to_contain_text("驗證碼不符")
    check(page, "set-up-wrong")


def read_code(picture: bytes) -> str:
    """Read a QR code as a telephone does."""
    zxing = pytest.importorskip("zxingcpp")
    image = pytest.importorskip("PIL.Image")
    [found] = zxing.read_barcodes(image.open(io.BytesIO(picture)))
    return str(found.text)
