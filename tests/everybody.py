"""The people of the little country, each at a browser, and the time: all of them act.

A state machine of Hypothesis: an example is a moment of the year and a seed. Somebody
asks for a few addresses with everybody's ids (`who_asks`), time passes, results are
published; each request is held against what is written down plainly (`who_may`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import ClassVar

import hypothesis
import little_country
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from little_country import STAFF, STAGES, TEACHERS, Country
from who_asks import ADDRESSES, FORMS, Asking, address, file_for
from who_may import Deed, Seen, wrongs

from jiepin.web.clock import from_ms
from jiepin.web.store import results, snapshots

ACTS, REQUESTS = 50, 3  # of an example, and of one who acts
BEGINNINGS = (
    *STAGES,
    *("filling", "opening", "ran", "after") * 2,
)  # where most is done
OF = {
    "teacher": [*(f"teacher {one.letters}" for one in TEACHERS), "new computer"],
    "county": [f"{one.county} {one.role} {one.letters}" for one in STAFF if one.county],
    "host": [f"host {one.role} {one.letters}" for one in STAFF if not one.county],
    "door": ["nobody", "new computer", "session over", "staff session over"],
}
OF["anybody"] = [name for names in OF.values() for name in names]
ASKED = tuple(
    (path, method)
    for path, route in ADDRESSES.items()
    for method in ("GET", "POST")
    if method in (route.methods or ())
)
BOTH, POST = ("GET", "POST"), ("POST",)
# who asks, where his addresses begin, how, and how often that is drawn
ASKING = (
    ("teacher", "/teacher/", BOTH, 3),
    ("teacher", "/teacher/", POST, 4),
    ("county", "/city/", BOTH, 3),
    ("county", "/city/", POST, 3),
    ("county", "/city/applications/{id}", BOTH, 3),
    ("host", "/host/", BOTH, 3),
    ("host", "/host/", POST, 4),
    ("host", "/host/results", BOTH, 2),
    ("host", "/host/corrections", BOTH, 2),
    ("host", "/host/runs", POST, 2),
    ("anybody", "/", BOTH, 2),
    ("anybody", "/public/", BOTH, 1),
    ("door", "/", BOTH, 1),
)
OF_TIME = 3  # how often time passes, or what works beside the pages is done
# Small numbers, of which Hypothesis draws each as often as the others. One seed for an
# example: what is drawn by itself is tried again and again with little changed.
seeds = st.tuples(*[st.integers(0, 99)] * 4)


@dataclass
class Walked:
    """How many requests were looked at, and at which addresses something was saved."""

    requests: int = 0
    saved: set[str] = field(default_factory=set)


class Everybody(RuleBasedStateMachine):
    """The people of the little country, each at a browser, and the time."""

    country: ClassVar[Country]
    seen: ClassVar[Seen]
    walked: ClassVar[Walked]

    @initialize(stage=st.sampled_from(BEGINNINGS), seed=seeds)
    def begin(self, stage: str, seed: tuple[int, ...]) -> None:
        self.country.go_to(stage)
        self.rng = Random(repr(seed))
        self.tokens: list[str] = []

    @rule()
    def somebody_acts(self) -> None:
        """Let somebody ask for a few things, or time go on."""
        often = [one[-1] for one in ASKING]
        [act] = self.rng.choices((*ASKING, None), (*often, OF_TIME))
        if act is None:
            self.rng.choice((self.pass_time, self.tend_results, self.run_engine))()
            return
        who, start, methods, _often = act
        self.some(self.rng.choice(OF[who]), start, methods)

    def some(self, name: str, start: str, methods: tuple[str, ...]) -> None:
        """Let somebody ask for a few addresses that begin so."""
        asked = [one for one in ASKED if one[0].startswith(start) and one[1] in methods]
        for _ in range(REQUESTS):
            self.ask(name, *self.rng.choice(asked))

    def pass_time(self) -> None:
        """Go to a moment at which something begins or ends, or to just beside it."""
        rng, now = self.rng, self.country.now
        moments = [moment for moment in self._moments() if moment > now]
        beside = timedelta(milliseconds=rng.choice((-1, 0, 1)))
        soon, late = now + timedelta(minutes=7), now + timedelta(days=400)
        moment = rng.choice([*moments[:2] * 3, soon, soon, late]) + beside
        self.country.wait_until(max(moment, now))

    def _moments(self) -> list[datetime]:
        rows = self.seen.rows(
            "select opens from window union select closes from window "
            "union select publish_at from publication "
            "union select decide_by from dropout"
        )
        return sorted(from_ms(row[0]) for row in rows if row[0] is not None)

    def tend_results(self) -> None:
        """Nothing is sent of a result that is not public."""
        public = self.seen.is_public(self.country.now)
        self.country.call(results.tend, self.country.site)
        assert public is not None or not self.country.changes()
        self.country.changes()

    def run_engine(self) -> None:
        """What waits is run; the engine itself is tested elsewhere."""
        waiting = "select id, snapshot from run where state = 'waiting'"
        for run in self.seen.rows(waiting)[:1]:
            self.country.sql(
                "update run set state = 'cancelled' where id = :id", id=run[0]
            )
            self.country.call(little_country.engine_runs, self.country, run[1])
        self.country.changes()

    def ask(self, name: str, route: str, method: str) -> None:
        """Let somebody ask for something, and look at what comes of it."""
        deed = self.deed(name, route, method)
        self.walked.requests += 1
        wrong = list(wrongs(deed))
        assert not wrong, f"{wrong}\n{name}: {deed}"
        if deed.changes and deed.answer.status < 400:
            self.walked.saved.add(route)
        where = deed.answer.header("location")
        if where.startswith("/city/tables/tried/"):
            self.tokens.append(where.rsplit("/", 1)[1])

    def deed(self, name: str, route: str, method: str) -> Deed:
        country, seen = self.country, self.seen
        browser = country.browsers[name]
        who = seen.who(browser, country.now)
        asking = Asking(self.rng, country, seen, browser, who, route, {}, self.tokens)
        path = address(asking)
        form = FORMS[route](asking) if method == "POST" else {}
        file = file_for(asking, form, route) if method == "POST" else b""
        who = seen.who(browser, country.now)  # the form may have fetched a cookie
        country.changes()
        answer = country.ask(browser, method, path, form, file)
        changes = country.changes()
        given = (seen, who, country.now, method, route, path, form)
        return Deed(*given, answer, changes, self._secrets())

    def _secrets(self) -> frozenset[str]:
        """Return the seeds of lotteries, and what keeps them from being guessed."""
        vault = self.country.site.vault
        sealed = self.seen.rows("select id, seed from snapshot")
        opened = [vault.open(seed, snapshots._COLUMN, str(id_)) for id_, seed in sealed]
        return frozenset(word for text in opened for word in text.split())


def walk(country: Country, examples: int, seed: int | None = None) -> Walked:
    """Let everybody act in so many years; returns what was looked at.

    Without a seed it is always the same. Fails with the request that went wrong, and
    with all that was done before it.
    """
    Everybody.country = country
    Everybody.seen = Seen(country.site.database.path.absolute())
    Everybody.walked = Walked()
    if seed is not None:
        hypothesis.seed(seed)(Everybody)
    how = settings(
        max_examples=examples,
        stateful_step_count=ACTS,
        derandomize=seed is None,
        database=None,
        deadline=None,
        phases=[Phase.generate],  # a seed cannot be made smaller
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Everybody, settings=how)
    return Everybody.walked
