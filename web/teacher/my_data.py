"""Everything held about a teacher, as one table for JSON. Pure: rows in, table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jiepin.web.store import applications
from jiepin.web.store.applications import Application, Result, Version
from jiepin.web.store.audit import Entry
from jiepin.web.store.drafts import Draft
from jiepin.web.store.held import Held, Reviewed
from jiepin.web.store.notices import Choice
from jiepin.web.store.outbox import Delivery


@dataclass(frozen=True, slots=True)
class Rows:
    """What the stores gave about one teacher.

    `points` are None before they are announced, `result` before it is published:
    nobody learns of them here either.
    """

    national_id: str
    birth_date: str
    application: Application
    held: Held
    points: Mapping[str, int] | None
    result: Result | None
    draft: Draft | None
    versions: Sequence[Version]
    history: Sequence[Entry]
    deliveries: Sequence[Delivery]
    line_linked: datetime | None
    unwanted: frozenset[Choice]


def my_data(rows: Rows, at: datetime) -> dict[str, Any]:
    """Return everything held about a teacher; times are ISO 8601 in UTC.

    Passwords and hints are kept so that nobody can read them here; the table says
    whether there are any.
    """
    application = rows.application
    return {
        "made": at.isoformat(),
        "person": {
            "national_id": rows.national_id,
            "birth_date": rows.birth_date,
            "sex": application.sex,
            "card_name": application.card_name,
            "card_name_certain": application.card_name_certain,
        },
        "account": _account(application, rows.held),
        "application": applications.content(application) | _progress(application),
        "points_announced": _moment(application.notice_opens),
        "points_in_hundredths": None if rows.points is None else dict(rows.points),
        "review": _reviewed(rows.held.reviewed, rows.points is not None),
        "result": _result(rows.result),
        "unsaved_draft": _draft(rows.draft),
        "versions": [_version(version) for version in rows.versions],
        "history": [_entry(entry) for entry in rows.history],
        "notices": _notices(rows),
    }


def _account(application: Application, held: Held) -> dict[str, Any]:
    return {
        "id": application.account,
        "created": held.created.isoformat(),
        "last_sign_in": _moment(held.last_sign_in),
        "password_set": held.password,
        "hint_set": held.hint,
        "email_to_prove": held.email_to_prove,
        "roster": {"county": held.roster_county, "school": held.roster_school},
        "sessions": [
            {"begun": one.created.isoformat(), "last_used": one.seen.isoformat()}
            for one in held.sessions
        ],
        "computers": [
            {
                "key": one.key.hex(),
                "first_seen": one.first_seen.isoformat(),
                "confirmed": _moment(one.confirmed),
            }
            for one in held.computers
        ],
    }


def _progress(application: Application) -> dict[str, Any]:
    return {
        "step": application.step,
        "saved": application.saved.isoformat(),
        "digest": application.digest,
        "agreed_to_notices": _moment(application.notices_at),
        "email_confirmed": _moment(application.email_confirmed),
        "wishes_saved": _moment(application.wishes_saved),
        "filed": _moment(application.filed),
        "number": application.number,
        "reason": application.reason,
    }


def _reviewed(reviewed: Reviewed, announced: bool) -> dict[str, Any]:
    return {
        "checks": [
            {"item": item, "answer": answer, "note": note}
            for item, answer, note in reviewed.checks
        ],
        "notes_on_points": dict(reviewed.notes) if announced else None,
        "note": reviewed.note,
        "decisions": [
            {"what": event, "reason": reason} for event, reason in reviewed.decisions
        ],
        "numbers_in_frozen_rounds": list(reviewed.numbers),
        "place_not_taken_up": list(reviewed.dropped_out),
        "opened_for_correction": list(reviewed.corrections),
        "barred_until": _moment(reviewed.barred_until),
    }


def _result(result: Result | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {name: getattr(result, name) for name in Result.__slots__}


def _draft(draft: Draft | None) -> dict[str, Any] | None:
    if draft is None:
        return None
    return {"changed": draft.changed.isoformat(), "schools": list(draft.schools)}


def _version(version: Version) -> dict[str, Any]:
    return {
        "version": version.version,
        "saved": version.saved.isoformat(),
        "event": version.event,
        "digest": version.digest,
        "content": version.content,
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "at": entry.at.isoformat(),
        "who": entry.actor,
        "what": entry.action,
        "detail": entry.detail,
    }


def _notices(rows: Rows) -> dict[str, Any]:
    return {
        "line_linked": _moment(rows.line_linked),
        "turned_off": [
            {"channel": channel, "kind": kind}
            for channel, kind in sorted(rows.unwanted)
        ],
        "sent": [
            {
                "created": one.created.isoformat(),
                "finished": _moment(one.finished),
                "event": one.event,
                "channel": one.channel,
                "state": one.state,
                "error": one.error,
            }
            for one in rows.deliveries
        ],
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
