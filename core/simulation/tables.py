"""The tables behind the pictures of a simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jiepin.core.measures import MEASURES
from jiepin.core.measures.computing import APPLICANTS, TOTAL
from jiepin.core.simulation.view import Figure, View
from jiepin.core.terms import Label, label_in

_CASE = Label("案", "Case")
_COUNTY = Label("縣市", "County")
_ESTIMATES = (
    Label("平均", "Mean"),
    Label("95 % 信賴區間", "95 % interval"),
    Label("標準差", "Standard deviation"),
    Label("次數", "Replications"),
    Label("與基準的差", "Less the baseline"),
    Label("差的 95 % 信賴區間", "95 % interval of that"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text: the first cell of each row is its head.

    dense  are there so many columns that their heads stand upright?
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    dense: bool = False


def tables(view: View, measure: str) -> Iterator[Table]:
    """Yield the tables of a measure: of the whole, then of its parts."""
    keys = view.keys(measure)
    for key in (TOTAL, APPLICANTS):
        if key in keys:
            yield _estimates(view, measure, key)
    parts = [key for key in keys if key not in (TOTAL, APPLICANTS)]
    if measure == "flows":
        for case in view.cases:
            yield _flows(view, case)
    elif parts and measure.startswith("county_"):
        yield _by_county(view, measure, parts)
    elif len(parts) > 1 or TOTAL not in keys:
        yield _by_case(view, measure, parts)


def _estimates(view: View, measure: str, key: str) -> Table:
    rows = []
    for case, label in view.cases.items():
        row = view.figures(measure, case).get(key)
        if row is not None:
            rows.append([label, *_estimate(view, measure, row)])
    head = [label_in(label, view.lang) for label in (_CASE, *_ESTIMATES)]
    return Table(_caption(view, measure, key), head, rows)


def _estimate(view: View, measure: str, row: Figure) -> Iterator[str]:
    yield view.number(measure, row["mean"])
    yield _interval(view, measure, row["low"], row["high"])
    yield view.number(measure, row["sd"])
    yield f"{row['n']:,}"
    yield view.number(measure, row["diff"])
    yield _interval(view, measure, row["diff_low"], row["diff_high"])


def _interval(view: View, measure: str, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "—"
    between = Label(" 至 ", " to ")
    ends = (view.number(measure, low), view.number(measure, high))
    return label_in(between, view.lang).join(ends)


def _by_case(view: View, measure: str, keys: Sequence[str]) -> Table:
    rows = [
        [label, *(_mean(view, measure, case, key) for key in keys)]
        for case, label in view.cases.items()
    ]
    head = [label_in(_CASE, view.lang), *(view.key(measure, key) for key in keys)]
    return Table(_parts_caption(view, measure), head, rows)


def _by_county(view: View, measure: str, keys: Sequence[str]) -> Table:
    rows = [
        [view.county(key), *(_mean(view, measure, case, key) for case in view.cases)]
        for key in keys
    ]
    head = [label_in(_COUNTY, view.lang), *view.cases.values()]
    return Table(_parts_caption(view, measure), head, rows)


def _flows(view: View, case: str) -> Table:
    figures = view.figures("flows", case)
    counties = list(dict.fromkeys(key.split(">")[0] for key in figures))
    rows = [
        [view.county(origin), *(_few(figures[f"{origin}>{to}"]) for to in counties)]
        for origin in counties
    ]
    caption = f"{_caption(view, 'flows')} · {view.cases[case]}"
    return Table(caption, ["", *map(view.county, counties)], rows, dense=True)


def _few(row: Figure) -> str:
    """Return a mean, nothing for 0."""
    return f"{row['mean']:,.1f}" if row["mean"] else ""


def _mean(view: View, measure: str, case: str, key: str) -> str:
    row = view.figures(measure, case).get(key)
    return view.number(measure, None if row is None else row["mean"])


def _caption(view: View, measure: str, key: str = TOTAL) -> str:
    about = MEASURES[measure]
    label, words = label_in(about.label, view.lang), label_in(about.about, view.lang)
    form = Label("{label}（{unit}）：{words}", "{label} ({unit}): {words}")
    text = label_in(form, view.lang)
    return text.format(label=label, unit=view.unit(measure, key), words=words)


def _parts_caption(view: View, measure: str) -> str:
    label = label_in(MEASURES[measure].label, view.lang)
    form = Label("{label}（{unit}），平均", "{label} ({unit}), means")
    return label_in(form, view.lang).format(label=label, unit=view.unit(measure))
