"""The summary of a simulation as the page and its pictures show it, in one language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import polars as pl

from jiepin.core.measures import MEASURES, key_label
from jiepin.core.measures.computing import AFTER, APPLICANTS, BEFORE, TOTAL
from jiepin.core.simulation import questions
from jiepin.core.simulation.cases import Case
from jiepin.core.simulation.questions import Chart
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.terms import Label, label_in

MANY: Final = 6  # cases that a picture tells apart by colour and shape
BLUE, ORANGE = "#0072b2", "#d55e00"  # Okabe and Ito's, for every kind of sight
COLOURS: Final = (BLUE, ORANGE, "#009e73", "#cc79a7", "#56b4e9", "#b07c00")
_PEOPLE = Label("人", "people")
_JOINED = Label("；", "; ")
_MEAN = Label("平均", "mean")
_WITH_INTERVAL = Label("平均與 95 % 信賴區間", "mean and 95 % interval")
_RAMP = ("#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39")

CIRCLE, SQUARE = "circle", "square"
SHAPES: Final = (  # as Vega names them
    *(CIRCLE, SQUARE, "triangle-up"),
    *("diamond", "cross", "triangle-down"),
)

Figure = Mapping[str, Any]  # a row of the summary
Mark = dict[str, Any]  # what a picture shows at one place


class Sign(NamedTuple):
    """An entry of a legend: what a colour and a shape stand for."""

    words: str
    colour: str
    shape: str
    filled: bool


@dataclass(frozen=True)
class View:
    """The figures of a scenario, with words in one language.

    counties  names by code; a code without one stands for itself
    """

    summary: pl.DataFrame
    scenario: Scenario
    lang: str
    counties: Mapping[str, Label]

    @cached_property
    def cases(self) -> dict[str, str]:
        """What each case is called, by its name; no two alike."""
        labels = {case.name: self._label(case) for case in self.scenario.cases}
        there = list(labels.values())
        return {
            name: label if there.count(label) == 1 else f"{label} ({name})"
            for name, label in labels.items()
        }

    def _label(self, case: Case) -> str:
        return label_in(Label(case.label, case.label_en), self.lang) or case.name

    @property
    def baseline(self) -> str:
        """The name of the case that the others are compared with."""
        return self.scenario.baseline

    @cached_property
    def first_cases(self) -> list[str]:
        """The names of the baseline and the cases after it, no more than MANY."""
        others = [name for name in self.cases if name != self.baseline]
        return [self.baseline, *others][:MANY]

    @cached_property
    def measures(self) -> list[str]:
        """The measures that there are, in the order of MEASURES."""
        there = set(self.summary["measure"])
        return [name for name in MEASURES if name in there]

    @cached_property
    def _figures(self) -> dict[tuple[str, str], dict[str, Figure]]:
        found: dict[tuple[str, str], dict[str, Figure]] = {}
        for row in self.summary.iter_rows(named=True):
            found.setdefault((row["measure"], row["case"]), {})[row["key"]] = row
        return found

    def figures(self, measure: str, case: str) -> Mapping[str, Figure]:
        """Return the figures of a measure in a case, by key."""
        return self._figures.get((measure, case), {})

    def keys(self, measure: str) -> list[str]:
        """Return the keys of a measure in the order of the first case that has each."""
        keys = (key for case in self.cases for key in self.figures(measure, case))
        return list(dict.fromkeys(keys))

    def key(self, measure: str, key: str) -> str:
        """Return what a key is called."""
        if measure.startswith("county_") and key:
            return self.county(key)
        return label_in(key_label(measure, key), self.lang)

    def county(self, code: str) -> str:
        """Return the name of a county."""
        return label_in(self.counties.get(code, Label(code, code)), self.lang)

    def number(self, measure: str, value: float | None) -> str:
        """Return a figure of a measure as people write it."""
        if value is None:
            return "—"
        unit = MEASURES[measure].unit.en
        if unit == "share":
            text = f"{100 * value:,.1f}"
        else:
            fine = unit == "years" and abs(value) < 100
            text = f"{value:,.2f}" if fine else f"{value:,.1f}"
        return text.replace("-", "−")

    def unit(self, measure: str, key: str = TOTAL) -> str:
        """Return the unit that `number` writes in."""
        unit = _PEOPLE if key == APPLICANTS else MEASURES[measure].unit
        return "%" if unit.en == "share" else label_in(unit, self.lang)

    # ---- What the pictures show

    def title(self, chart: Chart) -> str:
        """Return what a picture shows."""
        return label_in(chart.title, self.lang)

    def axis(self, chart: Chart) -> str:
        """Return what the numbers of a picture count."""
        return self.unit(chart.measure, chart.key)

    def caption(self, chart: Chart) -> str:
        """Return what a picture shows, with the unit of its numbers."""
        title, unit = self.title(chart), self.axis(chart)
        return f"{title}（{unit}）" if self.lang == "zh" else f"{title} ({unit})"

    def note(self, chart: Chart) -> str:
        """Return what the marks of a picture are: means, or with their intervals."""
        told = chart.form == questions.DOTS and self.scenario.replications > 1
        return label_in(_WITH_INTERVAL if told else _MEAN, self.lang)

    def scale(self, chart: Chart) -> float:
        """Return by what the figures of a picture are multiplied: percent or not."""
        return 100.0 if self.axis(chart) == "%" else 1.0

    def alt(self, chart: Chart) -> str:
        """Return the picture in words."""
        say = Label("。數字見下表。", ". The numbers are in the table below.")
        words = [self.caption(chart), self.note(chart)]
        if chart.form == questions.DOTS:
            words += [f"{mark['case']} {mark['text']}" for mark in self.marks(chart)]
        return label_in(_JOINED, self.lang).join(words) + label_in(say, self.lang)

    def legend(self, chart: Chart) -> list[Sign]:
        """Return what the colours and shapes of a picture stand for."""
        if chart.form == questions.STACK:
            keys = self.parts(chart.measure)
            words = [self.key(chart.measure, key) for key in keys]
            pairs = zip(words, ramp(len(words)), strict=True)
            return [Sign(*pair, SQUARE, filled=True) for pair in pairs]
        if chart.form == questions.COUNTIES:
            cases = [self.cases[name] for name in self.first_cases]
            rows = zip(cases, COLOURS, SHAPES, strict=False)
            return [Sign(*row, filled=False) for row in rows]
        if chart.form == questions.CHANGE:
            times = [(key, self.key(chart.measure, key)) for key in (BEFORE, AFTER)]
            return [Sign(word, BLUE, CIRCLE, key == AFTER) for key, word in times]
        return []

    def marks(self, chart: Chart) -> list[Mark]:
        """Return the marks of a picture, each a table of what it shows."""
        return list(getattr(self, f"_{chart.form}")(chart))

    def _dots(self, chart: Chart) -> Iterator[Mark]:
        fields = ("diff", "diff_low", "diff_high")
        if not chart.difference:
            fields = ("mean", "low", "high")
        for name, label in self.cases.items():
            row = self.figures(chart.measure, name).get(chart.key)
            values = [None if row is None else row[field] for field in fields]
            if values[0] is None:
                continue
            mean, low, high = (self._value(chart, value) for value in values)
            yield {
                "case": label,
                "value": mean,
                "low": mean if low is None else low,
                "high": mean if high is None else high,
                "text": self.signed(chart, values[0]),
                "base": name == self.baseline,
            }

    def signed(self, chart: Chart, value: float) -> str:
        """Return the number beside a mark, with its sign when it is a difference."""
        text = self.number(chart.measure, value)
        return f"+{text}" if chart.difference and value > 0 else text

    def _value(self, chart: Chart, value: float | None) -> float | None:
        return None if value is None else _short(self.scale(chart) * value)

    def _stack(self, chart: Chart) -> Iterator[Mark]:
        keys = self.parts(chart.measure)
        for name, label in self.cases.items():
            figures, end = self.figures(chart.measure, name), 0.0
            for number, key in enumerate(keys):
                mean = figures[key]["mean"] if key in figures else 0.0
                start, end = end, end + mean
                yield {
                    "case": label,
                    "key": self.key(chart.measure, key),
                    "order": number,
                    "value": _short(mean),
                    "start": _short(start),
                    "end": _short(end),
                }

    def parts(self, measure: str) -> list[str]:
        """Return the keys of a measure that are not 0 everywhere, without the total."""
        return [
            key
            for key in self.keys(measure)
            if key
            and any(
                self.figures(measure, case).get(key, {"mean": 0})["mean"]
                for case in self.cases
            )
        ]

    def _grid(self, chart: Chart) -> Iterator[Mark]:
        for name, label in self.cases.items():
            for key, row in self.figures(chart.measure, name).items():
                if key:
                    yield {
                        "case": label,
                        "key": key,
                        "value": self._value(chart, row["mean"]),
                        "text": f"{self.scale(chart) * row['mean']:.0f}",
                    }

    def _change(self, chart: Chart) -> Iterator[Mark]:
        for name, label in self.cases.items():
            for key in (BEFORE, AFTER):
                row = self.figures(chart.measure, name).get(key)
                if row is not None:
                    yield {
                        "case": label,
                        "when": self.key(chart.measure, key),
                        "value": self._value(chart, row["mean"]),
                        "text": self.number(chart.measure, row["mean"]),
                    }

    def _counties(self, chart: Chart) -> Iterator[Mark]:
        for name in self.first_cases:
            for key, row in self.figures(chart.measure, name).items():
                if key:
                    yield {
                        "county": self.county(key),
                        "case": self.cases[name],
                        "value": _short(row["mean"]),
                    }

    def _flows(self, chart: Chart) -> Iterator[Mark]:
        for name in self.cases:
            for key, row in self.figures(chart.measure, name).items():
                origin, destination = key.split(">")
                yield {
                    "case": name,
                    "origin": self.county(origin),
                    "destination": self.county(destination),
                    "value": _short(row["mean"]),
                }


def ramp(n: int) -> list[str]:
    """Return n colours from dark to light that every kind of sight keeps in order.

    >>> ramp(1), ramp(3)
    (['#277f8e'], ['#440154', '#277f8e', '#a0da39'])
    """
    if n < 2:
        return [_RAMP[len(_RAMP) // 2]][:n]
    return [_between(_RAMP, number * (len(_RAMP) - 1) / (n - 1)) for number in range(n)]


def _between(colours: Sequence[str], place: float) -> str:
    low = min(int(place), len(colours) - 2)
    pairs = zip(_channels(colours[low]), _channels(colours[low + 1]), strict=True)
    mixed = (round(a + (b - a) * (place - low)) for a, b in pairs)
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _channels(colour: str) -> list[int]:
    return [int(colour[start : start + 2], 16) for start in (1, 3, 5)]


def _short(value: float) -> float:
    """Return a number as pictures need it, and pages hold many of them.

    >>> _short(1234.56789), _short(0.000123456789)
    (1234.57, 0.000123457)
    """
    return float(f"{value:.6g}")
