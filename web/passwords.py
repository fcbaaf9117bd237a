"""Passwords: which are refused, and hashing without letting a crowd stop the site."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from jiepin.web.language import _

SHORTEST, ADVISED, LONGEST = 8, 12, 128
AT_ONCE = 2  # hashes computed at a time: each takes 19 MiB and a core for 26 ms
MOST_WAITING = 100  # about two seconds of waiting; more are asked to come back
_SHORTEST_WORD = 4  # of the words about oneself that a password must not hold

# What is tried first against any account: bases, with digits before or behind them.
_COMMON = frozenset(
    """
    password passw0rd pass p@ssword p@ssw0rd qwerty qwertyuiop qwer asdf asdfgh
    asdfghjkl zxcvbn zxcvbnm 1q2w3e 1q2w3e4r 1q2w3e4r5t 1qaz2wsx qazwsx zaq12wsx
    q1w2e3r4 iloveyou letmein welcome admin administrator root test guest login master
    abc abcd aaa abcabc monkey dragon sunshine princess football baseball superman
    batman shadow michael jordan charlie hello secret changeme default taiwan taipei
    kaohsiung teacher school jiepin student love lovely family happy lucky money summer
    winter spring autumn pokemon starwars computer internet google facebook apple
    samsung asus wangwang woaini ji32k7au4a83 5201314 1314520 168168 888888 666666
    520520 au4a83 vu04vup su3cl3 j6up6 介聘 老師 教師 學校 密碼
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
    if any(len(word) >= _SHORTEST_WORD and word.casefold() in folded for word in about):
        return _("密碼不可含有身分證字號、生日、姓名、電話或電子郵件")
    if _is_common(folded):
        return _("這個密碼太常見，容易被猜中，請換一個")
    return ""


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
