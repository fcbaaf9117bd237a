"""Runs: what a run stores, how it ends early, who approves it, two of them compared."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from frozen_site import (
    PEOPLE,
    SLOW,
    SOLVES,
    by,
    frozen,
    noted,
    quick_engine,
    ran,
    reviewed,
    settled,
    written,
)
from practice_round import Client, settings
from runs_under_way import alive, begun, engine, process_of, stored
from staff_site import county_desk, host_desk
from starlette.testclient import TestClient

from jiepin.core import Outcome
from jiepin.web import downloads, round_run
from jiepin.web.app import create_app
from jiepin.web.site import Site
from jiepin.web.store import runs, snapshots
from jiepin.web.store.applications import Absent, Closed, Refused
from jiepin.web.store.runs import Move, Run
from jiepin.web.store.schools import Window, save_window

# An engine that writes a result and finds it unlawful.
UNLAWFUL = """
import pathlib, sys
folder = pathlib.Path("rounds/115/run-1")
if sys.argv[1] == "solve":
    folder.mkdir()
    rows = "teacher_id,stage,exchange,school,subject,choice\\n1220001,,,123601,E01,\\n"
    (folder / "assignments.csv").write_text(rows)
    (folder / "summary.json").write_text(
        '{"seed": 1, "version": "0", "teachers": 1, "moved": 0, "seconds": {},'
        ' "moved_per_stage": {}, "moved_per_choice": {},'
        ' "rules": {"name": "r", "stage": []}}'
    )
sys.exit(sys.argv[1] == "verify")
"""


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Client, Client, int]]:
    """A site with a frozen round and one run of the real engine."""
    with reviewed(tmp_path_factory.mktemp("site")) as (client, host):
        snapshot = frozen(host)
        yield client, host, ran(client, host, snapshot.id)


@pytest.fixture
def slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Client, Client, int]]:
    """A site with a frozen round and a run that is under way, and does not end."""
    engine(monkeypatch, SLOW)
    with reviewed(tmp_path / "site") as (client, host):
        frozen(host)
        yield client, host, begun(host)


def moves(client: Client, id_: int) -> list[Move]:
    async def look(site: Site) -> list[Move]:
        async with site.database.reading() as db:
            return await runs.moves(db, id_)

    return client.call(look)


# a run of the engine


def test_what_a_run_stores(finished: tuple[Client, Client, int]) -> None:
    client, _host, id_ = finished
    run = stored(client, id_)
    assert run.state == "done", run.log
    assert run.lawful is True
    assert run.summary["moved"] == 4
    assert run.summary["rules"]["name"] == "taiwan-110"
    assert "seed" not in run.summary
    assert run.version
    found = {move.number: move for move in moves(client, id_)}
    assert len(found) == 6
    assert found["1220001"] == Move("1220001", "mutual", 1, "133602", "E01", 1)
    assert found["1220003"].stage == "indigenous"
    assert found["1420001"] == Move("1420001", "", None, "143601", "E01", None)
    outcome = Outcome.read(round_run.outcome_folder(client.site, run))
    assert outcome.moves.height == 4
    for lang, name in (("zh", "屏東縣"), ("en", "Pingtung County")):
        report = round_run.report_folder(client.site, run, lang)
        assert json.loads((report / "figures.json").read_text("utf-8"))
        assert name in (report / "report.html").read_text("utf-8")


def test_anybody_gets_the_same_bytes_from_the_snapshot(
    finished: tuple[Client, Client, int], tmp_path: Path
) -> None:
    client, host, id_ = finished
    run = stored(client, id_)
    answer = host.get(f"/host/runs/snapshots/{run.snapshot}.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    own = tmp_path / f"snapshot-{run.snapshot}"

    async def seed(site: Site) -> int:
        async with site.database.reading() as db:
            return (await snapshots.seed(db, site.vault, run.snapshot)).seed

    command = [sys.executable, "-c", round_run.MAIN, "solve", str(own), "-q"]
    command += ["--rules", str(own / "rules.toml"), "--out", str(tmp_path / "out")]
    subprocess.run([*command, "--seed", str(client.call(seed))], check=True)
    theirs = round_run.outcome_folder(client.site, run)
    for name in ("assignments.csv", "exchanges.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (theirs / name).read_bytes()


def test_log_and_pages_hide_the_seed_and_this_machine(
    finished: tuple[Client, Client, int],
) -> None:
    client, host, id_ = finished
    run = stored(client, id_)
    summary = round_run.outcome_folder(client.site, run) / "summary.json"
    seed = str(json.loads(summary.read_text("utf-8"))["seed"])
    page = host.get(f"/host/runs/{id_}").text
    data = str(client.site.settings.data)
    for text in (run.log, page, json.dumps(run.summary)):
        assert seed not in text
        assert data not in text
    assert f"--seed {round_run.HIDDEN}" in page
    assert "檢核通過" in page


def test_no_command_line_tells_the_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os, sys; "
        "open('lines', 'w').write(open('/proc/self/cmdline').read()); "
        f"open('known', 'w').write(os.environ['{round_run.SEED}']); sys.exit(2)"
    )
    engine(monkeypatch, program)
    with reviewed(tmp_path / "site") as (client, host):
        snapshot = frozen(host)
        ran(client, host, snapshot.id)

        async def seed(site: Site) -> int:
            async with site.database.reading() as db:
                return (await snapshots.seed(db, site.vault, snapshot.id)).seed

        told, data = str(client.call(seed)), client.site.settings.data
    assert told not in (data / "lines").read_text()
    assert "--seed" in (data / "lines").read_text()
    assert (data / "known").read_text() == told


def test_page_of_a_run(finished: tuple[Client, Client, int]) -> None:
    client, host, id_ = finished
    before = client.digest()
    for path in ("", "/check", f"/{id_}", f"/{id_}.json", "/snapshots/1.zip"):
        assert host.get(f"/host/runs{path}").status_code == 200
    assert client.digest() == before
    page = host.get(f"/host/runs/{id_}").text
    assert "互調" in page
    assert "核可這次結果" in page
    assert "取消計算" not in page
    assert host.get(f"/host/runs/{id_}.json").json()["under_way"] is False
    assert f'href="/host/runs/{id_}"' in host.get("/host/runs").text


def test_who_approves_sees_the_whole_result(
    finished: tuple[Client, Client, int],
) -> None:
    client, host, id_ = finished
    page = host.get(f"/host/runs/{id_}").text
    english = {"zh": "介聘", "en": "Transfer"}
    for lang, word in english.items():
        assert f'href="/host/runs/{id_}/report/{lang}"' in page
        answer = host.get(f"/host/runs/{id_}/report/{lang}")
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        policy = answer.headers["content-security-policy"]
        assert policy == downloads.REPORT_POLICY["content-security-policy"]
        assert word.lower() in answer.text.lower()
    content = host.get(f"/host/runs/{id_}/moves.csv").content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(content)))[1:]
    assert [row[0] for row in rows] == [one.number for one in moves(client, id_)]
    assert sum(1 for row in rows if row[1]) == stored(client, id_).summary["moved"]
    assert not any(one.name in content for one in PEOPLE)
    assert host.get(f"/host/runs/{id_}/moves.ods").content.startswith(b"PK")
    for path in ("99/report/zh", f"{id_}/report/fr", f"{id_}/moves.exe"):
        assert host.get(f"/host/runs/{path}").status_code == 404


def test_a_repeated_run_is_the_same(
    finished: tuple[Client, Client, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, SOLVES)
    client, host, first = finished
    second = ran(client, host, 1)
    a, b = (stored(client, id_) for id_ in (first, second))
    assert a.digest == b.digest
    assert moves(client, first) == moves(client, second)
    assert "逐人相同" in host.get(f"/host/runs/{first}").text
    page = host.get(f"/host/runs/{first}/compare/{second}").text
    assert "每一位申請人的結果都相同" in page


def test_two_runs_person_by_person(
    finished: tuple[Client, Client, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, SOLVES)
    client, host, first = finished
    written(client, "delete from vacancy where school = '143602'")
    by(host, snapshots.freeze, "correction", "缺額有誤")
    try:
        second = ran(client, host, 2)
    finally:
        written(client, "insert into vacancy values ('143602', 'E01', null, 1)")
    page = host.get(f"/host/runs/{first}/compare/{second}").text
    assert "1220002" in page
    assert "未達成，仍在 高雄市 前金國小 普通" in page
    assert "輸入檔 vacancies.csv" in page
    assert "種子" not in page
    english = host.another()
    english.http.cookies.update(host.http.cookies)
    english.http.cookies.set("__Host-lang", "en")
    assert (
        "not moved, stays at"
        in english.get(f"/host/runs/{first}/compare/{second}").text
    )
    content = host.get(f"/host/runs/{first}/compare/{second}.csv").content
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert "1220002" in [row[0] for row in rows[1:]]
    ods = host.get(f"/host/runs/{first}/compare/{second}.ods").content
    assert ods.startswith(b"PK")
    for path in (f"{first}/compare/99", f"{first}/compare/{second}.exe"):
        assert host.get(f"/host/runs/{path}").status_code == 404


def test_engine_is_niced(monkeypatch: pytest.MonkeyPatch) -> None:
    program = round_run.PROGRAM[-1].replace(round_run.MAIN, "print(os.nice(0))")
    done = subprocess.run(
        [*round_run.PROGRAM[:-1], program],
        env={**os.environ, round_run.SITE: str(os.getpid())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == os.nice(0) + round_run.NICE
    monkeypatch.setenv("JIEPIN_SMTP_PASSWORD", "secret")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    known = round_run.environment(Path("data"))
    assert "secret" not in known.values()
    assert known["NUMBA_CACHE_DIR"] == "/somewhere"


# runs that end early


def test_progress_of_a_run_under_way(slow: tuple[Client, Client, int]) -> None:
    client, host, id_ = slow
    found = host.get(f"/host/runs/{id_}.json").json()
    assert found == {
        "under_way": True,
        "phase": "計算結果",
        "stage": "互調",
        "done": 3,
        "total": 7,
    }
    page = host.get(f"/host/runs/{id_}").text
    assert 'value="3" max="7"' in page
    assert "取消計算" in page
    with pytest.raises(Closed):
        by(host, snapshots.withdraw, 1, "資料有誤")
    assert host.post("/host/runs/snapshots/1/run").status_code == 422
    assert stored(client, id_).state == "running"


def test_cancelled(slow: tuple[Client, Client, int]) -> None:
    client, host, id_ = slow
    pid = process_of(client)
    assert host.post(f"/host/runs/{id_}/cancel").status_code == 303
    settled(client)
    assert not alive(pid)
    run = stored(client, id_)
    assert run.state == "cancelled"
    assert "jiepin solve" in run.log
    assert moves(client, id_) == []
    assert host.post(f"/host/runs/{id_}/cancel").status_code == 409


def test_killed_and_repeated(
    slow: tuple[Client, Client, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, host, id_ = slow
    os.killpg(process_of(client), signal.SIGKILL)
    settled(client)
    run = stored(client, id_)
    assert run.state == "failed"
    assert "signal 9" in run.log
    with pytest.raises(Closed):
        by(host, runs.approve, id_)
    fails = "import sys; print('/root/of/this/machine/file broke'); sys.exit(2)"
    engine(monkeypatch, fails)
    again = ran(client, host, 1)
    run = stored(client, again)
    assert run.state == "failed"
    assert "exit code 2" in run.log
    assert "…/file broke" in run.log
    assert "machine" not in run.log


def test_the_next_one_waits(slow: tuple[Client, Client, int]) -> None:
    client, host, first = slow
    [(second,)] = written(
        client,
        "insert into run (snapshot, asked, asked_by, state) "
        "values (1, 0, :by, 'waiting') returning id",
        by=host.actor.account,
    )
    client.call(wake(client))
    assert stored(client, second).state == "waiting"
    by(host, runs.cancel, second)
    assert stored(client, first).state == "running"
    assert stored(client, second).state == "cancelled"


def wake(client: Client):
    async def do(_site: Site) -> None:
        client.app.state.runner.wake()

    return do


def test_taken_up_again_when_the_site_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, SLOW)
    with reviewed(tmp_path / "site") as (client, host):
        frozen(host)
        id_ = begun(host)
        pid = process_of(client)
        site, vault = client.site, client.site.vault
    assert not alive(pid)
    left = site.settings.data / "rounds" / "115" / f".run-{id_}-left"
    left.mkdir()
    engine(monkeypatch, SOLVES)
    with quick_engine():
        app = create_app(settings(site.settings.data), vault, client.clock)
        with TestClient(app, base_url=site.settings.origin) as http:
            again = Client(app, http, client.clock)
            settled(again)
            run = stored(again, id_)
            assert run.state == "done", run.log
            assert run.lawful
            assert len(moves(again, id_)) == 6
    assert not left.exists()


def test_unlawful_results_are_stored_and_not_approved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, UNLAWFUL)
    with reviewed(tmp_path / "site") as (client, host):
        frozen(host)
        run = stored(client, ran(client, host, 1))
        assert run.state == "done", run.log
        assert run.lawful is False
        page = host.get(f"/host/runs/{run.id}").text
        assert "檢核未通過" in page
        assert "核可這次結果" not in page
        with pytest.raises(Closed):
            by(host, runs.approve, run.id)


# approval and who may


@pytest.fixture
def lawful(tmp_path: Path) -> Iterator[tuple[Client, Client, int]]:
    """A site with a lawful run, as far as its row says."""
    with reviewed(tmp_path / "site") as (client, host):
        frozen(host)
        yield client, host, noted(client, host, 1)


def approved(client: Client, id_: int) -> bool:
    async def look(site: Site) -> bool:
        async with site.database.reading() as db:
            return await runs.approved(db, id_)

    return client.call(look)


def test_two_of_different_roles_approve(lawful: tuple[Client, Client, int]) -> None:
    client, head, id_ = lawful
    assert head.post(f"/host/runs/{id_}/approve").status_code == 303
    assert head.post(f"/host/runs/{id_}/approve").status_code == 303
    by(host_desk(client, "head"), runs.approve, id_)
    assert not approved(client, id_)  # three times, one role
    clerk = host_desk(client, "clerk")
    by(clerk, runs.approve, id_)
    assert approved(client, id_)
    page = clerk.get(f"/host/runs/{id_}").text
    assert "已可公告" in page
    assert "收回我的核可" in page
    assert clerk.post(f"/host/runs/{id_}/unapprove").status_code == 303
    assert not approved(client, id_)
    actions = written(client, "select action from audit where object = 'run 1'")
    assert [action for (action,) in actions] == [
        *["run-approved"] * 3,
        "run-approval-withdrawn",
    ]


def test_approval_stays_once_it_is_to_be_published(
    lawful: tuple[Client, Client, int],
) -> None:
    client, host, id_ = lawful
    by(host, runs.approve, id_)
    written(
        client,
        "insert into publication (year, run, publish_at, set_by, set_at) "
        "values (115, :run, 0, :by, 0)",
        run=id_,
        by=host.actor.account,
    )
    assert host.post(f"/host/runs/{id_}/unapprove").status_code == 409


def test_nothing_is_done_with_a_snapshot_taken_back(
    lawful: tuple[Client, Client, int],
) -> None:
    client, host, id_ = lawful
    by(host, snapshots.withdraw, 1, "資料有誤")
    for work in (runs.approve, runs.cancel):
        with pytest.raises(Closed):
            by(host, work, id_)
    with pytest.raises(Closed):
        by(host, runs.ask, 1)
    assert "核可這次結果" not in host.get(f"/host/runs/{id_}").text
    assert client.call(newest) is None


async def newest(site: Site) -> Run | None:
    async with site.database.reading() as db:
        return await runs.latest(db, 115)


def test_not_before_the_time_of_the_schedule(
    lawful: tuple[Client, Client, int],
) -> None:
    client, host, id_ = lawful
    now = client.clock.now()

    async def later(site: Site) -> None:
        async with site.database.writing() as db:
            opens = Window(now.replace(hour=9), None)
            await save_window(db, 115, "elementary", "run", opens)

    client.call(later)
    with pytest.raises(Refused):
        by(host, runs.ask, 1)
    assert "起才可計算" in host.post("/host/runs/snapshots/1/run").text
    found = client.call(newest)
    assert found is not None
    assert found.id == id_


@pytest.mark.parametrize(
    ("role", "may_run"), [("clerk", True), ("reviewer", False), ("head", True)]
)
def test_who_may_run_and_who_may_approve(
    lawful: tuple[Client, Client, int], role: str, may_run: bool
) -> None:
    client, _head, id_ = lawful
    someone = host_desk(client, role)
    for work, argument in ((runs.ask, 1), (runs.cancel, id_)):
        if may_run and work is runs.ask:
            continue  # would begin one
        expected = Closed if may_run else Absent
        with pytest.raises(expected):
            by(someone, work, argument)
    assert someone.post(f"/host/runs/{id_}/approve").status_code == 303
    assert ("開始計算快照" in someone.get("/host/runs").text) == may_run


def test_counties_and_strangers_do_nothing(
    lawful: tuple[Client, Client, int],
) -> None:
    client, _host, id_ = lawful
    for someone in (client.another(), county_desk(client)):
        before = client.digest()
        for path in ("cancel", "approve", "unapprove"):
            answer = someone.post(f"/host/runs/{id_}/{path}")
            assert answer.headers["location"] == "/host/"
        for path in ("report/zh", "moves.csv"):
            answer = someone.get(f"/host/runs/{id_}/{path}")
            assert answer.headers["location"] == "/host/"
        answer = someone.post("/host/runs/snapshots/1/run")
        assert answer.headers["location"] == "/host/"
        assert client.digest() == before
    county = county_desk(client)
    for work, argument in ((runs.ask, 1), (runs.approve, id_), (runs.cancel, id_)):
        with pytest.raises(Absent):
            by(county, work, argument)
    with pytest.raises(Absent):
        by(host_desk(client), runs.approve, 99)
