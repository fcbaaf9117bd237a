"""Whether pages and saves stay as quick while the database grows."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence

import httpx2
from figures import percentile
from population import COUNTY, DEVICE, PASSWORD, Applicant
from processes import HOST, ORIGIN, Server
from traffic import HIDDEN

from jiepin.web import demo
from jiepin.web.card import from_base64

SIZES, QUICK_SIZES = (5_000, 50_000, 200_000), (500, 2_000)
TIMES, QUICK_TIMES = 150, 20
MOST = 400  # applicants who ask, drawn from all of them
TEACHER = {
    "status (home)": "/teacher/status",
    "wishes": "/teacher/wishes",
    "check": "/teacher/check",
}
STAFF = {
    "county": {
        "county's home": "/city/home",
        "county's list": "/city/applications",
        "county's record": "/city/applications/{id}",
        "county's audit": "/city/audit",
    },
    "host": {
        "host's home": "/host/home",
        "host's progress": "/host/progress.json",
        "host's audit": "/host/audit",
        "host's runs": "/host/runs",
    },
}
Times = dict[str, list[float]]


def asked_of(server: Server, people: Sequence[Applicant], times: int) -> Times:
    """Ask one page after the other, nobody else being there; times in seconds."""
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{server.port}",
        headers={"Host": HOST, "Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"},
        timeout=120,
    ) as http:
        asker = Asker(http, people, times)
        asker.warm_up()
        return asker.teachers() | asker.staff()


class Asker:
    """Asks as one person after the other."""

    def __init__(
        self, http: httpx2.Client, people: Sequence[Applicant], times: int
    ) -> None:
        self._http = http
        self._times = times
        some = random.Random(1).sample(people, min(MOST, len(people)))
        self._people = some
        self._in_county = [one for one in people if one.county == COUNTY]

    def warm_up(self) -> None:
        """Let the site make what it makes once."""
        times, self._times = self._times, 3
        self.teachers()
        self.staff()
        self._times = times

    def teachers(self) -> Times:
        found: Times = {name: [] for name in (*TEACHER, "save", "sign-in")}
        for n in range(self._times):
            one = self._people[n % len(self._people)]
            cookie = f"__Host-sid={one.token}"
            for name, path in TEACHER.items():
                found[name].append(self._timed("GET", path, 200, cookie))
            found["save"].append(self._save(one, cookie))
            found["sign-in"].append(self._sign_in(one))
        return found

    def staff(self) -> Times:
        found: Times = {}
        for kind, pages in STAFF.items():
            cookie = f"__Host-staff=session-{kind}"
            for name, path in pages.items():
                found[name] = [
                    self._timed("GET", self._address(path, n), 200, cookie)
                    for n in range(max(self._times // 5, 5))
                ]
        return found

    def _address(self, path: str, n: int) -> str:
        one = self._in_county[n % len(self._in_county)]
        return path.format(id=one.application)

    def _save(self, one: Applicant, cookie: str) -> float:
        page = self._http.get("/teacher/wishes", headers={"Cookie": cookie}).text
        form = dict(re.findall(HIDDEN, page))
        form |= {"schools": " ".join(reversed(one.wishes)), "then": "stay"}
        return self._timed("POST", "/teacher/wishes/save", 303, cookie, form)

    def _sign_in(self, one: Applicant) -> float:
        start = time.perf_counter()
        address = {"X-Forwarded-For": one.address}
        asked = self._http.post("/teacher/challenge", headers=address)
        raw = from_base64(asked.json()["challenge"])
        cookie = asked.headers["set-cookie"].partition(";")[0]
        form = demo.sealed(one, raw, DEVICE, "pcsc")
        form |= {"level": one.level, "password": PASSWORD}
        self._timed("POST", "/teacher/sign-in", 303, cookie, form)
        return time.perf_counter() - start

    def _timed(
        self,
        method: str,
        path: str,
        expected: int,
        cookie: str,
        form: dict[str, str] | None = None,
    ) -> float:
        self._http.cookies.clear()
        start = time.perf_counter()
        answer = self._http.request(method, path, headers={"Cookie": cookie}, data=form)
        took = time.perf_counter() - start
        assert answer.status_code == expected, (path, answer.status_code)
        return took


def table(found: dict[int, Times]) -> list[str]:
    """Return how long each page took at each size, as Markdown."""
    lines = [
        "### Growth: median and p99, ms, one request at a time",
        "",
        "| page | " + " | ".join(f"{size:,} applicants" for size in found) + " |",
        "|---|" + "---:|" * len(found),
    ]
    for name in next(iter(found.values())):
        cells = (_cell(times[name]) for times in found.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _cell(seconds: Sequence[float]) -> str:
    return " / ".join(f"{percentile(seconds, at) * 1000:.1f}" for at in (0.5, 0.99))
