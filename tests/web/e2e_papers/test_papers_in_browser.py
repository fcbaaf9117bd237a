"""The personal sheet and the settings of notices in a real browser.

The sheet is printed by the browser itself; LINE is our own server, in a new window.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from line_server import CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, line_server
from practice_round import save_and_file
from site_browser import WIDTHS, Browser, Page, check, expect, launched, opened
from site_server import SiteServer, practice_server

from jiepin.web import demo
from jiepin.web.access import Actor
from jiepin.web.settings import Line
from jiepin.web.site import Site
from jiepin.web.store import applications, schools

if shutil.which("pdftotext") is None:
    pytest.skip("no pdftotext: apt install poppler-utils", allow_module_level=True)

N_WISHES = 120


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteServer]:
    folder = tmp_path_factory.mktemp("practice")
    with line_server() as server:
        line = Line(
            CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, server.address, server.address
        )
        with practice_server(folder, line) as running:
            server.callback = f"{running.origin}/teacher/line"
            yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module", params=WIDTHS)
def context(
    request: pytest.FixtureRequest, chromium: Browser, running: SiteServer
) -> Iterator[Any]:
    """A browser of one width in which somebody has completed an application."""
    page = opened(chromium, running.origin, WIDTHS[request.param])
    page.goto("/teacher/")
    page.select_option("#practice", str(list(WIDTHS).index(request.param)))
    page.click("#enter")
    page.wait_for_url("**/teacher/notices")
    running.run(complete, running.site)
    yield page.context
    page.context.close()


@pytest.fixture
def page(context: Any) -> Iterator[Page]:
    page = context.new_page()
    yield page
    page.close()


def practice_device(site: Site) -> bytes:
    """Return the computer that practice cards are read on, as the site knows it."""
    return demo.device(site).public_key().public_bytes_raw()


async def complete(site: Site) -> None:
    """Fill in what is not yet complete, through the store."""
    async with site.database.reading() as db:
        rows = await db.execute_fetchall("select id, year, level, county from account")
        accounts = [tuple(row) for row in rows]
    for account, year, level, county in accounts:
        actor = Actor("teacher", account, year, level, county)
        async with site.database.reading() as db:
            found = await applications.of_account(db, account)
            assert found is not None
            home = (await schools.pool(db, county, level))[0]
            pool = await schools.pool(db, "09", level)
        if found.step == applications.STATUS:
            continue
        saved = await applications.agree_to_notices(site, actor, found.version, 1)
        saved = await applications.save_password(site, actor, saved.version, "x", "")
        person = applications.Person("黃𡍼生 <b>*", "07-1234567#89", "0912345678")
        saved = await applications.save_person(site, actor, saved.version, person)
        saved = await applications.confirm_email(
            site, actor, saved.version, "lin@example.org", practice_device(site)
        )
        appointment = applications.Appointment(
            True, "general", 5, home.code, ("E01", "E02")
        )
        saved = await applications.save_appointment(
            site, actor, saved.version, appointment
        )
        saved, _ = await applications.change_counties(
            site, actor, saved.version, ("09",)
        )
        wishes = [school.code for school in pool[:N_WISHES]]
        await save_and_file(site, actor, saved.version, wishes)


def text_of(document: bytes) -> str:
    done = subprocess.run(
        ["pdftotext", "-raw", "-", "-"], input=document, capture_output=True
    )
    return re.sub(r"\s", "", done.stdout.decode())


def test_sheet_on_screen_and_on_paper(page: Page) -> None:
    page.goto("/teacher/status")
    page.get_by_role("link", name="列印個人資料表").click()
    page.wait_for_url("**/teacher/sheet")
    check(page, "sheet")
    expect(page.get_by_role("button", name="列印")).to_be_visible()
    cells = page.locator(".wishes li").all_inner_texts()
    assert len(cells) > 1
    address = page.get_by_role("link", name="下載 PDF 檔").get_attribute("href")
    papers = (
        page.pdf(prefer_css_page_size=True),
        page.request.get(address).body(),
    )
    for paper in map(text_of, papers):
        found = [paper.find(re.sub(r"\s", "", cell)) for cell in cells]
        assert -1 not in found
        assert found == sorted(found)
        assert "黃𡍼生<b>*" in paper
        assert re.search(r"第1/(\d)頁", paper)
        assert "回查詢申請狀況" not in paper


def test_line_is_linked_in_a_new_window(page: Page) -> None:
    page.goto("/teacher/status")
    page.get_by_role("link", name="設定介聘結果LINE通知服務").click()
    page.wait_for_url("**/teacher/notify")
    check(page, "notify")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="開始登入Line設定介聘結果通知服務").click()
    window = opened.value
    window.wait_for_url("**/teacher/line?*")
    check(window, "line")
    window.get_by_role("button", name="同意並連動").click()
    expect(window.get_by_role("status")).to_contain_text("已完成LINE連動")
    check(window)
    page.reload()
    check(page, "linked")
    page.get_by_role("button", name="解除LINE連動").click()
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")


def test_choices(page: Page) -> None:
    page.goto("/teacher/notify")
    page.get_by_label("產生介聘結果").first.uncheck()
    page.get_by_role("button", name="儲存通知設定").click()
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
    expect(page.get_by_label("產生介聘結果").first).not_to_be_checked()
    page.get_by_label("產生介聘結果").first.check()
    page.get_by_role("button", name="儲存通知設定").click()
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
