"""The log: what went wrong and where, without words that may name a person.

The text of an exception can hold what somebody typed. What reaches the log of it is
its type and the lines it came through: handlers log `wordless(fault)`, and the
formatter does the same with the faults that libraries log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

_Found = (
    tuple[type[BaseException], BaseException, TracebackType | None]
    | tuple[None, None, None]
)


class Wordless(Exception):
    """Stands for an exception: its text is the name of its type."""


def wordless(fault: BaseException) -> Wordless:
    """Return what may be logged of a fault, for `exc_info`.

    >>> wordless(ValueError("A123456789"))
    Wordless('ValueError')
    """
    if isinstance(fault, Wordless):
        return fault
    bare = Wordless(type(fault).__name__).with_traceback(fault.__traceback__)
    behind = fault.__cause__
    if behind is None and not fault.__suppress_context__:
        behind = fault.__context__
    if behind is not None:
        bare.__cause__ = wordless(behind)
    return bare


class Plain(logging.Formatter):
    """Lines for people, as a practice site shows them."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatException(self, ei: _Found) -> str:  # noqa: N802, as logging calls it
        bare = wordless(ei[1]) if ei[1] else None
        return super().formatException(
            (type(bare), bare, bare.__traceback__) if bare else ei
        )


class Json(Plain):
    """One JSON object a line: time (UTC), level, logger, message, and what came of it.

    `trace` is there after a fault, `incident` where a page showed its number.

    >>> record = logging.LogRecord("a", 30, "", 0, "one\\ntwo %s", ("three",), None)
    >>> print(Json().format(record).split(",", 1)[1])
     "level": "WARNING", "logger": "a", "message": "one\\ntwo three"}
    """

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if hasattr(record, "incident"):
            line["incident"] = record.incident
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start(practice: bool) -> None:
    """Log warnings to standard error; in production also when a site starts and stops.

    A practice site writes for people, one in production for machines.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Plain() if practice else Json())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if not practice:
        logging.getLogger("jiepin").setLevel(logging.INFO)


def tell_of_loop(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a task ended with that nobody waited for; asyncio shows its text."""
    fault = context.get("exception")
    logging.getLogger("asyncio").error(
        "%s", context["message"], exc_info=wordless(fault) if fault else None
    )
