"""The personal sheet (個人資料表): one value, set as PDF or shown as a page to print.

`Sheet` is plain data; `paper` turns it into the texts that stand on the paper; the
Typst layout (`sheet.typ`) and the print page (`templates/sheet.html`) only place them,
so that both always say the same. The sheet is an official paper and stays Chinese.
"""

from __future__ import annotations

import functools
import itertools
import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import segno
import typst

from jiepin.web.clock import date_text, moment_text
from jiepin.web.language import CHINESE

LAYOUT: Final = Path(__file__).with_name("sheet.typ").read_bytes()

# In order of choice: the second to fourth hold the rare characters of names.
FONTS: Final = ("Noto Sans CJK TC", "TW-Sung", "TW-Sung-Ext-B", "TW-Sung-Plus")
# For the archive (PDF/A) and for those who do not see (PDF/UA). Both refuse a
# character that no font has, where plain PDF would print an empty box in silence.
STANDARDS: Final = ("a-2a", "ua-1")
MISSING: Final = "〓"  # what printers set for a character they have no type for
ONE_CHARACTER: Final = b"""
#set document(title: "-")
#set text(font: json(bytes(sys.inputs.fonts)), fallback: false)
#sys.inputs.char
"""
UNSEEN: Final = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # signs that only change the line

LEVELS: Final = {"junior-high": "國中", "elementary": "國小", "kindergarten": "幼兒園"}
SEXES: Final = {"M": "男", "F": "女"}
RANKS: Final = "甲乙丙丁"
SUBJECTS_SHOWN: Final = 3

PAGE: Final = "第 {n} / {m} 頁"
PRIORITY: Final = (
    "具原住民族身分並同意依國民中小學校長主任教師甄選儲訓及介聘辦法第11條規定，"
    "申請優先辦理具原住民族身分之教師單調介聘作業"
)
END: Final = "(以下空白)"
NONE: Final = "無"
PRACTICE: Final = "練習站　本表僅供練習，不得作為申請文件"
UNFINISHED: Final = "尚未完成申請　本表不得送審"
ADVICE: Final = "審核時請與系統所示版本及校驗碼核對；申請資料再次儲存後，本表即失效。"
INDIGENOUS_MARK: Final = "◎"  # a coloured mark on the screen, one in black here
LEGEND: Final = f"註記說明：△偏遠　▲特偏　◆極偏　★中途或矯正　{INDIGENOUS_MARK}原民校"


Pair = tuple[str, str]  # a label and what stands beside it


class NoChineseFont(Exception):
    """None of the fonts of the sheet is installed on this machine."""

    def __init__(self) -> None:
        super().__init__(
            f"no font for Chinese found (looked for {', '.join(FONTS)}); on Debian: "
            "sudo apt-get install fonts-noto-cjk fonts-cns11643-sung"
        )


@dataclass(frozen=True, slots=True)
class County:
    """A wish county as printed: its code and its name."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """One wished school: short name, marks as `△` or `◆◎`, code of its county."""

    short_name: str
    marks: str
    county: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is known about one application when its sheet is printed.

    `year` is the ROC year; `level` one of junior-high, elementary, kindergarten; `sex`
    M or F; `subjects` starts with the home subject, `counties` with 甲; `wishes` are in
    order of choice. `points` are the lines of the assessment, empty before it, as
    `serial` (電腦編號) is. `version` and `digest` (hexadecimal) name the saved
    application that was printed. Both times are aware.
    """

    year: int
    level: str
    name: str
    national_id: str
    sex: str
    birth_date: date
    phones: tuple[str, str]
    email: str
    home_school: str
    area: str
    service_years: int
    subjects: tuple[str, ...]
    priority: bool
    counties: tuple[County, ...]
    wishes: tuple[Wish, ...]
    points: tuple[Pair, ...]
    serial: str
    filed: bool
    practice: bool
    version: int
    digest: str
    saved_at: datetime
    printed_at: datetime


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code: dark runs as one SVG path on a square of `size` modules.

    The path is to be stroked one module wide; the quiet zone is included.
    """

    size: int
    path: str

    def svg(self) -> str:
        """Return the code as a drawing of its own."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.size} '
            f'{self.size}"><path stroke="#000" d="{self.path}"/></svg>'
        )


@dataclass(frozen=True, slots=True)
class Paper:
    """Every text on the sheet, in the order of the paper.

    `rows` are rows of one or two labels with their texts; `cells` end with (以下空白);
    `notes` speak of what could not be printed.
    """

    title: Pair
    printed: str
    remarks: tuple[str, ...]
    priority: str
    rows: tuple[tuple[Pair, ...], ...]
    points: tuple[Pair, ...]
    wish_heads: tuple[str, ...]
    cells: tuple[str, ...]
    legend: str
    notes: tuple[str, ...]
    version: str
    digest: str
    advice: str
    qr: QrCode
    qr_says: str


def pdf(sheet: Sheet) -> bytes:
    """Set the sheet as PDF/A; the same sheet gives the same bytes.

    A character that no font has is printed as 〓 and named below the list. Raises
    NoChineseFont. Takes tens of milliseconds and frees the interpreter meanwhile, so
    call it in a thread.
    """
    texts = paper(sheet)
    return typeset(LAYOUT, asdict(texts), {"qr": texts.qr.svg()}, sheet.printed_at)


def paper(sheet: Sheet) -> Paper:
    """Return the texts of a sheet."""
    return Paper(
        title=_title(sheet),
        printed=f"印表時間：{_moment(sheet.printed_at)}",
        remarks=tuple(_remarks(sheet)),
        priority=PRIORITY if sheet.priority else "",
        rows=_rows(sheet),
        points=tuple((plain(label), plain(text)) for label, text in sheet.points),
        wish_heads=(f"志願總數：{len(sheet.wishes)}", *_county_heads(sheet)),
        cells=(*(_cell(n, wish) for n, wish in enumerate(sheet.wishes, 1)), END),
        legend=LEGEND,
        notes=(),
        version=_version(sheet),
        digest=f"校驗碼 {short_digest(sheet.digest)}",
        advice=ADVICE,
        qr=qr_code(stamp(sheet)),
        qr_says=f"二維條碼：第 {sheet.version} 版及校驗碼",
    )


def stamp(sheet: Sheet) -> str:
    """Return what the QR code says: which version this is, nothing about the person.

    Capitals, digits and `/-` alone, which QR codes store most densely.
    """
    words = ("JIEPIN", sheet.year, sheet.level, sheet.version, sheet.digest)
    return "/".join(str(word) for word in words).upper()


def qr_code(text: str) -> QrCode:
    """Return the QR code of a text; it survives the loss of a seventh of its area.

    >>> qr_code("JIEPIN").size
    25
    """
    code = segno.make_qr(text, error="m", boost_error=False)
    rows = [bytes(row) for row in code.matrix_iter(border=2)]
    runs = (run for y, row in enumerate(rows) for run in _dark_runs(row, y))
    return QrCode(len(rows), "".join(runs))


def _dark_runs(row: bytes, y: int) -> Iterator[str]:
    x = 0
    for dark, modules in itertools.groupby(row):
        length = len(list(modules))
        if dark:
            yield f"M{x} {y}.5h{length}"
        x += length


def short_digest(digest: str) -> str:
    """Return the part of a digest that people compare by eye.

    >>> short_digest("0123456789abcdef" * 4)
    '0123 4567 89AB CDEF'
    """
    start = digest[:16].upper()
    return " ".join(start[i : i + 4] for i in range(0, len(start), 4))


# The texts


def _title(sheet: Sheet) -> Pair:
    service = f"{sheet.year}年公立國民中小學暨幼兒園介聘他縣市服務"
    return service, f"{LEVELS[sheet.level]}教師個人資料表"


def _remarks(sheet: Sheet) -> Iterator[str]:
    if sheet.practice:
        yield PRACTICE
    if not sheet.filed:
        yield UNFINISHED


def _rows(sheet: Sheet) -> tuple[tuple[Pair, ...], ...]:
    first, second = sheet.phones
    years = f"公立學校暨幼兒園服務年資滿 {sheet.service_years} 年"
    rows = (
        (("姓名", sheet.name), ("身分證統一編號", sheet.national_id)),
        (("性別", SEXES[sheet.sex]), ("服務學校", sheet.home_school)),
        (("生日", _day(sheet.birth_date)), ("任教地區限制", sheet.area)),
        (("服務年資", years), ("電腦編號", sheet.serial or "(待審)")),
        (("應聘科類別", _subjects(sheet.subjects)),),
        (("聯絡電話", f"電話一：{first}，電話二：{second or NONE}"),),
        (("電子郵件", sheet.email),),
    )
    return tuple(tuple((label, plain(text)) for label, text in row) for row in rows)


def _subjects(names: Sequence[str]) -> str:
    filled = [*names, *[NONE] * (SUBJECTS_SHOWN - len(names))]
    return "　".join(f"{n}.{name}" for n, name in enumerate(filled, 1))


def _county_heads(sheet: Sheet) -> Iterator[str]:
    for rank, county in zip(RANKS, sheet.counties, strict=False):
        yield plain(f"志願縣市 ({rank})：{county.name} (代碼：{county.code})")


def _cell(number: int, wish: Wish) -> str:
    return plain(f"{number:03d}.{wish.short_name}{wish.marks}({wish.county})")


def _version(sheet: Sheet) -> str:
    saved = f"第 {sheet.version} 版　儲存時間：{_moment(sheet.saved_at)}"
    return f"{plain(sheet.name)}　{saved}"


def _missing_note(missing: Sequence[str]) -> str:
    codes = "、".join(f"U+{ord(char):04X}" for char in missing)
    return f"{MISSING} 為系統字型未收之字：{codes}"


def _day(day: date) -> str:
    return f"民國{date_text(day, CHINESE)}"


def _moment(moment: datetime) -> str:
    return f"民國{moment_text(moment, CHINESE, seconds=True)}"


def plain(text: str) -> str:
    """Put a space for each unseen sign.

    A line break or a mark of direction would let a name pretend to be something else
    on paper.

    >>> plain("王小明" + chr(0x202E) + "x" + chr(10))
    '王小明 x '
    """
    return "".join(" " if unicodedata.category(c) in UNSEEN else c for c in text)


# Setting them


@functools.cache
def _fonts() -> typst.Fonts:
    fonts = typst.Fonts(include_embedded_fonts=False)
    if not set(FONTS) & set(fonts.families()):
        raise NoChineseFont
    return fonts


def typeset(
    layout: bytes, texts: dict[str, Any], drawings: dict[str, str], at: datetime
) -> bytes:
    """Set the texts of a paper by a Typst layout as PDF/A.

    The layout finds them as JSON in `sys.inputs.texts`, drawings (SVG) by their names,
    `page` and `fonts` besides. A character that no font has is printed as 〓 and named
    in the `notes` of the texts. Raises NoChineseFont.
    """
    try:
        return _set(layout, texts, drawings, at)
    except typst.TypstError:
        missing = _without_type(texts)
        if not missing:
            raise
    told = texts | {"notes": [*texts["notes"], _missing_note(missing)]}
    return _set(layout, told, drawings, at, missing)


def _set(
    layout: bytes,
    texts: dict[str, Any],
    drawings: dict[str, str],
    at: datetime,
    missing: Sequence[str] = (),
) -> bytes:
    written = json.dumps(texts, ensure_ascii=False)
    inputs = drawings | {
        "texts": written.translate({ord(char): MISSING for char in missing}),
        "page": PAGE,
        "fonts": json.dumps(FONTS),
    }
    return _compile(layout, inputs, int(at.timestamp()))


def _compile(layout: bytes, inputs: dict[str, str], timestamp: int) -> bytes:
    return typst.compile(
        layout,
        font_paths=_fonts(),
        sys_inputs=inputs,
        pdf_standards=list(STANDARDS),
        timestamp=timestamp,
    )


def _without_type(texts: dict[str, Any]) -> list[str]:
    """Return the characters that none of the fonts has, asked one by one.

    Signs that combine with the one before count as well: some have type alone and
    none together.
    """
    found = sorted(set(json.dumps(texts, ensure_ascii=False)))
    return [c for c in found if _combines(c) or not _has_type(c)]


def _combines(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _has_type(char: str) -> bool:
    inputs = {"char": char, "fonts": json.dumps(FONTS)}
    try:
        _compile(ONE_CHARACTER, inputs, 0)
    except typst.TypstError:
        return False
    return True
