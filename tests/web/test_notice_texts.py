"""What is written: complete in both languages, the receipt holds the whole list."""

from __future__ import annotations

import re
from typing import Any

import pytest
from outbox_sites import START

from jiepin.web.clock import to_ms
from jiepin.web.notify.texts import EVENTS, KINDS, Letter, NoText, Sender, letter, line
from jiepin.web.store.notices import KIND_OF, LINE_KINDS, MAIL_KINDS

SENDER = Sender("https://tas.example", "Organiser")
LANGUAGES = ("zh-Hant", "en")
COMMON = {"name": "Lin", "level": "elementary", "year": 115, "to": "lin@example.org"}
LIST = {
    "version": 7,
    "saved": START.isoformat(),
    "digest": "0123456789abcdef" * 4,
    "filed": False,
    "wishes": [
        [place, f"School{place}", "△", f"County{place % 2}"] for place in range(1, 151)
    ],
}
FACTS: dict[str, dict[str, Any]] = {
    "mail-code": {"code": "493817", "until": to_ms(START)},
    "reset": {"link": "https://tas.example/r/x", "hint": "dog", "until": to_ms(START)},
    "device-code": {"code": "493817", "until": to_ms(START)},
    "password-changed": {},
    "email-changed": {},
    "wishes-saved": LIST,
    "filed": LIST,
    "passed": {"number": "00042"},
    "returned": {"reason": "page two is missing"},
    "rejected": {"reason": "too late"},
    "reopened": {},
    "result": {},
    "dropped-out": {"kind": "no-show"},
    "void": {},
    "restored": {},
    "schools": {"schools": ["School1", "School2"]},
}
CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")


def written(event: str, language: str = "zh-Hant", **more: object) -> Letter:
    return letter(event, COMMON | {"language": language} | FACTS[event] | more, SENDER)


def test_every_event_is_tried_here() -> None:
    assert FACTS.keys() == EVENTS.keys()


@pytest.mark.parametrize("event", EVENTS)
def test_every_letter_in_both_languages(event: str) -> None:
    chinese, english = (written(event, language) for language in LANGUAGES)
    assert CHINESE.search(chinese.subject)
    assert not CHINESE.search(english.subject.replace("△", ""))
    assert not CHINESE.search(english.body.replace("△", ""))
    for one in (chinese, english):
        assert "%(" not in one.subject + one.body
        assert "Lin" not in one.subject  # subjects are seen on locked screens
        assert SENDER.origin in one.body
        assert "\n\n\n" not in one.body


@pytest.mark.parametrize("event", EVENTS)
def test_every_fact_is_told(event: str) -> None:
    body = written(event).body
    for name in ("code", "link", "hint", "number", "reason"):
        if name in FACTS[event]:
            assert FACTS[event][name] in body


@pytest.mark.parametrize("event", ["wishes-saved", "filed"])
def test_receipt_holds_the_whole_list(event: str) -> None:
    body = written(event).body
    lines = [f"{n:03d}. School{n}△ (County{n % 2})" for n in range(1, 151)]
    assert "\n".join([*lines, "(以下空白)"]) in body
    assert "版本：第 7 版" in body
    assert "儲存時間：115年4月20日 09:00:00" in body
    assert "志願總數：150" in body
    assert f"校驗碼：{LIST['digest']}" in body


def test_receipt_says_whether_the_application_is_complete() -> None:
    assert "尚未完成申請" in written("wishes-saved").body
    assert "尚未完成申請" not in written("wishes-saved", filed=True).body


def test_n04_hint_only_where_there_is_one() -> None:
    """L21, L22: link and hint stand in the reset mail."""
    assert "密碼提示：dog" in written("reset").body
    assert "密碼提示" not in written("reset", hint="").body


def test_result_mail_does_not_tell_the_result() -> None:
    assert "公文" in written("result").body


def test_n02_line_tells_of_three_kinds_of_events() -> None:
    told = set()
    for event in EVENTS:
        for language in LANGUAGES:
            try:
                text = line(event, language)
            except NoText:
                continue
            told.add(KIND_OF.get(event, event))
            assert bool(CHINESE.search(text)) == (language == "zh-Hant")
    assert told == {"reset", "review", "result"} == set(LINE_KINDS)


def test_every_kind_has_a_label() -> None:
    assert {*MAIL_KINDS, *LINE_KINDS} == set(KINDS)


@pytest.mark.parametrize(
    ("event", "says"),
    [("passed", "fact 'number' is missing"), ("x", "no text is known")],
)
def test_no_text(event: str, says: str) -> None:
    with pytest.raises(NoText, match=says):
        letter(event, {"language": "en"}, SENDER)
