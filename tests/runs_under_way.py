"""Runs whose engine is another program, and the processes behind them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from practice_round import Client

from jiepin.web import round_run
from jiepin.web.site import Site
from jiepin.web.store import runs
from jiepin.web.store.runs import Run


def engine(patch: pytest.MonkeyPatch, program: str) -> None:
    """Let another program stand for the engine."""
    patch.setattr(round_run, "PROGRAM", (sys.executable, "-c", program))


def begun(host: Client) -> int:
    """Ask for a run and wait until its process says how far it is."""
    answer = host.post("/host/runs/snapshots/1/run")
    assert answer.status_code == 303, answer.text
    id_ = int(answer.headers["location"].rsplit("/", 1)[1])
    patience = time.monotonic() + 60
    while (found := host.get(f"/host/runs/{id_}.json").json())["total"] != 7:
        assert found["under_way"]
        assert time.monotonic() < patience
    return id_


def stored(client: Client, id_: int) -> Run:
    async def look(site: Site) -> Run:
        async with site.database.reading() as db:
            found = await runs.run(db, id_)
        assert found is not None
        return found

    return client.call(look)


def process_of(client: Client) -> int:
    """Return the number of the process under way."""
    process = client.app.state.runner._process
    assert process is not None
    return int(process.pid)


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and is still noted does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        pass
    if Path("/proc/self").exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
