"""The personal sheet on paper: P01–P06, and 列印個人資料表 of T606."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
import typst
from hypothesis import example, given, settings
from hypothesis import strategies as st
from invented_sheets import SHEET, wishes

from jiepin.web.documents import sheet
from jiepin.web.documents.sheet import Wish, paper, pdf

pytestmark = pytest.mark.skipif(
    shutil.which("pdftotext") is None
    or not set(sheet.FONTS) & set(typst.Fonts().families()),
    reason="needs poppler-utils and fonts for Chinese",
)


def text_of(document: bytes) -> str:
    """Return the text of a PDF in the order it was set."""
    return run("pdftotext", "-raw", document)


def run(program: str, *words: str | bytes) -> str:
    *options, document = words
    assert isinstance(document, bytes)
    target = ["-"] if program == "pdftotext" else []
    done = subprocess.run(
        [program, *options, "-", *target], input=document, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode("utf-8")


def squeezed(text: str) -> str:
    """Return a text without the white space that setting it brings in."""
    return re.sub(r"\s", "", text)


def test_p01_title_page_and_time() -> None:
    text = text_of(pdf(SHEET))
    assert "115年公立國民中小學暨幼兒園介聘他縣市服務" in text
    assert "國小教師個人資料表" in text
    assert "第 1 / 1 頁" in text
    assert "印表時間：民國115年4月20日 12:05:06" in text


@pytest.mark.parametrize(
    ("level", "word"),
    [("junior-high", "國中"), ("elementary", "國小"), ("kindergarten", "幼兒園")],
)
def test_p01_title_of_each_level(level: str, word: str) -> None:
    assert paper(replace(SHEET, level=level)).title[1] == f"{word}教師個人資料表"


def test_p02_person() -> None:
    text = text_of(pdf(replace(SHEET, priority=True)))
    for line in (
        "姓名 林小明 身分證統一編號 A123456789",
        "性別 男 服務學校 高雄市 新興區新興國小",
        "生日 民國74年3月9日 任教地區限制 一般地區(無限制)",
        "服務年資 公立學校暨幼兒園服務年資滿 5 年 電腦編號 (待審)",
        "應聘科類別 1.普通 2.無 3.無",
        "聯絡電話 電話一：07-1234567#89，電話二：無",
        "電子郵件 lin@example.org",
    ):
        assert line in text
    assert squeezed(sheet.PRIORITY) in squeezed(text)
    assert "姓別" not in text


def test_p02_no_priority_no_sentence() -> None:
    assert "原住民族身分" not in text_of(pdf(SHEET))


def test_p03_heads_of_the_list() -> None:
    text = text_of(pdf(replace(SHEET, wishes=wishes(12))))
    assert "志願總數：12" in text
    assert "志願縣市 (甲)：新北市 (代碼：01)" in text
    assert "志願縣市 (乙)：雲林縣 (代碼：09)" in text


@pytest.mark.parametrize("n", [0, 1, 4, 5, 20, 150, 600])
def test_p04_every_wish_in_order(n: int) -> None:
    document = pdf(replace(SHEET, wishes=wishes(n)))
    text = squeezed(text_of(document))
    last = -1
    for number, wish in enumerate(wishes(n), 1):
        found = text.find(
            f"{number:03d}.{wish.short_name}{wish.marks}({wish.county})", last + 1
        )
        assert found > last, number
        last = found
    assert text.count("(以下空白)") == 1
    assert text.find("(以下空白)") > last


def test_p04_many_wishes_take_more_pages() -> None:
    text = text_of(pdf(replace(SHEET, wishes=wishes(600))))
    pages = re.findall(r"第 (\d+) / (\d+) 頁", text)
    count = len(pages)
    assert count > 1
    assert pages == [(str(n), str(count)) for n in range(1, count + 1)]
    assert text.count("國小教師個人資料表") == count
    assert text.count("林小明 第 3 版") == count


def test_p04_a_thousand_wishes_keep_their_numbers() -> None:
    many = paper(replace(SHEET, wishes=(Wish("福山", "", "01"),) * 1000))
    assert many.cells[998:] == ("999.福山(01)", "1000.福山(01)", "(以下空白)")


def test_p05_version_and_digest() -> None:
    text = text_of(pdf(SHEET))
    assert "第 3 版 儲存時間：民國115年4月20日 09:02:03" in text
    assert "校驗碼 0123 4567 89AB CDEF" in text


def test_p05_qr_code_reads_back() -> None:
    """Draw the code as the layouts do and read it with another program's decoder."""
    zxing = pytest.importorskip("zxingcpp")
    numpy = pytest.importorskip("numpy")
    document = pdf(replace(SHEET, wishes=wishes(20)))
    done = subprocess.run(
        ["pdftoppm", "-r", "150", "-gray", "-"], input=document, capture_output=True
    )
    magic, width, height, _most, pixels = re.split(rb"\s", done.stdout, maxsplit=4)
    assert magic == b"P5"
    image = numpy.frombuffer(pixels, numpy.uint8).reshape(int(height), int(width))
    [code] = zxing.read_barcodes(image)
    assert code.text == f"JIEPIN/115/ELEMENTARY/3/{SHEET.digest.upper()}"


def test_p05_qr_code_says_nothing_about_the_person() -> None:
    assert sheet.stamp(SHEET) == sheet.stamp(
        replace(SHEET, name="王大同", national_id="B223456789", email="w@example.org")
    )


@pytest.mark.parametrize("name", ["林堃", "王喆", "李峯", "張𠮷", "陳𡍼", "孫\u6dfc龘"])
def test_p06_rare_characters(name: str) -> None:
    document = pdf(replace(SHEET, name=name))
    assert f"姓名 {name} 身分證統一編號" in text_of(document)
    assert "〓" not in text_of(document)


def test_p06_character_without_type_is_named() -> None:
    text = text_of(pdf(replace(SHEET, name="王\u0378明")))
    assert "姓名 王〓明" in text
    assert "〓 為系統字型未收之字：U+0378" in text


def test_fonts_are_embedded_and_text_can_be_copied() -> None:
    table = run("pdffonts", pdf(replace(SHEET, name="陳𡍼", wishes=wishes(3))))
    fonts = [line for line in table.splitlines()[2:] if line]
    assert fonts
    for line in fonts:
        kind, *flags = re.search(
            r"(CID [\w ]+?) +Identity-H +(\w+) +(\w+) +(\w+)", line
        ).groups()
        assert kind in ("CID Type 0C", "CID TrueType")
        assert flags == ["yes", "yes", "yes"], line


def test_same_sheet_same_bytes() -> None:
    one = replace(SHEET, wishes=wishes(20))
    assert pdf(one) == pdf(replace(one))


def test_another_moment_other_bytes() -> None:
    later = replace(SHEET, printed_at=SHEET.printed_at + timedelta(seconds=1))
    assert pdf(later) != pdf(SHEET)


def test_points_after_the_review() -> None:
    points = (("新北市(甲)原因積分", "5.0"), ("研習積分", "2.25"))
    text = text_of(pdf(replace(SHEET, points=points, serial="00042")))
    assert "新北市(甲)原因積分 5.0 研習積分 2.25" in text
    assert "電腦編號 00042" in text


def test_practice_and_unfinished_sheets_say_so() -> None:
    text = text_of(pdf(replace(SHEET, practice=True, filed=False)))
    assert squeezed(sheet.PRACTICE) in squeezed(text)
    assert squeezed(sheet.UNFINISHED) in squeezed(text)


def test_no_font_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "FONTS", ("No Such Font",))
    sheet._fonts.cache_clear()
    with pytest.raises(sheet.NoChineseFont, match="fonts-noto-cjk fonts-cns11643-sung"):
        pdf(SHEET)
    monkeypatch.undo()
    sheet._fonts.cache_clear()


UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
MARKUP = st.text(
    st.sampled_from("*_`$#[](){}<>@=-+/\\~'\"&%;:.,!?|^林a1 "), max_size=30
)


@given(MARKUP)
@example("#panic()")
@example("*林* _小_ `明` $x^2$ @ref <label> // no /* no */ = no")
@example("#{sys.inputs.texts}")
@example("\\u{41} \\# -- --- ... ~ 'a' \"b\"")
@settings(max_examples=60, deadline=None)
def test_markup_stays_text(words: str) -> None:
    """What looks like Typst markup comes out letter for letter, in every field."""
    odd = replace(
        SHEET,
        name=words,
        email=words,
        home_school=words,
        area=words,
        subjects=(words,),
        wishes=(Wish(words, "", "01"),),
    )
    found = squeezed(text_of(pdf(odd)))
    expected = squeezed(words)
    assert f"姓名{expected}身分證統一編號" in found
    assert f"服務學校{expected}生日" in found
    assert f"電子郵件{expected}志願總數" in found
    assert f"001.{expected}(01)" in found


@given(st.text(max_size=12))
@example("王\u1c34")  # type alone, none together
@settings(max_examples=30, deadline=None)
def test_any_text_is_set(words: str) -> None:
    """No text of any script stops the sheet, and none can begin a line of its own."""
    odd = replace(SHEET, name=words, email=words)
    assert pdf(odd).startswith(b"%PDF")
    [(_label, name), _national_id] = paper(odd).rows[0]
    assert len(name) == len(words)
    assert not UNSEEN.search(name)
