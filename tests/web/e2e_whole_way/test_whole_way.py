"""The whole way in a real browser: from a card to a printed sheet with twenty wishes.

Once on a phone in Chinese with a practice card; once on a desk in English with the real
reader program: a virtual card behind the real smart card service where there is one,
else a card from a file.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from pcsc_daemon import Daemon, Unavailable
from reader_process import environment, service
from site_browser import (
    WIDTHS,
    Page,
    check,
    expect,
    keep_picture,
    launched,
    mailed_code,
    opened,
)
from site_server import SiteServer, practice_server
from virtual_card import VirtualCard

from jiepin.reader import apdu
from jiepin.reader.errors import NotInstalled
from jiepin.reader.pcsc import PcscPort
from jiepin.reader.replay import read_card
from jiepin.web.demo import PEOPLE

READER_PORT = 8080  # the one that sites know
PASSWORD = "a quiet morning"
N_WISHES = 20
CARD = """\
atr = "3B FF 18 00 FF 81 31 FE 45 54 48 43 43 31 30 54 45 43 4F 47 44 48 4E 32 24"
[record]
card_number = "000012345678"
name = "{name}"
national_id = "{national_id}"
birth = "{birth}"
sex = "{sex}"
issued = "1130101"
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[SiteServer]:
    with practice_server(tmp_path / "site") as server:
        yield server


def test_on_a_phone_with_a_practice_card(running: SiteServer, tmp_path: Path) -> None:
    with launched(environment(tmp_path)) as browser:
        page = opened(browser, running.origin, WIDTHS["390px"])
        page.goto("/teacher/")
        page.select_option("#practice", "0")
        page.click("#enter")
        file_and_print(page, tmp_path, "phone")


def test_on_a_desk_with_a_card_in_the_reader(
    running: SiteServer, tmp_path: Path
) -> None:
    with socket.socket() as free:
        if free.connect_ex(("127.0.0.1", READER_PORT)) == 0:
            pytest.skip(f"port {READER_PORT} of the reader program is taken")
    if shutil.which("certutil") is None:
        pytest.skip("certutil is not installed")
    home = tmp_path / "王 小明"
    home.mkdir()
    key = tmp_path / "site.pem"
    key.write_text(running.site.vault.site_keys.public_pem(), "ascii")
    with ExitStack() as stack:
        words = stack.enter_context(card_in_reader(tmp_path))
        options = ("--origin", running.origin, "--server-key", key)
        stack.enter_context(service(home, *options, *words, port=READER_PORT))
        browser = stack.enter_context(launched(environment(home)))
        page = opened(browser, running.origin, WIDTHS["1280px"])
        page.goto("/teacher/")
        page.get_by_role("button", name="English").click()
        page.select_option("#practice", "")
        expect(page.locator("#ticks li.ok")).to_have_count(3)
        page.select_option("#level", "elementary")
        page.click("#enter")
        file_and_print(page, tmp_path, "desk")


@contextmanager
def card_in_reader(folder: Path) -> Iterator[tuple[str | Path, ...]]:
    """Put the card of the first practice teacher into a reader; gives its options."""
    person = PEOPLE[0]
    birth = person.birth_date
    text = CARD.format(
        name=person.name,
        national_id=person.national_id,
        birth=f"{birth.year - apdu.ROC_YEAR_ZERO:03}{birth:%m%d}",
        sex=person.sex,
    )
    file = folder / "card.toml"
    file.write_text(text, "utf-8")
    card = read_card(file)
    with ExitStack() as stack:
        try:
            PcscPort()
            daemon = stack.enter_context(Daemon())
        except (NotInstalled, Unavailable) as reason:
            print(f"the card comes from a file: {reason}")
            yield ("--replay", file)
            return
        daemon.ensure()
        stack.enter_context(VirtualCard(card.atr, card.answer, daemon.ports[0]))
        yield ()


def file_and_print(page: Page, folder: Path, name: str) -> None:
    """Go through the six steps, look at each page, and print the sheet."""
    page.wait_for_url("**/teacher/notices")
    check(page, f"{name}-1-notices")
    page.locator("main form button").click()
    page.wait_for_url("**/teacher/password")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    check(page, f"{name}-2-password")
    page.locator("main form .buttons button").click()
    page.wait_for_url("**/teacher/person")
    page.fill("#phone1", "07-1234567#89")
    page.fill("#email", "lin@example.org")
    check(page, f"{name}-3-person")
    page.locator("form[data-guarded] button").click()
    page.wait_for_url("**/teacher/person#code")
    page.fill("#code", mailed_code(page))
    page.locator("section.code button").first.click()
    page.wait_for_url("**/teacher/appointment")
    page.select_option("#indigenous", "no")
    page.select_option("#area", "general")
    page.fill("#service_years", "6")
    page.select_option("#township", index=1)
    page.select_option("#school", index=1)
    page.select_option("#subject1", index=1)
    page.select_option("#subject2", index=3)
    check(page, f"{name}-4-appointment")
    page.locator("#appointment .buttons button").click()
    page.wait_for_url("**/teacher/wishes**")
    page.select_option("#county1", "13")
    page.select_option("#county2", "14")
    check(page, f"{name}-5-counties")
    page.locator("main form .buttons button").first.click()
    page.locator("#results .results:visible section").first.wait_for()
    wishes = choose(page)
    check(page, f"{name}-5-wishes")
    page.locator("#save button[value=check]").click()
    page.wait_for_url("**/teacher/check")
    check(page, f"{name}-6-check")
    expect(page.locator(".wishes-list > li")).to_have_count(N_WISHES)
    page.locator("main form button").click()
    page.wait_for_url("**/teacher/status")
    check(page, f"{name}-7-status")
    check_sheet(page, folder, name, wishes)


def choose(page: Page) -> list[str]:
    """Choose twenty schools, ten of each county."""
    for tab in range(2):
        page.locator("#tabs button").nth(tab).click()
        schools = page.locator("#results .results:visible li button")
        for n in range(N_WISHES // 2):
            schools.nth(3 * n).click()
    chosen = page.locator("#chosen > li .name")
    expect(chosen).to_have_count(N_WISHES)
    return chosen.all_text_contents()


def check_sheet(page: Page, folder: Path, name: str, wishes: list[str]) -> None:
    """The print page and the PDF hold the twenty wishes in their order."""
    answer = page.context.request.get(f"{page.url.rpartition('/')[0]}/sheet.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    pdf = folder / f"{name}-sheet.pdf"
    pdf.write_bytes(answer.body())
    page.goto("/teacher/sheet")
    keep_picture(page, f"{name}-8-sheet")
    shown = page.locator("main, body").first.inner_text()
    in_order(shown, wishes)
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True
        )
        in_order(text.stdout.decode(), wishes)


def in_order(text: str, wishes: list[str]) -> None:
    numbers = [int(number) for number in re.findall(r"\b(\d{3})\.", text)]
    assert numbers == list(range(1, len(wishes) + 1))
    for wish in wishes:
        assert wish[:2] in text
