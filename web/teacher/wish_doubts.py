"""What is said of wishes that cannot succeed: doubts of the checker, flags of T514."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import aiosqlite

from jiepin.web.language import _
from jiepin.web.store import schools
from jiepin.web.store.applications import Application
from jiepin.web.store.schools import Area, County, School, Seats
from jiepin.web.teacher import check, pool, wish_list
from jiepin.web.teacher.wish_list import WishList


@dataclass(frozen=True, slots=True)
class Known:
    """What the lists of one applicant refer to, read once per page."""

    counties: Mapping[str, County]
    schools: Mapping[str, School]
    taught: Mapping[str, frozenset[str]]
    seats: Mapping[str, Mapping[str, Seats]]
    area: Area | None

    def where(self, school: School) -> str:
        """Return county and township, as in 屏東縣三地門鄉."""
        county = pool.county_name(self.counties[school.county])
        return pool.where(county, school.township)


async def known(
    db: aiosqlite.Connection, application: Application, *lists: Iterable[str]
) -> Known:
    """Read what these lists of school codes refer to."""
    codes = sorted({code for list_ in lists for code in list_})
    return Known(
        counties=await schools.counties(db),
        schools=await schools.by_codes(db, codes),
        taught=await schools.taught(db, codes),
        seats=await schools.seats_of(db, codes),
        area=(await schools.areas(db)).get(application.area or ""),
    )


def doubts(
    application: Application, wishes: WishList, known: Known
) -> dict[str, list[str]]:
    """Return, by school, why a wish cannot succeed; those of the list at ""."""
    told: dict[str, list[str]] = {}
    is_open = {code: school.open for code, school in known.schools.items()}
    for code, flag in wish_list.stale(wishes, is_open).items():
        told.setdefault(code, []).append(_flag_text(flag))
    for code in wishes:
        if is_open.get(code) and _only_exchange(application, known, code):
            told.setdefault(code, []).append(
                _("縣市沒有提列您申請的科(類)別缺額，此志願只能以互調達成")
            )
    own = check.Own(
        subjects=application.subjects,
        area_tags=frozenset(known.area.tags if known.area else ()),
        service_years=application.service_years,
        indigenous=bool(application.indigenous),
        home_school=application.school or "",
    )
    places = {
        code: check.Place(frozenset(school.tags), known.taught.get(code, frozenset()))
        for code, school in known.schools.items()
    }
    for doubt in check.check(own, wishes, places):
        told.setdefault(doubt.school, []).append(_doubt_text(doubt.reason))
    return told


def _only_exchange(application: Application, known: Known, code: str) -> bool:
    """Tell whether its county has said that nobody comes to a school one-way."""
    if "swap-only" in known.schools[code].tags:
        return True
    told = known.seats.get(code, {})
    seats = [told[subject].seats for subject in application.subjects if subject in told]
    return bool(seats) and not any(seats)


def _flag_text(flag: str) -> str:
    if flag == wish_list.GONE:
        return _("學校名單中已沒有這所學校，請刪除")
    return _("所屬縣市已自介聘學校名單移除這所學校，請刪除")


def _doubt_text(reason: str) -> str:
    match reason:
        case check.NOT_TAUGHT:
            return _("這所學校沒有您申請的科(類)別，此志願不可能達成")
        case check.OUTSIDE_AREA:
            return _("您的教師證不能在這所學校任教，此志願不可能達成")
        case check.HOME_SCHOOL:
            return _("這是您的現任服務學校，請刪除")
        case check.SHORT_SERVICE:
            return _(
                "您填寫的服務年資未滿三年。依介聘辦法第 5 條，在現職學校實際服務滿六學"
                "期才能申請，重大傷病、結婚、生活不便等情形另有規定；請先向服務學校確認"
            )
        case check.NO_INDIGENOUS_SCHOOL:
            return _("您申請原民調，但清單中沒有原民校，原民調階段沒有志願可用")
    raise AssertionError(reason)


async def doubts_of(
    db: aiosqlite.Connection, application: Application, wishes: WishList
) -> dict[str, list[str]]:
    """Return, by school, why a wish cannot succeed; those of the list at ""."""
    return doubts(application, wishes, await known(db, application, wishes))
