"""Being watched: alive, ready, figures that hold nobody's data, the log, the nights."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import outbox_sites
import pytest
from practice_round import LIN, PASSWORD, Client, running, settings
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from jiepin.web import app, logs, monitor
from jiepin.web.app import ROUTES, create_app
from jiepin.web.clock import SetClock
from jiepin.web.monitor import Monitor
from jiepin.web.nightly import Nights
from jiepin.web.passwords import Busy
from jiepin.web.site import Site
from jiepin.web.store.database import N_READERS
from jiepin.web.vault import Vault

TYPED = "A123456789"  # by somebody; a trace shows its name alone
Figure = tuple[str, tuple[tuple[str, str], ...]]


class Watcher:
    """Asks the monitor of a running site."""

    def __init__(self, client: Client) -> None:
        self.http = TestClient(Monitor(client.app).app, base_url="http://monitor")
        self.http.portal = client.http.portal

    def ready(self) -> tuple[int, str]:
        answer = self.http.get("/ready")
        return answer.status_code, answer.text.strip()

    def figures(self) -> dict[Figure, float]:
        text = self.http.get("/metrics").text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def figure(self, name: str, **labels: str) -> float:
        return self.figures().get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.fixture
def watcher(client: Client) -> Watcher:
    return Watcher(client)


# alive and ready


def test_alive_and_ready(watcher: Watcher) -> None:
    answer = watcher.http.get("/health")
    assert (answer.status_code, answer.text) == (200, "alive\n")
    assert watcher.ready() == (200, "ready")
    assert watcher.figure("jiepin_ready") == 1


def test_not_ready_before_the_start(tmp_path: Path) -> None:
    http = TestClient(Monitor(create_app(settings(tmp_path), Vault.new())).app)
    assert http.get("/ready").text == "not ready: starting\n"
    assert http.get("/health").status_code == 200
    assert http.get("/metrics").status_code == 200


def test_not_ready_after_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as client:
        client.get("/teacher/")
    http = TestClient(Monitor(client.app).app)
    answer = http.get("/ready")
    assert answer.status_code == 503
    assert answer.text.startswith("not ready: database, shape")
    assert http.get("/metrics").status_code == 200


def test_not_ready_while_another_program_holds_the_database(
    client: Client, watcher: Watcher
) -> None:
    client.call(lambda site: _busy_timeout(site, 200))
    path = client.site.database.path
    with closing(sqlite3.connect(path, isolation_level=None)) as stranger:
        stranger.execute("begin immediate")
        assert watcher.ready() == (503, "not ready: database")
        assert watcher.figure("jiepin_ready") == 0
    assert watcher.ready() == (200, "ready")


async def _busy_timeout(site: Site, ms: int) -> None:
    await site.database._writer.execute(f"pragma busy_timeout = {ms}")


def test_not_ready_while_nobody_can_read(
    client: Client, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers = client.site.database._readers

    async def take(_site: Site) -> list[object]:
        return [await readers.get() for _ in range(N_READERS)]

    taken = client.call(take)
    with monkeypatch.context() as hurried:
        hurried.setattr(monitor, "PATIENCE", 0.1)
        status, told = watcher.ready()
        assert watcher.http.get("/metrics").status_code == 200
    assert status == 503
    assert {"shape", "keys"} <= set(re.findall(r"\w+", told))

    async def give(_site: Site) -> None:
        for reader in taken:
            readers.put_nowait(reader)

    client.call(give)
    assert watcher.ready() == (200, "ready")


def test_not_ready_with_another_shape(client: Client, watcher: Watcher) -> None:
    async def change(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("pragma user_version = 99")

    client.call(change)
    assert watcher.ready() == (503, "not ready: shape")


@pytest.mark.parametrize("name", ["jiepin.db", "jiepin.db.lock"])
def test_not_ready_when_a_file_was_replaced(
    client: Client, watcher: Watcher, name: str
) -> None:
    file = client.site.settings.data / name
    shutil.copy(file, file.with_name("other"))
    os.replace(file.with_name("other"), file)
    assert watcher.ready() == (503, "not ready: lock")
    file.unlink()
    assert watcher.ready() == (503, "not ready: lock")


def test_not_ready_with_other_keys(client: Client, watcher: Watcher) -> None:
    assert watcher.ready() == (200, "ready")
    client.sign_in()
    old = client.site
    client.app.state.site = Site(old.settings, old.clock, Vault.new(), old.database)
    assert watcher.ready() == (503, "not ready: keys")
    client.app.state.site = old


def test_not_ready_on_a_full_disk(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = monitor.LEAST_ROOM - 1
    monkeypatch.setattr(
        monitor,
        "shutil",
        SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=free)),
    )
    assert watcher.ready() == (503, "not ready: disk")
    assert watcher.figure("jiepin_disk_free_bytes") == free


def test_asking_changes_nothing(client: Client, watcher: Watcher) -> None:
    client.fill_in(3)
    before = client.digest()
    watcher.ready()
    watcher.figures()
    assert client.digest() == before


# figures


def test_requests_are_counted_by_template_and_class(
    client: Client, watcher: Watcher
) -> None:
    client.get("/teacher/reset/a-one-time-link")
    client.get("/nowhere/at/all")
    client.post("/teacher/notices")
    client.http.request("BREW", "/teacher/help")
    client.http.get("/teacher/help", headers={"host": "evil.example"})
    counted = {
        (labels["route"], labels["method"], labels["status"]): value
        for (name, pairs), value in watcher.figures().items()
        for labels in [dict(pairs)]
        if name == "jiepin_requests_total"
    }
    assert counted == {
        ("/teacher/reset/{token}", "GET", "2xx"): 1,
        ("none", "GET", "4xx"): 2,  # nowhere, and another host
        ("/teacher/notices", "POST", "3xx"): 1,
        ("/teacher/help", "other", "4xx"): 1,
    }
    assert watcher.figure("jiepin_request_seconds_count", route="none") == 2
    assert watcher.figure("jiepin_requests_in_flight") == 0


def test_labels_are_known_beforehand(client: Client, watcher: Watcher) -> None:
    known = {route.path for route in ROUTES if hasattr(route, "methods")}
    for path in ("/static/a/b", "/teacher/x" * 30, "/city/applications/A1", "/?q=A1"):
        client.get(path)
        client.http.request("M" + str(len(path)), path)
    for (name, pairs), _value in watcher.figures().items():
        labels = dict(pairs)
        if "route" in labels:
            assert labels["route"] in known | {"none", "/static"}, name
        assert labels.get("method", "other") in ("GET", "HEAD", "POST", "other")


def test_nobody_is_in_the_figures(client: Client, watcher: Watcher) -> None:
    client.file("133601", "133602")
    text = watcher.http.get("/metrics").text
    application = client.application()
    for word in (LIN.national_id, LIN.name, "lin@example.org", PASSWORD, "127.0.0.1"):
        assert word not in text
    assert application.id not in text
    assert application.account not in text


def test_state_of_the_site(client: Client, watcher: Watcher) -> None:
    client.sign_in()
    client.get("/teacher/notices")
    assert watcher.figure("jiepin_sessions", who="teachers") == 1
    assert watcher.figure("jiepin_sessions", who="staff") == 0
    for state in ("waiting", "running", "done", "failed", "cancelled"):
        assert ("jiepin_runs", (("state", state),)) in watcher.figures()
    path = client.site.database.path
    assert watcher.figure("jiepin_database_bytes") == path.stat().st_size
    assert watcher.figure("jiepin_wal_bytes") > 10_000
    assert watcher.figure("jiepin_disk_free_bytes") > 0
    assert watcher.figure("process_resident_memory_bytes") > 0


def test_outbox_tells_what_waits_and_how_long(tmp_path: Path) -> None:
    async def test() -> None:
        async with outbox_sites.opened(tmp_path) as site:
            running = create_app(site.settings, site.vault)
            running.state.site = site
            watching = Monitor(running)
            await outbox_sites.tell(site, "result")
            assert isinstance(site.clock, SetClock)
            site.clock.move(hours=2)
            await outbox_sites.tell(site, "returned", reason="缺件")
            await watching._take(site)
            figure = watching._figures.registry.get_sample_value
            assert figure("jiepin_outbox", {"state": "waiting"}) == 2
            assert figure("jiepin_outbox", {"state": "failed"}) == 0
            assert figure("jiepin_outbox_oldest_seconds") == 7200

    asyncio.run(test())


def test_age_of_the_newest_backup(client: Client, watcher: Watcher) -> None:
    assert math.isnan(watcher.figure("jiepin_backup_age_seconds"))
    old = client.site
    folder = old.settings.data.with_name("backups")
    with_backups = replace(old.settings, backups=folder)
    client.app.state.site = replace(old, settings=with_backups)
    assert watcher.figure("jiepin_backup_age_seconds") == math.inf
    folder.mkdir()
    (folder / "jiepin-20260420T003000.000Z.age").touch()
    (folder / "notes.txt").touch()
    assert watcher.figure("jiepin_backup_age_seconds") == 1800  # START is 01:00
    client.app.state.site = old


def test_incidents_and_refusals_are_counted(
    client: Client, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[Exception] = [Busy(), ValueError("A123456789")]

    def fail(*_arguments: object) -> None:
        raise faults.pop()

    monkeypatch.setattr("jiepin.web.teacher.door.practice_cards", fail)
    assert client.get("/teacher/").status_code == 500
    assert client.get("/teacher/").status_code == 503
    assert watcher.figure("jiepin_incidents_total") == 1
    assert watcher.figure("jiepin_refused_total", why="busy") == 1
    assert watcher.figure("jiepin_refused_total", why="full") == 0


def test_a_late_loop_shows(client: Client, watcher: Watcher) -> None:
    async def block(_site: Site) -> None:
        watching = asyncio.create_task(client.app.state.figures.watch_loop())
        await asyncio.sleep(0.01)
        time.sleep(0.6)  # as work that is too long for the loop
        await asyncio.sleep(0.01)
        watching.cancel()

    client.call(block)
    assert watcher.figure("jiepin_loop_lag_seconds_count") == 1
    assert watcher.figure("jiepin_loop_lag_seconds_bucket", le="0.3") == 0


# the log


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log holds, written as a site in production writes it."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logs.Json())
    root = logging.getLogger()
    root.addHandler(handler)
    yield text
    root.removeHandler(handler)


def lines(written: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_an_incident_is_logged_under_its_number_without_words(
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    written: io.StringIO,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_arguments: object) -> None:
        try:
            raise KeyError(TYPED)
        except KeyError as error:
            raise ValueError(TYPED + "\n{forged}") from error

    monkeypatch.setattr("jiepin.web.teacher.door.practice_cards", fail)
    page = client.get("/teacher/").text
    number = re.search("<code>([0-9a-f]{8})</code>", page)
    assert number is not None
    [line] = [line for line in lines(written) if "incident" in line]
    assert line["incident"] == number.group(1)
    assert line["message"] == f"incident {number.group(1)}: ValueError"
    assert line["level"] == "ERROR"
    assert line["logger"] == "jiepin.web.app"
    assert "in fail" in line["trace"]
    assert "KeyError" in line["trace"]
    at = datetime.fromisoformat(line["time"])
    assert at.tzinfo == UTC
    for text in (written.getvalue(), caplog.text):
        assert "Wordless: KeyError" in text
        assert "Wordless: ValueError" in text
        assert TYPED not in text


def test_faults_logged_by_libraries_lose_their_words(
    written: io.StringIO,
) -> None:
    try:
        raise ValueError(TYPED)
    except ValueError:
        logging.getLogger("some.library").exception("in the application")
    [line] = lines(written)
    assert "Wordless: ValueError" in line["trace"]
    assert TYPED not in written.getvalue()


def test_tasks_that_nobody_waits_for_lose_their_words(
    client: Client, written: io.StringIO
) -> None:
    async def fail() -> None:
        raise ValueError(TYPED)

    async def forget(_site: Site) -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0.01)
        del task

    client.call(forget)
    client.get("/teacher/help")
    told = [line for line in lines(written) if line["logger"] == "asyncio"]
    assert [line["message"] for line in told] == ["Task exception was never retrieved"]
    assert TYPED not in written.getvalue()


# the nights


def test_4_3_the_log_of_the_database_is_emptied_once_a_night(client: Client) -> None:
    wal = client.site.settings.data / "jiepin.db-wal"

    async def nights(site: Site) -> Nights:
        return Nights(site)

    night = client.call(nights)
    client.clock.set(datetime(2026, 4, 20, 18, 59, tzinfo=UTC))  # 02:59 in Taiwan

    def tend() -> int:
        client.call(lambda _site: night.tend())
        return wal.stat().st_size

    client.sign_in()
    assert tend() > 0
    client.clock.move(minutes=2)
    assert tend() == 0
    client.sign_in()
    client.clock.move(hours=20)
    assert tend() > 0  # not twice
    client.clock.move(hours=4)
    assert tend() == 0


def test_the_site_itself_keeps_the_nights(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own tending does it: a day later the log is empty."""
    monkeypatch.setattr(app, "TEND_EVERY", 0)
    client.sign_in()
    wal = client.site.settings.data / "jiepin.db-wal"
    assert wal.stat().st_size > 0

    async def tend() -> None:
        task = asyncio.create_task(app._tend(client.app))
        await asyncio.sleep(0)
        client.clock.move(days=1)
        while wal.stat().st_size > 0:
            await asyncio.sleep(0.01)
        task.cancel()

    client.call(lambda _site: asyncio.wait_for(tend(), 30))
    assert wal.stat().st_size == 0
