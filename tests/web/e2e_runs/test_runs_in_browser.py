"""Freeze, runs and approvals in a real browser, with JavaScript and without."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import practice_round
import pytest
from frozen_site import FILED, PEOPLE, SCHOOLS, SLOW, SOLVES, fill, quick_engine
from site_browser import WIDTHS, Browser, Page, check, expect, launched, opened
from site_server import SiteServer, site_server
from staff_site import member

from jiepin.web import round_run
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.store import staff
from jiepin.web.vault import digest

LANGUAGES = ("zh-Hant", "en")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SiteServer]:
    """A site whose review is over, but for one application."""
    folder: Path = tmp_path_factory.mktemp("runs")

    def settings_at(origin: str) -> Settings:
        return Settings(data=folder, origin=origin, keys=folder / "keys.json")

    with quick_engine(), site_server(settings_at) as running:
        running.run(practice_round.fill, running.site, SCHOOLS)
        running.run(fill, running.site, (*PEOPLE, FILED))
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


async def sit_down(site: Site, role: str) -> str:
    found = await member(site, "host", role, name="陳秀英")
    async with site.database.writing() as db:
        await staff.add_session(db, digest(found.id), found.id, site.clock.now())
    return found.id


def desk(
    chromium: Browser,
    running: SiteServer,
    width: int = 1280,
    role: str = "head",
    **kind: bool,
) -> Page:
    page = opened(chromium, running.origin, width, **kind)
    cookies = {
        running.site.settings.staff_cookie: running.run(sit_down, running.site, role)
    }
    speak(page, running, **cookies)
    return page


def speak(
    page: Page, running: SiteServer, language: str = "zh-Hant", **more: str
) -> None:
    cookies = {"lang": language, **more}
    page.context.add_cookies(
        [
            {"name": name, "value": value, "url": running.origin}
            for name, value in cookies.items()
        ]
    )


def look(chromium: Browser, running: SiteServer, pages: dict[str, str]) -> None:
    """Hold pages in both languages and both widths to what every page is held to."""
    for width in WIDTHS.values():
        page = desk(chromium, running, width)
        for language in LANGUAGES:
            speak(page, running, language)
            for name, path in pages.items():
                page.goto(path)
                assert page.locator("h1").count() == 1
                check(page, f"{name}-{language}")
        page.context.close()


def test_before_the_freeze(chromium: Browser, running: SiteServer) -> None:
    look(chromium, running, {"unfrozen": "/host/runs", "trial": "/host/runs/check"})


def test_freeze_and_run_without_javascript(
    chromium: Browser, running: SiteServer
) -> None:
    page = desk(chromium, running, java_script_enabled=False)
    page.goto("/host/runs")
    page.get_by_role("button", name="凍結本年度資料").click()
    expect(page.locator("#summary")).to_contain_text("請再確認是否不列入")
    page.get_by_label("未審核的 1 件申請不列入本次介聘").check()
    page.get_by_label("凍結說明").fill("未送審核文件")
    page.get_by_role("button", name="凍結本年度資料").click()
    expect(page.get_by_role("heading", name="快照 1（凍結）")).to_be_visible()
    page.get_by_text("撤回快照 1").click()
    page.get_by_role("button", name="撤回", exact=True).click()
    expect(page.locator("#summary")).to_contain_text("請填寫撤回的原因")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(round_run, "PROGRAM", (sys.executable, "-c", SOLVES))
        page.get_by_role("button", name="開始計算快照 1").click()
        finished(page, 1)
        page.get_by_role("button", name="以同一快照再計算一次").click()
        finished(page, 2)
    page.context.close()


def finished(page: Page, run: int) -> None:
    """Load the page of a run again, as it says, until the run is done."""
    page.wait_for_url(f"**/host/runs/{run}")
    again = page.get_by_role("link", name="重新載入，看目前進度")
    while again.count():
        with page.expect_navigation():  # a click alone may not wait for the next page
            again.click()
    expect(page.locator(".state.done")).to_have_text("完成")


def test_two_approve_by_keyboard(chromium: Browser, running: SiteServer) -> None:
    for role in ("head", "reviewer"):
        page = desk(chromium, running, role=role)
        page.goto("/host/runs/1")
        page.get_by_role("button", name="核可這次結果").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="收回我的核可")).to_be_visible()
        page.context.close()
    page = desk(chromium, running)
    page.goto("/host/runs/1")
    expect(page.locator("main")).to_contain_text("已可公告。")
    page.context.close()


def test_after_the_run(chromium: Browser, running: SiteServer) -> None:
    running.run(differ, running.site)
    pages = {
        "frozen": "/host/runs",
        "run": "/host/runs/1",
        "compared": "/host/runs/1/compare/2",
    }
    look(chromium, running, pages)


async def differ(site: Site) -> None:
    """Let the second run look as if somebody had stayed."""
    file = site.settings.data / "rounds" / "115" / "run-2" / "assignments.csv"
    text = file.read_text("utf-8")
    changed = text.replace("1220002,one-way,,143602,E01,1", "1220002,,,123602,E01,")
    assert changed != text
    file.unlink()
    file.write_text(changed, "utf-8")


def test_progress_moves_and_the_page_follows_to_the_end(
    chromium: Browser, running: SiteServer
) -> None:
    page = desk(chromium, running, 390)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(round_run, "PROGRAM", (sys.executable, "-c", SLOW))
        page.goto("/host/runs")
        page.get_by_role("button", name="開始計算快照 1").click()
        expect(page.locator("#stage")).to_have_text("互調")
        expect(page.locator("#bar")).to_have_js_property("value", 3)
        check(page, "running")
        page.get_by_role("button", name="取消計算").click()
        expect(page.locator(".state.cancelled")).to_be_visible()
        page.get_by_role("button", name="以同一快照再計算一次").click()
        expect(page.locator("#stage")).to_have_text("互調")
        (running.site.settings.data / "go").touch()
        expect(page.locator(".state.failed")).to_be_visible()
    page.context.close()
