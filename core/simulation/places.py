"""The counties, townships and subjects of Taiwan, and a directory of invented schools.

`places.csv` holds, per township, how many public elementary schools (school year 114)
and public kindergartens (113) there are, counted from the directories of the Ministry
of Education (教育部統計處, 政府資料開放授權條款第1版). The rest of it is ours: of the
730 junior-high schools each township with pupils has one, and the others follow the
number of its elementary pupils. The official remote marks go school by school; ours
follow the standard by township on the islands, and elsewhere the mean number of pupils
per elementary school (below 100; in indigenous areas below 60 special, below 36
extreme). `indigenous` marks the 55 townships of indigenous areas. The weights in
`counties.csv` and `subjects.csv` are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import count

import polars as pl

from jiepin.core import terms

DIRECTORY_SCHEMA: dict[str, pl.DataType] = {
    "school": pl.String(),
    "name": pl.String(),
    "short_name": pl.String(),
    "county": pl.String(),
    "township": pl.String(),
    "level": pl.String(),
    "tags": pl.List(pl.String),
    "address": pl.String(),
    "teachers": pl.Int64(),  # full-time teachers; null where not known
}

# Pairs of a first and a second character name the invented schools, as in 文興國小.
_FIRST = "大新文光永中安福忠和仁三長復明東西南北建"
_SECOND = "興安明平和文德義光華正豐福林山湖溪港園成"
_STRIDE = 47  # shares no factor with 400, so its steps meet every pair once

_FIRST_NUMBER = {terms.JUNIOR_HIGH: 501, terms.ELEMENTARY: 601}
_SUFFIX = {terms.JUNIOR_HIGH: "國中", terms.ELEMENTARY: "國小"}
_PUBLIC = "4"  # third character of the code of a school run by its county
_LETTERS, _PER_LETTER = "XYZ", 99  # kindergartens are X01 … X99, Y01 …
_ORDINALS = ("", *(f"第{digit}" for digit in "二三四五六七八九十"), "第十一", "第十二")


@cache
def counties() -> pl.DataFrame:
    """Return the 22 counties in code order: county, name, region and two weights.

    attraction  how much teachers elsewhere wish for it, for its size
    leaving     how much its own teachers wish to leave
    """
    return _table("counties.csv", "attraction", "leaving")


@cache
def townships() -> pl.DataFrame:
    """Return the townships: county, township, schools per level, mark, indigenous."""
    counts = ("elementary", "junior_high", "kindergarten")
    return _table("places.csv", *counts, "indigenous")


@cache
def subjects() -> pl.DataFrame:
    """Return the subjects of all levels: subject, name, level, family, share.

    The elementary ones are those of the year-110 handbook.
    """
    return _table("subjects.csv", "share")


def _table(file: str, *numbers: str) -> pl.DataFrame:
    content = (files("jiepin.core") / "simulation" / file).read_bytes()
    texts = pl.read_csv(content, infer_schema=False)
    return texts.with_columns(pl.col(numbers).cast(pl.Int64))


def written_alike(name: str) -> str:
    """Return a place name without spaces and with 臺 for 台, to compare names by.

    >>> written_alike(" 台東縣")
    '臺東縣'
    """
    return "".join(name.split()).replace("台", "臺")


@cache
def county_codes() -> dict[str, str]:
    """Return the code of each county by its name.

    >>> county_codes()["臺北市"], county_codes()["雲林縣"]
    ('30', '09')
    """
    table = counties()
    return dict(zip(table["name"], table["county"], strict=True))


@cache
def townships_of(county: str) -> tuple[str, ...]:
    """Return the townships of the county with this code.

    >>> townships_of("20")
    ('東區', '西區')
    """
    return tuple(townships().filter(pl.col("county") == county)["township"])


def with_tags(schools: pl.DataFrame) -> pl.DataFrame:
    """Return the schools with the tags of their townships; no tags where unknown."""
    marks = townships().select(
        "county",
        "township",
        pl.concat_list(
            "mark",
            pl.when(pl.col("indigenous") == 1).then(pl.lit("indigenous")),
        )
        .list.drop_nulls()
        .alias("tags"),
    )
    no_tags = pl.lit([], dtype=pl.List(pl.String))
    return schools.join(
        marks, on=["county", "township"], how="left", maintain_order="left"
    ).with_columns(pl.col("tags").fill_null(no_tags))


@cache
def invented_directory() -> pl.DataFrame:
    """Return as many schools as there are in each township, with invented names.

    One row per school in code order, columns of DIRECTORY_SCHEMA.

    >>> invented_directory().select("school", "name", "county", "township").row(0)
    ('014501', '三峽國中', '01', '三峽區')
    """
    rows = [
        row
        for county, name in counties().select("county", "name").iter_rows()
        for row in _schools_of(county, name)
    ]
    columns = ["school", "name", "short_name", "county", "township", "level"]
    frame = pl.DataFrame(rows, schema=columns, orient="row")
    frame = with_tags(frame.sort("school")).with_columns(address=None, teachers=None)
    return frame.select(
        pl.col(name).cast(kind) for name, kind in DIRECTORY_SCHEMA.items()
    )


def _schools_of(county: str, county_name: str) -> Iterator[tuple[str, ...]]:
    """Yield code, name, short name, county, township and level of each school."""
    of_county = townships().filter(pl.col("county") == county)
    elementary: dict[str, list[str]] = {}
    for level, column in (
        (terms.JUNIOR_HIGH, "junior_high"),
        (terms.ELEMENTARY, "elementary"),
    ):
        stems = _stems(county, of_county["township"].to_list())
        numbers = count(_FIRST_NUMBER[level])
        for township, n in of_county.select("township", column).iter_rows():
            names = [_first_stem(township) if i == 0 else next(stems) for i in range(n)]
            elementary[township] = names
            for stem in names:
                code = f"{county}{_PUBLIC}{next(numbers)}"
                yield code, stem + _SUFFIX[level], stem, county, township, level
    numbers = count()
    for township, n in of_county.select("township", "kindergarten").iter_rows():
        for i in range(n):
            letter, number = divmod(next(numbers), _PER_LETTER)
            code = f"{county}{_PUBLIC}{_LETTERS[letter]}{number + 1:02d}"
            name, short = _kindergarten(county_name, township, elementary[township], i)
            yield code, name, short, county, township, terms.KINDERGARTEN


def _kindergarten(
    county_name: str, township: str, elementary: list[str], number: int
) -> tuple[str, str]:
    """Name a kindergarten: one at each elementary school, then those on their own."""
    if number < len(elementary):
        stem = elementary[number]
        return f"{county_name}{township}{stem}國民小學附設幼兒園", f"{stem}附幼"
    stem = _first_stem(township) + _ORDINALS[number - len(elementary)]
    return f"{county_name}立{stem}幼兒園", f"{stem}幼"


def _first_stem(township: str) -> str:
    """Return what the first school of a township is called.

    >>> _first_stem("三峽區"), _first_stem("東區")
    ('三峽', '東區')
    """
    return township if len(township) == 2 else township[:-1]


def _stems(county: str, township_names: list[str]) -> Iterator[str]:
    """Yield names for the other schools of a county, none of them twice."""
    taken = {_first_stem(township) for township in township_names}
    pairs = [first + second for first in _FIRST for second in _SECOND]
    for step in range(len(pairs)):
        stem = pairs[(int(county) + step * _STRIDE) % len(pairs)]
        if stem not in taken and stem[0] != stem[1]:
            yield stem
