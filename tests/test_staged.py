"""The stages: the same answer however the work is cut up, progress, empty rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_rounds import EXCHANGES, ONE_WAY, random_round, random_rules, rules_of

from jiepin.core import BadRound, Limits, Round, Rules, Stage, reference, solve
from jiepin.core.mechanisms import exchange_stage

ROUNDS = Path(__file__).resolve().parents[1] / "fixtures" / "rounds"


@pytest.mark.parametrize("seed", range(40))
def test_threads_and_batches_change_nothing(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    round_, rules = random_round(tmp_path, seed), random_rules(seed)
    expected = reference.solve(round_, rules, seed)
    for threads, batch in ((1, 4096), (1, 1), (2, 1), (2, 3), (4, 7), (4, 4096)):
        monkeypatch.setattr(exchange_stage, "SMALLEST", batch)
        monkeypatch.setattr(exchange_stage, "SMALLEST_BLOCK", batch)
        monkeypatch.setattr(exchange_stage, "FEW", 0)
        outcome = solve(round_, rules, seed, threads)
        assert outcome.assignments.equals(expected.assignments)
        assert outcome.exchanges.equals(expected.exchanges)


@pytest.mark.parametrize("size", [6, 7, 8, 9, 10])
@pytest.mark.parametrize("gapless", [True, False])
def test_long_exchanges(size: int, gapless: bool, tmp_path: Path) -> None:
    """A ring of `size` schools, each teacher wishing the next one's."""
    codes = [f"S{k}" for k in range(size)]
    rows = [
        f"T{k},{codes[k]},g,g,{(k + 1) % size},{k},,,,{codes[(k + 1) % size]}"
        for k in range(size)
    ]
    (tmp_path / "schools.csv").write_text(
        "school,name,county,township,level,tags\n"
        + "".join(f"{code},{code},{k},,elementary,\n" for k, code in enumerate(codes))
    )
    (tmp_path / "subjects.csv").write_text("subject,name,level\ng,g,elementary\n")
    (tmp_path / "teachers.csv").write_text(
        "teacher_id,school,subject,subjects,counties,points,groups,service_years,"
        "birth_date,choices\n" + "\n".join(rows) + "\n"
    )
    sizes = range(2, size + 1) if gapless else [size]
    rules = Rules("ring", tuple(Stage(f"e{k}", "exchange", k) for k in sizes))
    made = solve(Round.read(tmp_path), rules).exchanges
    ring = [f"T{(size - 1 + k) % size}" for k in range(size)]
    assert made["teachers"].to_list() == [ring]
    assert made["stage"].to_list() == [f"e{size}"]


def test_progress_is_reported_per_stage() -> None:
    told: list[tuple[str, int, int]] = []
    round_ = Round.read(ROUNDS / "mutual")
    rules = rules_of(ONE_WAY, EXCHANGES[2])
    solve(round_, rules, report=lambda *step: told.append(step))
    assert told == [
        ("one-way", 0, 1),
        ("one-way", 1, 1),
        ("mutual", 0, 3),
        ("mutual", 3, 3),
    ]


def test_a_round_without_teachers_or_seats() -> None:
    round_ = Round.read(ROUNDS / "mutual")
    empty = replace(round_, teachers=round_.teachers.clear())
    outcome = solve(empty, Rules.load("taiwan-110"), threads=2)
    assert outcome.assignments.is_empty()
    assert outcome.exchanges.is_empty()


def test_the_question_is_not_touched() -> None:
    round_ = Round.read(ROUNDS / "reopen")
    rules = Rules.load(ROUNDS / "reopen" / "rules.toml")
    teachers, vacancies = round_.teachers.clone(), round_.vacancies.clone()
    first = solve(round_, rules)
    assert round_.teachers.equals(teachers)
    assert round_.vacancies.equals(vacancies)
    assert solve(round_, rules).assignments.equals(first.assignments)


def test_limits_of_the_rules_hold() -> None:
    rules = replace(rules_of(ONE_WAY), limits=Limits(choices=1))
    solve(Round.read(ROUNDS / "mutual"), rules)
    with pytest.raises(BadRound, match="at most 1"):
        solve(Round.read(ROUNDS / "one-way"), rules)
