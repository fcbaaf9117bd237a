"""Two sites alike but for what the run found: until it is public, nobody can tell.

Every page of teachers, counties and the public is the same to the byte, with the same
status, length, ETag and headers, after the same statements to the database, and the
outbox holds the same. After the publication all of them differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

import little_country
import pytest
from little_country import Country
from practice_round import YEAR
from who_asks import ADDRESSES, FORMS, Asking, address
from who_may import Seen

from jiepin.web.site import Site
from jiepin.web.store import results

# of the kinds that must not learn of it: some who move, some who stay
ASKING = (
    *("teacher aa", "teacher ac", "teacher aj", "teacher bc", "teacher bi"),
    *("12 head ec", "12 clerk ea", "13 head ef", "13 reviewer ee", "14 head ej"),
    "nobody",
)
# what is posted only to take something away
TAKEN = ("/teacher/own-data.json", "/city/results.{kind}", "/city/audit/{kind}")
SLOW = ("/teacher/sheet.pdf", "/city/applications/{id}/sheet.pdf")  # hold no result


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    with little_country.little_country(tmp_path_factory.mktemp("country")) as made:
        yield made


def asked_by(name: str) -> list[tuple[str, str]]:
    """Return what somebody asks for: all of his own end, and of the public."""
    end = (
        "/teacher" if "teacher" in name else "/city" if name != "nobody" else "/public"
    )
    return [
        (route, "POST" if route in TAKEN else "GET")
        for route, found in ADDRESSES.items()
        if route.startswith((end, "/public")) and route not in SLOW
        if route in TAKEN or "GET" in (found.methods or ())
    ]


@pytest.fixture
def statements(country: Country) -> Iterator[list[str]]:
    """What the site asks of its database."""
    told: list[str] = []
    database = country.site.database
    connections = [database._writer, *database._all_readers]

    async def trace(listen: bool) -> None:
        for one in connections:
            await one.set_trace_callback(told.append if listen else None)

    country.call(trace, True)
    yield told
    country.call(trace, False)


Seen_by = dict[tuple[str, str, int], tuple[object, ...]]


def look(country: Country, statements: list[str]) -> Seen_by:
    """Return all that they are answered, and how much was asked of the database."""
    seen = Seen(country.site.database.path.absolute())
    found: Seen_by = {}
    for name in ASKING:
        browser = country.browsers[name]
        who = seen.who(browser, country.now)
        for route, method in asked_by(name):
            for n in range(2 if "{" in route else 1):
                rng = Random(f"{name} {route} {n}")
                asking = Asking(rng, country, seen, browser, who, route, {}, [])
                path = address(asking)
                form = FORMS[route](asking) if method == "POST" else {}
                statements.clear()
                answer = country.ask(browser, method, path, form)
                asked = sum(one.startswith(("select", "with")) for one in statements)
                found[name, route, n] = (
                    *(path, answer.status, asked),
                    *(sorted(answer.headers), len(answer.body), answer.body),
                )
    return found


def outbox(country: Country) -> list[tuple[str, ...]]:
    return country.sql(
        "select key, channel, event, application from outbox order by id"
    )


def another_outcome(country: Country) -> None:
    """Let the run have found that nobody moves."""
    for statement in (
        "update run set digest = 'f' || substr(digest, 2), summary = '{}'",
        "update run_move set stage = '', exchange = null, choice = null, "
        "school = (select application.school from application "
        "where application.number = run_move.number)",
        "update result set stage = '', school = null, subject = null, choice = null",
    ):
        country.sql(statement)
    run = country.folder / f"site/rounds/{YEAR}/run-1"
    run.joinpath("assignments.csv").write_text("teacher_id\n", "utf-8")
    report = run.with_name("run-1-report") / "report.html"
    report.write_text("another", "utf-8")


def both(
    country: Country, statements: list[str], stage: str, **later: float
) -> tuple[Seen_by, Seen_by]:
    """Return what is seen with the one outcome, and with the other."""
    found = []
    for change in (lambda _country: None, another_outcome):
        country.go_to(stage)
        change(country)
        if later:
            country.wait_until(country.now + timedelta(**later))
            country.call(results.tend, country.site)
        found.append(look(country, statements))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("stage", "later"), [("ran", {}), ("planned", {"hours": 2, "milliseconds": -1})]
)
def test_what_is_not_public_changes_nothing_that_they_see(
    country: Country, statements: list[str], stage: str, later: dict[str, float]
) -> None:
    one, other = both(country, statements, stage, **later)
    assert {key for key in one if one[key] != other[key]} == set()
    assert sum(answer[1] == 200 for answer in one.values()) > 150
    country.go_to(stage)
    before = outbox(country)
    another_outcome(country)
    country.call(_tend, country.site)
    assert outbox(country) == before


async def _tend(site: Site) -> None:
    await results.tend(site)


def test_once_it_is_public_everybody_can_tell(
    country: Country, statements: list[str]
) -> None:
    one, other = both(country, statements, "planned", hours=2)
    differ = {
        name for name, route, n in one if one[name, route, n] != other[name, route, n]
    }
    assert {name.split()[0] for name in differ} >= {"teacher", "12", "13", "nobody"}
