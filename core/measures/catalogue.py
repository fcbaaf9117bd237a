"""The measures there are: names, words for people, units; and `measure` itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from jiepin.core import errors, terms
from jiepin.core.measures import computing
from jiepin.core.measures.situation import Situation
from jiepin.core.terms import Label


class Row(NamedTuple):
    """One figure: of which measure, which part of it, and the value."""

    measure: str
    key: str
    value: float


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured: its name in files, words for people, unit, and how.

    `compute` gives keys and values, the same keys in the same order for every result of
    one scenario; a mean of nobody is left out.
    """

    name: str
    label: Label
    unit: Label
    about: Label
    compute: computing.Compute
    needs_optimum: bool = False


_PEOPLE = Label("人", "people")
_SHARE = Label("比例", "share")
_YEARS = Label("年", "years")
_WISHES = Label("志願", "wishes")

_IN_ORDER = (
    Measure(
        "moves",
        Label("達成介聘人數", "moves"),
        _PEOPLE,
        Label("達成介聘的人，合計與各階段別", "people who moved, in all and per level"),
        computing.moves,
    ),
    Measure(
        "share",
        Label("達成率", "share moved"),
        _SHARE,
        Label(
            "達成介聘的人占申請教師的比例，合計與各階段別",
            "people who moved among those who applied, in all and per level",
        ),
        computing.share,
    ),
    Measure(
        "choices",
        Label("達成的志願序", "choice reached"),
        _PEOPLE,
        Label("以第幾志願達成的人數", "people who moved, by the number of the choice"),
        computing.choices,
    ),
    Measure(
        "stages",
        Label("各作業階段達成人數", "moves per stage"),
        _PEOPLE,
        Label("在各作業階段達成介聘的人", "people who moved, by stage"),
        computing.stages,
    ),
    Measure(
        "exchanges",
        Label("交換案數", "exchanges"),
        Label("案", "exchanges"),
        Label("各種人數的交換各有幾案", "exchanges made, by the people in one"),
        computing.exchanges,
    ),
    Measure(
        "county_in",
        Label("調入各縣市", "moves into a county"),
        _PEOPLE,
        Label("自其他縣市調入的人", "people who came from another county"),
        computing.county_in,
    ),
    Measure(
        "county_out",
        Label("調出各縣市", "moves out of a county"),
        _PEOPLE,
        Label("調往其他縣市的人", "people who left for another county"),
        computing.county_out,
    ),
    Measure(
        "county_within",
        Label("縣市內調動", "moves within a county"),
        _PEOPLE,
        Label("在同一縣市內調動的人", "people who moved inside the county"),
        computing.county_within,
    ),
    Measure(
        "county_net",
        Label("各縣市淨調入", "net moves into a county"),
        _PEOPLE,
        Label("調入減調出", "those who came less those who left"),
        computing.county_net,
    ),
    Measure(
        "flows",
        Label("縣市之間的流動", "flows between counties"),
        _PEOPLE,
        Label(
            "自一縣市調往另一縣市（或同一縣市）的人",
            "people who moved from one county to another, or within one",
        ),
        computing.flows,
    ),
    Measure(
        "remote_applicants",
        Label("偏遠學校的申請教師", "applicants at remote schools"),
        _PEOPLE,
        Label(
            "介聘前、後在偏遠、特偏、極偏學校的申請教師",
            "applicants who sit at a remote school, of any degree, before and after",
        ),
        computing.remote(computing.applicants_at),
    ),
    Measure(
        "remote_years",
        Label("偏遠學校申請教師的平均年資", "mean service at remote schools"),
        _YEARS,
        Label(
            "介聘前、後在偏遠學校的申請教師，其服務年資的平均",
            "mean years of service of applicants at remote schools, before and after",
        ),
        computing.remote(computing.mean_years_at),
    ),
    Measure(
        "remote_experience_lost",
        Label("偏遠學校流失的年資", "experience lost by remote schools"),
        _YEARS,
        Label(
            "離開者年資的總和減去調入者年資的總和",
            "years of service of those who left less those who came",
        ),
        computing.remote(computing.experience_lost),
    ),
    Measure(
        "indigenous_applicants",
        Label("原民校的申請教師", "applicants at indigenous schools"),
        _PEOPLE,
        Label(
            "介聘前、後在原民校的申請教師",
            "applicants who sit at an indigenous school, before and after",
        ),
        computing.indigenous(computing.applicants_at),
    ),
    Measure(
        "indigenous_years",
        Label("原民校申請教師的平均年資", "mean service at indigenous schools"),
        _YEARS,
        Label(
            "介聘前、後在原民校的申請教師，其服務年資的平均",
            "mean years of service of applicants at indigenous schools, before and "
            "after",
        ),
        computing.indigenous(computing.mean_years_at),
    ),
    Measure(
        "indigenous_experience_lost",
        Label("原民校流失的年資", "experience lost by indigenous schools"),
        _YEARS,
        Label(
            "離開者年資的總和減去調入者年資的總和",
            "years of service of those who left less those who came",
        ),
        computing.indigenous(computing.experience_lost),
    ),
    Measure(
        "envy",
        Label("有理由的羨慕", "justified envy"),
        _WISHES,
        Label(
            "比結果更想去、且有積分順位較後的人調入的志願數；以及有這種志願的人數",
            "wishes preferred to the result where somebody who comes later moved in; "
            "and the people who have one",
        ),
        computing.envy,
    ),
    Measure(
        "waste",
        Label("閒置的缺額", "open seats that somebody wanted"),
        _WISHES,
        Label(
            "比結果更想去、最後仍有其可申請之缺額的志願數；以及有這種志願的人數",
            "wishes preferred to the result where a seat that the applicant may take "
            "is left open; and the people who have one",
        ),
        computing.waste,
    ),
    Measure(
        "blocking_pairs",
        Label("還能互換的兩人", "pairs who would swap"),
        Label("對", "pairs"),
        Label(
            "彼此都比較想要對方結果的兩人",
            "pairs of applicants who each prefer the other's result",
        ),
        computing.blocking_pairs,
    ),
    Measure(
        "blocking_circles",
        Label("還能參加交換的人", "people in an exchange left"),
        _PEOPLE,
        Label(
            "若以結果再交換（人數不限），至少有一種交換使其更好的人",
            "people for whom some exchange of results, of any size, is left",
        ),
        computing.blocking_circles,
    ),
    Measure(
        "regret",
        Label("遺憾程度", "regret"),
        _SHARE,
        Label(
            "排在結果前面的志願占其志願的比例，留任為 1；平均，並依積分順位分為十等分",
            "share of the wishes that stand before the result, 1 for who stays; mean, "
            "and by tenths of those ranked by points",
        ),
        computing.regret,
    ),
    Measure(
        "bound",
        Label("已證明的上限", "proved bound"),
        _PEOPLE,
        Label(
            "最佳解的案：同樣條件下，已證明不可能再多的人數",
            "for an optimum: nobody could move more than so many on the same terms",
        ),
        computing.bound,
    ),
    Measure(
        "gap",
        Label("與上限的差距", "gap to the bound"),
        _SHARE,
        Label(
            "最佳解的案：上限中未達成的比例；0 表示已是最多",
            "for an optimum: the share of the bound that did not move; 0 is the most",
        ),
        computing.gap,
    ),
    Measure(
        "optimum",
        Label("最多可達成人數", "most moves possible"),
        _PEOPLE,
        Label(
            "不限交換人數、空出的位置可再補時，最多能達成介聘的人",
            "the most who could move, with exchanges of any size and seats refilled",
        ),
        computing.optimum,
        needs_optimum=True,
    ),
    Measure(
        "optimum_share",
        Label("占最多可達成人數", "share of the optimum"),
        _SHARE,
        Label(
            "達成介聘的人占最多可達成人數的比例",
            "people who moved among the most who could",
        ),
        computing.optimum_share,
        needs_optimum=True,
    ),
)

MEASURES: Final[Mapping[str, Measure]] = {one.name: one for one in _IN_ORDER}
WITHOUT_OPTIMUM: Final = tuple(one.name for one in _IN_ORDER if not one.needs_optimum)


def check_names(names: Iterable[str]) -> None:
    """Raise BadArgument for a measure that nobody knows.

    >>> check_names(["moves", "envy"])
    """
    for name in names:
        if name not in MEASURES:
            known = ", ".join(MEASURES)
            raise errors.BadArgument(f"measure {name!r}; expected one of {known}")


def measure(situation: Situation, names: Iterable[str] = WITHOUT_OPTIMUM) -> list[Row]:
    """Return the figures of the measures named, in their order, key by key.

    Raises BadArgument for a name that is none of MEASURES; NotInstalled when one needs
    the optimum and its packages are not there.

    >>> from jiepin.core import Round, Rules
    >>> from jiepin.core.market import encode
    >>> from jiepin.core.measures import Background
    >>> from jiepin.core.solve import clear
    >>> rules = Rules.load("taiwan-110")
    >>> encoded = encode(Round.read("fixtures/rounds/mutual"), rules)
    >>> situation = Situation.of(Background(encoded), rules, clear(encoded, rules))
    >>> [tuple(row) for row in measure(situation, ["choices", "envy"])][:2]
    [('choices', '1', 2.0), ('choices', '2', 0.0)]
    """
    names = list(names)
    check_names(names)
    return [
        Row(name, key, float(value))
        for name in names
        for key, value in MEASURES[name].compute(situation)
    ]


_KEYS: Final = {
    computing.TOTAL: Label("合計", "all"),
    computing.BEFORE: Label("介聘前", "before"),
    computing.AFTER: Label("介聘後", "after"),
    computing.APPLICANTS: Label("人數", "people"),
    computing.LARGER: Label(
        f"{computing.HIGHEST + 1} 角調以上", f"{computing.HIGHEST + 1}-way and larger"
    ),
    **terms.LEVELS,
}


def key_label(name: str, key: str) -> Label:
    """Return what a key of a measure stands for, in words; codes stay as they are.

    >>> key_label("exchanges", "3").zh, key_label("regret", "1").en
    ('三角調', 'tenth 1 by points')
    >>> key_label("choices", "51–").zh
    '第 51 志願以後'
    """
    if name == "stages":
        return terms.stage_label(key)
    if key in _KEYS:
        return _KEYS[key]
    if name == "exchanges":
        return terms.exchange_label(int(key))
    if name == "choices":
        if key.endswith("–"):
            return Label(f"第 {key[:-1]} 志願以後", f"choice {key[:-1]} on")
        return Label(f"第 {key} 志願", f"choice {key}")
    if name == "regret":
        return Label(f"積分順位第 {key} 等分", f"tenth {key} by points")
    return Label(key, key)
