"""Publication and results in a real browser: every page, both widths, both languages.

The report and its pictures are those that the engine makes; forms work without scripts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import practice_round
import published_round
import pytest
from practice_round import LIN, YEAR
from site_browser import (
    WIDTHS,
    Browser,
    Page,
    check,
    close_all,
    expect,
    launched,
    opened,
)
from site_server import SiteServer, site_server
from staff_site import member

from jiepin.web.round_run import REPORTS
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.staff.desk import actor_of
from jiepin.web.store import results, snapshots, staff
from jiepin.web.vault import digest

EVERYBODY = {
    "announced": "/public/",
    "list": "/public/results",
    "statistics": "/public/statistics?county=13",
}
TEACHER = {"why": "/teacher/result", "status": "/teacher/status"}
HOST = {"host-results": "/host/results", "host-list": "/host/results/list"}
CITY = {"city-results": "/city/results?way=out"}
TEACHER_TOKEN = "session of the teacher"


@dataclass(frozen=True)
class Served:
    """A site whose first run is public, and a second one that waits to be."""

    server: SiteServer
    host: str  # tokens of sessions
    county: str

    def cookies(self, who: str) -> list[dict[str, str]]:
        settings, url = self.server.site.settings, self.server.origin
        names = {
            "teacher": (settings.cookie, TEACHER_TOKEN),
            "host": (settings.staff_cookie, self.host),
            "county": (settings.staff_cookie, self.county),
        }
        if who not in names:
            return []
        name, value = names[who]
        return [{"name": name, "value": value, "url": url}]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("site")

    def settings_at(origin: str) -> Settings:
        return replace(practice_round.settings(folder), origin=origin)

    with site_server(settings_at) as server:
        tokens = server.run(build, server.site)
        yield Served(server, *tokens)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(autouse=True)
def ended(chromium: Browser) -> Iterator[None]:
    yield
    close_all(chromium)


async def build(site: Site) -> tuple[str, str]:
    """Freeze, run twice, publish the first; returns who is signed in at the desks."""
    await practice_round.fill(site)
    await published_round.enter(site)
    host = await member(site, "host", name="陳主任")
    clerk = await member(site, "host", "clerk")
    county = await member(site, "county", county="12", name="林科長")
    frozen = await snapshots.freeze(site, actor_of(host), "freeze", "")
    first = await published_round.run(site, actor_of(clerk), frozen.id)
    second = await published_round.run(site, actor_of(clerk), frozen.id)
    make_report(site.settings.data / f"rounds/{YEAR}", frozen.id, first)
    now = site.clock.now()
    async with site.database.writing() as db:
        for run in (first, second):
            for one in (host, clerk):
                row = (run, one.id, one.role, 0)
                await db.execute("insert into approval values (?, ?, ?, ?)", row)
        for one in (host, county):
            await staff.add_session(db, digest(one.id), one.id, now)
    await results.publish(site, actor_of(host), first, None)
    await results.tend(site)
    await published_round.sign_in(site, LIN, TEACHER_TOKEN)
    return host.id, county.id


def make_report(folder: Path, snapshot: int, run: int) -> None:
    """Let the engine write its report beside the result; the English one is like it."""
    report = folder / f"run-{run}{REPORTS['zh']}"
    counties = folder / "counties.csv"
    counties.write_text("county,name\n12,高雄市\n13,屏東縣\n14,臺東縣\n", "utf-8")
    subprocess.run(
        [
            *(sys.executable, "-P", "-c", "from jiepin.core.cli import main; main()"),
            *("report", folder / f"snapshot-{snapshot}", folder / f"run-{run}"),
            *("--out", report / "report.html", "--pictures", report),
            *("--counties", counties),
        ],
        check=True,
        capture_output=True,
    )
    shutil.copytree(report, folder / f"run-{run}{REPORTS['en']}")


def browse(
    chromium: Browser, served: Served, who: str, width: int, **kind: Any
) -> Page:
    page = opened(chromium, served.server.origin, width, **kind)
    page.context.add_cookies(served.cookies(who))
    return page


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("language", ["zh-Hant", "en"])
@pytest.mark.parametrize(
    ("who", "paths"),
    [("everybody", EVERYBODY), ("teacher", TEACHER), ("host", HOST), ("county", CITY)],
)
def test_every_page(
    chromium: Browser,
    served: Served,
    who: str,
    paths: dict[str, str],
    language: str,
    width: int,
) -> None:
    page = browse(chromium, served, who, width)
    cookie = {"name": "lang", "value": language, "url": served.server.origin}
    page.context.add_cookies([cookie])
    for name, path in paths.items():
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200
        check(page, f"{name}-{language}")
        broken = page.locator("img").evaluate_all(
            "all => all.filter(one => one.complete && !one.naturalWidth).length"
        )
        assert broken == 0


def test_h07_a_head_plans_and_retracts_without_scripts(
    chromium: Browser, served: Served
) -> None:
    page = browse(chromium, served, "host", 390, java_script_enabled=False)
    page.goto("/host/results")
    page.fill("#at", "2031-05-20T10:00")
    page.click("text=排定公告 >> nth=-1")
    expect(page.locator(".why")).to_contain_text("請勾選確認")
    expect(page.locator("#at")).to_have_value("2031-05-20T10:00")
    page.check("#sure")
    page.locator("main button").last.click()
    expect(page.get_by_role("heading", name="已排定的公告")).to_be_visible()
    expect(page.locator("main")).to_contain_text("120年5月20日 10:00")
    page.fill("#reason", "資料有誤")
    page.get_by_role("button", name="撤回這次公告").click()
    expect(page.locator("table").last).to_contain_text("資料有誤")


def test_h08_anybody_finds_a_county_by_keyboard(
    chromium: Browser, served: Served
) -> None:
    page = browse(chromium, served, "everybody", 1280)
    page.goto("/public/results")
    page.focus("#county")
    page.keyboard.press("End")  # 連江縣
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("tbody")).to_contain_text("沒有符合的結果")
    with page.expect_download() as taken:
        page.get_by_role("link", name="ods").click()
    assert taken.value.suggested_filename == "115-results.ods"


def test_h08_the_report_keeps_its_policy(chromium: Browser, served: Served) -> None:
    page = browse(chromium, served, "everybody", 1280)
    page.goto("/public/statistics")
    page.get_by_role("link", name="完整報告").click()
    page.wait_for_url("**/public/report")
    check(page, "report")
