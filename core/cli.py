"""The command `jiepin`: one function per subcommand, one place for exit codes.

0 done; 1 the check found violations, or two results differ; 2 wrong input or
arguments, nothing written; 3 anything unforeseen, as an output that cannot be written.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from jiepin.core import errors, folders, printing, terms
from jiepin.core.comparison import compare
from jiepin.core.explain import explain
from jiepin.core.mechanisms.staged import Report
from jiepin.core.options import Options
from jiepin.core.outcome import FILES, Outcome
from jiepin.core.report import page, pictures
from jiepin.core.report.figures import figures
from jiepin.core.round import Round
from jiepin.core.rules import PRESETS, Rules
from jiepin.core.simulation import page as simulation_page
from jiepin.core.simulation import runner as simulation_runner
from jiepin.core.simulation.population import generate
from jiepin.core.simulation.results import RESULTS
from jiepin.core.simulation.runner import Interrupted, simulate
from jiepin.core.simulation.scenario import Scenario
from jiepin.core.solve import check_mechanism, solve
from jiepin.core.verify import MOST_STEPS, MOST_WISHES, verify
from jiepin.core.warm_up import warm_up

DONE, VIOLATIONS, DIFFERENT, WRONG_INPUT, UNFORESEEN, INTERRUPTED = 0, 1, 1, 2, 3, 130
DEBUG = "JIEPIN_DEBUG"  # when set, an unforeseen error shows its whole traceback

notes = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
_OTHER_BARS = {"generate": "產生資料", "simulate": "模擬"}
FOLDER = click.Path(path_type=Path)
LANG = click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True
)
PROGRESS = click.option(
    "--progress",
    type=click.Choice(["bar", "lines"]),
    default="bar",
    show_default=True,
    help="A bar on a terminal, or lines for a program: progress DONE TOTAL STAGE.",
)


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
@click.option(
    "--mechanism",
    type=click.Choice(list(terms.MECHANISMS)),
    default=terms.STAGED,
    show_default=True,
    help="Another one takes from the rules who comes first, not the stages.",
)
@click.option(
    "--max-size",
    type=int,
    metavar="K",
    help="optimum: people in one exchange at most, 2 to 10; any number if not given.",
)
@click.option(
    "--objective",
    type=click.Choice(list(terms.OBJECTIVES)),
    help="optimum: what is best; moves if not given.",
)
@click.option(
    "--keep",
    type=click.Choice([terms.STAGED]),
    help="optimum: whoever the rules place keeps at least that wish.",
)
@click.option(
    "--effort", type=int, metavar="N", help="optimum: how long to search, 1 to 1,000."
)
@PROGRESS
@click.option("-q", "--quiet", is_flag=True, help="Print no table.")
def solve_command(
    folder: Path,
    rules_name: str,
    seed: int,
    out: Path | None,
    threads: int,
    mechanism: str,
    progress: str,
    quiet: bool,
    **wanted: Any,
) -> None:
    """依規則或其他機制計算一次介聘作業。Clear the round in ROUND by a rule set.

    其他機制見 docs/mechanisms.md。Other mechanisms are told of there as well.
    """
    options = _options(mechanism, wanted)
    if out is not None:
        folders.check_replaceable(out, FILES)
    rules = Rules.load(rules_name)
    start = time.perf_counter()
    round_ = Round.read(folder, rules.limits)
    read = time.perf_counter() - start
    if not quiet and mechanism == terms.STAGED and rules_name not in PRESETS:
        _note_idle_stages(round_, rules)  # those of the presets are spelled right
    _make_ready(threads, mechanism, options)
    with _progress(quiet, progress) as report:
        outcome = solve(round_, rules, seed, threads, report, mechanism, options)
    seconds = {"read": read, **outcome.seconds}
    outcome = replace(outcome, seconds=seconds, peak_memory=_peak_memory())
    if out is not None:
        outcome.write(out)
    if not quiet:
        printing.print_outcome(outcome)
        notes.print(
            "未指定 --out，沒有寫入結果。 No --out: nothing was written."
            if out is None
            else f"結果在 result in {out}"
        )


def _options(mechanism: str, wanted: Mapping[str, Any]) -> Options | None:
    """Return what an optimum is asked for; refuse it of any other mechanism."""
    given = {name: value for name, value in wanted.items() if value is not None}
    check_mechanism(mechanism, Options() if given else None)
    return Options(**given) if mechanism == terms.OPTIMUM else None


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
@PROGRESS
@click.option("-q", "--quiet", is_flag=True, help="Print only violations.")
def verify_command(
    folder: Path, result: Path, complete: bool, progress: str, quiet: bool
) -> int:
    """依規則檢核結果。Check result DIR of ROUND by the rules alone; 1 if unlawful."""
    outcome = Outcome.read(result)
    round_ = Round.read(folder)
    with _progress(quiet, progress) as report:
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
        click.echo(printing.verdict(outcome, bool(verification.unchecked)))
    return DONE if verification.lawful else VIOLATIONS


@jiepin.command("explain")
@click.argument("folder", metavar="ROUND", type=FOLDER)
@click.argument("result", metavar="DIR", type=FOLDER)
@click.argument("teacher_id", metavar="TEACHER_ID")
@LANG
def explain_command(folder: Path, result: Path, teacher_id: str, lang: str) -> None:
    """說明一位教師的結果。Tell why a teacher did not get each better wish."""
    outcome = Outcome.read(result)
    round_ = Round.read(folder)
    click.echo(explain(round_, outcome, teacher_id).text(lang))


@jiepin.command("compare")
@click.argument("a", metavar="A", type=FOLDER)
@click.argument("b", metavar="B", type=FOLDER)
@click.option("--out", metavar="FILE.csv", type=FOLDER, help="All who differ, as CSV.")
@LANG
@click.option("-q", "--quiet", is_flag=True, help="Print nothing.")
def compare_command(a: Path, b: Path, out: Path | None, lang: str, quiet: bool) -> int:
    """逐人比較兩個結果。Compare results A and B person by person; 1 if they differ."""
    comparison = compare(Outcome.read(a), Outcome.read(b))
    if out is not None:
        header = ",".join(comparison.differences.columns) + "\n"
        folders.write_file(out, comparison.differences.write_csv(), mark=header)
    if not quiet:
        printing.print_comparison(comparison, lang)
    return DONE if comparison.equal else DIFFERENT


@jiepin.command("report")
@click.argument("folder", metavar="ROUND", type=FOLDER)
@click.argument("result", metavar="DIR", type=FOLDER)
@click.option(
    "--out",
    metavar="FILE",
    type=FOLDER,
    default=Path("report.html"),
    show_default=True,
    help="The page to write.",
)
@click.option(
    "--pictures",
    "picture_folder",
    metavar="FOLDER",
    type=FOLDER,
    help="Write the pictures and figures.json to FOLDER as well.",
)
@click.option(
    "--counties", metavar="FILE", type=FOLDER, help="CSV of county (code) and name."
)
@LANG
def report_command(
    folder: Path,
    result: Path,
    out: Path,
    picture_folder: Path | None,
    counties: Path | None,
    lang: str,
) -> None:
    """製作統計報告。Write a page of figures and pictures of result DIR of ROUND."""
    folders.check_file_replaceable(out, page.MARK)
    if picture_folder is not None:
        folders.check_replaceable(picture_folder, pictures.FILES)
    names = {} if counties is None else page.county_names(counties)
    outcome = Outcome.read(result)
    found = figures(Round.read(folder), outcome)
    drawn = pictures.draw(found, lang, names)
    text = page.page(outcome, found, drawn, lang, names)
    if picture_folder is not None:
        pictures.write(picture_folder, found, drawn)
    folders.write_file(out, text, page.MARK)
    notes.print(f"報告在 report in {out}")


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


@jiepin.command("simulate")
@click.argument("scenario_file", metavar="SCENARIO", type=FOLDER)
@click.option(
    "--out",
    metavar="DIR",
    type=FOLDER,
    required=True,
    help="Results and report; a run that was stopped goes on there.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(1, 4096),
    help="Processes on this machine; one for each core if not given.",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Let the workers of this Dask scheduler compute: tcp://10.0.0.5:8786.",
)
@PROGRESS
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def simulate_command(
    scenario_file: Path,
    out: Path,
    workers: int | None,
    scheduler: str | None,
    progress: str,
    quiet: bool,
) -> int:
    """模擬多次作業並比較規則。Replay invented rounds under several rule sets."""
    if workers is not None and scheduler is not None:
        raise click.UsageError("--workers and --scheduler exclude each other")
    scenario = Scenario.load(scenario_file)
    simulation_runner.check(out, scenario)
    reported = _can_report_simulation()
    try:
        if scheduler is None:  # the workers would compile all at the same time
            for case in scenario.cases:
                _make_ready(1, case.mechanism, case.options)
        with _stopped_by_system(), _progress(quiet, progress) as report:
            told = None if report is None else partial(report, "simulate")
            simulate(scenario, out, workers, scheduler, told)
            if reported:
                simulation_page.write(out, scenario)
    except Interrupted as stopped:
        notes.print(
            f"已停止，完成 {stopped.done:,} / {stopped.replications:,} 次；"
            "以同一指令接續。\n"
            f"Stopped: {stopped}; the same command goes on from there."
        )
        return INTERRUPTED
    except errors.ReplicationFailed as failed:
        if failed.foreseen:
            raise
        notes.print(failed.trace if os.environ.get(DEBUG) else str(failed))
        return UNFORESEEN
    if not quiet:
        notes.print(f"結果在 result in {out}")
    return DONE


def _can_report_simulation() -> bool:
    """Say before a long run if it will end without a report."""
    try:
        simulation_page.check_packages()
    except errors.NotInstalled as missing:
        notes.print(
            f"{missing}\n"
            f"不會有報告：照樣計算，結果寫入 {RESULTS}；裝好後以同一指令製作報告。\n"
            f"There will be no report: the results go to {RESULTS} all the same, and "
            "once the package is there the same command makes the report."
        )
        return False
    return True


@contextmanager
def _stopped_by_system() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: in order, and with a word about it."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _make_ready(threads: int, mechanism: str, options: Options | None) -> None:
    """Load the kernels; if they had to be compiled, say so and how long it took."""
    start = time.perf_counter()
    if notes.is_terminal:
        with notes.status("準備計算引擎… preparing the engine…"):
            n_compiled = warm_up(threads, mechanism, options)
    else:
        n_compiled = warm_up(threads, mechanism, options)
    if n_compiled:
        seconds = time.perf_counter() - start
        notes.print(
            f"首次使用，編譯計算引擎費時 {seconds:.1f} 秒，以後直接載入。 First use: "
            f"the engine was compiled in {seconds:.1f} s; later starts load it."
        )


@contextmanager
def _progress(quiet: bool, kind: str = "bar") -> Iterator[Report | None]:
    """Show a bar per stage when a person watches, or lines that a program reads."""
    if kind == "lines":
        yield lambda stage, done, total: notes.print("progress", done, total, stage)
        return
    if quiet or not notes.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True) as bars:
        tasks = {}

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(_bar_title(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def _bar_title(stage: str) -> str:
    return _OTHER_BARS.get(stage) or terms.stage_label(stage).zh


def _peak_memory() -> int:
    """Return the most memory this process has held, in bytes; 0 where unknown."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return int(fields["VmHWM"].split()[0]) * 1024


def main() -> None:
    """Run the command and turn every ending into an exit code."""
    warnings.simplefilter("always", errors.UnknownColumnsWarning)
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a locale may lack our characters
            stream.reconfigure(errors="backslashreplace")
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
    except SystemExit:
        # so click ends where the reader of our output has gone: no verdict was told
        code = UNFORESEEN
    except BaseException as error:  # a library that panics raises no Exception
        _show_unforeseen(error)
        code = UNFORESEEN
    sys.exit(code or DONE)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    ignored = issubclass(category, errors.UnknownColumnsWarning)
    what = "略過不認得的欄位。 " if ignored else ""
    notes.print(f"注意：{what}Warning: {message}")


def _show_unforeseen(error: BaseException) -> None:
    """Say where the program broke, without the data it broke on."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error)
        return
    place = traceback.extract_tb(error.__traceback__)[-1]
    why = f" ({error.strerror})" if isinstance(error, OSError) else ""
    notes.print(
        f"程式發生未預期的錯誤 unforeseen error: {type(error).__name__}{why} in "
        f"{Path(place.filename).name} line {place.lineno}. "
        f"設定 {DEBUG}=1 可顯示完整訊息。 Set {DEBUG}=1 for the whole message, "
        "and please report it."
    )
