"""Everybody asks for everything, at every moment of the year: nothing leaks or changes.

What is asked is drawn (`who_asks`), what may come of it is written down plainly
(`who_may`), and everybody can be told apart by what is written of him
(`little_country`). `bench/who_may.py` does the same for longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import get_args

import little_country
import pytest
from everybody import ASKED, walk
from little_country import Country, Told, told_by
from practice_round import teacher, with_site
from who_asks import ADDRESSES, FORMS, filler, names_in
from who_may import CHANGES_NOTHING, WRITES

from jiepin.web.access import Action, Actor, can
from jiepin.web.app import ROUTES
from jiepin.web.site import Site
from jiepin.web.store.applications import Application

EXAMPLES = 75
NOW = datetime(2026, 4, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Country]:
    with little_country.little_country(tmp_path_factory.mktemp("country")) as made:
        yield made


def test_nobody_learns_or_changes_what_is_not_his(country: Country) -> None:
    walked = walk(country, EXAMPLES)
    print(f"{walked.requests} requests; saved at {len(walked.saved)} addresses")
    print("nothing was saved at", sorted(set(WRITES) - walked.saved))
    assert walked.requests >= 10_000
    assert len(walked.saved) >= 70


def test_every_address_is_asked_for() -> None:
    assert len(ADDRESSES) == len(ROUTES) - 1  # but for the static files
    posts = {path for path, method in ASKED if method == "POST"}
    assert posts == set(FORMS)
    assert posts == set(WRITES) | CHANGES_NOTHING
    for path in ADDRESSES:
        for name in names_in(path):
            assert filler(path, name), path


def test_everybody_can_be_told_apart() -> None:
    for one in little_country.TEACHERS:
        kinds = {
            "name": one.name,
            "email": one.email,
            "phone": one.phone,
            "national": one.national_id,
            "birth": one.birth_date.isoformat(),
            "id": one.application,
        }
        for kind, text in kinds.items():
            assert told_by(f"<td>{text}</td>") == {Told(kind, one.letters)}


# what a teacher may do, state by state

ACTIONS = get_args(Action)
OWN = ("see", "print", "export", "notify")
# while the time to fill in is on, and while that of the review is
EDITS = {"filling": "fill", "filed": "fill", "returned": "fill review"}
STATES = ("filling", "filed", "returned", "rejected", "approved")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    async def make(site: Site) -> Application:
        return (await teacher(site))[1]

    return with_site(tmp_path_factory.mktemp("site"), make)


@pytest.mark.parametrize("state", STATES)
def test_what_a_teacher_may_do_to_the_own_application(
    application: Application, state: str
) -> None:
    owner = Actor("teacher", application.account, 115, application.level, "12")
    for fill, review, frozen in product((-1, 0, 1), (-1, 0, 1), (None, NOW)):
        one = at_the_time(application, fill, review, frozen)
        one = replace(one, state=state)
        on = [name for name, at in (("fill", fill), ("review", review)) if at == 0]
        edits = frozen is None and bool(set(on) & set(EDITS.get(state, "").split()))
        expected = {*OWN, "edit"} if edits else set(OWN)
        assert {a for a in ACTIONS if can(owner, a, one, NOW)} == expected
        stranger = replace(owner, account="another")
        assert not any(can(stranger, a, one, NOW) for a in ACTIONS)


def at_the_time(
    application: Application, fill: int, review: int, frozen: datetime | None
) -> Application:
    """Return it with both times over (-1), just begun (0), or not begun (1)."""
    day = timedelta(days=1)
    opens = {-1: NOW - day, 0: NOW, 1: NOW + timedelta(milliseconds=1)}
    return replace(
        application,
        fill_opens=opens[fill],
        fill_closes=opens[fill] + day,  # the moment of closing is closed
        review_opens=opens[review],
        review_closes=opens[review] + day,
        frozen=frozen,
    )
