"""The doors of staff: card, password, second factor; the first sign-in; sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from practice_round import ORIGIN, START, Client, settings
from staff_cards import (
    HE,
    PASSWORD,
    SHI,
    ZHOU,
    Telephone,
    begin,
    card,
    enrol,
    host_head,
    set_up,
    sign_in,
)
from staff_site import county_desk
from starlette.testclient import TestClient

from jiepin.web import accounts, cli, demo, demo_staff, national_id
from jiepin.web.app import create_app
from jiepin.web.card import Reading
from jiepin.web.clock import SetClock
from jiepin.web.rotation import seal_again
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.staff import sign_in as door
from jiepin.web.vault import Vault

REFUSED = "無法登入：密碼或驗證碼不符，或您沒有本端此階段別的帳號"
NOT_ENROLLED = "登記碼不符、已逾期、已用過"
ENDS = ("teacher", "city", "host")


@pytest.fixture
def host(client: Client) -> tuple[Client, Telephone]:
    """The host's head, enrolled and signed out, half a minute later."""
    browser = client.another()
    telephone = enrol(browser, "host", SHI, host_head(client).code)
    browser.post("/host/sign-out")
    client.clock.move(seconds=30)
    return browser, telephone


def actions(client: Client) -> list[str]:
    async def read(site: Site) -> list[str]:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall("select action from audit order by id")
        return [row["action"] for row in rows]

    return client.call(read)


def bytes_of_database(client: Client) -> bytes:
    folder = client.site.settings.data
    return b"".join(file.read_bytes() for file in folder.glob("jiepin.db*"))


# the three ends


def test_g01_and_l09_every_end_has_its_door_and_asks_for_the_card(
    client: Client,
) -> None:
    start = client.get("/").text
    for end in ENDS:
        assert f'href="/{end}/"' in start
        page = client.get(f"/{end}/").text
        assert f'action="/{end}/sign-in" id="door"' in page
        for text in ("未偵測到健保卡讀取程式", "未偵測到讀卡機", "未插入健保卡"):
            assert text in page
        fields = {"level": "elementary", "password": "x", "code": "123456"}
        answer = client.post(f"/{end}/sign-in", **fields)
        assert answer.status_code == 422
        assert "健保卡讀取" in answer.text
    assert "教師操作端" in start
    assert "縣市管理端" in start
    assert "承辦縣市端" in start


def test_doors_lead_to_the_other_ends(client: Client) -> None:
    for end in ENDS[1:]:
        page = client.get(f"/{end}/").text
        for other in set(ENDS) - {end}:
            assert f'href="/{other}/"' in page


def test_pages_that_are_not_there_lead_to_the_start_of_their_end(
    client: Client,
) -> None:
    for path, start in (("/city/x", "/city/"), ("/host/x", "/host/"), ("/x", "/")):
        answer = client.get(path)
        assert answer.status_code == 404
        assert f'<a class="button" href="{start}">' in answer.text


# signing in


def test_card_password_and_code_let_in(host: tuple[Client, Telephone]) -> None:
    browser, telephone = host
    answer = sign_in(browser, "host", SHI, telephone.code())
    assert answer.headers["location"] == "/host/home"
    page = browser.get("/host/account").text
    assert "主管 施文傑" in page
    assert browser.get("/host/").headers["location"] == "/host/home"


def test_what_is_wrong_is_never_told(host: tuple[Client, Telephone]) -> None:
    browser, telephone = host
    good = telephone.code()
    answers = [
        sign_in(browser, "host", ZHOU, good),  # nobody
        sign_in(browser, "host", SHI, good, "another password"),
        sign_in(browser, "host", SHI, "000000"),
        sign_in(browser, "host", SHI, telephone.code(-1)),  # was used
        sign_in(browser, "city", SHI, good),  # no account at this end
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert REFUSED in answer.text
        assert good not in answer.text
    assert actions(browser).count("sign-in-refused") == len(answers)


def test_asvs_6_5_1_a_code_counts_once(host: tuple[Client, Telephone]) -> None:
    browser, telephone = host
    code = telephone.code()
    assert sign_in(browser, "host", SHI, code).status_code == 303
    again = browser.another()
    assert REFUSED in sign_in(again, "host", SHI, code).text
    assert sign_in(again, "host", SHI, telephone.code(1)).status_code == 303
    browser.clock.move(seconds=30)  # both steps that the clocks allow are used
    assert REFUSED in sign_in(again, "host", SHI, telephone.code()).text


def test_of_two_at_once_with_one_code_one_comes_in(
    host: tuple[Client, Telephone],
) -> None:
    browser, telephone = host
    reading = Reading(
        card_number="",
        name=SHI.name,
        name_certain=True,
        national_id=SHI.national_id,
        id_kind="national",
        birth_date=SHI.birth_date,
        sex=SHI.sex,
        issued=None,
        read_at=0,
        source="pcsc",
        device=b"device",
    )
    attempt = door.Attempt("host", "", PASSWORD, telephone.code(), reading, "")
    passwords = browser.app.state.passwords

    async def both(site: Site) -> list[object]:
        tries = [door.sign_in(site, passwords, attempt) for _ in range(2)]
        return await asyncio.gather(*tries, return_exceptions=True)

    answers = browser.call(both)
    assert sorted(type(answer).__name__ for answer in answers) == ["Refused", "str"]


@pytest.mark.parametrize(
    ("steps", "status"), [(-2, 422), (-1, 303), (1, 303), (2, 422)]
)
def test_clocks_may_differ_by_half_a_minute(
    host: tuple[Client, Telephone], steps: int, status: int
) -> None:
    browser, telephone = host
    browser.clock.move(minutes=5)
    code = telephone.code(steps)
    assert sign_in(browser, "host", SHI, code).status_code == status


def test_a_code_may_be_typed_in_two_halves(host: tuple[Client, Telephone]) -> None:
    browser, telephone = host
    code = telephone.code()
    typed = f" {code[:3]} {code[3:]} "
    assert sign_in(browser, "host", SHI, typed).status_code == 303


def test_five_failures_close_the_door_for_a_while(
    host: tuple[Client, Telephone],
) -> None:
    browser, telephone = host
    for _ in range(accounts.FAILURES):
        assert REFUSED in sign_in(browser, "host", SHI, "000000").text
    answer = sign_in(browser, "host", SHI, telephone.code())
    assert "登入失敗次數過多" in answer.text
    browser.clock.move(minutes=15)
    assert sign_in(browser, "host", SHI, telephone.code()).status_code == 303


def test_failures_elsewhere_lock_nobody_out_of_his_own_computer(
    host: tuple[Client, Telephone],
) -> None:
    browser, telephone = host
    away = browser.elsewhere()
    for _ in range(accounts.FAILURES):
        sign_in(away, "host", SHI, "000000")
    assert "登入失敗次數過多" in sign_in(away, "host", SHI, telephone.code()).text
    assert sign_in(browser, "host", SHI, telephone.code()).status_code == 303


def test_an_address_that_fails_too_often_is_slowed(client: Client) -> None:
    async def fail(site: Site) -> None:
        for _ in range(accounts.ADDRESS_FAILURES):
            await accounts.count_failure(site, "testclient", "")

    client.call(fail)
    assert "此網路位址登入失敗次數過多" in sign_in(client, "city", HE, "1").text


def test_a_practice_reading_is_refused_on_a_real_site(
    host: tuple[Client, Telephone],
) -> None:
    browser, telephone = host
    read = card(browser, SHI, "host", "replay")
    fields = {"password": PASSWORD, "code": telephone.code(), **read}
    answer = browser.post("/host/sign-in", **fields)
    assert "正式網站不接受練習卡" in answer.text


def test_the_answer_of_a_card_counts_once(host: tuple[Client, Telephone]) -> None:
    browser, telephone = host
    read = card(browser, SHI, "host")
    fields = {"password": PASSWORD, "code": telephone.code(), **read}
    assert browser.post("/host/sign-in", **fields).status_code == 303
    browser.clock.move(seconds=30)
    fields["code"] = telephone.code()
    assert "健保卡讀取已逾時" in browser.post("/host/sign-in", **fields).text


def test_the_level_chosen_at_the_door_is_the_one_acted_for(client: Client) -> None:
    desk = county_desk(client, levels=("elementary", "kindergarten"))
    id_ = desk.actor.account
    password = client.http.portal.call(client.app.state.passwords.hash, PASSWORD)
    secret = 2 * "JBSWY3DPEHPK3PXP"

    async def give_a_card(site: Site) -> None:
        key = site.vault.lookup(0, "staff:county", HE.national_id)
        totp = site.vault.seal(secret, "staff.totp", id_)
        async with site.database.writing() as db:
            await db.execute(
                "update staff set lookup = ?, password = ?, totp = ? where id = ?",
                (key, password, totp, id_),
            )

    client.call(give_a_card)
    telephone, browser = Telephone(client, secret), client.another()
    code = telephone.code()
    assert REFUSED in sign_in(browser, "city", HE, code, level="junior-high").text
    for level, shown in (("kindergarten", "幼兒園"), ("", "國小、幼兒園")):
        done = sign_in(browser, "city", HE, telephone.code(), level=level)
        assert done.status_code == 303
        assert f"高雄市 {shown} 主管" in browser.get("/city/account").text
        client.clock.move(seconds=30)
    sign_in(browser, "city", HE, telephone.code(), level="kindergarten")
    client.clock.move(seconds=30)

    async def take_away(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(
                "update staff set levels = 'elementary' where id = ?", (id_,)
            )

    client.call(take_away)
    assert browser.get("/city/account").headers["location"] == "/city/"


# sessions


def cookie(browser: Client) -> str:
    return browser.http.cookies.get(browser.site.settings.staff_cookie) or ""


def test_asvs_7_2_4_a_session_is_new_at_each_sign_in(
    host: tuple[Client, Telephone],
) -> None:
    browser, telephone = host
    answer = sign_in(browser, "host", SHI, telephone.code())
    [given] = answer.headers.get_list("set-cookie")
    assert given.startswith("__Host-staff=")
    for part in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert part in given
    first = cookie(browser)
    assert sign_in(browser, "host", SHI, telephone.code(1)).status_code == 303
    assert cookie(browser) != first
    browser.http.cookies.set("__Host-staff", first, domain="tas.test")
    assert browser.get("/host/account").headers["location"] == "/host/"


def test_asvs_7_4_1_signing_out_ends_the_session(
    host: tuple[Client, Telephone],
) -> None:
    browser, telephone = host
    sign_in(browser, "host", SHI, telephone.code())
    held = cookie(browser)
    assert browser.post("/host/sign-out").headers["location"] == "/host/"
    browser.http.cookies.set("__Host-staff", held, domain="tas.test")
    assert browser.get("/host/account").headers["location"] == "/host/"


@pytest.mark.parametrize(("rest", "open_"), [(29, True), (31, False)])
def test_asvs_7_3_1_a_session_ends_when_it_rests(
    host: tuple[Client, Telephone], rest: int, open_: bool
) -> None:
    browser, telephone = host
    sign_in(browser, "host", SHI, telephone.code())
    browser.clock.move(minutes=rest)
    assert (browser.get("/host/account").status_code == 200) is open_


def test_sessions_that_have_ended_are_swept(host: tuple[Client, Telephone]) -> None:
    browser, telephone = host
    sign_in(browser, "host", SHI, telephone.code())
    begin(browser.another(), "host", HE, host_head(browser, HE).code)
    counted = "select (select count(*) from staff_session), count(*) "

    async def rows(site: Site) -> tuple[int, int]:
        await accounts.flush_staff(site, browser.app.state.staff_presence)
        async with site.database.reading() as db:
            [row] = await db.execute_fetchall(counted + "from staff_enrolment")
        return tuple(row)

    assert browser.call(rows) == (1, 1)
    browser.clock.move(minutes=31)
    assert browser.call(rows) == (0, 0)


# the first sign-in


def test_the_first_sign_in_sets_up_password_and_telephone(client: Client) -> None:
    browser = client.another()
    telephone = enrol(browser, "host", SHI, host_head(client).code)
    assert browser.get("/host/staff").status_code == 200
    assert actions(client) == ["staff-added", "staff-enrolled"]
    for secret in (telephone.secret, PASSWORD, SHI.national_id):
        assert secret.encode() not in bytes_of_database(client)


def test_asvs_6_4_1_a_code_is_for_one_card_and_for_seven_days(client: Client) -> None:
    code = host_head(client).code
    other = host_head(client, HE).code
    for answer in (
        begin(client, "host", SHI, other),
        begin(client, "host", SHI, "AAAA-AAAA-AAAA-AAAA"),
        begin(client, "host", ZHOU, code),
        begin(client, "city", SHI, code),
    ):
        assert answer.status_code == 422
        assert NOT_ENROLLED in answer.text
    client.clock.move(days=7)
    assert NOT_ENROLLED in begin(client, "host", SHI, code).text
    client.clock.move(seconds=-1)
    assert begin(client, "host", SHI, code.lower().replace("-", " ")).status_code == 303


def test_a_code_counts_once_it_was_used(host: tuple[Client, Telephone]) -> None:
    browser, _ = host
    code = host_head(browser, HE).code
    enrol(browser.another(), "host", HE, code)
    assert NOT_ENROLLED in begin(browser.another(), "host", HE, code).text


def test_guesses_of_a_code_are_counted(client: Client) -> None:
    code = host_head(client).code
    for _ in range(accounts.FAILURES):
        begin(client, "host", SHI, "AAAA-AAAA-AAAA-AAAA")
    assert "登入失敗次數過多" in begin(client, "host", SHI, code).text


@pytest.mark.parametrize(
    ("password", "told"),
    [
        ("eleven char", "密碼至少 12 個字元"),
        ("password12345", "太常見"),
        (f"my id is {SHI.national_id}", "密碼不可含有身分證字號"),
        ("born on 19720504", "密碼不可含有身分證字號"),
    ],
)
def test_passwords_of_staff_are_longer(
    client: Client, password: str, told: str
) -> None:
    code = host_head(client).code
    answer = begin(client, "host", SHI, code, password=password, again=password)
    assert answer.status_code == 422
    assert told in answer.text
    assert password not in answer.text
    assert "兩次輸入的密碼不同" in begin(client, "host", SHI, code, again="x").text


def test_until_the_telephone_is_proven_nothing_is_open(client: Client) -> None:
    begin(client, "host", SHI, host_head(client).code)
    for path in ("/host/staff", "/host/account"):
        assert client.get(path).headers["location"] == "/host/"
    assert client.get("/city/enrol/setup").headers["location"] == "/city/enrol"
    answer = client.post("/host/enrol/setup", code="000000")
    assert answer.status_code == 422
    assert "驗證碼不符" in answer.text
    telephone = set_up(client, "host")
    assert REFUSED in sign_in(client, "host", SHI, telephone.code()).text
    client.clock.move(minutes=15)
    late = client.post("/host/enrol/setup", code=telephone.code())
    assert late.headers["location"] == "/host/enrol"


def test_the_picture_is_the_key_in_a_file_of_our_own(client: Client) -> None:
    assert client.get("/host/enrol/picture.svg").status_code == 303
    begin(client, "host", SHI, host_head(client).code)
    page = client.get("/host/enrol/setup").text
    assert 'src="/host/enrol/picture.svg"' in page
    answer = client.get("/host/enrol/picture.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "no-store"
    assert ElementTree.fromstring(answer.content).tag.endswith("svg")


def test_a_second_beginning_takes_the_place_of_the_first(client: Client) -> None:
    code = host_head(client).code
    first, second = client.another(), client.another()
    begin(first, "host", SHI, code)
    stale = set_up(first, "host")
    begin(second, "host", SHI, code)
    late = first.post("/host/enrol/setup", code=stale.code())
    assert late.headers["location"] == "/host/enrol"
    fresh = set_up(second, "host")
    assert fresh.secret != stale.secret
    assert second.post("/host/enrol/setup", code=fresh.code()).status_code == 303


def test_the_second_factor_survives_a_new_key(tmp_path: Path) -> None:
    vault, clock = Vault.new(), SetClock(START)
    secret = enrol_with(tmp_path, vault, clock)
    clock.move(seconds=30)
    rotated = vault.rotated()
    with site_with(tmp_path, rotated, clock) as client:
        count = client.call(lambda site: seal_again(site.database, site.vault))
        assert count >= 1
    with site_with(tmp_path, rotated.only_newest(), clock) as client:
        code = Telephone(client, secret).code()
        assert sign_in(client, "host", SHI, code).status_code == 303


@contextmanager
def site_with(folder: Path, vault: Vault, clock: SetClock) -> Iterator[Client]:
    app = create_app(settings(folder), vault, clock)
    with TestClient(app, base_url=ORIGIN, follow_redirects=False) as http:
        yield Client(app, http, clock)


def enrol_with(folder: Path, vault: Vault, clock: SetClock) -> str:
    with site_with(folder, vault, clock) as client:
        return enrol(client, "host", SHI, host_head(client).code).secret


# practice


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder, origin = tmp_path_factory.mktemp("practice"), "http://127.0.0.1:8000"
    environment = {"JIEPIN_DATA": str(folder), "JIEPIN_ORIGIN": origin}
    settings = Settings.read(environment, practice=True)
    clock = SetClock(START)
    app = create_app(settings, Vault.new(), clock)
    with TestClient(app, base_url=origin, follow_redirects=False) as http:
        yield Client(app, http, clock)


@pytest.mark.parametrize(("number", "official"), list(enumerate(demo_staff.OFFICIALS)))
def test_every_official_signs_in_with_what_the_page_gives_away(
    practice: Client, number: int, official: demo_staff.Official
) -> None:
    end = "host" if official.county is None else "city"
    page = practice.get(f"/{end}/").text
    assert f'value="staff-{number}"' in page
    code = page.partition("目前的驗證碼 <code>")[2][:6]
    fields = {"code": code, "practice": f"staff-{number}"}
    fields["password"] = demo_staff.PASSWORD
    assert demo_staff.PASSWORD in page
    answer = practice.post(f"/{end}/sign-in", **fields)
    assert answer.headers["location"] == f"/{end}/home", answer.text
    assert official.name in practice.get(f"/{end}/account").text
    practice.post(f"/{end}/sign-out")


def test_cards_of_practice_belong_to_their_end(practice: Client) -> None:
    assert "施文傑" not in practice.get("/city/").text
    assert "何承恩" not in practice.get("/host/").text
    assert "林小明" not in practice.get("/city/").text
    assert "何承恩" not in practice.get("/teacher/").text


def test_practice_cards_have_right_ids_and_are_nobody_elses() -> None:
    ids = [official.national_id for official in demo_staff.OFFICIALS]
    ids += [person.national_id for person in demo.PEOPLE]
    assert all(national_id.is_right(id_) for id_ in ids)
    assert len(set(ids)) == len(ids)


def test_the_greeting_names_the_three_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(cli, "_run", lambda _settings, greeting: said.append(greeting))
    CliRunner().invoke(cli.main, ["demo", "--data", str(tmp_path / "site")])
    assert all(f"/{end}/" in said[0] for end in ENDS)


def test_a_real_site_gives_nothing_away(client: Client) -> None:
    for path in ("/city/", "/host/", "/city/enrol", "/host/enrol"):
        page = client.get(path).text
        assert demo_staff.PASSWORD not in page
        assert "練習" not in page
        assert "staff-" not in page
    fields = {"code": "1", "practice": "staff-2", "password": demo_staff.PASSWORD}
    assert client.post("/city/sign-in", **fields).status_code == 422
