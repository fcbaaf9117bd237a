"""From a round to its outcome, by the rules of the year or by another mechanism."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from jiepin.core import errors
from jiepin.core.market import Encoded, encode
from jiepin.core.mechanisms import deferred_acceptance, staged, top_trading_cycles
from jiepin.core.mechanisms.moves import Moves, assignments_of, exchanges_of
from jiepin.core.mechanisms.staged import Report
from jiepin.core.outcome import STAGED, Outcome
from jiepin.core.round import Round
from jiepin.core.rules import Rules
from jiepin.core.workers import Workers

OTHERS: Final[dict[str, Callable[[Encoded], Moves]]] = {
    mechanism.NAME: mechanism.run
    for mechanism in (deferred_acceptance, top_trading_cycles)
}
MECHANISMS: Final = (STAGED, *OTHERS)


def solve(
    round_: Round,
    rules: Rules,
    seed: int = 0,
    threads: int = 1,
    report: Report | None = None,
    mechanism: str = STAGED,
) -> Outcome:
    """Clear a round by rules; seed is that of the lottery.

    The same round, rules and seed give the same outcome, whatever the threads and the
    order of rows. `report` is called now and then with stage, claims done and in all.
    Another mechanism than the staged one takes from the rules who comes first and what
    may be wished, not the stages. Raises BadRound when a teacher wishes more than the
    limits of the rules allow, BadArgument for an unknown mechanism.

    >>> from jiepin.core import Round, Rules
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> outcome.exchanges["teachers"].to_list()
    [['T1', 'T3']]
    """
    if mechanism not in MECHANISMS:
        known = ", ".join(MECHANISMS)
        raise errors.BadArgument(f"mechanism {mechanism!r}; expected one of {known}")
    start = time.perf_counter()
    with Workers(threads) as workers:
        encoded = encode(round_, rules, seed, workers)
    encoded_at = time.perf_counter()
    if mechanism == STAGED:
        names = [stage.name for stage in rules.stages]
        moves = staged.run(encoded, rules, threads, report)
    else:
        names, moves = [mechanism], OTHERS[mechanism](encoded)
    solved_at = time.perf_counter()
    return Outcome(
        rules=rules,
        seed=seed,
        assignments=assignments_of(encoded, names, moves),
        exchanges=exchanges_of(encoded, names, moves),
        digests=round_.digests,
        seconds={"encode": encoded_at - start, "solve": solved_at - encoded_at},
        mechanism=mechanism,
    )
