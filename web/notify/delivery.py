"""How a try to send may end. What is raised says so; anything else is a fault of ours.

The texts go into the delivery log, which counties read: they name codes and steps,
never an address and nothing that a server answered in words, since servers like to
repeat the address there.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Final

NAMES: Final = uuid.UUID("1f0c2a56-7f0b-4b3e-9a51-6d5b1c1d7c11")


class NotSent(Exception):
    """Not sent now. Trying again may help, not before `after` where the server says."""

    def __init__(self, why: str, after: timedelta | None = None) -> None:
        self.after = after
        super().__init__(why)


class NeverSent(Exception):
    """Cannot be sent, however often it is tried."""


def name_of(key: str) -> uuid.UUID:
    """Return the name under which a message is sent, the same at every try.

    A receiver that has seen it knows a second delivery for what it is.

    >>> name_of("filed:a1:3:mail") == name_of("filed:a1:3:mail")
    True
    """
    return uuid.uuid5(NAMES, key)
