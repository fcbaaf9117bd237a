"""The addresses of the freeze and of the runs."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.convertors import Convertor, register_url_convertor
from starlette.routing import BaseRoute, Route

from jiepin.web.host import run, runs


class RowNumber(Convertor[int]):
    """The number of a row; one that no database could hold is no address."""

    regex = "[0-9]{1,15}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("row", RowNumber())

_RUNS = "/host/runs"
_SNAPSHOT = "/host/runs/snapshots/{id:row}"
_COMPARE = "/host/runs/{a:row}/compare/{b:row}"

ROUTES: Sequence[BaseRoute] = (
    Route(_RUNS, runs.page),
    Route(_RUNS + "/check", runs.check),
    Route(_RUNS + "/key.pem", runs.public_key),
    Route(_RUNS + "/freeze", runs.freeze, methods=["POST"]),
    Route(_SNAPSHOT + ".zip", runs.archive),
    Route(_SNAPSHOT + "/run", runs.ask, methods=["POST"]),
    Route(_SNAPSHOT + "/withdraw", runs.withdraw, methods=["POST"]),
    Route(_RUNS + "/{id:row}", run.page),
    Route(_RUNS + "/{id:row}.json", run.progress),
    Route(_RUNS + "/{id:row}/report/{lang}", run.report),
    Route(_RUNS + "/{id:row}/moves.{kind}", run.moves_file),
    Route(_RUNS + "/{id:row}/cancel", run.cancel, methods=["POST"]),
    Route(_RUNS + "/{id:row}/approve", run.approve, methods=["POST"]),
    Route(_RUNS + "/{id:row}/unapprove", run.unapprove, methods=["POST"]),
    Route(_COMPARE, run.comparison),
    Route(_COMPARE + ".{kind}", run.comparison_file),
)
