"""The small rounds: engine and reference give what was worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jiepin.core import Outcome, Round, Rules, reference, solve, verify
from jiepin.core.rules import PRESETS

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = ROOT / "fixtures" / "rounds"
FOLDERS = sorted(folder for folder in ROUNDS.iterdir() if folder.is_dir())
PAGE = ROOT / "docs" / "rules.md"
TABLES = ("assignments.csv", "exchanges.csv")
RULE_FILES = sorted(ROUNDS.glob("*/rules.toml"))
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)

each_round = pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)


def rules_of(folder: Path) -> Rules:
    """Return the rules of a small round, as its index page says."""
    own = folder / "rules.toml"
    if own.exists():
        return Rules.load(own)
    return Rules.load(folder.name if folder.name in PRESETS else PRESETS[0])


def seed_of(folder: Path) -> int:
    own = folder / "seed"
    return int(own.read_text("utf-8")) if own.exists() else 0


def tables(outcome: Outcome, folder: Path) -> list[bytes]:
    outcome.write(folder)
    return [(folder / name).read_bytes() for name in TABLES]


def one_thread(round_: Round, rules: Rules, seed: int) -> Outcome:
    return solve(round_, rules, seed)


def two_threads(round_: Round, rules: Rules, seed: int) -> Outcome:
    return solve(round_, rules, seed, threads=2)


@each_round
@pytest.mark.parametrize("run", [one_thread, two_threads, reference.solve])
def test_the_result_is_the_one_worked_out_by_hand(
    folder: Path, run: Callable[[Round, Rules, int], Outcome], tmp_path: Path
) -> None:
    rules = rules_of(folder)
    round_ = Round.read(folder, rules.limits)
    expected = [(folder / "expected" / name).read_bytes() for name in TABLES]
    outcome = run(round_, rules, seed_of(folder))
    assert tables(outcome, tmp_path / "result") == expected


@each_round
def test_the_result_is_lawful(folder: Path) -> None:
    rules = rules_of(folder)
    round_ = Round.read(folder, rules.limits)
    verification = verify(round_, solve(round_, rules, seed_of(folder)))
    assert verification.lawful
    assert not verification.unchecked


def linked(text: str) -> list[str]:
    """Return the small rounds that a text links to, by name."""
    return sorted(re.findall(r"\]\((?:[^()]*/)?([^/()]+)/README\.md\)", text))


def test_the_index_lists_each_round_once() -> None:
    index = (ROUNDS / "README.md").read_text("utf-8")
    assert linked(index) == [folder.name for folder in FOLDERS]


@each_round
def test_each_round_is_derived_from_the_rules(folder: Path) -> None:
    """Its page names the teachers, and the sections of the rules that decide."""
    text = (folder / "README.md").read_text("utf-8")
    assert text.startswith("# ")
    assert re.search(r"§[1-5]", text)
    teachers = Round.read(folder).teachers["teacher_id"]
    assert all(f"| {teacher_id} |" in text for teacher_id in teachers)


def rules_printed() -> list[Rules]:
    """Return the rule sets printed on the page of the rules, Chinese part first."""
    return [Rules.from_toml(block) for block in TOML.findall(PAGE.read_text("utf-8"))]


@pytest.mark.parametrize("name", PRESETS)
def test_the_page_of_the_rules_prints_the_presets(name: str) -> None:
    """Once in Chinese, once in English."""
    printed = [rules for rules in rules_printed() if rules.name == name]
    assert printed == [Rules.load(name)] * 2


def test_rules_printed_and_used_in_a_round_are_the_same() -> None:
    used = {rules.name: rules for rules in map(Rules.load, RULE_FILES)}
    shared = [rules for rules in rules_printed() if rules.name in used]
    assert shared
    for rules in shared:
        assert rules == used[rules.name]


def test_the_page_of_the_rules_links_every_round_in_both_languages() -> None:
    chinese, english = PAGE.read_text("utf-8").split("\n## English\n")
    for part in (chinese, english):
        assert set(linked(part)) == {folder.name for folder in FOLDERS}
