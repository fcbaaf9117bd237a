"""`summarise`: what the replications of a simulation come to, case by case."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jiepin.core import terms
from jiepin.core.measures.computing import AFTER, BEFORE
from jiepin.core.simulation.scenario import Scenario

Values = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SUMMARY_SCHEMA: Final[Mapping[str, Any]] = {
    "case": pl.String,
    "measure": pl.String,
    "key": pl.String,
    "n": pl.Int64,
    **dict.fromkeys(
        ("mean", "sd", "low", "high", "diff", "diff_low", "diff_high"), pl.Float64
    ),
}
CONFIDENCE: Final = 0.95

_BLOCK = 50  # replications in memory at a time; the last digits depend on it
_KEYS = ["case", "measure", "key"]
_WORDS = (BEFORE, AFTER, *terms.LEVELS)  # keys in this order
_NUMBER = re.compile(r"\d+")


def summarise(results: Path | pl.LazyFrame, scenario: Scenario) -> pl.DataFrame:
    """Return mean, spread and difference of each figure over the replications.

    results   rows of `replicate`, as the runner writes them to results.parquet

    Columns, SUMMARY_SCHEMA: case, measure, key; n (replications that have the figure),
    mean, sd (of a sample: n - 1), low and high (the 95 % interval of the mean, by
    Student's t with n - 1 degrees of freedom); diff, diff_low and diff_high: the same
    of the difference to the baseline case, taken replication by replication, null for
    the baseline. What cannot be said of a single replication is null.

    Rows follow the cases of the scenario and its measures; keys go by number, else by
    the order of levels and of stages.
    Blocks of replications are read one after the other, so memory does not grow with
    them, and sums are taken in a fixed order, so the same results give the same bytes.
    """
    rows = pl.scan_parquet(results) if isinstance(results, Path) else results
    groups = _groups(rows, scenario)
    base = _base(groups, scenario.baseline)
    own, paired = _Moments(groups.height), _Moments(groups.height)
    for block in _blocks(rows, groups):
        own.add(block)
        paired.add(block - np.where(base < 0, np.nan, block[:, base]))
    return _table(groups, own, paired, (groups["case"] == scenario.baseline).to_numpy())


class _Moments:
    """Count, mean and sum of squared deviations of many figures at once.

    Blocks are merged as Chan, Golub and LeVeque (1983) do.
    """

    def __init__(self, width: int) -> None:
        self.n = np.zeros(width, dtype=np.int64)
        self.mean = np.zeros(width)
        self.squares = np.zeros(width)

    def add(self, block: Values) -> None:
        """Take in a block, shape (replications, figures), NaN where there is none."""
        there = ~np.isnan(block)
        n = there.sum(axis=0)
        mean = np.where(there, block, 0.0).sum(axis=0) / np.maximum(n, 1)
        squares = (np.where(there, block - mean, 0.0) ** 2).sum(axis=0)
        total = np.maximum(self.n + n, 1)
        apart = mean - self.mean
        self.squares += squares + apart**2 * (self.n * n / total)
        self.mean += apart * (n / total)
        self.n += n

    def spread(self) -> Values:
        """Return the standard deviation, NaN for less than two values."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(
                self.n > 1, np.sqrt(self.squares / np.maximum(self.n - 1, 1)), np.nan
            )

    def reach(self) -> Values:
        """Return half the width of the interval of the mean."""
        factor = np.array([student(int(n) - 1) if n > 1 else np.nan for n in self.n])
        return factor * self.spread() / np.sqrt(np.maximum(self.n, 1))


@cache
def student(freedom: int) -> float:
    """Return Student's t that holds CONFIDENCE of the distribution between -t and t.

    freedom  degrees of freedom, 1 or more

    From the finite sums for whole degrees of freedom (Abramowitz and Stegun, 26.7.3
    and 26.7.4), halving the interval of the angle whose tangent is t / √freedom.

    >>> [round(student(freedom), 3) for freedom in (1, 2, 19, 199)]
    [12.706, 4.303, 2.093, 1.972]
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _held(middle, freedom) < CONFIDENCE:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _held(angle: float, freedom: int) -> float:
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (power + 1) / (power + 2)
    total *= math.sin(angle)
    return (angle + total) * 2 / math.pi if odd else total


def _groups(rows: pl.LazyFrame, scenario: Scenario) -> pl.DataFrame:
    """Return the figures that there are, in the order of the summary, numbered."""
    there = rows.select(_KEYS).unique().collect(engine="streaming")
    cases = {case.name: number for number, case in enumerate(scenario.cases)}
    measures = {name: number for number, name in enumerate(scenario.measures)}
    stages = [stage.name for case in scenario.cases for stage in case.rules.stages]
    words = {word: n for n, word in enumerate([*_WORDS, *stages])}
    ordered = sorted(
        there.iter_rows(),
        key=lambda row: (cases[row[0]], measures[row[1]], *_natural(row[2], words)),
    )
    return pl.DataFrame(
        ordered, schema=dict.fromkeys(_KEYS, pl.String), orient="row"
    ).with_row_index("group")


def _natural(key: str, words: Mapping[str, int]) -> tuple[int, int, str]:
    """Return by what a key is sorted: numbers as numbers, known words in their order.

    >>> sorted(["", "11–20", "2", "late", "one-way"][::-1],
    ...        key=lambda key: _natural(key, {"one-way": 0}))
    ['', '2', '11–20', 'one-way', 'late']
    """
    number = _NUMBER.match(key)
    if number:
        return 0, int(number[0]), key
    return (1, words.get(key, len(words)), key) if key else (0, -1, key)


def _base(groups: pl.DataFrame, baseline: str) -> Indices:
    """Return for each figure the number of the baseline's, -1 where it has none."""
    base = groups.filter(pl.col("case") == baseline).select(
        "measure", "key", pl.col("group").alias("base")
    )
    found = groups.join(base, on=["measure", "key"], how="left", maintain_order="left")
    return found["base"].fill_null(-1).to_numpy()


def _blocks(rows: pl.LazyFrame, groups: pl.DataFrame) -> Iterator[Values]:
    """Yield blocks of replications, shape (replications, figures)."""
    last = rows.select(pl.col("replication").max()).collect().item()
    for first in range(0, 0 if last is None else last + 1, _BLOCK):
        end = min(first + _BLOCK, last + 1)
        found = (
            rows.filter(pl.col("replication").is_between(first, end - 1))
            .collect()
            .join(groups, on=_KEYS, maintain_order="left")
        )
        block = np.full((end - first, groups.height), np.nan)
        row = found["replication"].to_numpy() - first
        block[row, found["group"].to_numpy()] = found["value"].to_numpy()
        yield block


def _table(
    groups: pl.DataFrame, own: _Moments, paired: _Moments, is_base: Flags
) -> pl.DataFrame:
    reach, apart = own.reach(), paired.reach()
    nothing = is_base | (paired.n == 0)
    difference = np.where(nothing, np.nan, paired.mean)
    columns = {
        "n": own.n,
        "mean": np.where(own.n > 0, own.mean, np.nan),
        "sd": own.spread(),
        "low": own.mean - reach,
        "high": own.mean + reach,
        "diff": difference,
        "diff_low": difference - apart,
        "diff_high": difference + apart,
    }
    table = groups.select(_KEYS).with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in columns.items()
    )
    return table.cast(pl.Schema(SUMMARY_SCHEMA))
