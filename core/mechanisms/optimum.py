"""The best plan there is: an exact answer where one can be had, else plan and bound.

Without a size limit the plans are the circulations of the market, and the best one is
found exactly. With one, exchanges are packed, and the unlimited optimum is the first
upper bound.
"""

from __future__ import annotations

from jiepin.core.market import Encoded
from jiepin.core.mechanisms import circulation, exchange_packing, staged
from jiepin.core.mechanisms.keeping import Demands, demands_of, no_demands, within
from jiepin.core.mechanisms.moves import Moves
from jiepin.core.options import Options
from jiepin.core.rules import Rules


def run(encoded: Encoded, rules: Rules, options: Options, threads: int) -> Moves:
    """Clear a market as well as can be; `options` say what that means.

    Of the rules it takes who comes first, with keep = "staged" the stages as well.
    Raises NotInstalled without OR-Tools or HiGHS (extra `optimum`), BadArgument when
    points are too large to be summed exactly.
    """
    demands = _demands(encoded, within(rules, options.max_size), options, threads)
    if options.max_size == 0:
        return circulation.run(encoded, demands, options.objective)
    bound = circulation.most_moves(encoded, demands)
    return exchange_packing.pack(encoded, rules, options, threads, bound)


def _demands(encoded: Encoded, rules: Rules, options: Options, threads: int) -> Demands:
    if not options.keep:
        return no_demands(encoded.market)
    return demands_of(encoded.market, staged.run(encoded, rules, threads))
