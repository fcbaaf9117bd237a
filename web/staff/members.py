"""The accounts of an end: the list, a new one, one with what may be done to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jiepin.web.clock import moment_text
from jiepin.web.language import ENGLISH, _, current, mark, said
from jiepin.web.problems import Problems
from jiepin.web.rendering import LEVEL_NAMES, render
from jiepin.web.site import Site
from jiepin.web.staff import accounts, forms
from jiepin.web.staff.accounts import REASONS, Handover, NewAccount
from jiepin.web.staff.desk import Colleague, at_desk, see
from jiepin.web.staff.forms import Choices
from jiepin.web.staff.menu import END_OF, ROLE_NAMES
from jiepin.web.store import schools
from jiepin.web.store import staff as store
from jiepin.web.store.applications import Refused
from jiepin.web.store.schools import LEVELS, County
from jiepin.web.store.staff import COMMAND_LINE, Member
from jiepin.web.teacher.forms import seen_version, typed

STATES = {
    "active": mark("可登入"),
    "waiting": mark("待首次登入"),
    "expired": mark("登記碼已逾期"),
    "disabled": mark("已停用"),
    "elsewhere": mark("已停用，健保卡改用於其他縣市的帳號"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One account in the list; no url where one may not look after it."""

    url: str
    name: str
    county: str
    role: str
    levels: str
    masked: str
    state: str
    state_text: str
    last_sign_in: str


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    rows: Sequence[Row]
    with_county: bool


@dataclass(frozen=True, slots=True)
class MembersPage:
    """`without`: the counties taking part for which nobody can act yet; the host's."""

    end: str
    groups: Sequence[Group]
    without: str


@dataclass(frozen=True, slots=True)
class Option:
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of an account as typed, and what may be chosen in them."""

    name: str
    email: str
    role: str
    levels: Sequence[str]
    roles: Sequence[Option]
    all_levels: Sequence[Option]


@dataclass(frozen=True, slots=True)
class NewMemberPage:
    end: str
    action: str
    title: str
    county: str
    counties: Sequence[Option]
    national_id: str
    fields: Fields
    problems: Problems


@dataclass(frozen=True, slots=True)
class MemberPage:
    """One account; `fields` is None for the own one, which others look after."""

    end: str
    url: str
    row: Row
    made: str
    until: str
    fields: Fields | None
    renew_for: Sequence[Option]
    access_for: Sequence[Option]
    disabled: bool
    problems: Problems
    wrong_form: str
    saved: bool
    seen: int


@dataclass(frozen=True, slots=True)
class HandoverPage:
    """The code, shown once: to whom, where it is typed, until when."""

    end: str
    name: str
    address: str
    code: str
    until: str


# the list


@at_desk("staff")
async def members(request: Request) -> Response:
    """Show the accounts that a head looks after."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    end, county = colleague.end, colleague.member.county
    async with site.database.reading() as db:
        own = await store.of_end(db, colleague.member.kind, county)
        heads = await store.heads(db) if end == "host" else ()
        counties = await schools.counties(db)
        year = request.state.round.year if request.state.round else 0
        taking_part = await schools.taking_part(db, year)
    groups = [_group(request, _("本端人員"), own, counties, with_county=False)]
    if end == "host":
        title = _("各縣市主管")
        groups.append(_group(request, title, heads, counties, with_county=True))
    without = _without_head(heads, taking_part) if end == "host" else ""
    page = MembersPage(end, groups, without)
    return await render(request, "staff/members.html", page)


def _without_head(heads: Sequence[Member], counties: Mapping[str, County]) -> str:
    led = {head.county for head in heads if head.disabled is None}
    missing = [county for code, county in counties.items() if code not in led]
    return _("、").join(_county(county) for county in missing)


def _group(
    request: Request,
    title: str,
    members: Sequence[Member],
    counties: Mapping[str, County],
    *,
    with_county: bool,
) -> Group:
    rows = [_row(request, member, counties) for member in members]
    return Group(title, rows, with_county)


def _row(request: Request, member: Member, counties: Mapping[str, County]) -> Row:
    colleague: Colleague = request.state.colleague
    now = request.app.state.site.clock.now()
    own = member.id == colleague.actor.account
    seen = own or accounts.may_change(colleague.actor, member, now)
    state = _state(member, now)
    return Row(
        url=f"/{colleague.end}/staff/{member.id}" if seen else "",
        name=member.name,
        county=_county(counties[member.county]) if member.county else "",
        role=said(ROLE_NAMES[member.role]),
        levels=_("、").join(said(LEVEL_NAMES[level]) for level in member.levels),
        masked=member.masked,
        state=state,
        state_text=said(STATES[state]),
        last_sign_in=_moment(member.last_sign_in),
    )


def _state(member: Member, now: datetime) -> str:
    if member.disabled is not None:
        return "disabled" if member.masked else "elsewhere"
    if member.enrolled:
        return "active"
    waits = member.enrol_expires is not None and now < member.enrol_expires
    return "waiting" if waits else "expired"


def _county(county: County) -> str:
    return county.name_en if current() == ENGLISH else county.name


def _moment(moment: datetime | None) -> str:
    return moment_text(moment, current()) if moment else ""


# a new account


@at_desk("staff")
async def new(request: Request) -> Response:
    """Show the form of a new account of one's own end, or make it."""
    colleague: Colleague = request.state.colleague
    county = colleague.member.county or ""
    choices = Choices(forms.ROLES, _levels_of(colleague), (county,))
    return await _new(request, choices, _("新增人員帳號"))


@at_desk("staff")
async def new_head(request: Request) -> Response:
    """Show the form of a new head of a county, or make it; at the host's end."""
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        counties = await schools.counties(db)
    choices = Choices(("head",), LEVELS, tuple(counties))
    return await _new(request, choices, _("新增縣市主管帳號"))


def _levels_of(colleague: Colleague) -> Sequence[str]:
    """Return the levels that a head may give; none at the host's end: all."""
    return colleague.actor.levels if colleague.end == "city" else ()


async def _new(request: Request, choices: Choices, title: str) -> Response:
    if request.method != "POST":
        return await _show_new(request, FormData(), choices, title, Problems())
    colleague: Colleague = request.state.colleague
    fields = await request.form()
    read = forms.read_new_member(fields, choices)
    if isinstance(read, Problems):
        return await _show_new(request, fields, choices, title, read)
    account = NewAccount(
        kind="county" if read.county else "host",
        county=read.county or None,
        levels=read.changes.levels,
        role=read.changes.role,
        name=read.changes.name,
        email=read.changes.email,
        national_id=read.national_id,
    )
    try:
        made = await accounts.add(request.app.state.site, colleague.actor, account)
    except Refused as refused:
        return await _show_new(request, fields, choices, title, refused.problems)
    return await _hand_over(request, made, account.name, account.kind)


async def _hand_over(
    request: Request, handover: Handover, name: str, kind: str
) -> Response:
    """Show the code in the answer itself: it is written down nowhere else."""
    site: Site = request.app.state.site
    page = HandoverPage(
        end=request.state.colleague.end,
        name=name,
        address=f"{site.settings.origin}/{END_OF[kind]}/enrol",
        code=handover.code,
        until=_moment(handover.until),
    )
    return await render(request, "staff/handover.html", page)


async def _show_new(
    request: Request,
    fields: FormData,
    choices: Choices,
    title: str,
    problems: Problems,
) -> Response:
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        counties = await schools.counties(db)
    levels = [str(level) for level in fields.getlist("levels")]
    several = choices.counties if len(choices.counties) > 1 else ()
    page = NewMemberPage(
        end=request.state.colleague.end,
        action=request.url.path,
        title=title,
        county=forms.text(fields, "county"),
        counties=[Option(code, _county(counties[code])) for code in several],
        national_id=forms.text(fields, "national_id"),
        fields=_fields(
            choices,
            forms.text(fields, "name"),
            forms.text(fields, "email"),
            forms.text(fields, "role"),
            levels if fields else choices.levels,
        ),
        problems=problems,
    )
    status = 422 if problems else 200
    return await render(request, "staff/new_member.html", page, status)


def _fields(
    choices: Choices, name: str, email: str, role: str, levels: Sequence[str]
) -> Fields:
    several = choices.roles if len(choices.roles) > 1 else ()
    return Fields(
        name=name,
        email=email,
        role=role,
        levels=levels,
        roles=[Option(code, said(ROLE_NAMES[code])) for code in several],
        all_levels=[Option(code, said(LEVEL_NAMES[code])) for code in choices.levels],
    )


# one account


@at_desk("staff")
async def member(request: Request) -> Response:
    """Show an account, or save what was changed of it."""
    found = await _found(request)
    if request.method != "POST":
        return await _show(request, found)
    colleague: Colleague = request.state.colleague
    fields = await request.form()
    read = forms.read_member(fields, _choices(colleague, found))
    if isinstance(read, Problems):
        return await _show(request, found, read, "change", fields)
    seen = seen_version(typed(fields))
    site: Site = request.app.state.site
    await accounts.change(site, colleague.actor, found.id, seen, read)
    return _back(request, found)


@at_desk("staff")
async def code(request: Request) -> Response:
    """Hand over a new code: password, second factor and sessions end."""
    found = await _found(request)
    fields = await request.form()
    reason = forms.read_reason(fields, REASONS["renew"])
    if isinstance(reason, Problems):
        return await _show(request, found, reason, "renew")
    actor, seen = request.state.colleague.actor, seen_version(typed(fields))
    site: Site = request.app.state.site
    handover = await accounts.renew(site, actor, found.id, seen, reason)
    return await _hand_over(request, handover, found.name, found.kind)


@at_desk("staff")
async def access(request: Request) -> Response:
    """Take access away, or give it back."""
    found = await _found(request)
    fields = await request.form()
    disable = found.disabled is None
    reason = forms.read_reason(fields, REASONS["disable" if disable else "enable"])
    if isinstance(reason, Problems):
        return await _show(request, found, reason, "access")
    actor, seen = request.state.colleague.actor, seen_version(typed(fields))
    site: Site = request.app.state.site
    await accounts.set_access(
        site, actor, found.id, seen, disable=disable, reason=reason
    )
    return _back(request, found)


def _back(request: Request, found: Member) -> Response:
    return see(f"/{request.state.colleague.end}/staff/{found.id}?saved=1")


async def _found(request: Request) -> Member:
    """Return the account of an address if one may see it: others' and one's own."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        found = await store.by_id(db, request.path_params["member"])
    if found is None:
        raise HTTPException(404)
    own = found.id == colleague.actor.account and request.method != "POST"
    if not (own or accounts.may_change(colleague.actor, found, site.clock.now())):
        raise HTTPException(404)
    return found


def _choices(colleague: Colleague, found: Member) -> Choices:
    if colleague.end == "host" and found.kind == "county":
        return Choices(("head",), LEVELS, ())
    return Choices(forms.ROLES, _levels_of(colleague), ())


async def _show(
    request: Request,
    found: Member,
    problems: Problems | None = None,
    wrong_form: str = "",
    fields: FormData | None = None,
) -> Response:
    """Show an account; what was typed stays in the form that has to be mended."""
    colleague: Colleague = request.state.colleague
    site: Site = request.app.state.site
    async with site.database.reading() as db:
        counties = await schools.counties(db)
        maker = await store.by_id(db, found.created_by)
    disabled = found.disabled is not None
    own = found.id == colleague.actor.account
    page = MemberPage(
        end=colleague.end,
        url=f"/{colleague.end}/staff/{found.id}",
        row=_row(request, found, counties),
        made=_made(found, maker),
        until="" if found.enrolled else _moment(found.enrol_expires),
        fields=None if own else _typed_or_stored(colleague, found, fields),
        renew_for=_options("renew"),
        access_for=_options("enable" if disabled else "disable"),
        disabled=disabled,
        problems=problems or Problems(),
        wrong_form=wrong_form,
        saved="saved" in request.query_params,
        seen=found.version,
    )
    return await render(request, "staff/member.html", page, 422 if problems else 200)


def _made(found: Member, maker: Member | None) -> str:
    by = _("命令列") if found.created_by == COMMAND_LINE else ""
    return f"{_moment(found.created)} {maker.name if maker else by}".strip()


def _typed_or_stored(
    colleague: Colleague, found: Member, fields: FormData | None
) -> Fields:
    choices = _choices(colleague, found)
    if fields is None:
        return _fields(choices, found.name, found.email, found.role, found.levels)
    return _fields(
        choices,
        forms.text(fields, "name"),
        forms.text(fields, "email"),
        forms.text(fields, "role"),
        [str(level) for level in fields.getlist("levels")],
    )


def _options(kind: str) -> Sequence[Option]:
    return [Option(code, said(text)) for code, text in REASONS[kind].items()]
