"""What is counted while the site runs: how many, how fast, never who.

Labels are few and known beforehand: templates of addresses as `app.ROUTES` has them,
methods, classes of status. No figure holds an address that was asked for, which may
be a one-time link, and none is about a person.
"""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS: Final = ("GET", "HEAD", "POST")
NO_ROUTE: Final = "none"  # of what was refused before, or asks for no page of ours
REFUSALS: Final = ("crowd", "busy", "full", "locked", "disk")
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LAG_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.3, 1.0, 5.0)
LOOK_EVERY: Final = 0.25  # seconds

# a series more for each one, that nobody asks for
disable_created_metrics()  # type: ignore[no-untyped-call]


class Figures:
    """The figures of one site, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("jiepin", "the program", registry=self.registry).info(
            {"version": version("jiepin")}
        )
        self._requests = self._counter(
            "jiepin_requests", "requests answered", "route", "method", "status"
        )
        self._seconds = Histogram(
            "jiepin_request_seconds",
            "from the request to the end of its answer",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._lag = Histogram(
            "jiepin_loop_lag_seconds",
            "how late the event loop is",
            buckets=LAG_SECONDS,
            registry=self.registry,
        )
        self.in_flight = self.gauge("jiepin_requests_in_flight", "being answered now")
        self.incidents = self._counter("jiepin_incidents", "faults shown with a number")
        self._refused = self._counter("jiepin_refused", "asked to come back", "why")
        for why in REFUSALS:
            self._refused.labels(why)

    def gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        """Make a figure that is set when somebody asks."""
        return Gauge(name, meaning, labels, registry=self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, registry=self.registry)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request; status 0: it came to no answer."""
        route = route_of(scope)
        method = scope["method"] if scope["method"] in METHODS else "other"
        kind = f"{status // 100}xx" if status else "none"
        self._requests.labels(route, method, kind).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, why: str) -> None:
        """Count somebody who was asked to come back: `REFUSALS`."""
        self._refused.labels(why).inc()

    async def watch_loop(self) -> None:
        """Look again and again how late the event loop is, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            self._lag.observe(max(loop.time() - due, 0))

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self.registry)


def route_of(scope: Scope) -> str:
    """Return the template of the address that a request came to.

    >>> route_of({"route": Route("/teacher/reset/{token}", lambda _: None)})
    '/teacher/reset/{token}'
    >>> route_of({}), route_of({"route": Mount("/static/3f2a", routes=[])})
    ('none', '/static')
    """
    route = scope.get("route")
    if isinstance(route, Mount):
        return "/" + route.path.split("/")[1]  # behind it stands a digest
    return route.path if isinstance(route, Route) else NO_ROUTE


class Counted:
    """Counts and times every request."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        begun = time.perf_counter()
        self._figures.in_flight.inc()
        try:
            await self._app(scope, receive, send_counted)
        finally:
            self._figures.in_flight.dec()
            self._figures.answered(scope, status, time.perf_counter() - begun)
