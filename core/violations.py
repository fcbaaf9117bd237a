"""The ways in which a result can break the rules, each with its own sentence.

Violation
├── FileViolation      InputChanged InputMissing InputExtra   (digest mismatch)
│                      SummaryDisagrees
├── RowViolation       RowMissing UnknownTeacherRow RowTwice RowsOutOfOrder
│                      LimitExceeded
├── MoveViolation      MovedTwice UnknownStage NotAtHome NotAWish WrongSubject
│                      WrongChoice NotInGroup SchoolNotTagged SwapOnlySchool
├── OneWayViolation    SeatOverFilled BlockingPair NotDeferredAcceptance
├── ExchangeViolation  UnknownExchangeStage WrongNumber WrongSize MembersDisagree
│                      ChainBroken SameHome SeatCountMismatch OutOfOrder
│                      WrongInitiator NotFirstExchange ExchangePassedOver
│                      ExchangeLeftUndone
└── PromiseViolation   of other mechanisms than the rules of the year:
                       UnknownMechanism SeatsExceeded SwapOnlySeatFree
                       OpenSeatEnvied JustifiedEnvy TradeLeft ChainLeft
                       HomePointsMissing SeatWentDown BlockingExchangeLeft
                       NotByTheMechanism NotAnExchange ExchangeNotListed
                       ExchangeTooLarge NoSuchOneWayMove MoreThanTheBound
                       BoundNotReached KeptLess BetterPlan
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from jiepin.core import terms
from jiepin.core.plain import Place

_BLANK = "—"  # what a cell holds that is empty


@dataclass(frozen=True, slots=True)
class Violation:
    """One departure from the rules: its fields say where, its text says what.

    >>> print(RowMissing("T3"))
    RowMissing: 結果沒有教師 T3。 The result has no row for teacher T3.
    """

    zh: ClassVar[str]
    en: ClassVar[str]

    def text(self, lang: str) -> str:
        """Return the sentence, in Chinese ("zh") or English ("en")."""
        template = self.zh if lang == "zh" else self.en
        return template.format(
            **{
                entry.name: _shown(entry.name, getattr(self, entry.name), lang)
                for entry in fields(self)
            }
        )

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.text('zh')} {self.text('en')}"


def _shown(name: str, value: object, lang: str) -> str:
    if value is None or value == "":
        return _BLANK
    if isinstance(value, Place):
        return value.text(lang)
    if isinstance(value, tuple):
        return " → ".join(_shown("", item, lang) for item in value)
    if name == "stage":
        label = terms.stage_label(str(value))
        return label.zh if lang == "zh" else label.en
    return str(value)


class FileViolation(Violation):
    """The result was made from other input files."""


@dataclass(frozen=True, slots=True)
class InputChanged(FileViolation):
    """An input file is not the one that was solved."""

    file: str
    zh = "輸入檔 {file} 與作業時不同（SHA-256 不符）。"
    en = "Input file {file} is not the one that was solved (SHA-256 differs)."


@dataclass(frozen=True, slots=True)
class InputMissing(FileViolation):
    """An input file that was solved is no longer there."""

    file: str
    zh = "作業時的輸入檔 {file} 不存在。"
    en = "Input file {file}, which was solved, is not there."


@dataclass(frozen=True, slots=True)
class InputExtra(FileViolation):
    """An input file is there that was not solved."""

    file: str
    zh = "輸入檔 {file} 未列於作業紀錄。"
    en = "Input file {file} was not there when the round was solved."


@dataclass(frozen=True, slots=True)
class SummaryDisagrees(FileViolation):
    """The summary says something else than the tables or the mechanism."""

    entry: str
    found: str | None
    expected: str | None
    zh = "summary.json 的 {entry} 為 {found}，依結果應為 {expected}。"
    en = "summary.json says {found} for {entry}; by the result it is {expected}."


class RowViolation(Violation):
    """The rows of assignments.csv are not those of the teachers of the round."""


@dataclass(frozen=True, slots=True)
class RowMissing(RowViolation):
    """A teacher of the round has no row."""

    teacher: str
    zh = "結果沒有教師 {teacher}。"
    en = "The result has no row for teacher {teacher}."


@dataclass(frozen=True, slots=True)
class UnknownTeacherRow(RowViolation):
    """A row belongs to nobody of the round."""

    teacher: str
    zh = "結果列有本次作業沒有的教師 {teacher}。"
    en = "The result has a row for {teacher}, who is no teacher of the round."


@dataclass(frozen=True, slots=True)
class RowTwice(RowViolation):
    """A teacher has more than one row."""

    teacher: str
    zh = "教師 {teacher} 在結果中重複列出。"
    en = "Teacher {teacher} has more than one row."


@dataclass(frozen=True, slots=True)
class RowsOutOfOrder(RowViolation):
    """The rows are not sorted by teacher_id; the first place where that shows."""

    teacher: str
    before: str
    zh = "結果未依教師編號排序：{teacher} 列在 {before} 之後。"
    en = "The rows are not sorted by teacher_id: {teacher} stands after {before}."


@dataclass(frozen=True, slots=True)
class LimitExceeded(RowViolation):
    """A teacher wishes more than the limits of the rule set allow."""

    teacher: str
    limit: str
    zh = "教師 {teacher} 的申請超出規則限制（{limit}）。"
    en = "Teacher {teacher} wishes more than the rule set allows ({limit})."


class MoveViolation(Violation):
    """A row says what its teacher cannot have done."""


@dataclass(frozen=True, slots=True)
class MovedTwice(MoveViolation):
    """A teacher takes part in two moves."""

    teacher: str
    first: str
    second: str
    zh = "教師 {teacher} 調動兩次：{first}、{second}。"
    en = "Teacher {teacher} moves twice: {first} and {second}."


@dataclass(frozen=True, slots=True)
class UnknownStage(MoveViolation):
    """The rule set has no such stage."""

    teacher: str
    stage: str
    zh = "教師 {teacher} 的作業階段 {stage} 不在規則內。"
    en = "Teacher {teacher} moves in stage {stage}, which the rule set does not have."


@dataclass(frozen=True, slots=True)
class NotAtHome(MoveViolation):
    """A teacher who has not moved is not where it was before."""

    teacher: str
    found: Place
    home: Place
    zh = "教師 {teacher} 未調動，卻列於 {found}，應在 {home}。"
    en = "Teacher {teacher} has not moved, yet is at {found} instead of {home}."


@dataclass(frozen=True, slots=True)
class NotAWish(MoveViolation):
    """A teacher moved where it did not wish to go."""

    teacher: str
    found: Place
    zh = "教師 {teacher} 調至 {found}，不是其志願。"
    en = "Teacher {teacher} moves to {found}, which is not a wish."


@dataclass(frozen=True, slots=True)
class WrongSubject(MoveViolation):
    """A teacher moved to a wished school in a subject not applied for."""

    teacher: str
    found: Place
    zh = "教師 {teacher} 調至 {found}，未申請該科(類)別。"
    en = "Teacher {teacher} moves to {found}, a subject not applied for."


@dataclass(frozen=True, slots=True)
class WrongChoice(MoveViolation):
    """The number of the choice is not that of the school."""

    teacher: str
    found: int | None
    expected: int | None
    zh = "教師 {teacher} 的志願序為 {found}，應為 {expected}。"
    en = "Teacher {teacher} has choice number {found} instead of {expected}."


class FilterBroken(MoveViolation):
    """A one-way stage was not open to this teacher or this school."""


@dataclass(frozen=True, slots=True)
class NotInGroup(FilterBroken):
    """A teacher moved in a stage for a group that it is not in."""

    teacher: str
    stage: str
    group: str
    zh = "教師 {teacher} 於 {stage} 調動，但不屬於 {group}。"
    en = "Teacher {teacher} moves in stage {stage} but is not in group {group}."


@dataclass(frozen=True, slots=True)
class SchoolNotTagged(FilterBroken):
    """A teacher moved to a school that the stage does not serve."""

    teacher: str
    stage: str
    found: Place
    tag: str
    zh = "教師 {teacher} 於 {stage} 調至 {found}，該校沒有 {tag} 註記。"
    en = (
        "Teacher {teacher} moves in stage {stage} to {found}, "
        "a school without the tag {tag}."
    )


@dataclass(frozen=True, slots=True)
class SwapOnlySchool(FilterBroken):
    """A one-way move into or out of a school that takes part in exchanges alone."""

    teacher: str
    stage: str
    found: Place
    zh = "教師 {teacher} 於 {stage} 單向調動，但 {found} 僅參加互調。"
    en = (
        "Teacher {teacher} moves one-way in stage {stage}, "
        "but {found} takes part in exchanges only."
    )


class OneWayViolation(Violation):
    """The moves of a one-way stage are not those that the rules give."""


@dataclass(frozen=True, slots=True)
class SeatOverFilled(OneWayViolation):
    """More teachers moved to a position than it had open seats."""

    stage: str
    place: Place
    taken: int
    seats: int
    zh = "{stage}：{place} 有缺額 {seats} 名，卻調入 {taken} 名。"
    en = "Stage {stage}: {taken} moved to {place}, which had {seats} open seats."


@dataclass(frozen=True, slots=True)
class BlockingPair(OneWayViolation):
    """An applicant should have had a seat that is open or went to somebody behind."""

    stage: str
    teacher: str
    wished: Place
    ended: Place
    instead: str | None  # who got the seat; None when it stayed open
    zh = (
        "{stage}：教師 {teacher} 應調至 {wished}，卻在 {ended}；"
        "該缺額由 {instead} 占用。"
    )
    en = (
        "Stage {stage}: teacher {teacher} should have moved to {wished} but ended at "
        "{ended}; the seat went to {instead}."
    )


@dataclass(frozen=True, slots=True)
class OpenSeatRefused(BlockingPair):
    """The seat that the applicant should have had stayed open."""

    zh = "{stage}：教師 {teacher} 應調至 {wished}，卻在 {ended}；該缺額無人遞補。"
    en = (
        "Stage {stage}: teacher {teacher} should have moved to {wished} but ended at "
        "{ended}; the seat stayed open."
    )


@dataclass(frozen=True, slots=True)
class NotDeferredAcceptance(OneWayViolation):
    """The passes of the stage take this teacher somewhere else."""

    stage: str
    teacher: str
    found: Place
    expected: Place
    zh = "{stage}：依規則教師 {teacher} 應在 {expected}，結果卻在 {found}。"
    en = (
        "Stage {stage}: by the rules teacher {teacher} ends at {expected}, "
        "the result says {found}."
    )


class ExchangeViolation(Violation):
    """The exchanges are not those that the rules give."""


@dataclass(frozen=True, slots=True)
class UnknownExchangeStage(ExchangeViolation):
    """An exchange was made in no exchange stage of the rule set."""

    exchange: int | None
    stage: str
    zh = "第 {exchange} 案的作業階段 {stage} 不是規則內的互調階段。"
    en = "Exchange {exchange}: {stage} is no exchange stage of the rule set."


@dataclass(frozen=True, slots=True)
class WrongNumber(ExchangeViolation):
    """The exchanges are not numbered 1, 2, 3 …"""

    found: int | None
    expected: int
    zh = "exchanges.csv 第 {expected} 案編號為 {found}。"
    en = "Exchange number {expected} of exchanges.csv is numbered {found}."


@dataclass(frozen=True, slots=True)
class WrongSize(ExchangeViolation):
    """An exchange has more or fewer members than its stage or its row says."""

    exchange: int | None
    stage: str
    stated: int | None
    members: int
    expected: int
    zh = (
        "第 {exchange} 案（{stage}）應為 {expected} 人，"
        "列有 {members} 人，size 為 {stated}。"
    )
    en = (
        "Exchange {exchange} in stage {stage} must have {expected} members; "
        "it lists {members}, its size says {stated}."
    )


class BrokenExchange(ExchangeViolation):
    """The members of an exchange do not move in a circle."""


@dataclass(frozen=True, slots=True)
class MembersDisagree(BrokenExchange):
    """exchanges.csv and the row of a teacher do not say the same."""

    exchange: int | None
    teacher: str
    zh = (
        "第 {exchange} 案：教師 {teacher} 在 exchanges.csv "
        "與 assignments.csv 的記載不一。"
    )
    en = (
        "Exchange {exchange}: exchanges.csv and assignments.csv disagree "
        "about teacher {teacher}."
    )


@dataclass(frozen=True, slots=True)
class ChainBroken(BrokenExchange):
    """A member does not move to the home position of the next one."""

    exchange: int | None
    teacher: str
    following: str
    zh = "第 {exchange} 案：教師 {teacher} 未調至下一位 {following} 的現職。"
    en = (
        "Exchange {exchange}: teacher {teacher} does not move to the home position "
        "of {following}, the next one."
    )


@dataclass(frozen=True, slots=True)
class SameHome(BrokenExchange):
    """Two members hold seats at one position."""

    exchange: int | None
    place: Place
    zh = "第 {exchange} 案：有兩位教師現職同在 {place}。"
    en = "Exchange {exchange}: two members hold seats at {place}."


@dataclass(frozen=True, slots=True)
class SeatCountMismatch(ExchangeViolation):
    """In an exchange stage as many must come to a position as leave it."""

    stage: str
    place: Place
    came: int
    left: int
    zh = "{stage}：{place} 調入 {came} 名，調出 {left} 名。"
    en = "Stage {stage}: {came} came to {place}, {left} left it."


@dataclass(frozen=True, slots=True)
class OutOfOrder(ExchangeViolation):
    """An exchange is listed after one that must have been made later."""

    exchange: int | None
    before: int | None
    zh = "第 {exchange} 案列在第 {before} 案之後，依規則應在其前。"
    en = "Exchange {exchange} comes after {before}, but by the rules before it."


@dataclass(frozen=True, slots=True)
class WrongInitiator(ExchangeViolation):
    """Not the first claim of an exchange, in claim order, is listed first."""

    exchange: int | None
    found: str
    expected: str
    zh = "第 {exchange} 案的發起者為 {found}，應為 {expected}。"
    en = "Exchange {exchange} lists {found} as initiator instead of {expected}."


@dataclass(frozen=True, slots=True)
class NotFirstExchange(ExchangeViolation):
    """At the initiator's turn another exchange comes first in depth-first order."""

    exchange: int | None
    stage: str
    made: tuple[str, ...]
    expected: tuple[str, ...]
    zh = "{stage} 第 {exchange} 案為 {made}，依規則應先達成 {expected}。"
    en = (
        "Stage {stage}, exchange {exchange} is {made}, "
        "but the rules find {expected} first."
    )


@dataclass(frozen=True, slots=True)
class ExchangePassedOver(ExchangeViolation):
    """At the turn of a claim an exchange was open and was not made."""

    stage: str
    teacher: str
    points: str
    expected: tuple[str, ...]
    zh = "{stage}：輪到教師 {teacher}（積分 {points}）時應達成 {expected}，卻未達成。"
    en = (
        "Stage {stage}: at the turn of teacher {teacher} ({points} points) the "
        "exchange {expected} was open and was not made."
    )


@dataclass(frozen=True, slots=True)
class ExchangeLeftUndone(ExchangePassedOver):
    """After the stage an exchange of its size is still open."""

    zh = "{stage} 結束後仍可達成 {expected}（教師 {teacher}，積分 {points}）。"
    en = (
        "After stage {stage} the exchange {expected} is still open "
        "(teacher {teacher}, {points} points)."
    )


class PromiseViolation(Violation):
    """A result of another mechanism is not what that mechanism promises."""


@dataclass(frozen=True, slots=True)
class UnknownMechanism(PromiseViolation):
    """The result names a mechanism that there is not."""

    mechanism: str
    zh = "沒有「{mechanism}」這種分發機制。"
    en = "There is no mechanism {mechanism}."


@dataclass(frozen=True, slots=True)
class SeatsExceeded(PromiseViolation):
    """More people are at a position than it has seats, held and open."""

    place: Place
    there: int
    seats: int
    zh = "{place} 連同缺額共 {seats} 席，結果卻有 {there} 人。"
    en = "{place} has {seats} seats, open ones included; {there} teachers end there."


@dataclass(frozen=True, slots=True)
class SwapOnlySeatFree(PromiseViolation):
    """A seat fell free at a school that takes part in exchanges alone."""

    place: Place
    there: int
    seats: int
    zh = "{place} 僅參加互調，原有 {seats} 人，結果只剩 {there} 人。"
    en = (
        "{place} takes part in exchanges only and had {seats} teachers; "
        "{there} are left."
    )


@dataclass(frozen=True, slots=True)
class OpenSeatEnvied(PromiseViolation):
    """A seat stayed open that somebody prefers to where he is."""

    teacher: str
    wished: Place
    ended: Place
    zh = "教師 {teacher} 在 {ended}，較前志願 {wished} 卻仍有空位。"
    en = "Teacher {teacher} is at {ended} while {wished}, a better wish, has a seat."


@dataclass(frozen=True, slots=True)
class JustifiedEnvy(PromiseViolation):
    """Somebody got a seat that one who comes before him prefers to his own."""

    teacher: str
    wished: Place
    ended: Place
    instead: str
    zh = "教師 {teacher} 在 {ended}，較前志願 {wished} 卻由排序在後的 {instead} 調入。"
    en = (
        "Teacher {teacher} is at {ended}; the better wish {wished} went to {instead}, "
        "who comes after."
    )


@dataclass(frozen=True, slots=True)
class TradeLeft(PromiseViolation):
    """Some people could still trade their seats, each for a better wish."""

    teachers: tuple[str, ...]
    zh = "{teachers} 仍可依序換到下一位的位置，人人更好。"
    en = "{teachers} could still trade, each for the next one's seat and a better wish."


@dataclass(frozen=True, slots=True)
class ChainLeft(PromiseViolation):
    """Some people could still move up, the last one to an open seat."""

    teachers: tuple[str, ...]
    place: Place
    zh = "{teachers} 仍可依序遞補，最後一位調入 {place} 的空位，人人更好。"
    en = (
        "{teachers} could still move up, each to the next one's seat and the last to "
        "an open one at {place}."
    )


@dataclass(frozen=True, slots=True)
class HomePointsMissing(PromiseViolation):
    """The mechanism compares with the points at home, and there are none."""

    teacher: str
    zh = "教師 {teacher} 沒有現職縣市的積分（home_points），無法以此機制檢核。"
    en = "Teacher {teacher} has no home_points, which the mechanism compares with."


@dataclass(frozen=True, slots=True)
class SeatWentDown(PromiseViolation):
    """At a position one who ranks lower has taken the seat of a holder."""

    place: Place
    holder: str
    now: str
    zh = "{place}：{holder} 的位置由排序在後的 {now} 取得。"
    en = "{place}: the seat of {holder} went to {now}, who ranks lower there."


@dataclass(frozen=True, slots=True)
class BlockingExchangeLeft(PromiseViolation):
    """An exchange is left in which each may take the seat of the next one."""

    teachers: tuple[str, ...]
    zh = "{teachers} 之間仍有阻擋交換：依序換到下一位的位置，人人更好，也都有權取得。"
    en = (
        "A blocking exchange is left: {teachers} each prefer the next one's seat and "
        "may take it."
    )


@dataclass(frozen=True, slots=True)
class NotByTheMechanism(PromiseViolation):
    """The mechanism takes this teacher somewhere else."""

    teacher: str
    found: Place
    expected: Place
    zh = "依此機制教師 {teacher} 應在 {expected}，結果卻在 {found}。"
    en = "By the mechanism teacher {teacher} ends at {expected}; here it is {found}."


@dataclass(frozen=True, slots=True)
class NotAnExchange(PromiseViolation):
    """An exchange is listed that the mechanism does not make."""

    exchange: int
    teachers: tuple[str, ...]
    zh = "第 {exchange} 案（{teachers}）不是此機制達成的交換。"
    en = "Exchange {exchange}, {teachers}, is none that the mechanism makes."


@dataclass(frozen=True, slots=True)
class ExchangeNotListed(PromiseViolation):
    """An exchange that the mechanism makes is not listed as one."""

    teachers: tuple[str, ...]
    zh = "此機制達成的交換 {teachers} 未列出。"
    en = "The mechanism makes the exchange {teachers}, which is not listed."


@dataclass(frozen=True, slots=True)
class ExchangeTooLarge(PromiseViolation):
    """More people are in an exchange than was allowed."""

    exchange: int
    size: int
    most: int
    zh = "第 {exchange} 案有 {size} 人，超過上限 {most} 人。"
    en = "Exchange {exchange} has {size} members; at most {most} were allowed."


@dataclass(frozen=True, slots=True)
class NoSuchOneWayMove(PromiseViolation):
    """Somebody moved outside an exchange where no one-way stage would take him."""

    teacher: str
    found: Place
    zh = "教師 {teacher} 未經交換調至 {found}，規則中沒有一個單調階段允許。"
    en = (
        "Teacher {teacher} moves to {found} in no exchange, and no one-way stage of "
        "the rules allows it."
    )


@dataclass(frozen=True, slots=True)
class MoreThanTheBound(PromiseViolation):
    """More people moved than the result says could."""

    moved: int
    bound: int
    zh = "達成 {moved} 人，多於所稱的上界 {bound} 人。"
    en = "{moved} moved, more than the bound of {bound} that the result states."


@dataclass(frozen=True, slots=True)
class BoundNotReached(PromiseViolation):
    """As many moved as can, and yet the bound says more."""

    moved: int
    bound: int
    zh = "達成 {moved} 人已是最多，結果所稱的上界卻是 {bound} 人。"
    en = "{moved} moved, which is the most possible; the result states {bound}."


@dataclass(frozen=True, slots=True)
class KeptLess(PromiseViolation):
    """Somebody whom the rules place got less than they give him."""

    teacher: str
    found: Place
    expected: Place
    zh = "依規則教師 {teacher} 可至 {expected}，結果卻只到 {found}。"
    en = "The rules take teacher {teacher} to {expected}; here it is only {found}."


@dataclass(frozen=True, slots=True)
class BetterPlan(PromiseViolation):
    """A few changes make a plan better that is said to be the best."""

    teachers: tuple[str, ...]
    zh = "不是最佳：改變 {teachers} 的去處即可更好。"
    en = "Not the best plan: moving {teachers} elsewhere makes it better."
