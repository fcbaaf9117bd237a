"""The small rounds: engine and reference give what was worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jiepin.core import Outcome, Round, Rules, reference, solve, verify
from jiepin.core.rules import PRESETS

ROUNDS = Path(__file__).resolve().parents[1] / "fixtures" / "rounds"
FOLDERS = sorted(folder for folder in ROUNDS.iterdir() if folder.is_dir())
TABLES = ("assignments.csv", "exchanges.csv")

each_round = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def rules_of(folder: Path) -> Rules:
    """Return the rules of a small round, as its index page says."""
    own = folder / "rules.toml"
    if own.exists():
        return Rules.load(own)
    return Rules.load(folder.name if folder.name in PRESETS else PRESETS[0])


def tables(outcome: Outcome, folder: Path) -> list[str]:
    outcome.write(folder)
    return [(folder / name).read_text("utf-8") for name in TABLES]


def one_thread(round_: Round, rules: Rules) -> Outcome:
    return solve(round_, rules)


def two_threads(round_: Round, rules: Rules) -> Outcome:
    return solve(round_, rules, threads=2)


@each_round
@pytest.mark.parametrize("run", [one_thread, two_threads, reference.solve])
def test_the_result_is_the_one_worked_out_by_hand(
    folder: Path, run: Callable[[Round, Rules], Outcome], tmp_path: Path
) -> None:
    rules = rules_of(folder)
    round_ = Round.read(folder, rules.limits)
    expected = [(folder / "expected" / name).read_text("utf-8") for name in TABLES]
    assert tables(run(round_, rules), tmp_path / "result") == expected


@each_round
def test_the_result_is_lawful(folder: Path) -> None:
    rules = rules_of(folder)
    round_ = Round.read(folder, rules.limits)
    verification = verify(round_, solve(round_, rules))
    assert verification.lawful
    assert not verification.unchecked


@each_round
def test_each_round_is_explained_and_listed(folder: Path) -> None:
    assert (folder / "README.md").read_text("utf-8").startswith("# ")
    assert f"]({folder.name}/README.md)" in (ROUNDS / "README.md").read_text("utf-8")
