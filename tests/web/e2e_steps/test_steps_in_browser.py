"""The door and steps 1 to 4 in a real browser, on the practice site.

Two widths, two languages, once by keyboard alone, once without JavaScript; axe finds
nothing serious and no page breaks the content policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from site_browser import (
    WIDTHS,
    Browser,
    Page,
    check,
    close_all,
    expect,
    launched,
    mailed_code,
    opened,
)
from site_server import practice_server

PASSWORD = "a quiet morning"


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a practice site of its own and return its address."""
    with practice_server(tmp_path_factory.mktemp("practice")) as running:
        yield running.origin


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(chromium: Browser, origin: str) -> Iterator[Any]:
    """Open pages in browsers of their own; close them at the end."""

    def visit(width: int = WIDTHS["1280px"], **kind: Any) -> Page:
        page = opened(chromium, origin, width, **kind)
        page.goto("/teacher/")
        return page

    yield visit
    close_all(chromium)


def enter(page: Page, card: int) -> None:
    page.select_option("#practice", str(card))
    page.click("#enter")
    page.wait_for_url("**/teacher/notices")


@pytest.mark.parametrize(
    ("width", "language", "card"),
    [("390px", "zh", 0), ("1280px", "en", 1), ("390px", "en", 2), ("1280px", "zh", 4)],
)
def test_from_the_door_to_the_wishes(
    visit: Any, width: str, language: str, card: int
) -> None:
    page = visit(WIDTHS[width])
    if language == "en":
        page.get_by_role("button", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
    check(page)
    enter(page, card)
    check(page)
    page.locator("main button").click()
    page.wait_for_url("**/teacher/password")
    page.fill("#password", "short")
    page.locator("main button").click()
    expect(page.locator("#summary")).to_be_focused()
    check(page)
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.locator("main button").click()
    page.wait_for_url("**/teacher/person")
    page.fill("#phone1", "0912345678")
    page.fill("#email", f"teacher{card}@example.org")
    check(page)
    page.locator("form[data-guarded] button").click()
    page.wait_for_url("**/teacher/person#code")
    page.fill("#code", mailed_code(page))
    check(page)
    page.locator("section.code button").first.click()
    page.wait_for_url("**/teacher/appointment")
    check(page)
    answer_dialog(page)
    narrow_to_a_township(page)
    page.select_option("#area", "general")
    page.fill("#service_years", "5")
    page.select_option("#subject1", index=1)
    page.locator("#appointment .buttons button").click()
    page.wait_for_url("**/teacher/wishes**")
    page.goto("/teacher/own-data")
    check(page)


def answer_dialog(page: Page) -> None:
    """T402: 取消 turns 是 into 否; 確定 keeps it and ticks the confirmation."""
    page.select_option("#indigenous", "yes")
    expect(page.locator("#message")).to_be_visible()
    page.locator("#message button[value=no]").click()
    expect(page.locator("#indigenous")).to_have_value("no")
    page.select_option("#indigenous", "yes")
    page.locator("#message button[value=yes]").click()
    expect(page.locator("#indigenous")).to_have_value("yes")
    expect(page.locator("#indigenous_confirmed")).to_be_checked()


def narrow_to_a_township(page: Page) -> None:
    """T406: county, then township, then school."""
    page.select_option("#township", "")
    everything = page.locator("#school option").count()
    page.select_option("#township", index=1)
    assert 1 < page.locator("#school option").count() < everything
    page.select_option("#school", index=1)


def test_l07_three_ticks_before_the_button(visit: Any) -> None:
    page = visit()
    page.select_option("#practice", "")
    expect(page.locator("#enter")).to_be_disabled()
    expect(page.locator("#ticks li")).to_have_count(3)
    page.select_option("#practice", "0")
    expect(page.locator("#enter")).to_be_enabled()


@pytest.mark.parametrize("scripts", [True, False])
def test_the_enter_key_signs_in(visit: Any, scripts: bool) -> None:
    """It does not ask for a new password, whose button comes first on the page."""
    page = visit(java_script_enabled=scripts)
    page.select_option("#practice", "8")
    page.select_option("#level", "kindergarten")
    page.locator("#password").press("Enter")
    page.wait_for_url("**/teacher/notices")


def test_without_javascript(visit: Any) -> None:
    page = visit(390, java_script_enabled=False)
    enter(page, 5)
    page.locator("main button").click()
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.locator("main button").click()
    page.fill("#phone1", "0912345678")
    page.fill("#email", "nojs@example.org")
    page.locator("form[data-guarded] button").click()
    page.fill("#code", mailed_code(page))
    page.locator("section.code button").first.click()
    page.select_option("#indigenous", "yes")
    page.select_option("#area", "general")
    page.fill("#service_years", "5")
    page.select_option("#subject1", index=1)
    page.locator("#appointment .buttons button").click()
    page.check("#indigenous_confirmed")
    page.locator("#appointment .buttons button").click()
    page.wait_for_url("**/teacher/wishes**")


def test_by_keyboard_alone(visit: Any) -> None:
    page = visit()
    tab_to(page, "#practice")
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    expect(page.locator("#practice")).to_have_value("6")
    tab_to(page, "#enter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/teacher/notices")
    tab_to(page, "main button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/teacher/password")
    for field in ("#password", "#again"):
        tab_to(page, field)
        page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/teacher/person")


def tab_to(page: Page, target: str) -> None:
    for _ in range(40):
        if page.locator(target).first.evaluate("e => e === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"the Tab key does not come to {target}")


def test_g14_unsaved_changes_are_asked_about(visit: Any) -> None:
    page = visit()
    enter(page, 7)
    page.locator("main button").click()
    page.wait_for_url("**/teacher/password")
    page.locator("#password").press_sequentially("abc")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.locator(".flow a").first.click()
    page.wait_for_url("**/teacher/notices")
    assert asked == ["beforeunload"]
