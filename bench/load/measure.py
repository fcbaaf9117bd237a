"""One measurement: a site that runs, browsers that ask, a probe, what came of it."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
from figures import Report
from processes import HOST, ORIGIN, Probe, Server
from result import SNAPSHOT
from traffic import Rates, Traffic


async def measure(
    title: str,
    server: Server,
    traffic: Traffic,
    rates: Rates,
    seconds: float,
    views: Mapping[str, int],
    solver: Solver | None = None,
) -> Report:
    """Let browsers ask for so long, and return what they and the probe have seen."""
    traffic.asked, traffic.late = [], []
    solving = asyncio.create_task(solver.run()) if solver else None
    cpu, own, start = server.cpu(), _own_cpu(), time.perf_counter()
    probe = Probe(server.port)
    await traffic.run(rates, seconds, views)
    probed = await asyncio.to_thread(probe.end)
    report = Report(
        f"{title}: {rates.text()} a second for {seconds:.0f} s",
        time.perf_counter() - start,
        traffic.asked,
        traffic.late,
        probed.gap,
        probed.statuses,
        server.cpu() - cpu,
        _own_cpu() - own,
        server.memory(),
    )
    if solving and solver:
        solving.cancel()
        with suppress(asyncio.CancelledError):
            await solving
        report.notes.append(solver.text)
    return report


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Solver:
    """The host, who lets the site solve the same round again and again."""

    def __init__(self, port: int) -> None:
        self._site = f"http://127.0.0.1:{port}"
        self._took: list[float] = []

    @property
    def text(self) -> str:
        took = ", ".join(f"{seconds:.0f}" for seconds in self._took) or "none"
        return f"meanwhile runs of the engine by the site itself, seconds each: {took}"

    async def run(self) -> None:
        headers = {
            "Host": HOST,
            "Origin": ORIGIN,
            "Sec-Fetch-Site": "same-origin",
            "Cookie": "__Host-staff=session-host",
        }
        async with aiohttp.ClientSession(
            self._site, headers=headers, cookie_jar=aiohttp.DummyCookieJar()
        ) as http:
            while True:
                await self._once(http)

    async def _once(self, http: aiohttp.ClientSession) -> None:
        start = time.perf_counter()
        asked = f"/host/runs/snapshots/{SNAPSHOT}/run"
        async with http.post(asked, allow_redirects=False) as answer:
            assert answer.status == 303, (answer.status, await answer.text())
            address = answer.headers["Location"]
        while (await self._told(http, f"{address}.json"))["under_way"]:
            await asyncio.sleep(1)
        async with http.get(address) as answer:
            assert "檢核通過" in await answer.text(), address
        self._took.append(time.perf_counter() - start)

    async def _told(self, http: aiohttp.ClientSession, address: str) -> Any:
        async with http.get(address) as answer:
            return await answer.json()
