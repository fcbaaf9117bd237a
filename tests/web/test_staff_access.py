"""Who may do what, role by role, and that no end's cookie opens another end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from practice_round import Client, running, teacher
from staff_site import county_desk, host_desk
from starlette.routing import Route

from jiepin.web.access import NOBODY, Action, Actor, Kind, Role, Round, Scope, can
from jiepin.web.app import ROUTES
from jiepin.web.site import Site
from jiepin.web.store.applications import Application
from jiepin.web.store.schools import LEVELS

NOW = datetime(2026, 4, 20, tzinfo=UTC)
ALL, NONE = "crh", "---"

# Of each kind of actor what clerk, reviewer and head may do; '-': may not.
OF_ROUND = {  # the host
    "see": ALL, "export": ALL, "audit": ALL, "set-up": "c-h", "texts": "c-h",
    "begin": "--h", "freeze": "c-h", "leave-out": "--h", "run": "c-h",
    "approve": ALL, "publish": "--h", "correct": "c-h", "finish": "--h",
    "archive": "--h", "staff": "--h",
}  # fmt: skip
OF_COUNTY = {  # its own staff
    "see": ALL, "export": ALL, "audit": ALL, "schools": "c-h", "roster": "c-h",
    "staff": "--h", "open-seat": "--h",
}  # fmt: skip
OF_COUNTY_BY_HOST = {"see": ALL, "print": ALL, "export": ALL, "heads": "--h"}
OF_APPLICATION = {  # the home county's staff, while the review is open
    "see": ALL, "print": ALL, "export": ALL, "review": ALL, "decide": "-rh",
    "unlock": "c-h",
}  # fmt: skip
OF_APPLICATION_BY_HOST = {"see": ALL, "print": ALL, "export": ALL}
CLOSED = OF_APPLICATION | {"review": NONE, "decide": NONE}
FROZEN = OF_COUNTY | {"schools": NONE, "roster": NONE}

ACTIONS = get_args(Action)
ROLES = {"c": "clerk", "r": "reviewer", "h": "head"}


def someone(kind: Kind, role: Role, county: str = "12", level: str = "") -> Actor:
    levels = (level,) if level else LEVELS
    return Actor(kind, "staff", county=county, role=role, levels=levels)


def allowed(kind: Kind, object_: object, **where: str) -> dict[str, str]:
    """Return what every role may do to something, written as the tables are."""
    table = {}
    for action in ACTIONS:
        letters = [
            letter if can(someone(kind, role, **where), action, object_, NOW) else "-"
            for letter, role in ROLES.items()
        ]
        table[action] = "".join(letters)
    return {action: roles for action, roles in table.items() if roles != NONE}


def without_none(table: dict[str, str]) -> dict[str, str]:
    return {action: roles for action, roles in table.items() if roles != NONE}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Application:
    async def make(site: Site) -> Application:
        return (await teacher(site))[1]

    with running(tmp_path_factory.mktemp("site")) as client:
        return client.call(make)


def reviewed_at(application: Application, opens: datetime) -> Application:
    closes = opens + timedelta(days=7)
    return replace(application, review_opens=opens, review_closes=closes)


def test_asvs_8_2_1_what_roles_of_the_host_may_do() -> None:
    assert allowed("host", Round(115)) == OF_ROUND
    frozen = without_none(OF_ROUND | {"set-up": NONE})
    assert allowed("host", Round(115, NOW)) == frozen
    assert allowed("host", Scope("12")) == OF_COUNTY_BY_HOST
    assert allowed("host", Scope("12", "elementary", NOW)) == OF_COUNTY_BY_HOST


def test_asvs_8_2_1_what_roles_of_a_county_may_do() -> None:
    assert allowed("county", Scope("12")) == OF_COUNTY
    assert allowed("county", Scope("12", "elementary")) == OF_COUNTY
    assert allowed("county", Scope("12", frozen=NOW)) == without_none(FROZEN)
    assert allowed("county", Scope("13")) == {}
    assert allowed("county", Scope("12", "elementary"), level="junior-high") == {}
    assert allowed("county", Round(115)) == {}


def test_what_roles_may_do_to_an_application(application: Application) -> None:
    open_ = reviewed_at(application, NOW)
    closed = reviewed_at(application, NOW + timedelta(seconds=1))
    assert allowed("county", open_) == OF_APPLICATION
    assert allowed("county", closed) == without_none(CLOSED)
    assert allowed("county", open_, county="13") == {}
    assert allowed("county", open_, level="kindergarten") == {}
    assert allowed("host", open_) == OF_APPLICATION_BY_HOST


def test_after_the_freeze_only_what_the_host_has_opened(
    application: Application,
) -> None:
    frozen = replace(reviewed_at(application, NOW), frozen=NOW)
    assert allowed("county", frozen) == without_none(CLOSED)
    assert allowed("county", replace(frozen, correcting=NOW)) == OF_APPLICATION


def test_after_the_freeze_a_county_mends_its_schools_where_the_host_lets_it() -> None:
    opened = Scope("12", "", NOW, correcting=NOW)
    assert allowed("county", opened) == without_none(FROZEN) | {"schools": "c-h"}
    assert allowed("county", opened, county="13") == {}
    assert allowed("county", replace(opened, level="elementary"), level="x") == {}
    assert allowed("host", opened) == OF_COUNTY_BY_HOST


def test_nobody_and_teachers_have_no_part_in_it(application: Application) -> None:
    elsewhere = Actor("teacher", "x", 115, "elementary", "12")
    for actor in (NOBODY, Actor("county", "", county="12", role="head"), elsewhere):
        for object_ in (Round(115), Scope("12"), application):
            for action in ACTIONS:
                assert not can(actor, action, object_, NOW)


# cookies


def addresses(end: str, method: str = "GET") -> list[str]:
    """Return the addresses of an end, but its door."""
    door = ("", "sign-in", "challenge", "sign-out", "enrol", "enrol/setup")
    found = [
        re.sub(r"\{[^}]*\}", "13", route.path)
        for route in ROUTES
        if isinstance(route, Route)
        and method in (route.methods or ())
        and route.path.startswith(f"/{end}/")
    ]
    doors = {f"/{end}/{name}" for name in (*door, "enrol/picture.svg")}
    return sorted(set(found) - doors)


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Client]]:
    """A browser for each end in which somebody is signed in."""
    with running(tmp_path_factory.mktemp("site")) as client:
        client.fill_in(5)
        city, host = county_desk(client), host_desk(client)
        yield {"teacher": client, "city": city, "host": host}


OTHERS = [
    (mine, path)
    for mine, others in (("teacher", ("city", "host")), ("city", ("host",)))
    for end in others
    for path in addresses(end)
] + [("host", path) for path in addresses("city")]


@pytest.mark.parametrize(("mine", "path"), OTHERS)
def test_a_cookie_opens_no_page_of_another_end(
    browsers: dict[str, Client], mine: str, path: str
) -> None:
    answer = browsers[mine].http.get(path, follow_redirects=True)
    if answer.status_code != 404:
        assert answer.url.path == f"/{path.split('/')[1]}/"


@pytest.mark.parametrize("mine", ["city", "host"])
def test_staff_opens_no_page_of_a_teacher(
    browsers: dict[str, Client], mine: str
) -> None:
    name = browsers["teacher"].application().name
    for path in addresses("teacher"):
        answer = browsers[mine].get(path)
        assert answer.status_code == 303 or name not in answer.text, path
    for path in addresses("teacher", "POST"):
        before = browsers[mine].application()
        browsers[mine].post(path, version="5")
        assert browsers[mine].application() == before


def test_a_cookie_saves_nothing_at_another_end(browsers: dict[str, Client]) -> None:
    for mine, end in (("teacher", "city"), ("teacher", "host"), ("city", "host")):
        browser = browsers[mine]
        before = browser.digest()
        for path in addresses(end, "POST"):
            answer = browser.post(path, version="1")
            assert answer.status_code in (303, 404), path
            assert browser.digest() == before, path
    browser = browsers["host"]
    before = browser.digest()
    for path in addresses("city", "POST"):
        assert browser.post(path, version="1").status_code in (303, 404), path
    assert browser.digest() == before


def test_cookies_of_teachers_and_staff_are_not_taken_for_one_another(
    browsers: dict[str, Client],
) -> None:
    teacher, city = browsers["teacher"], browsers["city"]
    names = ("__Host-sid", "__Host-staff")
    swapped = teacher.another()
    held = (city.http.cookies["__Host-staff"], teacher.http.cookies["__Host-sid"])
    for name, value in zip(names, held, strict=True):
        swapped.http.cookies.set(name, value, domain="tas.test")
    assert swapped.get("/teacher/notices").headers["location"] == "/teacher/"
    assert swapped.get("/city/account").headers["location"] == "/city/"


def test_a_teacher_and_staff_may_sit_at_one_browser(
    browsers: dict[str, Client],
) -> None:
    both = browsers["teacher"].another()
    for name, end in (("__Host-sid", "teacher"), ("__Host-staff", "city")):
        value = browsers[end].http.cookies[name]
        both.http.cookies.set(name, value, domain="tas.test")
    assert both.get("/teacher/notices").status_code == 200
    assert both.get("/city/account").status_code == 200
