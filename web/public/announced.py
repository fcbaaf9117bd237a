"""What is made public at the freeze, and what shows afterwards that it was kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiosqlite
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.card import to_base64
from jiepin.web.clock import moment_text
from jiepin.web.language import current, mark, said
from jiepin.web.rendering import render
from jiepin.web.site import Site
from jiepin.web.store import results, round_folder, runs
from jiepin.web.store import snapshots as store
from jiepin.web.store.results import Publication
from jiepin.web.store.runs import Run
from jiepin.web.store.snapshots import Seed, Snapshot

KINDS: Final = {"freeze": mark("凍結"), "correction": mark("更正後凍結")}


@dataclass(frozen=True, slots=True)
class Decided:
    """A result that is or was public: what decided it, and how to decide it again."""

    at: str
    in_force: bool
    seed: int
    nonce: str
    digest: str
    version: str


@dataclass(frozen=True, slots=True)
class Announced:
    """A frozen round: what was made public when it was frozen, and the results.

    `left_out` counts applications without review; `reason` and `withdrawn_reason` are
    told to whoever writes them as public.
    """

    id: int
    year: int
    kind: str
    made: str
    teachers: int
    left_out: int
    reason: str
    digest: str
    commitment: str
    signature: str
    withdrawn: str
    withdrawn_reason: str
    results: Sequence[Decided]


@dataclass(frozen=True, slots=True)
class AnnouncedPage:
    """`key` is what signatures are checked with."""

    snapshots: Sequence[Announced]
    key: str
    published: str


async def announced(request: Request) -> Response:
    """Show the commitments, and what they were about once results are public."""
    site: Site = request.app.state.site
    now = site.clock.now()
    async with site.database.reading() as db:
        current_one = await results.newest(db, now)
        found = [
            await _announced(db, site, one, current_one, now)
            for one in await store.announced(db)
        ]
    key = site.vault.site_keys.sign.public_key()
    page = AnnouncedPage(
        found,
        to_base64(key.public_bytes_raw()),
        moment_text(current_one.publish_at, current()) if current_one else "",
    )
    return await render(request, "public/announced.html", page)


async def _announced(
    db: aiosqlite.Connection,
    site: Site,
    snapshot: Snapshot,
    in_force: Publication | None,
    now: datetime,
) -> Announced:
    seed = await store.revealed(db, site.vault, snapshot, now)
    public = await results.of_snapshot(db, snapshot.id, now)
    withdrawn = snapshot.withdrawn
    return Announced(
        id=snapshot.id,
        year=snapshot.year,
        kind=said(KINDS[snapshot.kind]),
        made=moment_text(snapshot.made, current(), seconds=True),
        teachers=snapshot.teachers,
        left_out=snapshot.left_out,
        reason=snapshot.reason,
        digest=snapshot.digest,
        commitment=snapshot.commitment,
        signature=to_base64(snapshot.signature),
        withdrawn=moment_text(withdrawn, current()) if withdrawn else "",
        withdrawn_reason=snapshot.withdrawn_reason,
        results=[
            _decided(one, run, seed, in_force == one)
            for one in public
            if seed and (run := await runs.run(db, one.run))
        ],
    )


def _decided(one: Publication, run: Run, seed: Seed, in_force: bool) -> Decided:
    at = moment_text(one.publish_at, current())
    return Decided(at, in_force, seed.seed, seed.nonce, run.digest, run.version)


async def manifest(request: Request) -> Response:
    """Give the manifest of a snapshot, public from the freeze on."""
    snapshot = await _snapshot(request)
    return Response(snapshot.manifest, media_type="application/json")


async def round_zip(request: Request) -> Response:
    """Give a frozen round to whoever wants to run it again, once it is public."""
    site: Site = request.app.state.site
    snapshot = await _snapshot(request)
    async with site.database.reading() as db:
        public = await results.of_snapshot(db, snapshot.id, site.clock.now())
    if not public:
        raise HTTPException(404)
    folder = site.settings.data / snapshot.folder
    content = await asyncio.to_thread(round_folder.zipped, folder)
    name = f"{snapshot.year}-{folder.name}.zip"
    disposition = f'attachment; filename="{name}"'
    return Response(
        content,
        media_type="application/zip",
        headers={"content-disposition": disposition},
    )


async def _snapshot(request: Request) -> Snapshot:
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await store.by_id(db, request.path_params["id"])
    if found is None:
        raise HTTPException(404)
    return found
