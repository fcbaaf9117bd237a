"""The practice site: cards without hardware, its own folder, its marks."""

from __future__ import annotations

import asyncio
import re
import socket
import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from practice_round import SCHOOLS, START, Page, running, teacher, with_site
from starlette.testclient import TestClient

from jiepin.reader.trust import read_server_keys
from jiepin.web import demo, demo_applicants
from jiepin.web.app import create_app
from jiepin.web.cli import listen, main
from jiepin.web.clock import SetClock
from jiepin.web.settings import BadSettings, Settings
from jiepin.web.site import Site
from jiepin.web.store.database import Database
from jiepin.web.store.schools import LEVELS
from jiepin.web.vault import Vault

ORIGIN = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("practice")
    environment = {"JIEPIN_DATA": str(folder), "JIEPIN_ORIGIN": ORIGIN}
    settings = Settings.read(environment, practice=True)
    with TestClient(create_app(settings, Vault.new()), base_url=ORIGIN) as http:
        http.headers["sec-fetch-site"] = "same-origin"
        yield http


def test_every_card_signs_in(practice: TestClient) -> None:
    for number, person in enumerate(demo.PEOPLE):
        form = {"level": person.level, "practice": str(number)}
        answer = practice.post("/teacher/sign-in", data=form)
        assert answer.url.path == "/teacher/notices", person
        practice.post("/teacher/sign-out")


def test_one_has_filed_and_signs_in_with_a_password(practice: TestClient) -> None:
    page = Page(practice.get("/teacher/").text).text
    assert "陳怡君（高雄市）已完成申請，登入密碼為「one card to look on」" in page
    form = {"level": "elementary", "practice": str(len(demo.PEOPLE))}
    assert practice.post("/teacher/sign-in", data=form).status_code == 422
    form["password"] = demo_applicants.PASSWORD
    answer = practice.post("/teacher/sign-in", data=form)
    assert answer.url.path == "/teacher/status"  # no code for a new computer
    assert "尚未審核通過" in Page(answer.text).text
    practice.post("/teacher/sign-out")


def test_there_are_people_at_every_level() -> None:
    assert {person.level for person in demo.PEOPLE} == set(LEVELS)


def test_a_card_knows_its_level_without_scripts(practice: TestClient) -> None:
    answer = practice.post("/teacher/sign-in", data={"level": "", "practice": "4"})
    assert "申請階段別：國中" in Page(answer.text).text
    practice.post("/teacher/sign-out")


def test_practice_cards_are_read_on_one_computer_for_good(tmp_path: Path) -> None:
    environment = {"JIEPIN_DATA": str(tmp_path), "JIEPIN_ORIGIN": ORIGIN}
    settings, vault = Settings.read(environment, practice=True), Vault.new()
    keys = []
    for _ in range(2):  # started twice
        app = create_app(settings, vault)
        with TestClient(app, base_url=ORIGIN):
            device = app.state.practice.device.public_key()
        keys.append(device.public_bytes_raw())
    assert keys[0] == keys[1]


def test_an_unknown_card_is_refused(practice: TestClient) -> None:
    form = {"level": "elementary", "practice": "99"}
    assert practice.post("/teacher/sign-in", data=form).status_code == 422


def test_g02_every_page_is_marked(practice: TestClient) -> None:
    for path in ("/teacher/", "/teacher/help", "/practice/mail", "/nowhere"):
        text = Page(practice.get(path).text).text
        assert "練習站" in text
        assert "請勿外洩" in text


def test_the_whole_country_is_there(practice: TestClient) -> None:
    assert len(demo._invented_schools()) > 5000 > len(SCHOOLS)
    assert practice.get("/practice/mail").status_code == 200


def test_ids_of_invented_people_are_right_and_differ() -> None:
    ids = [person.national_id for person in (*demo.PEOPLE, demo.with_card())]
    assert len(set(ids)) == len(ids)
    assert demo.national_id("A", "M", 2345678) == "A123456789"


def test_counties_have_something_to_review(tmp_path: Path) -> None:
    environment = {"JIEPIN_DATA": str(tmp_path), "JIEPIN_ORIGIN": ORIGIN}
    settings = Settings.read(environment, practice=True)
    with TestClient(create_app(settings, Vault.new()), base_url=ORIGIN):
        pass
    with sqlite3.connect(settings.database) as db:
        filed = (
            "select county, count(*) from application where state = 'filed' group by 1"
        )
        assert dict(db.execute(filed)) == demo_applicants.HOW_MANY
        assert db.execute("select count(*) from outbox").fetchall() == [(0,)]
        shortest = (
            "select min(n) from (select count(*) as n from wish group by application)"
        )
        assert db.execute(shortest).fetchall() == [(6,)]
    db.close()


def test_practice_never_touches_another_folder(tmp_path: Path) -> None:
    (tmp_path / "jiepin.db").write_text("production")
    done = CliRunner().invoke(main, ["demo", "--data", str(tmp_path)])
    assert done.exit_code == 2
    assert "no practice site" in done.output


def test_production_never_runs_on_a_practice_folder(tmp_path: Path) -> None:
    demo.check_folder(tmp_path)
    done = CliRunner().invoke(
        main,
        ["serve", "--data", str(tmp_path)],
        env={"JIEPIN_ORIGIN": "https://tas.example"},
    )
    assert done.exit_code == 2
    assert "holds a practice site" in done.output


def test_keys_are_made_shown_and_rotated(tmp_path: Path) -> None:
    file, run = str(tmp_path / "keys.json"), CliRunner()
    assert run.invoke(main, ["keys", "create", file]).exit_code == 0
    assert run.invoke(main, ["keys", "create", file]).exit_code == 2
    shown = run.invoke(main, ["keys", "show", file]).output
    (tmp_path / "site.pem").write_text(shown, "ascii")
    assert len(read_server_keys(tmp_path / "site.pem")) == 1  # as reader services do
    make_database(tmp_path)
    done = run.invoke(main, ["keys", "rotate", file, "--data", str(tmp_path)])
    assert "0 values" in done.output
    assert run.invoke(main, ["keys", "show", file]).output == shown


def make_database(folder: Path) -> None:
    async def make() -> None:
        await (await Database.open(folder / "jiepin.db")).close()

    asyncio.run(make())


def test_rotation_keeps_the_earlier_keys(tmp_path: Path) -> None:
    file, old = tmp_path / "keys.json", tmp_path / "keys.json.old"
    rotate = ["keys", "rotate", str(file), "--data", str(tmp_path)]
    first = Vault.new()
    first.write(file)
    make_database(tmp_path)
    assert str(old) in CliRunner().invoke(main, rotate).output
    second = Vault.read(file)
    assert Vault.read(old).sealing == first.sealing  # refused if others may read it
    CliRunner().invoke(main, rotate)
    assert Vault.read(old).sealing == first.sealing
    assert Vault.read(tmp_path / "keys.json.old2").sealing == second.sealing
    assert len(Vault.read(file).sealing) == 1


def test_keys_stay_where_there_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    Vault.new().write(file)
    before = file.read_bytes()
    mistyped = tmp_path / "mistyped"
    done = CliRunner().invoke(
        main, ["keys", "rotate", str(file), "--data", str(mistyped)]
    )
    assert done.exit_code == 2
    assert "這個資料夾沒有資料庫，什麼都沒有變更" in done.output
    assert f"{mistyped}/jiepin.db: no database there, nothing was" in done.output
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]


def test_keys_of_another_database_are_told(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"

    async def seal(site: Site) -> None:
        await teacher(site)

    with_site(tmp_path, seal)  # with keys of its own
    Vault.new().write(file)
    before = Vault.read(file).sealing
    done = CliRunner().invoke(
        main, ["keys", "rotate", str(file), "--data", str(tmp_path)]
    )
    assert done.exit_code == 2
    assert "金鑰檔不屬於這個資料庫" in done.output
    assert Vault.read(file).sealing == before


def test_a_round_that_is_over_begins_anew_at_the_next_start(tmp_path: Path) -> None:
    environment = {"JIEPIN_DATA": str(tmp_path), "JIEPIN_ORIGIN": ORIGIN}
    settings, vault = Settings.read(environment, practice=True), Vault.new()
    clock = SetClock(START)
    form = {"level": "elementary", "practice": "0"}
    pages = []
    for days in (0, 10, 30):
        clock.set(START + timedelta(days=days))
        app = create_app(settings, vault, clock)
        with TestClient(app, base_url=ORIGIN) as http:
            http.headers["sec-fetch-site"] = "same-origin"
            pages.append(http.post("/teacher/sign-in", data=form).text)
    closes = [re.findall("填報截止 ([^<]+)<", page) for page in pages]
    assert closes[0] == closes[1] == ["115年5月12日 00:00"]
    assert closes[2] == ["115年6月11日 00:00"]
    with sqlite3.connect(settings.database) as db:  # the same account
        count = "select count(*) from account where last_sign_in is not null"
        assert db.execute(count).fetchall() == [(1,)]
    db.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve"], "JIEPIN_DATA is missing"),
        (["keys", "show", "/nope/keys.json"], "jiepin-web keys create"),
        (["keys", "create", "/nope/keys.json"], "/nope/keys.json.new: No such file"),
        (["keys", "rotate", "/nope/keys.json", "--data", "d"], "no key file"),
        (["demo", "--data", "/etc"], "choose an empty folder"),
    ],
)
def test_wrong_input_is_told_in_both_languages(words: list[str], told: str) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    chinese, _, english = done.output.partition("\n    ")
    assert chinese.endswith("。")
    assert told in english


def test_keys_that_do_not_belong_to_the_database_start_nothing(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as client:
        client.sign_in()
    words = {"JIEPIN_DATA": str(tmp_path), "JIEPIN_ORIGIN": "https://tas.example"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        words["JIEPIN_PORT"] = str(free.getsockname()[1])
    file = tmp_path / "keys.json"

    def told() -> str:
        done = CliRunner().invoke(main, ["serve"], env=words)
        assert done.exit_code == 2
        assert done.output.startswith("金鑰檔無法使用。\n    ")
        return done.output

    assert "no key file, and" in told()
    assert not file.exists()  # none is made beside a database
    Vault.new().write(file)
    assert "does not open account.national_id, account.birth_date" in told()


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["demo", "--data", str(tmp_path / "site"), "--port", port]
        done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "Address already in use" in done.output


def test_answers_leave_at_once() -> None:
    async def at_once() -> bool:
        found: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own = writer.get_extra_info("socket")
            found.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) > 0)
            writer.close()

        with listen("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(answer, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                writer.close()
                return await found

    assert asyncio.run(at_once())


def test_plain_http_is_for_practice_on_this_computer() -> None:
    for origin, practice in ((ORIGIN, False), ("http://tas.example", True)):
        with pytest.raises(BadSettings, match="do without https"):
            Settings.read({"JIEPIN_DATA": "d", "JIEPIN_ORIGIN": origin}, practice)
