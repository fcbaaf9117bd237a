"""The Ministry's directories are read as published, and bad ones refused by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from jiepin.core import errors
from jiepin.core.simulation import places
from jiepin.core.simulation.directory import level_of, read_directories

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the Ministry's files are not here"
)

SCHOOL = {
    "學年度": "114",
    "代碼": "014601",
    "學校名稱": "市立晴空國小",
    "公/私立": "公立",
    "縣市名稱": "[01]新北市",
    "地址": "[234]新北市永和區晴空路1號",
}
STAFF = {"學校代碼": "014601", "學校名稱": "晴空", "縣市名稱": "新北市"}


def write(file: Path, *rows: Mapping[str, str], encoding: str = "utf-8-sig") -> Path:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding)
    return file


def refusal(*files: Path) -> str:
    with pytest.raises(errors.BadDirectory) as caught:
        read_directories(files)
    return str(caught.value)


def test_a_school_as_published(tmp_path: Path) -> None:
    schools = read_directories([write(tmp_path / "list.csv", SCHOOL)])
    assert schools.to_dicts() == [
        {
            "school": "014601",
            "name": "市立晴空國小",
            "short_name": "晴空",
            "county": "01",
            "township": "永和區",
            "level": "elementary",
            "tags": [],
            "address": "新北市永和區晴空路1號",
            "teachers": None,
        }
    ]


def test_columns_in_any_order_and_under_other_names(tmp_path: Path) -> None:
    school = {
        "鄉鎮市區名稱": "蘭嶼鄉",
        "電話": '"(089)000000"',
        " 縣市名稱": "台東縣",
        "公／私立": "公立",
        "學校名稱": "台東縣蘭嶼鄉朝陽國民小學附設幼兒園",
        "代碼": "144Y01-02",
    }
    file = write(tmp_path / "list.csv", school, encoding="utf-8")
    [row] = read_directories([file]).to_dicts()
    assert (row["school"], row["county"], row["township"]) == (
        "144Y01-02",
        "14",
        "蘭嶼鄉",
    )
    assert row["level"] == "kindergarten"
    assert row["tags"] == ["special-remote", "indigenous"]


def test_county_by_its_name_whatever_the_prefix(tmp_path: Path) -> None:
    prefixes = {"[31]臺北市": "30", "[61]高雄市": "12", "[19]台中市": "06"}
    rows = [
        {**SCHOOL, "代碼": f"0146{n:02d}", "縣市名稱": county}
        for n, county in enumerate(prefixes)
    ]
    schools = read_directories([write(tmp_path / "list.csv", *rows)])
    assert schools["county"].to_list() == list(prefixes.values())


def test_address_with_the_other_character_for_tai(tmp_path: Path) -> None:
    school = {**SCHOOL, "縣市名稱": "雲林縣", "地址": "[636]雲林縣台西鄉海口路1號"}
    schools = read_directories([write(tmp_path / "list.csv", school)])
    assert schools["township"].to_list() == ["臺西鄉"]


def test_address_that_names_no_township(tmp_path: Path) -> None:
    school = {**SCHOOL, "地址": "晴空路1號"}
    schools = read_directories([write(tmp_path / "list.csv", school)])
    assert schools.select("township", "tags").row(0) == ("", [])


def test_private_schools_are_left_out(tmp_path: Path) -> None:
    private = {**SCHOOL, "代碼": "011601", "學校名稱": "私立雲海", "公/私立": "私立"}
    schools = read_directories([write(tmp_path / "list.csv", private, SCHOOL)])
    assert schools["school"].to_list() == ["014601"]


def test_several_directories_and_blank_lines(tmp_path: Path) -> None:
    junior = {**SCHOOL, "代碼": "014501", "學校名稱": "市立晴空國中"}
    first = write(tmp_path / "a.csv", SCHOOL)
    first.write_text(first.read_text("utf-8") + "\n,,,,,\n", "utf-8")
    schools = read_directories([first, write(tmp_path / "b.csv", junior)])
    assert schools.select("school", "level").rows() == [
        ("014501", "junior-high"),
        ("014601", "elementary"),
    ]


def test_staff_file_adds_township_and_teachers(tmp_path: Path) -> None:
    plain = {key: value for key, value in SCHOOL.items() if key != "地址"}
    counts = {"鄉鎮市區": "永和區", "男專任教師": "9", "女專任教師": "30"}
    staff = write(
        tmp_path / "staff.csv",
        {**STAFF, **counts},
        {**STAFF, **counts, "學校代碼": "019999"},
    )
    schools = read_directories([staff, write(tmp_path / "list.csv", plain)])
    assert schools.select("school", "township", "teachers").rows() == [
        ("014601", "永和區", 39)
    ]


@pytest.mark.parametrize(
    ("code", "name", "level"),
    [
        ("014684", "市立烏來國(中)小", "elementary"),
        ("014584", "市立烏來國(中)小", "junior-high"),
        ("014X84", "縣立遠山國中（小）", "junior-high"),
        ("014X84", "縣立遠山國（中）小", "elementary"),
        ("014584", "縣立遠山國民中小學", "junior-high"),
        ("724X01", "縣立遠山國民中小學附設幼兒園", "kindergarten"),
        ("034529", "市立遠山國中附設華德福國小部", "elementary"),
        ("580301", "國立遠山高中附設國中部", "junior-high"),
        ("190601", "國立遠山教大附小", "elementary"),
        ("133601", "國立遠山大學實小", "elementary"),
        ("014501", "市立遠山國民中學", "junior-high"),
        ("014501", "市立遠山實驗學校", "junior-high"),
        ("014701", "市立遠山實驗學校", "elementary"),
        ("014301", "市立遠山高中", None),
    ],
)
def test_level(code: str, name: str, level: str | None) -> None:
    assert level_of(code, name) == level


@pytest.mark.parametrize(
    ("name", "short_name"),
    [
        ("市立立人國小", "立人"),
        ("新北市永和區晴空國民小學附設幼兒園", "晴空附幼"),
        ("新北市立永和幼兒園中山分班", "永和幼兒園中山分班"),
        ("新北市立遠山國民中小學附設幼兒園", "遠山附幼"),
        ("國小", "國小"),
    ],
)
def test_short_name(tmp_path: Path, name: str, short_name: str) -> None:
    file = write(tmp_path / "list.csv", {**SCHOOL, "學校名稱": name})
    assert read_directories([file])["short_name"].to_list() == [short_name]


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("縣市名稱", "[99]晴空縣", "one of the 22 counties"),
        ("代碼", "14601", "leading zeros"),
        ("代碼", "", "a code of six characters"),
        ("公/私立", "國營", "公立 or 私立"),
        ("學校名稱", "市立晴空高中", "國小, 國中 or 幼兒園"),
    ],
)
def test_bad_cell(tmp_path: Path, column: str, value: str, expected: str) -> None:
    bad = {**SCHOOL, "代碼": "014301", column: value}
    file = write(tmp_path / "list.csv", SCHOOL, bad)
    text = refusal(file)
    assert f"{file} line 3, column {column}: found {value!r}; expected" in text
    assert expected in text


@pytest.mark.parametrize("missing", ["代碼", "學校名稱", "公/私立", "縣市名稱"])
def test_missing_column(tmp_path: Path, missing: str) -> None:
    short = {key: value for key, value in SCHOOL.items() if key != missing}
    file = write(tmp_path / "list.csv", short)
    assert f"{file} line 1: no column {missing}" in refusal(file)


def test_column_twice(tmp_path: Path) -> None:
    file = write(tmp_path / "list.csv", {**SCHOOL, "學校代碼": "014601"})
    assert f"{file} line 1: the columns 代碼 and 學校代碼 mean the same" in refusal(
        file
    )


def test_too_few_cells(tmp_path: Path) -> None:
    file = write(tmp_path / "list.csv", SCHOOL)
    file.write_text(file.read_text("utf-8") + "114,014602\n", "utf-8")
    assert f"{file} line 3: 2 cells; expected 6" in refusal(file)


def test_line_after_a_quoted_line_break(tmp_path: Path) -> None:
    broken = {**SCHOOL, "地址": '"新北市永和區\n晴空路"'}
    bad = {**SCHOOL, "代碼": "1"}
    assert "line 4, column 代碼" in refusal(write(tmp_path / "list.csv", broken, bad))


def test_quote_without_end(tmp_path: Path) -> None:
    file = write(tmp_path / "list.csv", {**SCHOOL, "地址": '"新北市'})
    assert re.search(r"list\.csv line 2: .*expected a CSV table", refusal(file))


def test_not_utf8(tmp_path: Path) -> None:
    file = write(tmp_path / "list.csv", SCHOOL, encoding="big5")
    text = refusal(file)
    assert f"{file} line 1: found the bytes" in text
    assert "CSV UTF-8" in text


def test_empty_file(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("\n", "utf-8")
    assert f"{file}: the file is empty; expected" in refusal(file)


def test_no_such_file(tmp_path: Path) -> None:
    assert "none.csv: No such file" in refusal(tmp_path / "none.csv")


def test_no_file_at_all() -> None:
    assert "no school directory" in refusal()


def test_no_public_school(tmp_path: Path) -> None:
    file = write(tmp_path / "list.csv", {**SCHOOL, "公/私立": "私立"})
    assert f"{file}: no public school in 1 rows" in refusal(file)


def test_staff_file_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "staff.csv", {**STAFF, "男專任教師": "9"})
    text = refusal(file)
    assert f"{file} line 1: no column 公/私立" in text
    assert "together with it" in text


def test_bad_number_of_teachers(tmp_path: Path) -> None:
    staff = write(tmp_path / "staff.csv", {**STAFF, "男專任教師": "many"})
    text = refusal(staff, write(tmp_path / "list.csv", SCHOOL))
    assert f"{staff} line 2, column 男專任教師: found 'many'" in text


def test_same_code_in_two_directories(tmp_path: Path) -> None:
    first = write(tmp_path / "a.csv", SCHOOL)
    again = write(tmp_path / "b.csv", {**SCHOOL, "學校名稱": "市立雲海國小"})
    text = refusal(first, again)
    assert f"{again} line 2: the code '014601' (市立雲海國小)" in text
    assert f"{first} line 2 (市立晴空國小)" in text


def counted(schools: pl.DataFrame, level: str) -> pl.DataFrame:
    of_level = schools.filter(pl.col("level") == level)
    return of_level.group_by("county", "township").len(level)


@needs_shared
def test_the_ministrys_files() -> None:
    schools = read_directories(
        [SHARED / "moe_elementary_114.csv", SHARED / "moe_kindergarten_113.csv"]
    )
    counts = dict(schools.group_by("level").len().iter_rows())
    assert counts == {"elementary": 2575, "kindergarten": 2453}
    assert schools["county"].n_unique() == 22
    assert schools.filter(pl.col("township") == "").height == 0
    # the table of facts is the count of these files
    for level in ("elementary", "kindergarten"):
        table = places.townships().select("county", "township", level)
        table = table.filter(pl.col(level) > 0).sort("county", "township")
        found = counted(schools, level).cast({level: pl.Int64})
        assert found.sort("county", "township").equals(table)


@needs_shared
def test_the_ministrys_directory_with_its_staff_file() -> None:
    schools = read_directories(
        [SHARED / "moe_elementary_classes_114.csv", SHARED / "moe_elementary_114.csv"]
    )
    assert schools.height == 2575
    assert schools["teachers"].null_count() == 0


@needs_shared
def test_the_joined_table_of_public_schools() -> None:
    schools = read_directories([SHARED / "public_elementary_114.csv"])
    assert schools.height == 2596
    assert schools["level"].unique().to_list() == ["elementary"]
