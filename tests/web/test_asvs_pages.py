"""Every page and every field of all ends, as the ASVS asks: markup, headers, cookies.

The numbers in the names are those of the requirements; docs/security.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from fuzz_site import FORM, Answer, Asked, Form, FuzzedSite, fuzzed, urlencoded
from hypothesis import given, settings
from hypothesis import strategies as st
from practice_round import LIN, ORIGIN

STAGES = ("filling", "published")
# breaks out of text, attributes, scripts, templates and formulas, if anything lets it
NASTY = "=1<zzz onzzz=1>'\"><zzz onzzz='1'></script>{{7*191}}${7*191}{%raw%}&lt;"
# what a form was made from, and what is hashed and never shown (which takes its time)
NO_TEXT = ("version", "notices_version", "draft", "fingerprint", "review")
HASHED = ("password", "again", "present")
OFTEN_SHOWN = {
    "teacher": "/teacher/status",
    "county head": "/city/applications",
    "host head": "/host/staff",
    "nobody": "/public/",
}
ENDS = {"teacher": "/teacher/", "county": "/city/", "host": "/host/"}
DOORS = re.compile(r"/(teacher|city|host)/(help|device|enrol|forgot|reset)?")


@pytest.fixture(scope="module", params=STAGES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FuzzedSite]:
    with fuzzed(tmp_path_factory.mktemp("site"), request.param) as found:
        yield found


class Marked(HTMLParser):
    """Finds what came out of a text and became markup."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _value in attrs]
        assert "zzz" not in tag, html_of(tag, names)
        assert not [name for name in names if name.startswith("on")], names


def html_of(tag: str, names: list[str]) -> str:
    return f"<{tag} {' '.join(names)}>"


def is_page(answer: Answer) -> bool:
    return answer.header(b"content-type").startswith(b"text/html")


def assert_text_stays_text(answer: Answer, asked: object) -> None:
    assert answer.status < 500, asked
    if is_page(answer):
        assert "1337" not in re.sub(r'(href|src)="[^"]*"', "", answer.text), asked
        Marked(answer.text)


def send(site: FuzzedSite, form: Form, fields: Iterable[str], text: str) -> Answer:
    fields = [(name, text if name in fields else value) for name, value in form.fields]
    body = urlencoded(fields)
    return site.ask(
        Asked("POST", form.path, b"", [(b"content-type", FORM)], body), form.who
    )


def typed_into(site: FuzzedSite) -> list[tuple[Form, str]]:
    """Return every field of every form that is posted, once for each address."""
    found = {
        (form.path, name): (form, name)
        for form in site.forms
        if form.method == "POST"
        for name, _value in form.fields
        if name not in (*NO_TEXT, *HASHED)
    }
    return [found[key] for key in sorted(found)]


def try_fields(site: FuzzedSite, form: Form, names: Iterable[str], text: str) -> None:
    """Type a text into fields; look at the answer, and where it is shown if saved."""
    try:
        answer = send(site, form, names, text)
        assert_text_stays_text(answer, (form.path, names))
        if answer.status == 303 and site.changed():
            there = answer.header(b"location").decode().removeprefix(ORIGIN)
            pages = [(form.who, there), *OFTEN_SHOWN.items()]
            for who, page in pages:
                path, _mark, query = page.partition("?")
                shown = site.ask(Asked("GET", path, query.encode()), who)
                assert_text_stays_text(shown, (form.path, names, page))
    finally:
        site.restore()


def test_asvs_1_2_1_every_text_field_of_every_end(site: FuzzedSite) -> None:
    fields = typed_into(site)
    assert {form.path.split("/")[1] for form, _ in fields} >= {
        "teacher",
        "city",
        "host",
    }
    assert len(fields) > 100
    for form in {form.path: form for form, _name in fields}.values():
        try_fields(site, form, [n for other, n in fields if other is form], NASTY)
    once = "/teacher" if "/teacher/wishes/save" in str(fields) else ("/city", "/host")
    for form, name in fields:
        if form.path.startswith(once):
            try_fields(site, form, [name], NASTY)


@settings(max_examples=30)
@given(st.data())
def test_asvs_1_2_1_any_text_in_any_field(
    site: FuzzedSite, data: st.DataObject
) -> None:
    form, name = data.draw(st.sampled_from(typed_into(site)))
    signs = st.sampled_from("<>\"'&{}%\\/`=;林𡍼\r\n\t")
    text = data.draw(st.text(signs | st.characters(codec="utf-8"), max_size=80))
    try_fields(site, form, [name], text + "<zzz onzzz=1>")


# every address of everybody


def asked_by_all(site: FuzzedSite) -> Iterator[tuple[str, str, Answer]]:
    """Look at every address that was found, as who may, as others and as nobody."""
    for address in sorted({urlsplit(a).path for a in site.addresses}):
        for who in ("nobody", "teacher", "county head", "host head"):
            yield who, address, site.ask(Asked("GET", address), who)


@pytest.fixture(scope="module")
def answers(site: FuzzedSite) -> list[tuple[str, str, Answer]]:
    found = list(asked_by_all(site))
    site.restore()
    assert len(found) > 200
    return found


Answers = list[tuple[str, str, Answer]]


def test_asvs_3_4_1_to_3_4_6_headers_of_all_answers(answers: Answers) -> None:
    for who, path, answer in answers:
        policy = answer.header(b"content-security-policy").decode()
        for part in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert part in policy, (who, path)
        assert "script-src 'self'" in policy or "script-src" not in policy
        years = answer.header(b"strict-transport-security")
        assert years == b"max-age=31536000; includeSubDomains", path
        assert answer.header(b"x-content-type-options") == b"nosniff"
        assert answer.header(b"referrer-policy") == b"same-origin"
        assert answer.header(b"access-control-allow-origin") == b""


def test_asvs_3_4_2_no_other_site_may_read(site: FuzzedSite) -> None:
    for path in ("/teacher/", "/public/results", "/host/progress.json"):
        headers = [(b"origin", b"https://evil.example")]
        answer = site.ask(Asked("GET", path, b"", headers), "host head")
        assert answer.header(b"access-control-allow-origin") == b""
        assert answer.header(b"cross-origin-resource-policy") == b"same-origin"


def test_asvs_14_3_2_nothing_of_ones_own_is_kept_by_browsers(answers: Answers) -> None:
    pages = [
        answer.header(b"cache-control")
        for who, path, answer in answers
        if who != "nobody" and "/pool/" not in path and "/static/" not in path
    ]
    assert set(pages) == {b"no-store"}


def test_asvs_7_4_4_every_page_lets_one_sign_out(answers: Answers) -> None:
    seen = set()
    for who, path, answer in answers:
        end = ENDS.get(who.partition(" ")[0], "/nowhere/")
        own = path.startswith(end) and not DOORS.fullmatch(path)
        if own and answer.status == 200 and is_page(answer) and "/report/" not in path:
            if path == "/teacher/sheet":
                continue  # the paper itself, to be printed
            assert f'action="{end}sign-out"' in answer.text, (who, path)
            seen.add(end)
    assert seen == set(ENDS.values())


def test_asvs_1_2_2_links_lead_to_ourselves(answers: Answers) -> None:
    """No scheme that runs scripts, and no other site but those that are named."""
    others = set()
    for _who, path, answer in answers:
        if is_page(answer) and "/report" not in path:
            for link in re.findall(r'(?:href|action|src)="([^"]*)"', answer.text):
                scheme = urlsplit(link).scheme
                assert scheme in ("", "https", "mailto", "tel"), (path, link)
                if scheme == "https":
                    others.add(urlsplit(link).netloc)
    assert others <= {"localhost:8080", "www.google.com"}  # the reader; a map


def test_asvs_14_2_1_no_address_tells_who_somebody_is(answers: Answers) -> None:
    secret = re.compile(
        f"{LIN.national_id}|1985|{LIN.name}|%E6%9E%97|@|%40|a-teacher-of-the-test"
    )
    for _who, path, answer in answers:
        links = [path, answer.header(b"location").decode("latin-1")]
        if is_page(answer):
            links += re.findall(r'(?:href|action|src)="([^"]*)"', answer.text)
        for link in links:
            assert not secret.search(link.replace(ID_OF_THE_TEST, "")), path


ID_OF_THE_TEST = "application of " + LIN.name  # the site's own are random
COOKIE = re.compile(
    r"__Host-(sid|staff|enrol|lang)=[^;]*; (?=.*\bHttpOnly\b)(?=.*\bSecure\b)"
    r"(?=.*\bPath=/(;|$))(?=.*\bSameSite=lax\b)(?!.*\bDomain\b).*",
)


def test_asvs_3_3_1_to_3_3_4_every_cookie(site: FuzzedSite, answers: Answers) -> None:
    """Whatever any address sets, asked by anybody, with and without a form."""
    found = [header for _, _, answer in answers for header in cookies(answer)]
    for form in {form.path: form for form in site.forms}.values():
        for who in (form.who, "nobody"):
            body = urlencoded(form.fields)
            headers = [(b"content-type", FORM)]
            answer = site.ask(Asked("POST", form.path, b"", headers, body), who)
            found += cookies(answer)
            site.restore()
    for end in ENDS.values():
        found += cookies(site.ask(Asked("POST", f"{end}challenge")))
        site.restore()
    assert {cookie.partition("=")[0] for cookie in found} >= {
        "__Host-sid",
        "__Host-lang",
    }
    for cookie in found:
        assert COOKIE.fullmatch(cookie), cookie.partition("=")[0]


def cookies(answer: Answer) -> list[str]:
    return [v.decode() for name, v in answer.headers if name == b"set-cookie"]


def test_asvs_3_5_2_no_simple_request_of_another_site_does_anything(
    site: FuzzedSite,
) -> None:
    """Whatever type of body a page may send without asking first (CORS)."""
    kinds = (FORM, b"multipart/form-data; boundary=a", b"text/plain", b"")
    for form in site.forms:
        for kind in kinds if form.method == "POST" else ():
            headers = [(b"sec-fetch-site", b"cross-site"), (b"content-type", kind)]
            body = urlencoded(form.fields)
            asked = Asked("POST", form.path, b"", headers, body)
            assert site.ask(asked, form.who).status == 403, form.path
    assert not site.changed()


# fields that nobody may write


def test_asvs_8_2_3_no_form_writes_a_field_that_it_does_not_show(
    site: FuzzedSite,
) -> None:
    """What a teacher, a clerk or a head adds to a form is not taken."""
    more = {
        "state": "approved",
        "number": "1229999",
        "county": "14",
        "level": "junior-high",
        "account": "another",
        "correcting": "1",
    }
    row = (
        "select group_concat(state || coalesce(number, '') || county || level "
        "|| account || coalesce(correcting, ''), '|') from application"
    )
    before = site._look.execute(row).fetchone()
    for form in site.forms:
        if form.method == "POST" and form.who == "teacher":
            shown = dict(form.fields)
            body = urlencoded([*(more | shown).items()])
            headers = [(b"content-type", FORM)]
            site.ask(Asked("POST", form.path, b"", headers, body), form.who)
            after = site._look.execute(row).fetchone()
            legal = form.path.endswith("/check")  # files it
            assert legal or after == before, form.path
            site.restore()
