"""N05, the outbox and its worker against real servers: nothing lost, nothing twice.

The servers are our own (tests/mail_servers.py, tests/line_server.py); time is moved by
hand.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any

import outbox_sites
import pytest
from line_server import CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, LineServer, line_server
from mail_servers import Mailbox, mail_server
from outbox_sites import EMAIL, START, log, tell

from jiepin.web.clock import SetClock, to_ms
from jiepin.web.notify import worker
from jiepin.web.notify.delivery import NotSent
from jiepin.web.notify.line import Push
from jiepin.web.notify.mail import Post
from jiepin.web.notify.worker import MOST_TRIES, Worker
from jiepin.web.settings import Line, Mail
from jiepin.web.site import Site
from jiepin.web.store import notices, outbox
from jiepin.web.vault import Vault

USER = "U0123456789abcdef0123456789abcdef"
SENDER = "noreply@tas.example"


@dataclass
class Scene:
    """A site, its worker and what receives."""

    site: Site
    worker: Worker
    mailbox: Mailbox
    line: LineServer

    def move(self, step: timedelta) -> None:
        clock = self.site.clock
        assert isinstance(clock, SetClock)
        clock.move(seconds=step.total_seconds())


def channel(server: LineServer) -> Line:
    return Line(CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, server.address, server.address)


@asynccontextmanager
async def scene(folder: Path, *, linked: bool = False) -> AsyncIterator[Scene]:
    with line_server() as line:
        async with mail_server() as mailbox, outbox_sites.opened(folder) as site:
            mail = Mail("127.0.0.1", mailbox.port, security="none", sender=SENDER)
            ways = {"mail": Post(mail, timeout=5), "line": Push(channel(line))}
            if linked:
                async with site.database.writing() as db:
                    await notices.link_line(db, site.vault, "p1", USER, START)
            yield Scene(site, Worker(site, ways, Random(1)), mailbox, line)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def subjects(mails: list[EmailMessage]) -> list[str]:
    return [str(mail["Subject"]) for mail in mails]


def test_a_notice_goes_out_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            await tell(at.site, "result")
            assert await at.worker.step() == 1
            assert await at.worker.step() == 0
            [mail] = at.mailbox.arrived
            assert mail["To"] == EMAIL
            assert mail["Subject"] == "[教師介聘] 介聘結果已產生"
            [sent] = await log(at.site)
            assert (sent.state, sent.tries, sent.error) == ("done", 1, "")

    run(test())


def test_what_was_sent_is_no_longer_held(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            await tell(at.site, "result")
            await at.worker.step()
            async with at.site.database.reading() as db:
                rows = await db.execute_fetchall("select payload from outbox")
            assert [row["payload"] for row in rows] == [None]

    run(test())


def test_n05_same_event_and_version_is_told_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            for version in (1, 1, 2):
                await tell(at.site, "returned", version, reason="缺件")
            await at.worker.step()
            assert len(at.mailbox.arrived) == 2

    run(test())


def test_many_notices_each_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            for version in range(30):
                await tell(at.site, "rejected", version, reason=f"原因{version}")
            while await at.worker.step():
                pass
            bodies = [mail.get_content() for mail in at.mailbox.arrived]
            for version in range(30):
                assert sum(f"\r\n原因{version}\r\n" in body for body in bodies) == 1

    run(test())


def test_temporary_refusal_is_tried_again_later(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            at.mailbox.answers["rcpt"] = ["450 busy"] * 3
            await tell(at.site, "result")
            for tries in (1, 2, 3):
                assert await at.worker.step() == 1
                [waiting] = await log(at.site)
                assert (waiting.state, waiting.tries) == ("waiting", tries)
                assert waiting.error == "recipient refused with 450"
                assert await at.worker.step() == 0  # not before its time
                longest = worker.FIRST_WAIT * 2 ** (tries - 1) * 1.5
                at.move(longest)
            assert await at.worker.step() == 1
            assert len(at.mailbox.arrived) == 1
            [sent] = await log(at.site)
            assert (sent.state, sent.tries) == ("done", 4)

    run(test())


def test_waits_double_up_to_a_limit_and_are_spread() -> None:
    waits = [
        [Worker(None, {}, Random(seed))._wait_after(n) for n in range(1, MOST_TRIES)]  # type: ignore[arg-type]
        for seed in range(50)
    ]
    for n, column in enumerate(zip(*waits, strict=True)):
        middle = min(worker.FIRST_WAIT * 2**n, worker.LONGEST_WAIT)
        assert all(middle * 0.5 <= wait <= middle * 1.5 for wait in column)
        assert len(set(column)) > 40
    # LINE knows a retry key for a day
    assert max(sum(row, timedelta()) for row in waits) < timedelta(hours=24)


def test_lasting_refusal_is_given_up_and_stays_visible(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            at.mailbox.answers["rcpt"] = [f"550 {EMAIL} unknown"]
            await tell(at.site, "result")
            await at.worker.step()
            [row] = await log(at.site)
            assert row.state == "failed"
            assert row.error == "recipient refused with 550"
            assert row.finished == START
            at.move(timedelta(days=30))
            assert await at.worker.step() == 0

    run(test())


def test_gives_up_in_the_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            at.mailbox.answers["rcpt"] = ["450 busy"] * 99
            await tell(at.site, "result")
            for _ in range(MOST_TRIES):
                assert await at.worker.step() == 1
                at.move(worker.LONGEST_WAIT * 1.5)
            assert await at.worker.step() == 0
            [row] = await log(at.site)
            assert (row.state, row.tries) == ("failed", MOST_TRIES)

    run(test())


def test_one_bad_message_stops_no_other(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            await tell(at.site, "no-such-event")
            await tell(at.site, "passed")  # its number is missing
            await tell(at.site, "result", to="lin@example.org\r\nBcc: all@example.org")
            await tell(at.site, "schools", schools=["青山國小"])
            await spoil_payload(at.site, "schools")
            await tell(at.site, "rejected", reason="逾期")
            await at.worker.step()
            assert subjects(at.mailbox.arrived) == ["[教師介聘] 審核駁回"]
            errors = {row.event: row.error for row in await log(at.site)}
            assert errors["no-such-event"].endswith("no text is known")
            assert errors["passed"].endswith("the fact 'number' is missing")
            assert "cannot stand in a mail" in errors["result"]
            assert "does not open" in errors["schools"]
            assert errors["rejected"] == ""

    run(test())


async def spoil_payload(site: Site, event: str) -> None:
    async with site.database.writing() as db:
        await db.execute(
            "update outbox set payload = x'00' where event = :event", {"event": event}
        )


def test_delivery_log_names_no_person(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            at.mailbox.answers["rcpt"] = [f"550 <{EMAIL}>: no such user"]
            await tell(at.site, "result")
            await tell(at.site, "rejected", to="not an address, 林小明", reason="")
            await at.worker.step()
            for row in await log(at.site):
                assert row.error
                assert "example.org" not in row.error
                assert "林" not in row.error

    run(test())


def test_what_is_too_late_is_not_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            until = to_ms(START + timedelta(minutes=10))
            await tell(at.site, "mail-code", code="123456", until=until)
            at.move(timedelta(minutes=10))
            await at.worker.step()
            assert at.mailbox.arrived == []
            [row] = await log(at.site)
            assert (row.state, row.error) == ("failed", "no longer of use")

    run(test())


def test_mail_goes_to_the_address_that_is_to_be_proved(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path) as at:
            until = to_ms(START + timedelta(minutes=10))
            await tell(
                at.site, "mail-code", to="new@example.org", code="123456", until=until
            )
            await at.worker.step()
            [mail] = at.mailbox.arrived
            assert mail["To"] == "new@example.org"
            assert "123456" in mail.get_content()

    run(test())


# LINE


@pytest.mark.parametrize(
    ("event", "facts", "told"),
    [
        ("reset", {"link": "x", "hint": "", "until": 2**42}, True),
        ("passed", {"number": "00012"}, True),
        ("rejected", {"reason": "逾期"}, True),
        ("result", {}, True),
        ("schools", {"schools": ["青山國小"]}, False),
    ],
)
def test_n02_events_that_line_tells_of(
    tmp_path: Path, event: str, facts: dict[str, object], told: bool
) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            await tell(at.site, event, **facts)
            await at.worker.step()
            assert len(at.mailbox.arrived) == 1
            assert [push["to"] for push in at.line.delivered] == [USER] * told

    run(test())


def test_line_says_that_and_never_what(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            await tell(at.site, "rejected", reason="秘密的原因")
            await at.worker.step()
            [push] = at.line.delivered
            assert "駁回" in push["messages"][0]["text"]
            assert "秘密的原因" not in push["messages"][0]["text"]
            assert "林小明" not in push["messages"][0]["text"]

    run(test())


def test_n04_unlinked_before_it_was_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            await tell(at.site, "result")
            async with at.site.database.writing() as db:
                assert await notices.unlink_line(db, "p1")
            await at.worker.step()
            assert at.line.pushes == []
            assert len(at.mailbox.arrived) == 1
            errors = {row.channel: row.error for row in await log(at.site)}
            assert errors == {"line": "no longer linked with LINE", "mail": ""}

    run(test())


def test_unwanted_notices_are_not_sent(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            off = [("mail", "result"), ("line", "review"), ("mail", "reset")]
            async with at.site.database.writing() as db:
                await notices.save_unwanted(db, "p1", off)
            await tell(at.site, "result")
            await tell(at.site, "passed", number="00012")
            await tell(at.site, "reset", link="x", hint="", until=2**42)
            await at.worker.step()
            told = {(row.channel, row.event) for row in await log(at.site)}
            assert told == {
                ("line", "result"),
                ("mail", "passed"),
                ("line", "reset"),
                ("mail", "reset"),  # codes and links cannot be turned off
            }

    run(test())


def test_line_failing_is_tried_again_and_told_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            at.line.failures = [(500, {}), (429, {"Retry-After": "600"}), (1500, {})]
            await tell(at.site, "result")
            await at.worker.step()
            at.move(worker.FIRST_WAIT * 1.5)
            assert await at.worker.step() == 1
            at.move(timedelta(seconds=599))  # LINE said when
            assert await at.worker.step() == 0
            at.move(timedelta(seconds=1))
            assert await at.worker.step() == 1  # taken, but the answer was 500
            assert len(at.line.delivered) == 1
            at.move(worker.FIRST_WAIT * 4 * 1.5)
            assert await at.worker.step() == 1  # 409
            assert len(at.line.delivered) == 1
            assert len(set(at.line.pushes)) == 1
            states = {row.channel: (row.state, row.tries) for row in await log(at.site)}
            assert states == {"line": ("done", 4), "mail": ("done", 1)}

    run(test())


def test_mail_down_does_not_hold_line_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            at.mailbox.answers["mail"] = ["421 going down"]
            await tell(at.site, "result")
            await at.worker.step()
            assert at.mailbox.arrived == []
            assert len(at.line.delivered) == 1

    run(test())


# crashes


@pytest.mark.parametrize("channel_name", ["mail", "line"])
def test_crash_between_sending_and_noting(
    tmp_path: Path, channel_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not noted as sent is sent again under the same name, after a while."""

    async def no_disk(_site: Site, _id: int) -> None:
        raise OSError("disk full")

    async def test() -> None:
        async with scene(tmp_path, linked=channel_name == "line") as at:
            if channel_name == "line":
                async with at.site.database.writing() as db:
                    await notices.save_unwanted(db, "p1", [("mail", "result")])
            await tell(at.site, "result")
            with monkeypatch.context() as patch:
                patch.setattr(outbox, "done", no_disk)
                with pytest.raises(OSError, match="disk full"):
                    await at.worker.step()
            assert await at.worker.step() == 0  # still held by the claim
            at.move(outbox.CLAIM_LIFE)
            assert await at.worker.step() == 1
            [row] = await log(at.site)
            assert row.state == "done"
            if channel_name == "line":
                assert len(at.line.pushes) == 2
                assert len(at.line.delivered) == 1
            else:
                one, two = at.mailbox.arrived
                assert one["Message-ID"] == two["Message-ID"]
                assert one.get_content() == two.get_content()

    run(test())


KILLED = """
import asyncio, os, sys
from pathlib import Path
import outbox_sites
from jiepin.web.notify.line import Push
from jiepin.web.notify.worker import Worker
from jiepin.web.settings import Line
from jiepin.web.vault import Vault

folder, address = Path(sys.argv[1]), sys.argv[2]
line = Line("channel-token", "1", "s", address, address)

class Dying:
    async def send(self, key, payload, now):
        await Push(line).send(key, payload, now)
        os.kill(os.getpid(), 9)

async def main():
    vault = Vault.read(folder / "keys.json")
    async with outbox_sites.opened(folder, vault=vault) as site:
        await Worker(site, {"line": Dying()}).step()

asyncio.run(main())
"""


def test_process_killed_while_it_sends(tmp_path: Path) -> None:
    """kill -9 right after LINE has taken the message: the next process goes on."""
    vault = Vault.new()
    vault.write(tmp_path / "keys.json")

    async def prepare() -> None:
        async with outbox_sites.opened(tmp_path, vault=vault) as site:
            async with site.database.writing() as db:
                await notices.link_line(db, vault, "p1", USER, START)
                await notices.save_unwanted(db, "p1", [("mail", "result")])
            await tell(site, "result")

    async def go_on(line: Line) -> None:
        async with outbox_sites.opened(tmp_path, vault=vault) as site:
            assert isinstance(site.clock, SetClock)
            site.clock.move(seconds=outbox.CLAIM_LIFE.total_seconds())
            assert await Worker(site, {"line": Push(line)}).step() == 1
            [row] = await log(site)
            assert row.state == "done"

    with line_server() as server:
        asyncio.run(prepare())
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), server.address],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            check=False,
        )
        assert done.returncode == -9
        assert len(server.delivered) == 1
        asyncio.run(go_on(channel(server)))
        assert len(server.pushes) == 2
        assert len(server.delivered) == 1


# the task


def test_task_outlives_faults_and_finishes_what_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for wait in ("LOOK_EVERY", "AFTER_A_FAULT"):
        monkeypatch.setattr(worker, wait, 0.01)
    is_due = outbox.is_due
    faults = [OSError(f"cannot read {EMAIL}")]

    async def faulty(*words: Any) -> bool:
        if faults:
            raise faults.pop()
        return await is_due(*words)

    monkeypatch.setattr(outbox, "is_due", faulty)

    async def test() -> None:
        begun, go_on = asyncio.Event(), asyncio.Event()
        carried: list[str] = []

        class Slow:
            async def send(self, key: str, _payload: Any, _now: Any) -> None:
                begun.set()
                await go_on.wait()
                carried.append(key)

        async with outbox_sites.opened(tmp_path) as site:
            await tell(site, "result")
            task = asyncio.create_task(Worker(site, {"mail": Slow()}).run())
            await begun.wait()
            task.cancel()
            asyncio.get_running_loop().call_later(0.05, go_on.set)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(carried) == 1
            [row] = await log(site)
            assert row.state == "done"

    run(test())
    assert "the outbox: OSError" in caplog.text
    assert EMAIL not in caplog.text


def test_fault_of_ours_is_logged_without_words_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def send(self, _key: str, _payload: Any, _now: Any) -> None:
            raise RuntimeError(f"cannot carry to {EMAIL}")

    async def test() -> None:
        async with outbox_sites.opened(tmp_path) as site:
            await tell(site, "result")
            await Worker(site, {"mail": Broken()}).step()
            [row] = await log(site)
            assert (row.state, row.error) == ("waiting", "RuntimeError")

    run(test())
    assert "RuntimeError" in caplog.text
    assert "in send" in caplog.text
    assert EMAIL not in caplog.text


def test_site_without_mail_and_line_keeps_waiting(tmp_path: Path) -> None:
    async def test() -> None:
        async with outbox_sites.opened(tmp_path) as site:
            await tell(site, "result")
            await Worker.of(site).step()
            [row] = await log(site)
            assert row.state == "waiting"
            assert "JIEPIN_SMTP_HOST" in row.error

    run(test())


def test_practice_site_sends_nothing_by_line(tmp_path: Path) -> None:
    async def test() -> None:
        async with scene(tmp_path, linked=True) as at:
            await tell(at.site, "result")
            await Worker(at.site, {"mail": at.worker.ways["mail"]}).step()
            assert at.line.pushes == []
            errors = {row.channel: row.error for row in await log(at.site)}
            assert errors == {"line": "this site sends nothing by line", "mail": ""}

    run(test())


def test_not_sent_keeps_what_the_server_asked_for() -> None:
    assert NotSent("busy", timedelta(minutes=1)).after == timedelta(minutes=1)
