"""What a result came to, in figures that many results can be compared by.

docs/measures.md defines each measure exactly.
"""

from __future__ import annotations

from jiepin.core.measures.catalogue import (
    MEASURES,
    WITHOUT_OPTIMUM,
    Measure,
    Row,
    check_names,
    key_label,
    measure,
)
from jiepin.core.measures.situation import Background, Situation, situation_of

__all__ = [
    "MEASURES",
    "WITHOUT_OPTIMUM",
    "Background",
    "Measure",
    "Row",
    "Situation",
    "check_names",
    "key_label",
    "measure",
    "situation_of",
]
