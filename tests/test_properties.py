"""The engine against the reference on drawn rounds, and the theorems of the rules.

JIEPIN_EXAMPLES sets how many whole results are compared (2,000; 300 without the JIT);
each theorem gets an eighth of that. How often what happened is told by
`pytest tests/test_properties.py --hypothesis-show-statistics`.
"""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import networkx as nx
import numba
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from strategies import (
    GAPLESS_STAGES,
    ONE_WAY_STAGES,
    Case,
    Draft,
    cases,
    drafts,
    round_of,
    rule_sets,
)

from jiepin.core import Outcome, Round, Rules, Stage, reference, solve, terms
from jiepin.core.mechanisms import staged
from jiepin.core.reference import Applicant, Position, Wish

DEFAULT = 300 if numba.config.DISABLE_JIT else 2000
EXAMPLES = int(os.environ.get("JIEPIN_EXAMPLES", DEFAULT))
# the first example may compile, and the machine may be busy
UNHURRIED = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
WHOLE = settings(UNHURRIED, max_examples=EXAMPLES)
THEOREM = settings(UNHURRIED, max_examples=max(1, EXAMPLES // 8))
THREADS = st.integers(1, 2)


def assert_same(found: Outcome, expected: Outcome) -> None:
    """Compare all that was decided."""
    assert_frame_equal(found.assignments, expected.assignments)
    assert_frame_equal(found.exchanges, expected.exchanges)


def solved(case: Case, threads: int = 1) -> Outcome:
    return solve(case.round_, case.rules, case.seed, threads)


# ---- The whole result


@WHOLE
@given(cases(), THREADS)
def test_engine_equals_reference(case: Case, threads: int) -> None:
    found = solved(case, threads)
    expected = reference.solve(case.round_, case.rules, case.seed)
    assert_same(found, expected)
    for kind in kinds_of_moves(expected):
        event(kind)


def kinds_of_moves(outcome: Outcome) -> Iterator[str]:
    """Name what happened: which kinds of stages moved somebody."""
    moved = outcome.moved_per_stage()
    for size in outcome.exchanges["size"].unique().sort().to_list():
        yield f"exchange of {size}"
    for stage in outcome.rules.stages:
        if stage.kind == terms.ONE_WAY and moved[stage.name]:
            filtered = stage.applicants is not None or stage.schools is not None
            yield f"one-way{', filter' * filtered}{', reopen' * stage.reopen}"
    if not outcome.moves.height:
        yield "nobody moves"
