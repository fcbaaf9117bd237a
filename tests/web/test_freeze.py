"""The freeze: what stands in its way, what is in a snapshot, who may not see it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from frozen_site import (
    FILED,
    PEOPLE,
    SEATS,
    by,
    frozen,
    noted,
    quick_engine,
    reviewed,
    settled,
    written,
)
from practice_round import YEAR, Client, running
from staff_site import county_desk, host_desk

from jiepin.core import Round, Rules
from jiepin.web import access
from jiepin.web.rotation import seal_again
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, schools, snapshots
from jiepin.web.store.applications import Absent, Closed, Refused
from jiepin.web.store.obstacles import in_the_way
from jiepin.web.store.schools import Window
from jiepin.web.store.snapshots import Seed, Snapshot


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Client, Client]]:
    with reviewed(tmp_path / "site") as both:
        yield both


def folder_of(client: Client, snapshot: Snapshot) -> Path:
    return client.site.settings.data / snapshot.folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def kinds(client: Client) -> list[str]:
    async def look(site: Site) -> list[str]:
        async with site.database.reading() as db:
            found = await in_the_way(db, YEAR, site.clock.now())
        return [one.kind for one in found]

    return client.call(look)


def told(host: Client, *arguments: object) -> list[str]:
    """Return the fields at which a freeze is refused."""
    with pytest.raises(Refused) as refused:
        by(host, snapshots.freeze, *arguments)
    return [problem.field for problem in refused.value.problems]


# what is in it


def test_snapshot_is_a_round_that_the_engine_reads(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    folder = folder_of(client, frozen(host))
    round_ = Round.read(folder, Rules.load(folder / "rules.toml").limits)
    teachers = {row["teacher_id"]: row for row in round_.teachers.to_dicts()}
    assert list(teachers) == sorted(one.number for one in PEOPLE)
    first = teachers["1220001"]
    assert first["choices"] == ["133602", "143601"]
    assert first["counties"] == ["13", "14"]
    assert first["points"] == [6000, 5975]
    assert first["groups"] == []
    assert teachers["1220003"]["groups"] == ["indigenous"]
    assert round_.vacancies.rows() == sorted(SEATS)


def test_no_name_no_id_and_no_birthday_is_in_it(site: tuple[Client, Client]) -> None:
    client, host = site
    snapshot = frozen(host)
    content = b"".join(files_of(folder_of(client, snapshot)).values())
    content += host.get(f"/host/runs/snapshots/{snapshot.id}.zip").content
    text = content.decode("utf-8", "replace") + snapshot.manifest
    for one in PEOPLE:
        for secret in (one.name, one.national_id, one.born.isoformat(), one.id):
            assert secret not in text
    for secret in ("機密姓名", "secret@example.org", "07-7654321", "account "):
        assert secret not in text


def test_birthdays_keep_their_order_alone(site: tuple[Client, Client]) -> None:
    client, host = site
    days = Round.read(folder_of(client, frozen(host))).teachers
    shown = dict(days.select("teacher_id", "birth_date").iter_rows())
    born = {one.number: one.born for one in PEOPLE}
    assert sorted(shown, key=lambda n: (shown[n], n)) == sorted(
        born, key=lambda n: (born[n], n)
    )
    assert len(set(shown.values())) == len(set(born.values()))
    assert max(shown.values()) < date(1900, 1, 1 + len(PEOPLE))


def test_same_database_same_bytes(tmp_path: Path) -> None:
    people = (PEOPLE, tuple(reversed(PEOPLE)))
    contents = []
    for n, order in enumerate(people):
        with reviewed(tmp_path / str(n), order) as (client, host):
            contents.append(files_of(folder_of(client, frozen(host))))
    for name in ("teachers.csv", "schools.csv", "subjects.csv", "vacancies.csv"):
        assert contents[0][name] == contents[1][name]
    assert contents[0]["rules.toml"] == contents[1]["rules.toml"]


def test_closed_schools_and_counties_that_stay_away_are_left_out(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    written(client, "update school set open = 0 where code in ('133602', '143601')")
    written(client, "insert into round_county values (115, '12'), (115, '13')")
    round_ = Round.read(folder_of(client, frozen(host)))
    teachers = {row["teacher_id"]: row for row in round_.teachers.to_dicts()}
    assert teachers["1220001"]["choices"] == []
    assert teachers["1220001"]["counties"] == ["13"]
    assert teachers["1220001"]["points"] == [6000]
    assert teachers["1320002"]["choices"] == ["123602"]
    assert teachers["1320002"]["points"] == [2975]
    listed = round_.schools["school"].to_list()
    assert "143601" in listed  # somebody serves there
    assert "143602" not in listed
    assert round_.vacancies["school"].to_list() == ["133601"]


def test_digests_and_signature_hold(site: tuple[Client, Client]) -> None:
    client, host = site
    snapshot = frozen(host)
    files = files_of(folder_of(client, snapshot))
    manifest = json.loads(files["manifest.json"])
    assert files["manifest.json"].decode() == snapshot.manifest
    assert set(manifest["files"]) == set(files) - {"manifest.json", "signature.txt"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256(files[name]).hexdigest() == digest
    assert manifest["seed_commitment"] == snapshot.commitment
    digest = hashlib.sha256(files["manifest.json"]).hexdigest()
    assert digest == snapshot.digest
    key = load_pem_public_key(host.get("/host/runs/key.pem").content)
    assert isinstance(key, Ed25519PublicKey)
    signature = base64.b64decode(files["signature.txt"])
    key.verify(signature, f"jiepin snapshot 1 {digest}".encode())
    with pytest.raises(InvalidSignature):
        key.verify(signature, f"jiepin snapshot 1 {'0' * 64}".encode())


def test_files_are_read_only_and_the_zip_is_always_the_same(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    snapshot = frozen(host)
    folder = folder_of(client, snapshot)
    assert {oct(file.stat().st_mode)[-3:] for file in folder.iterdir()} == {"444"}
    address = f"/host/runs/snapshots/{snapshot.id}.zip"
    first, second = host.get(address).content, host.get(address).content
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        found = {Path(name).name: archive.read(name) for name in archive.namelist()}
    assert found == files_of(folder)


def test_seed_is_sealed_and_its_commitment_binds(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    snapshot = frozen(host)

    async def look(site: Site) -> tuple[Seed, Seed | None]:
        async with site.database.reading() as db:
            return (
                await snapshots.seed(db, site.vault, snapshot.id),
                await snapshots.revealed(db, site.vault, snapshot, site.clock.now()),
            )

    seed, shown = client.call(look)
    assert shown is None
    text = f"jiepin seed 1 {seed.seed} {seed.nonce}"
    assert hashlib.sha256(text.encode()).hexdigest() == snapshot.commitment
    client.call(lambda site: site.database.checkpoint())
    for file in client.site.settings.data.rglob("*"):
        if file.is_file():
            assert str(seed.seed).encode() not in file.read_bytes(), file
            assert seed.nonce.encode() not in file.read_bytes(), file


def test_seed_is_revealed_with_the_result(site: tuple[Client, Client]) -> None:
    client, host = site
    snapshot = frozen(host)
    run = noted(client, host, snapshot.id)
    when = client.clock.now() + timedelta(hours=1)
    written(
        client,
        "insert into publication (year, run, publish_at, set_by, set_at) "
        "values (115, :run, :at, :by, 0)",
        run=run,
        at=int(when.timestamp() * 1000),
        by=host.actor.account,
    )

    async def look(site: Site) -> Seed | None:
        async with site.database.reading() as db:
            return await snapshots.revealed(db, site.vault, snapshot, site.clock.now())

    assert client.call(look) is None
    client.clock.move(hours=1)
    shown = client.call(look)
    assert shown is not None
    assert shown.commitment == snapshot.commitment


def test_seed_is_sealed_again_with_a_new_key(site: tuple[Client, Client]) -> None:
    client, host = site
    snapshot = frozen(host)
    newer = client.site.vault.rotated()

    async def again(site: Site) -> Seed:
        await seal_again(site.database, newer)
        async with site.database.reading() as db:
            return await snapshots.seed(db, newer.only_newest(), snapshot.id)

    assert client.call(again).commitment == snapshot.commitment


def test_audit_is_kept_beside_it(site: tuple[Client, Client]) -> None:
    client, host = site
    host.get("/host/runs")
    snapshot = frozen(host)
    beside = folder_of(client, snapshot).with_name(
        f"snapshot-{snapshot.id}-audit.jsonl"
    )
    lines = [json.loads(line) for line in beside.read_text("utf-8").splitlines()]
    assert lines[-1]["action"] == "frozen"
    proved = json.loads(snapshot.manifest)["audit"]
    assert proved["entries"] == len(lines) - 1


# what stands in its way


def test_nothing_is_in_the_way_when_the_review_is_over(
    site: tuple[Client, Client],
) -> None:
    assert kinds(site[0]) == []


def test_times_that_are_not_over(site: tuple[Client, Client]) -> None:
    client, host = site
    now = client.clock.now()

    async def open_again(site: Site) -> None:
        async with site.database.writing() as db:
            for kind in ("fill", "review"):
                still = Window(now - timedelta(days=1), now + timedelta(minutes=1))
                await schools.save_window(db, YEAR, "elementary", kind, still)
            later = Window(now + timedelta(minutes=1), None)
            await schools.save_window(db, YEAR, "elementary", "freeze", later)
            await db.execute("delete from window where level = 'kindergarten'")

    client.call(open_again)
    assert kinds(client) == ["fill", "review", "freeze", "fill", "review"]
    assert told(host, "freeze", "") == ["freeze"] * 5
    page = host.get("/host/runs").text
    assert "國小：填報期間至 115年4月20日 09:01 才結束" in page
    assert "凍結本年度資料</button>" not in page
    written(client, "update round set levels = 'elementary'")
    client.clock.move(minutes=1)
    assert kinds(client) == []


def test_what_nobody_has_reviewed(tmp_path: Path) -> None:
    with reviewed(tmp_path / "site", (*PEOPLE, FILED)) as (client, host):
        assert kinds(client) == ["unreviewed"]
        assert told(host, "freeze", "") == ["left_out"]
        assert told(host, "freeze", "", 1) == ["reason"]
        clerk = host_desk(client, "clerk")
        assert told(clerk, "freeze", "停辦", 1) == ["left_out"]
        page = host.post("/host/runs/freeze", reason="停辦", left_out="2")
        assert page.status_code == 422
        assert 'value="停辦"' in page.text
        done = host.post("/host/runs/freeze", reason="停辦", left_out="1")
        assert done.status_code == 303
        shown = host.get("/host/runs").text
        assert "未審核而不列入" in shown
        public = client.another().get("/public/").text
        assert "<dt>未審核而不列入</dt><dd>1</dd>" in public
        assert "<dt>凍結說明</dt><dd>停辦</dd>" in public
        [(left_out, reason)] = written(client, "select left_out, reason from snapshot")
        assert (left_out, reason) == (1, "停辦")


def test_nobody_approved(tmp_path: Path) -> None:
    with reviewed(tmp_path / "site", ()) as (client, host):
        assert kinds(client) == ["nobody"]
        assert told(host, "freeze", "") == ["freeze"]


def test_rules_that_cannot_be_used(site: tuple[Client, Client]) -> None:
    client, host = site
    written(client, "update round set rules = 'name = '")
    assert kinds(client) == ["rules"]
    assert told(host, "freeze", "") == ["freeze"]
    assert "介聘規則有誤" in host.get("/host/runs").text


def test_what_the_engine_does_not_accept_leaves_nothing(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    written(client, "update round set max_counties = 1")
    before = client.digest()
    with pytest.raises(Refused) as refused:
        by(host, snapshots.freeze, "freeze", "")
    texts = " ".join(problem.text for problem in refused.value.problems)
    assert "1220001" in texts
    assert "1220002" not in texts
    assert client.digest() == before
    assert list((client.site.settings.data / "rounds" / "115").iterdir()) == []
    assert "1220001" in host.get("/host/runs/check").text


def test_trial_keeps_nothing(site: tuple[Client, Client]) -> None:
    client, host = site
    before = client.digest()
    page = host.get("/host/runs/check").text
    assert "資料完整，計算程式可以接受" in page
    assert "<b>6</b>" in page
    assert client.digest() == before
    assert not (client.site.settings.data / "rounds").exists()


def test_a_transaction_that_fails_leaves_no_folder(
    site: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, host = site

    async def fail(*_arguments: object, **_more: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "add", fail)
    with pytest.raises(RuntimeError):
        frozen(host)
    monkeypatch.undo()
    home = client.site.settings.data / "rounds" / "115"
    assert list(home.iterdir()) == []
    assert kinds(client) == []
    left = home / "snapshot-1"  # of a site that was killed before its row was written
    left.mkdir()
    (left / "teachers.csv").write_text("old")
    snapshot = frozen(host)
    assert "manifest.json" in files_of(folder_of(client, snapshot))


def test_frozen_once(site: tuple[Client, Client]) -> None:
    client, host = site
    frozen(host)
    assert kinds(client) == ["frozen"]
    assert told(host, "freeze", "") == ["freeze"]


# what follows


def test_nobody_edits_after_the_freeze(site: tuple[Client, Client]) -> None:
    client, host = site
    desk = county_desk(client)
    now = client.clock.now()

    async def may(site: Site) -> list[bool]:
        on = Window(now - timedelta(days=1), now + timedelta(days=1))
        async with site.database.writing() as db:
            for kind in ("fill", "review"):
                await schools.save_window(db, YEAR, "elementary", kind, on)
        async with site.database.reading() as db:
            found = await applications.by_id(db, PEOPLE[0].id)
            settings = await schools.the_round(db)
        assert found is not None
        filed = replace(found, state="filed")
        teacher = access.Actor("teacher", found.account)
        scope = access.Scope("12", "elementary", settings.frozen)
        return [
            access.can(teacher, "edit", filed, now),
            access.can(desk.actor, "review", filed, now),
            access.can(desk.actor, "decide", filed, now),
            access.can(desk.actor, "schools", scope, now),
            access.can(desk.actor, "roster", scope, now),
        ]

    frozen(host)
    assert client.call(may) == [False] * 5
    by(host, snapshots.withdraw, 1, "資料有誤")
    assert client.call(may) == [True] * 5


def test_taking_it_back(site: tuple[Client, Client]) -> None:
    client, host = site
    first = frozen(host)
    address = f"/host/runs/snapshots/{first.id}/withdraw"
    assert host.post(address, reason=" ").status_code == 422
    assert host.post(address, reason="名冊有誤").status_code == 303
    assert kinds(client) == []
    assert "名冊有誤" in host.get("/host/runs").text
    assert "撤回，不再使用。 名冊有誤" in client.another().get("/public/").text
    with pytest.raises(Closed):
        by(host, snapshots.withdraw, first.id, "again")
    second = frozen(host)
    assert second.id == 2
    assert second.commitment == first.commitment  # a year has one seed
    assert second.digest != first.digest


def test_what_is_to_be_published_is_not_taken_back(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    snapshot = frozen(host)
    run = noted(client, host, snapshot.id)
    values = {"run": run, "by": host.actor.account}
    plan = (
        "insert into publication (year, run, publish_at, set_by, set_at) "
        "values (115, :run, 0, :by, 0)"
    )
    written(client, plan, **values)
    with pytest.raises(Closed):
        by(host, snapshots.withdraw, snapshot.id, "late")
    written(client, "update publication set retracted = 1")
    by(host, snapshots.withdraw, snapshot.id, "in time")


def test_correction_keeps_the_seed_and_changes_what_was_corrected(
    site: tuple[Client, Client],
) -> None:
    client, host = site
    assert told(host, "correction", "漏計") == ["freeze"]
    first = frozen(host)
    assert told(host, "correction", " ") == ["reason"]
    assert told(host, "correction", "無") == ["freeze"]  # nothing is corrected
    application = PEOPLE[0].id
    written(
        client, "update application set correcting = 1 where id = :id", id=application
    )
    assert told(host, "correction", "漏計") == ["freeze"]
    written(client, "update application set correcting = null")
    written(
        client,
        "update points set value = 9000 where application = :id and item = 'service'",
        id=application,
    )
    second: Snapshot = by(host, snapshots.freeze, "correction", "漏計")
    assert second.commitment == first.commitment
    before, after = (files_of(folder_of(client, one)) for one in (first, second))
    changed = {name for name in after if before[name] != after[name]}
    assert changed == {"teachers.csv", "manifest.json", "signature.txt"}
    assert b"90.25|90.00" in after["teachers.csv"]


# who may


@pytest.mark.parametrize(
    ("kind", "role", "may"),
    [
        ("host", "clerk", True),
        ("host", "head", True),
        ("host", "reviewer", False),
        ("county", "head", False),
    ],
)
def test_who_may_freeze(
    site: tuple[Client, Client], kind: str, role: str, may: bool
) -> None:
    client, _head = site
    make = host_desk if kind == "host" else county_desk
    someone = make(client, role)
    path = "/host/runs/freeze"
    answer = someone.post(path, reason="")
    if may:
        assert answer.status_code == 303
        assert kinds(client) == ["frozen"]
    else:
        assert answer.status_code == (404 if kind == "host" else 303)
        assert kinds(client) == []
        with pytest.raises(Absent):
            by(someone, snapshots.freeze, "freeze", "")


def test_what_others_find(site: tuple[Client, Client]) -> None:
    client, host = site
    frozen(host)
    nobody, county = client.another(), county_desk(client)
    for path in ("", "/check", "/key.pem", "/snapshots/1.zip", "/1", "/1.json"):
        for someone in (nobody, county):
            answer = someone.get(f"/host/runs{path}")
            assert answer.status_code == 303, path
            assert answer.headers["location"] == "/host/"
    assert host.get("/host/runs/snapshots/7.zip").status_code == 404
    assert host.get(f"/host/runs/{9**19}").status_code == 404


def test_a_site_without_a_year(tmp_path: Path) -> None:
    with quick_engine(), running(tmp_path / "site") as client:
        host = host_desk(client)
        written(client, "delete from roster")
        written(client, "delete from window")
        written(client, "delete from round")
        assert "尚未設定年度" in host.get("/host/runs").text
        assert host.get("/host/runs/check").status_code == 404
        assert host.post("/host/runs/freeze", reason="").status_code == 404
        settled(client)


def test_the_audit_names_no_one(site: tuple[Client, Client]) -> None:
    client, host = site
    frozen(host)
    [(object_, detail)] = written(
        client, "select object, detail from audit where action = 'frozen'"
    )
    assert object_ == "snapshot 1"
    assert set(json.loads(detail)) == {"kind", "digest", "commitment", "teachers"}
    assert re.fullmatch("[0-9a-f]{64}", json.loads(detail)["commitment"])
