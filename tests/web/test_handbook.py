"""What the handbook shows beside the steps themselves, each by its number."""

from __future__ import annotations

import pytest
from practice_round import (
    LIN,
    PASSWORD,
    Client,
    Page,
    appointment_form,
    person_form,
)


@pytest.mark.parametrize("path", ["/teacher/person", "/teacher/appointment"])
def test_g08_nothing_takes_effect_before_it_is_saved(client: Client, path: str) -> None:
    client.fill_in(5)
    before = client.application()
    client.get(path)
    page = client.get(path).text
    assert "儲存，並下一步" in page
    assert client.application() == before


def test_g11_every_page_has_the_dialog(client: Client) -> None:
    pages = [client.get("/teacher/").text]
    client.fill_in(5)
    pages += [client.get(f"/teacher/{name}").text for name in ("person", "appointment")]
    for page in pages:
        assert '<dialog id="message"' in page
        for text in ("系統訊息", "取消", "確定"):
            assert text in page


def test_g15_after_the_last_step_the_status_shows_the_data(client: Client) -> None:
    client.file("133601", "143601")
    text = Page(client.get("/teacher/status").text).text
    for shown in ("林小明", "青山國小", "豐里國小", "新興國小", "lin@example.org"):
        assert shown in text


def test_t602_the_status_leads_to_line(client: Client) -> None:
    client.file("133601", "143601")
    page = client.get("/teacher/status").text
    assert "設定介聘結果LINE通知服務" in page
    assert 'href="/teacher/notify"' in page
    assert client.get("/teacher/notify").status_code == 200


def test_t606_the_sheet_is_printed_from_the_status(client: Client) -> None:
    client.file("133601", "143601")
    page = client.get("/teacher/status").text
    assert "列印個人資料表" in page
    assert 'href="/teacher/sheet"' in page or 'href="/teacher/sheet.pdf"' in page
    assert client.get("/teacher/sheet.pdf").content.startswith(b"%PDF-")


def test_l03_the_level_comes_before_the_mail(client: Client) -> None:
    card = client.answer(LIN)
    answer = client.post("/teacher/forgot", level="", confirmed="yes", **card)
    assert answer.status_code == 422
    assert client.mailed("reset") == []
    assert "請選擇階段別" in Page(answer.text).text


def test_l23_line_is_told_of_a_reset(client: Client) -> None:
    """N02: with LINE linked, a reset that is asked for is told there as well."""
    client.fill_in(5)
    application = client.application()

    async def link(site) -> None:
        from jiepin.web.store import notices

        async with site.database.writing() as db:
            await notices.link_line(
                db, site.vault, application.id, "U" + "0" * 32, site.clock.now()
            )

    client.call(link)
    client.post("/teacher/sign-out")
    card = client.answer(LIN)
    client.post("/teacher/forgot", level="elementary", confirmed="yes", **card)

    async def told(site) -> list[str]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall(
                "select channel from outbox where event = 'reset' order by channel"
            )
        return [channel for (channel,) in rows]

    assert client.call(told) == ["line", "mail"]


def test_r07_nothing_asks_for_java_or_the_firewall(client: Client) -> None:
    text = Page(client.get("/teacher/help").text).text
    assert "不需要 Java" in text
    assert "不會出現防火牆警訊" in text


@pytest.mark.parametrize(
    ("path", "back"),
    [
        ("/teacher/person", "/teacher/password"),
        ("/teacher/appointment", "/teacher/person"),
    ],
)
def test_t305_t410_back_and_on(client: Client, path: str, back: str) -> None:
    client.fill_in(5)
    page = client.get(path).text
    assert f'href="{back}">上一步' in page
    assert "儲存，並下一步" in page


def test_t305_t410_saving_leads_on(client: Client) -> None:
    client.fill_in(3)
    client.save("/teacher/password", password=PASSWORD, again=PASSWORD, hint="")
    client.save("/teacher/person", **person_form())
    done = client.save("/teacher/person/code", code=client.code())
    assert done.headers["location"] == "/teacher/appointment"
    done = client.save("/teacher/appointment", **appointment_form())
    assert done.headers["location"].startswith("/teacher/wishes")
