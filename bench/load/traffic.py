"""Browsers of applicants, and when they ask: an open loop.

Moments of arrival are drawn beforehand (Poisson, seeded) and kept to whatever the site
does; how long an answer took counts from the moment its request was due. So a site that
stands still for a second is charged with everybody who came in that second.
"""

from __future__ import annotations

import asyncio
import gc
import gzip
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import aiohttp
from population import DEVICE, PASSWORD, SAVES, Applicant
from processes import HOST, ORIGIN

from jiepin.web import demo
from jiepin.web.card import from_base64
from jiepin.web.rendering import STATIC

AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/156.0.0.0"
PATIENCE = 60.0  # seconds for one answer
KEPT_OPEN = 3.0  # seconds: the site closes what was idle for five
# what applicants look at, in parts: while they fill in, and once the result is out
FILLING = {
    "wishes": 28,
    "status": 22,
    "static": 10,
    "pool": 8,
    "check": 8,
    "person": 4,
    "appointment": 4,
    "sign-in page": 4,
    "draft": 4,
    "notices": 3,
    "sheet": 2,
    "help": 2,
    "sheet.pdf": 1,
}
RESULT = {"status": 45, "result": 35, "static": 10, "public": 5, "sign-in page": 5}
PATHS = {
    "static": f"{STATIC}/site.css",
    "sign-in page": "/teacher/",
    "public": "/public/",
}
HIDDEN = r'type="hidden" name="(version|draft)" value="(\w*)"'
WITHOUT_COOKIE = ("static", "sign-in page", "public", "help")


@dataclass
class Browser:
    """The browser of one applicant, and what the site has acknowledged to it."""

    person: Applicant
    cookie: str
    held: tuple[str, ...]  # the list that is stored, as far as the browser knows
    version: int = SAVES[-1]
    draft: str = ""
    asked: tuple[str, ...] = ()  # the list of a save whose answer never came
    saved: dict[int, tuple[str, ...]] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was made: what, when it was due, how long it took, how it went."""

    kind: str
    due: float
    seconds: float
    outcome: str  # "ok", "refused", or what went wrong


class Wrong(Exception):
    """An answer that is none; the text says what came instead."""


class Refused(Exception):
    """The site asks to come again later, and says when (Retry-After)."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Arrivals per second."""

    views: float
    saves: float
    sign_ins: float

    def times(self, factor: float) -> Rates:
        """Return them all so many times as high."""
        return Rates(self.views * factor, self.saves * factor, self.sign_ins * factor)

    def text(self) -> str:
        return f"{self.views:g} views, {self.saves:g} saves, {self.sign_ins:g} sign-ins"


class Traffic:
    """Everybody's browsers on one site."""

    def __init__(self, port: int, people: Sequence[Applicant], seed: int) -> None:
        self.browsers = [Browser(one, one.token, one.wishes) for one in people]
        self.asked: list[Asked] = []
        self.late: list[float] = []  # seconds that requests were begun too late
        self._site = f"http://127.0.0.1:{port}"
        self._dice = random.Random(seed)
        self._pools: dict[tuple[str, str], str] = {}
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Traffic:
        self._http = aiohttp.ClientSession(
            self._site,
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_OPEN),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(PATIENCE),
            headers={"Host": HOST, "User-Agent": AGENT, "Accept-Encoding": "gzip"},
        )
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.close()

    async def warm_up(self, views: Mapping[str, int]) -> None:
        """Ask for each page once, and learn where the lists of schools are."""
        for browser in self.browsers:
            for county in browser.person.counties:
                if (browser.person.level, county) not in self._pools:
                    await self._find_pool(browser, county)
        for kind in views:
            for browser in self.browsers[:5]:
                await self._look(browser, kind)

    async def run(self, rates: Rates, seconds: float, views: Mapping[str, int]) -> None:
        """Ask for so long, then wait for what is under way."""
        plan = self._plan(rates, seconds)
        gc.collect()
        gc.freeze()  # or a collection would make requests late
        under_way: set[asyncio.Task[None]] = set()
        start = time.perf_counter()
        for due, stream in plan:
            await asyncio.sleep(max(start + due - time.perf_counter(), 0))
            self.late.append(time.perf_counter() - start - due)
            task = asyncio.create_task(self._arrive(stream, start + due, views))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        if under_way:
            await asyncio.wait(under_way)

    def _plan(self, rates: Rates, seconds: float) -> list[tuple[float, str]]:
        streams = {
            "view": rates.views,
            "save": rates.saves,
            "sign-in": rates.sign_ins,
        }
        plan = []
        for stream, rate in streams.items():
            gaps = (self._dice.expovariate(rate) for _ in range(int(rate * seconds)))
            plan += [(due, stream) for due in accumulate(gaps) if due < seconds]
        return sorted(plan)

    async def _arrive(self, stream: str, due: float, views: Mapping[str, int]) -> None:
        browser = self._dice.choice(self.browsers)
        if stream == "view":
            [kind] = self._dice.choices(list(views), views.values())
            await self._timed(kind, due, lambda: self._look(browser, kind))
        elif stream == "save":
            await self._timed("save", due, lambda: self._save(browser))
        else:
            await self.sign_in(browser, due)

    async def _timed(
        self, kind: str, due: float, work: Callable[[], Awaitable[object]]
    ) -> bool:
        """Do something, and note how long it took since it was due."""
        outcome = "ok"
        try:
            await work()
        except Refused:
            outcome = "refused"
        except Wrong as wrong:
            outcome = str(wrong)
        except (aiohttp.ClientError, TimeoutError) as fault:
            outcome = type(fault).__name__
        took = time.perf_counter() - due
        self.asked.append(Asked(kind, due, took, outcome))
        return outcome == "ok"

    # what a browser does

    async def _get(
        self, browser: Browser, path: str, cookie: str, expected: int = 200
    ) -> aiohttp.ClientResponse:
        return await self._ask("GET", browser, path, cookie, expected)

    async def _ask(
        self,
        method: str,
        browser: Browser,
        path: str,
        cookie: str,
        expected: int,
        form: Mapping[str, str] | None = None,
        **more: str,
    ) -> aiohttp.ClientResponse:
        """Ask as a browser behind the proxy does; raises Wrong, Refused."""
        headers = {"X-Forwarded-For": browser.person.address, **more}
        headers["X-Forwarded-Proto"] = "https"
        if cookie:
            headers["Cookie"] = f"__Host-sid={cookie}"
        if method == "POST":
            headers |= {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
            headers["Accept-Encoding"] = "identity"
        async with self._http.request(
            method, path, headers=headers, data=form, allow_redirects=False
        ) as answer:
            await answer.read()
        if answer.status == 503 and "Retry-After" in answer.headers:
            raise Refused
        if answer.status != expected:
            raise Wrong(f"status {answer.status}")
        return answer

    async def _find_pool(self, browser: Browser, county: str) -> None:
        level = browser.person.level
        asked = f"/teacher/pool/{level}/{county}/x"
        answer = await self._get(browser, asked, browser.cookie, 303)
        self._pools[level, county] = answer.headers["Location"]

    async def _look(self, browser: Browser, kind: str) -> None:
        if kind == "draft":  # kept by the page itself, as long as the list changes
            await self._keep_draft(browser)
            return
        cookie = "" if kind in WITHOUT_COOKIE else browser.cookie
        path = PATHS.get(kind, f"/teacher/{kind}")
        if kind == "pool":
            person = browser.person
            path = self._pools[person.level, person.counties[0]]
        await self._get(browser, path, cookie)

    async def _save(self, browser: Browser) -> None:
        """Save another order of wishes; remember it once it is acknowledged."""
        async with browser.turn:
            if browser.asked:
                await self._look_again(browser)
            browser.asked = wishes = self._other_wishes(browser)
            try:
                told = await self._post_wishes(browser, "save", wishes)
            except Refused:
                browser.asked = ()
                raise
            browser.version, browser.draft = told["version"], told["draft"]
            browser.saved[browser.version] = browser.held = wishes
            browser.asked = ()

    async def _look_again(self, browser: Browser) -> None:
        """Load the page anew after a save without an answer, and see what became."""
        answer = await self._get(browser, "/teacher/wishes", browser.cookie)
        page = gzip.decompress(await answer.read()).decode("utf-8")
        hidden = dict(
            re.findall(r'type="hidden" name="(version|draft)" value="(\w*)"', page)
        )
        if int(hidden["version"]) > browser.version:
            browser.held = browser.asked
        browser.version, browser.draft = int(hidden["version"]), hidden["draft"]
        browser.asked = ()

    async def _keep_draft(self, browser: Browser) -> None:
        async with browser.turn:
            wishes = self._other_wishes(browser)
            told = await self._post_wishes(browser, "draft", wishes)
            browser.draft = told["draft"]

    def _other_wishes(self, browser: Browser) -> tuple[str, ...]:
        pool = browser.person.pool
        return tuple(self._dice.sample(pool, min(len(pool), 20)))

    async def _post_wishes(
        self, browser: Browser, what: str, wishes: Sequence[str]
    ) -> Any:
        form = {
            "version": str(browser.version),
            "draft": browser.draft,
            "schools": " ".join(wishes),
            "then": "stay",
        }
        path, accept = f"/teacher/wishes/{what}", {"Accept": "application/json"}
        answer = await self._ask(
            "POST", browser, path, browser.cookie, 200, form, **accept
        )
        return await answer.json()

    async def sign_in(self, browser: Browser, due: float) -> None:
        """Sign in with card and password, and see where that leads."""
        asked: list[aiohttp.ClientResponse] = []

        async def challenge() -> None:
            path = "/teacher/challenge"
            asked.append(await self._ask("POST", browser, path, "", 200))

        if not await self._timed("challenge", due, challenge):
            return
        [answer] = asked
        cookie = answer.cookies["__Host-sid"].value
        raw = from_base64((await answer.json())["challenge"])
        form = demo.sealed(browser.person, raw, DEVICE, "pcsc")
        form |= {"level": browser.person.level, "password": PASSWORD}

        async def enter() -> None:
            path = "/teacher/sign-in"
            answer = await self._ask("POST", browser, path, cookie, 303, form)
            browser.cookie = answer.cookies["__Host-sid"].value

        if await self._timed("sign-in", time.perf_counter(), enter):
            await self._timed(
                "status",
                time.perf_counter(),
                lambda: self._look(browser, "status"),
            )
