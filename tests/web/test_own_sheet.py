"""列印個人資料表 on the running site: the paper is the saved application (P05)."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import pytest
from practice_round import CHEN, LIN, ORIGIN, SCHOOLS, Client

from jiepin.web.documents import sheet
from jiepin.web.notify import texts
from jiepin.web.site import Site
from jiepin.web.teacher.own_sheet import read_sheet

WISHES = ("143602", "133601", "133603")


def pdf_text(data: bytes) -> str:
    command = ["pdftotext", "-raw", "-", "-"]
    return subprocess.run(command, input=data, capture_output=True).stdout.decode()


@pytest.fixture
def filed(client: Client) -> Client:
    client.file(*WISHES)
    return client


def test_pdf_holds_what_was_saved(filed: Client) -> None:
    answer = filed.get("/teacher/sheet.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "no-store"
    assert "林" not in answer.headers["content-disposition"]
    text = pdf_text(answer.content)
    application = filed.application()
    for line in (
        f"姓名 林小明 身分證統一編號 {LIN.national_id}",
        "生日 民國74年3月9日",
        "志願總數：3",
        "志願縣市 (甲)：屏東縣 (代碼：13)",
        "001.卑南(14) 002.青山▲◎(13) 003.仁愛△(13) (以下空白)",
        f"校驗碼 {sheet.short_digest(application.digest)}",
        f"第 {application.version} 版",
    ):
        assert line in text


def test_page_to_print_says_the_same_as_the_pdf(filed: Client) -> None:
    page = filed.get("/teacher/sheet").text
    application = filed.application()
    paper = sheet.paper(filed.call(lambda site: read_sheet(site, application, {})))
    for text in (*paper.title, *paper.cells, *paper.wish_heads, paper.version):
        assert text in page
    for row in paper.rows:
        for label, text in row:
            assert re.search(rf">{label}</th>\s*<td[^>]*>{re.escape(text)}</td>", page)
    assert paper.qr.path in page


def test_mail_store_and_paper_hold_the_same_list(filed: Client) -> None:
    """Acceptance bar 10: whichever of the three somebody shows, it is the same list."""
    [facts] = filed.mailed("filed")
    body = texts.letter("filed", facts, texts.Sender(ORIGIN, "")).body
    paper = pdf_text(filed.get("/teacher/sheet.pdf").content)
    by_name = {school.name: school.code for school in SCHOOLS}
    by_short_name = {school.short_name: school.code for school in SCHOOLS}
    mailed = re.findall(r"^\d{3}\. (\w+)", body, re.MULTILINE)
    printed = re.findall(r"\d{3}\.(\w+?)[△▲◆★◎]*\(\d\d\)", paper)
    application = filed.application()
    stored = list(application.wishes)
    assert [by_name[name] for name in mailed] == stored == list(WISHES)
    assert [by_short_name[name] for name in printed] == stored
    assert facts["digest"] == application.digest
    assert application.digest in body


def test_sheet_is_chinese_in_english_too_only_the_tools_are_not(filed: Client) -> None:
    filed.http.cookies.set("__Host-lang", "en")
    page = filed.get("/teacher/sheet").text
    assert "國小教師個人資料表" in page
    assert "Download as PDF" in page
    assert '<html lang="zh-Hant-TW">' in page
    assert "志願縣市 (甲)：屏東縣" in pdf_text(filed.get("/teacher/sheet.pdf").content)


def test_points_appear_once_there_are_any(filed: Client) -> None:
    async def assess(site: Site) -> None:
        async with site.database.writing() as db:
            await db.executemany(
                "insert into points (application, item, value) "
                "select id, ?, ? from application",
                [("reason1", 500), ("reason2", 0), ("studies", 225)],
            )

    assert "原因積分" not in filed.get("/teacher/sheet").text
    filed.call(assess)
    text = pdf_text(filed.get("/teacher/sheet.pdf").content)
    assert "屏東縣(甲)原因積分 5.0" in text
    assert "屏東縣(甲)積分總計 7.25" in text


def test_new_version_new_paper(filed: Client) -> None:
    """P05: after another save the paper at hand no longer fits."""
    old = pdf_text(filed.get("/teacher/sheet.pdf").content)
    filed.save(
        "/teacher/person",
        name="林小明",
        phone1="07-7654321",
        phone2="",
        email="lin@example.org",
    )
    new = pdf_text(filed.get("/teacher/sheet.pdf").content)
    codes = [re.search(r"校驗碼 ([0-9A-F ]{19})", text)[1] for text in (old, new)]
    assert codes[0] != codes[1]


@pytest.mark.parametrize("path", ["/teacher/sheet", "/teacher/sheet.pdf"])
def test_no_sheet_before_the_last_step(client: Client, path: str) -> None:
    assert client.get(path).headers["location"] == "/teacher/"
    client.fill_in(5)
    assert client.get(path).headers["location"] == "/teacher/wishes"


def test_nobody_else_gets_it(filed: Client) -> None:
    other = filed.another()
    other.sign_in(CHEN)
    assert other.get("/teacher/sheet.pdf").headers["location"] == "/teacher/notices"


def test_looking_at_the_sheet_changes_nothing(filed: Client) -> None:
    before = filed.digest()
    for path in ("/teacher/sheet", "/teacher/sheet.pdf"):
        assert filed.get(path).status_code == 200
    assert filed.digest() == before


def test_without_fonts_the_page_is_offered(
    filed: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sheet, "FONTS", ("No Such Font",))
    sheet._fonts.cache_clear()
    answer = filed.get("/teacher/sheet.pdf")
    monkeypatch.undo()
    sheet._fonts.cache_clear()
    assert answer.headers["location"] == "/teacher/sheet"
    assert "fonts-noto-cjk" in caplog.text


def test_practice_sheets_are_marked(filed: Client) -> None:
    site, application = filed.site, filed.application()
    marked = replace(site, settings=replace(site.settings, practice=True))
    found = filed.call(lambda _site: read_sheet(marked, application, {}))
    assert sheet.PRACTICE in sheet.paper(found).remarks
