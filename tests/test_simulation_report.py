"""The report of a simulation: right figures, whole in both languages, nothing else."""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
import shutil
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from jiepin.core import errors, terms
from jiepin.core.measures import MEASURES
from jiepin.core.report import svg
from jiepin.core.report.figures import BANDS, BandFigures
from jiepin.core.simulation import page, pictures, summary
from jiepin.core.simulation.questions import QUESTIONS
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.view import View
from jiepin.core.terms import label_in

COUNTIES = ("01", "63", "71")
T_TABLE = {1: 12.706, 2: 4.3027, 8: 2.306, 11: 2.201, 30: 2.0423, 120: 1.9799}
CHARTS = [chart for question in QUESTIONS for chart in question.charts]
FORMS = list({chart.form: chart for chart in CHARTS}.values())  # one of each
SCENARIO = """
name = "invented"
title = "現行規則與<另一種>"
title_en = "Today's rules & <another>"
replications = {replications}
seed = 1
measures = {measures}
baseline = "official"
[population]
kind = "generated"
teachers = 400
[[case]]
name = "six"
label = "六人以下"
label_en = "up to six"
rules = "taiwan-110"
seats = 0.5
[[case]]
name = "official"
label = "現行規則"
rules = "taiwan-110"
[[case]]
name = "best"
rules = "taiwan-110"
mechanism = "optimum"
"""


def scenario_of(measures: list[str], replications: int = 12) -> Scenario:
    text = SCENARIO.format(replications=replications, measures=measures)
    return Scenario.from_toml(text)


def keys_of(measure: str, case: str) -> list[str]:
    """Return the keys that a measure gives, as measures.py has them."""
    stages = ["optimum"] if case == "best" else ["one-way", "mutual", "five-way"]
    keys = {
        "moves": ["", "elementary", "kindergarten"],
        "share": ["", "elementary", "kindergarten"],
        "choices": [BandFigures(*band, 0).label for band in BANDS],
        "stages": stages,
        "exchanges": ["", *map(str, terms.EXCHANGE_SIZES), "11–"],
        "flows": [f"{a}>{b}" for a in COUNTIES for b in COUNTIES],
        "regret": ["", *map(str, range(1, 11))],
    }
    if measure.startswith("county_"):
        return [*COUNTIES] if measure == "county_net" else ["", *COUNTIES]
    if measure.endswith(("_years", "_applicants")):
        return ["before", "after"]
    return keys.get(
        measure, ["", "applicants"] if measure in ("envy", "waste") else [""]
    )


def value_of(replication: int, case: str, measure: str, key: str) -> float:
    """Return an invented figure that looks like one and is always the same."""
    number = sum(map(ord, f"{case} {measure} {key}")) % 89 + 1
    wobble = (replication * 37 + number * 11) % 23 / 23
    unit = MEASURES[measure].unit.en
    if unit == "share":
        return (number + wobble) / 99
    if measure == "county_net":
        return float(number - 50 + round(9 * wobble))
    return number / 7 + wobble if unit == "years" else float(number + round(9 * wobble))


def invented(scenario: Scenario) -> pl.DataFrame:
    """Return results as the runner writes them."""
    return pl.DataFrame(
        [
            (scenario.digest[:16], replication, case.name, measure, key, value)
            for replication in range(scenario.replications)
            for case in scenario.cases
            for measure in scenario.measures
            for key in keys_of(measure, case.name)
            for value in [value_of(replication, case.name, measure, key)]
        ],
        schema={
            "scenario": pl.String,
            "replication": pl.Int64,
            "case": pl.String,
            "measure": pl.String,
            "key": pl.String,
            "value": pl.Float64,
        },
        orient="row",
    )


def plain_summary(
    results: pl.DataFrame, baseline: str
) -> dict[tuple[str, str, str], list[float | None]]:
    """Return n, mean, sd and the ends of both intervals, one figure after the other."""
    values: dict[tuple[str, str, str], dict[int, float]] = {}
    for _, number, *names, value in results.iter_rows():
        values.setdefault(tuple(names), {})[number] = value
    found: dict[tuple[str, str, str], list[float | None]] = {}
    for (case, measure, key), own in values.items():
        other = values.get((baseline, measure, key), {})
        pairs = [own[number] - other[number] for number in own if number in other]
        mean, low, high, sd = plain_interval(list(own.values()))
        none = (None, None, None, None)
        apart = plain_interval(pairs) if pairs and case != baseline else none
        found[case, measure, key] = [len(own), mean, sd, low, high, *apart[:3]]
    return found


def plain_interval(values: list[float]) -> tuple[float | None, ...]:
    """Return mean, ends of the interval, and standard deviation."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, None, None, None
    sd = statistics.stdev(values)
    reach = T_TABLE[len(values) - 1] * sd / math.sqrt(len(values))
    return mean, mean - reach, mean + reach, sd


def holed(results: pl.DataFrame) -> pl.DataFrame:
    """Leave rows out here and there, and all but one of one figure."""
    gone = (pl.col("replication") % 4 == 1) & (pl.col("measure") == "remote_years")
    once = (pl.col("case") == "six") & (pl.col("key") == "indigenous")
    return results.filter(~gone & ~(once & (pl.col("replication") > 0)))


# ---- Summary


@pytest.mark.parametrize("block", [1, 5, 200])
def test_summary_is_that_of_plain_sums(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "_BLOCK", block)
    scenario = scenario_of(["moves", "stages", "remote_years", "share", "flows"])
    results = holed(invented(scenario))
    found = summary.summarise(results.lazy(), scenario)
    expected = plain_summary(results, "official")
    assert found.height == len(expected)
    for case, measure, key, *row in found.iter_rows():
        plain = expected[case, measure, key]
        assert [value is None for value in row] == [value is None for value in plain]
        values = [value for value in plain if value is not None]
        assert [value for value in row if value is not None] == pytest.approx(
            values, rel=5e-4, abs=1e-9
        )


def test_summary_is_in_order_whatever_that_of_the_rows() -> None:
    scenario = scenario_of(["stages", "choices", "exchanges", "remote_years"])
    results = invented(scenario)
    found = summary.summarise(results.lazy(), scenario)
    mixed = results.sample(fraction=1, shuffle=True, seed=3)
    assert summary.summarise(mixed.lazy(), scenario).equals(found)
    rows = list(dict.fromkeys(found.select("case", "measure").iter_rows()))
    assert rows == [(c.name, m) for c in scenario.cases for m in scenario.measures]
    six = found.filter(case="six").group_by("measure", maintain_order=True)
    assert [keys for (keys,) in six.agg("key").select("key").iter_rows()] == [
        ["1", "2", "3", "4–5", "6–10", "11–20", "21–50", "51–"],
        ["one-way", "mutual", "five-way"],
        ["", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11–"],
        ["before", "after"],
    ]


def test_summary_of_nothing_and_of_one() -> None:
    scenario = scenario_of(["moves"], replications=1)
    results = invented(scenario)
    nothing = summary.summarise(results.clear().lazy(), scenario)
    assert nothing.schema == pl.Schema(summary.SUMMARY_SCHEMA)
    assert nothing.is_empty()
    one = summary.summarise(results.lazy(), scenario)
    assert one["n"].unique().to_list() == [1]
    for column in ("sd", "low", "high", "diff_low", "diff_high"):
        assert one[column].null_count() == one.height
    assert one["diff"].null_count() == 3  # those of the baseline


def test_cases_that_are_alike_differ_by_nothing() -> None:
    scenario = scenario_of(["share"])
    results = invented(scenario).filter(pl.col("case") == "official")
    twins = [results.with_columns(case=pl.lit(case.name)) for case in scenario.cases]
    found = summary.summarise(pl.concat(twins).lazy(), scenario)
    apart = found.filter(pl.col("case") != "official")
    assert apart.select("diff", "diff_low", "diff_high").unique().rows() == [(0, 0, 0)]


@pytest.mark.parametrize(("freedom", "expected"), [*T_TABLE.items(), (10_000, 1.9602)])
def test_student(freedom: int, expected: float) -> None:
    assert summary.student(freedom) == pytest.approx(expected, rel=3e-4)


# ---- Page


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return scenario_of(list(MEASURES))


@pytest.fixture(scope="module")
def folder(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report; as PNG one picture of each form, for they take long."""
    folder = tmp_path_factory.mktemp("simulated")
    invented(scenario).write_parquet(folder / "results.parquet")
    draw_png = pictures.draw_png
    drawn = {"en": FORMS, "zh": FORMS[:1]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pictures,
            "draw_png",
            lambda chart, view: (
                draw_png(chart, view) if chart in drawn[view.lang] else None
            ),
        )
        page.write(folder, scenario)
    return folder


@pytest.fixture(scope="module")
def texts(folder: Path) -> dict[str, str]:
    return {lang: (folder / file).read_text() for lang, file in page.PAGES.items()}


def view_of(scenario: Scenario, lang: str) -> View:
    found = summary.summarise(invented(scenario).lazy(), scenario)
    return View(found, scenario, lang, {})


def body(text: str) -> str:
    """Return the words of a page: no scripts, styles, pictures or TOML."""
    for tag in ("script", "style", "svg", "pre"):
        text = re.sub(f"<{tag}.*?</{tag}>", "", text, flags=re.DOTALL)
    return text


def charts(text: str) -> dict[str, dict[str, Any]]:
    """Return the Vega-Lite of each picture."""
    found = re.findall(r'data-chart="([\w-]+)".*?json">(.*?)</script>', text, re.DOTALL)
    return {name: json.loads(chart) for name, chart in found}


def test_every_measure_has_its_question() -> None:
    asked = [name for question in QUESTIONS for name in question.tables]
    assert sorted(asked) == sorted(MEASURES)
    assert {chart.measure for chart in CHARTS} <= set(asked)


def test_files(folder: Path) -> None:
    names = {chart.name for chart in CHARTS}
    there = {file.name for file in (folder / "pictures").iterdir()}
    assert there >= {f"{name}{kind}.svg" for name in names for kind in ("", ".en")}
    assert there >= {f"{chart.name}.en.png" for chart in FORMS}
    assert there <= set(page.PICTURE_FILES)
    table = pl.read_csv(folder / "summary.csv", schema=summary.SUMMARY_SCHEMA)
    assert table.height > 200
    for file in (folder / "pictures").glob("*.svg"):
        ElementTree.parse(file)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_page_has_each_section(texts: dict[str, str], lang: str) -> None:
    text = texts[lang]
    for question in QUESTIONS:
        title = html.escape(label_in(question.title, lang), quote=False)
        assert f'<h2 id="{question.name}">{title}</h2>' in text.replace("&#39;", "'")
        assert f'<a href="#{question.name}">' in text
    assert '<h2 id="scenario">' in text
    for name, table in charts(text).items():
        assert table["layer"], name


def test_both_languages_are_whole(texts: dict[str, str]) -> None:
    assert '<html lang="zh-Hant-TW">' in texts["zh"]
    assert '<html lang="en">' in texts["en"]
    assert not re.findall(r"[\u3000-\u9fff\uff00-\uffef]+", body(texts["en"]))
    assert "現行規則與&lt;另一種&gt;" in texts["zh"]
    assert "Today&#39;s rules &amp; &lt;another&gt;" in texts["en"]
    chinese = body(texts["zh"])
    labels = [label for one in QUESTIONS for label in (one.title, one.about)]
    labels += [label for one in MEASURES.values() for label in (one.label, one.about)]
    assert [label.en for label in labels if f">{label.en}" in chinese] == []
    assert "stage by stage" not in chinese


def test_page_needs_nothing_else(texts: dict[str, str]) -> None:
    for text in texts.values():
        assert set(re.findall(r'href="([^#"][^"]*)"', body(text))) == {"summary.csv"}
        assert not re.findall(r"<(?:link|img|iframe|object)\b|\ssrc=", body(text))
        assert not re.findall(r"@import|url\((?!#)", text.split("</style>")[0])
        assert text.count("window.vegaEmbed") == 1


def test_pictures_show_the_figures(texts: dict[str, str], scenario: Scenario) -> None:
    figures = view_of(scenario, "en").figures("share", "six")
    assert figures[""]["mean"] == pytest.approx(
        statistics.fmean(
            value_of(number, "six", "share", "")
            for number in range(scenario.replications)
        )
    )
    drawn = charts(texts["en"])
    assert list(drawn) == [chart.name for chart in CHARTS]
    for case in scenario.cases:
        row = view_of(scenario, "en").figures("moves", case.name)[""]
        label = case.label_en or case.name
        marks = values_in(drawn["moves"], case=label)
        for mark in marks:
            assert mark["value"] == pytest.approx(row["mean"], rel=1e-5)
            assert mark["low"] == pytest.approx(row["low"], rel=1e-5)
            assert mark["high"] == pytest.approx(row["high"], rel=1e-5)
        assert marks
        assert f">{row['mean']:,.1f}</td>" in texts["en"]
    assert not values_in(drawn["moves-difference"], case="official")


def values_in(chart: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    """Return the rows of a chart that have these fields."""
    rows = [row for table in chart["datasets"].values() for row in table]
    return [row for row in rows if wanted.items() <= row.items()]


def test_each_picture_is_told_in_words(texts: dict[str, str]) -> None:
    for text in texts.values():
        figures = re.findall(r"<figure class=.*?</figure>", text, re.DOTALL)
        assert len(figures) == len(CHARTS)
        for figure in figures:
            told = re.search(r'role="img" aria-label="([^"]{12,})"', figure)
            assert told
            assert re.search(r"<noscript><svg .*</svg></noscript>", figure, re.DOTALL)


def test_same_results_same_bytes(texts: dict[str, str], folder: Path) -> None:
    scenario = scenario_of(list(MEASURES))
    counties = page.county_names(scenario)
    found = summary.summarise(folder / "results.parquet", scenario)
    view = View(found, scenario, "zh", counties)
    digest = hashlib.sha256((folder / "results.parquet").read_bytes()).hexdigest()
    drawn = page.pictures_of(view)
    assert page.page(view, digest, drawn) == texts["zh"]
    for name, picture in drawn.items():
        file = folder / "pictures" / f"{name}.svg"
        assert file.read_text() == svg.stand_alone(picture)


def test_only_questions_that_were_measured() -> None:
    view = view_of(scenario_of(["flows", "share"]), "zh")
    text = page.page(view, "0" * 64, page.pictures_of(view))
    ids = re.findall(r'<h2 id="([\w-]+)"', text)
    assert ids == ["moves", "flows", "scenario"]
    assert list(charts(text)) == ["flows"]


def test_one_case_has_no_differences(tmp_path: Path) -> None:
    whole = scenario_of(["moves", "regret"], replications=3)
    alone = replace(whole, cases=whole.cases[1:2])
    invented(alone).write_parquet(tmp_path / "results.parquet")
    page.write(tmp_path, alone)
    assert list(charts((tmp_path / "report.html").read_text())) == ["moves", "regret"]
    names = {file.stem for file in (tmp_path / "pictures").glob("*.svg")}
    assert names == {"moves", "moves.en", "regret", "regret.en"}


def test_pictures_say_whether_they_have_intervals() -> None:
    moves, choices = QUESTIONS[0].charts[0], QUESTIONS[2].charts[0]
    several = view_of(scenario_of(["moves", "choices"]), "en")
    once = view_of(scenario_of(["moves", "choices"], replications=1), "en")
    assert several.note(moves) == "mean and 95 % interval"
    assert [several.note(choices), once.note(moves)] == ["mean", "mean"]
    assert f">{several.note(moves)}</text>" in pictures.draw(moves, several)


def test_letters_that_no_font_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_CHINESE", ())
    scenario = scenario_of(["moves"])
    chart = QUESTIONS[0].charts[0]
    assert pictures.draw_png(chart, view_of(scenario, "zh")) is None
    english = pictures.draw_png(chart, view_of(scenario, "en"))
    assert english is not None
    assert english.startswith(b"\x89PNG")


@pytest.mark.parametrize("package", ["altair", "jinja2", "matplotlib", "vl_convert"])
def test_missing_package(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = scenario_of(["moves"], replications=2)
    invented(scenario).write_parquet(tmp_path / "results.parquet")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(errors.NotInstalled, match="simulate"):
        page.write(tmp_path, scenario)
    assert [file.name for file in tmp_path.iterdir()] == ["results.parquet"]


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "mine.svg").write_text("<svg/>")
    with pytest.raises(errors.FolderInTheWay, match=r"mine\.svg"):
        page.write(tmp_path, scenario_of(["moves"]))
    shutil.rmtree(tmp_path / "pictures")
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(errors.FileInTheWay, match=r"report\.html"):
        page.write(tmp_path, scenario_of(["moves"]))
    assert (tmp_path / "report.html").read_text() == "mine"


# ---- In a browser


def test_in_a_browser(folder: Path) -> None:
    from site_browser import WIDTHS, launched

    told: list[str] = []
    with launched() as browser:
        for width in WIDTHS.values():
            tab = browser.new_page(viewport={"width": width, "height": 900})
            tab.on("console", lambda message: told.append(message.text))
            tab.on("pageerror", lambda error: told.append(str(error)))
            tab.on("request", lambda request: told.append(request.url))
            tab.goto((folder / "report.html").as_uri())
            look(tab, width)
            tab.close()
    assert told == [(folder / "report.html").as_uri()] * len(WIDTHS)


def look(tab: Any, width: int) -> None:
    """Expect every picture inside the width, and that another case can be chosen."""
    drawings = "document.querySelectorAll('.drawing svg')"
    tab.wait_for_function(f"{drawings}.length == {len(CHARTS)}")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    for drawing in tab.query_selector_all(".chart > .drawing svg"):
        right = drawing.evaluate("chart => chart.getBoundingClientRect().right")
        assert right <= width
    flows = "document.querySelector('[data-chart=flows] .drawing svg').innerHTML"
    before = tab.evaluate(flows)
    tab.select_option("select", "six")
    tab.wait_for_function(f"before => {flows} !== before", arg=before)
