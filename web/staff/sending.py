"""How far the notices about results are, as a table of both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jiepin.web.language import said
from jiepin.web.notify.texts import EVENTS
from jiepin.web.store.results import Sending
from jiepin.web.teacher.notify import CHANNELS


@dataclass(frozen=True, slots=True)
class SentRow:
    """One kind of notice in one way: how many wait, were sent, did not arrive."""

    event: str
    channel: str
    waiting: int
    done: int
    failed: int


def sent_rows(sent: Sequence[Sending]) -> list[SentRow]:
    """Return the table, in words."""
    return [
        SentRow(
            said(EVENTS[one.event]),
            said(CHANNELS[one.channel]),
            one.waiting,
            one.done,
            one.failed,
        )
        for one in sent
    ]
