"""The report of a simulation: pages and pictures beside its results."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import polars as pl

from jiepin.core import errors, terms
from jiepin.core.folders import (
    check_file_replaceable,
    check_replaceable,
    write_file,
    written_whole,
)
from jiepin.core.report import svg
from jiepin.core.simulation import pictures, questions, vega
from jiepin.core.simulation.cases import Case, Uniform
from jiepin.core.simulation.questions import QUESTIONS, Chart, Question, asked
from jiepin.core.simulation.results import RESULTS
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.summary import summarise
from jiepin.core.simulation.tables import tables
from jiepin.core.simulation.toml_text import toml_text
from jiepin.core.simulation.view import View
from jiepin.core.terms import Label, label_in

MARK: Final = "<!doctype html>\n<!-- jiepin simulation -->\n"  # how each page begins
SUMMARY: Final = "summary.csv"
PICTURES: Final = "pictures"
PAGES: Final = {"zh": "report.html", "en": "report.en.html"}
PACKAGES: Final = ("altair", "jinja2", "matplotlib", "vl_convert")

_CHARTS = [chart.name for question in QUESTIONS for chart in question.charts]
_ENDINGS = {"zh": "", "en": ".en"}  # of the names of pictures
PICTURE_FILES: Final = tuple(
    f"{name}{ending}.{kind}"
    for name in _CHARTS
    for ending in _ENDINGS.values()
    for kind in ("svg", "png")
)

# the shapes of marks in a legend, in a square of 16
_PATHS = {
    "circle": "M13 8a5 5 0 1 1-10 0a5 5 0 1 1 10 0z",
    "square": "M3 3h10v10h-10z",
    "triangle-up": "M8 2l6 11h-12z",
    "diamond": "M8 1l6 7l-6 7l-6-7z",
    "cross": "M6 2h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    "triangle-down": "M8 14l6-11h-12z",
}

# the counties of the country in English, by the codes of counties.csv
_ENGLISH = {
    "01": "New Taipei",
    "02": "Yilan",
    "03": "Taoyuan",
    "04": "Hsinchu County",
    "05": "Miaoli",
    "06": "Taichung",
    "07": "Changhua",
    "08": "Nantou",
    "09": "Yunlin",
    "10": "Chiayi County",
    "11": "Tainan",
    "12": "Kaohsiung",
    "13": "Pingtung",
    "14": "Taitung",
    "15": "Hualien",
    "16": "Penghu",
    "17": "Keelung",
    "18": "Hsinchu City",
    "20": "Chiayi City",
    "30": "Taipei",
    "71": "Kinmen",
    "72": "Lienchiang",
}


def write(folder: Path, scenario: Scenario) -> None:
    """Write summary, pages and pictures of a finished simulation beside its results.

    folder  holds results.parquet; gets summary.csv, report.html (Chinese) and
            report.en.html, and pictures: each as SVG and PNG, in both languages, but
            for PNG where the machine has no font with the letters

    The pages need nothing else, and no network. The same results give the same bytes,
    whatever the machine, except for PNG. Raises NotInstalled when Altair, vl-convert,
    Matplotlib or Jinja is missing; FileInTheWay or FolderInTheWay when something else
    has one of the names.
    """
    check(folder)
    check_packages()
    summary = summarise(folder / RESULTS, scenario)
    counties = county_names(scenario)
    views = {lang: View(summary, scenario, lang, counties) for lang in PAGES}
    with (folder / RESULTS).open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    drawn = {lang: pictures_of(view) for lang, view in views.items()}
    texts = {lang: page(view, digest, drawn[lang]) for lang, view in views.items()}
    for lang, text in texts.items():
        write_file(folder / PAGES[lang], text, MARK)
    _write_summary(folder / SUMMARY, summary)
    with written_whole(folder / PICTURES, replaceable=PICTURE_FILES) as target:
        for lang, view in views.items():
            for name, picture in drawn[lang].items():
                file = target / f"{name}{_ENDINGS[lang]}.svg"
                file.write_text(svg.stand_alone(picture), "utf-8", newline="")
            _write_png(target, view, _ENDINGS[lang])


def check(folder: Path) -> None:
    """Raise FileInTheWay or FolderInTheWay if `write` would destroy something else."""
    for name in PAGES.values():
        check_file_replaceable(folder / name, MARK)
    check_replaceable(folder / PICTURES, PICTURE_FILES)


def check_packages() -> None:
    """Raise NotInstalled when a package is missing that `write` needs."""
    errors.NotInstalled.check(PACKAGES, "simulate")


def _write_summary(file: Path, summary: pl.DataFrame) -> None:
    fresh = file.with_suffix(".fresh")
    summary.write_csv(fresh)
    fresh.replace(file)


def _questions(view: View) -> Iterator[Question]:
    """Yield what is asked, without the pictures that would show nothing.

    With one case alone there is nothing to compare the baseline with.
    """
    for question in asked(view.measures):
        charts = tuple(chart for chart in question.charts if view.marks(chart))
        yield replace(question, charts=charts)


def _charts(view: View) -> Iterator[Chart]:
    for question in _questions(view):
        yield from question.charts


def pictures_of(view: View) -> dict[str, str]:
    """Return the pictures, by name, as SVG elements to stand in a page."""
    return {chart.name: pictures.draw(chart, view) for chart in _charts(view)}


def _write_png(target: Path, view: View, ending: str) -> None:
    for chart in _charts(view):
        content = pictures.draw_png(chart, view)
        if content is not None:
            (target / f"{chart.name}{ending}.png").write_bytes(content)


def county_names(scenario: Scenario) -> dict[str, Label]:
    """Return the names of counties, none where those of the scenario are invented."""
    if isinstance(scenario.population, Uniform):
        return {}
    text = (files("jiepin.core.simulation") / "counties.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["county"]: Label(row["name"], _ENGLISH[row["county"]]) for row in rows}


def page(view: View, digest: str, drawn: Mapping[str, str]) -> str:
    """Return the report in the language of a view, as HTML.

    digest  SHA-256 of results.parquet
    drawn   its pictures for readers without JavaScript, SVG by name
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise errors.NotInstalled.of(error, "simulate") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(_file("simulation", "page.html"))
    style = _file("report", "report.css") + _file("simulation", "page.css")
    text = template.render(
        _words(view),
        css=Markup(style),
        libraries=Markup(vega.libraries()),
        specification=lambda chart: Markup(vega.specification(chart, view)),
        drawn={name: Markup(picture) for name, picture in drawn.items()},
        tables=lambda measure: tables(view, measure),
        view=view,
        scenario=view.scenario,
        questions=list(_questions(view)),
        chosen=[questions.FLOWS],
        wide=[questions.FLOWS, questions.GRID],
        paths=_PATHS,
        results_digest=digest,
        version=version("jiepin"),
        population=toml_text(view.scenario.population.to_dict()),
    )
    return text + "\n"


def _file(package: str, name: str) -> str:
    return (files(f"jiepin.core.{package}") / name).read_text("utf-8")


def _words(view: View) -> dict[str, Any]:
    """Return how the template writes what it is given."""
    lang, scenario = view.lang, view.scenario
    title = Label(scenario.title, scenario.title_en)
    return {
        "title": label_in(title, lang) or scenario.name,
        "say": lambda zh, en: label_in(Label(zh, en), lang),
        "label": lambda label: label_in(label, lang),
        "mechanism": lambda case: label_in(terms.MECHANISMS[case.mechanism], lang),
        "options": lambda case: _options(case, lang),
        "number": "{:,}".format,
    }


def _options(case: Case, lang: str) -> str:
    """Return what a case asks for beside rules and mechanism."""
    words = []
    if case.seats != 1:
        words.append(Label(f"缺額 × {case.seats:g}", f"seats × {case.seats:g}"))
    if case.options is not None:
        size = case.options.max_size
        words.append(
            Label(f"至多 {size} 人", f"exchanges up to {size}")
            if size
            else Label("人數不限", "exchanges of any size")
        )
        words.append(terms.OBJECTIVES[case.options.objective])
        if case.options.keep:
            words.append(Label("不使任何人變差", "nobody worse off than by the rules"))
    return label_in(Label("、", ", "), lang).join(
        label_in(word, lang) for word in words
    )
