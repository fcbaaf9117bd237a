"""Migration, freeze, run and publication, killed half-way: the old state or the new.

Whatever was killed is begun again, or gone on with, at the next start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from frozen_site import SOLVES, quick_engine, settled, written
from practice_round import START, Client, settings
from runs_under_way import alive, engine, stored
from starlette.testclient import TestClient

from jiepin.web.app import create_app
from jiepin.web.clock import SetClock
from jiepin.web.store.database import migrations
from jiepin.web.vault import Vault

TESTS = Path(__file__).parents[1]
PATIENCE = 30  # seconds


def killed_at_steps(kind: str, folder: Path, every: int = 1) -> dict[str, int]:
    """Kill some work at its steps; returns after how many kills which state was left.

    What is left after each is checked there: see tests/killed_steps.py.
    """
    done = subprocess.run(
        [sys.executable, TESTS / "killed_steps.py", kind, folder, str(every)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_a_migration_killed_at_any_statement_is_finished_at_the_next_start(
    tmp_path: Path,
) -> None:
    found = killed_at_steps("migrate", tmp_path / "site", every=3)
    assert found["old"] > 5 * len(migrations())


def test_a_freeze_killed_half_way_has_frozen_all_or_nothing(tmp_path: Path) -> None:
    found = killed_at_steps("freeze", tmp_path / "site", every=17)
    assert found["old"] > 5


def test_n05_notices_of_a_publication_killed_half_way_go_out_once(
    tmp_path: Path,
) -> None:
    found = killed_at_steps("publish", tmp_path / "site", every=3)
    assert found["old"] > 8


# a site killed while the engine runs

DYING = """
import os, sys
from pathlib import Path
from frozen_site import SLOW, frozen, reviewed
from jiepin.web import round_run
from runs_under_way import begun, process_of

folder = Path(sys.argv[1])
program = round_run.PROGRAM[-1].replace(round_run.MAIN, SLOW)
round_run.PROGRAM = (*round_run.PROGRAM[:-1], program)
with reviewed(folder) as (client, host):
    client.site.vault.write(folder / "keys.json")
    frozen(host)
    begun(host)
    print(process_of(client), flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_site_killed_while_the_engine_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine ends with its site, and the next start takes the run up again."""
    folder = tmp_path / "site"
    dying = subprocess.run(
        [sys.executable, "-c", DYING, str(folder)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert dying.returncode == -signal.SIGKILL, dying.stderr
    patience = time.monotonic() + PATIENCE
    while alive(int(dying.stdout)):
        assert time.monotonic() < patience, "the engine has outlived its site"
        time.sleep(0.01)
    engine(monkeypatch, SOLVES)
    with quick_engine():
        clock = SetClock(START)
        app = create_app(settings(folder), Vault.read(folder / "keys.json"), clock)
        with TestClient(app, base_url="https://tas.test") as http:
            client = Client(app, http, clock)
            settled(client)
            run = stored(client, 1)
            assert run.state == "done", run.log
            assert run.lawful
            assert written(client, "select count(*) from run_move") == [(6,)]
