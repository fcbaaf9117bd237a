"""`Options`: what an optimum is asked for beside the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jiepin.core import errors, terms

MOST_EFFORT = 1_000


@dataclass(frozen=True, slots=True)
class Options:
    """What `optimum` is asked for; the other mechanisms have no options.

    max_size   people in one exchange at most, 2 to 10; 0: any number, and a seat that
               is left may be filled again
    objective  with a max_size "moves" alone:
               "moves"   most moves, then the smallest sum of choice numbers
               "points"  largest sum of the points that movers have for the county they
                         move to, then most moves
               "rank"    whoever has the most points moves if that is possible, then
                         whoever comes next, and so on; then as "moves"
    keep       "staged": whoever the rules place moves to that wish or a better one
    effort     with a max_size, how long to search where an exact answer is out of
               reach: rounds of work, not seconds, so that neither load nor threads
               change the answer; 1 to 1,000

    Raises BadArgument when the options do not go together.

    >>> from jiepin.core.options import Options
    >>> Options(max_size=1)
    Traceback (most recent call last):
    jiepin.core.errors.BadArgument: 參數不合規定。
        max_size 1; expected 0 or a number from 2 to 10
    """

    max_size: int = 0
    objective: str = "moves"
    keep: str = ""
    effort: int = 1

    def __post_init__(self) -> None:
        for name in ("max_size", "effort"):
            if type(value := getattr(self, name)) is not int:
                raise errors.BadArgument(f"{name} {value!r}; expected a whole number")
        low, high = terms.EXCHANGE_SIZES[0], terms.EXCHANGE_SIZES[-1]
        if self.max_size and self.max_size not in terms.EXCHANGE_SIZES:
            raise errors.BadArgument(
                f"max_size {self.max_size}; expected 0 or a number from {low} to {high}"
            )
        if self.objective not in terms.OBJECTIVES:
            known = ", ".join(terms.OBJECTIVES)
            raise errors.BadArgument(
                f"objective {self.objective!r}; expected one of {known}"
            )
        if self.max_size and self.objective != "moves":
            raise errors.BadArgument(
                f"objective {self.objective!r} with max_size {self.max_size}; expected "
                "'moves', or no max_size"
            )
        if self.keep not in ("", terms.STAGED):
            raise errors.BadArgument(f"keep {self.keep!r}; expected {terms.STAGED!r}")
        if not 1 <= self.effort <= MOST_EFFORT:
            raise errors.BadArgument(
                f"effort {self.effort}; expected a number from 1 to {MOST_EFFORT:,}"
            )
        if self.effort > 1 and not self.max_size:
            raise errors.BadArgument(
                f"effort {self.effort} without a max_size; expected no effort, the "
                "answer is exact, or a max_size"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options as a table that a JSON file understands."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Options:
        """Return the options of such a table."""
        return cls(**table)
