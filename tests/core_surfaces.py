"""Where bad input reaches the engine: each tries one piece of it and says what came.

A surface takes a `random.Random` and a folder to work in, and returns a word for the
count; anything but a refusal as written in docs raises.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import sys
import tomllib
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
from mutations import (
    NUMBERS,
    TEXTS,
    mutated_bytes,
    mutated_file,
    mutated_folder,
    mutated_text,
    mutated_value,
)
from small_rounds import ANY_LIMITS
from test_rounds import FOLDERS, RULE_FILES, rules_of, seed_of

from jiepin.core import BadRound, Round, Rules, cli, reference, solve, verify
from jiepin.core.errors import (
    BadRules,
    BadScenario,
    JiepinError,
    UnknownColumnsWarning,
)
from jiepin.core.outcome import FILES as RESULT_FILES
from jiepin.core.rules import PRESETS
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.simulation.toml_text import toml_text

Surface = Callable[[random.Random, Path], str]

ROOT = Path(__file__).resolve().parents[1]
SCENARIO = ROOT / "fixtures" / "scenarios" / "half-seats.toml"
TABLES = ("schools", "subjects", "vacancies", "teachers")
CSV = tuple(f"{name}.csv" for name in TABLES)
LONGEST_MESSAGE = 100_000  # characters: a hundred problems, none of them long
REFUSED, SOLVED = "refused", "solved"


def fresh(scratch: Path, name: str) -> Path:
    """Return a place in the folder to work in where nothing is."""
    place = scratch / name
    shutil.rmtree(place, ignore_errors=True)
    return place


def read_or_refused(folder: Path, rng: random.Random) -> str:
    """Read a round; one that is read is solved, lawful, and as the reference has it."""
    rules = rules_for(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnknownColumnsWarning)
        try:
            round_ = Round.read(folder, rng.choice((None, rules.limits)))
            outcome = solve(round_, rules, seed=rng.randrange(3))
        except BadRound as refused:
            check_problems(refused)
            return REFUSED
    found = verify(round_, outcome)
    assert found.lawful, list(found.lines())
    expected = reference.solve(round_, rules, outcome.seed)
    assert outcome.assignments.equals(expected.assignments)
    assert outcome.exchanges.equals(expected.exchanges)
    return SOLVED


def check_length(refused: JiepinError) -> None:
    """What is too long or would move the cursor is not repeated."""
    text = str(refused)
    assert len(text) < LONGEST_MESSAGE
    assert "\x1b" not in text


def check_problems(refused: BadRound) -> None:
    """Every problem has its place and is told."""
    check_length(refused)
    assert refused.problems
    for problem in refused.problems:
        assert problem.file
        assert problem.line is None or problem.line > 0
        assert problem.expected in str(problem)


@cache
def _rule_sets() -> tuple[Rules, ...]:
    named = [Rules.load(name) for name in PRESETS]
    return (
        *(Rules(rules.name, rules.stages, limits=ANY_LIMITS) for rules in named),
        *(Rules(rules.name, rules.stages, "best", (), ANY_LIMITS) for rules in named),
        *named,
    )


def rules_for(rng: random.Random) -> Rules:
    return rng.choice(_rule_sets())


def round_folders(rng: random.Random, scratch: Path) -> str:
    """CSV files of a round: bytes, cells, rows, columns, encodings, strange files."""
    folder = fresh(scratch, "round")
    mutated_folder(rng, rng.choice(FOLDERS), folder, CSV)
    return read_or_refused(folder, rng)


# ---- Parquet

KINDS: Final[tuple[Any, ...]] = (
    *(pl.Int8, pl.UInt64, pl.Float32, pl.Boolean, pl.Date, pl.Datetime, pl.Time),
    *(pl.Binary, pl.Categorical, pl.Null, pl.Duration, pl.Decimal(38, 20)),
    *(pl.Datetime("ns", "Asia/Taipei"), pl.List(pl.Float64), pl.List(pl.List(pl.Int8))),
    *(pl.Array(pl.String, 2), pl.Struct({"x": pl.Int8}), pl.Int128, pl.List(pl.Null)),
)


def parquet_rounds(rng: random.Random, scratch: Path) -> str:
    """Parquet files of a round: other types, odd values, bytes."""
    folder = fresh(scratch, "parquet")
    folder.mkdir()
    source = rng.choice(FOLDERS)
    for name in TABLES:
        if (source / f"{name}.csv").exists():
            frame = pl.read_csv(source / f"{name}.csv", infer_schema=False)
            if rng.random() < 0.5:
                frame = of_other_kind(rng, frame)
            frame.write_parquet(folder / f"{name}.parquet")
    if rng.random() < 0.4:
        file = rng.choice(sorted(folder.iterdir()))
        file.write_bytes(mutated_bytes(rng, file.read_bytes()))
    return read_or_refused(folder, rng)


def of_other_kind(rng: random.Random, frame: pl.DataFrame) -> pl.DataFrame:
    column = rng.choice(frame.columns)
    values = frame[column].to_list()
    if values and rng.random() < 0.5:
        values[rng.randrange(len(values))] = rng.choice((*NUMBERS, *TEXTS[:25], None))
        return frame.with_columns(pl.Series(column, values, dtype=pl.String))
    kind = rng.choice(KINDS)
    try:
        other = pl.Series(column, values).cast(kind, strict=False)
    except pl.exceptions.PolarsError:
        other = pl.Series(column, [None] * len(values), dtype=kind)
    return frame.with_columns(other)


# ---- Rules and scenarios


def rule_files(rng: random.Random, scratch: Path) -> str:
    """Rule files: their text, their values."""
    presets = [ROOT / "core" / "presets" / f"{name}.toml" for name in PRESETS]
    file = scratch / "rules.toml"
    write_toml(rng, rng.choice((*presets, *RULE_FILES)), file)
    try:
        rules = Rules.load(file)
    except BadRules as refused:
        check_length(refused)
        return REFUSED
    assert Rules.from_toml(rules.to_toml()) == rules
    folder = rng.choice(FOLDERS)
    try:
        solve(Round.read(folder, rules.limits), rules)
    except BadRound:
        return REFUSED
    return SOLVED


def scenario_files(rng: random.Random, scratch: Path) -> str:
    """Scenarios of a simulation: their text, their values."""
    file = scratch / "scenario.toml"
    write_toml(rng, SCENARIO, file)
    try:
        scenario = Scenario.load(file)
    except BadScenario as refused:
        check_length(refused)
        return REFUSED
    assert scenario.to_toml()
    assert scenario.digest
    return "read"


def write_toml(rng: random.Random, source: Path, target: Path) -> None:
    content = source.read_bytes()
    how = rng.randrange(8)
    if how == 0:
        content = mutated_text(rng, content)
    elif how < 3:
        content = mutated_bytes(rng, content)
    elif how == 3:
        content += b"\nx = " + rng.choice((b"[", b"{a=")) * rng.choice((9, 90_000))
    else:
        content = changed_toml(rng, tomllib.loads(content.decode()))
    target.write_bytes(content)


def changed_toml(rng: random.Random, table: Any) -> bytes:
    for _ in range(rng.choice((1, 1, 2))):
        table = mutated_value(rng, table)
    try:
        return toml_text(table).encode()
    except (AttributeError, TypeError, UnicodeEncodeError):  # TOML cannot say it
        return repr(table).encode()


# ---- Results


@cache
def _results(scratch: Path) -> tuple[tuple[Path, Path], ...]:
    """Return small rounds with their results, by the rules and by other mechanisms."""
    made = []
    for number, folder in enumerate(FOLDERS):
        rules = rules_of(folder)
        mechanism = ("staged", "staged", "top_trading_cycles")[number % 3]
        round_ = Round.read(folder, rules.limits)
        outcome = solve(round_, rules, seed_of(folder), mechanism=mechanism)
        outcome.write(scratch / "results" / folder.name)
        made.append((folder, scratch / "results" / folder.name))
    return tuple(made)


def result_folders(rng: random.Random, scratch: Path) -> str:
    """Results given back to the command: one of the codes 0, 1, 2 and no traceback."""
    folder, result = rng.choice(_results(scratch))
    changed = fresh(scratch, "changed")
    mutated_folder(rng, result, changed, RESULT_FILES, mutated_result)
    words = rng.choice(
        (
            ("verify", folder, changed, "-q"),
            ("verify", folder, changed, "--complete"),
            ("explain", folder, changed, rng.choice(("T1", "T2", "T4", "1"))),
            ("compare", result, changed),
            ("compare", changed, result, "--lang", "en"),
        )
    )
    code, told = command(*words)
    assert code in (0, 1, 2), (code, words, told)
    assert code != 2 or "\n    " in told, "refused in two languages"
    return f"{words[0]} {code}"


def mutated_result(rng: random.Random, data: bytes) -> bytes:
    if not data.startswith(b"{") or rng.random() < 0.25:
        return mutated_file(rng, data)
    try:
        table = json.loads(data)
    except ValueError:  # was changed before
        return data
    for _ in range(rng.choice((1, 1, 2))):
        table = mutated_value(rng, table)
    return json.dumps(table).encode()


def command(*words: object) -> tuple[int, str]:
    """Run `jiepin` in this process; return its exit code and what it told as error."""
    before, sys.argv = sys.argv, ["jiepin", *map(str, words)]
    told = io.StringIO()
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(told):
            cli.main()
    except SystemExit as ended:
        return int(ended.code or 0), told.getvalue()
    finally:
        sys.argv = before
    raise AssertionError("the command always exits")


SURFACES: Final[dict[str, Surface]] = {
    "round folders": round_folders,
    "Parquet rounds": parquet_rounds,
    "rule files": rule_files,
    "scenario files": scenario_files,
    "result folders": result_folders,
}
