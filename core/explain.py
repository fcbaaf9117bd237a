"""Why did this teacher move, or not? One reason per wish and stage, all checkable."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import groupby

from jiepin.core import errors, terms
from jiepin.core.outcome import ASSIGNMENTS, Outcome
from jiepin.core.plain import (
    TEACHER_ID,
    Claim,
    ExchangeGraph,
    Pass,
    Place,
    PlainRound,
    Standing,
    one_way_passes,
)
from jiepin.core.round import Round
from jiepin.core.rules import Stage
from jiepin.core.terms import Label, label_in


class Why(Enum):
    """Why a stage did not bring a teacher to a wish; the value is its sentence."""

    NOT_IN_GROUP = Label(
        "本階段僅限「{word}」之申請教師，您不在其中。",
        "only for applicants of the group “{word}”, to which you do not belong.",
    )
    HOME_SWAP_ONLY = Label(
        "您現任學校僅參加互調（含多角調），不參加本階段。",
        "your school takes part in exchanges only.",
    )
    SCHOOL_SWAP_ONLY = Label(
        "該校僅參加互調（含多角調），不參加本階段。",
        "the wished school takes part in exchanges only.",
    )
    SCHOOL_NOT_TAGGED = Label(
        "本階段僅辦理註記「{word}」之學校，該校不在其中。",
        "only for schools marked “{word}”, which this one is not.",
    )
    NO_OPEN_SEAT = Label("沒有缺額。", "there was no open seat.")
    FEWER_POINTS = Label(
        "缺額 {seats} 名由積分較高者調入；最低調入積分 {cut_off}，您的積分 {points}。",
        "the open seats ({seats}) went to applicants with more points; the lowest "
        "who got one had {cut_off}, you had {points}.",
    )
    BEHIND_ON_TIE = Label(
        "缺額 {seats} 名由積分較高或同分比序在前者調入；最低調入積分與您同為 {points}，"
        "依「{word}」比序您在後。",
        "the open seats ({seats}) went to applicants with more points or ahead on "
        "equal points; the lowest who got one had {points} like you and came first "
        "by {word}.",
    )
    NOBODY_TO_SWAP = Label(
        "該校該科(類)別沒有尚未調動且填有志願的教師。",
        "nobody who had not moved yet and wished to leave was sitting there.",
    )
    NO_EXCHANGE = Label(
        "沒有任何組合能由該校該科(類)別調回您的現職。",
        "no exchange of the allowed size led from there back to your position.",
    )
    EXCHANGE_GONE = Label(
        "原有可行的組合，但其中教師已隨第 {exchange} 案調動，此後再無其他組合。",
        "an exchange was possible until exchange number {exchange} used a member.",
    )
    LOWER_CLAIM = Label(
        "此志願以積分 {points} 計；您以積分 {cut_off} 的志願發起第 {exchange} 案時，"
        "尚未輪到此志願。",
        "this wish counts with {points} points; its turn had not come when you "
        "initiated exchange number {exchange} with {cut_off} points.",
    )
    TAKEN_BEFORE_TURN = Label(
        "輪到此志願（積分 {points}）之前，積分較高或同分比序在前者已發起"
        "第 {exchange} 案，您隨之調動。",
        "before the turn of this wish ({points} points) came, somebody with more "
        "points, or ahead on equal points, took you into exchange number {exchange}.",
    )
    ALREADY_MOVED = Label(
        "您已調動，不再參加。", "you had moved and took no further part."
    )
    NOT_BY_THE_RULES = Label(
        "結果與規則不符，請以 jiepin verify 檢查。",
        "the result does not follow the rules here; run jiepin verify.",
    )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some stages, one after the other, did not bring a teacher to a wish.

    stages      their names and kinds, in order
    why         the code, whose sentence names the fields that it fills
    passes      first and last pass, in a one-way stage whose seats reopen
    seats       open seats before the pass
    cut_off     the points that came first, hundredths: the lowest accepted, or those
                with which the teacher itself initiated an exchange
    points      the teacher's own points for the wish, hundredths
    exchange    number of the exchange
    word        group, tag or tie key
    """

    stages: tuple[Stage, ...]
    why: Why
    passes: tuple[int, int] | None = None
    seats: int | None = None
    cut_off: int | None = None
    points: int | None = None
    exchange: int | None = None
    word: str | None = None

    def text(self, lang: str) -> str:
        """Return the sentence, in Chinese ("zh") or English ("en")."""
        labels = [_stage_text(stage, lang) for stage in self.stages]
        template = label_in(self.why.value, lang)
        sentence = template.format(
            seats=self.seats,
            cut_off=terms.points_text(self.cut_off or 0),
            points=terms.points_text(self.points or 0),
            exchange=self.exchange,
            word=_word_text(self.why, self.word or "", lang),
        )
        passes = _passes_text(self.passes, lang)
        if lang == "zh":
            return f"{'、'.join(labels)}{passes}：{sentence}"
        return f"{', '.join(labels)}{passes}: {sentence}"


def _stage_text(stage: Stage, lang: str) -> str:
    """Return the label of a stage; after a free name, the kind of exchange."""
    name = label_in(terms.stage_label(stage.name), lang)
    kind = label_in(terms.exchange_label(stage.size), lang)
    if stage.kind == terms.ONE_WAY or name == kind:
        return name
    return f"{name}（{kind}）" if lang == "zh" else f"{name} ({kind})"


def _passes_text(passes: tuple[int, int] | None, lang: str) -> str:
    if passes is None:
        return ""
    first, last = passes
    if lang == "zh":
        span = f"第 {first} 輪" if first == last else f"第 {first} 至 {last} 輪"
        return f"（{span}）"
    return f" (pass {first})" if first == last else f" (passes {first} to {last})"


_WORDS = {
    Why.NOT_IN_GROUP: terms.GROUPS,
    Why.SCHOOL_NOT_TAGGED: terms.TAGS,
    Why.BEHIND_ON_TIE: {**terms.TIE_KEYS, TEACHER_ID: Label("教師編號", "teacher id")},
}


def _word_text(why: Why, word: str, lang: str) -> str:
    labels: Mapping[str, Label] = _WORDS.get(why, {})
    return label_in(labels.get(word, Label(word, word)), lang)


@dataclass(frozen=True, slots=True)
class WishExplained:
    """A wish that was not reached: number of the choice, position, reasons in order."""

    choice: int
    place: Place
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """Where a teacher moved, in which stage, by which exchange if any."""

    stage: Stage
    exchange: int | None
    choice: int
    place: Place


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result of one teacher and what kept each better wish from it.

    `result` is None when the teacher did not move; `wishes` are those before the
    result in wish order, all of them when there is none.
    """

    teacher_id: str
    home: Place
    n_wishes: int
    result: Result | None
    wishes: tuple[WishExplained, ...]

    def text(self, lang: str = "zh") -> str:
        """Return the explanation as lines, in Chinese ("zh") or English ("en").

        Wishes in a row that share all their reasons stand together above them.
        """
        return "\n".join([self._head(lang), *self._tail(lang)])

    def _head(self, lang: str) -> str:
        home = self.home.text(lang)
        if self.result is None:
            if lang == "zh":
                return f"教師 {self.teacher_id} 未達成介聘，留任 {home}。"
            return f"Teacher {self.teacher_id} did not move and stays at {home}."
        stage, place = self.result.stage, self.result.place.text(lang)
        where, choice = _stage_text(stage, lang), self.result.choice
        number = self.result.exchange
        if lang == "zh":
            case = "" if number is None else f"第 {number} 案"
            return (
                f"教師 {self.teacher_id} 於{where}{case}達成介聘："
                f"由 {home} 調至第 {choice} 志願 {place}。"
            )
        case = "" if number is None else f", exchange number {number}"
        return (
            f"Teacher {self.teacher_id} moved in stage {where}{case}: "
            f"from {home} to choice {choice}, {place}."
        )

    def _tail(self, lang: str) -> Iterator[str]:
        if not self.n_wishes:
            yield label_in(Label("未填志願。", "No wishes were listed."), lang)
        elif not self.wishes:
            yield label_in(
                Label("沒有更前面的志願。", "Nothing better was listed."), lang
            )
        for reasons, wishes in groupby(self.wishes, key=lambda wish: wish.reasons):
            for wish in wishes:
                number = Label(f"第 {wish.choice} 志願", f"Choice {wish.choice}:")
                yield f"{label_in(number, lang)} {wish.place.text(lang)}"
            for reason in reasons:
                yield f"  {reason.text(lang)}"


def explain(round_: Round, outcome: Outcome, teacher_id: str) -> Explanation:
    """Explain the result of one teacher; nobody else is named.

    Raises UnknownTeacher when the round has no such teacher, BadResult when the
    outcome has no row for it, OtherMechanism when it is none of the rules of the year.

    >>> from jiepin.core import Round, Rules, solve
    >>> round_ = Round.read("fixtures/rounds/mutual")
    >>> outcome = solve(round_, Rules.load("taiwan-110"))
    >>> print(explain(round_, outcome, "T2").text("en"))
    Teacher T2 did not move and stays at 02 乙山國小 (B), 普通 (g).
    Choice 1: 01 甲山國小 (A), 普通 (g)
      indigenous: only for applicants of the group “indigenous, applied for priority”, \
to which you do not belong.
      one-way: there was no open seat.
      mutual: an exchange was possible until exchange number 1 used a member.
      three-way, four-way, five-way: nobody who had not moved yet and wished to leave \
was sitting there.
    """
    if outcome.mechanism != terms.STAGED:
        raise errors.OtherMechanism(
            f"the result is of the mechanism {outcome.mechanism}; expected one of "
            f"{terms.STAGED}. jiepin verify tells what it keeps of its promises, "
            "jiepin compare who is placed otherwise by the rules"
        )
    plain = PlainRound.of(round_, outcome.rules, outcome.seed)
    if teacher_id not in plain.ids:
        raise errors.UnknownTeacher(
            f"{teacher_id!r} is no teacher_id of the round's teachers"
        )
    applicant = plain.ids.index(teacher_id)
    record = _Record.of(plain, outcome)
    if applicant not in record.listed:
        raise errors.BadResult(
            f"{ASSIGNMENTS}: no row for {teacher_id!r}; run jiepin verify"
        )
    return _Explainer(plain, record, applicant).explanation()


@dataclass
class _Record:
    """The moves of an outcome by stage, and its exchanges in the order made."""

    listed: set[int] = field(default_factory=set)
    moves: dict[str, dict[int, int]] = field(default_factory=dict)
    exchanges: dict[str, list[tuple[int, list[int]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, plain: PlainRound, outcome: Outcome) -> _Record:
        """Read an outcome; a move that is not to a wish is passed over."""
        record = cls()
        applicant_of = {teacher: i for i, teacher in enumerate(plain.ids)}
        schools = {school.code: n for n, school in enumerate(plain.schools)}
        subjects = {subject.code: n for n, subject in enumerate(plain.subjects)}
        rows = outcome.assignments.select("teacher_id", "stage", "school", "subject")
        for teacher, stage, school, subject in rows.iter_rows():
            if teacher not in applicant_of:
                continue
            applicant = applicant_of[teacher]
            record.listed.add(applicant)
            if school in schools and subject in subjects and stage is not None:
                position = schools[school] * len(subjects) + subjects[subject]
                if position in plain.wishes(applicant):
                    record.moves.setdefault(stage, {})[applicant] = position
        made = outcome.exchanges.select("exchange", "stage", "teachers")
        for number, stage, teachers in made.iter_rows():
            members = [applicant_of[name] for name in teachers if name in applicant_of]
            record.exchanges.setdefault(stage, []).append((number, members))
        return record


class _Explainer:
    """Follows one applicant through the stages and notes what stood in its way."""

    def __init__(self, plain: PlainRound, record: _Record, applicant: int) -> None:
        self.plain = plain
        self.record = record
        self.applicant = applicant
        self.home = plain.homes[applicant]
        self.standing = Standing(plain)
        self.graph: ExchangeGraph | None = None
        self.result = self._result()
        wishes = plain.wishes(applicant)
        self.n_wishes = len(wishes)
        ended = record.moves.get(self.result.stage.name, {}) if self.result else {}
        at = ended.get(applicant)
        self.better = wishes[: wishes.index(at)] if at in wishes else wishes
        self.reasons: dict[int, list[Reason]] = {wish: [] for wish in self.better}

    def _result(self) -> Result | None:
        plain = self.plain
        for stage in plain.rules.stages:
            position = self.record.moves.get(stage.name, {}).get(self.applicant)
            if position is not None and position in plain.wishes(self.applicant):
                return Result(
                    stage=stage,
                    exchange=self._exchange_of(stage)[0],
                    choice=plain.choice(self.applicant, position),
                    place=plain.place(position),
                )
        return None

    def _exchange_of(self, stage: Stage) -> tuple[int | None, list[int]]:
        for number, members in self.record.exchanges.get(stage.name, []):
            if self.applicant in members:
                return number, members
        return None, []

    def explanation(self) -> Explanation:
        for stage in self.plain.rules.stages:
            moves = self.record.moves.get(stage.name, {})
            if self.better:
                self._explain_stage(stage, moves)
            self.standing.close(stage, moves)
        return Explanation(
            teacher_id=self.plain.ids[self.applicant],
            home=self.plain.place(self.home),
            n_wishes=self.n_wishes,
            result=self.result,
            wishes=tuple(
                WishExplained(
                    choice=self.plain.choice(self.applicant, wish),
                    place=self.plain.place(wish),
                    reasons=_joined(self.reasons[wish]),
                )
                for wish in self.better
            ),
        )

    def _explain_stage(self, stage: Stage, moves: Mapping[int, int]) -> None:
        if not self.standing.unmoved[self.applicant]:
            for wish in self.better:
                self.note(wish, Reason((stage,), Why.ALREADY_MOVED))
        elif stage.kind == terms.ONE_WAY:
            self._explain_one_way(stage, moves)
            if self.graph is not None:
                for mover in moves:
                    self.graph.leave(mover)
        else:
            _ExchangeStage(self, stage).explain()

    def note(self, wish: int, reason: Reason) -> None:
        self.reasons[wish].append(reason)

    def _explain_one_way(self, stage: Stage, moves: Mapping[int, int]) -> None:
        passes = one_way_passes(self.standing, stage)
        expected = {i: p for one in passes for i, p in one.moves.items()}
        if expected != moves:
            for wish in self.better:
                self.note(wish, Reason((stage,), Why.NOT_BY_THE_RULES))
            return
        for wish in self.better:
            barred = self._barred(stage, wish)
            if barred is not None:
                self.note(wish, barred)
                continue
            for number, one in enumerate(passes, start=1):
                reason = self._outranked(stage, one, wish)
                span = (number, number) if stage.reopen else None
                self.note(wish, replace(reason, passes=span))
                if self.applicant in one.moves:
                    break

    def _barred(self, stage: Stage, wish: int) -> Reason | None:
        """Return why a one-way stage is closed to the applicant or to the wish."""
        plain, group, tag = self.plain, stage.applicants, stage.schools
        if plain.swap_only(self.home):
            return Reason((stage,), Why.HOME_SWAP_ONLY)
        if group is not None and group not in plain.groups[self.applicant]:
            return Reason((stage,), Why.NOT_IN_GROUP, word=group)
        if plain.swap_only(wish):
            return Reason((stage,), Why.SCHOOL_SWAP_ONLY)
        if tag is not None and tag not in plain.school_at(wish).tags:
            return Reason((stage,), Why.SCHOOL_NOT_TAGGED, word=tag)
        return None

    def _outranked(self, stage: Stage, one: Pass, wish: int) -> Reason:
        """Return who came before at a position, as a cut-off, never a name."""
        seats = one.seats.get(wish, 0)
        if not seats:
            return Reason((stage,), Why.NO_OPEN_SEAT)
        plain, own = self.plain, self.plain.points(self.applicant, wish)
        kept = [i for i, position in one.moves.items() if position == wish]
        last = max(kept, key=lambda i: plain.key(i, wish))
        cut_off = plain.points(last, wish)
        if cut_off > own:
            return Reason(
                (stage,), Why.FEWER_POINTS, seats=seats, cut_off=cut_off, points=own
            )
        word = plain.deciding_key(self.applicant, last)
        return Reason(
            (stage,),
            Why.BEHIND_ON_TIE,
            seats=seats,
            cut_off=cut_off,
            points=own,
            word=word,
        )

    def graph_now(self) -> ExchangeGraph:
        """Return who has not moved, as a graph of wishes."""
        if self.graph is None:
            self.graph = ExchangeGraph(self.plain, self.standing.applicants())
        return self.graph


class _ExchangeStage:
    """Plays the exchanges of one stage and sees how long each better wish was open."""

    def __init__(self, explainer: _Explainer, stage: Stage) -> None:
        self.explainer = explainer
        self.stage = stage
        self.graph = explainer.graph_now()

    def explain(self) -> None:
        reasons: dict[int, Reason] = {}
        circle: dict[int, tuple[int, ...]] = {}  # wish -> an exchange that uses it
        for wish in self.explainer.better:
            found = self.search(wish)
            if found is not None:
                circle[wish] = found
            else:
                there = self.graph.anybody_at(wish)
                why = Why.NO_EXCHANGE if there else Why.NOBODY_TO_SWAP
                reasons[wish] = Reason((self.stage,), why)
        record, name = self.explainer.record, self.stage.name
        for number, members in record.exchanges.get(name, []):
            if self.explainer.applicant in members:
                self.taken(reasons, circle, number, members)
                break
            self.make(reasons, circle, number, members)
        else:
            for wish in circle:
                reasons[wish] = Reason((self.stage,), Why.NOT_BY_THE_RULES)
        for wish in self.explainer.better:
            self.explainer.note(wish, reasons[wish])

    def search(self, wish: int) -> tuple[int, ...] | None:
        """Return an exchange in which the applicant moves by this wish."""
        applicant = self.explainer.applicant
        points = self.explainer.plain.points(applicant, wish)
        return self.graph.first(Claim(applicant, points, (wish,)), self.stage.size)

    def make(
        self,
        reasons: dict[int, Reason],
        circle: dict[int, tuple[int, ...]],
        number: int,
        members: Sequence[int],
    ) -> None:
        """Let an exchange happen, and look again for those wishes that it touches."""
        for member in members:
            self.graph.leave(member)
        for wish in [w for w, found in circle.items() if not _disjoint(found, members)]:
            found = self.search(wish)
            if found is None:
                del circle[wish]
                reasons[wish] = Reason(
                    (self.stage,), Why.EXCHANGE_GONE, exchange=number
                )
            else:
                circle[wish] = found

    def taken(
        self,
        reasons: dict[int, Reason],
        circle: Iterable[int],
        number: int,
        members: Sequence[int],
    ) -> None:
        """Explain the wishes still open when the applicant's own exchange was made."""
        plain, applicant = self.explainer.plain, self.explainer.applicant
        initiator = members[0]
        at = self.explainer.record.moves.get(self.stage.name, {}).get(initiator)
        for wish in circle:
            own = plain.key(applicant, wish)
            if at is None or own <= plain.key(initiator, at):
                reason = Reason((self.stage,), Why.NOT_BY_THE_RULES)
            elif initiator == applicant:
                reason = Reason(
                    (self.stage,), Why.LOWER_CLAIM, cut_off=plain.points(applicant, at)
                )
            else:
                reason = Reason((self.stage,), Why.TAKEN_BEFORE_TURN)
            if reason.why is not Why.NOT_BY_THE_RULES:
                reason = replace(reason, points=-own[0], exchange=number)
            reasons[wish] = reason


def _disjoint(one: Sequence[int], other: Sequence[int]) -> bool:
    return not any(member in other for member in one)


def _joined(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Join neighbours that differ only in their stage or pass."""
    joined: list[Reason] = []
    for reason in reasons:
        last = joined[-1] if joined else None
        if last is not None and _same_but_place(last, reason):
            joined[-1] = _both(last, reason)
        else:
            joined.append(reason)
    return tuple(joined)


def _same_but_place(one: Reason, other: Reason) -> bool:
    if one.passes is not None or other.passes is not None:
        one, other = replace(one, passes=None), replace(other, passes=None)
        return one == other
    return one == replace(other, stages=one.stages)


def _both(one: Reason, other: Reason) -> Reason:
    if one.passes is not None and other.passes is not None:
        return replace(one, passes=(one.passes[0], other.passes[1]))
    return replace(one, stages=(*one.stages, *other.stages))
