"""`Outcome`: what a run decided. Pure data, written to and read from a folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import UnionType
from typing import Any

import polars as pl

from jiepin.core import errors, terms
from jiepin.core.folders import BROKEN, check_readable, written_whole
from jiepin.core.options import Options
from jiepin.core.rules import Rules

ASSIGNMENTS = "assignments.csv"
EXCHANGES = "exchanges.csv"
SUMMARY = "summary.json"
FILES = (ASSIGNMENTS, EXCHANGES, SUMMARY)
COUNTED = (
    "teachers",
    "moved",
    "bound",
    "gap",
    "moved_per_stage",
    "moved_per_choice",
)

ASSIGNMENT_SCHEMA: Mapping[str, Any] = {
    "teacher_id": pl.String,
    "stage": pl.String,
    "exchange": pl.Int64,
    "school": pl.String,
    "subject": pl.String,
    "choice": pl.Int64,
}
EXCHANGE_SCHEMA: Mapping[str, Any] = {
    "exchange": pl.Int64,
    "stage": pl.String,
    "size": pl.Int64,
    "teachers": pl.List(pl.String),
}


@dataclass(frozen=True)
class Outcome:
    """Where every teacher is afterwards, and how.

    assignments  one row per teacher, sorted by teacher_id: teacher_id, stage (null
                 when not moved), exchange (number or null), school, subject, choice
                 (1-based, null when not moved)
    exchanges    exchange (1, 2, … in the order made), stage, size, teachers (list,
                 initiator first, each moving to the next one's seat)
    rules, seed  what decided; version of the program; digests of the input files
    seconds      per phase; peak_memory in bytes, 0 where it was not measured
    mechanism    one of terms.MECHANISMS; another than the staged one names the only
                 stage
    options      what an optimum was asked for; None for other mechanisms
    bound        nobody could move more than so many; None where nothing is proved
    told         the entries of a summary that was read which `counted` gives too;
                 None where no summary was read
    """

    rules: Rules
    seed: int
    assignments: pl.DataFrame
    exchanges: pl.DataFrame
    digests: Mapping[str, str] = field(default_factory=dict)
    version: str = field(default_factory=lambda: version("jiepin"))
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_memory: int = 0
    mechanism: str = terms.STAGED
    options: Options | None = None
    bound: int | None = None
    told: Mapping[str, Any] | None = None

    @property
    def gap(self) -> float | None:
        """Return which share of the bound did not move; None without a bound."""
        if self.bound is None:
            return None
        return (self.bound - self.moves.height) / max(1, self.bound)

    @property
    def moves(self) -> pl.DataFrame:
        """Return the rows of `assignments` of those who moved."""
        return self.assignments.filter(pl.col("stage").is_not_null())

    def moved_per_stage(self) -> dict[str, int]:
        """Return how many moved in each stage, in the order of the stages."""
        counts = dict(self.moves.group_by("stage").len().iter_rows())
        return {name: counts.get(name, 0) for name in self.stage_names}

    @property
    def stage_names(self) -> tuple[str, ...]:
        """Return what the stages are called, in order."""
        if self.mechanism != terms.STAGED:
            return (self.mechanism,)
        return tuple(stage.name for stage in self.rules.stages)

    def moved_per_choice(self) -> dict[int, int]:
        """Return how many moved to their first choice, their second, and so on."""
        return dict(self.moves.group_by("choice").len().sort("choice").iter_rows())

    def counted(self) -> dict[str, Any]:
        """Return the entries of the summary that the tables and the bound decide."""
        proved = {} if self.bound is None else {"bound": self.bound, "gap": self.gap}
        choices = self.moved_per_choice()
        return {
            "teachers": self.assignments.height,
            "moved": self.moves.height,
            **proved,
            "moved_per_stage": self.moved_per_stage(),
            "moved_per_choice": {str(choice): n for choice, n in choices.items()},
        }

    def check_teachers(self, teacher_ids: Sequence[str]) -> None:
        """Raise BadResult unless there is one row for each of these, in this order."""
        if self.assignments["teacher_id"].to_list() != list(teacher_ids):
            raise errors.BadResult(
                f"{ASSIGNMENTS}: its teachers are not those of the round, one row "
                "each by teacher_id; expected the result of this round"
            )

    def check_moves(self) -> None:
        """Raise BadResult unless all who moved have a choice, all exchanges a size."""
        for file, frame, column in (
            (ASSIGNMENTS, self.moves, "choice"),
            (EXCHANGES, self.exchanges, "size"),
        ):
            if n_missing := frame[column].null_count():
                raise errors.BadResult(
                    f"{file}, column {column}: {n_missing} cells of moves are empty; "
                    "expected a number in each"
                )

    def write(self, folder: str | Path) -> None:
        """Write the result folder, whole or not at all.

        Raises FolderInTheWay when the folder holds anything but a result.
        """
        start = time.perf_counter()
        with written_whole(Path(folder), replaceable=FILES) as target:
            self.assignments.write_csv(target / ASSIGNMENTS)
            self.exchanges.with_columns(
                pl.col("teachers").list.join(terms.LIST_SEPARATOR)
            ).write_csv(target / EXCHANGES)
            seconds = {**self.seconds, "write": time.perf_counter() - start}
            text = json.dumps(self._summary(seconds), ensure_ascii=False, indent=2)
            (target / SUMMARY).write_text(text + "\n", "utf-8")

    def _summary(self, seconds: Mapping[str, float]) -> dict[str, Any]:
        options = {} if self.options is None else {"options": self.options.to_dict()}
        return {
            "mechanism": self.mechanism,
            **options,
            "rules": self.rules.to_dict(),
            "seed": self.seed,
            "version": self.version,
            "inputs": dict(self.digests),
            **self.counted(),
            "seconds": {phase: round(value, 6) for phase, value in seconds.items()},
            "peak_memory": self.peak_memory,
        }

    @classmethod
    def read(cls, folder: str | Path) -> Outcome:
        """Read a result folder. Raises BadResult naming the file that is wrong."""
        path = Path(folder)
        summary = _read_summary(path / SUMMARY)
        try:
            return cls(
                rules=Rules.from_dict(summary["rules"], SUMMARY),
                seed=_whole(summary["seed"]),
                assignments=_read_assignments(path / ASSIGNMENTS),
                exchanges=_read_csv(path / EXCHANGES, EXCHANGE_SCHEMA),
                digests=_table(summary["inputs"], str),
                version=str(summary["version"]),
                seconds=_table(summary["seconds"], int | float),
                peak_memory=_whole(summary["peak_memory"]),
                mechanism=str(summary.get("mechanism", terms.STAGED)),
                options=_options(summary),
                bound=_bound(summary),
                told={key: summary[key] for key in COUNTED if key in summary},
            )
        except (errors.BadRules, errors.BadArgument) as error:
            raise errors.BadResult(f"{path}: {error}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise errors.BadResult(
                f"{path / SUMMARY}: entry missing or of the wrong kind "
                f"({type(error).__name__} {error}); expected the summary of a run"
            ) from None


def _shown(value: object) -> str:
    return f"{type(value).__name__} {errors.cut(repr(value))}"


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{_shown(value)}, no whole number")
    return value


def _table(value: object, kind: UnionType | type) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{_shown(value)}, no table")
    for key, entry in value.items():
        if not isinstance(entry, kind):
            raise TypeError(f"{errors.shown(key)}: {_shown(entry)}")
    return value


def _bound(summary: Mapping[str, Any]) -> int | None:
    bound = summary.get("bound")
    return None if bound is None else _whole(bound)


def _options(summary: Mapping[str, Any]) -> Options | None:
    return Options.from_dict(summary["options"]) if "options" in summary else None


def _read_summary(file: Path) -> dict[str, Any]:
    try:
        check_readable(file)
        summary = json.loads(file.read_text("utf-8"))
        json.dumps(summary, ensure_ascii=False).encode()  # no half of a character
    except OSError as error:
        raise errors.BadResult(
            f"{file}: {error.strerror}; expected the folder that solve --out wrote"
        ) from None
    except (ValueError, RecursionError):
        raise errors.BadResult(
            f"{file}: not JSON; expected the summary of a run"
        ) from None
    if not isinstance(summary, dict):
        raise errors.BadResult(f"{file}: expected a JSON object")
    return summary


def _read_assignments(file: Path) -> pl.DataFrame:
    frame = _read_csv(file, ASSIGNMENT_SCHEMA)
    if n_missing := frame["teacher_id"].null_count():
        raise errors.BadResult(
            f"{file}, column teacher_id: {n_missing} cells are empty; "
            "expected the id of a teacher in each row"
        )
    return frame


def _read_csv(file: Path, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Read a result table; a cell that is no number where one belongs is refused."""
    flat = {
        column: pl.String if isinstance(kind, pl.List) else kind
        for column, kind in schema.items()
    }
    try:
        check_readable(file)
        frame = pl.read_csv(file, schema_overrides=flat, glob=False)
        frame = frame.select(list(schema))
    except (*BROKEN, OSError) as error:
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        reason = errors.cut(text.splitlines()[0])
        raise errors.BadResult(
            f"{file}: {reason}; expected the columns {', '.join(schema)}"
        ) from None
    return frame.with_columns(
        pl.col(column).fill_null("").str.split(terms.LIST_SEPARATOR)
        for column, kind in schema.items()
        if isinstance(kind, pl.List)
    )
