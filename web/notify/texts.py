"""What is written: each event as a letter, and as a line where LINE carries it too.

The facts come from the outbox: what was true when it happened. Every event has `to`,
`language`, `name`, `level` and `year`, and besides

    mail-code         code, until
    device-code       code, until
    reset             link, hint (may be empty), until
    password-changed  nothing
    email-changed     nothing; goes to the address before
    wishes-saved      version, saved, digest, filed (or still to be),
                      wishes as [place, school, marks, county]
    filed             the same
    passed            number
    returned          reason
    rejected          reason
    reopened          nothing; a decision of the review was taken back
    result            nothing
    dropped-out       kind, of store.dropouts
    void              nothing; somebody dropped out on whom the move depended
    restored          nothing; what was void or dropped out holds again
    schools           schools, a list of them with what has changed

`until` is in milliseconds: what is not sent by then is not sent any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jiepin.web.clock import from_ms, moment_text
from jiepin.web.language import _, current, mark, said, speaking

Facts = Mapping[str, Any]


class NoText(Exception):
    """Nothing is written for an event, or not all facts for it are there."""

    def __init__(self, event: str, missing: str = "") -> None:
        found = f"the fact {missing!r} is missing" if missing else "no text is known"
        super().__init__(f"event {event!r}: {found}")


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail without its address."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Sender:
    """Who writes: the site's address and the organiser of the year."""

    origin: str
    organiser: str


def letter(event: str, facts: Facts, sender: Sender) -> Letter:
    """Write the mail about an event; raises NoText.

    >>> facts = {"language": "en", "name": "Lin", "number": "00012"}
    >>> print(letter("passed", facts, Sender("https://tas.example", "X")).subject)
    [Teacher transfer] Review passed
    """
    if event not in _LETTERS:
        raise NoText(event)
    with speaking(facts["language"]):
        try:
            subject, parts = _LETTERS[event](facts)
            return Letter(
                _("[教師介聘] %(subject)s", subject=subject),
                _body(facts.get("name", ""), parts, sender),
            )
        except KeyError as missing:
            raise NoText(event, missing.args[0]) from None


def line(event: str, language: str) -> str:
    """Write the line about an event: that it happened, never what; raises NoText.

    >>> line("result", "zh-Hant")
    '介聘結果已產生，請登入網站查看；正式結果以學校公文為準。'
    """
    if event not in _LINES:
        raise NoText(event)
    with speaking(language):
        return said(_LINES[event])


_LINES: Final = {  # N02
    "reset": mark("您的介聘帳號已寄出密碼重設信件；若非您本人要求，請登入網站查看。"),
    "passed": mark("您的介聘申請已審核通過，請登入網站查看。"),
    "returned": mark("您的介聘申請已退回補正，請於期限內登入網站修改。"),
    "rejected": mark("您的介聘申請已駁回，原因請登入網站查看。"),
    "reopened": mark("您的介聘申請已撤銷原審核決定，將重新審核，請登入網站查看。"),
    "result": mark("介聘結果已產生，請登入網站查看；正式結果以學校公文為準。"),
}

KINDS: Final = {  # what may be turned off, by the kinds of `store.notices`
    "receipt": mark("志願學校儲存回條"),
    "filed": mark("完成申請"),
    "review": mark("審核通過、退回補正或駁回"),
    "result": mark("產生介聘結果"),
    "schools": mark("志願學校之名單更正"),
    "reset": mark("重設密碼"),
}
EVENTS: Final = {  # how the delivery log calls them
    "mail-code": mark("電子郵件驗證碼"),
    "device-code": mark("新電腦登入驗證碼"),
    "reset": mark("密碼重設"),
    "password-changed": mark("密碼已變更"),
    "email-changed": mark("電子郵件已變更"),
    "wishes-saved": mark("志願學校儲存回條"),
    "filed": mark("完成申請"),
    "passed": mark("審核通過"),
    "returned": mark("退回補正"),
    "rejected": mark("審核駁回"),
    "reopened": mark("撤銷審核決定"),
    "result": mark("產生介聘結果"),
    "dropped-out": mark("登記放棄或未報到"),
    "void": mark("介聘失其效力"),
    "restored": mark("介聘恢復效力"),
    "schools": mark("志願學校之名單更正"),
}


# The letters: a subject and paragraphs, of which empty ones are left out


Written = tuple[str, tuple[str, ...]]


def _code(facts: Facts) -> Written:
    return _("電子郵件驗證碼"), (
        _("您的驗證碼是：%(code)s", code=facts["code"]),
        _("請於 %(until)s 前輸入，逾時請重新寄送。", until=_until(facts)),
        _("若您未曾填寫這個電子郵件，請不必理會本信。"),
    )


def _device_code(facts: Facts) -> Written:
    return _("新電腦登入驗證碼"), (
        _("有人以您的健保卡資料與密碼，從一部新的電腦登入系統。"),
        _("您的驗證碼是：%(code)s", code=facts["code"]),
        _("請於 %(until)s 前輸入，逾時請重新寄送。", until=_until(facts)),
        _("若非您本人，請勿將驗證碼告訴任何人，並立即以「忘記密碼」重設密碼。"),
    )


def _reset(facts: Facts) -> Written:
    hint = facts["hint"]
    return _("密碼重設"), (
        _("有人在系統上要求重設您的密碼。請開啟下列網址設定新密碼："),
        facts["link"],
        _(
            "此網址僅能使用一次，至 %(until)s 為止；使用時須插入您的健保卡。",
            until=_until(facts),
        ),
        _("您的密碼提示：%(hint)s", hint=hint) if hint else "",
        _("若非您本人要求，請不必理會本信，您的密碼不會變更。"),
    )


def _password_changed(_facts: Facts) -> Written:
    return _("密碼已變更"), (
        _("您的密碼已變更，先前的登入均已登出。"),
        _("若非您本人所為，請立即洽您現職縣市的介聘承辦人。"),
    )


def _email_changed(_facts: Facts) -> Written:
    return _("電子郵件已變更"), (
        _("您的帳號已改用另一個電子郵件，往後的信件不再寄到這裡。"),
        _("若非您本人所為，請立即洽您現職縣市的介聘承辦人。"),
    )


def _wishes_saved(facts: Facts) -> Written:
    version = facts["version"]
    return _("志願學校儲存回條（第 %(version)s 版）", version=version), (
        _("系統已收到您儲存的志願學校，內容如下。"),
        *_list(facts),
        ""
        if facts["filed"]
        else _(
            "您尚未完成申請；填報期限截止前，請登入網站按「儲存，完成申請」，"
            "並在確認資料後按「確認無誤，完成申請」。"
        ),
        _("每次儲存都會另寄回條，以最後一版為準。"),
    )


def _filed(facts: Facts) -> Written:
    version = facts["version"]
    return _("已完成申請（第 %(version)s 版）", version=version), (
        _("您已完成申請，目前等待縣市審核。您的志願學校如下。"),
        *_list(facts),
        _("請登入網站列印個人資料表，並依作業日程辦理審核。"),
        _("填報期限截止前仍可修改；修改後請重新列印，以最後一版為準。"),
    )


def _until(facts: Facts) -> str:
    return moment_text(from_ms(facts["until"]), current())


def _list(facts: Facts) -> tuple[str, ...]:
    wishes = facts["wishes"]
    at = datetime.fromisoformat(facts["saved"])
    head = (
        _("版本：第 %(version)s 版", version=facts["version"]),
        _("儲存時間：%(at)s", at=moment_text(at, current(), seconds=True)),
        _("志願總數：%(n)s", n=len(wishes)),
    )
    lines = [
        f"{place:03d}. {school}{marks} ({county})"
        for place, school, marks, county in wishes
    ]
    return (
        "\n".join(head),
        "\n".join([*lines, _("(以下空白)")]),
        _("校驗碼：%(digest)s", digest=facts["digest"]),
    )


def _passed(facts: Facts) -> Written:
    return _("審核通過"), (
        _("您的申請已審核通過，電腦編號為 %(number)s。", number=facts["number"]),
        _("各項積分請登入網站查看。審核通過後即不得更改。"),
    )


def _returned(facts: Facts) -> Written:
    return _("退回補正"), (
        _("您的申請經縣市審核後退回補正，原因如下："),
        facts["reason"],
        _("請於期限內登入網站修改，並再次完成申請。"),
    )


def _rejected(facts: Facts) -> Written:
    return _("審核駁回"), (
        _("您的申請經縣市審核後駁回，原因如下："),
        facts["reason"],
        _("如有疑義，請洽您現職縣市的介聘承辦人。"),
    )


def _reopened(_facts: Facts) -> Written:
    return _("重新審核"), (
        _("縣市已撤銷對您申請案的原審核決定，將重新審核；結果會另行通知。"),
        _("如有疑義，請洽您現職縣市的介聘承辦人。"),
    )


def _result(_facts: Facts) -> Written:
    return _("介聘結果已產生"), (
        _("本年度介聘結果已產生，請登入網站查看您的結果。"),
        _("本信僅為通知；正式結果以學校公文為準。"),
    )


_DROPPED_OUT: Final = {
    "gave-up": mark("主辦單位已登記您放棄介聘，您的介聘失其效力。"),
    "no-show": mark("主辦單位已登記您未依限報到，您的介聘失其效力。"),
    "refused": mark("主辦單位已登記介聘學校依規定拒絕聘任，您的介聘失其效力。"),
}


def _dropped_out(facts: Facts) -> Written:
    barred = facts["kind"] != "refused"
    return _("介聘結果異動"), (
        said(_DROPPED_OUT[facts["kind"]]),
        _("依介聘辦法第 11 條，十年內不得再申請介聘。") if barred else "",
        _("如有疑義，請立即洽您現職縣市的介聘承辦人。"),
    )


def _void(_facts: Facts) -> Written:
    return _("介聘結果異動"), (
        _(
            "因他校教師放棄、未報到或經拒絕聘任，依介聘辦法第 11 條，"
            "您的介聘失其效力，仍留原學校服務，原學校不得拒絕。"
        ),
        _("請登入網站查看；正式結果以學校公文為準。"),
    )


def _restored(_facts: Facts) -> Written:
    return _("介聘結果異動"), (
        _("先前通知失其效力的介聘已恢復效力，請依原公告結果辦理。"),
        _("請登入網站查看；正式結果以學校公文為準。"),
    )


def _schools(facts: Facts) -> Written:
    return _("志願學校名單更正"), (
        _("縣市更正了介聘學校名單，您的志願中下列學校有變更："),
        "\n".join(facts["schools"]),
        _("請於填報期限內登入網站檢視志願資料，並視需要修改後重新儲存。"),
    )


_LETTERS: Final[Mapping[str, Callable[[Facts], Written]]] = {
    "mail-code": _code,
    "device-code": _device_code,
    "reset": _reset,
    "password-changed": _password_changed,
    "email-changed": _email_changed,
    "wishes-saved": _wishes_saved,
    "filed": _filed,
    "passed": _passed,
    "returned": _returned,
    "rejected": _rejected,
    "reopened": _reopened,
    "result": _result,
    "dropped-out": _dropped_out,
    "void": _void,
    "restored": _restored,
    "schools": _schools,
}


def _body(name: str, parts: tuple[str, ...], sender: Sender) -> str:
    greeting = _("%(name)s 老師您好：", name=name) if name else _("您好：")
    closing = (
        "-- ",
        _("公立國民中小學暨幼兒園教師介聘他縣市服務系統"),
        _("主辦單位：%(organiser)s", organiser=sender.organiser),
        sender.origin,
        _("本信由系統自動寄出，請勿回覆。"),
    )
    paragraphs = [part for part in (greeting, *parts, "\n".join(closing)) if part]
    return "\n\n".join(paragraphs) + "\n"
