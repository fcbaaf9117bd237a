"""The personal sheet and the settings of notices in a real browser.

The sheet is printed by the browser itself; LINE is our own server, in a new window.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from line_server import CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, LineServer, line_server

from jiepin.web.access import Actor
from jiepin.web.app import create_app
from jiepin.web.settings import Line, Settings
from jiepin.web.site import Site
from jiepin.web.store import applications, schools
from jiepin.web.vault import Vault

CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists() or shutil.which("pdftotext") is None:
    pytest.skip(
        "needs apt install chromium poppler-utils fonts-noto-cjk",
        allow_module_level=True,
    )
playwright_api = pytest.importorskip("playwright.sync_api")
expect = playwright_api.expect

WIDTHS = (390, 1280)
N_WISHES = 120
VIOLATIONS = """
  window.violations = [];
  addEventListener("securitypolicyviolation", (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Running:
    """A practice site in a thread; `call` does something in its loop."""

    origin: str
    line: LineServer
    site: Site
    loop: asyncio.AbstractEventLoop

    def call(self, work: Callable[[Site], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            return await work(self.site)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    folder = str(tmp_path_factory.mktemp("practice"))
    patch = pytest.MonkeyPatch()
    patch.setattr("line_server.CALLBACK", f"{origin}/teacher/line")
    with line_server() as line:
        plain = Settings.read(
            {"JIEPIN_DATA": folder, "JIEPIN_ORIGIN": origin}, practice=True
        )
        channel = Line(
            CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, line.address, line.address
        )
        app = create_app(replace(plain, line=channel), Vault.new())
        loops: list[asyncio.AbstractEventLoop] = []

        async def serve() -> None:
            loops.append(asyncio.get_running_loop())
            await server.serve()

        config = uvicorn.Config(app, port=port, log_level="error", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        while not server.started and thread.is_alive():
            thread.join(0.05)
        yield Running(origin, line, app.state.site, loops[0])
        server.should_exit = True
        thread.join()
    patch.undo()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"], env=dict(os.environ)
        )
        yield found
        found.close()


@pytest.fixture(scope="module", params=WIDTHS)
def context(
    request: pytest.FixtureRequest, chromium: Any, running: Running
) -> Iterator[Any]:
    """A browser of one width in which somebody has completed an application."""
    context = chromium.new_context(
        base_url=running.origin,
        locale="zh-TW",
        viewport={"width": request.param, "height": 844},
    )
    context.set_default_timeout(10_000)
    context.add_init_script(VIOLATIONS)
    page = context.new_page()
    page.goto("/teacher/")
    page.select_option("#practice", str(WIDTHS.index(request.param)))
    page.click("#enter")
    page.wait_for_url("**/teacher/notices")
    running.call(complete)
    yield context
    context.close()


@pytest.fixture
def page(context: Any) -> Iterator[Any]:
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"script: {error}"))
    yield page
    page.close()


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
            site, actor, saved.version, "lin@example.org"
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
        await applications.save_wishes(
            site,
            actor,
            saved.version,
            [school.code for school in pool[:N_WISHES]],
            finish=True,
        )


def check(page: Any) -> None:
    """Assert that a page keeps the policy, fits its width, and axe finds no fault."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    assert page.evaluate("window.violations") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = axe.Axe().run(page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not serious, [(v["id"], v["nodes"][0]["html"]) for v in serious]


def look(page: Any, name: str) -> None:
    """Keep a picture where JIEPIN_PICTURES names a folder."""
    if folder := os.environ.get("JIEPIN_PICTURES"):
        width = page.viewport_size["width"]
        page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)


def text_of(document: bytes) -> str:
    done = subprocess.run(
        ["pdftotext", "-raw", "-", "-"], input=document, capture_output=True
    )
    return re.sub(r"\s", "", done.stdout.decode())


def test_sheet_on_screen_and_on_paper(page: Any) -> None:
    page.goto("/teacher/status")
    page.get_by_role("link", name="列印個人資料表").click()
    page.wait_for_url("**/teacher/sheet")
    check(page)
    look(page, "sheet")
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


def test_line_is_linked_in_a_new_window(page: Any) -> None:
    page.goto("/teacher/status")
    page.get_by_role("link", name="設定介聘結果LINE通知服務").click()
    page.wait_for_url("**/teacher/notify")
    check(page)
    look(page, "notify")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="開始登入Line設定介聘結果通知服務").click()
    window = opened.value
    window.wait_for_url("**/teacher/line?*")
    check(window)
    look(window, "line")
    window.get_by_role("button", name="同意並連動").click()
    expect(window.get_by_role("status")).to_contain_text("已完成LINE連動")
    check(window)
    page.reload()
    look(page, "linked")
    page.get_by_role("button", name="解除LINE連動").click()
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")


def test_choices(page: Any) -> None:
    page.goto("/teacher/notify")
    page.get_by_label("產生介聘結果").first.uncheck()
    page.get_by_role("button", name="儲存通知設定").click()
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
    expect(page.get_by_label("產生介聘結果").first).not_to_be_checked()
    page.get_by_label("產生介聘結果").first.check()
    page.get_by_role("button", name="儲存通知設定").click()
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
