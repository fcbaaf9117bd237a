"""Passwords: which are refused, and hashing without letting a crowd stop the site."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from jiepin.web.language import _

SHORTEST, ADVISED, LONGEST = 8, 12, 128
AT_ONCE = 2  # hashes computed at a time: each takes 19 MiB and a core for 26 ms
MOST_WAITING = 100  # about two seconds of waiting; more are asked to come back
# of the words about oneself that a password must not hold; names are written in few
_SHORTEST_WORD, _SHORTEST_CHINESE = 4, 2

# What is tried first against any account, with digits before or behind it: the words
# and passwords that are used most, by rank, and what they are in Taiwan.
_COMMON = frozenset(
    [word for words in FREQUENCY_LISTS.values() for word in words]
    + """
    aaa abc abcabc abcd asus au4a83 j6up6 ji32k7au4a83 jiepin kaohsiung p@ssword qwer
    su3cl3 vu04vup wangwang 168168 520520 888888 介聘 學校 密碼 教師 老師
    """.split()  # noqa: SIM905
)
_RUNS = (
    "01234567890",
    "09876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "zyxwvutsrqponmlkjihgfedcba",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
)

Answer = TypeVar("Answer")


class Busy(Exception):
    """Too many are signing in at this moment; come back in a little while."""


def problem(password: str, about: Sequence[str] = (), shortest: int = SHORTEST) -> str:
    """Say what is wrong with a new password, empty when nothing is.

    `about` are words that an acquaintance would try: ID, birthday, name, telephone.

    >>> problem("short"), problem("correct horse battery")
    ('密碼至少 8 個字元', '')
    >>> problem("A123456789xy", ["A123456789"])
    '密碼不可含有身分證字號、生日、姓名、電話或電子郵件'
    """
    if len(password) < shortest:
        return _("密碼至少 %(n)s 個字元", n=str(shortest))
    if len(password) > LONGEST:
        return _("密碼至多 %(n)s 個字元", n=str(LONGEST))
    folded = password.casefold()
    if any(_counts(word) and word.casefold() in folded for word in about):
        return _("密碼不可含有身分證字號、生日、姓名、電話或電子郵件")
    if _is_common(folded):
        return _("這個密碼太常見，容易被猜中，請換一個")
    return ""


def _counts(word: str) -> bool:
    return len(word) >= (_SHORTEST_WORD if word.isascii() else _SHORTEST_CHINESE)


def _is_common(folded: str) -> bool:
    """Tell whether a password is one of those that are tried first.

    >>> [_is_common(p) for p in ("password123", "12345678", "aaaaaaaa", "abcabcabc")]
    [True, True, True, True]
    >>> _is_common("a quiet morning")
    False
    """
    if re.fullmatch(r"(.{1,4}?)\1+.?", folded):
        return True
    if any(folded in run * 2 for run in _RUNS):
        return True
    core = re.sub(r"^[\d\W_]+|[\d\W_]+$", "", folded)
    return folded in _COMMON or core in _COMMON or (not core and len(folded) < ADVISED)


class Passwords:
    """Hashes and checks passwords in threads, two at a time (argon2id, 19 MiB, t 2)."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._most_waiting = most_waiting
        self._waiting = 0
        self._nobody = self._hasher.hash("nobody has this password")

    @property
    def waiting(self) -> int:
        """How many are being hashed or wait for their turn."""
        return self._waiting

    async def hash(self, password: str) -> str:
        """Return what the database keeps of a password; raises Busy."""
        return await self._in_turn(lambda: self._hasher.hash(password))

    async def matches(self, stored: str | None, password: str) -> bool:
        """Tell whether a password is the stored one; as slow when there is none."""
        return await self._in_turn(lambda: self._check(stored, password))

    def outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters."""
        return self._hasher.check_needs_rehash(stored)

    def _check(self, stored: str | None, password: str) -> bool:
        try:
            right = self._hasher.verify(stored or self._nobody, password)
        except (VerifyMismatchError, InvalidHashError):
            return False
        return right and stored is not None

    async def _in_turn(self, work: Callable[[], Answer]) -> Answer:
        if self._waiting >= self._most_waiting:
            raise Busy
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1
