"""Backups: whole, sealed, kept, and the way back from them."""

from __future__ import annotations

import asyncio
import os
import random
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from backed_up import (
    Kept,
    command,
    digests,
    free_port,
    keep,
    serving,
)
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from faulty_disk import small_disk
from frozen_site import PEOPLE, reviewed, written
from hypothesis import given
from hypothesis import strategies as st
from killed_site import CARDS, STARTS_WITHIN, Saver
from killed_site import Site as KilledSite
from one_backup import Maker
from practice_round import (
    LIN,
    ORIGIN,
    PASSWORD,
    Client,
    fill,
    settings,
    teacher,
)
from published_round import frozen_round
from pyrage.x25519 import Identity

from jiepin.web import audit_check, backup
from jiepin.web import restore as restoring
from jiepin.web.backup import CannotWrite, DamagedBackup, Manifest
from jiepin.web.backup_schedule import Backups, made_at, newest, superfluous
from jiepin.web.cli import main
from jiepin.web.clock import SystemClock
from jiepin.web.passwords import Passwords
from jiepin.web.restore import NotEmpty, WrongIdentity
from jiepin.web.settings import BadSettings, Settings
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications
from jiepin.web.store.backups import HELD_BACK
from jiepin.web.store.database import Database, NewerDatabase, copy, migrations
from jiepin.web.vault import NotSealedHere, Vault

ROOT = Path(__file__).resolve().parents[2]
HANDBOOK = ROOT / "docs" / "operate.md"
KILLS = 25
START = datetime(2026, 4, 19, tzinfo=UTC)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return keep(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def made(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    return kept.backup(tmp_path_factory.mktemp("made"))


def called(*words: object) -> Result:
    """Call `jiepin-web` in this process."""
    return CliRunner().invoke(main, [str(word) for word in words])


def rows(database: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(statement).fetchall()


# what is in it


def test_all_that_belongs_together_comes_back(
    kept: Kept, made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    file, manifest = made
    kept.restore(file, tmp_path / "new", kept.vault)
    assert digests(tmp_path / "new" / "rounds") == digests(kept.data / "rounds")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "jiepin.db",
        "rounds",
    }
    assert manifest.counts["application"] == len(PEOPLE)
    names = [name for name in manifest.files if "rounds" in name]
    assert any("snapshot-1/manifest.json" in name for name in names)
    assert any("snapshot-1-audit.jsonl" in name for name in names)
    assert any("run-1-report/report.html" in name for name in names)
    assert [name for name in manifest.missing if "report-en" not in name] == []


def test_it_is_sealed_and_for_its_owner_alone(
    kept: Kept, made: tuple[Path, Manifest]
) -> None:
    file, _manifest = made
    content = file.read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n")
    assert b"SQLite" not in content
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert not (kept.data / backup.UNDER_WAY).exists()


def test_a_plain_copy_of_the_file_is_no_backup(tmp_path: Path) -> None:
    async def work() -> None:
        database = await Database.open(tmp_path / "jiepin.db")
        try:
            async with database.writing() as db:
                await db.execute("insert into throttle values ('saved', 1, 0, 0)")
            shutil.copy(tmp_path / "jiepin.db", tmp_path / "plain.db")
            await copy(tmp_path / "jiepin.db", tmp_path / "whole.db")
        finally:
            await database.close()

    asyncio.run(work())
    assert rows(tmp_path / "whole.db", "select key from throttle") == [("saved",)]
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        rows(tmp_path / "plain.db", "select key from throttle")


def test_what_is_missing_is_told(kept: Kept, tmp_path: Path) -> None:
    data = shutil.copytree(kept.data, tmp_path / "data")
    shutil.rmtree(data / "rounds" / "115" / "run-1")
    identity = tmp_path / "identity"
    recipient = backup.make_identity(identity)
    told = called(
        *("backup", "make", "--data", data, "--to", tmp_path / "to"),
        *("--keys", data / "keys.json", "--recipient", recipient),
    )
    assert told.exit_code == 0
    assert "missing where it was made: rounds/115/run-1," in told.stdout


# under load


def test_a_backup_under_load_has_all_that_was_acknowledged(tmp_path: Path) -> None:
    site, folder = KilledSite(tmp_path / "site"), tmp_path / "to"
    identity = tmp_path / "identity"
    recipient = backup.make_identity(identity)
    savers = [Saver(site, card, random.Random(card[0])) for card in CARDS]
    with site.running():
        for saver in savers:
            saver.come_to_the_wishes()
        threads = [threading.Thread(target=one.save_until_killed) for one in savers]
        for thread in threads:
            thread.start()
        wait_for_saves(savers)
        before = [saver.known.version for saver in savers]
        told = command(
            *("backup", "make", "--data", site.folder, "--to", folder),
            *("--recipient", recipient),
        )
        after = [saver.tried.version for saver in savers]
        assert told.returncode == 0, told.stderr
    for thread in threads:
        thread.join()
    assert all(first < last for first, last in zip(before, after, strict=True))
    [file] = folder.iterdir()
    target = tmp_path / "new"
    keys = site.folder / "keys.json"
    done = called(
        *("restore", file, "--identity", identity, "--keys", keys),
        *("--data", target, "--mail", "hold"),
    )
    assert done.exit_code == 0, done.stderr
    for saver, first, last in zip(savers, before, after, strict=True):
        saver.http.close()
        check_whole(replace(saver, site=KilledSite(target)), first, last)


def wait_for_saves(savers: Sequence[Saver]) -> None:
    patience = time.monotonic() + STARTS_WITHIN
    while min(one.acknowledged for one in savers) < 3 and time.monotonic() < patience:
        time.sleep(0.02)


def check_whole(saver: Saver, first: int, last: int) -> None:
    """Look whether what is stored is of that time, and whole with all before it."""
    saver.known = saver.tried = saver.stored()
    assert first <= saver.known.version <= last
    saver.check()
    saver.http.close()


# killed


def test_killed_at_any_moment_it_leaves_no_half_file(
    kept: Kept, tmp_path: Path
) -> None:
    data = shutil.copytree(kept.data, tmp_path / "data")
    with closing(sqlite3.connect(data / "jiepin.db")) as db:
        for _ in range(120):  # enough to write that a kill finds it at it
            db.execute("insert into throttle values (hex(randomblob(20000)), 0, 0, 0)")
        db.commit()
    recipient = str(kept.identity.to_public())
    maker = Maker(data, data / "keys.json", tmp_path / "to", recipient)
    dice = random.Random(5)
    maker.make()  # the first process has to load everything
    longest = maker.make()
    interrupted, seen = 0, set(maker.folder.iterdir())
    for _ in range(KILLS):
        maker.make(killed_after=dice.uniform(0, longest))
        place = data / backup.UNDER_WAY
        if place.exists():
            interrupted += 1
            assert place.stat().st_mode & 0o777 == 0o700
        fresh = {one for one in maker.folder.iterdir() if made_at(one.name)} - seen
        for file in fresh:
            asyncio.run(restoring.check(file, kept.identity, kept.vault))
        seen |= fresh
    assert interrupted > KILLS // 4
    backup.sweep(data, maker.folder)
    assert not (data / backup.UNDER_WAY).exists()
    assert all(made_at(file.name) for file in maker.folder.iterdir())


def test_what_a_killed_one_left_is_not_in_the_way(kept: Kept, tmp_path: Path) -> None:
    data = shutil.copytree(kept.data, tmp_path / "data")
    (data / backup.UNDER_WAY).mkdir()
    shutil.copy(data / "jiepin.db", data / backup.UNDER_WAY)
    to = tmp_path / "to"
    to.mkdir()
    (to / f".{backup.name_at(START)}.new").write_bytes(b"age-encryption.org/v1")
    file, _manifest = replace(kept, data=data).backup(to)
    assert list(to.iterdir()) == [file]
    assert not (data / backup.UNDER_WAY).exists()


def test_what_another_one_has_under_way_is_let_be(kept: Kept) -> None:
    with backup._workplace(kept.data) as place:
        backup.sweep(kept.data, None)
        assert place.exists()


@pytest.mark.parametrize("full", ["to", "data"])
def test_on_a_full_disk_it_says_so_and_leaves_nothing(
    kept: Kept, tmp_path: Path, full: str
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        places = {"to": tmp_path / "to", "data": tmp_path / "site"}
        places[full] = disk.folder / full
        data = shutil.copytree(kept.data, places["data"])
        places["to"].mkdir(exist_ok=True)
        disk.fill()
        with pytest.raises(CannotWrite, match=r"No space left|disk is full"):
            replace(kept, data=data).backup(places["to"])
        assert list(places["to"].iterdir()) == []
        assert not (data / backup.UNDER_WAY).exists()
        disk.free()
        replace(kept, data=data).backup(places["to"])


# refused


def test_only_an_empty_folder_is_taken(
    kept: Kept, made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(NotEmpty, match="not empty"):
        kept.restore(made[0], tmp_path)
    assert digests(tmp_path) == {"mine.txt": b"mine"}


def test_another_identity_opens_nothing(
    kept: Kept, made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    with pytest.raises(WrongIdentity, match="another identity"):
        replace(kept, identity=Identity.generate()).restore(made[0], tmp_path)
    assert list(tmp_path.iterdir()) == []


def cut(content: bytes) -> bytes:
    return content[:-1]


def cut_to_whole_parts(content: bytes) -> bytes:
    """Take off the last part of the seal: what is left opens, and is not all."""
    parts = 65536 + 16
    header = (
        content.index(b"\n---")
        + 4
        + content[content.index(b"\n---") + 4 :].index(b"\n")
    )
    return content[: header + 1 + 16 + (len(content) - header - 18) // parts * parts]


def turned(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def empty(_content: bytes) -> bytes:
    return b""


def another(_content: bytes) -> bytes:
    return b"PK\x03\x04 no backup at all"


@pytest.mark.parametrize("damage", [cut, cut_to_whole_parts, turned, empty, another])
def test_a_damaged_file_is_refused(
    kept: Kept,
    made: tuple[Path, Manifest],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    file = tmp_path / made[0].name
    file.write_bytes(damage(made[0].read_bytes()))
    with pytest.raises(DamagedBackup, match="take another backup"):
        kept.restore(file, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def made_otherwise(
    kept: Kept,
    folder: Path,
    change: Callable[[Path, Manifest], Manifest],
    vault: Vault | None = None,
) -> Path:
    """Make a backup whose copy or manifest was changed before it was sealed."""
    describe = backup._describe

    async def changed(data: Path, place: Path, now: datetime) -> Manifest:
        return change(place, await describe(data, place, now))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "_describe", changed)
        file, _manifest = replace(kept, vault=vault or kept.vault).backup(folder)
    return file


def with_another_copy(place: Path, manifest: Manifest) -> Manifest:
    """Let the digest be that of the database as it is now."""
    files = {**manifest.files, "jiepin.db": backup._look_at(place / "jiepin.db")}
    return replace(manifest, files=files)


def with_other_rows(place: Path, manifest: Manifest) -> Manifest:
    with closing(sqlite3.connect(place / "jiepin.db")) as db:
        db.execute("delete from points")
        db.commit()
    return with_another_copy(place, manifest)


def with_another_audit(place: Path, manifest: Manifest) -> Manifest:
    with closing(sqlite3.connect(place / "jiepin.db")) as db:
        db.execute("drop trigger audit_not_changed")
        db.execute("update audit set actor = 'nobody' where id = 1")
        db.commit()
    return with_another_copy(place, manifest)


def with_a_broken_page(place: Path, manifest: Manifest) -> Manifest:
    with (place / "jiepin.db").open("r+b") as file:
        file.seek(4096 * 3)
        file.write(bytes(4096))
    return with_another_copy(place, manifest)


def with_another_digest(_place: Path, manifest: Manifest) -> Manifest:
    name = next(name for name in manifest.files if "assignments" in name)
    files = {**manifest.files, name: replace(manifest.files[name], sha256="0" * 64)}
    return replace(manifest, files=files)


def of_another_format(_place: Path, manifest: Manifest) -> Manifest:
    return replace(manifest, format="jiepin backup 2")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (with_other_rows, "other rows than the manifest says"),
        (with_another_audit, "the audit is broken at entry 1"),
        (with_a_broken_page, r"malformed|rows|btree|page|disk image"),
        (with_another_digest, "assignments.csv: not as the manifest says"),
        (of_another_format, "format 'jiepin backup 2'"),
    ],
)
def test_what_does_not_go_together_is_refused(
    kept: Kept,
    tmp_path: Path,
    change: Callable[[Path, Manifest], Manifest],
    found: str,
) -> None:
    file = made_otherwise(kept, tmp_path / "to", change)
    with pytest.raises(DamagedBackup, match=found):
        kept.restore(file, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_newer_database_is_refused(kept: Kept, tmp_path: Path) -> None:
    def newer(_place: Path, manifest: Manifest) -> Manifest:
        return replace(manifest, schema=len(migrations()) + 1)

    file = made_otherwise(kept, tmp_path / "to", newer)
    with pytest.raises(NewerDatabase, match="install the version that made it"):
        kept.restore(file, tmp_path / "new")


def test_names_that_lead_elsewhere_are_refused(kept: Kept, tmp_path: Path) -> None:
    def outside(place: Path, manifest: Manifest) -> Manifest:
        (place.parent / "outside").write_text("x")
        file = backup._look_at(place.parent / "outside")
        return replace(manifest, files={**manifest.files, "../data/outside": file})

    data = shutil.copytree(kept.data, tmp_path / "data")
    file = made_otherwise(replace(kept, data=data), tmp_path / "to", outside)
    with pytest.raises(DamagedBackup, match="not one of the files"):
        kept.restore(file, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "new", "to"]


def test_keys_that_do_not_fit_are_refused(
    kept: Kept, made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    stranger = Vault.new()
    with pytest.raises(NotSealedHere, match="not signed by the site of this key file"):
        kept.restore(made[0], tmp_path / "new", stranger)
    rotated = kept.vault.rotated().only_newest()
    with pytest.raises(NotSealedHere, match=r"account\.national_id.*snapshot\.seed"):
        kept.restore(made[0], tmp_path / "new", rotated)
    kept.restore(made[0], tmp_path / "new", kept.vault)


def test_what_a_stranger_sealed_is_not_ours(kept: Kept, tmp_path: Path) -> None:
    """Whoever knows the recipient, which is no secret, can seal anything for it."""

    def same(_place: Path, manifest: Manifest) -> Manifest:
        return manifest

    file = made_otherwise(kept, tmp_path / "to", same, vault=Vault.new())
    with pytest.raises(NotSealedHere, match="not signed"):
        asyncio.run(restoring.check(file, kept.identity, kept.vault))


def test_the_commands_say_so_in_both_languages(
    kept: Kept, made: tuple[Path, Manifest], tmp_path: Path
) -> None:
    identity = tmp_path / "identity"
    backup.make_identity(identity)
    broken = tmp_path / "broken.age"
    broken.write_bytes(cut(made[0].read_bytes()))
    again = called("backup", "key", identity)
    assert (again.exit_code, "File exists" in again.stderr) == (2, True)
    wrong = called("backup", "check", made[0], "--identity", identity)
    assert wrong.exit_code == 2
    assert "這份備份要用另一把私鑰才能開啟" in wrong.stderr
    assert "sealed for another identity" in wrong.stderr
    identity.write_text(str(kept.identity))
    damaged = called("backup", "check", broken, "--identity", identity)
    assert damaged.exit_code == 1
    assert "備份已損壞或不完整" in damaged.stderr
    whole = called("backup", "check", made[0], "--identity", identity)
    assert (whole.exit_code, "備份完整" in whole.stdout) == (0, True)


def test_an_identity_is_never_shown() -> None:
    secret = str(Identity.generate())
    environment = {
        "JIEPIN_DATA": "/d",
        "JIEPIN_ORIGIN": "https://tas.example",
        "JIEPIN_BACKUPS": "/b",
        "JIEPIN_BACKUP_RECIPIENT": secret,
    }
    with pytest.raises(BadSettings, match="JIEPIN_BACKUP_RECIPIENT is …") as refused:
        Settings.read(environment)
    assert secret not in str(refused.value)
    with pytest.raises(backup.BadIdentity) as refused_too:
        backup.read_recipients(secret)
    assert secret not in str(refused_too.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"JIEPIN_BACKUPS": "/d/backups"}, "a folder outside the data folder"),
        ({"JIEPIN_BACKUP_RECIPIENT": ""}, "JIEPIN_BACKUP_RECIPIENT is missing"),
        ({"JIEPIN_BACKUP_RECIPIENT": "age1x"}, "is 'age1x'; expected age1…"),
    ],
)
def test_settings_that_would_lose_backups_are_refused(
    changes: dict[str, str], said: str
) -> None:
    environment = {
        "JIEPIN_DATA": "/d",
        "JIEPIN_ORIGIN": "https://tas.example",
        "JIEPIN_BACKUPS": "/b",
        "JIEPIN_BACKUP_RECIPIENT": str(Identity.generate().to_public()),
    }
    assert Settings.read(environment).backups == Path("/b")
    with pytest.raises(BadSettings, match=said):
        Settings.read(environment | changes)


# after a restore


def test_a_database_of_an_earlier_version_comes_into_the_newest_shape(
    kept: Kept, tmp_path: Path
) -> None:
    earlier = migrations()[:-1]

    def older(place: Path, manifest: Manifest) -> Manifest:
        (place / "jiepin.db").unlink()
        with closing(sqlite3.connect(place / "jiepin.db")) as db:
            for script in earlier:
                db.executescript(script)
            db.execute(f"pragma user_version = {len(earlier)}")
            tables = "select name from sqlite_master where type = 'table'"
            counts = {
                name: db.execute(f'select count(*) from "{name}"').fetchone()[0]
                for (name,) in db.execute(tables)
            }
        return replace(
            with_another_copy(place, manifest),
            schema=len(earlier),
            counts=counts,
            audit={"entries": 0, "digest": ""},
        )

    file = made_otherwise(kept, tmp_path / "to", older)
    kept.restore(file, tmp_path / "new", kept.vault)
    found = rows(tmp_path / "new" / "jiepin.db", "pragma user_version")
    assert found == [(len(migrations()),)]


@pytest.mark.parametrize("hold", [True, False])
def test_all_sign_in_again_and_nothing_is_sent_twice(
    kept: Kept, tmp_path: Path, hold: bool
) -> None:
    data = shutil.copytree(kept.data, tmp_path / "data")
    now = "unixepoch() * 1000"
    with closing(sqlite3.connect(data / "jiepin.db")) as db:
        application = PEOPLE[0].id
        db.execute(f"insert into session values (x'01', null, {now}, {now}, null)")
        for n, state in enumerate(("waiting", "claimed", "done")):
            db.execute(
                """insert into outbox (key, channel, event, application, county,
                payload, created, state, next_try) values (?, 'mail', 'result', ?,
                '12', x'00', 0, ?, 0)""",
                (str(n), application, state),
            )
        db.execute(
            "insert into publication (year, run, publish_at, set_by, set_at) "
            f"select 115, run.id, {now} + moved, asked_by, 0 from run, "
            "(select -1000 as moved union select 3600000)"
        )
        db.commit()
    file, manifest = replace(kept, data=data).backup(tmp_path / "to")
    done = kept.restore(file, tmp_path / "new", hold=hold)
    restored = tmp_path / "new" / "jiepin.db"
    assert rows(restored, "select count(*) from session, staff_session") == [(0,)]
    assert done.held == (2 if hold else 0)
    states = rows(restored, "select state, error from outbox order by id")
    waited = [("failed", HELD_BACK)] * 2 if hold else [("waiting", ""), ("claimed", "")]
    assert states == [*waited, ("done", "")]
    told = rows(
        restored, "select told is not null from publication order by publish_at"
    )
    assert told == [(int(hold),), (0,)]
    assert (
        rows(restored, "select action, detail from audit order by id desc limit 1")[0][
            1
        ]
        == f'{{"backup":"{manifest.made}","held":{done.held}}}'
    )
    assert rows(restored, "pragma journal_mode") == [("wal",)]
    assert asyncio.run(audit_check.verify(restored, None)).holds


# when, and which are kept


def names(*moments: datetime) -> list[str]:
    return [backup.name_at(moment) for moment in moments]


def test_forty_days_of_hours_leave_two_days_and_one_of_each_day() -> None:
    folder: list[str] = []
    for n in range(40 * 24):
        folder += names(START + timedelta(hours=n))
        gone = set(superfluous(folder))
        folder = [name for name in folder if name not in gone]
    hours = names(*(START + timedelta(days=38, hours=n) for n in range(48)))
    days = names(*(START + timedelta(days=n, hours=23) for n in range(5, 38)))
    assert folder == [*days, *hours]


moments = st.integers(0, 10**6).map(lambda n: START + timedelta(minutes=n))


@given(st.lists(moments, unique=True, max_size=200), st.lists(st.text(max_size=9)))
def test_what_goes_is_neither_new_nor_of_others(
    made: list[datetime], others: list[str]
) -> None:
    all_names = sorted(names(*made))
    gone = superfluous([*all_names, *others])
    assert set(gone) <= set(all_names[:-48])
    left = [name for name in all_names if name not in set(gone)]
    assert superfluous(left) == []
    assert len(left) <= 48 + 35


@given(moments)
def test_a_name_tells_when(moment: datetime) -> None:
    assert made_at(backup.name_at(moment)) == moment


def making(client: Client, folder: Path) -> Backups:
    """Let a site that runs make backups."""
    site = client.site
    site.vault.write(site.settings.keys)
    recipient = str(Identity.generate().to_public())
    own = replace(site.settings, backups=folder, backup_recipient=recipient)
    client.app.state.backups = Backups(replace(site, settings=own))
    return client.app.state.backups


def test_the_site_makes_one_when_it_is_due(client: Client, tmp_path: Path) -> None:
    backups = making(client, tmp_path / "to")

    async def run_until_one_is_there(_site: Site) -> None:
        task = asyncio.create_task(backups.run())
        await asyncio.to_thread(wait_for_one, tmp_path / "to")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    client.call(run_until_one_is_there)
    assert len(list((tmp_path / "to").iterdir())) == 1


def test_earlier_ones_go_once_there_is_a_new_one(
    client: Client, tmp_path: Path
) -> None:
    backups = making(client, tmp_path)
    for name in names(*(START + timedelta(hours=n) for n in range(72))):
        (tmp_path / name).touch()
    (tmp_path / "mine.age").touch()
    assert client.call(lambda _site: backups.now())
    left = [made_at(file.name) for file in tmp_path.iterdir() if file.is_file()]
    assert None in left  # which is mine
    assert len(left) == 1 + 48 + 1  # mine, the last, and that of the day before them


def test_no_freeze_without_a_backup_unless_it_is_wanted(tmp_path: Path) -> None:
    with reviewed(tmp_path / "site") as (client, host):
        (tmp_path / "to").write_text("no folder")
        making(client, tmp_path / "to")
        page = host.post("/host/runs/freeze", reason="", left_out="")
        assert page.status_code == 422
        assert "事前的備份沒有完成" in page.text
        assert 'name="without_backup"' in page.text
        assert written(client, "select * from snapshot") == []
        done = host.post("/host/runs/freeze", reason="", without_backup="yes")
        assert done.status_code == 303
        (tmp_path / "to").unlink()
        again = host.post("/host/corrections/freeze", why="")
        assert "事前的備份沒有完成" not in again.text
        assert newest(tmp_path / "to") is not None


def test_no_publication_without_a_backup(client: Client, tmp_path: Path) -> None:
    round_ = frozen_round(client)
    round_.approve()
    (tmp_path / "to").write_text("no folder")
    making(client, tmp_path / "to")
    form = {"run": str(round_.run), "at": "", "sure": "yes"}
    page = round_.host.post("/host/results/plan", **form)
    assert (page.status_code, "事前的備份沒有完成" in page.text) == (422, True)
    assert round_.sql("select * from publication") == []
    (tmp_path / "to").unlink()
    assert round_.host.post("/host/results/plan", **form).status_code == 303
    assert len(list((tmp_path / "to").iterdir())) == 1


# the drill


def words(section: str) -> list[list[str]]:
    """Return the commands that the handbook gives in a section, as words."""
    text = HANDBOOK.read_text("utf-8")
    body = re.search(rf"^## .*{section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert body is not None
    blocks = re.findall(r"^```sh\n(.*?)^```$", body.group(1), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


class Drill:
    """The handbook's places, moved below a folder, and its commands, called there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipient = ""
        self.data = self.place("/var/lib/jiepin")
        self.keys = self.place("/etc/jiepin/keys.json")
        self.backups = self.place("/var/backups/jiepin")
        for one in (self.data, self.keys.parent, self.place("/media/key")):
            one.mkdir(parents=True)

    def place(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def word(self, word: str) -> str:
        """Return a word of the handbook as it is here."""
        if word == "age1…":
            return self.recipient
        if word == "jiepin:":
            return f"{os.getuid()}:{os.getgid()}"
        if word.endswith(".age"):
            return str(max(self.backups.iterdir()))
        return str(self.place(word)) if word.startswith("/") else word

    def call(self, line: list[str]) -> str:
        """Call one command; the program is the one that is tested."""
        program, *rest = [self.word(word) for word in line]
        start = [sys.executable, "-c", "from jiepin.web.cli import main; main()"]
        called = [*start, *rest] if program == "jiepin-web" else [program, *rest]
        done = subprocess.run(called, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """What the service of the handbook is set by."""
        return {
            **os.environ,
            "JIEPIN_DATA": str(self.data),
            "JIEPIN_KEYS": str(self.keys),
            "JIEPIN_ORIGIN": ORIGIN,
            "JIEPIN_PORT": str(free_port()),
            "JIEPIN_BACKUPS": str(self.backups),
            "JIEPIN_BACKUP_RECIPIENT": self.recipient,
        }


WISHES = ("133602", "143601", "133601")


async def write_a_round(data: Path, vault: Vault, computer: Ed25519PrivateKey) -> None:
    """Write a round with one teacher who can sign in and has saved a list."""
    database = await Database.open(data / "jiepin.db")
    try:
        site = Site(settings(data), SystemClock(), vault, database)
        await fill(site)
        actor, application = await teacher(site)
        saved, _ = await applications.change_counties(
            site, actor, application.version, ("13", "14")
        )
        await applications.save_wishes(site, actor, saved.version, WISHES)
        hashed = await Passwords().hash(PASSWORD)
        async with database.writing() as db:
            await accounts.set_password(db, actor.account, hashed)
            device = computer.public_key().public_bytes_raw()
            await accounts.confirm_device(db, actor.account, device, site.clock.now())
    finally:
        await database.close()


def test_a_server_is_lost_and_comes_back_by_the_handbook(tmp_path: Path) -> None:
    drill = Drill(tmp_path)
    computer = Ed25519PrivateKey.generate()
    vault = Vault.new()
    vault.write(drill.keys)
    asyncio.run(write_a_round(drill.data, vault, computer))
    make_key, make, check = words("Backup")
    drill.recipient = drill.call(make_key).strip()
    with serving(drill.environment) as http:
        assert signed_in(http, computer)
        wait_for_one(drill.backups)  # which the site makes itself, every hour
        drill.call(make)
    assert len(list(drill.backups.iterdir())) == 2
    shutil.copy(drill.keys, drill.place("/media/key/keys.json"))
    drill.keys.unlink()
    drill.call(check)
    shutil.rmtree(drill.data)
    for line in words("Restore"):
        drill.call(line)
    with serving(drill.environment) as http:
        assert http.get("/teacher/wishes").status_code == 303  # no session is left
        assert signed_in(http, computer) == list(WISHES)


def wait_for_one(folder: Path) -> None:
    patience = time.monotonic() + STARTS_WITHIN
    while newest(folder) is None and time.monotonic() < patience:
        time.sleep(0.05)


def signed_in(http: httpx2.Client, computer: Ed25519PrivateKey) -> list[str]:
    """Sign the teacher in; returns the schools of the list that is shown."""
    here = Client(None, http, None, computer)  # type: ignore[arg-type]
    done = here.sign_in(LIN, PASSWORD)
    assert done.status_code == 303, done.text
    return re.findall(r'<li data-school="(\w+)"', here.get("/teacher/wishes").text)
