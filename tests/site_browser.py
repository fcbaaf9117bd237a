"""A real browser on the site: Debian's Chromium, and what every page is held to.

A module that imports this one is skipped where Chromium or Playwright is missing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("no chromium: apt install chromium", allow_module_level=True)
pytest.importorskip("playwright.sync_api", reason="no playwright: pip install it")

from playwright.sync_api import Browser, Page, expect, sync_playwright  # noqa: E402

WIDTHS = {"390px": 390, "1280px": 1280}
PATIENCE = 20_000  # milliseconds
VIOLATIONS = """
  window.violations = [];
  addEventListener("securitypolicyviolation", (event) => {
    const text = `${event.violatedDirective} ${event.blockedURI}`;
    window.violations.push(text);
    console.error(`violation ${text}`);
  });
"""

expect.set_options(timeout=PATIENCE)


@contextmanager
def launched(environment: Mapping[str, str] = os.environ) -> Iterator[Browser]:
    """Start a browser that goes nowhere by itself; ended at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking"],
            env=dict(environment),
        )
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, origin: str, width: int, **kind: Any) -> Page:
    """Open a page in a context of its own; `kind` goes to the context.

    An error of a script, or a breach of the content policy, fails the test.
    """
    context = browser.new_context(
        base_url=origin,
        locale="zh-TW",
        timezone_id="Asia/Taipei",
        viewport={"width": width, "height": 844},
        has_touch=width < 500,
        **kind,
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(VIOLATIONS)
    context.on("page", watch)
    return context.new_page()


def watch(page: Page) -> None:
    page.on("pageerror", lambda error: pytest.fail(f"script: {error}"))
    page.on("console", lambda message: refuse_violation(message.text))


def refuse_violation(text: str) -> None:
    assert not text.startswith("violation"), text


def close_all(browser: Browser) -> None:
    """Close what was opened in a browser that goes on."""
    for context in browser.contexts:
        context.close()


def check(page: Page, name: str = "") -> None:
    """Assert that a page keeps the policy, fits its width, and axe finds no fault.

    With a name, and JIEPIN_PICTURES naming a folder, a picture of it is kept there.
    """
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    keep_picture(page, name)
    assert page.evaluate("window.violations") == []
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{page.url}: {wide} px stick out"
    found = axe.Axe().run(page).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert not serious, [(f["id"], f["nodes"][0]["html"]) for f in serious]


def keep_picture(page: Page, name: str) -> None:
    folder = os.environ.get("JIEPIN_PICTURES")
    if folder and name:
        assert page.viewport_size is not None
        width = page.viewport_size["width"]
        page.screenshot(path=f"{folder}/{name}-{width}.png", full_page=True)


def mailed_code(page: Page) -> str:
    """Return the newest code of the practice mailbox, and come back to the page."""
    back, code = page.url, None
    while code is None:  # the worker mails it a moment later
        page.goto("/practice/mail")
        code = re.search(r"\b\d{8}\b", page.locator("main").inner_text())
    page.goto(back)
    return code.group()
