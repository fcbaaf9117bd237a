"""From files to a checked round: every way to write a table, and every way to fail."""

from __future__ import annotations

import datetime
import sys
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from jiepin.core import BadRound, Limits, Problem, Round, errors, folders, terms
from jiepin.core.checks import hold_to_limits

TABLES = {
    "schools": """school,name,county,township,level,tags
001,甲一國小,01,甲鄉,elementary,remote|free
002,甲二國小,01,甲鄉,elementary,
003,乙一國小,02,乙鎮,elementary,
101,乙一國中,02,乙鎮,junior-high,
""",
    "subjects": """subject,name,level
e1,普通,elementary
e2,英語,elementary
j1,國文,junior-high
""",
    "vacancies": """school,subject,seats
003,e1,1
002,e2,0
""",
    "teachers": """teacher_id,school,subject,subjects,counties,points,groups,\
service_years,birth_date,choices
T1,001,e1,e1|e2,02,65.25,,5.5,1985-09-28,003
T2,003,e1,e1,01,70,remote|free,,,002|001
T3,003,e2,e2,,,,,,
""",
}
HEADER = TABLES["teachers"].splitlines()[0] + "\n"
LISTS = ("tags", "subjects", "counties", "points", "groups", "choices")


def write(folder: Path, **changed: str | bytes | None) -> Path:
    """Write the tables, some of them changed; None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, str | bytes | None] = {**TABLES, **changed}
    for name, text in tables.items():
        if text is not None:
            content = text.encode() if isinstance(text, str) else text
            (folder / f"{name}.csv").write_bytes(content)
    return folder


def frame_of(name: str) -> pl.DataFrame:
    """Return a table as frame of text and lists of text."""
    frame = pl.read_csv(TABLES[name].encode(), infer_schema=False)
    columns = [column for column in LISTS if column in frame.columns]
    return frame.with_columns(pl.col(columns).str.split("|"))


def write_parquet(folder: Path, **changed: pl.DataFrame) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        frame = changed.get(name, frame_of(name))
        frame.write_parquet(folder / f"{name}.parquet")
    return folder


def assert_same(left: Round, right: Round) -> None:
    for name in TABLES:
        assert_frame_equal(getattr(left, name), getattr(right, name))


def problems_of(folder: Path, limits: Limits | None = None) -> Sequence[Problem]:
    with pytest.raises(BadRound) as caught:
        Round.read(folder, limits)
    assert caught.value.n_problems == len(caught.value.problems)
    return caught.value.problems


def places(
    problems: Sequence[Problem],
) -> list[tuple[str, str, int | None, str | None, str | None]]:
    return [
        (type(each).__name__, each.file, each.line, each.column, each.value)
        for each in problems
    ]


def test_what_a_round_holds(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path))
    assert round_.schools.rows()[0] == (
        *("001", "甲一國小", "01", "甲鄉", "elementary", ["remote", "free"]),
    )
    assert round_.schools["tags"].to_list()[1:] == [[], [], []]
    assert round_.teachers.rows() == [
        (
            *("T1", "001", "e1", 550, datetime.date(1985, 9, 28)),
            *(["e1", "e2"], ["02"], [6525], [], ["003"], None),
        ),
        (
            *("T2", "003", "e1", None, None),
            *(["e1"], ["01"], [7000], ["remote", "free"], ["002", "001"], None),
        ),
        ("T3", "003", "e2", None, None, ["e2"], [], [], [], [], None),
    ]
    assert round_.vacancies.rows() == [("002", "e2", 0), ("003", "e1", 1)]
    assert round_.teachers.schema["points"] == pl.List(pl.Int64)
    assert round_.teachers.schema["choices"] == pl.List(round_.schools["school"].dtype)
    assert sorted(round_.digests) == [f"{name}.csv" for name in sorted(TABLES)]


def test_csv_and_parquet_and_a_mixture_are_the_same(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path / "csv"))
    assert_same(round_, Round.read(write_parquet(tmp_path / "parquet")))
    mixed = write(tmp_path / "mixed", teachers=None, schools=None)
    for name in ("teachers", "schools"):
        frame_of(name).write_parquet(mixed / f"{name}.parquet")
    assert_same(round_, Round.read(mixed))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_written_and_read_again(tmp_path: Path, suffix: str) -> None:
    round_ = Round.read(write(tmp_path / "before"))
    round_.write(tmp_path / "after", suffix)
    assert_same(round_, Round.read(tmp_path / "after"))


def test_columns_in_any_order(tmp_path: Path) -> None:
    for name in TABLES:
        frame = pl.read_csv(TABLES[name].encode(), infer_schema=False)
        frame.select(reversed(frame.columns)).write_csv(tmp_path / f"{name}.csv")
    assert_same(Round.read(tmp_path), Round.read(write(tmp_path / "usual")))


def with_bom(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def with_bom_and_quotes(text: str) -> bytes:
    return b"\xef\xbb\xbf" + with_quotes(text)


def with_crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def without_last_newline(text: str) -> bytes:
    return text.rstrip("\n").encode()


def with_blank_lines(text: str) -> bytes:
    return text.replace("\n", "\n\n").encode() + b"\n\n"


def with_quotes(text: str) -> bytes:
    lines = (line.split(",") for line in text.splitlines())
    quoted = (",".join(f'"{cell}"' for cell in line) for line in lines)
    return "\n".join(quoted).encode()


@pytest.mark.parametrize(
    "changed",
    [
        with_bom,
        with_bom_and_quotes,
        with_crlf,
        without_last_newline,
        with_blank_lines,
        with_quotes,
    ],
)
def test_dialects_of_csv(tmp_path: Path, changed: Callable[[str], bytes]) -> None:
    files = {name: changed(text) for name, text in TABLES.items()}
    plain = Round.read(write(tmp_path / "plain"))
    assert_same(plain, Round.read(write(tmp_path / "changed", **files)))


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_lines_are_counted_right_after_quoted_line_breaks(
    tmp_path: Path, newline: str
) -> None:
    schools = (
        "school,name,county,township,level,tags\n"
        '001,"甲一,""國小""\n分校\n\n二",01,甲鄉,elementary,\n'
        "\n"
        "002,甲二國小,01,甲鄉,primary,\n"
        '003,"乙,一",02,乙鎮,elementary,""\n'
        "101,乙一國中,,乙鎮,junior-high,\n"
    ).replace("\n", newline)
    problems = problems_of(write(tmp_path, schools=schools))
    assert places(problems) == [
        ("UnknownLevel", "schools.csv", 7, "level", "primary"),
        ("EmptyCell", "schools.csv", 9, "county", ""),
    ]


def test_quoted_cells_keep_what_they_hold(tmp_path: Path) -> None:
    """The last cells of schools.csv are empty, so rows might be cut short here."""
    schools = TABLES["schools"].replace("甲一國小", '"甲,一\n""國小"""')
    round_ = Round.read(write(tmp_path, schools=schools))
    assert round_.schools["name"][0] == '甲,一\n"國小"'


def test_codes_are_text_and_keep_their_zeros(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path))
    assert round_.schools["school"].to_list() == ["001", "002", "003", "101"]
    unpadded = TABLES["teachers"].replace("|001\n", "|1\n")
    problems = problems_of(write(tmp_path, teachers=unpadded))
    assert places(problems) == [("UnknownSchool", "teachers.csv", 3, "choices", "1")]


def test_names_of_folders_are_no_patterns(tmp_path: Path) -> None:
    for folder in ("[110]", "year=110", "a*b", "國 中"):
        assert Round.read(write(tmp_path / folder)).teachers.height == 3
        assert Round.read(write_parquet(tmp_path / "p" / folder)).teachers.height == 3


def test_unknown_columns_give_one_warning(tmp_path: Path) -> None:
    write(
        tmp_path,
        schools=TABLES["schools"].replace("\n", ",1\n").replace("tags,1", "tags,row"),
        subjects=TABLES["subjects"].replace("\n", ",2\n").replace("level,2", "level,x"),
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        round_ = Round.read(tmp_path)
    assert [str(warning.message) for warning in caught] == [
        "unknown columns ignored: schools.csv: row; subjects.csv: x"
    ]
    assert caught[0].category is errors.UnknownColumnsWarning
    assert caught[0].filename == __file__
    assert "row" not in round_.schools.columns


def test_a_column_without_name_is_unknown(tmp_path: Path) -> None:
    write(tmp_path, subjects=TABLES["subjects"].replace("\n", ",\n"))
    with pytest.warns(errors.UnknownColumnsWarning, match="ignored: subjects.csv: ''$"):
        assert Round.read(tmp_path).subjects.height == 3


def test_vacancies_may_be_missing(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path, vacancies=None))
    assert round_.vacancies.height == 0
    assert round_.vacancies.schema == Round.read(write(tmp_path)).vacancies.schema


def test_vacancies_of_a_position_add_up(tmp_path: Path) -> None:
    rows = "school,subject,seats\n003,e1,1\n001,e2,5\n003,e1,2\n003,e2,4\n003,e1,0\n"
    round_ = Round.read(write(tmp_path, vacancies=rows))
    assert round_.vacancies.rows() == [
        ("001", "e2", 5),
        ("003", "e1", 3),
        ("003", "e2", 4),
    ]


def test_a_round_without_teachers(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path, teachers=HEADER))
    assert round_.teachers.height == 0
    assert_same(round_, Round.read(write(tmp_path / "none", teachers=HEADER + "\n\n")))
    assert round_.teachers.schema == Round.read(write(tmp_path)).teachers.schema


def test_optional_columns(tmp_path: Path) -> None:
    schools = TABLES["schools"].replace("\n", ",甲\n").replace("tags,甲", "tags,notice")
    teachers = TABLES["teachers"].replace("\n", ",7.5\n")
    teachers = teachers.replace("choices,7.5", "choices,home_points")
    round_ = Round.read(write(tmp_path, schools=schools, teachers=teachers))
    assert round_.schools["notice"].to_list() == ["甲"] * 4
    assert round_.teachers["home_points"].to_list() == [750] * 3
    bad = teachers.replace("7.5", "7.555")
    write(tmp_path, schools=schools, teachers=bad)
    assert places(problems_of(tmp_path))[0] == (
        *("BadPoints", "teachers.csv", 2, "home_points", "7.555"),
    )


# Points


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [
        ("65", 6500),
        ("65.5", 6550),
        ("65.25", 6525),
        ("0", 0),
        ("0.07", 7),
        ("007.10", 710),
        ("0.29", 29),  # 0.29 * 100 is 28.999999999999996 as floats
        ("999999999.99", 99999999999),
    ],
)
def test_good_points(tmp_path: Path, text: str, hundredths: int) -> None:
    teachers = TABLES["teachers"].replace("65.25", text)
    round_ = Round.read(write(tmp_path, teachers=teachers))
    assert round_.teachers["points"][0].to_list() == [hundredths]


BAD_NUMBERS = ["65.255", "-1", "abc", "1e2", "+5", "６５", " 65", "65 ", "6,5", "65."]
BAD_NUMBERS += [".5", "NaN", "inf", "0x1", "1_0", "6500.000", "1234567890", "6\n5"]


@pytest.mark.parametrize("text", BAD_NUMBERS)
@pytest.mark.parametrize("column", ["points", "service_years"])
def test_bad_numbers(tmp_path: Path, text: str, column: str) -> None:
    good = {"points": "65.25", "service_years": "5.5"}[column]
    teachers = TABLES["teachers"].replace(good, f'"{text}"')
    kind = {"points": "BadPoints", "service_years": "BadServiceYears"}[column]
    problems = problems_of(write(tmp_path, teachers=teachers))
    assert places(problems) == [(kind, "teachers.csv", 2, column, text)]


def test_one_points_value_per_county(tmp_path: Path) -> None:
    counties = "T1,001,e1,e1,02|03,{},,,,\n"
    schools = TABLES["schools"] + "004,丙一國小,03,丙區,elementary,\n"
    found = {}
    for points in ("", "65", "65|70|75", "65|", "|", "65|70"):
        teachers = HEADER + counties.format(points)
        folder = write(tmp_path / str(len(found)), schools=schools, teachers=teachers)
        try:
            Round.read(folder)
        except BadRound as refused:
            found[points] = [
                (type(problem).__name__, problem.value) for problem in refused.problems
            ]
        else:
            found[points] = []
    assert found == {
        "": [("PointsCount", "")],
        "65": [("PointsCount", "65")],
        "65|70|75": [("PointsCount", "65|70|75")],
        "65|": [("BadPoints", "")],
        "|": [("BadPoints", ""), ("BadPoints", "")],
        "65|70": [],
    }


@pytest.mark.parametrize("seats", ["-1", "1.0", "", "one", "1e1", "１", "1234567890"])
def test_bad_seats(tmp_path: Path, seats: str) -> None:
    vacancies = f"school,subject,seats\n003,e1,1\n001,e2,{seats}\n"
    problems = problems_of(write(tmp_path, vacancies=vacancies))
    assert places(problems) == [("BadSeats", "vacancies.csv", 3, "seats", seats)]


@pytest.mark.parametrize(
    "date", ["1985-9-28", "1985/09/28", "85-09-28", "1985-02-29", "0074-09-28", "x"]
)
def test_bad_birth_dates(tmp_path: Path, date: str) -> None:
    teachers = TABLES["teachers"].replace("1985-09-28", date)
    problems = problems_of(write(tmp_path, teachers=teachers))
    assert places(problems) == [("BadBirthDate", "teachers.csv", 2, "birth_date", date)]


# Files that cannot be read as tables


def broken(folder: Path, file: str) -> tuple[int | None, str | None]:
    """Return line and value of the only problem, which must be BrokenTable."""
    (problem,) = problems_of(folder)
    assert type(problem) is errors.BrokenTable
    assert problem.file == file
    return problem.line, problem.value


@pytest.mark.parametrize(
    ("rows", "line", "value"),
    [
        ("T1,001,e1,e1,02,65,,,,003\nT2,003\n", 3, "2 cells"),
        ("T1,001,e1,e1,02,65,,,,003\nT2,003,e1,e1,01,70,,,\n", 3, "9 cells"),
        ("T1,001,e1,e1,02,65,,,,003,1\n", 2, "11 cells"),
        ('"T,1",001,e1,e1,,,,,,\nT2,003,e1,e1,,,,,\n', 3, "9 cells"),
        ('"T\n1",001,e1,e1,,,,,,\n\n   \nT2,003,e1,e1,,,,,,\n', 5, "1 cells"),
        ('T1,001,e1,e1,02,65,,,,"003\nT2,003,e1,e1,,,,,,\n', 2, None),
        ('T1,001,e1,e1,02,65,,,,"003\nT2,003,e1,e1,,,,,,"002"\n', 2, None),
        ('T1,001,e1,e1,,,,,,\nT2,003,e1,e1,,,,,,"', 3, None),
        ('T1,001,e1,e1,02,65,,,,00"3\nT2,003,e1,e1,,,,,,\n', 2, None),
        ('T1,001,e1,e1,02,65,,,,"003" \nT2,003,e1,e1,,,,,,\n', 2, None),
        ("T1,001,e1,e1,,,,,,\n\nT2,003,e1,e1,\r,,,,,\nT3\n", 4, None),
    ],
)
def test_ragged_rows_and_stray_quotes(
    tmp_path: Path, rows: str, line: int, value: str | None
) -> None:
    folder = write(tmp_path, teachers=HEADER + rows)
    value = value or "a stray quote or line break"
    assert broken(folder, "teachers.csv") == (line, value)


def test_every_ragged_row_is_named(tmp_path: Path) -> None:
    vacancies = "school,subject,seats\n003,e1\n\n003,e1,1\n003,e1,1,2,3\n"
    problems = problems_of(write(tmp_path, vacancies=vacancies, subjects=None))
    assert places(problems) == [
        ("MissingFile", "subjects.csv", None, None, None),
        ("BrokenTable", "vacancies.csv", 2, None, "2 cells"),
        ("BrokenTable", "vacancies.csv", 5, None, "5 cells"),
    ]


def test_rows_too_long_where_columns_are_ignored(tmp_path: Path) -> None:
    vacancies = "school,color,subject,seats\n003,red,e1,1\n003,e1,1,2,3\n"
    folder = write(tmp_path, vacancies=vacancies)
    with pytest.warns(errors.UnknownColumnsWarning, match=r"vacancies\.csv: color"):
        assert broken(folder, "vacancies.csv") == (3, "5 cells")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\n\nschool\n"])
def test_files_without_header(tmp_path: Path, content: bytes) -> None:
    for name in TABLES:
        folder = write(tmp_path / name, **{name: content})
        assert broken(folder, f"{name}.csv") == (1, "nothing")


def test_a_header_that_is_none(tmp_path: Path) -> None:
    line, value = broken(write(tmp_path, schools=b"x" * 200_000), "schools.csv")
    assert line == 1
    assert value is not None
    assert value.startswith("field larger than field limit")


def test_whatever_else_stops_the_csv_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> pl.DataFrame:
        raise pl.exceptions.ComputeError("what it was\nand advice")

    write(tmp_path)
    monkeypatch.setattr(pl, "read_csv", refuse)
    problems = problems_of(tmp_path)
    assert {each.value for each in problems} == {"what it was"}
    assert [each.file for each in problems] == [f"{name}.csv" for name in TABLES]


def test_line_ends_of_old_machines(tmp_path: Path) -> None:
    folder = write(tmp_path, subjects=TABLES["subjects"].replace("\n", "\r"))
    line, value = broken(folder, "subjects.csv")
    assert (line, value) == (1, "a stray quote or line break")


@pytest.mark.parametrize("n_before", [0, 2000])
def test_broken_utf8_is_found_by_line(tmp_path: Path, n_before: int) -> None:
    text = HEADER + "T,001,e1,e1,,,,,,\n" * n_before
    content = text.encode() + "T,甲".encode("big5") + b",e1,e1,,,,,,\n"
    (problem,) = problems_of(write(tmp_path, teachers=content))
    assert places([problem]) == [
        ("BrokenUtf8", "teachers.csv", n_before + 2, None, "a5")
    ]


def test_utf16_is_no_utf8(tmp_path: Path) -> None:
    content = TABLES["subjects"].encode("utf-16")
    (problem,) = problems_of(write(tmp_path, subjects=content))
    assert places([problem]) == [("BrokenUtf8", "subjects.csv", 1, None, "ff")]


@pytest.mark.parametrize("name", ["schools.csv", "schools.parquet"])
def test_a_folder_named_like_a_file(tmp_path: Path, name: str) -> None:
    write(tmp_path, schools=None)
    (tmp_path / name).mkdir()
    (problem,) = problems_of(tmp_path)
    assert places([problem]) == [("UnreadableFile", name, None, None, "Is a directory")]


def test_a_file_named_as_round(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path) / "schools.csv")
    assert type(problem) is errors.MissingFolder


@pytest.mark.parametrize("content", [b"", b"PAR1", b"school,name\n" * 9])
def test_bytes_that_are_no_parquet(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, schools=None)
    (tmp_path / "schools.parquet").write_bytes(content)
    line, value = broken(tmp_path, "schools.parquet")
    assert (line, value) == (None, "ComputeError")


def test_a_parquet_file_cut_off(tmp_path: Path) -> None:
    file = write_parquet(tmp_path) / "schools.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    assert broken(tmp_path, "schools.parquet") == (None, "ComputeError")


def test_missing_columns_of_several_files_come_together(tmp_path: Path) -> None:
    write(tmp_path, vacancies="school\n003\n")
    frame_of("subjects").drop("level").write_parquet(tmp_path / "subjects.parquet")
    (tmp_path / "subjects.csv").unlink()
    assert places(problems_of(tmp_path)) == [
        ("MissingColumn", "subjects.parquet", None, "level", None),
        ("MissingColumn", "vacancies.csv", None, "subject", None),
        ("MissingColumn", "vacancies.csv", None, "seats", None),
    ]


def test_without_schools_the_other_tables_are_still_read(tmp_path: Path) -> None:
    subjects = TABLES["subjects"].replace("junior-high", "senior-high")
    write(tmp_path, schools=None, subjects=subjects, teachers=b"\xff")
    assert places(problems_of(tmp_path)) == [
        ("MissingFile", "schools.csv", None, None, None),
        ("UnknownLevel", "subjects.csv", 4, "level", "senior-high"),
        ("BrokenUtf8", "teachers.csv", 1, None, "ff"),
    ]


# Parquet holds more kinds than text

T1 = {"school": "001", "subject": "e1"}


def teachers_with(**columns: pl.Series) -> pl.DataFrame:
    return frame_of("teachers").with_columns(**columns)


@pytest.mark.parametrize(
    "points",
    [
        pl.Series([[65.25], [70.0], []]),
        pl.Series([[Decimal("65.2500")], [Decimal(70)], None]),
        pl.Series([["65.25"], ["70"], []], dtype=pl.List(pl.Categorical)),
        pl.Series([65.25, 70, None]),
        pl.Series(["65.25", "70.00", ""]),
    ],
    ids=lambda series: str(series.dtype),
)
def test_points_of_other_kinds(tmp_path: Path, points: pl.Series) -> None:
    write_parquet(tmp_path, teachers=teachers_with(points=points))
    found = Round.read(tmp_path).teachers["points"].to_list()
    assert found == [[6525], [7000], []]


def test_points_of_whole_numbers_and_of_fixed_width(tmp_path: Path) -> None:
    teachers = frame_of("teachers").head(2)
    for number, kind in enumerate((pl.List(pl.Int8), pl.Array(pl.Decimal(9, 0), 1))):
        points = pl.Series([[65], [70]]).cast(kind)
        folder = tmp_path / str(number)
        write_parquet(folder, teachers=teachers.with_columns(points=points))
        found = Round.read(folder).teachers["points"].to_list()
        assert found == [[6500], [7000]]


@pytest.mark.parametrize(
    "points",
    [
        pl.Series([[65.255], [70.0], []]),
        pl.Series([[Decimal("65.2550")], [Decimal(70)], []]),
        pl.Series([[-1], [70], []]),
        pl.Series([[None], [70], []]),
        pl.Series([[1e20], [70], []]),
    ],
)
def test_points_that_are_no_points(tmp_path: Path, points: pl.Series) -> None:
    write_parquet(tmp_path, teachers=teachers_with(points=points))
    (problem,) = problems_of(tmp_path)
    assert type(problem) is errors.BadPoints
    assert (problem.file, problem.line) == ("teachers.parquet", 1)


def test_dates_numbers_and_categories(tmp_path: Path) -> None:
    date = datetime.date(1985, 9, 28)
    moment = datetime.datetime(1985, 9, 28)
    expected = Round.read(write(tmp_path / "csv"))
    for number, day in enumerate((date, moment)):
        teachers = teachers_with(
            birth_date=pl.Series([day, None, None]),
            service_years=pl.Series([5.5, None, None]),
            school=pl.Series(["001", "003", "003"], dtype=pl.Categorical),
            groups=pl.Series([None, ["remote", "free"], []]),
        )
        schools = frame_of("schools").with_columns(
            level=pl.col("level").cast(pl.Enum(list(terms.LEVELS)))
        )
        vacancies = frame_of("vacancies").with_columns(pl.col("seats").cast(pl.Int16))
        folder = write_parquet(
            tmp_path / str(number),
            teachers=teachers,
            schools=schools,
            vacancies=vacancies,
        )
        assert_same(expected, Round.read(folder))


def test_null_columns(tmp_path: Path) -> None:
    null = pl.Series([None, None, None])
    teachers = teachers_with(
        service_years=null,
        birth_date=null,
        groups=null,
        counties=null,
        points=pl.Series([[], [], []], dtype=pl.List(pl.Null)),
        choices=null,
        home_points=null,
    )
    found = Round.read(write_parquet(tmp_path, teachers=teachers)).teachers
    assert found["choices"].to_list() == [[], [], []]
    assert found["points"].to_list() == [[], [], []]
    assert found["birth_date"].to_list() == [None, None, None]
    assert found.schema["counties"].inner.categories.to_list() == ["01", "02"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("school", [["001"], ["003"], ["003"]]),
        ("school", [b"001", b"\xff", b"003"]),
        ("choices", [[["003"]], [[]], [[]]]),
        ("birth_date", [datetime.timedelta(1), None, None]),
    ],
)
def test_kinds_that_are_no_text(tmp_path: Path, column: str, values: list[Any]) -> None:
    teachers = teachers_with(**{column: pl.Series(values)})
    (problem,) = problems_of(write_parquet(tmp_path, teachers=teachers))
    assert type(problem) is errors.BrokenTable
    assert (problem.file, problem.column) == ("teachers.parquet", column)
    assert problem.value == str(teachers.schema[column])


# Many problems at once


def test_all_problems_come_in_order_of_files_and_lines(tmp_path: Path) -> None:
    write(
        tmp_path,
        schools=TABLES["schools"] + "001,甲三國小,01,甲鄉,primary,\n",
        subjects=TABLES["subjects"] + ",無,elementary\n",
        vacancies="school,subject,seats\n009,e9,x\n003,j1,1\n",
        teachers=HEADER
        + "T1,001,e1,e1,02,65,,,,003|009\n"
        + "T2,003,e1,e2|e1,02|01|01,70|71|72,,x,y,002|002\n"
        + "T1,101,e1,e1,01,7x,,,,001|101|003\n",
    )
    limits = Limits(counties=2, subjects=1, choices=1)
    problems = problems_of(tmp_path, limits)
    assert [problem.file for problem in problems] == (
        ["schools.csv"] * 2
        + ["subjects.csv"]
        + ["vacancies.csv"] * 4
        + ["teachers.csv"] * 18
    )
    lines = [problem.line for problem in problems]
    assert lines == [6, 6, 5, 2, 2, 2, 3] + [2] * 2 + [3] * 9 + [4] * 7
    assert sorted(places(problems)[9:18]) == [
        ("BadBirthDate", "teachers.csv", 3, "birth_date", "y"),
        ("BadServiceYears", "teachers.csv", 3, "service_years", "x"),
        ("FirstSubjectNotHome", "teachers.csv", 3, "subjects", "e2|e1"),
        ("HomeCountyWished", "teachers.csv", 3, "counties", "02"),
        ("ListedTwice", "teachers.csv", 3, "choices", "002"),
        ("ListedTwice", "teachers.csv", 3, "counties", "01"),
        ("TooManyChoices", "teachers.csv", 3, "choices", "2"),
        ("TooManyCounties", "teachers.csv", 3, "counties", "3"),
        ("TooManySubjects", "teachers.csv", 3, "subjects", "2"),
    ]
    assert places(problems)[18:] == [
        ("CodeUsedTwice", "teachers.csv", 4, "teacher_id", "T1"),
        ("BadPoints", "teachers.csv", 4, "points", "7x"),
        ("LevelMismatch", "teachers.csv", 4, "subject", "e1"),
        ("HomeSchoolListed", "teachers.csv", 4, "choices", "101"),
        ("LevelMismatch", "teachers.csv", 4, "choices", "001"),
        ("LevelMismatch", "teachers.csv", 4, "choices", "003"),
        ("TooManyChoices", "teachers.csv", 4, "choices", "3"),
    ]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        # an unknown school is neither outside the counties nor of another level
        ("T1,001,e1,e1,02,65,,,,009|003", [("UnknownSchool", "009")]),
        ("T1,001,e1,e1,02,65,,,,009|009", [("UnknownSchool", "009")] * 2),
        # what cannot be known of the home school is not held against the choices
        ("T1,009,e1,e1,02,65,,,,003|101", [("UnknownSchool", "009")]),
        (
            "T1,009,e1,e1,02,65,,,,008",
            [("UnknownSchool", "009"), ("UnknownSchool", "008")],
        ),
        ("T1,009,e1,e1,99,65,,,,", [("UnknownSchool", "009"), ("UnknownCounty", "99")]),
        # the county meant may be the one that is misspelt
        ("T1,001,e1,e1,2,65,,,,003", [("UnknownCounty", "2")]),
        # one mistake in two columns
        ("T1,001,j1,j1,02,65,,,,003", [("LevelMismatch", "j1")]),
        ("T1,001,e9,e1,02,65,,,,003", [("UnknownSubject", "e9")]),
        # a choice is refused for one reason
        ("T1,001,e1,e1,,,,,,101", [("LevelMismatch", "101")]),
        ("T1,001,e1,e1,,,,,,001", [("HomeSchoolListed", "001")]),
        ("T1,001,e1,e1,01,65,,,,001", [("HomeSchoolListed", "001")]),
        ("T1,001,e1,e1,,,,,,003", [("ChoiceOutsideCounties", "003")]),
        ("T1,001,e1,,,,,,,", [("FirstSubjectNotHome", "")]),
        ("T1,001,e1,e1||e2,,,,,,", [("UnknownSubject", "")]),
        ("T1,001,e1,e1|j1,,,,,,", [("LevelMismatch", "j1")]),
        ("T1,001,e1,e1|e2|e1,,,,,,", [("ListedTwice", "e1")]),
        ("T1,,e1,e1,,,,,,", [("UnknownSchool", "")]),
    ],
)
def test_one_mistake_is_one_problem(
    tmp_path: Path, row: str, found: list[tuple[str, str]]
) -> None:
    folder = write(tmp_path, teachers=f"{HEADER}{row}\n")
    home_county = row.split(",")[4] == "01"
    problems = problems_of(folder, Limits(home_county=home_county))
    assert [(type(each).__name__, each.value) for each in problems] == found


def test_mistakes_in_schools_do_not_spread(tmp_path: Path) -> None:
    schools = (
        TABLES["schools"]
        .replace("001,甲一國小,01", "001,甲一國小,")
        .replace("乙鎮,elementary", "乙鎮,primary")
    )
    assert places(problems_of(write(tmp_path, schools=schools))) == [
        ("EmptyCell", "schools.csv", 2, "county", ""),
        ("UnknownLevel", "schools.csv", 4, "level", "primary"),
    ]


def test_a_hundred_problems_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    n = 100_000
    row = "T,001,e1,e1,02,x,,,,003\n"
    write(tmp_path, teachers=HEADER + row * n)
    with pytest.raises(BadRound) as caught:
        Round.read(tmp_path)
    refused = caught.value
    assert refused.n_problems == 2 * n - 1
    assert len(refused.problems) == errors.MAX_SHOWN
    lines = str(refused).splitlines()
    assert lines[0].endswith(f" {2 * n - 1} problems in the round:")
    assert lines[-1].endswith(f"… and {2 * n - 1 - errors.MAX_SHOWN} more")
    assert str(refused).count("; expected ") == errors.MAX_SHOWN
    # the earliest rows, whichever check found them
    assert [each.line for each in refused.problems] == sorted(
        [2] + [line for line in range(3, 53) for _ in range(2)]
    )[: errors.MAX_SHOWN]


def n_python_calls(folder: Path) -> int:
    """Return how many functions are called, of Python or of C, to read a round."""
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        Round.read(folder, Limits())
    except BadRound:
        pass
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("points", ["65", "x"])
def test_nothing_is_done_teacher_by_teacher(tmp_path: Path, points: str) -> None:
    row = "T{},001,e1,e1|e2,02,{},,5,1985-09-28,003\n"
    calls = {}
    for n in (500, 500, 4_000):  # the first time, modules are loaded
        rows = [row.format(k, points) for k in range(n)]
        folder = write(tmp_path / str(n), teachers=HEADER + "".join(rows))
        # how often threads look for each other differs from run to run
        calls[n] = min(n_python_calls(folder) for _ in range(3))
    assert abs(calls[4_000] - calls[500]) < 1_000  # one a teacher would be 3,500


def test_problems_far_down_a_long_file(tmp_path: Path) -> None:
    """More rows than are checked together."""
    rows = [f"T{k},001,e1,e1|e2,02,65,,,,003\n" for k in range(10_000)]
    rows[9_000] = "A,001,e1,e1|e2|e1,02,65,,,,003|003\n"
    rows[9_999] = "B,001,e1,e1,02,65,,,,003|002\n"
    assert places(problems_of(write(tmp_path, teachers=HEADER + "".join(rows)))) == [
        ("ListedTwice", "teachers.csv", 9_002, "subjects", "e1"),
        ("ListedTwice", "teachers.csv", 9_002, "choices", "003"),
        ("ChoiceOutsideCounties", "teachers.csv", 10_001, "choices", "002"),
    ]


# The limits of a rule set

HOME = "T1,001,e1,e1|e2,01|02,65|66,,,,002|003\n"


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        (None, []),
        (Limits(home_county=True), []),
        (Limits(0, 0, 0, True), []),
        (Limits(), ["HomeCountyWished"]),
        (Limits(2, 2, 1), ["TooManyChoices", "HomeCountyWished"]),
        (
            Limits(1, 1, 1, True),
            ["TooManyCounties", "TooManySubjects", "TooManyChoices"],
        ),
        (Limits(2, 2, 2, True), []),
        (Limits(1, 2, 2, True), ["TooManyCounties"]),
    ],
)
def test_limits(tmp_path: Path, limits: Limits | None, found: list[str]) -> None:
    folder = write(tmp_path, teachers=HEADER + HOME)
    if found:
        problems = problems_of(folder, limits)
        assert [type(each).__name__ for each in problems] == found
    else:
        assert Round.read(folder, limits).teachers.height == 1


def test_limits_of_a_round_that_was_read_without(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path, teachers=HEADER + HOME))
    frames = (round_.schools, round_.subjects, round_.teachers)
    hold_to_limits(*frames, Limits(home_county=True))
    with pytest.raises(BadRound) as caught:
        hold_to_limits(*frames, Limits(counties=1))
    assert places(caught.value.problems) == [
        ("TooManyCounties", "teachers", 1, "counties", "2"),
        ("HomeCountyWished", "teachers", 1, "counties", "01"),
    ]
    assert "teachers row 1, column counties: " in str(caught.value)


# Writing

FILES = ("schools.csv", "note.txt")


def test_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with folders.written_whole(out, FILES) as folder:
        (folder / "note.txt").write_text("first")
    assert (out / "note.txt").read_text() == "first"

    def fail_in_the_middle() -> None:
        with folders.written_whole(out, FILES) as folder:
            (folder / "note.txt").write_text("second")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_in_the_middle()
    assert (out / "note.txt").read_text() == "first"
    with folders.written_whole(out, FILES) as folder:
        (folder / "schools.csv").write_text("third")
    assert [path.name for path in out.iterdir()] == ["schools.csv"]
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_failed_rename_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "note.txt").write_text("old")
    rename = Path.rename

    def refuse_new(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no space")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(OSError, match="no space"), folders.written_whole(out, FILES):
        pass
    assert (out / "note.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_else_is_ever_replaced(tmp_path: Path) -> None:
    round_ = Round.read(write(tmp_path / "round"))
    (tmp_path / "round" / "thesis.odt").write_text("years of work")
    (tmp_path / "folder" / "schools.csv").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name, told in (
        ("round", "'thesis.odt', which would be lost"),
        ("folder", "'schools.csv', which would be lost"),
        ("file", "is a file"),
        ("file/below", "cannot be made"),
    ):
        with pytest.raises(errors.FolderInTheWay, match=told) as caught:
            round_.write(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("file", "folder", "round"),
    ]
    assert (tmp_path / "round" / "thesis.odt").read_text() == "years of work"


def test_the_folder_of_today_and_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_ = Round.read(write(tmp_path / "round"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    round_.write(".")
    assert_same(round_, Round.read(tmp_path / "here"))
    (tmp_path / "link").symlink_to("round")
    round_.write(tmp_path / "link", ".parquet")
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.suffix for path in (tmp_path / "round").iterdir()) == [
        *[".parquet"] * 4,
    ]


# Round.write and Round.read undo each other

WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="|"), min_size=1, max_size=5
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, pl.DataFrame]:
    """Draw the tables of a round that is right in every respect, as text."""
    levels = list(terms.LEVELS)
    codes = draw(st.lists(WORDS, min_size=2, max_size=6, unique=True))
    counties = draw(st.lists(WORDS, min_size=1, max_size=3, unique=True))
    subjects = draw(st.lists(WORDS, min_size=3, max_size=6, unique=True))
    county_of = {code: draw(st.sampled_from(counties)) for code in codes}
    used = sorted(set(county_of.values()))
    level_of = {code: draw(st.sampled_from(levels)) for code in codes}
    taught = {level: subjects[k::3] for k, level in enumerate(levels)}
    schools = pl.DataFrame(
        {
            "school": codes,
            "name": [draw(WORDS | st.just("")) for _ in codes],
            "county": [county_of[code] for code in codes],
            "township": [draw(WORDS | st.just("")) for _ in codes],
            "level": [level_of[code] for code in codes],
            "tags": [draw(st.lists(WORDS, max_size=2)) for _ in codes],
            "notice": [draw(WORDS | st.none()) for _ in codes],
        },
        schema_overrides={"tags": pl.List(pl.String), "notice": pl.String},
    )

    def teacher(teacher_id: str) -> dict[str, Any]:
        school = draw(st.sampled_from(codes))
        own = draw(st.permutations(taught[level_of[school]]))
        wished = draw(st.lists(st.sampled_from(used), unique=True))
        others = [
            code
            for code in codes
            if code != school
            and county_of[code] in wished
            and level_of[code] == level_of[school]
        ]
        return {
            "teacher_id": teacher_id,
            "school": school,
            "subject": own[0],
            "subjects": own[: draw(st.integers(1, 3))],
            "counties": wished,
            "points": [draw(st.sampled_from(["7", "65.25", "0"])) for _ in wished],
            "groups": draw(st.lists(WORDS, max_size=2)),
            "service_years": draw(st.sampled_from([None, "0", "12.5"])),
            "birth_date": draw(st.sampled_from([None, "1970-01-01", "2001-12-31"])),
            "home_points": draw(st.sampled_from([None, "0.05"])),
            "choices": draw(st.permutations(others)) if others else [],
        }

    ids = draw(st.lists(WORDS, max_size=5, unique=True))
    kinds = {name: pl.List(pl.String) for name in LISTS if name != "tags"}
    scalars = ("teacher_id", "school", "subject", "service_years", "birth_date")
    teachers = pl.DataFrame(
        [teacher(each) for each in ids],
        schema={
            **dict.fromkeys((*scalars, "home_points"), pl.String),
            **kinds,
        },
    )
    named = [level for level in levels for _ in taught[level]]
    flat = [subject for level in levels for subject in taught[level]]
    return {
        "schools": schools,
        "subjects": pl.DataFrame({"subject": flat, "name": flat, "level": named}),
        "teachers": teachers,
    }


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=tables(), suffix=st.sampled_from([".csv", ".parquet"]))
def test_writing_and_reading_undo_each_other(
    tmp_path_factory: pytest.TempPathFactory,
    frames: dict[str, pl.DataFrame],
    suffix: str,
) -> None:
    folder = tmp_path_factory.mktemp("round")
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    round_ = Round.read(folder)
    assert round_.teachers["teacher_id"].to_list() == (
        frames["teachers"]["teacher_id"].to_list()
    )
    round_.write(folder / "again", suffix)
    again = Round.read(folder / "again")
    for name in frames:
        assert_frame_equal(getattr(round_, name), getattr(again, name))
