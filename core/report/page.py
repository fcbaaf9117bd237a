"""The report: figures and pictures on one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import polars as pl

from jiepin.core import errors, terms
from jiepin.core.folders import BROKEN
from jiepin.core.outcome import Outcome
from jiepin.core.report.figures import Figures
from jiepin.core.terms import Label, label_in

MARK = "<!doctype html>\n<!-- jiepin report -->\n"  # how every report begins

_TITLE = Label("教師介聘結果統計", "Teacher transfers: the result in figures")
_SECTIONS = {
    "levels": Label("階段別", "Levels"),
    "stages": Label("作業階段", "Stages"),
    "choices": Label("志願序", "Choices"),
    "counties": Label("各縣市", "Counties"),
    "flows": Label("縣市間的流動", "Moves between counties"),
    "cut-offs": Label("最低調入積分", "Cut-offs"),
    "inputs": Label("資料來源", "What was solved"),
}
_BY_SIZE = Label("交換人數", "Exchanges by size")  # in place of the stages


def page(
    outcome: Outcome,
    figures: Figures,
    drawn: Mapping[str, str],
    lang: str = "zh",
    names: Mapping[str, str] | None = None,
) -> str:
    """Return the report of an outcome, its figures and pictures, as HTML.

    In Chinese ("zh") or English ("en"); `names` are those of counties, by code. No
    name of a person and no teacher_id is in it. Raises NotInstalled without Jinja.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise errors.NotInstalled.of(error, "report") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    template = environment.from_string(_own_file("report.html"))
    text = template.render(
        _words(lang, names or {}),
        title=label_in(_TITLE, lang),
        sections={
            key: label_in(label, lang) for key, label in _sections(outcome).items()
        },
        css=Markup(_own_file("report.css")),
        outcome=outcome,
        mechanism=_mechanism(outcome),
        figures=figures,
        flows={(flow.origin, flow.destination): flow.moved for flow in figures.flows},
        pictures={name: Markup(picture) for name, picture in drawn.items()},
    )
    return text + "\n"


def _sections(outcome: Outcome) -> dict[str, Label]:
    """Return the sections; other mechanisms have neither stages nor cut-offs."""
    if outcome.mechanism == terms.STAGED:
        return _SECTIONS
    sections = {**_SECTIONS, "stages": _BY_SIZE}
    del sections["cut-offs"]
    return sections


def _mechanism(outcome: Outcome) -> Label | None:
    """Return what a mechanism beside the rules of the year is called."""
    staged = outcome.mechanism == terms.STAGED
    return None if staged else terms.MECHANISMS[outcome.mechanism]


def county_names(file: Path) -> dict[str, str]:
    """Read the names of counties, by code, from a CSV with columns county and name.

    Raises BadArgument when the file cannot be read or lacks a column.

    >>> county_names(Path("core/simulation/counties.csv"))["13"]
    '屏東縣'
    """
    try:
        table = pl.read_csv(file, infer_schema=False, glob=False)
        return dict(table.select("county", "name").drop_nulls().iter_rows())
    except (*BROKEN, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise errors.BadArgument(
            f"{file}: {reason}; expected a CSV with the columns county and name"
        ) from None


def _own_file(name: str) -> str:
    return (files("jiepin.core.report") / name).read_text("utf-8")


def _words(lang: str, names: Mapping[str, str]) -> dict[str, Callable[..., str]]:
    """Return how the template writes what it is given."""
    return {
        "say": lambda zh, en: label_in(Label(zh, en), lang),
        "level": lambda level: label_in(terms.LEVELS[level], lang),
        "word": lambda label: label_in(label, lang),
        "county": lambda code: names.get(code, code),
        "number": "{:,}".format,
        "signed": _signed,
        "share": _share,
        "points": lambda points: "—" if points is None else terms.points_text(points),
    }


def _signed(number: int) -> str:
    """Return a number with its sign.

    >>> _signed(1200), _signed(-3), _signed(0)
    ('+1,200', '−3', '0')
    """
    return f"{number:+,}".replace("-", "−") if number else "0"


def _share(part: int, whole: int) -> str:
    """Return a share of a whole.

    >>> _share(1, 8), _share(0, 0)
    ('12.5 %', '—')
    """
    return f"{part / whole:.1%}".replace("%", " %") if whole else "—"
