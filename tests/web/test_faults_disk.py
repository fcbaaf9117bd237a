"""Disk full, read-only or failing, database locked: the old state or the new one.

Each fault is told on the page or the command line, in both languages, and the site
goes on when it is over.
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from faulty_disk import Disk, small_disk
from frozen_site import SLOW, SOLVES, frozen, ran, reviewed, settled, written
from killed_site import RUN
from practice_round import Client, person_form, running
from runs_under_way import begun, engine, process_of, stored

from jiepin.web import round_run
from jiepin.web.cli import main
from jiepin.web.site import Site
from jiepin.web.store import database
from jiepin.web.vault import Vault

ENGLISH = "What you saved before is safe"
NAMES = 40  # saves that a full disk may still take: the log is written from its start


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def save(client: Client, n: int):
    return client.save("/teacher/person", **person_form(phone2=f"07-{n:07d}"))


def whole(client: Client) -> None:
    """Check what SQLite knows of its own file."""
    assert written(client, "pragma integrity_check") == [("ok",)]
    assert written(client, "pragma foreign_key_check") == []


def save_until_refused(client: Client) -> int:
    """Save until the disk is full; returns how many saves were told done."""
    before = client.application()
    for n in range(NAMES):
        answer = save(client, n)
        if answer.status_code == 503:
            assert "這次沒有儲存" in answer.text
            assert client.application() == before
            return n
        assert answer.status_code == 303
        before = client.application()
        assert before.phone2 == f"07-{n:07d}"
    raise AssertionError(f"{NAMES} saves on a full disk")


# full


def test_4_3_7_a_full_disk_refuses_and_keeps_what_was_saved(disk: Disk) -> None:
    with running(disk.folder / "site") as client:
        client.fill_in(4)
        for _ in range(5):
            disk.fill()
            save_until_refused(client)
            assert save(client, 0).status_code == 503
            assert client.get("/teacher/person").status_code == 200
            disk.free()
            assert save(client, 99).status_code == 303
            assert client.application().phone2 == "07-0000099"
        whole(client)


def test_a_full_disk_is_told_in_english_as_well(disk: Disk) -> None:
    with running(disk.folder / "site") as client:
        client.fill_in(4)
        client.post("/language", language="en", back="/")
        disk.fill()
        written_over = [save(client, n) for n in range(NAMES)][-1]
        assert written_over.status_code == 503
        assert ENGLISH in written_over.text


def test_a_freeze_on_a_full_disk_leaves_nothing(disk: Disk) -> None:
    with reviewed(disk.folder / "site") as (client, host):
        for room in (0, 1 << 12, 1 << 13, 1 << 14):
            disk.fill()
            disk.leave(room)
            before = client.digest()
            answer = host.post("/host/runs/freeze", left_out=0, reason="")
            assert answer.status_code == 503, answer.text
            assert client.digest() == before
            left = disk.folder / "site" / "rounds" / "115"
            assert not left.exists() or list(left.iterdir()) == []
            disk.free()
        assert frozen(host).teachers == 6
        whole(client)


def test_a_run_that_cannot_be_noted_is_taken_up_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine ends while the disk is full: its run does not stay under way."""
    monkeypatch.setattr(round_run, "AFTER_A_FAULT", 0.05)
    engine(monkeypatch, SLOW)
    with reviewed(disk.folder / "site") as (client, host):
        frozen(host)
        id_ = begun(host)
        engine(monkeypatch, SOLVES)
        disk.fill()
        use_up(client)
        os.killpg(process_of(client), signal.SIGKILL)
        while client.app.state.runner.progress is not None:
            time.sleep(0.01)
        assert stored(client, id_).state == "running"  # it could not be noted
        disk.free()
        settled(client)
        run = stored(client, id_)
        assert run.state == "done", run.log
        whole(client)


def test_a_run_without_room_for_its_result_fails_and_can_be_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(monkeypatch, SOLVES)
    (tmp_path / "site").mkdir()
    with (
        small_disk(tmp_path / "site" / "rounds", megabytes=1) as disk,
        reviewed(tmp_path / "site") as (client, host),
    ):
        frozen(host)
        disk.fill()
        disk.leave(1 << 13)
        run = stored(client, ran(client, host, 1))
        assert run.state == "failed"
        assert "jiepin solve: exit code 3" in run.log
        names = sorted(path.name for path in (disk.folder / "115").iterdir())
        assert names == ["snapshot-1", "snapshot-1-audit.jsonl"]
        disk.free()
        run = stored(client, ran(client, host, 1))
        assert run.state == "done", run.log


def test_writing_the_file_anew_on_a_full_disk_leaves_it_as_it_was(disk: Disk) -> None:
    with running(disk.folder / "site") as client:
        client.fill_in(4)
        before = client.digest()
        disk.fill()
        with pytest.raises(sqlite3.OperationalError, match="full"):
            client.call(lambda site: site.database.compact())
        assert client.digest() == before
        disk.free()
        assert client.call(lambda site: site.database.compact())
        assert client.digest() == before
        whole(client)


def use_up(client: Client) -> None:
    """Write to the database until it has no room left."""
    statement = "insert into area values (:n, :n, :n, '', 9)"
    for n in range(1000):
        try:
            written(client, statement, n=f"{n} {'x' * 9000}")
        except sqlite3.OperationalError:
            return
    raise AssertionError("there is still room")


def jiepin_web(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, for what it refuses."""
    return subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def serve(folder: Path) -> subprocess.CompletedProcess[str]:
    """Try to serve a site; it must be refused."""
    origin = {"JIEPIN_ORIGIN": "https://tas.test", "JIEPIN_PORT": free_port()}
    return jiepin_web("serve", "--data", str(folder), **origin)


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def refused(done: subprocess.CompletedProcess[str], chinese: str, place: Path) -> None:
    """Check that a command was refused in both languages, and says where."""
    assert done.returncode == 2, done.stderr
    first, second = done.stderr.splitlines()
    assert chinese in first
    assert second.startswith(f"    {place}: ")


def made(folder: Path) -> Path:
    """Make a site, and stop it; returns its database."""
    Vault.new().write(folder / "keys.json")
    asyncio.run(opened_once(folder / "jiepin.db"))
    return folder / "jiepin.db"


async def opened_once(path: Path) -> None:
    await (await database.Database.open(path)).close()


def test_a_site_does_not_start_on_a_full_disk_and_says_so(disk: Disk) -> None:
    file = made(disk.folder)
    disk.fill()
    refused(serve(disk.folder), "資料庫無法開啟或寫入", file)
    disk.free()
    asyncio.run(opened_once(file))


def test_the_first_start_on_a_full_disk_leaves_no_half_key(disk: Disk) -> None:
    disk.fill()
    done = serve(disk.folder)
    assert done.returncode == 2, done.stderr
    assert "無法" in done.stderr
    assert not (disk.folder / "keys.json").exists()


def test_a_site_does_not_start_on_a_disk_to_read_only(disk: Disk) -> None:
    file = made(disk.folder)
    disk.remount("ro")
    refused(serve(disk.folder), "無法使用", file.with_name("jiepin.db.lock"))
    disk.remount("rw")
    asyncio.run(opened_once(file))


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    file = made(tmp_path)
    file.unlink()
    file.mkdir()
    refused(serve(tmp_path), "資料庫無法開啟或寫入", file)
    file.rmdir()
    file.write_bytes(b"something else, long enough to be read " * 40)
    before = file.read_bytes()
    refused(serve(tmp_path), "資料庫無法開啟或寫入", file)
    assert file.read_bytes() == before


# failing


@contextmanager
def failing_writes() -> Iterator[None]:
    """Let every write behind the first 64 KiB of any file fail, as a bad disk does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fails_keeps_what_was_saved(client: Client) -> None:
    client.fill_in(4)
    before = client.application()
    with failing_writes():
        answers = [save(client, n) for n in range(3)]
        client.post("/language", language="en", back="/")
        answers.append(save(client, 3))
        assert client.get("/teacher/person").status_code == 200
    assert [answer.status_code for answer in answers] == [503] * 4
    assert "系統暫時無法存取磁碟" in answers[0].text
    assert ENGLISH in answers[3].text
    assert client.application() == before
    assert save(client, 9).status_code == 303
    whole(client)


def test_a_database_to_read_only_keeps_what_was_saved(client: Client) -> None:
    client.fill_in(4)
    before = client.application()
    client.call(query_only("on"))
    answer = save(client, 1)
    assert answer.status_code == 503
    assert "系統暫時無法存取磁碟" in answer.text
    client.call(query_only("off"))
    assert client.application() == before
    assert save(client, 1).status_code == 303


def query_only(switch: str):
    async def do(site: Site) -> None:
        writer = site.database._writer
        await writer.execute(f"pragma query_only = {switch}")

    return do


def test_a_fault_is_told_even_when_nothing_can_be_read(client: Client) -> None:
    async def lose(site: Site) -> None:
        for reader in site.database._all_readers:
            await reader.close()

    client.call(lose)
    answer = client.get("/teacher/")
    assert answer.status_code == 500
    assert "這次的動作沒有完成" in answer.text
    assert ENGLISH.lower() in answer.text.lower()
    assert re.search("<code>[0-9a-f]{8}</code>", answer.text)


# locked

STRANGER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(sys.argv[2])
db.execute("update county set name = 'stranger'")
print("holds", flush=True)
sys.stdin.read()
"""


@contextmanager
def stranger(file: Path, begin: str) -> Iterator[None]:
    """Let another process hold the database, as somebody at a sqlite3 shell does."""
    words = [sys.executable, "-c", STRANGER, str(file), begin]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holds\n"
        yield


@pytest.mark.parametrize("begin", ["begin immediate", "begin exclusive"])
def test_a_database_that_a_stranger_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: str
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 50)
    with running(tmp_path / "site") as client:
        client.fill_in(4)
        before = client.digest()
        with stranger(tmp_path / "site" / "jiepin.db", begin):
            refused = save(client, 1)
            assert refused.status_code == 503
            assert "請稍候" in refused.text
            assert client.digest() == before
            client.post("/language", language="en", back="/")
            assert "One moment" in save(client, 1).text
        assert client.digest() == before
        assert save(client, 1).status_code == 303
        whole(client)


def test_a_command_that_finds_the_database_held_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = made(tmp_path)
    monkeypatch.setattr(database, "BUSY_MS", 50)
    words = ["staff", "add-host", "--data", str(tmp_path), "--name", "王大同"]
    with stranger(file, "begin immediate"):
        done = CliRunner().invoke(main, words, input="A123456789\n")
    assert done.exit_code == 2
    assert "資料庫無法讀取或寫入" in done.stderr
    assert "    database is locked; what was under way was undone" in done.stderr
    done = CliRunner().invoke(main, words, input="A123456789\n")
    assert done.exit_code == 0, done.stderr


def test_a_second_site_in_the_same_folder_is_refused(client: Client) -> None:
    """The first one goes on as if nothing had been."""
    client.fill_in(4)
    folder = client.site.settings.data
    client.site.vault.write(folder / "keys.json")
    before = client.digest()
    refused(serve(folder), "另一個程式正在使用", folder / "jiepin.db")
    assert client.digest() == before
    assert save(client, 1).status_code == 303
    whole(client)
