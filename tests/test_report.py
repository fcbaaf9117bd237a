"""The report: right figures, pictures that follow the page, all on one page."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, given, settings
from small_rounds import (
    EXCHANGES,
    ONE_WAY,
    REOPEN,
    Teacher,
    edited,
    read_round,
    rows_of,
    rules_of,
)
from strategies import Case, cases

from jiepin.core import Figures, Outcome, Round, cli, errors, figures, solve, void
from jiepin.core.plain import PlainRound
from jiepin.core.report import page, pictures, svg
from jiepin.core.report.figures import (
    BandFigures,
    CountyFigures,
    CutOff,
    Flow,
    LevelFigures,
    StageFigures,
)

ROOT = Path(__file__).resolve().parents[1]
SEVERAL = {"A": "01", "B": "02", "C": "03", "D": "03 swap-only"}
NAMES = {"01": "<甲&縣>", "02": "$x_1$ 市", "03": "丙縣"}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Round, Outcome]:
    """T1 goes one-way from A to B, T2 into the seat left at A; T3 and T4 exchange."""
    round_ = read_round(
        tmp_path_factory.mktemp("small") / "round",
        SEVERAL,
        [
            Teacher("T1", "A", "CB", 70, subjects="mg"),
            Teacher("T2", "C", "DA", {"03": 10, "01": 45}, subjects="mg"),
            Teacher("T3", "C", "DA", 40),
            Teacher("T4", "D", "C", 30),
            Teacher("T5", "A", "B", 20),
            Teacher("T6", "B", ""),
        ],
        {"Bg": 1, "Dg": 5, "Cx": 2, "Ax": 0},
    )
    outcome = solve(round_, rules_of(REOPEN, ONE_WAY, EXCHANGES[2]))
    return round_, outcome


@pytest.fixture(scope="module")
def found(small: tuple[Round, Outcome]) -> Figures:
    return figures(*small)


@pytest.fixture(scope="module")
def drawn(found: Figures) -> dict[str, str]:
    return pictures.draw(found, "zh", NAMES)


# ---- Figures


def test_figures_worked_by_hand(found: Figures) -> None:
    assert (found.applicants, found.moved) == (6, 4)
    assert found.levels == (LevelFigures("elementary", 6, 4),)
    assert found.stages == (
        StageFigures("remote", 0, 0, 2),
        StageFigures("one-way", 0, 0, 0),
        StageFigures("mutual", 2, 1, 2),
    )
    assert found.choices[:4] == (
        BandFigures(1, 1, 2),
        BandFigures(2, 2, 2),
        BandFigures(3, 3, 0),
        BandFigures(4, 5, 0),
    )
    assert found.choices[-1] == BandFigures(51, None, 0)
    assert found.counties == (
        CountyFigures("01", applicants=2, left=1, came=1, within=0),
        CountyFigures("02", applicants=1, left=0, came=1, within=0),
        CountyFigures("03", applicants=3, left=1, came=0, within=2),
    )
    assert [county.net for county in found.counties] == [0, 1, -1]
    assert found.flows == (
        Flow("01", "02", 1),
        Flow("03", "01", 1),
        Flow("03", "03", 2),
    )


def test_cut_offs_worked_by_hand(found: Figures) -> None:
    """Points are those of the county joined; seats that open again count."""
    assert found.cut_offs == (
        CutOff("01", "elementary", "m", "m科", seats=1, moved=1, points=4500),
        CutOff("02", "elementary", "g", "g科", seats=1, moved=1, points=7000),
        CutOff("03", "elementary", "m", "m科", seats=1, moved=0, points=None),
        CutOff("03", "elementary", "x", "x科", seats=2, moved=0, points=None),
    )


def test_points_where_the_best_count(small: tuple[Round, Outcome]) -> None:
    round_, _ = small
    rules = rules_of(REOPEN, priority="best")
    first = figures(round_, solve(round_, rules)).cut_offs[0]
    assert (first.county, first.points) == ("01", 4500)
    other = replace(
        round_,
        teachers=round_.teachers.with_columns(
            points=round_.teachers["points"].list.reverse()
        ),
    )
    first = figures(other, solve(other, rules)).cut_offs[0]
    assert (first.county, first.points) == ("01", 4500)


def test_figures_are_plain_tables(found: Figures) -> None:
    table = json.loads(json.dumps(found.to_dict()))
    assert table["flows"][0] == {"origin": "01", "destination": "02", "moved": 1}
    assert list(table) == [
        *("applicants", "moved", "levels", "stages", "choices"),
        *("counties", "flows", "cut_offs"),
    ]


def test_a_result_of_another_round(small: tuple[Round, Outcome]) -> None:
    round_, outcome = small
    with pytest.raises(errors.BadResult, match="not those of the round"):
        figures(round_, edited(outcome, rows_of(outcome)[1:]))


def test_a_result_after_a_default(small: tuple[Round, Outcome]) -> None:
    round_, outcome = small
    after = figures(round_, void(round_, outcome, ["T3"]))
    assert after.moved == 2
    assert after.stages[-1] == StageFigures("mutual", 2, 0, 0)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_sums_and_cut_offs_of_drawn_rounds(case: Case) -> None:
    round_ = case.round_
    outcome = solve(round_, case.rules, case.seed)
    told = figures(round_, outcome)
    assert told.moved == outcome.moves.height
    for parts in (told.levels, told.stages, told.choices, told.flows):
        assert sum(part.moved for part in parts) == told.moved
    assert sum(county.applicants for county in told.counties) == told.applicants
    assert sum(county.net for county in told.counties) == 0
    assert all(row.moved <= row.seats for row in told.cut_offs)
    lowest = {
        (row.county, row.subject): (row.moved, row.points)
        for row in told.cut_offs
        if row.moved
    }
    assert lowest == lowest_points(round_, outcome)


def lowest_points(
    round_: Round, outcome: Outcome
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return by county and subject how many came one-way, and the fewest points."""
    plain = PlainRound.of(round_, outcome.rules, outcome.seed)
    one_way = {stage.name for stage in outcome.rules.stages if not stage.size}
    codes = [school.code for school in plain.schools]
    points: dict[tuple[str, str], list[int]] = {}
    for applicant, row in enumerate(rows_of(outcome)):
        if row["stage"] in one_way:
            subjects = [subject.code for subject in plain.subjects]
            position = codes.index(row["school"]) * len(subjects)
            position += subjects.index(row["subject"])
            key = plain.school_at(position).county, row["subject"]
            points.setdefault(key, []).append(plain.points(applicant, position))
    return {key: (len(values), min(values)) for key, values in points.items()}


# ---- Pictures


def test_pictures_stand_in_one_page(drawn: dict[str, str]) -> None:
    assert list(drawn) == ["choices", "flows", "stages"]
    ids: Counter[str] = Counter()
    for name, picture in drawn.items():
        root = ElementTree.fromstring(picture)
        assert root.get("role") == "img"
        assert root.get("aria-label") == pictures.ALTS[name].zh
        elements = list(root.iter())
        ids.update(filter(None, (element.get("id") for element in elements)))
        assert {"style", "script"}.isdisjoint(
            element.tag.rpartition("}")[2] for element in elements
        )
        assert all("style" not in element.attrib for element in elements)
        for wanted in re.findall(r'(?:href="|url\()#([^")]+)', picture):
            assert ids[wanted] == 1
    assert set(ids.values()) == {1}


def test_text_stays_text_in_the_colour_of_the_page(drawn: dict[str, str]) -> None:
    for picture in drawn.values():
        assert svg.INK not in picture
        texts = re.findall(r"<text ([^>]*)>([^<]+)</text>", picture)
        assert texts
        assert all('fill="currentColor"' in attributes for attributes, _ in texts)
        assert "Noto Sans CJK TC" in picture
        assert "DejaVu" not in picture
    assert "單調" in drawn["stages"]
    assert "&lt;甲&amp;縣&gt;" in drawn["flows"]
    assert ">$x_1$ 市<" in drawn["flows"]


def test_stages_in_english(found: Figures) -> None:
    assert ">one-way<" in pictures.draw(found, "en")["stages"]


def test_a_picture_of_its_own_is_light_or_dark(drawn: dict[str, str]) -> None:
    alone = svg.stand_alone(drawn["stages"])
    root = ElementTree.fromstring(alone)
    assert root.get("color")
    assert "prefers-color-scheme: dark" in alone
    assert alone.count("<style>") == 1


def test_counties_of_one_name_are_told_apart(found: Figures) -> None:
    picture = pictures.draw(found, "zh", dict.fromkeys(NAMES, "縣"))["flows"]
    assert ">01 縣<" in picture
    assert ">02 縣<" in picture


def test_long_names_of_counties_have_room(found: Figures) -> None:
    """The circle gives way: at the edge there is room for the longest name."""

    def reach(name: str) -> float:
        drawn = pictures.draw(found, "en", {code: name + code for code in NAMES})
        at = re.findall(r'<text [^>]*x="([0-9.]+)" y="([0-9.]+)"', drawn["flows"])
        return max(math.hypot(float(x) - 260, float(y) - 260) for x, y in at)

    assert reach("Kaohsiung City ") + 17 * 0.6 * 13 < 260
    assert reach("Kaohsiung City ") < reach("高雄") < 205


def test_no_flows_where_nobody_leaves_the_county(found: Figures) -> None:
    within = replace(found, flows=(Flow("03", "03", 2),))
    assert list(pictures.draw(within, "zh")) == ["choices", "stages"]


def test_nothing_moved(small: tuple[Round, Outcome]) -> None:
    round_, _ = small
    nothing = solve(round_, rules_of(EXCHANGES[5]))
    told = figures(round_, nothing)
    text = page.page(nothing, told, pictures.draw(told, "zh"))
    assert "無人達成介聘" in text


def test_settings_of_the_process_neither_matter_nor_change(found: Figures) -> None:
    plain = pictures.draw(found, "zh")
    with mpl.rc_context({"font.size": 30, "savefig.bbox": "tight"}):
        before = dict(mpl.rcParams)
        assert pictures.draw(found, "zh") == plain
        assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("missing", ["matplotlib", "pycirclize", "pandas"])
def test_a_package_that_is_missing(
    found: Figures, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(errors.NotInstalled, match=r"pip install 'jiepin\[report\]'"):
        pictures.draw(found, "zh")


def test_the_page_without_jinja(
    small: tuple[Round, Outcome], found: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(errors.NotInstalled, match="jinja2"):
        page.page(small[1], found, {})


# ---- The page


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_stands_alone(
    small: tuple[Round, Outcome], found: Figures, drawn: dict[str, str], lang: str
) -> None:
    round_, outcome = small
    text = page.page(outcome, found, drawn, lang, NAMES)
    assert text.startswith(page.MARK)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "<script" not in text
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\((?!#)|@import""", text)
    for teacher in round_.teachers["teacher_id"]:
        assert not re.search(rf"\b{teacher}\b", text)
    assert text.count("<svg ") == len(drawn)
    assert text.count("<caption>") == text.count("<table")
    assert "&lt;甲&amp;縣&gt;" in text
    assert "<甲" not in text
    for file, digest in round_.digests.items():
        assert file in text
        assert digest in text
    assert text.count(">45<") == 1  # a cut-off
    assert text.count(">70<") == 1


def test_both_languages_tell_the_same(
    small: tuple[Round, Outcome], found: Figures, drawn: dict[str, str]
) -> None:
    zh, en = (page.page(small[1], found, drawn, lang) for lang in ("zh", "en"))
    assert 'lang="zh-Hant-TW"' in zh
    assert 'lang="en"' in en
    assert "最低調入積分" in zh
    assert "Cut-offs" in en
    body = en[en.index("<body") :]
    shown = re.sub(r"<svg.*?</svg>", "", body, flags=re.DOTALL)
    chinese = set(re.findall(r"[\u4e00-\u9fff]+", shown))
    assert chinese == {"科"}  # of the names of subjects


def test_the_column_within_is_there_where_it_tells_something(
    small: tuple[Round, Outcome], found: Figures, drawn: dict[str, str]
) -> None:
    assert "縣市內調動" in page.page(small[1], found, drawn)
    counties = tuple(replace(county, within=0) for county in found.counties)
    told = replace(found, counties=counties)
    assert "縣市內調動" not in page.page(small[1], told, drawn)


# ---- The command


@pytest.fixture
def folders(small: tuple[Round, Outcome], tmp_path: Path) -> tuple[Path, Path]:
    round_, outcome = small
    round_.write(tmp_path / "round")
    outcome.write(tmp_path / "result")
    return tmp_path / "round", tmp_path / "result"


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object
) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["jiepin", "report", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code, capsys.readouterr().err


def test_the_command(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):  # a report of ours is replaced
        code, err = run(monkeypatch, capsys, *folders, "--pictures", "pictures")
        assert code == 0
        assert "report.html" in err
    assert (tmp_path / "report.html").read_text("utf-8").startswith(page.MARK)
    pictures_there = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert pictures_there == sorted(pictures.FILES)
    told = json.loads((tmp_path / "pictures" / "figures.json").read_text("utf-8"))
    assert told["moved"] == 4


def test_names_of_counties(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names, out = tmp_path / "names.csv", tmp_path / "page.html"
    names.write_text("name,county,more\n甲縣,01,x\n", "utf-8")
    words = (*folders, "--out", out, "--counties", names, "--lang", "en")
    assert run(monkeypatch, capsys, *words)[0] == 0
    text = out.read_text("utf-8")
    assert '<th scope="row">甲縣</th>' in text
    assert '<th scope="row">02</th>' in text
    out.unlink()
    names.write_text("code,name\n01,甲縣\n", "utf-8")
    code, err = run(monkeypatch, capsys, *words)
    assert code == 2
    assert "expected a CSV with the columns county and name" in err
    names.unlink()
    assert run(monkeypatch, capsys, *words)[0] == 2
    assert not out.exists()


def test_nothing_else_is_ever_replaced(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    thesis = tmp_path / "thesis.html"
    thesis.write_text("<!doctype html>\n<p>years of work", "utf-8")
    code, err = run(monkeypatch, capsys, *folders, "--out", thesis)
    assert code == 2
    assert "thesis.html is something else" in err
    assert "years of work" in thesis.read_text("utf-8")
    out = tmp_path / "page.html"
    words = (*folders, "--out", out, "--pictures", folders[1])
    assert run(monkeypatch, capsys, *words)[0] == 2
    assert not out.exists()
    assert (folders[1] / "summary.json").exists()


def test_wrong_input_writes_nothing(
    folders: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "page.html"
    round_, result = folders
    for words in ((round_, round_), (result, result), (round_,)):
        assert run(monkeypatch, capsys, *words, "--out", out)[0] == 2
    assert not out.exists()


def test_the_same_bytes_whatever_the_hash_seed(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    command = Path(sys.executable).with_name("jiepin")
    written = []
    for seed in ("1", "2"):
        out, pictures_at = tmp_path / f"{seed}.html", tmp_path / f"pictures-{seed}"
        subprocess.run(
            [command, "report", *folders, "--out", out, "--pictures", pictures_at],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        )
        files = [out, *sorted(pictures_at.iterdir())]
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
