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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

import click
from rich.columns import Columns
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from jiepin.core import errors, folders, terms
from jiepin.core.explain import explain
from jiepin.core.mechanisms.staged import Report, solve
from jiepin.core.outcome import FILES, Outcome
from jiepin.core.round import Round
from jiepin.core.rules import PRESETS, Rules, Stage
from jiepin.core.simulation.population import generate
from jiepin.core.verify import MOST_STEPS, MOST_WISHES, verify
from jiepin.core.warm_up import warm_up

DONE, VIOLATIONS, WRONG_INPUT, UNFORESEEN, INTERRUPTED = 0, 1, 2, 3, 130
DEBUG = "JIEPIN_DEBUG"  # when set, an unforeseen error shows its whole traceback

notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
FOLDER = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jiepin", prog_name="jiepin")
def jiepin() -> None:
    """教師介聘的計算、檢核與說明。Solve, check and explain teacher transfer rounds."""


@jiepin.command("solve")
@click.argument("folder", metavar="ROUND", type=FOLDER)
@click.option(
    "--rules",
    "rules_name",
    default=PRESETS[0],
    show_default=True,
    metavar="NAME_OR_FILE",
    help=f"A TOML file, or one of the presets {', '.join(PRESETS)}.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the lottery.")
@click.option("--out", metavar="DIR", type=FOLDER, help="Write the result to DIR.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1, 256))
@click.option("-q", "--quiet", is_flag=True, help="Print no table.")
def solve_command(
    folder: Path,
    rules_name: str,
    seed: int,
    out: Path | None,
    threads: int,
    quiet: bool,
) -> None:
    """依規則計算一次介聘作業。Clear the round in folder ROUND by a rule set."""
    if out is not None:
        folders.check_replaceable(out, FILES)
    rules = Rules.load(rules_name)
    start = time.perf_counter()
    round_ = Round.read(folder, rules.limits)
    read = time.perf_counter() - start
    if not quiet and rules_name not in PRESETS:  # these are spelled right
        _note_idle_stages(round_, rules)
    _make_ready(threads)
    with _progress(quiet) as report:
        outcome = solve(round_, rules, seed, threads, report)
    seconds = {"read": read, **outcome.seconds}
    outcome = replace(outcome, seconds=seconds, peak_memory=_peak_memory())
    if out is not None:
        outcome.write(out)
    if not quiet:
        _print_outcome(outcome)
        notes.print(
            "未指定 --out，沒有寫入結果。 No --out: nothing was written."
            if out is None
            else f"結果在 result in {out}"
        )


def _note_idle_stages(round_: Round, rules: Rules) -> None:
    """Tell of stages for a group or tag the round does not have: perhaps a slip."""
    filters = (
        ("applicants", "群組", "group", round_.teachers["groups"]),
        ("schools", "標記", "tag", round_.schools["tags"]),
    )
    for key, zh, en, column in filters:
        known = sorted(column.explode().drop_nulls().unique())
        for stage in rules.stages:
            wanted = getattr(stage, key)
            if wanted is None or wanted in known:
                continue
            there = "、".join(known) or "（無 none）"
            notes.print(
                f"階段「{stage.name}」的 {key} = {wanted!r}：這次作業沒有這個{zh}，"
                f"這個階段不會有人調動；有的{zh}：{there}\n"
                f"stage {stage.name!r}, {key} = {wanted!r}: nobody moves in it, the "
                f"round has no such {en}; it has: {there}"
            )


@jiepin.command("verify")
@click.argument("folder", metavar="ROUND", type=FOLDER)
@click.argument("result", metavar="DIR", type=FOLDER)
@click.option(
    "--complete", is_flag=True, help="Replay exchanges however large the round is."
)
@click.option("-q", "--quiet", is_flag=True, help="Print only violations.")
def verify_command(folder: Path, result: Path, complete: bool, quiet: bool) -> int:
    """依規則檢核結果。Check result DIR of ROUND by the rules alone; 1 if unlawful."""
    outcome = Outcome.read(result)
    round_ = Round.read(folder)
    with _progress(quiet) as report:
        verification = verify(
            round_,
            outcome,
            most_wishes=None if complete else MOST_WISHES,
            most_steps=None if complete else MOST_STEPS,
            report=report,
        )
    for line in verification.lines():
        click.echo(line)
    if verification.lawful and not quiet:
        click.echo(_verdict(outcome, bool(verification.unchecked)))
    return DONE if verification.lawful else VIOLATIONS


def _verdict(outcome: Outcome, partly: bool) -> str:
    n_teachers, n_moved = outcome.assignments.height, outcome.moves.height
    zh = "已檢查的部分合於規則" if partly else "檢核通過"
    en = "Lawful as far as checked (see --complete)" if partly else "Lawful"
    return (
        f"{zh}：{n_teachers:,} 位教師，{n_moved:,} 位達成。 "
        f"{en}: {n_teachers:,} teachers, {n_moved:,} moved."
    )


@jiepin.command("explain")
@click.argument("folder", metavar="ROUND", type=FOLDER)
@click.argument("result", metavar="DIR", type=FOLDER)
@click.argument("teacher_id", metavar="TEACHER_ID")
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True
)
def explain_command(folder: Path, result: Path, teacher_id: str, lang: str) -> None:
    """說明一位教師的結果。Tell why a teacher did not get each better wish."""
    outcome = Outcome.read(result)
    round_ = Round.read(folder)
    click.echo(explain(round_, outcome, teacher_id).text(lang))


@jiepin.command("generate")
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.argument("more_schools", metavar="", nargs=-1, type=FOLDER)
@click.option(
    "--teachers", required=True, type=int, metavar="N", help="10 to 10,000,000."
)
@click.option(
    "--levels",
    metavar="LEVEL,…",
    help=f"Out of {', '.join(terms.LEVELS)}; all of them if not given.",
)
@click.option(
    "--schools",
    metavar="FILE …",
    type=FOLDER,
    multiple=True,
    help="School directories of the Ministry, one or several.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed, other data.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def generate_command(
    folder: Path,
    more_schools: tuple[Path, ...],
    teachers: int,
    levels: str | None,
    schools: tuple[Path, ...],
    seed: int,
    quiet: bool,
) -> None:
    """產生模擬資料。Write an invented round of realistic shape to DIR."""
    if more_schools and not schools:
        raise click.UsageError(f"one DIR is expected, found also {more_schools[0]}")
    chosen = levels.split(",") if levels is not None else None
    with _progress(quiet) as report:
        told = None if report is None else partial(report, "generate")
        generate(folder, teachers, seed, chosen, schools + more_schools, told)


def _make_ready(threads: int) -> None:
    """Load the kernels; if they had to be compiled, say so and how long it took."""
    start = time.perf_counter()
    if notes.is_terminal:
        with notes.status("準備計算引擎… preparing the engine…"):
            n_compiled = warm_up(threads)
    else:
        n_compiled = warm_up(threads)
    if n_compiled:
        seconds = time.perf_counter() - start
        notes.print(
            f"首次使用，編譯計算引擎費時 {seconds:.1f} 秒，以後直接載入。 First use: "
            f"the engine was compiled in {seconds:.1f} s; later starts load it."
        )


@contextmanager
def _progress(quiet: bool) -> Iterator[Report | None]:
    """Show a bar per stage when a person watches."""
    if quiet or not notes.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=notes, transient=True) as bars:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_bar_title(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def _bar_title(stage: str) -> str:
    return "產生資料" if stage == "generate" else terms.stage_label(stage).zh


def _peak_memory() -> int:
    """Return the most memory this process has held, in bytes; 0 where unknown."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024


def _print_outcome(outcome: Outcome) -> None:
    """Print who moved per stage and per wish number, and the time taken."""
    out = Console(highlight=False)
    out.print(f"{outcome.rules.name}  種子 seed {outcome.seed}")
    out.print(Columns([_stage_table(outcome), _choice_table(outcome)]))
    phases = "  ".join(f"{phase} {took:.3f}" for phase, took in outcome.seconds.items())
    megabytes = outcome.peak_memory / 2**20
    out.print(f"秒 seconds: {phases}", soft_wrap=True)
    out.print(f"記憶體 memory: {megabytes:.0f} MiB")


def _stage_table(outcome: Outcome) -> Table:
    n_teachers, n_moved = outcome.assignments.height, outcome.moves.height
    table = Table()
    table.add_column("階段 stage")
    table.add_column("次數 exchanges", justify="right")
    table.add_column("達成 moved", justify="right")
    made = dict(outcome.exchanges.group_by("stage").len().iter_rows())
    moved = outcome.moved_per_stage()
    for stage in outcome.rules.stages:
        n_made = str(made.get(stage.name, 0)) if stage.size else ""
        table.add_row(_stage_title(stage), n_made, f"{moved[stage.name]:,}")
    table.add_section()
    table.add_row("未達成 not moved", "", f"{n_teachers - n_moved:,}")
    table.add_row("申請人 teachers", "", f"{n_teachers:,}")
    return table


def _stage_title(stage: Stage) -> str:
    label = terms.stage_label(stage.name)
    return stage.name if label.zh == stage.name else f"{label.zh} {stage.name}"


_CHOICE_BANDS = ((1, 1), (2, 2), (3, 3), (4, 5), (6, 10), (11, 20), (21, 50), (51, 0))


def _choice_table(outcome: Outcome) -> Table:
    """Return how many moved to their 1st, 2nd … choice, the long tail in bands."""
    moved = outcome.moved_per_choice()
    table = Table()
    table.add_column("志願序 choice")
    table.add_column("達成 moved", justify="right")
    for low, high in _CHOICE_BANDS:
        text = str(low) if low == high else f"{low}–{high or ''}"
        count = sum(n for k, n in moved.items() if low <= k <= (high or k))
        table.add_row(text, f"{count:,}")
    return table


def main() -> None:
    """Run the command and turn every ending into an exit code."""
    warnings.simplefilter("always", errors.UnknownColumnsWarning)
    warnings.showwarning = _show_warning
    try:
        code = jiepin.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = WRONG_INPUT
    except errors.JiepinError as error:
        notes.print(str(error))
        code = WRONG_INPUT
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has gone; nothing is left to tell it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = DONE
    except Exception as error:
        _show_unforeseen(error)
        code = UNFORESEEN
    sys.exit(code or DONE)


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    notes.print(f"注意：略過不認得的欄位。 Warning: {message}")


def _show_unforeseen(error: Exception) -> None:
    """Say where the program broke, without the data it broke on."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
        return
    place = traceback.extract_tb(error.__traceback__)[-1]
    notes.print(
        f"程式發生未預期的錯誤 unforeseen error: {type(error).__name__} in "
        f"{Path(place.filename).name} line {place.lineno}. "
        f"設定 {DEBUG}=1 可顯示完整訊息。 Set {DEBUG}=1 for the whole message, "
        "and please report it."
    )
