"""What both ends show of those who dropped out (§11), and how it is worked out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiosqlite
from starlette.requests import Request

from jiepin.web import after_run
from jiepin.web.clock import moment_text
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.rendering import LEVEL_NAMES
from jiepin.web.site import Site
from jiepin.web.store import dropouts as store
from jiepin.web.store import schools
from jiepin.web.store.applications import Absent
from jiepin.web.store.dropouts import Dropout, Ending, Person
from jiepin.web.store.results import Publication

STATES = {
    "waiting": mark("等候現職縣市答覆"),
    "answered": mark("現職縣市已答覆"),
    "applied": mark("已套用"),
    "final": mark("已確定"),
    "undone": mark("已撤銷"),
}


@dataclass(frozen=True, slots=True)
class Fall:
    """A move that depends on the one who dropped out."""

    number: str
    level: str
    home: str
    there: str
    subject: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names of counties and subjects, in the language spoken."""

    counties: Mapping[str, str]
    subjects: Mapping[str, str]

    @classmethod
    async def read(cls, db: aiosqlite.Connection) -> Names:
        english = current() == ENGLISH
        counties = await schools.counties(db)
        subjects: dict[str, schools.Subject] = {}
        for level in schools.LEVELS:
            subjects |= await schools.subjects(db, level)
        return cls(
            *(
                {
                    code: one.name_en if english else one.name
                    for code, one in table.items()
                }
                for table in (counties, subjects)
            )
        )

    def fall(self, person: Person) -> Fall:
        """Say from where, and to where somebody was to go."""
        return Fall(
            person.number,
            said(LEVEL_NAMES[person.level]),
            f"{self.counties[person.county]} {person.school}",
            f"{self.counties[person.to_county]} {person.to_school}",
            self.subjects[person.subject],
        )


@dataclass(frozen=True, slots=True)
class Case:
    """One who dropped out, those who did before him, and the runs that it is about."""

    dropout: Dropout
    others: Sequence[Dropout]
    due: Sequence[Publication]

    async def falling(self, site: Site) -> tuple[str, ...]:
        """Return whose moves fall in the run that is public, if no seat is opened."""
        if not self.due or self.dropout.undone:
            return ()
        return await after_run.falling(site, self.due[0], self.dropout, self.others)

    async def people(
        self, db: aiosqlite.Connection, numbers: Sequence[str]
    ) -> dict[str, Person]:
        """Return who that is."""
        return await store.people(db, self.due[0].run, numbers) if self.due else {}

    async def endings(self, site: Site, with_him: bool) -> tuple[Ending, ...]:
        """Return how the runs end with or without him dropped out."""
        dropped = [*self.others, self.dropout] if with_him else self.others
        return await after_run.endings(site, self.due, dropped)


async def read_case(db: aiosqlite.Connection, dropout: Dropout, site: Site) -> Case:
    """Return what one dropout is to be judged by."""
    due = await store.targets(db, dropout.year, site.clock.now())
    others = [
        one
        for one in await store.of_year(db, dropout.year)
        if one.counts and one.id != dropout.id
    ]
    return Case(dropout, others, due)


def id_of(request: Request) -> int:
    """Return the number in the address; raises Absent for anything else."""
    text = request.path_params["id"]
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise Absent
    return int(text)


def answer_text(one: Dropout) -> str:
    """Say what the county has answered, or until when it may."""
    if one.decided is None:
        at = moment_text(one.decide_by, current())
        return _("尚未答覆（至 %(at)s 止）", at=at)
    return _("決定增開一個缺額") if one.opened else _("決定不增開缺額")
