"""The lists of counties and of subjects: what is used is renamed, never deleted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import aiosqlite

from jiepin.web.access import Actor
from jiepin.web.language import _
from jiepin.web.problems import Problem
from jiepin.web.site import Site
from jiepin.web.store.applications import ChangedElsewhere, Refused
from jiepin.web.store.rounds import Save, saving

COUNTIES = "counties"  # the name of that list; the others are named by their level


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list: its code, and its names in both languages."""

    code: str
    name: str
    name_en: str


_READ = {
    "county": "select code, name, name_en from county order by code",
    "subject": """select code, name, name_en from subject where level = :level
        order by place, code""",
}
_USED = {
    "county": """select code from county
        where exists (select 1 from school where county = code)
        or exists (select 1 from roster where county = code)
        or exists (select 1 from account where county = code)
        or exists (select 1 from staff where county = code)
        or exists (select 1 from round_county where county = code)
        or exists (select 1 from correction where county = code)
        or exists (select 1 from application where code in (county1, county2))""",
    "subject": """select code from subject where level = :level and (
        exists (select 1 from school_subject where subject = code)
        or exists (select 1 from vacancy where subject = code)
        or exists (select 1 from application
            where code in (subject1, subject2, subject3))
        or exists (select 1 from run_move where subject = code)
        or exists (select 1 from result where subject = code))""",
}
_DELETE = {
    "county": "delete from county where code = :code",
    "subject": "delete from subject where code = :code",
}
_WRITE = {
    "county": """insert into county (code, name, name_en)
        values (:code, :name, :name_en)
        on conflict (code) do update set name = :name, name_en = :name_en""",
    "subject": """insert into subject (code, name, name_en, level, place)
        values (:code, :name, :name_en, :level, :place) on conflict (code)
        do update set name = :name, name_en = :name_en, place = :place""",
}


async def read(db: aiosqlite.Connection, name: str) -> tuple[Item, ...]:
    """Return a list in its order: the counties, or the subjects of a level."""
    rows = await db.execute_fetchall(_READ[_table(name)], {"level": name})
    return tuple(Item(**row) for row in rows)


async def used(db: aiosqlite.Connection, name: str) -> frozenset[str]:
    """Return the codes of a list that something refers to."""
    rows = await db.execute_fetchall(_USED[_table(name)], {"level": name})
    return frozenset(row[0] for row in rows)


def _table(name: str) -> str:
    return "county" if name == COUNTIES else "subject"


def stamp(items: Sequence[Item]) -> int:
    """Return a number that stands for what is in a list, as a version would.

    >>> one = Item("12", "高雄市", "Kaohsiung City")
    >>> stamp([one]) == stamp([Item("12", "高雄市", "Kaohsiung")])
    False
    """
    text = json.dumps([(item.code, item.name, item.name_en) for item in items])
    return int(hashlib.sha256(text.encode("utf-8")).hexdigest(), 16) % 10**9


async def save(
    site: Site, actor: Actor, name: str, seen: int, items: Sequence[Item]
) -> None:
    """Replace a list, in this order; `seen` is the stamp of the one that was shown.

    Raises Refused where a code that is used would go, or one is there twice.
    """
    async with saving(site, actor) as work:
        before = await read(work.db, name)
        if stamp(before) != seen:
            raise ChangedElsewhere(seen, stamp(before))
        kept = {item.code for item in items}
        gone = {item.code for item in before} - kept
        if needed := sorted(gone & await used(work.db, name)):
            codes = _("、").join(needed)
            raise Refused(
                Problem("list", _("使用中，不能刪除：%(codes)s", codes=codes))
            )
        await _refuse_taken(work, name, items)
        await _write(work, name, gone, items)
        await work.note("list-changed", list=name, items=len(items), gone=len(gone))


async def _refuse_taken(work: Save, name: str, items: Sequence[Item]) -> None:
    """Refuse a code that is there twice, or names a subject of another level."""
    codes = [item.code for item in items]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if name != COUNTIES:
        rows = await work.db.execute_fetchall(
            "select code from subject where level != :level "
            "and code in (select value from json_each(:codes)) order by code",
            {"level": name, "codes": json.dumps(codes)},
        )
        twice += [row[0] for row in rows]
    if twice:
        text = _("代碼重複：%(codes)s", codes=_("、").join(twice))
        raise Refused(Problem("list", text))


async def _write(work: Save, name: str, gone: set[str], items: Sequence[Item]) -> None:
    table = _table(name)
    for code in sorted(gone):
        await work.db.execute(_DELETE[table], {"code": code})
    await work.db.executemany(
        _WRITE[table],
        [
            {
                "code": item.code,
                "name": item.name,
                "name_en": item.name_en,
                "level": name,
                "place": place,
            }
            for place, item in enumerate(items, 1)
        ],
    )
    # what is ready-made from the names is made anew
    await work.db.execute("update round set schools_revision = schools_revision + 1")
