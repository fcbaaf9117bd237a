"""設定介聘結果LINE通知服務 on the running site: N01–N04, T602."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import practice_round
import pytest
from line_server import CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, LineServer, line_server
from practice_round import CHEN, ORIGIN, Client, running

from jiepin.web.settings import Line, Settings
from jiepin.web.site import Site
from jiepin.web.store import audit, notices
from jiepin.web.store.notices import LINE_KINDS, MAIL_KINDS

PAGE, CALLBACK = "/teacher/notify", "/teacher/line"
EVERY_BOX = [*(f"mail-{k}" for k in MAIL_KINDS), *(f"line-{k}" for k in LINE_KINDS)]


@pytest.fixture
def server() -> Iterator[LineServer]:
    with line_server() as server:
        server.callback = ORIGIN + CALLBACK
        yield server


@pytest.fixture
def linked_site(
    tmp_path: Path, server: LineServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A site that offers LINE, with somebody whose address is confirmed."""
    line = Line(CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, server.address, server.address)
    plain = practice_round.settings

    def with_line(folder: Path) -> Settings:
        return replace(plain(folder), line=line)

    monkeypatch.setattr(practice_round, "settings", with_line)
    with running(tmp_path / "site") as client:
        client.fill_in(4)
        yield client


def line_address(client: Client) -> str:
    found = re.search(r'href="(http://[^"]+/authorize\?[^"]+)"', client.get(PAGE).text)
    assert found
    return html.unescape(found[1])


def come_back(client: Client) -> str:
    """Agree at LINE and return the path that it leads back to."""
    answer = httpx2.get(line_address(client))
    back = urlsplit(answer.headers["location"])
    assert f"{back.scheme}://{back.netloc}" == ORIGIN
    return f"{back.path}?{back.query}"


def agree(client: Client, path: str) -> httpx2.Response:
    given = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
    return client.post(CALLBACK, **given)


def line_user(client: Client) -> str | None:
    async def read(site: Site) -> str | None:
        async with site.database.reading() as db:
            application = client_application
            return await notices.line_user(db, site.vault, application)

    client_application = client.application().id
    return client.call(read)


def test_n01_from_the_button_to_the_link(
    linked_site: Client, server: LineServer
) -> None:
    assert "開始登入Line設定介聘結果通知服務" in linked_site.get(PAGE).text
    path = come_back(linked_site)
    page = linked_site.get(path)
    assert "同意並連動" in page.text
    assert line_user(linked_site) is None  # looking at it links nothing
    assert "已完成LINE連動" in agree(linked_site, path).text
    assert line_user(linked_site) == server.user
    assert "解除LINE連動" in linked_site.get(PAGE).text


def test_n03_the_six_sentences(linked_site: Client) -> None:
    text = linked_site.get(PAGE).text
    for words in (
        "會另開新視窗",
        "1對1聊天",
        "當使用者重設密碼、審核通過/駁回、產生介聘結果時，皆會傳送通知",
        "單向發送訊息的權限",
        "若未收到LINE通知請上介聘網站查詢",
        "最終正式公告結果以學校公文為主",
    ):
        assert words in text


def test_n04_unlink(linked_site: Client) -> None:
    agree(linked_site, come_back(linked_site))
    assert linked_site.post(f"{PAGE}/unlink").headers["location"] == f"{PAGE}?saved=1"
    assert line_user(linked_site) is None
    assert actions(linked_site)[-2:] == ["line-linked", "line-unlinked"]


def actions(client: Client) -> list[str]:
    application = client.application()

    async def read(site: Site) -> list[str]:
        async with site.database.reading() as db:
            found = await audit.of_object(db, application.id)
        return [entry.action for entry in found]

    return client.call(read)


def test_line_user_is_sealed_at_rest(linked_site: Client, server: LineServer) -> None:
    agree(linked_site, come_back(linked_site))
    folder = linked_site.site.settings.data
    for file in folder.iterdir():
        assert server.user.encode() not in file.read_bytes()


def test_looking_at_the_pages_writes_nothing(linked_site: Client) -> None:
    path = come_back(linked_site)
    before = linked_site.digest()
    for one in (PAGE, path, CALLBACK):
        linked_site.get(one)
    assert linked_site.digest() == before


def test_somebody_elses_linking_is_refused(linked_site: Client) -> None:
    """A link that was sent to somebody does not bind his account to my LINE."""
    mine = linked_site.another()
    mine.fill_in(4, CHEN)
    path = come_back(mine)
    assert linked_site.get(path).status_code == 400
    assert agree(linked_site, path).status_code == 400
    assert line_user(linked_site) is None


def test_linking_takes_ten_minutes_at_most(linked_site: Client) -> None:
    path = come_back(linked_site)
    linked_site.clock.move(minutes=10)
    assert agree(linked_site, path).status_code == 400
    assert line_user(linked_site) is None


@pytest.mark.parametrize(
    "query", ["", "?error=access_denied&state=x", "?code=x", "?code=x&state=y"]
)
def test_cancelled_at_line(linked_site: Client, query: str) -> None:
    answer = linked_site.get(CALLBACK + query)
    assert answer.status_code == 400
    assert "LINE連動沒有完成" in answer.text


def test_code_that_line_does_not_know(linked_site: Client) -> None:
    path = come_back(linked_site)
    agree(linked_site, path)
    linked_site.post(f"{PAGE}/unlink")
    assert agree(linked_site, path).status_code == 502
    assert line_user(linked_site) is None


def test_sign_in_needed(client: Client) -> None:
    for path in (PAGE, CALLBACK):
        assert client.get(path).headers["location"] == "/teacher/"


def test_notices_wait_for_a_confirmed_address(client: Client) -> None:
    client.fill_in(3)
    before = client.digest()
    for path in (PAGE, CALLBACK):
        assert client.get(path).headers["location"] == "/teacher/person"
    for path in (PAGE, CALLBACK, f"{PAGE}/unlink"):
        assert client.post(path).headers["location"] == "/teacher/person"
    assert client.digest() == before


def test_only_a_post_links(linked_site: Client) -> None:
    path = come_back(linked_site)
    assert linked_site.http.head(path).status_code == 200
    assert line_user(linked_site) is None
    assert linked_site.post(path).status_code == 400  # in the address alone
    assert line_user(linked_site) is None


def test_choices_are_kept(linked_site: Client) -> None:
    page = linked_site.get(PAGE).text
    assert page.count(" checked>") == len(EVERY_BOX)
    kept = [box for box in EVERY_BOX if box not in ("mail-result", "line-reset")]
    answer = linked_site.http.post(PAGE, data={"wanted": kept})
    page = linked_site.get(answer.headers["location"]).text
    assert "設定已儲存" in page
    for box in EVERY_BOX:
        ticked = f'value="{box}" checked>' in page
        assert ticked == (box in kept)
    assert actions(linked_site)[-1] == "notices-chosen"


def test_choices_of_line_stay_where_line_is_not_offered(client: Client) -> None:
    client.fill_in(4)
    page = client.get(PAGE).text
    assert "目前未提供LINE通知" in page
    boxes = re.findall(r'name="wanted" value="([^"]+)"', page)
    assert sorted(boxes) == sorted(EVERY_BOX)
    client.http.post(PAGE, data={"wanted": boxes})
    application = client.application().id

    async def off(site: Site) -> frozenset[tuple[str, str]]:
        async with site.database.reading() as db:
            return await notices.unwanted(db, application)

    assert client.call(off) == frozenset()


def test_delivery_log_is_shown(linked_site: Client) -> None:
    page = linked_site.get(PAGE).text
    assert re.search(r"<td>電子郵件驗證碼</td><td>電子郵件</td>", page)


def test_english(linked_site: Client) -> None:
    linked_site.http.cookies.set("__Host-lang", "en")
    page = linked_site.get(PAGE).text
    assert "Sign in at LINE to receive notices" in page
    assert "ui_locales=en-US" in html.unescape(page)
