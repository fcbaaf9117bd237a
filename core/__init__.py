"""The matching engine of teacher transfer rounds (教師介聘)."""

from __future__ import annotations

from jiepin.core.comparison import Change, Comparison, Setting, compare
from jiepin.core.defaults import dependents, void
from jiepin.core.errors import BadRound, BadRules, JiepinError, Problem
from jiepin.core.explain import Explanation, explain
from jiepin.core.outcome import Outcome
from jiepin.core.report.figures import Figures, figures
from jiepin.core.round import Round
from jiepin.core.rules import Limits, Rules, Stage
from jiepin.core.solve import solve
from jiepin.core.verify import Verification, verify

__all__ = [
    "BadRound",
    "BadRules",
    "Change",
    "Comparison",
    "Explanation",
    "Figures",
    "JiepinError",
    "Limits",
    "Outcome",
    "Problem",
    "Round",
    "Rules",
    "Setting",
    "Stage",
    "Verification",
    "compare",
    "dependents",
    "explain",
    "figures",
    "solve",
    "verify",
    "void",
]
