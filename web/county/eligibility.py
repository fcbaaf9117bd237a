"""May this teacher apply? The checks of the regulation, each with its article.

公立國民小學及國民中學教師介聘辦法; kindergartens by its §15. A check is put so that
yes speaks for the teacher: whatever is answered no stands in the way of an approval,
and nobody can set it aside. §5 alone knows exceptions to one of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jiepin.web.language import _, mark, said
from jiepin.web.problems import Problem

YES, NO, NOT_APPLICABLE = "yes", "no", "not-applicable"
ANSWER_NAMES: Final = {YES: mark("是"), NO: mark("否"), NOT_APPLICABLE: mark("不適用")}
SIX_SEMESTERS, EXCEPTION = "six-semesters", "exception"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the reviewer found about one check, and a note to it."""

    answer: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its article, the question, and whether it may not apply to somebody.

    `needed`: its no stands in the way; it does not where it is one way of several.
    """

    item: str
    article: str
    question: str
    optional: bool = False
    needed: bool = True


CHECKS: Final = (
    Check(
        "committee",
        mark("第 4 條第 2 項"),
        mark("申請經學校教師評審委員會審查決議通過，並由學校提出"),
    ),
    Check(
        SIX_SEMESTERS,
        mark("第 5 條第 1 項"),
        mark("在現職學校實際服務滿六學期以上；其他法令另有規定者，已符合其規定"),
        needed=False,
    ),
    Check(
        "leave",
        mark("第 5 條第 2 項"),
        mark("已扣除留職停薪期間；育嬰或應徵服兵役者，合併採計至多二學期"),
        optional=True,
    ),
    Check(
        "merged-school",
        mark("第 5 條第 3 項"),
        mark("因非自願超額調校或裁併校，原校年資已併計並有證明"),
        optional=True,
    ),
    Check(
        EXCEPTION,
        mark("第 5 條第 4 項"),
        mark(
            "未滿六學期，但於服務期間因重大傷病有醫療需要，"
            "或滿四學期且因結婚或生活不便有具體事實"
        ),
        optional=True,
        needed=False,
    ),
    Check(
        "not-dismissed",
        mark("第 6 條第 1 項第 1 款"),
        mark("無教師法第 16 條不續聘之情形"),
    ),
    Check(
        "no-article-30",
        mark("第 6 條第 1 項第 2 款"),
        mark("無教師法第 30 條各款情形"),
    ),
    Check(
        "bound-service",
        mark("第 6 條第 1 項第 3 款"),
        mark("公費生義務服務期間已屆滿（非公費生選不適用）"),
        optional=True,
    ),
    Check(
        "subjects",
        mark("第 8 條第 1 項"),
        mark("申請之科(類)別均為已登記或檢定者"),
    ),
    Check(
        "indigenous",
        mark("第 8 條第 2 項第 1 款"),
        mark("申請原民調者，具原住民族身分之證明文件"),
        optional=True,
    ),
    Check(
        "service-years",
        mark("第 9 條第 2 項"),
        mark("所填服務年資與服務證明相符"),
    ),
    Check(
        "no-bar",
        mark("第 11 條第 1 項"),
        mark("十年內無達成介聘後未報到或放棄介聘之情形"),
    ),
    Check(
        "area",
        mark("第 13 條"),
        mark("所填教師證任教地區限制與教師證相符"),
    ),
)
BY_ITEM: Final = {check.item: check for check in CHECKS}


def obstacles(
    answers: Mapping[str, Answer], *, indigenous: bool, barred: bool
) -> tuple[Problem, ...]:
    """Return what the checks say against an approval.

    `indigenous`: who applies for that stage has to prove it. `barred`: the site itself
    knows of a place that was not taken up (§11).
    """
    found = [
        Problem(f"check-{check.item}", text)
        for check in CHECKS
        if (text := _obstacle(check, answers, indigenous, barred))
    ]
    return tuple(found)


def _obstacle(
    check: Check, answers: Mapping[str, Answer], indigenous: bool, barred: bool
) -> str:
    given = answers[check.item].answer if check.item in answers else ""
    article = said(check.article)
    if check.item == "no-bar" and barred:
        return _("系統查有未報到或放棄介聘之紀錄（%(article)s）", article=article)
    if not given:
        return _("尚未審查（%(article)s）", article=article)
    if check.item == "indigenous" and indigenous and given != YES:
        return _("申請原民調者須具證明文件（%(article)s）", article=article)
    if check.item == SIX_SEMESTERS and given == NO:
        excepted = answers.get(EXCEPTION, Answer(NO)).answer == YES
        return (
            ""
            if excepted
            else _("未滿六學期，亦無例外情形（%(article)s）", article=article)
        )
    if given == NO and check.needed:
        return _("不符規定，應退回或駁回（%(article)s）", article=article)
    return ""
