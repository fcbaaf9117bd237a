"""What commands print: tables and verdicts for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.columns import Columns
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jiepin.core import terms
from jiepin.core.comparison import Change, Comparison, result_text
from jiepin.core.outcome import Outcome
from jiepin.core.report.figures import NO_EXCHANGE, bands, sizes
from jiepin.core.rules import Stage
from jiepin.core.terms import Label, label_in

MOST_SHOWN = 50  # people who differ; the rest is a count


def verdict(outcome: Outcome, partly: bool) -> str:
    """Return what a check that found nothing says."""
    n_teachers, n_moved = outcome.assignments.height, outcome.moves.height
    zh = "已檢查的部分合於規則" if partly else "檢核通過"
    en = "Lawful as far as checked" if partly else "Lawful"
    if partly and outcome.mechanism == terms.STAGED:
        en += " (see --complete)"
    return (
        f"{zh}：{n_teachers:,} 位教師，{n_moved:,} 位達成。 "
        f"{en}: {n_teachers:,} teachers, {n_moved:,} moved."
    )


def print_outcome(outcome: Outcome) -> None:
    """Print who moved per stage and per wish number, and the time taken.

    Of another mechanism than the rules of the year, per size of exchange; of an
    optimum, what was asked for and how far from the best possible it may be.
    """
    out = Console(highlight=False)
    out.print(f"{outcome.rules.name}  種子 seed {outcome.seed}")
    if outcome.mechanism != terms.STAGED:
        for line in _mechanism_lines(outcome):
            out.print(line, soft_wrap=True)
    out.print(Columns([_stage_table(outcome), _choice_table(outcome)]))
    phases = "  ".join(f"{phase} {took:.3f}" for phase, took in outcome.seconds.items())
    megabytes = outcome.peak_memory / 2**20
    out.print(f"秒 seconds: {phases}", soft_wrap=True)
    out.print(f"記憶體 memory: {megabytes:.0f} MiB")


def _mechanism_lines(outcome: Outcome) -> Iterator[str]:
    """Yield the mechanism, the options of an optimum, and its bound and gap."""
    label = terms.MECHANISMS[outcome.mechanism]
    yield f"機制 mechanism: {label.zh} {outcome.mechanism}"
    if outcome.options is not None:
        asked = outcome.options.to_dict().items()
        yield "  ".join(f"{name} {value or '—'}" for name, value in asked)
    if outcome.bound is not None:
        gap = f"{outcome.gap:.2%}"
        yield f"上界 bound: {outcome.bound:,}  差距 gap: {gap}"


def _stage_table(outcome: Outcome) -> Table:
    n_teachers, n_moved = outcome.assignments.height, outcome.moves.height
    table = Table()
    table.add_column("階段 stage")
    table.add_column("次數 exchanges", justify="right")
    table.add_column("達成 moved", justify="right")
    staged = outcome.mechanism == terms.STAGED
    for title, n_made, moved in _stages(outcome) if staged else _sizes(outcome):
        table.add_row(title, n_made, f"{moved:,}")
    table.add_section()
    table.add_row("未達成 not moved", "", f"{n_teachers - n_moved:,}")
    table.add_row("申請人 teachers", "", f"{n_teachers:,}")
    return table


def _stages(outcome: Outcome) -> Iterator[tuple[str, str, int]]:
    made = dict(outcome.exchanges.group_by("stage").len().iter_rows())
    moved = outcome.moved_per_stage()
    for stage in outcome.rules.stages:
        n_made = f"{made.get(stage.name, 0):,}" if stage.size else ""
        yield _stage_title(stage), n_made, moved[stage.name]


def _sizes(outcome: Outcome) -> Iterator[tuple[str, str, int]]:
    """Yield the exchanges by size; first those who moved without one."""
    for size, n_made, moved in sizes(outcome):
        label = terms.exchange_label(size) if size else NO_EXCHANGE
        yield f"{label.zh} {label.en}", f"{n_made:,}" if size else "", moved


def _stage_title(stage: Stage) -> str:
    label = terms.stage_label(stage.name)
    return stage.name if label.zh == stage.name else f"{label.zh} {stage.name}"


def _choice_table(outcome: Outcome) -> Table:
    """Return how many moved to their 1st, 2nd … choice, the long tail in bands."""
    table = Table()
    table.add_column("志願序 choice")
    table.add_column("達成 moved", justify="right")
    for band in bands(outcome):
        table.add_row(band.label, f"{band.moved:,}")
    return table


def print_comparison(comparison: Comparison, lang: str) -> None:
    """Print what differs between two results, and the first people who do."""
    out = Console(highlight=False, markup=False)
    out.print(comparison.text(lang), soft_wrap=True)
    if comparison.equal:
        return
    columns = (Label("教師", "teacher"), Label("差異", "difference"))
    table = Table(*(label_in(label, lang) for label in columns), "A", "B")
    for row in comparison.differences.head(MOST_SHOWN).iter_rows(named=True):
        change = label_in(Change(row["change"]).label, lang)
        sides = (result_text(row, side, lang) for side in ("a", "b"))
        table.add_row(*map(Text, (row["teacher_id"], change, *sides)))
    out.print(table)
    more = comparison.differences.height - MOST_SHOWN
    if more > 0:
        rest = Label(
            f"另有 {more:,} 人；--out FILE.csv 列出全部",
            f"and {more:,} more; --out FILE.csv lists all",
        )
        out.print(label_in(rest, lang), soft_wrap=True)
