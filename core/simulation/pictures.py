"""The pictures of a simulation as files, drawn by Matplotlib: SVG, and PNG."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from jiepin.core.report import svg
from jiepin.core.report.drawing import TEXT, drawing, new_figure, saved, text_width
from jiepin.core.simulation import questions
from jiepin.core.simulation.questions import Chart
from jiepin.core.simulation.view import BLUE, COLOURS, ORANGE, View, ramp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _STEP, _COUNTY = 440, 28, 18  # points: of a picture, a case and a county
_BELOW = 3.2 * TEXT  # for the numbers of the axis and its unit
_ABOVE = 2.2 * TEXT  # for what the marks are
_LINE = 1.6 * TEXT  # of a legend
_GREY = "#808080"
_SHAPES = ("o", "s", "^", "D", "P", "v")
_CHINESE: Final = (  # fonts that a machine may have, for PNG
    *("Noto Sans CJK TC", "Noto Sans TC", "PingFang TC", "Microsoft JhengHei"),
    *("Noto Sans CJK JP", "Noto Serif CJK TC", "Source Han Sans TW", "Heiti TC"),
)


def draw(chart: Chart, view: View) -> str:
    """Return a picture as an SVG element to stand in a page.

    Raises NotInstalled without Matplotlib.
    """
    with drawing("simulate"):
        return svg.tidied(saved(_figure(chart, view)), chart.name, view.alt(chart))


def draw_png(chart: Chart, view: View) -> bytes | None:
    """Return a picture as PNG, None where the machine has no font for its words.

    Raises NotInstalled without Matplotlib.
    """
    content = io.BytesIO()
    with drawing("simulate"), _fonts():
        try:
            _figure(chart, view).savefig(
                content,
                format="png",
                dpi=144,
                facecolor="white",
                metadata={"Software": None},
            )
        except UserWarning:
            return None
    return content.getvalue()


@contextmanager
def _fonts() -> Iterator[None]:
    """Draw with the fonts of the machine; a letter that none has is an error."""
    import matplotlib as mpl
    from matplotlib import font_manager

    there = {font.name for font in font_manager.fontManager.ttflist}
    found = [name for name in _CHINESE if name in there][:1]
    with mpl.rc_context({"font.family": [*found, "DejaVu Sans"]}):
        warnings.filterwarnings("error", "Glyph .* missing", UserWarning)
        yield


def _figure(chart: Chart, view: View) -> Figure:
    figure: Figure = _FORMS[chart.form](chart, view)
    figure.axes[0].annotate(
        view.note(chart),
        (0.98, 1),
        (0, -TEXT / 3),
        xycoords="figure fraction",
        textcoords="offset points",
        ha="right",
        va="top",
    )
    return figure


def _dots(chart: Chart, view: View) -> Figure:
    marks = view.marks(chart)
    figure, axes = _rows([mark["case"] for mark in marks], view.caption(chart))
    levels = [0.0] if chart.difference else [m["value"] for m in marks if m["base"]]
    for level in levels:
        axes.axvline(level, color=_GREY, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
    for row, mark in enumerate(marks):
        colour = ORANGE if mark["base"] else BLUE
        axes.hlines(row, mark["low"], mark["high"], colors=colour, linewidth=3)
        axes.plot(mark["value"], row, "o", markersize=7, color=colour)
        axes.annotate(
            mark["text"],
            (mark["high"], row),
            (7, 0),
            textcoords="offset points",
            va="center",
        )
    ends = [mark[end] for mark in marks for end in ("low", "high")]
    _spread(axes, [*ends, *levels])
    return figure


def _stack(chart: Chart, view: View) -> Figure:
    marks = view.marks(chart)
    cases, keys = list(view.cases.values()), view.parts(chart.measure)
    words = [view.key(chart.measure, key) for key in keys]
    figure, axes = _rows(cases, view.caption(chart), words)
    for word, colour in zip(words, ramp(len(words)), strict=True):
        parts = [mark for mark in marks if mark["key"] == word]
        axes.barh(
            [cases.index(mark["case"]) for mark in parts],
            [mark["value"] for mark in parts],
            left=[mark["start"] for mark in parts],
            height=0.7,
            color=colour,
            edgecolor="white",
            linewidth=0.5,
            label=word,
        )
    _legend(figure, axes)
    return figure


def _grid(chart: Chart, view: View) -> Figure:
    keys = [key for key in view.keys(chart.measure) if key]
    cases = list(view.cases.values())
    marks = view.marks(chart)
    figure, axes = _rows(cases, view.caption(chart))
    values = np.full((len(cases), len(keys)), np.nan)
    for mark in marks:
        values[cases.index(mark["case"]), keys.index(mark["key"])] = mark["value"]
    middle = (np.nanmin(values) + np.nanmax(values)) / 2
    _cells(axes, values, ramp(7)[::-1])
    for mark in marks:
        axes.text(
            keys.index(mark["key"]),
            cases.index(mark["case"]),
            mark["text"],
            color="white" if mark["value"] > middle else "black",
            ha="center",
            va="center",
        )
    axes.set_xticks(range(len(keys)), keys)
    return figure


def _change(chart: Chart, view: View) -> Figure:
    marks = view.marks(chart)
    cases = list(dict.fromkeys(mark["case"] for mark in marks))
    times = list(dict.fromkeys(mark["when"] for mark in marks))
    figure, axes = _rows(cases, view.caption(chart), times)
    for row, case in enumerate(cases):
        values = [mark["value"] for mark in marks if mark["case"] == case]
        axes.hlines(row, min(values), max(values), colors=BLUE, linewidth=2)
    for time, fill in zip(times, ["white", BLUE][-len(times) :], strict=True):
        there = [mark for mark in marks if mark["when"] == time]
        axes.plot(
            [mark["value"] for mark in there],
            [cases.index(mark["case"]) for mark in there],
            "o",
            markersize=8,
            markeredgecolor=BLUE,
            markeredgewidth=2,
            markerfacecolor=fill,
            label=time,
        )
    _spread(axes, [mark["value"] for mark in marks])
    _legend(figure, axes)
    return figure


def _counties(chart: Chart, view: View) -> Figure:
    marks = view.marks(chart)
    counties = list(dict.fromkeys(mark["county"] for mark in marks))
    cases = [view.cases[name] for name in view.first_cases]
    figure, axes = _rows(counties, view.caption(chart), cases, _COUNTY)
    axes.axvline(0, color=_GREY, linewidth=1)
    for case, shape, colour in zip(cases, _SHAPES, COLOURS, strict=False):
        there = [mark for mark in marks if mark["case"] == case]
        axes.plot(
            [mark["value"] for mark in there],
            [counties.index(mark["county"]) for mark in there],
            shape,
            markersize=6,
            markerfacecolor="none",
            markeredgecolor=colour,
            markeredgewidth=1.8,
            label=case,
        )
    _legend(figure, axes)
    return figure


def _flows(chart: Chart, view: View) -> Figure:
    marks = [mark for mark in view.marks(chart) if mark["case"] == view.baseline]
    counties = list(dict.fromkeys(mark["origin"] for mark in marks))
    values = np.zeros((len(counties), len(counties)))
    for mark in marks:
        place = counties.index(mark["origin"]), counties.index(mark["destination"])
        values[place] = mark["value"]
    words = f"{view.caption(chart)} · {view.cases[view.baseline]}"
    deep = max(map(text_width, counties), default=0) * TEXT
    figure, axes = _rows(counties, words, step=_COUNTY, below=deep)
    _cells(axes, np.sqrt(values), ["#f2f2f2", *ramp(7)[::-1]])
    axes.set_xticks(range(len(counties)), counties, rotation=90)
    return figure


_FORMS: Mapping[str, Callable[[Chart, View], Figure]] = {
    questions.DOTS: _dots,
    questions.STACK: _stack,
    questions.GRID: _grid,
    questions.CHANGE: _change,
    questions.COUNTIES: _counties,
    questions.FLOWS: _flows,
}


def _rows(
    labels: Sequence[str],
    caption: str,
    legend: Sequence[str] = (),
    step: float = _STEP,
    below: float = 0.0,
) -> tuple[Figure, Axes]:
    """Return a figure with a row for each label, the first on top.

    caption  stands below the numbers
    legend   its words, for which room is left
    below    points that the numbers need more than usual
    """
    lines = -(-len(legend) // _columns(legend)) if legend else 0
    foot = _BELOW + below + lines * _LINE
    height = len(labels) * step + foot + _ABOVE
    figure = new_figure(_WIDTH, height)
    left = min(0.45, (max(map(text_width, labels), default=0) + 1) * TEXT / _WIDTH)
    axes = figure.add_axes(
        (left, foot / height, 0.98 - left, len(labels) * step / height)
    )
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel(caption, color=svg.INK)
    axes.tick_params(length=0)
    axes.grid(axis="x", color=_GREY, alpha=0.25)
    axes.set_axisbelow(True)
    axes.set_frame_on(False)
    return figure, axes


def _cells(axes: Axes, values: npt.NDArray[np.float64], colours: list[str]) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    down, across = (np.arange(n + 1) - 0.5 for n in values.shape)
    axes.grid(visible=False)
    axes.pcolormesh(
        across,
        down,
        values,
        cmap=LinearSegmentedColormap.from_list("cells", colours),
        edgecolors="white",
        linewidth=0.5,
    )


def _spread(axes: Axes, values: Sequence[float]) -> None:
    """Leave room on both sides, and on the right for the text beside a mark."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    room = (high - low) or abs(high) or 1.0
    axes.set_xlim(low - 0.08 * room, high + 0.3 * room)


def _columns(words: Sequence[str]) -> int:
    widest = (max(map(text_width, words)) + 4) * TEXT
    return max(1, min(len(words), int(_WIDTH / widest)))


def _legend(figure: Figure, axes: Axes) -> None:
    handles, words = axes.get_legend_handles_labels()
    if words:
        figure.legend(
            handles,
            words,
            loc="lower center",
            ncols=_columns(words),
            frameon=False,
            labelcolor=svg.INK,
            handlelength=1.2,
        )
