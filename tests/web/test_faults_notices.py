"""N05: mail down for an hour, LINE failing, the site killed while it sends.

Hundreds of messages against real servers of our own: nothing lost, nothing twice.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import outbox_sites
from line_server import CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, LineServer, line_server
from mail_servers import Mailbox, mail_server
from outbox_sites import START, tell

from jiepin.web.clock import SetClock
from jiepin.web.notify.line import Push
from jiepin.web.notify.mail import Post
from jiepin.web.notify.worker import AT_ONCE, LONGEST_WAIT, Worker
from jiepin.web.settings import Line, Mail
from jiepin.web.site import Site
from jiepin.web.store import notices
from jiepin.web.vault import Vault

MESSAGES = 200
USER = "U0123456789abcdef0123456789abcdef"
MINUTE = timedelta(minutes=1)
# what LINE answers while it has trouble; 1500: it has taken the message all the same
TROUBLE = ((429, {"Retry-After": "90"}), (500, {}), (1500, {}), (429, {}))


def mail(port: int) -> Mail:
    return Mail("127.0.0.1", port, security="none", sender="noreply@tas.example")


def line(server: LineServer) -> Line:
    return Line(CHANNEL_TOKEN, LOGIN_ID, LOGIN_SECRET, server.address, server.address)


async def tell_many(site: Site) -> None:
    """Put messages for mail and for LINE into the outbox, as many of each."""
    async with site.database.writing() as db:
        await notices.link_line(db, site.vault, "p1", USER, START)
    for version in range(MESSAGES):
        await tell(site, "rejected", version, reason=f"原因{version}")


async def sent_for(site: Site, worker: Worker, span: timedelta) -> None:
    """Let the worker send minute by minute."""
    clock = site.clock
    assert isinstance(clock, SetClock)
    for _ in range(span // MINUTE):
        while await worker.step():
            pass
        clock.move(minutes=1)


async def states(site: Site) -> Counter[tuple[str, str]]:
    return Counter((row.channel, row.state) for row in await outbox_sites.log(site))


def each_once(mailbox: Mailbox) -> None:
    """Check that every message arrived once, whole."""
    bodies = "".join(letter.get_content() for letter in mailbox.arrived)
    assert len(mailbox.arrived) == MESSAGES
    for version in range(MESSAGES):
        assert bodies.count(f"\r\n原因{version}\r\n") == 1


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_mail_server_down_for_an_hour(tmp_path: Path) -> None:
    async def test() -> None:
        async with mail_server() as down:
            port = down.port  # nobody listens there once it has ended
        async with outbox_sites.opened(tmp_path) as site:
            worker = Worker(site, {"mail": Post(mail(port), timeout=5)}, Random(1))
            await tell_many(site)
            await sent_for(site, worker, timedelta(hours=1))
            assert (await states(site))["mail", "waiting"] == MESSAGES
            async with mail_server(port=port) as mailbox:
                await sent_for(site, worker, LONGEST_WAIT)
                assert (await states(site))["mail", "done"] == MESSAGES
                each_once(mailbox)

    run(test())


def test_line_in_trouble_for_an_hour(tmp_path: Path) -> None:
    async def test() -> None:
        with line_server() as server:
            async with outbox_sites.opened(tmp_path) as site:
                await tell_many(site)
                worker = Worker(site, {"line": Push(line(server))}, Random(1))
                for _ in range(60):
                    server.failures[:] = islice(cycle(TROUBLE), 4 * MESSAGES)
                    await sent_for(site, worker, MINUTE)
                in_trouble = len(server.delivered)
                server.failures.clear()
                await sent_for(site, worker, LONGEST_WAIT)
                assert 0 < in_trouble < MESSAGES
                assert (await states(site))["line", "done"] == MESSAGES
                assert len(server.delivered) == len(set(server.pushes)) == MESSAGES

    run(test())


SENDING = """
import asyncio, sys
from pathlib import Path
import outbox_sites
from jiepin.web.vault import Vault
from test_faults_notices import sending

asyncio.run(sending(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
"""


async def sending(folder: Path, port: int, address: str, minutes: str) -> None:
    """Send what is due, in a process of its own that is going to be killed."""
    vault = Vault.read(folder / "keys.json")
    server = LineServer(address)
    ways = {"mail": Post(mail(port), timeout=5), "line": Push(line(server))}
    async with outbox_sites.opened(folder, vault=vault) as site:
        assert isinstance(site.clock, SetClock)
        site.clock.move(minutes=int(minutes))
        print("begins", flush=True)
        while await Worker(site, ways).step():
            pass


async def killed(sent: Callable[[], int], more: int, *arguments: object) -> bool:
    """Start the process, kill it once so many more were sent; false when it ended."""
    tests = Path(__file__).parents[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SENDING, *map(str, arguments)),
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests / 'web'}"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begins\n"
    enough = sent() + more
    ended = asyncio.ensure_future(process.wait())
    while sent() < enough and not ended.done():
        await asyncio.wait([ended], timeout=0.002)
    if not ended.done():
        process.kill()
    assert await ended in (0, -signal.SIGKILL)
    return process.returncode != 0


def test_killed_again_and_again_while_it_sends(tmp_path: Path) -> None:
    """Everybody is told; LINE drops what it has already, a mail keeps its name."""
    vault, dice = Vault.new(), Random(3)
    vault.write(tmp_path / "keys.json")

    async def test() -> None:
        async with outbox_sites.opened(tmp_path, vault=vault) as site:
            await tell_many(site)
        with line_server() as server:
            async with mail_server() as mailbox:
                kills = 0
                # the claims of a process that was killed run out after five minutes
                at = (tmp_path, mailbox.port, server.address)

                def sent() -> int:
                    return len(mailbox.arrived) + len(server.pushes)

                while await killed(sent, dice.randint(10, 60), *at, 6 * kills):
                    kills += 1
                async with outbox_sites.opened(tmp_path, vault=vault) as site:
                    found = await states(site)
                assert found == {
                    ("mail", "done"): MESSAGES,
                    ("line", "done"): MESSAGES,
                }
                assert len(server.delivered) == len(server.taken) == MESSAGES
                letters = {str(one["Message-ID"]): one for one in mailbox.arrived}
                again = len(mailbox.arrived) - len(letters)
                assert again <= AT_ONCE * kills
                print(f"{kills} kills, {again} mails sent again under the same name")
                mailbox.arrived[:] = letters.values()
                each_once(mailbox)
                assert kills > 5

    run(test())
