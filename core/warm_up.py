"""Load or compile every kernel before the clock starts."""

from __future__ import annotations

import polars as pl

from jiepin.core import terms
from jiepin.core.kernels.compiling import n_compiled
from jiepin.core.options import Options
from jiepin.core.round import Round
from jiepin.core.rules import Limits, Rules, Stage
from jiepin.core.solve import solve

_RULES = Rules(
    name="smallest",
    stages=(
        Stage("one-way", terms.ONE_WAY),
        Stage("mutual", terms.EXCHANGE, size=2),
    ),
    limits=Limits(counties=0, subjects=0),
)


def warm_up(
    threads: int = 1,
    mechanism: str = terms.STAGED,
    options: Options | None = None,
) -> int:
    """Solve the smallest round there is; return how many kernels were compiled.

    0 when all came from the cache on disk. One thread needs fewer kernels than several,
    and each mechanism has its own. Raises NotInstalled when one lacks its package.

    >>> warm_up() >= 0
    True
    """
    before = n_compiled()
    solve(
        _smallest_round(),
        _RULES,
        threads=threads,
        mechanism=mechanism,
        options=options,
    )
    return n_compiled() - before


def _smallest_round() -> Round:
    """Return two teachers who wish each other's school, and one open seat."""
    school, subject, county = pl.Enum(["a", "b"]), pl.Enum(["s"]), pl.Enum(["1", "2"])
    level = pl.lit(terms.ELEMENTARY).alias("level")
    none = pl.Series([[], []], dtype=pl.List(pl.String))
    return Round(
        schools=pl.DataFrame(
            {"school": pl.Series(["a", "b"], dtype=school), "county": ["1", "2"]}
        ).with_columns(none.alias("tags"), level),
        subjects=pl.DataFrame({"subject": pl.Series(["s"], dtype=subject)}).select(
            "subject", level
        ),
        vacancies=pl.DataFrame(
            {"school": ["a"], "subject": ["s"], "seats": [1]},
            schema={"school": school, "subject": subject, "seats": pl.Int64},
        ),
        teachers=pl.DataFrame(
            {
                "teacher_id": ["A", "B"],
                "school": pl.Series(["a", "b"], dtype=school),
                "subject": pl.Series(["s", "s"], dtype=subject),
                "subjects": pl.Series([["s"], ["s"]], dtype=pl.List(subject)),
                "counties": pl.Series([["2"], ["1"]], dtype=pl.List(county)),
                "points": pl.Series([[1], [1]], dtype=pl.List(pl.Int64)),
                "groups": none,
                "service_years": pl.Series([None, None], dtype=pl.Int64),
                "birth_date": pl.Series([None, None], dtype=pl.Date),
                "home_points": pl.Series([0, 0], dtype=pl.Int64),
                "choices": pl.Series([["b"], ["a"]], dtype=pl.List(school)),
            }
        ),
    )
