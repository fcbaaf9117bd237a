"""Snapshots: a round as it was frozen, a folder that nobody changes, signed.

What is announced at the freeze: the SHA-256 of the manifest, which names the SHA-256 of
every file, and the commitment to the seed of the lottery, the SHA-256 of the text
`jiepin seed 1 SEED NONCE`. Seed and nonce are sealed here until the result is public;
then anybody can see that the seed was not chosen for the sake of the result. The
signature (Ed25519, the site's key) is over the text `jiepin snapshot 1 DIGEST`.

A year has one seed: whatever is frozen again or corrected keeps it, so that nobody can
draw another one after having seen a result, and a correction changes what was corrected
and nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import aiosqlite

from jiepin.web import access
from jiepin.web.access import Actor
from jiepin.web.clock import from_ms, maybe_from_ms, to_ms
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store import audit, round_folder, rounds, schools
from jiepin.web.store.applications import Absent, Closed, Refused
from jiepin.web.store.obstacles import count, in_the_way
from jiepin.web.store.obstacles import problems as engine_problems
from jiepin.web.store.round_folder import RULES, Drawn
from jiepin.web.store.schools import RoundSettings
from jiepin.web.vault import Vault

Kind = Literal["freeze", "correction"]

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "signature.txt"
_FORMAT: Final = "jiepin snapshot 1"
_SEED_FORMAT: Final = "jiepin seed 1"
_SEEDS: Final = 2**63
_NONCE_BYTES: Final = 32
_COLUMN: Final = "snapshot.seed"


@dataclass(frozen=True, slots=True)
class Seed:
    """The seed of the lottery, with what keeps its commitment from being guessed.

    >>> Seed(7, "ab").commitment[:16]
    '8972ad3047f045da'
    """

    seed: int
    nonce: str

    @classmethod
    def fresh(cls) -> Seed:
        """Draw a seed that nobody can foresee."""
        return cls(secrets.randbelow(_SEEDS), secrets.token_hex(_NONCE_BYTES))

    @property
    def commitment(self) -> str:
        """What is announced before the run, and binds to this seed."""
        text = f"{_SEED_FORMAT} {self.seed} {self.nonce}"
        return hashlib.sha256(text.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One frozen round; `folder` is below the data folder.

    `digest` is the SHA-256 of the manifest, `left_out` how many applications were
    filed and not reviewed.
    """

    id: int
    year: int
    kind: Kind
    made: datetime
    made_by: str
    reason: str
    rules: str
    folder: str
    manifest: str
    digest: str
    signature: bytes
    commitment: str
    teachers: int
    left_out: int
    withdrawn: datetime | None
    withdrawn_reason: str


# what is there

_SNAPSHOT: Final = """select snapshot.id, snapshot.year, snapshot.kind, snapshot.made,
    staff.name as made_by, snapshot.reason, snapshot.rules, snapshot.folder,
    snapshot.manifest, snapshot.digest, snapshot.signature, snapshot.commitment,
    snapshot.teachers, snapshot.left_out, snapshot.withdrawn, snapshot.withdrawn_reason
    from snapshot join staff on staff.id = snapshot.made_by """


async def by_id(db: aiosqlite.Connection, id_: int) -> Snapshot | None:
    """Return a snapshot."""
    rows = await db.execute_fetchall(_SNAPSHOT + "where snapshot.id = :id", {"id": id_})
    return next((_snapshot(row) for row in rows), None)


async def of_year(db: aiosqlite.Connection, year: int) -> list[Snapshot]:
    """Return the snapshots of a year, those taken back as well, newest first."""
    rows = await db.execute_fetchall(
        _SNAPSHOT + "where snapshot.year = :year order by snapshot.id desc",
        {"year": year},
    )
    return [_snapshot(row) for row in rows]


async def in_force(db: aiosqlite.Connection, year: int) -> Snapshot | None:
    """Return the newest snapshot of a year that was not taken back."""
    found = await of_year(db, year)
    return next((one for one in found if one.withdrawn is None), None)


async def announced(db: aiosqlite.Connection) -> list[Snapshot]:
    """Return what is public from the freeze on, newest first, whatever became of it."""
    rows = await db.execute_fetchall(_SNAPSHOT + "order by snapshot.id desc")
    return [_snapshot(row) for row in rows]


async def application_of(
    db: aiosqlite.Connection, snapshot: int, number: str
) -> str | None:
    """Return the application behind a teacher number of a snapshot."""
    rows = await db.execute_fetchall(
        "select application from snapshot_teacher "
        "where snapshot = :snapshot and number = :number",
        {"snapshot": snapshot, "number": number},
    )
    return next((str(application) for (application,) in rows), None)


async def revealed(
    db: aiosqlite.Connection, vault: Vault, snapshot: Snapshot, now: datetime
) -> Seed | None:
    """Return the seed once a result that it decided is public, None before."""
    rows = await db.execute_fetchall(
        """select 1 from publication join run on run.id = publication.run
        join snapshot on snapshot.id = run.snapshot
        where snapshot.commitment = :commitment
        and publication.retracted is null and publication.publish_at <= :now""",
        {"commitment": snapshot.commitment, "now": to_ms(now)},
    )
    return await seed(db, vault, snapshot.id) if rows else None


async def seed(db: aiosqlite.Connection, vault: Vault, id_: int) -> Seed:
    """Return the seed of a snapshot, which is secret: for the run, not for pages."""
    [[sealed]] = await db.execute_fetchall(
        "select seed from snapshot where id = :id", {"id": id_}
    )
    number, nonce = vault.open(sealed, _COLUMN, str(id_)).split()
    return Seed(int(number), nonce)


async def audit_head(db: aiosqlite.Connection) -> dict[str, int | str]:
    """Return how far the audit is: its digest here proves every entry before it."""
    rows = await db.execute_fetchall(
        "select id, digest from audit order by id desc limit 1"
    )
    return next(
        ({"entries": id_, "digest": bytes(digest).hex()} for id_, digest in rows),
        {"entries": 0, "digest": ""},
    )


def audit_file(snapshot: Snapshot) -> str:
    """Return where the audit as it was at the freeze lies, below the data folder."""
    return f"{snapshot.folder}-audit.jsonl"


def signed_text(digest: str) -> bytes:
    """Return what the site signs for a manifest of this digest."""
    return f"{_FORMAT} {digest}".encode("ascii")


def _snapshot(row: aiosqlite.Row) -> Snapshot:
    fields = dict(row)
    made, withdrawn = from_ms(fields.pop("made")), fields.pop("withdrawn")
    return Snapshot(**fields, made=made, withdrawn=maybe_from_ms(withdrawn))


# freeze


@dataclass(frozen=True, slots=True)
class _Plan:
    """A snapshot before it is written."""

    id: int
    settings: RoundSettings
    kind: Kind
    now: datetime
    reason: str
    left_out: int
    seed: Seed
    rules: str
    drawn: Drawn
    audit: Mapping[str, int | str]

    @property
    def folder(self) -> str:
        return f"rounds/{self.settings.year}/snapshot-{self.id}"

    @property
    def tables(self) -> dict[str, bytes]:
        return {**self.drawn.tables, RULES: self.rules.encode("utf-8")}

    @property
    def files(self) -> dict[str, str]:
        """The digests of the files."""
        return {
            name: hashlib.sha256(content).hexdigest()
            for name, content in self.tables.items()
        }

    @property
    def manifest(self) -> str:
        return audit.canonical(
            {
                "format": _FORMAT,
                "snapshot": self.id,
                "year": self.settings.year,
                "kind": self.kind,
                "made": self.now.isoformat(timespec="seconds"),
                "files": self.files,
                "teachers": len(self.drawn.applications),
                "left_out": self.left_out,
                "seed_commitment": self.seed.commitment,
                "audit": self.audit,
            }
        )


async def freeze(
    site: Site, actor: Actor, kind: Kind, reason: str, left_out: int = 0
) -> Snapshot:
    """Freeze the round: from now on nobody edits, and the snapshot is for good.

    `left_out` says how many applications without review are known to stay out. Raises
    Refused with all that stands in the way, or that the engine does not accept. The
    folder is on disk before the row is, and gone if the row cannot be written.
    """
    await asyncio.to_thread(_load_engine)
    written: list[Path] = []
    try:
        async with site.database.writing() as db:
            plan = await _plan(db, site, actor, kind, reason.strip(), left_out)
            written.append(site.settings.data / plan.folder)
            manifest = await _write(site, plan)
            await _insert(db, site, actor, plan, manifest)
            snapshot = await by_id(db, plan.id)
    except BaseException:
        for folder in written:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    assert snapshot is not None  # it was just written
    with suppress(OSError):  # frozen it is all the same, and it is tried again
        await _keep_audit(site, snapshot)
    return snapshot


def _load_engine() -> None:
    """Load the engine before the transaction, which others wait for."""
    import jiepin.core  # noqa: F401


async def _plan(
    db: aiosqlite.Connection,
    site: Site,
    actor: Actor,
    kind: Kind,
    reason: str,
    left_out: int,
) -> _Plan:
    now = site.clock.now()
    settings = await _round_for(db, actor, now)
    refuse = _refuse_correction if kind == "correction" else _refuse_freeze
    await refuse(db, settings, actor, reason, left_out, now)
    left_out = await count(db, settings, "filed", "returned")
    [[last]] = await db.execute_fetchall("select coalesce(max(id), 0) from snapshot")
    plan = _Plan(
        id=last + 1,
        settings=settings,
        kind=kind,
        now=now,
        reason=reason,
        left_out=left_out,
        seed=await _seed_for(db, site.vault, settings.year),
        rules=rounds.rules_text(settings),
        drawn=await round_folder.draw(db, site.vault, settings),
        audit=await audit_head(db),
    )
    if kind == "correction":
        await _refuse_the_same(db, plan)
    return plan


async def _refuse_the_same(db: aiosqlite.Connection, plan: _Plan) -> None:
    """Raise Refused for a correction that corrects nothing."""
    before = await in_force(db, plan.settings.year)
    if before and json.loads(before.manifest)["files"] == plan.files:
        text = _("資料與快照 %(n)s 完全相同，沒有更正", n=str(before.id))
        raise Refused(Problem("freeze", text))


async def _round_for(
    db: aiosqlite.Connection, actor: Actor, now: datetime
) -> RoundSettings:
    settings = await schools.round(db)
    if settings is None or not access.can(actor, "freeze", _matter(settings), now):
        raise Absent
    return settings


def _matter(settings: RoundSettings) -> access.Round:
    return access.Round(settings.year, settings.frozen)


async def _refuse_freeze(
    db: aiosqlite.Connection,
    settings: RoundSettings,
    actor: Actor,
    reason: str,
    left_out: int,
    now: datetime,
) -> None:
    found = await in_the_way(db, settings.year, now)
    problems = [Problem("freeze", one.text) for one in found if not one.unreviewed]
    unreviewed = sum(one.unreviewed for one in found)
    if unreviewed != left_out:
        text = _("未審核的申請現有 %(n)s 件，請再確認是否不列入", n=str(unreviewed))
        problems.append(Problem("left_out", text))
    elif left_out and not access.can(actor, "leave-out", _matter(settings), now):
        problems.append(Problem("left_out", _("只有主管可以決定不列入未審核的申請")))
    if left_out and not reason:
        problems.append(Problem("reason", _("請填寫不列入的原因")))
    if problems:
        raise Refused(*problems)


async def _refuse_correction(
    db: aiosqlite.Connection,
    settings: RoundSettings,
    _actor: Actor,
    reason: str,
    _left_out: int,
    _now: datetime,
) -> None:
    problems = []
    if await in_force(db, settings.year) is None:
        problems.append(Problem("freeze", _("本年度資料尚未凍結，沒有可更正的快照")))
    for text in await _correcting(db, settings.year):
        problems.append(Problem("freeze", text))
    if n := await _undecided_again(db, settings.year):
        text = _("有 %(n)s 件原已審核通過的申請，更正後尚未審核，請重新開放", n=str(n))
        problems.append(Problem("freeze", text))
    if not reason:
        problems.append(Problem("reason", _("請填寫更正的原因")))
    if problems:
        raise Refused(*problems)


async def _correcting(db: aiosqlite.Connection, year: int) -> list[str]:
    """Say how much is open for correction, nothing where nothing is."""
    [[people, counties]] = await db.execute_fetchall(
        """select (select count(*) from application
            where year = :year and correcting is not null),
        (select count(*) from correction
            where year = :year and application is null and closed is null)""",
        {"year": year},
    )
    told = []
    if people:
        told.append(_("尚有 %(n)s 件申請正在更正，請先完成", n=str(people)))
    if counties:
        text = _("尚有 %(n)s 個縣市正在更正學校與缺額，請先關閉", n=str(counties))
        told.append(text)
    return told


async def _undecided_again(db: aiosqlite.Connection, year: int) -> int:
    """Count who was frozen in and whose approval was taken back without another
    decision: nobody is to fall out of the round unseen."""
    [[n]] = await db.execute_fetchall(
        """select count(*) from application where year = :year
        and state in ('filed', 'returned') and id in (select application
            from snapshot_teacher join snapshot on snapshot.id = snapshot
            where withdrawn is null)""",
        {"year": year},
    )
    return int(n)


async def _seed_for(db: aiosqlite.Connection, vault: Vault, year: int) -> Seed:
    before = await of_year(db, year)
    return await seed(db, vault, before[0].id) if before else Seed.fresh()


async def _write(site: Site, plan: _Plan) -> str:
    """Write the folder and let the engine read it; returns the manifest."""
    manifest = plan.manifest
    digest = hashlib.sha256(manifest.encode("utf-8")).hexdigest()
    signature = _sign(site, digest)
    files = plan.tables | {
        MANIFEST: manifest.encode("utf-8"),
        SIGNATURE: base64.b64encode(signature) + b"\n",
    }
    folder = site.settings.data / plan.folder
    await asyncio.to_thread(round_folder.write, folder, files)
    numbers = tuple(plan.drawn.applications)
    problems = await asyncio.to_thread(engine_problems, folder, numbers)
    if problems:
        raise Refused(*(Problem("freeze", text) for text in problems))
    return manifest


def _sign(site: Site, digest: str) -> bytes:
    return site.vault.site_keys.sign.sign(signed_text(digest))


async def _insert(
    db: aiosqlite.Connection, site: Site, actor: Actor, plan: _Plan, manifest: str
) -> None:
    digest = hashlib.sha256(manifest.encode("utf-8")).hexdigest()
    secret = f"{plan.seed.seed} {plan.seed.nonce}"
    keys = {
        "id": plan.id,
        "year": plan.settings.year,
        "kind": plan.kind,
        "now": to_ms(plan.now),
        "by": actor.account,
        "reason": plan.reason,
        "rules": plan.rules,
        "folder": plan.folder,
        "manifest": manifest,
        "digest": digest,
        "signature": _sign(site, digest),
        "seed": site.vault.seal(secret, _COLUMN, str(plan.id)),
        "commitment": plan.seed.commitment,
        "teachers": len(plan.drawn.applications),
        "left_out": plan.left_out,
    }
    await db.execute(
        """insert into snapshot (id, year, kind, made, made_by, reason, rules, folder,
        manifest, digest, signature, seed, commitment, teachers, left_out) values
        (:id, :year, :kind, :now, :by, :reason, :rules, :folder, :manifest, :digest,
        :signature, :seed, :commitment, :teachers, :left_out)""",
        keys,
    )
    await db.executemany(
        "insert into snapshot_teacher values (?, ?, ?)",
        [(plan.id, *pair) for pair in plan.drawn.applications.items()],
    )
    await db.execute(
        "update round set frozen = coalesce(frozen, :now) where year = :year", keys
    )
    told = {name: keys[name] for name in ("kind", "digest", "commitment", "teachers")}
    await _note(db, plan.now, actor, "frozen", plan.id, told)


async def _note(
    db: aiosqlite.Connection,
    now: datetime,
    actor: Actor,
    action: str,
    id_: int,
    detail: Mapping[str, object],
) -> None:
    await audit.add(db, now, actor.account, action, f"snapshot {id_}", "", detail)


async def keep_audits(site: Site) -> None:
    """Write the audit beside folders where a crash or a full disk was in between."""
    async with site.database.reading() as db:
        found = await announced(db)
    for snapshot in found:
        there = (site.settings.data / snapshot.folder).exists()
        if there and not _audit_file(site, snapshot).exists():
            await _keep_audit(site, snapshot)


async def _keep_audit(site: Site, snapshot: Snapshot) -> None:
    """Write the audit as it was at the freeze, its own entry included."""
    entries = json.loads(snapshot.manifest)["audit"]["entries"] + 1
    async with site.database.reading() as db:
        lines = [line async for line in audit.export_lines(db, 0, entries)]
    text, file = "".join(lines), _audit_file(site, snapshot)
    await asyncio.to_thread(round_folder.write_beside, file, text)


def _audit_file(site: Site, snapshot: Snapshot) -> Path:
    return site.settings.data / audit_file(snapshot)


# take back


async def withdraw(site: Site, actor: Actor, id_: int, reason: str) -> None:
    """Take a snapshot back, before its result is or will be published.

    Taking back the freeze lets everybody edit again as far as the times allow.
    """
    async with site.database.writing() as db:
        now = site.clock.now()
        settings = await _round_for(db, actor, now)
        found = await by_id(db, id_)
        if found is None or found.year != settings.year:
            raise Absent
        newest = await in_force(db, settings.year)
        if newest is None or newest.id != id_ or await _in_use(db, id_):
            raise Closed
        if not reason.strip():
            raise Refused(Problem("reason", _("請填寫撤回的原因")))
        if texts := await _correcting(db, settings.year):  # or open after the next one
            raise Refused(*(Problem("reason", text) for text in texts))
        await db.execute(
            "update snapshot set withdrawn = :now, withdrawn_reason = :reason "
            "where id = :id",
            {"now": to_ms(now), "reason": reason.strip(), "id": id_},
        )
        if found.kind == "freeze":
            await db.execute(
                "update round set frozen = null where year = :year",
                {"year": settings.year},
            )
        await _note(db, now, actor, "freeze-withdrawn", id_, {"kind": found.kind})


async def _in_use(db: aiosqlite.Connection, id_: int) -> bool:
    """Tell whether a run of the snapshot is under way, or published or to be."""
    rows = await db.execute_fetchall(
        """select 1 from run where snapshot = :id and (state in ('waiting', 'running')
        or exists (select 1 from publication
        where publication.run = run.id and retracted is null))""",
        {"id": id_},
    )
    return bool(rows)
