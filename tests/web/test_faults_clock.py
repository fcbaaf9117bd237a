"""The clock of the machine set back: what was closed stays so, nobody waits for ever.

A small step back, as time servers make, is waited out. A large one means that the clock
was wrong before, and is followed: times that were over are open again until then, the
log says so, and what was frozen, told or sent stays that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import outbox_sites
import pytest
from frozen_site import written
from practice_round import CLOSES, PASSWORD, START, Client, person_form, running
from published_round import Frozen, frozen_round
from staff_site import county_desk
from starlette.testclient import TestClient

from jiepin.web import audit_check
from jiepin.web.accounts import FAILURES, LOCK
from jiepin.web.app import create_app
from jiepin.web.clock import STANDS_STILL, SetClock, SystemClock
from jiepin.web.notify.delivery import NotSent
from jiepin.web.notify.worker import Worker
from jiepin.web.site import Site
from jiepin.web.store import results
from jiepin.web.store.applications import Refused

YEAR_BACK = -365  # days


@pytest.fixture
def frozen(tmp_path: Path) -> Iterator[Frozen]:
    with running(tmp_path / "site") as client:
        yield frozen_round(client)


# the clock


def test_a_small_step_back_is_waited_out_and_a_large_one_followed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    machine = SetClock(START)
    clock = SystemClock(machine.now)
    machine.move(seconds=10)
    latest = clock.now()
    machine.set(latest - STANDS_STILL)
    assert clock.now() == latest
    machine.move(seconds=STANDS_STILL.total_seconds() + 1)
    assert clock.now() == latest + timedelta(seconds=1)
    assert caplog.text == ""
    machine.set(START - timedelta(hours=1))
    assert clock.now() == clock.now() == START - timedelta(hours=1)
    assert caplog.text.count("was set back by 3611 seconds") == 1


def test_a_deadline_does_not_open_again_after_a_small_step_back(
    tmp_path: Path,
) -> None:
    machine = SetClock(CLOSES - timedelta(seconds=1))
    with running(tmp_path / "site") as client:
        client.file("133601")
        clock = SystemClock(machine.now)
        client.app.state.site = Site(
            client.site.settings, clock, client.site.vault, client.site.database
        )
        machine.set(CLOSES)
        client.sign_in(password=PASSWORD)
        assert "填報期限已截止" in save(client)
        before = client.application()
        machine.move(seconds=-30)
        assert "填報期限已截止" in save(client)
        assert client.application() == before


def save(client: Client) -> str:
    answer = client.save("/teacher/person", **person_form(phone2="07-0000001"))
    assert answer.status_code != 303
    text: str = answer.text
    return text


# a year back


def test_nobody_is_locked_out_until_the_clock_is_where_it_was(tmp_path: Path) -> None:
    with running(tmp_path / "site") as client:
        client.fill_in(3)
        client.post("/teacher/sign-out")
        for _ in range(FAILURES):
            client.sign_in(password="wrong words here")
        assert client.sign_in(password=PASSWORD).status_code != 303
        client.clock.move(minutes=-LOCK.total_seconds() / 60)
        assert client.sign_in(password=PASSWORD).status_code == 303


def test_another_code_is_mailed_after_a_step_back(tmp_path: Path) -> None:
    with running(tmp_path / "site") as client:
        client.fill_in(3)
        client.save("/teacher/person", **person_form())
        client.clock.move(days=YEAR_BACK)
        client.sign_in(password=PASSWORD)
        assert client.post("/teacher/person/again").status_code == 303
        assert len(client.mailed("mail-code")) == 2


@pytest.mark.parametrize(("seconds", "stays"), [(-59, True), (-61, False)])
def test_sessions_of_a_later_time_end(
    tmp_path: Path, seconds: int, stays: bool
) -> None:
    with running(tmp_path / "site") as client:
        client.fill_in(3)
        county = county_desk(client)
        client.clock.move(seconds=seconds)
        assert (client.get("/teacher/person").status_code == 200) == stays
        assert (county.get("/city/home").status_code == 200) == stays
        assert client.sign_in(password=PASSWORD).status_code == 303


def test_what_waits_to_be_sent_does_not_wait_a_year(tmp_path: Path) -> None:
    class Way:
        refuses = True
        sent = 0

        async def send(self, _key: str, _payload: object, _now: datetime) -> None:
            if self.refuses:
                raise NotSent("busy", timedelta(days=9))
            self.sent += 1

    async def test() -> None:
        way = Way()
        async with outbox_sites.opened(tmp_path) as site:
            worker = Worker(site, {"mail": way})
            clock = site.clock
            assert isinstance(clock, SetClock)
            await outbox_sites.tell(site, "result")
            assert await worker.step() == 1
            way.refuses = False
            assert await worker.step() == 0
            clock.move(days=YEAR_BACK)
            assert await worker.step() == 1
            assert await worker.step() == 0
            assert way.sent == 1

    asyncio.run(test())


def test_what_was_frozen_told_and_public_stays_so(frozen: Frozen) -> None:
    frozen.approve()
    frozen.publish()
    frozen.tend()
    told = frozen.sql("select count(*) from outbox where event = 'result'")
    frozen.client.clock.move(days=-1)
    frozen.tend()
    assert frozen.sql("select count(*) from outbox where event = 'result'") == told
    assert frozen.sql("select frozen is null from round") == [(0,)]
    retract = results.retract
    actor = frozen.host.actor
    with pytest.raises(Refused):
        frozen.client.call(lambda site: retract(site, actor, 1, "改期"))
    frozen.client.clock.move(days=1)
    assert frozen.teacher().get("/teacher/result").status_code == 200


def test_the_audit_keeps_its_order_and_holds(tmp_path: Path) -> None:
    with running(tmp_path / "site") as client:
        client.fill_in(3)
        client.clock.move(days=YEAR_BACK)
        client.sign_in(password=PASSWORD)
        client.save("/teacher/person", **person_form())
        times = written(client, "select at from audit order by id")
        assert times != sorted(times)
        database = client.site.settings.database
        verdict = asyncio.run(audit_check.verify(database, None))
    assert verdict.holds
    assert f"{len(times):,}" in verdict.english or str(len(times)) in verdict.english


def test_a_start_before_what_was_written_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path / "site") as client:
        client.fill_in(3)
        used, vault = client.site.settings, client.site.vault
    for back, told in ((timedelta(seconds=59), False), (timedelta(hours=1), True)):
        app = create_app(used, vault, SetClock(START - back))
        with TestClient(app):
            assert ("behind the audit" in caplog.text) == told
    assert START.isoformat(timespec="seconds") in caplog.text
