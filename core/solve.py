"""From a round to its outcome, by the rules of the year or by another mechanism."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from jiepin.core import errors, terms
from jiepin.core.bounds import check_market
from jiepin.core.market import Encoded, encode
from jiepin.core.mechanisms import (
    block_exchange,
    deferred_acceptance,
    one_sided_block_exchange,
    optimum,
    staged,
    teacher_optimal_block_exchange,
    top_trading_cycles,
)
from jiepin.core.mechanisms.moves import Moves, assignments_of, exchanges_of
from jiepin.core.mechanisms.staged import Report
from jiepin.core.options import Options
from jiepin.core.outcome import Outcome
from jiepin.core.round import Round
from jiepin.core.rules import Rules
from jiepin.core.workers import Workers

_OTHERS: Final[dict[str, Callable[[Encoded], Moves]]] = {
    mechanism.NAME: mechanism.run
    for mechanism in (
        block_exchange,
        deferred_acceptance,
        one_sided_block_exchange,
        teacher_optimal_block_exchange,
        top_trading_cycles,
    )
}


def solve(
    round_: Round,
    rules: Rules,
    seed: int = 0,
    threads: int = 1,
    report: Report | None = None,
    mechanism: str = terms.STAGED,
    options: Options | None = None,
) -> Outcome:
    """Clear a round by rules; seed is that of the lottery.

    The same round, rules and seed give the same outcome, whatever the threads and the
    order of rows. `report` is called now and then with stage, claims done and in all.
    Another mechanism than the staged one takes from the rules who comes first and what
    may be wished, not the stages. Raises BadRound when a teacher wishes more than the
    limits of the rules allow, BadArray when the frames of a round that was not read do
    not fit together, BadArgument for an unknown mechanism or options that it does not
    take, NoHomePoints when a block exchange lacks the points at home, NotInstalled when
    an optimum lacks its solvers.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> outcome.exchanges["teachers"].to_list()
    [['T1', 'T3']]
    """
    check_mechanism(mechanism, options)
    start = time.perf_counter()
    with Workers(threads) as workers:
        encoded = encode(round_, rules, seed, workers)
    encoded_at = time.perf_counter()
    if mechanism == terms.OPTIMUM:
        options = options or Options()
    moves = clear(encoded, rules, threads, report, mechanism, options)
    solved_at = time.perf_counter()
    names = stage_names(rules, mechanism)
    return Outcome(
        rules=rules,
        seed=seed,
        assignments=assignments_of(encoded, names, moves),
        exchanges=exchanges_of(encoded, names, moves),
        digests=round_.digests,
        seconds={"encode": encoded_at - start, "solve": solved_at - encoded_at},
        mechanism=mechanism,
        options=options,
        bound=moves.bound,
    )


def check_mechanism(mechanism: str, options: Options | None) -> None:
    """Raise BadArgument for a mechanism nobody knows, or options it does not take."""
    if mechanism not in terms.MECHANISMS:
        known = ", ".join(terms.MECHANISMS)
        raise errors.BadArgument(f"mechanism {mechanism!r}; expected one of {known}")
    if options is not None and mechanism != terms.OPTIMUM:
        raise errors.BadArgument(
            f"options for the mechanism {mechanism}; expected none, only "
            f"{terms.OPTIMUM} has options"
        )


def clear(
    encoded: Encoded,
    rules: Rules,
    threads: int = 1,
    report: Report | None = None,
    mechanism: str = terms.STAGED,
    options: Options | None = None,
) -> Moves:
    """Clear a market that is encoded; `solve` says what the arguments mean.

    Raises BadArray, before any kernel runs, when the arrays do not fit together.
    """
    check_market(encoded.market)
    if mechanism == terms.STAGED:
        return staged.run(encoded, rules, threads, report)
    if mechanism == terms.OPTIMUM:
        return optimum.run(encoded, rules, options or Options(), threads)
    return _OTHERS[mechanism](encoded)


def stage_names(rules: Rules, mechanism: str) -> Sequence[str]:
    """Return the names of the stages that the Moves of a mechanism number."""
    if mechanism == terms.STAGED:
        return [stage.name for stage in rules.stages]
    return [mechanism]
