"""What is noted of whom when people drop out of drawn rounds, one after the other."""

from __future__ import annotations

import os

import numba
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import Case, cases, rule_sets

from jiepin.core import solve
from jiepin.web.after_run import Decided, Dropped

EXAMPLES = int(os.environ.get("JIEPIN_EXAMPLES", 1500)) // 25
UNHURRIED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=True,
    max_examples=max(1, EXAMPLES // (5 if numba.config.DISABLE_JIT else 1)),
)


@st.composite
def decided(draw: st.DrawFn) -> tuple[Decided, list[str], list[bool]]:
    """Draw a round with its result, and some who drop out in turn."""
    case: Case = draw(cases(rule_sets()))
    outcome = solve(case.round_, case.rules, seed=case.seed)
    movers = outcome.moves["teacher_id"].to_list()
    if not movers:
        return Decided(case.round_, outcome), [], []
    dropped = draw(st.lists(st.sampled_from(movers), max_size=4, unique=True))
    opened = draw(st.lists(st.booleans(), min_size=4, max_size=4))
    return Decided(case.round_, outcome), dropped, opened


@UNHURRIED
@given(decided())
def test_one_more_takes_with_him_whom_the_page_has_shown(
    drawn: tuple[Decided, list[str], list[bool]],
) -> None:
    found, dropped, opened = drawn
    others: Dropped = {}
    for number, seat in zip(dropped, opened, strict=False):
        before = fallen(found, others)
        shown = set(found.falling(number, others))
        alone = fallen(found, {**others, number: False})
        assert shown == alone - before - {number}
        assert number in alone
        # one who fell before stands again where he takes the seat that this one leaves
        assert alone >= before or number not in before
        others = {**others, number: seat}


@UNHURRIED
@given(decided())
def test_notes_say_what_the_moves_say(
    drawn: tuple[Decided, list[str], list[bool]],
) -> None:
    found, dropped, opened = drawn
    out: Dropped = dict(zip(dropped, opened, strict=False))
    ending = found.ending(7, out)
    moved = set(found.outcome.moves["teacher_id"])
    stands = {move.number for move in ending.moves if move.stage}
    noted = {
        note: {number for number, one in ending.notes.items() if one == note}
        for note in ("dropped-out", "void", "kept")
    }
    assert (ending.run, ending.dropped) == (7, out)
    assert noted["dropped-out"] == set(out)
    assert noted["void"] == moved - stands - set(out)
    assert noted["kept"] == stands - (moved - fallen(found, dict.fromkeys(out, False)))
    assert {move.number for move in ending.moves} == set(
        found.outcome.assignments["teacher_id"]
    )


def fallen(found: Decided, dropped: Dropped) -> set[str]:
    """Return who moved in the run and does not any more."""
    moved = set(found.outcome.moves["teacher_id"])
    return moved - set(found.without(dropped).moves["teacher_id"])
