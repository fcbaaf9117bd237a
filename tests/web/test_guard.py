"""Every address: who may post, what GET does, headers, markup, both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice_round import Client, Page, person_form, running
from starlette.routing import Route

import jiepin.web
from jiepin.web import language
from jiepin.web.app import ROUTES
from jiepin.web.site import Site

WEB = Path(jiepin.web.__file__).parent


def routes(method: str) -> list[str]:
    """Return the addresses that take a method."""
    return [
        re.sub(r"\{[^}]*\}", "13", route.path)
        for route in ROUTES
        if isinstance(route, Route) and method in (route.methods or ())
    ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A site on which a teacher has come to step 5."""
    with running(tmp_path_factory.mktemp("site")) as client:
        client.fill_in(5)
        yield client


# CSRF

FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": "https://tas.test"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {},
]


@pytest.mark.parametrize("path", routes("POST"))
def test_asvs_3_5_1_other_sites_cannot_post(filled: Client, path: str) -> None:
    before = filled.digest()
    own = filled.http.headers.pop("sec-fetch-site")
    try:
        for headers in FOREIGN:
            answer = filled.http.post(path, data={"version": "1"}, headers=headers)
            assert answer.status_code == 403, headers
    finally:
        filled.http.headers["sec-fetch-site"] = own
    assert filled.digest() == before


def test_asvs_3_5_1_old_browsers_say_origin(client: Client) -> None:
    del client.http.headers["sec-fetch-site"]
    client.http.headers["origin"] = "https://tas.test"
    assert client.sign_in().status_code == 303


@pytest.mark.parametrize("path", routes("GET"))
def test_asvs_3_5_3_looking_changes_nothing(filled: Client, path: str) -> None:
    before = filled.digest()
    first, second = filled.get(path), filled.get(path)
    assert first.status_code == second.status_code < 500
    assert filled.digest() == before


@pytest.mark.parametrize(
    ("back", "leads"),
    [
        ("/teacher/person", "/teacher/person"),
        ("/teacher/person/code", "/"),  # is posted to alone
        ("/teacher/nowhere", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/teacher/help\r\nset-cookie: a=b", "/"),
    ],
)
def test_choosing_a_language_leads_back_to_a_page_of_ours(
    client: Client, back: str, leads: str
) -> None:
    answer = client.post("/language", language="en", back=back)
    assert answer.headers["location"] == leads
    assert len(answer.headers.get_list("set-cookie")) == 1


def test_asvs_3_5_4_wrong_hosts_are_refused(client: Client) -> None:
    assert client.http.get("/", headers={"host": "evil.example"}).status_code == 421


# headers


@pytest.mark.parametrize("path", [*routes("GET"), "/nowhere"])
def test_asvs_3_4_1_to_3_4_6_headers_of_every_page(filled: Client, path: str) -> None:
    headers = filled.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] in ("no-store",) or "pool" in path


def test_asvs_3_3_1_to_3_3_4_cookies_of_the_door(client: Client) -> None:
    answers = [client.post("/teacher/challenge"), client.sign_in()]
    answers.append(client.post("/teacher/sign-out"))
    for answer in answers:
        for cookie in answer.headers.get_list("set-cookie"):
            assert cookie.startswith("__Host-sid=")
            for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
                assert part in cookie


def test_static_files_may_be_kept(client: Client) -> None:
    style = re.search(r'href="(/static/[^"]+\.css)"', client.get("/teacher/").text)
    assert style is not None
    assert "immutable" in client.get(style.group(1)).headers["cache-control"]
    assert client.get("/static/old/site.css").headers["cache-control"] == "no-store"


def test_asvs_5_2_1_too_large_a_body(client: Client) -> None:
    answer = client.post("/teacher/sign-in", password="x" * 2_200_000)
    assert answer.status_code == 413


def test_asvs_16_5_1_a_fault_shows_a_number_alone(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("jiepin.web.teacher.door.practice_cards", fail)
    answer = client.get("/teacher/")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "content-security-policy" in answer.headers
    number = re.search("<code>([0-9a-f]{8})</code>", answer.text)
    assert number is not None
    assert number.group(1) in caplog.text


def test_asvs_16_5_3_a_full_disk_loses_nothing(client: Client) -> None:
    client.fill_in(4)
    before = client.application()

    async def fill_up(site: Site) -> None:
        async with site.database.writing() as db:
            [[pages]] = await db.execute_fetchall("pragma page_count")
            await db.execute_fetchall(f"pragma max_page_count = {pages}")

    client.call(fill_up)
    name = "𡍼" * 50
    answers = [client.save("/teacher/person", **person_form(name=name))]
    while answers[-1].status_code == 303 and len(answers) < 50:
        before = client.application()
        answers.append(client.save("/teacher/person", **person_form(name=name)))
    assert answers[-1].status_code == 503
    assert "這次沒有儲存" in answers[-1].text
    assert client.application() == before


def test_unknown_addresses_are_absent(client: Client) -> None:
    answer = client.get("/teacher/nowhere")
    assert answer.status_code == 404
    assert "找不到這一頁" in answer.text


def test_pages_are_light(filled: Client) -> None:
    for path in routes("GET"):
        answer = filled.get(path)
        assert len(answer.content) < 60_000, path


# markup

NASTY = st.text(
    st.one_of(st.sampled_from("<>\"'&{}%\\/`=;林𡍼"), st.characters(codec="utf-8")),
    max_size=60,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(NASTY, NASTY, NASTY)
def test_asvs_1_2_1_any_text_comes_back_the_same_and_never_as_markup(
    filled: Client, name: str, phone: str, email: str
) -> None:
    plain = Page(filled.get("/teacher/person").text)
    fields = person_form(name=name, phone1="!" + phone, email=email)
    answer = filled.post("/teacher/person", version="1", **fields)
    page = Page(answer.text)
    assert answer.status_code == 422
    assert page.values["name"] == name
    assert page.values["phone1"] == "!" + phone
    assert page.values["email"] == email
    extra = set(page.tags) - set(plain.tags)
    assert extra <= {"h2", "ul", "li", "p", "a", "div"}


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(NASTY.filter(lambda text: text.strip() and text.isprintable()))
def test_asvs_1_2_1_a_stored_name_comes_back_the_same(
    filled: Client, name: str
) -> None:
    name = name.strip()[:50].strip()
    saved = filled.save("/teacher/person", **person_form(name=name))
    assert saved.status_code == 303
    page = Page(filled.get("/teacher/person").text)
    assert page.values["name"] == name
    assert name in page.text
    assert page.tags.count("script") == 1


def test_no_template_trusts_markup_and_no_statement_is_pasted() -> None:
    for template in (WEB / "templates").rglob("*.html"):
        assert "|safe" not in template.read_text("utf-8").replace(" ", "")
    for file in WEB.rglob("*.py"):
        text = file.read_text("utf-8")
        assert not re.search(r'f"+\s*(select|insert|update|delete) ', text), file


# languages

METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {
    "templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"},
}
KEYWORDS = {"_": None, "mark": None, "gettext": None, "ngettext": (1, 2)}


def test_every_text_has_its_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(WEB)
    known = language.catalogue()
    missing = [
        f"{file}:{line} {text}"
        for file, line, text, *_ in extract_from_dir(
            str(WEB), METHODS, OPTIONS, {**KEYWORDS, "counted": (1, 2)}
        )
        if not (found := known.get(text if isinstance(text, str) else text[0]))
        or not found.string
    ]
    assert not missing, "\n".join(missing)


def test_english_keeps_the_places_to_fill() -> None:
    place = re.compile(r"%\((\w+)\)s")
    for message in language.catalogue():
        if message.id:
            assert set(place.findall(str(message.id))) == set(
                place.findall(str(message.string))
            ), message.id


def test_every_page_is_english_after_choosing_it(client: Client) -> None:
    client.post("/language", language="en", back="/")
    client.fill_in(5)
    for path in ("notices", "password", "person", "appointment", "own-data", "help"):
        html = client.get(f"/teacher/{path}").text
        body = re.sub(r"<(select|nav|script)\b.*?</\1>", "", html, flags=re.DOTALL)
        assert '<html lang="en">' in body
    client.post("/language", language="zh-Hant", back="/")
