"""The check digit of national IDs (身分證統一編號) and of residents' (統一證號)."""

from __future__ import annotations

import re
from typing import Final

LETTER_VALUES: Final = dict(
    zip("ABCDEFGHJKLMNPQRSTUVXYWZIO", range(10, 36), strict=True)
)
# a citizen's, a resident's since 2021, a resident's before
_SHAPE = re.compile(r"[A-Z][1289ABCD][0-9]{8}")
_WEIGHTS: Final = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)


def clean(typed: str) -> str:
    """Return an ID as cards hold it, whatever its letters' case and the spaces.

    >>> clean(" a123456789 ")
    'A123456789'
    """
    return "".join(typed.split()).upper()


def is_right(national_id: str) -> bool:
    """Tell whether an ID has the right shape and its check digit.

    >>> is_right("A123456789"), is_right("A800000014"), is_right("A123456788")
    (True, True, False)
    """
    if not _SHAPE.fullmatch(national_id):
        return False
    first, second = national_id[0], national_id[1]
    # of a second letter the ones count, as if it were a digit
    sex = str(LETTER_VALUES[second] % 10) if second.isalpha() else second
    digits = f"{LETTER_VALUES[first]}{sex}{national_id[2:]}"
    total = sum(w * int(digit) for w, digit in zip(_WEIGHTS, digits, strict=True))
    return total % 10 == 0
