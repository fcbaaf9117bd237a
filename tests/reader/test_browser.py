"""The service seen from a real browser, without any certificate flag.

The card is a file (`--replay`) in one run and a virtual card behind the real smart card
service in the other.
"""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest
from axe_playwright_python.sync_playwright import Axe
from pcsc_daemon import Daemon
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    Page,
    expect,
    sync_playwright,
)
from reader_process import Service, environment, run, service, words_for
from sign_in_site import Site, served
from virtual_card import VirtualCard

from jiepin.reader.replay import read_card
from jiepin.web.card import make_challenge

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "fixtures" / "cards"
CHROMIUM = shutil.which("chromium")
SEEN = 15_000.0  # milliseconds that a change may take on a machine that is busy
expect.set_options(timeout=SEEN)
PERSONAL = ("000012345678", "林小明", "A123456789", "0740309", "1985")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(
        shutil.which("certutil") is None, reason="certutil is not installed"
    ),
]


@dataclass
class Scene:
    """A service, a site, a browser that trusts both, and a hand for the card."""

    source: str
    service: Service
    site: Site
    browser: Browser
    insert: Callable[[str], None]
    pull: Callable[[], None]

    def page(self, width: int = 1280) -> Page:
        context = self.browser.new_context(
            locale="zh-TW", viewport={"width": width, "height": 900}
        )
        page = context.new_page()
        page.set_default_timeout(SEEN)
        return page


@pytest.fixture(scope="module", params=["replay", "pcsc"])
def scene(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("使用者 home")
    home = folder / "王小明"
    home.mkdir()
    file = folder / "card.toml"
    if request.param == "pcsc":
        daemon: Daemon = request.getfixturevalue("pcscd")
        daemon.ensure()
        insert, pull = virtual_hand(daemon)
        words: list[str | Path] = []
    else:
        insert, pull = file_hand(file)
        words = ["--replay", file]
    # the reader's address is known to the page before the service has a port
    site = Site(reader="")
    with served(site, folder) as authority:
        key = folder / "site-key.pem"
        key.write_text(site.keys.public_pem(), "ascii")
        with service(home, *words_for(site.origin, key), *words) as running:
            site.reader = running.url
            trust(home, authority)
            with sync_playwright() as playwright:
                browser = launch(playwright.chromium, home)
                yield Scene(request.param, running, site, browser, insert, pull)
                browser.close()
    pull()


def virtual_hand(daemon: Daemon) -> tuple[Callable[[str], None], Callable[[], None]]:
    inserted: list[VirtualCard] = []

    def insert(name: str) -> None:
        card = read_card(CARDS / f"{name}.toml")
        virtual = VirtualCard(card.atr, card.answer, daemon.ports[0])
        virtual.insert()
        inserted.append(virtual)

    def pull() -> None:
        while inserted:
            inserted.pop().remove()

    return insert, pull


def file_hand(file: Path) -> tuple[Callable[[str], None], Callable[[], None]]:
    def insert(name: str) -> None:
        shutil.copy(CARDS / f"{name}.toml", file)

    def pull() -> None:
        file.unlink(missing_ok=True)

    return insert, pull


def trust(home: Path, authority: Path) -> None:
    """Have the browser trust the site of the tests; the service did so for itself."""
    store = f"sql:{home}/.local/share/pki/nssdb"
    subprocess.run(
        ["certutil", "-A", "-d", store, "-t", "C,,", "-n", "site", "-i", authority],
        check=True,
        env=environment(home),
    )


@pytest.fixture
def page(scene: Scene) -> Iterator[Page]:
    """The sign-in page, whose three lines are seen; closed at the end."""
    scene.pull()
    page = scene.page()
    page.goto(scene.site.origin)
    lines(page, "yes", "yes", "no-card")
    yield page
    page.context.close()


def lines(page: Page, program: str, reader: str, card: str) -> None:
    for name, text in (("program", program), ("reader", reader), ("card", card)):
        expect(page.locator(f"#{name}")).to_have_text(text)


TURNS_TO = """([name, text]) => new Promise((tell) => {
  const line = document.querySelector("#" + name);
  const look = () => line.textContent === text && tell();
  new MutationObserver(look).observe(line, { childList: true, subtree: true });
  look();
})"""


def seconds_until(page: Page, name: str, text: str) -> float:
    """Return how long a line takes to say `text`, to the millisecond."""
    start = time.monotonic()
    page.evaluate(TURNS_TO, [name, text])
    return time.monotonic() - start


def test_three_ticks_go_green_and_red_with_the_card(scene: Scene, page: Page) -> None:
    inserted, pulled = [], []
    for _ in range(10):
        scene.insert("health")
        inserted.append(seconds_until(page, "card", "yes"))
        lines(page, "yes", "yes", "yes")
        scene.pull()
        pulled.append(seconds_until(page, "card", "no-card"))
        lines(page, "yes", "yes", "no-card")
    for what, seconds in (("insert to green", inserted), ("pull to red", pulled)):
        print(f"{what}: median {median(seconds):.3f} s, most {max(seconds):.3f} s")


def test_sign_in_with_the_card(scene: Scene, page: Page) -> None:
    scene.insert("health")
    lines(page, "yes", "yes", "yes")
    taken = []
    for _ in range(10):
        page.click("#sign-in")
        taken.append(seconds_until(page, "answer", "歡迎 林○明"))
    print(f"click to answer: median {median(taken):.3f} s, most {max(taken):.3f} s")
    reading = scene.site.readings[-1]
    assert reading.national_id == "A123456789"
    assert reading.source == scene.source
    assert page.evaluate("again.error") == "challenge used or expired"
    assert not any(part in page.content() for part in PERSONAL)


def test_a_newer_card_signs_in_too(scene: Scene, page: Page) -> None:
    scene.insert("newer")
    lines(page, "yes", "yes", "yes")
    page.click("#sign-in")
    expect(page.locator("#answer")).to_have_text("歡迎 陳○堃")


@pytest.mark.parametrize(
    ("card", "code"), [("citizen", "not-a-health-card"), ("silent", "timeout")]
)
def test_another_card_is_told(scene: Scene, page: Page, card: str, code: str) -> None:
    scene.insert(card)
    lines(page, "yes", "yes", code)
    page.click("#sign-in")
    expect(page.locator("#answer")).to_have_text(code)


def test_garbage_is_told_when_it_is_read(scene: Scene, page: Page) -> None:
    scene.insert("garbage")
    lines(page, "yes", "yes", "yes")
    page.click("#sign-in")
    expect(page.locator("#answer")).to_have_text("not-a-health-card")
    lines(page, "yes", "yes", "not-a-health-card")


def test_signing_in_without_a_card_is_told(page: Page) -> None:
    page.click("#sign-in")
    expect(page.locator("#answer")).to_have_text("no-card")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_status_page(scene: Scene, width: int, tmp_path: Path) -> None:
    scene.insert("health")
    page = scene.page(width)
    violations: list[str] = []
    page.on("console", lambda message: violations.append(message.text))
    page.goto(scene.service.url)
    expect(page.locator("h1")).to_have_text(
        f"讀卡機程式已就緒，監聽埠：{scene.service.port}"
    )
    for name in ("program", "reader", "card"):
        expect(page.locator(f"#{name}")).to_have_class("yes")
    scene.pull()
    expect(page.locator("#card")).to_have_class("no")
    expect(page.locator("#card strong")).to_have_text("未插入健保卡或卡片方向錯誤")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert not violations
    serious = Axe().run(page).response["violations"]
    assert not serious, [violation["id"] for violation in serious]
    page.screenshot(path=tmp_path / f"status-{width}.png", full_page=True)
    page.context.close()


# attacks

FETCH = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.type, answer.status, await answer.text()];
  } catch (error) {
    return [error.name, 0, ""];
  }
}"""
ELEMENT = """([name, url]) => new Promise((tell) => {
  const made = document.createElement(name);
  made.onload = () => tell("load");
  made.onerror = () => tell("error");
  made[name === "link" ? "href" : "src"] = url;
  if (name === "link") made.rel = "stylesheet";
  document.body.append(made);
})"""


@pytest.fixture
def evil(scene: Scene) -> Iterator[Page]:
    """A page of another site in the same browser, with a card in the reader."""
    scene.pull()
    scene.insert("health")
    page = scene.page()
    page.goto(f"https://evil.test:{scene.site.port}/empty")
    yield page
    page.context.close()


def test_a_foreign_page_sees_nothing(scene: Scene, evil: Page) -> None:
    ours = {"x-jiepin-reader": "1"}
    typed = {**ours, "content-type": "application/json"}
    body = '{"challenge": "", "signature": ""}'
    for path, options in (
        ("/status", {}),
        ("/status", {"headers": ours}),
        ("/read", {"method": "POST", "headers": typed, "body": body}),
        ("/", {}),
    ):
        got = evil.evaluate(FETCH, [scene.service.url + path, options])
        assert got == ["TypeError", 0, ""], path


def test_a_simple_post_of_a_foreign_page_is_refused(scene: Scene, evil: Page) -> None:
    time.sleep(1.1)  # the log tells of one refusal a second
    before = len(scene.service.lines)
    options = {"method": "POST", "mode": "no-cors", "body": "{}"}
    got = evil.evaluate(FETCH, [scene.service.url + "/read", options])
    assert got == ["TypeError", 0, ""]  # not even an opaque answer comes through
    scene.service.wait_for("refused: foreign-origin, '/read'", before)


@pytest.mark.parametrize("name", ["img", "script", "link"])
def test_a_probe_by_an_element_fails(scene: Scene, evil: Page, name: str) -> None:
    for path in ("/", "/status.js", "/icon.svg", "/status"):
        assert evil.evaluate(ELEMENT, [name, scene.service.url + path]) == "error"


def test_a_frame_around_the_status_page_stays_empty(scene: Scene, evil: Page) -> None:
    evil.evaluate(ELEMENT, ["iframe", scene.service.url + "/"])
    assert [frame.url for frame in evil.frames[1:]] != [scene.service.url + "/"]


def test_a_stolen_challenge_is_no_use_elsewhere(scene: Scene, evil: Page) -> None:
    """A challenge of the real site, handed over by a page of another one."""
    time.sleep(1.1)  # the log tells of one refusal a second
    site, before = scene.site, len(scene.service.lines)
    stolen = make_challenge(site.keys, site.origin, "session", int(time.time()))
    options = {
        "method": "POST",
        "headers": {"x-jiepin-reader": "1", "content-type": "application/json"},
        "body": json.dumps(stolen.for_page()),
    }
    got = evil.evaluate(FETCH, [scene.service.url + "/read", options])
    assert got == ["TypeError", 0, ""]
    scene.service.wait_for("refused: foreign-origin, '/read'", before)
    told = scene.service.lines[before:]
    assert not any("reading sealed" in line for line in told)


def test_a_rebound_name_fails(scene: Scene) -> None:
    page = scene.page()
    with pytest.raises(Exception, match="ERR_CERT_COMMON_NAME_INVALID"):
        page.goto(f"https://rebound.test:{scene.service.port}/")
    page.context.close()
    # and where certificates are not looked at, the name is
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    line = socket.create_connection(("127.0.0.1", scene.service.port))
    with context.wrap_socket(line, server_hostname="rebound.test") as secure:
        secure.sendall(b"GET / HTTP/1.1\r\nHost: rebound.test\r\n\r\n")
        assert secure.recv(100).startswith(b"HTTP/1.1 421 ")


def test_the_log_holds_nothing_personal(scene: Scene, page: Page) -> None:
    scene.insert("health")
    lines(page, "yes", "yes", "yes")
    page.click("#sign-in")
    expect(page.locator("#answer")).to_have_text("歡迎 林○明")
    data = scene.service.home / ".local/share/jiepin-reader"
    scene.service.wait_for(f"reading sealed for {scene.site.origin}")
    log = (data / "log.txt").read_text("utf-8")
    for text in ("\n".join(scene.service.lines), log):
        assert "reading sealed" in text
        assert not any(part in text for part in PERSONAL)


def test_the_page_tells_when_the_program_is_missing(scene: Scene) -> None:
    page = scene.page()
    # a browser that has not been asked yet cannot know whether anything answers
    page.context.grant_permissions(["local-network-access"], origin=scene.site.origin)
    scene.site.reader, kept = "https://localhost:1", scene.site.reader
    page.goto(scene.site.origin)
    scene.site.reader = kept
    expect(page.locator("#program")).to_have_text("no-program")
    expect(page.locator("#card")).to_have_text("no")
    page.context.close()


# what newer browsers ask before a public page may reach this computer


@pytest.fixture
def asking(scene: Scene) -> Iterator[BrowserContext]:
    """A browser for which the site is out in the public network."""
    out = f"--ip-address-space-overrides=127.0.0.1:{scene.site.port}=public"
    browser = launch(scene.browser.browser_type, scene.service.home, out)
    yield browser.new_context()
    browser.close()


def launch(kind: BrowserType, home: Path, *words: str) -> Browser:
    return kind.launch(
        executable_path=CHROMIUM,
        args=[
            "--no-sandbox",
            "--disable-background-networking",
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            *words,
        ],
        env={**environment(home)},
    )


def test_the_permission_is_told_apart_from_a_missing_program(
    scene: Scene, asking: BrowserContext
) -> None:
    page = asking.new_page()
    page.set_default_timeout(SEEN)
    page.goto(scene.site.origin)
    reason = "browser-blocked" if blocked(page) else "browser-asks"
    expect(page.locator("#program")).to_have_text(reason)
    asking.grant_permissions(["local-network-access"], origin=scene.site.origin)
    expect(page.locator("#program")).to_have_text("yes")


def blocked(page: Page) -> bool:
    """Whether this browser answers the question with no by itself, as headless ones."""
    state: str = page.evaluate(
        "navigator.permissions.query({name: 'local-network-access'})"
        ".then((p) => p.state)"
    )
    return state == "denied"


def test_nothing_is_left_after_removal(tmp_path: Path) -> None:
    home = tmp_path / "王 小明"
    home.mkdir()
    card = CARDS / "health.toml"
    with service(home, "--replay", card):
        pass
    assert any(home.rglob("*"))
    done = run(home, "trust", "--remove")
    assert (done.returncode, done.stderr) == (0, "")
    left = [path for path in home.rglob("*") if not path.is_dir()]
    assert not left
