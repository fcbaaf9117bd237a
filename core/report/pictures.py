"""The pictures of a result, drawn by Matplotlib and pycirclize, which load when used.

The same figures give the same bytes. Nothing is laid out by the fonts of the machine:
what is text stays text, and the reader's own fonts show it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jiepin.core.folders import written_whole
from jiepin.core.report import drawing, svg
from jiepin.core.report.figures import Figures
from jiepin.core.terms import Label, label_in

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOWS, STAGES, CHOICES = "flows", "stages", "choices"
FIGURES = "figures.json"
FILES = (FIGURES, *(f"{name}.svg" for name in (FLOWS, STAGES, CHOICES)))
ALTS = {
    FLOWS: Label(
        "縣市之間的流動：每條帶子由調出縣市連到調入縣市，越寬人數越多。數字見下表。",
        "Moves between counties: each band leads from the county left to the county "
        "joined, the wider the more teachers. The numbers are in the table below.",
    ),
    STAGES: Label(
        "各階段達成人數的長條圖。數字見下表。",
        "Bars of how many moved in each stage. The numbers are in the table below.",
    ),
    CHOICES: Label(
        "達成者所得志願序的長條圖。數字見下表。",
        "Bars of the choice that those who moved got. The numbers are in the table "
        "below.",
    ),
}

_WIDTH, _BAR = 440, 30  # the unit of the pictures is the point
_CIRCLE = 520
_EDGE = 0.13  # of the circle's picture, for labels of usual length
_GAP = 4.2  # degrees between two counties: enough for a label where few moved
_BLUE = "#3f86c9"  # this and the next are seen on white and on black alike
_COLOURS = (
    *("#3f86c9", "#d9762b", "#3c9d55", "#cf4f52", "#9173c2"),
    *("#a0735f", "#d067ad", "#7f8a8f", "#a39a1c", "#1e9fae"),
)


def draw(
    figures: Figures, lang: str, names: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the pictures, by name, as SVG elements to stand in a page.

    Those of which there is nothing to show are left out: flows where nobody changes
    the county. `names` are those of counties, by code. Raises NotInstalled when a
    package for drawing is missing.
    """
    with drawing.drawing("report", ["pycirclize"]):
        drawn = {STAGES: _stages(figures, lang), CHOICES: _choices(figures)}
        if any(flow.origin != flow.destination for flow in figures.flows):
            drawn[FLOWS] = _flows(figures, names or {})
        return {
            name: svg.tidied(
                drawing.saved(drawn[name]), name, label_in(ALTS[name], lang)
            )
            for name in sorted(drawn)
        }


def write(folder: Path, figures: Figures, drawn: Mapping[str, str]) -> None:
    """Write pictures as files of their own beside the figures, all or nothing.

    Raises FolderInTheWay when the folder holds anything else.
    """
    with written_whole(folder, replaceable=FILES) as target:
        for name, picture in drawn.items():
            (target / f"{name}.svg").write_text(svg.stand_alone(picture), "utf-8")
        text = json.dumps(figures.to_dict(), ensure_ascii=False, indent=1)
        (target / FIGURES).write_text(text + "\n", "utf-8")


def _stages(figures: Figures, lang: str) -> Figure:
    labels = [label_in(stage.label, lang) for stage in figures.stages]
    return _bars(labels, [stage.moved for stage in figures.stages])


def _choices(figures: Figures) -> Figure:
    bands = figures.choices
    return _bars([band.label for band in bands], [band.moved for band in bands])


def _bars(labels: Sequence[str], numbers: Sequence[int]) -> Figure:
    """Return horizontal bars, the first on top, each with its number."""
    height = _BAR * len(labels)
    figure = drawing.new_figure(_WIDTH, height)
    left = (max(map(drawing.text_width, labels)) + 1) * drawing.TEXT / _WIDTH
    axes = figure.add_axes((left, 0, 1 - left, 1))
    bars = axes.barh(range(len(labels)), numbers, height=0.7, color=_BLUE)
    axes.bar_label(bars, [f"{number:,}" for number in numbers], padding=4)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, max(1, *numbers) * 1.2)  # room for the number of the longest
    axes.tick_params(length=0)
    axes.xaxis.set_visible(False)
    axes.set_frame_on(False)
    return figure


def _flows(figures: Figures, names: Mapping[str, str]) -> Figure:
    """Return the counties on a circle, with a band for each flow between two."""
    import pandas as pd
    from pycirclize import Circos

    flows = [flow for flow in figures.flows if flow.origin != flow.destination]
    there = {code for flow in flows for code in (flow.origin, flow.destination)}
    counties = [county.county for county in figures.counties if county.county in there]
    labels = {code: names.get(code, code) for code in counties}
    if len(set(labels.values())) < len(labels):
        labels = {code: f"{code} {label}" for code, label in labels.items()}
    matrix = pd.DataFrame(0, index=counties, columns=counties)
    for flow in flows:
        matrix.loc[flow.origin, flow.destination] = flow.moved
    circle = Circos.chord_diagram(
        matrix.rename(index=labels, columns=labels),
        space=min(_GAP, 180 / len(counties)),
        cmap={
            labels[code]: _COLOURS[n % len(_COLOURS)] for n, code in enumerate(counties)
        },
        label_kws={"r": 104, "size": drawing.TEXT, "orientation": "vertical"},
        link_kws={"direction": 1, "alpha": 0.6},
    )
    figure = drawing.new_figure(_CIRCLE, _CIRCLE)
    edge = max(
        _EDGE,
        (max(map(drawing.text_width, labels.values())) + 1) * drawing.TEXT / _CIRCLE,
    )
    inside = 1 - 2 * edge
    axes = figure.add_axes((edge, edge, inside, inside), projection="polar")
    axes.set_frame_on(False)
    circle.plotfig(ax=axes)
    return figure
