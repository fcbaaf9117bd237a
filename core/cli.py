"""The command `jiepin`: one function per subcommand, one place for exit codes.

0 done; 1 the check found violations; 2 wrong input or arguments, nothing written;
3 anything unforeseen.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from jiepin.core import errors, folders, terms
from jiepin.core import outcome as outcomes
from jiepin.core.kernels.compiling import n_compiled
from jiepin.core.mechanisms.staged import Report, solve
from jiepin.core.outcome import Outcome
from jiepin.core.round import Round
from jiepin.core.rules import PRESETS, Rules
from jiepin.core.terms import stage_label

DONE, VIOLATIONS, WRONG_INPUT, UNFORESEEN, INTERRUPTED = 0, 1, 2, 3, 130
DEBUG = "JIEPIN_DEBUG"  # set: the whole traceback of an unforeseen error

notes = Console(stderr=True, highlight=False, soft_wrap=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jiepin", prog_name="jiepin")
def jiepin() -> None:
    """Solve, check and explain teacher transfer rounds (教師介聘)."""


@jiepin.command("solve")
@click.argument("folder", metavar="ROUND", type=click.Path(path_type=Path))
@click.option(
    "--rules",
    "rules_name",
    default=PRESETS[0],
    show_default=True,
    metavar="NAME_OR_FILE",
    help=f"A TOML file, or a preset: {', '.join(PRESETS)}.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the lottery.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder to write the result to."
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 1024)
)
@click.option("-q", "--quiet", is_flag=True, help="Print no table.")
def solve_command(
    folder: Path,
    rules_name: str,
    seed: int,
    out: Path | None,
    threads: int,
    quiet: bool,
) -> None:
    """Clear the round in folder ROUND by a rule set, and write the result."""
    if out is not None:
        folders.check_replaceable(out, outcomes.FILES)
    rules = Rules.load(rules_name)
    start = time.perf_counter()
    round_ = Round.read(folder, rules.limits)
    read = time.perf_counter() - start
    compiled = _compile()
    with _progress(quiet) as report:
        outcome = solve(round_, rules, seed, threads, report)
    outcome = replace(
        outcome,
        seconds={"read": read, **outcome.seconds},
        peak_memory=_peak_memory(),
    )
    if out is not None:
        start = time.perf_counter()
        outcome.write(out)
        seconds = {**outcome.seconds, "write": time.perf_counter() - start}
        outcome = replace(outcome, seconds=seconds)
    if not quiet:
        _print_outcome(outcome, out, compiled)


def _compile() -> float:
    """Compile the kernels if this is their first use, say so, return the seconds."""
    before = n_compiled()
    start = time.perf_counter()
    with _patience("第一次使用，正在編譯計算引擎… compiling the engine, first use only"):
        _solve_smallest()
    seconds = time.perf_counter() - start
    if n_compiled() == before:
        return 0.0
    notes.print(
        f"第一次使用，已編譯計算引擎，費時 {seconds:.1f} 秒；以後直接載入。 "
        f"First use: compiled the engine in {seconds:.1f} s; later starts load it."
    )
    return seconds


@contextmanager
def _patience(text: str) -> Iterator[None]:
    if not notes.is_terminal:
        yield
        return
    with notes.status(text):
        yield
