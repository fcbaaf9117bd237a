"""The letters that go out after the result: their wording, which is Chinese alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.documents import letters
from jiepin.web.documents.letters import Letter
from jiepin.web.site import Site
from jiepin.web.staff.dropped import Names
from jiepin.web.store import schools
from jiepin.web.store.corrections import Person

_LAW = "公立國民小學及國民中學教師介聘辦法"
_DOUBTS = "如有疑義，請於收受本函後儘速洽現職縣市介聘承辦人。"
_DROPPED_OUT = {
    "gave-up": "臺端放棄已達成之介聘，業經登記在案。",
    "no-show": "臺端未依通知期限至介聘學校報到，業經登記在案。",
    "refused": f"介聘學校依{_LAW}第10條規定拒絕聘任，業經登記在案。",
}


def corrected(person: Person, names: Names, year: int, old: str, new: str) -> Letter:
    """Write to somebody whose result a correction changes (§14)."""
    return _letter(
        person,
        names,
        f"更正臺端{year}年教師介聘他縣市服務結果，請查照。",
        f"依{_LAW}第14條辦理。",
        f"原公告結果：{old}。",
        f"更正後結果：{new}。",
        "原因係作業資料有誤寫、誤算或其他類此之顯然錯誤，經更正後重行辦理。",
    )


def dropped_out(person: Person, names: Names, year: int, kind: str) -> Letter:
    """Write to somebody who does not go where he was placed (§11 I)."""
    barred = ("依同辦法第11條第1項，臺端十年內不得再申請介聘。",)
    return _letter(
        person,
        names,
        f"臺端{year}年教師介聘他縣市服務之介聘失其效力，請查照。",
        f"依{_LAW}第10條及第11條辦理。",
        _DROPPED_OUT[kind],
        *(barred if kind != "refused" else ()),
    )


def void(person: Person, names: Names, year: int) -> Letter:
    """Write to somebody whose move fell with that of another (§11 II)."""
    return _letter(
        person,
        names,
        f"臺端{year}年教師介聘他縣市服務之介聘失其效力，請查照。",
        f"依{_LAW}第11條第2項辦理。",
        "因他校教師未報到、放棄介聘或經拒絕聘任，致影響臺端之介聘，"
        "且其原學校未增開缺額，該介聘失其效力。",
        "臺端仍留原學校服務，原學校不得拒絕。",
    )


def _letter(person: Person, names: Names, subject: str, *points: str) -> Letter:
    return Letter(
        number=person.number,
        name=person.name,
        level=person.level,
        school=f"{names.counties[person.county]} {person.school}",
        subject=subject,
        points=(*points, _DOUBTS),
    )


async def file(request: Request, written: Sequence[Letter], name: str) -> Response:
    """Answer with letters as one PDF."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        settings = await schools.the_round(db)
    sender = letters.Sender(
        settings.organiser, site.settings.practice, site.clock.now()
    )
    content = await asyncio.to_thread(letters.pdf, written, sender)
    headers = {"content-disposition": f'attachment; filename="{name}.pdf"'}
    return Response(content, media_type="application/pdf", headers=headers)
