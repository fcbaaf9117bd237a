"""The pictures of a simulation for a page with JavaScript: Vega-Lite, by Altair.

Altair and the libraries that draw its charts load when used. The charts are as wide as
the page, take the colour of its text, and hold no address of anything elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jiepin.core import errors
from jiepin.core.report.svg import FONTS
from jiepin.core.simulation import questions
from jiepin.core.simulation.questions import Chart
from jiepin.core.simulation.view import BLUE, COLOURS, ORANGE, SHAPES, View, ramp
from jiepin.core.terms import Label, label_in

if TYPE_CHECKING:
    import altair as alt

    Drawn = alt.LayerChart | alt.FacetChart

SHOWN: Final = "shown"  # the parameter that says which case is shown

_STEP, _COUNTY, _CELL = 30, 22, 18  # pixels for a case, and for a county
_BAR = {"gradientLength": 160, "gradientThickness": 10}
_NUMBERS = {"high", "low", "value"}
_INK = "currentColor"
_FAINT = "#8888884d"
_FITTING = {"type": "fit-x", "contains": "padding"}
_AROUND = {"bottom": 4, "left": 2, "right": 16, "top": 4}  # for the last number
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": FONTS,
    "aria": False,  # the page says in words what a chart shows
    "view": {"stroke": None},
    "axis": {
        "domain": False,
        "gridColor": _FAINT,
        "labelColor": _INK,
        "labelFontSize": 13,
        "labelLimit": 150,
        "tickColor": _FAINT,
        "titleColor": _INK,
        "titleFontSize": 13,
        "titleFontWeight": "normal",
    },
    "axisQuantitative": {
        "labelFlush": False,
        "labelOverlap": "greedy",
        "labelSeparation": 6,
        "tickCount": {"expr": "max(3, floor(width / 90))"},
    },
    "legend": {"labelColor": _INK, "labelFontSize": 13, "orient": "bottom"},
    "text": {"color": _INK, "fontSize": 13},
}


def specification(chart: Chart, view: View) -> str:
    """Return a picture as Vega-Lite, JSON to stand in a page.

    Raises NotInstalled without Altair.
    """
    try:
        drawn = _FORMS[chart.form](chart, view)
    except ImportError as error:
        raise errors.NotInstalled.of(error, "simulate") from None
    table: dict[str, Any] = drawn.properties(width="container").to_dict(validate=False)
    del table["$schema"]
    table |= {"autosize": _FITTING, "config": _CONFIG, "padding": _AROUND}
    text = json.dumps(table, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.replace("<", "\\u003c")


@cache
def libraries() -> str:
    """Return the JavaScript that draws Vega-Lite, to stand in a page.

    Raises NotInstalled without vl-convert.
    """
    try:
        import vl_convert
    except ImportError as error:
        raise errors.NotInstalled.of(error, "simulate") from None
    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return text.replace("</script", "<\\/script")


def _dots(chart: Chart, view: View) -> Drawn:
    import altair as alt

    marks = view.marks(chart)
    rows = alt.Chart(_data(marks)).encode(y=_cases())
    colour = alt.condition("datum.base", alt.value(ORANGE), alt.value(BLUE))
    scale = alt.Scale(zero=False, nice=False, padding=48)
    lines = rows.mark_rule(strokeWidth=3).encode(
        x=alt.X("low:Q", title=view.axis(chart), scale=scale),
        x2="high:Q",
        color=colour,
        tooltip=_tooltip(["case", "text", "low", "high"], view),
    )
    points = rows.mark_point(filled=True, size=90, opacity=1).encode(
        x="value:Q",
        color=colour,
        tooltip=_tooltip(["case", "text", "low", "high"], view),
    )
    texts = rows.mark_text(align="left", dx=8).encode(x="high:Q", text="text:N")
    level = [0.0] if chart.difference else [m["value"] for m in marks if m["base"]]
    line = alt.Chart(_data([{"level": value} for value in level]))
    dashes = line.mark_rule(strokeDash=[4, 4], color="#808080").encode(x="level:Q")
    height = _STEP * len(marks)
    return alt.layer(dashes, lines, points, texts).properties(height=height)


def _stack(chart: Chart, view: View) -> Drawn:
    import altair as alt

    keys = [view.key(chart.measure, key) for key in view.parts(chart.measure)]
    scale = alt.Scale(domain=keys, range=ramp(len(keys)))
    bars = alt.Chart(_data(view.marks(chart))).mark_bar(stroke="#fff", strokeWidth=0.5)
    return alt.layer(
        bars.encode(
            y=_cases(),
            x=alt.X("start:Q", title=view.axis(chart)),
            x2="end:Q",
            color=alt.Color("key:N", scale=scale, sort=keys, legend=None),
            tooltip=_tooltip(["case", "key", "value"], view),
        )
    ).properties(height=_STEP * len(view.cases))


def _grid(chart: Chart, view: View) -> Drawn:
    import altair as alt

    keys = [key for key in view.keys(chart.measure) if key]
    cells = alt.Chart(_data(view.marks(chart))).encode(
        x=alt.X("key:N", sort=keys, title=None, axis=alt.Axis(labelAngle=0)), y=_cases()
    )
    scale = alt.Scale(range=ramp(7)[::-1])
    colours = cells.mark_rect(stroke="#fff").encode(
        color=alt.Color("value:Q", scale=scale, legend=None),
        tooltip=_tooltip(["case", "key", "value"], view),
    )
    values = [mark["value"] for mark in view.marks(chart)]
    middle = (min(values) + max(values)) / 2
    dark = alt.condition(
        f"datum.value > {middle}", alt.value("#fff"), alt.value("#000")
    )
    texts = cells.mark_text(fontSize=12).encode(text="text:N", color=dark)
    return alt.layer(colours, texts).properties(height=_STEP * len(view.cases))


def _change(chart: Chart, view: View) -> Drawn:
    import altair as alt

    marks = view.marks(chart)
    rows = alt.Chart(_data(marks)).encode(
        y=_cases(),
        x=alt.X(
            "value:Q",
            title=view.axis(chart),
            scale=alt.Scale(zero=False, padding=24),
        ),
    )
    times = list(dict.fromkeys(mark["when"] for mark in marks))
    lines = rows.mark_line(color=BLUE, strokeWidth=2).encode(detail="case:N")
    points = rows.mark_point(color=BLUE, size=90, strokeWidth=2, opacity=1).encode(
        fill=alt.Fill("when:N", scale=_filled(times), legend=None),
        tooltip=_tooltip(["case", "when", "text"], view),
    )
    return alt.layer(lines, points).properties(height=_STEP * len(view.cases))


def _counties(chart: Chart, view: View) -> Drawn:
    import altair as alt

    cases = [view.cases[name] for name in view.first_cases]
    marks = view.marks(chart)
    counties = list(dict.fromkeys(mark["county"] for mark in marks))
    points = alt.Chart(_data(marks)).mark_point(size=60, strokeWidth=2, opacity=1)
    colour = alt.Scale(domain=cases, range=list(COLOURS[: len(cases)]))
    shape = alt.Scale(domain=cases, range=list(SHAPES[: len(cases)]))
    zero = alt.Chart(_data([{"level": 0}])).mark_rule(color="#808080")
    return alt.layer(
        zero.encode(x="level:Q"),
        points.encode(
            x=alt.X("value:Q", title=view.axis(chart)),
            y=alt.Y("county:N", sort=counties, title=None),
            color=alt.Color("case:N", scale=colour, legend=None),
            shape=alt.Shape("case:N", scale=shape, legend=None),
            tooltip=_tooltip(["county", "case", "value"], view),
        ),
    ).properties(height=_COUNTY * len(counties))


def _flows(chart: Chart, view: View) -> Drawn:
    import altair as alt

    marks = view.marks(chart)
    counties = list(dict.fromkeys(mark["origin"] for mark in marks))
    shown = alt.param(name=SHOWN, value=view.baseline)
    scale = alt.Scale(type="sqrt", range=["#8888881a", *ramp(7)[::-1]])
    cells = alt.Chart(_data(marks)).transform_filter(f"datum.case === {SHOWN}")
    steep = alt.Axis(labelAngle=-90)
    return (
        alt.layer(
            cells.mark_rect().encode(
                x=alt.X("destination:N", sort=counties, title=None, axis=steep),
                y=alt.Y("origin:N", sort=counties, title=None),
                color=alt.Color("value:Q", scale=scale, title=None, legend=_BAR),
                tooltip=_tooltip(["origin", "destination", "value"], view),
            )
        )
        .add_params(shown)
        .properties(height=_CELL * len(counties))
    )


_FORMS: Mapping[str, Callable[[Chart, View], Drawn]] = {
    questions.DOTS: _dots,
    questions.STACK: _stack,
    questions.GRID: _grid,
    questions.CHANGE: _change,
    questions.COUNTIES: _counties,
    questions.FLOWS: _flows,
}

_FIELDS: Final = {
    "case": Label("案", "case"),
    "county": Label("縣市", "county"),
    "destination": Label("調入", "to"),
    "high": Label("區間上限", "upper end"),
    "key": Label("分項", "part"),
    "low": Label("區間下限", "lower end"),
    "origin": Label("調出", "from"),
    "text": Label("平均", "mean"),
    "value": Label("平均", "mean"),
    "when": Label("時間", "when"),
}


def _data(rows: Sequence[Mapping[str, Any]]) -> alt.InlineData:
    import altair as alt

    return alt.InlineData(values=[dict(row) for row in rows])


def _cases() -> alt.Y:
    """Return the cases from top to bottom, in the order of the scenario."""
    import altair as alt

    return alt.Y("case:N", sort=None, title=None)


def _tooltip(fields: Sequence[str], view: View) -> list[alt.Tooltip]:
    import altair as alt

    return [
        alt.Tooltip(
            f"{field}:{'Q' if field in _NUMBERS else 'N'}",
            title=label_in(_FIELDS[field], view.lang),
            format=",.4~r" if field in _NUMBERS else alt.Undefined,
        )
        for field in fields
    ]


def _filled(times: Sequence[str]) -> alt.Scale:
    """Return hollow marks before, filled ones after."""
    import altair as alt

    return alt.Scale(domain=list(times), range=["#fff", BLUE][-len(times) :])
