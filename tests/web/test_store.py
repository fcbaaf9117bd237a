"""The database: migrations, one writer, versions, deadline, audit, outbox."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from practice_round import (
    CHEN,
    CLOSES,
    LIN,
    SCHOOLS,
    START,
    save_and_file,
    teacher,
    with_site,
)

from jiepin.web.access import Actor
from jiepin.web.site import Site
from jiepin.web.store import accounts, applications, audit, outbox, schools
from jiepin.web.store.applications import (
    Absent,
    BadWishes,
    ChangedElsewhere,
    Closed,
    NotYet,
)
from jiepin.web.store.database import (
    Database,
    DatabaseInUse,
    NewerDatabase,
    copy,
    migrations,
)


async def choose_counties(site: Site, actor: Actor, seen: int) -> int:
    saved, _ = await applications.change_counties(site, actor, seen, ("13", "14"))
    return saved.version


def open_once(path: Path) -> None:
    async def run() -> None:
        await (await Database.open(path)).close()

    asyncio.run(run())


def test_migrations_run_once_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "jiepin.db"
    open_once(path)
    open_once(path)
    with sqlite3.connect(path) as db:
        assert db.execute("pragma user_version").fetchone() == (len(migrations()),)
        assert db.execute("pragma journal_mode").fetchone() == ("wal",)
    db.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jiepin.db"
    open_once(path)
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 999")
    db.close()
    with pytest.raises(NewerDatabase, match="shape 999"):
        open_once(path)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        first = await Database.open(tmp_path / "jiepin.db")
        try:
            with pytest.raises(DatabaseInUse, match="one process alone may write"):
                await Database.open(tmp_path / "jiepin.db")
        finally:
            await first.close()

    asyncio.run(run())
    open_once(tmp_path / "jiepin.db")


def test_readers_cannot_write_but_see_what_was_committed(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        async with site.database.reading() as db:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await db.execute("delete from school")
            async with site.database.writing() as writer:
                await writer.execute("update round set organiser = 'new'")
                assert (await schools.the_round(db)).organiser != "new"
            assert (await schools.the_round(db)).organiser == "new"

    with_site(tmp_path, work)


def test_asvs_2_3_3_an_exception_undoes_the_whole_transaction(tmp_path: Path) -> None:
    async def fail(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("update round set organiser = 'new'")
            raise KeyError

    async def work(site: Site) -> None:
        with pytest.raises(KeyError):
            await fail(site)
        async with site.database.writing() as db:
            assert (await schools.the_round(db)).organiser != "new"

    with_site(tmp_path, work)


def test_writers_take_turns(tmp_path: Path) -> None:
    async def add_one(site: Site) -> None:
        async with site.database.writing() as db:
            [[n]] = await db.execute_fetchall("select max_choices from round")
            await asyncio.sleep(0)
            await db.execute("update round set max_choices = ?", (n + 1,))

    async def work(site: Site) -> int:
        await asyncio.gather(*(add_one(site) for _ in range(20)))
        async with site.database.reading() as db:
            return (await schools.the_round(db)).max_choices

    assert with_site(tmp_path, work) == 20


def test_a_cancelled_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    async def write(site: Site, started: asyncio.Event) -> None:
        async with site.database.writing() as db:
            await db.execute("update round set organiser = 'new'")
            started.set()
            await asyncio.sleep(3600)

    async def work(site: Site) -> None:
        started = asyncio.Event()
        task = asyncio.create_task(write(site, started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with site.database.writing() as db:
            assert (await schools.the_round(db)).organiser != "new"

    with_site(tmp_path, work)


def test_backup_has_what_is_still_in_the_log(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        await copy(site.database.path, tmp_path / "copy.db")

    with_site(tmp_path, work)
    with sqlite3.connect(tmp_path / "copy.db") as db:
        assert db.execute("select count(*) from school").fetchone() == (len(SCHOOLS),)
    db.close()


# saving


def test_a_list_is_kept_with_version_digest_audit_and_receipt(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        wishes = ("143601", "133601")
        saved = await applications.save_wishes(site, actor, seen, wishes)
        assert saved.wishes == wishes
        assert saved.version == seen + 1
        async with site.database.reading() as db:
            newest = (await applications.versions(db, saved.id))[-1]
            entries = await audit.of_object(db, saved.id)
            assert (await audit.chain(db)).broken is None
        assert (newest.version, newest.digest) == (saved.version, saved.digest)
        assert newest.content["wishes"] == list(wishes)
        assert entries[-1].detail == {"version": saved.version, "digest": saved.digest}
        [mail] = [m for m in await outbox.claim(site) if m.event == "wishes-saved"]
        assert outbox.opened(site.vault, mail)["wishes"] == [
            [1, "豐里國小", "◆", "臺東縣"],
            [2, "青山國小", "▲", "屏東縣"],
        ]

    with_site(tmp_path, work)


def test_changed_elsewhere_overwrites_nothing(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        await applications.save_wishes(site, actor, seen, ("133601",))
        with pytest.raises(ChangedElsewhere):
            await applications.save_wishes(site, actor, seen, ("133602",))
        async with site.database.reading() as db:
            found = await applications.of_account(db, actor.account)
        assert found is not None
        assert found.wishes == ("133601",)

    with_site(tmp_path, work)


def test_the_deadline_counts_inside_the_transaction(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        site.clock.set(CLOSES - timedelta(milliseconds=100))  # type: ignore[attr-defined]
        saved = await applications.save_wishes(site, actor, seen, ("133601",))
        site.clock.set(CLOSES)  # type: ignore[attr-defined]
        with pytest.raises(Closed):
            await applications.save_wishes(site, actor, saved.version, ("133602",))

    with_site(tmp_path, work)


def test_a_save_that_the_deadline_overtakes_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        keep = applications._keep_version

        async def slow(*arguments: object) -> object:
            site.clock.set(CLOSES)  # type: ignore[attr-defined]
            return await keep(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(applications, "_keep_version", slow)
        with pytest.raises(Closed):
            await applications.save_wishes(site, actor, seen, ("133601",))
        async with site.database.reading() as db:
            found = await applications.of_account(db, actor.account)
        assert found is not None
        assert (found.version, found.wishes) == (seen, ())

    with_site(tmp_path, work)


def test_an_approved_application_is_closed(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        async with site.database.writing() as db:
            await db.execute("update application set state = 'approved'")
        with pytest.raises(Closed):
            await choose_counties(site, actor, application.version)

    with_site(tmp_path, work)


def test_a_step_cannot_be_jumped_over(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        async with site.database.writing() as db:
            await db.execute("update application set step = 4")
        with pytest.raises(NotYet):
            await choose_counties(site, actor, application.version)
        with pytest.raises(Absent):
            await choose_counties(site, Actor("teacher", "nobody"), 1)

    with_site(tmp_path, work)


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (("123602",), "不屬於您的志願縣市"),
        (("133501",), "不屬於您的志願縣市或階段別"),
        (("133601", "133601"), "同一所學校只能填一次"),
        (("nowhere",), "不存在的學校"),
    ],
)
def test_bad_wishes(tmp_path: Path, wishes: tuple[str, ...], said: str) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        with pytest.raises(BadWishes) as caught:
            await applications.save_wishes(site, actor, seen, wishes)
        assert said in caught.value.problems.at("wishes")

    with_site(tmp_path, work)


def test_changing_counties_tells_what_was_dropped(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        wishes = ("143601", "133601", "143602")
        filed = await save_and_file(site, actor, seen, wishes)
        assert (filed.state, filed.step) == ("filed", 6)
        saved, dropped = await applications.change_counties(
            site, actor, filed.version, ("13",)
        )
        assert dropped == ("143601", "143602")
        assert (saved.wishes, saved.state) == (("133601",), "filed")
        saved, dropped = await applications.change_counties(
            site, actor, saved.version, ("14",)
        )
        assert (saved.wishes, saved.state, saved.step) == ((), "filling", 5)

    with_site(tmp_path, work)


def test_filing_is_a_save_of_its_own(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        with pytest.raises(BadWishes) as caught:
            await applications.file(site, actor, seen)
        assert caught.value.problems.at("wishes") == "請至少選擇一所志願學校"
        saved = await applications.save_wishes(site, actor, seen, ("133601",))
        assert (saved.state, saved.step, saved.filed) == ("filling", 5, None)
        with pytest.raises(ChangedElsewhere):
            await applications.file(site, actor, seen)
        filed = await applications.file(site, actor, saved.version)
        assert (filed.state, filed.step) == ("filed", 6)
        assert (filed.version, filed.filed) == (saved.version + 1, START)
        async with site.database.reading() as db:
            versions = await applications.versions(db, filed.id)
        assert [one.event for one in versions[-2:]] == ["wishes-saved", "filed"]
        assert versions[-1].digest == filed.digest

    with_site(tmp_path, work)


def test_nothing_is_filed_once_the_time_is_over(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        saved = await applications.save_wishes(site, actor, seen, ("133601",))
        site.clock.set(CLOSES)  # type: ignore[attr-defined]
        with pytest.raises(Closed):
            await applications.file(site, actor, saved.version)
        async with site.database.reading() as db:
            assert await applications.of_account(db, actor.account) == saved

    with_site(tmp_path, work)


def test_what_is_filed_stays_filed_until_its_list_is_empty(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        filed = await save_and_file(site, actor, seen, ("133601", "143601"))
        saved = await applications.save_wishes(site, actor, filed.version, ("143602",))
        assert (saved.state, saved.step, saved.filed) == ("filed", 6, filed.filed)
        saved = await applications.save_wishes(site, actor, saved.version, ())
        assert (saved.state, saved.step) == ("filling", 5)

    with_site(tmp_path, work)


def test_t514_a_list_is_checked_once_more_when_it_is_filed(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        saved = await applications.save_wishes(site, actor, seen, ("133601", "133602"))
        async with site.database.writing() as db:
            await db.execute("update school set open = 0 where code = '133601'")
        with pytest.raises(BadWishes) as caught:
            await applications.file(site, actor, saved.version)
        said = caught.value.problems.at("wishes")
        assert said == "青山國小 已由縣市自介聘學校名單移除，請刪除"

    with_site(tmp_path, work)


@pytest.mark.parametrize(
    "counties", [(), ("12",), ("13", "13"), ("13", "14", "15"), ("99",)]
)
def test_bad_counties(tmp_path: Path, counties: tuple[str, ...]) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        with pytest.raises(BadWishes):
            await applications.change_counties(
                site, actor, application.version, counties
            )

    with_site(tmp_path, work)


def test_t514_a_school_taken_off_the_list_cannot_be_saved(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        actor, application = await teacher(site)
        seen = await choose_counties(site, actor, application.version)
        async with site.database.writing() as db:
            await db.execute("update school set open = 0 where code = '133601'")
        async with site.database.reading() as db:
            pool = await schools.pool(db, "13", "elementary")
        assert {school.code for school in pool} == {"133602", "133603"}
        with pytest.raises(BadWishes):
            await applications.save_wishes(site, actor, seen, ("133601",))

    with_site(tmp_path, work)


# audit and outbox


def test_asvs_16_4_2_the_audit_refuses_changes_and_shows_them(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        await teacher(site)
        for change in ("update audit set action = 'x'", "delete from audit"):
            with pytest.raises(sqlite3.IntegrityError, match="never changed"):
                async with site.database.writing() as db:
                    await db.execute(change)
        async with site.database.writing() as db:
            await db.execute("drop trigger audit_not_changed")
            await db.execute("update audit set actor = 'x' where id = 3")
        async with site.database.reading() as db:
            broken = (await audit.chain(db)).broken
        assert broken is not None
        assert (broken.id, broken.actor) == (3, "x")

    with_site(tmp_path, work)


def test_versions_are_never_changed(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        await teacher(site)
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            async with site.database.writing() as db:
                await db.execute("update application_version set content = ''")

    with_site(tmp_path, work)


def test_n05_a_message_goes_out_once(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        _, application = await teacher(site)
        message = outbox.Message("mail", "passed", application.id, "12", 7, {"to": "x"})
        async with site.database.writing() as db:
            assert await outbox.add(db, site.vault, message, site.clock.now())
            assert not await outbox.add(db, site.vault, message, site.clock.now())
        [claimed] = await outbox.claim(site)
        assert await outbox.claim(site) == []
        retry = site.clock.now() + timedelta(minutes=1)
        await outbox.failed(site, claimed.id, "no server", retry)
        assert await outbox.claim(site) == []
        site.clock.move(minutes=1)  # type: ignore[attr-defined]
        [again] = await outbox.claim(site)
        assert again.tries == 1
        await outbox.done(site, again.id)
        async with site.database.reading() as db:
            [delivery] = await outbox.log(db, application.id)
            [[payload]] = await db.execute_fetchall("select payload from outbox")
        assert (delivery.state, payload) == ("done", None)

    with_site(tmp_path, work)


def test_no_plain_identity_lies_in_the_files(tmp_path: Path) -> None:
    async def work(site: Site) -> None:
        for person in (LIN, CHEN):
            await teacher(site, person)

    with_site(tmp_path, work)
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        for secret in (LIN.national_id, CHEN.national_id, "1985-03-09"):
            assert secret.encode() not in content


def test_finding_a_session_reads_no_table_through(tmp_path: Path) -> None:
    async def work(site: Site) -> list[str]:
        async with site.database.reading() as db:
            plan = await db.execute_fetchall(
                f"explain query plan {accounts.SIGNED_IN}", {"token": b""}
            )
        return [row["detail"] for row in plan]

    for step in with_site(tmp_path, work):
        assert not step.startswith(("SCAN", "MATERIALIZE")) or "subquery" in step
