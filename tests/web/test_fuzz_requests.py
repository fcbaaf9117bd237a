"""Whatever is sent to any address: never a fault, never a change of what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz_requests import DRAWN, afterwards
from fuzz_site import STAGES, FuzzedSite, fuzzed
from httpx2 import Response
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from practice_round import Client, Page, person_form
from staff_site import county_desk, host_desk

import jiepin.web
from jiepin.web.guard import FILES
from jiepin.web.problems import Problems
from jiepin.web.teacher.forms import read_person

WEB = Path(jiepin.web.__file__).parent

EXAMPLES = {"posts": 150, "gets": 80, "wrapped": 60, "cookies": 40}
# what fails is told as it was drawn: the site around it is too slow to shrink by
FAST = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module", params=STAGES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FuzzedSite]:
    with fuzzed(tmp_path_factory.mktemp("site") / "site", request.param) as found:
        yield found


def test_pages_show_forms_of_everybody(site: FuzzedSite) -> None:
    for who in ("teacher", "county head", "county clerk", "host head", "host clerk"):
        posted = {form.path for form in site.forms if form.who == who}
        assert len(posted) > 5, (who, posted)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_nothing_that_is_sent_is_a_fault(site: FuzzedSite, kind: str) -> None:
    @settings(FAST, max_examples=EXAMPLES[kind])
    @given(st.data())
    def run(data: st.DataObject) -> None:
        who, asked = data.draw(DRAWN[kind](site))
        after = data.draw(afterwards(site)) if kind == "posts" else ()
        site.judged(asked, who, after)

    run()


# what was found so

MULTIPART = "multipart/form-data; boundary=b; charset="
PART = '--b\r\ncontent-disposition: form-data; name="table"\r\n\r\n%s\r\n--b--\r\n'


def sent(client: Client, charset: str, body: str, path: str = FILES) -> Response:
    headers = {"content-type": MULTIPART + charset}
    return client.http.post(path, content=body.encode(), headers=headers)


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("unicode_escape", "\\ud800"),
        ("utf-7", "+2AA-"),
        ("punycode", "/"),
        ("undefined", "a"),
    ],
)
def test_a_form_in_an_alphabet_that_no_page_of_ours_has_is_refused(
    client: Client, charset: str, text: str
) -> None:
    answer = sent(county_desk(client), charset, PART % text)
    assert answer.status_code == 415
    assert "UTF-8" in answer.text


def test_files_are_sent_to_one_address_alone(client: Client) -> None:
    for template in (WEB / "templates").rglob("*.html"):
        for form in re.findall("<form[^>]*enctype[^>]*>", template.read_text("utf-8")):
            assert f'action="{FILES}"' in form, template
    file = PART.replace('"table"', '"table"; filename="a"')
    assert sent(client, "utf-8", file % "a", "/language").status_code == 415


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "a/b"])
def test_what_is_too_large_is_refused_before_anything_is_saved(
    client: Client, kind: str
) -> None:
    client.fill_in(5)
    before = client.digest()
    answer = client.http.post(
        "/teacher/notify",
        content=b"x" * (2 * 1024 * 1024 + 1),
        headers={"content-type": kind},
    )
    assert answer.status_code == 413
    assert "內容超過 2 MB，請減少後再送出。" in Page(answer.text).text
    assert client.digest() == before


def test_a_form_that_is_torn_says_what_to_do(client: Client) -> None:
    torn = (PART % "roster").removeprefix("--b\r\n")
    answer = sent(county_desk(client), "utf-8", torn)
    assert answer.status_code == 400
    assert "請回上一頁重新載入後再送出" in Page(answer.text).text


def test_half_characters_of_an_address_are_no_fault(client: Client) -> None:
    assert client.get("/teacher/reset/%ED%A0%80%00").status_code == 200


@pytest.mark.parametrize("phone", ["07-١٢٣٤٥٦٧", "09１２３４５６７８", "07-²²²²²²²"])
def test_digits_are_those_that_can_be_dialled(phone: str) -> None:
    form = person_form()
    assert not isinstance(read_person(form), Problems)
    assert isinstance(read_person(form | {"phone1": phone}), Problems)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_time_before_all_years_is_no_time(client: Client, moment: str) -> None:
    host = host_desk(client)
    times = {"fill-opens": moment, "fill-closes": "2026-04-27T00:00"}
    version = host.version("/host/round/schedule")
    answer = host.post("/host/round/schedule", version=version, all="yes", **times)
    assert answer.status_code == 422
    answer = host.post("/host/results/plan", run="1", at=moment, sure="yes")
    assert answer.status_code in (404, 422)
