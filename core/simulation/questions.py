"""What the report of a simulation asks, and which picture answers it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from jiepin.core.measures.computing import APPLICANTS, TOTAL
from jiepin.core.terms import Label

DOTS: Final = "dots"  # a mean and its interval for each case
STACK: Final = "stack"  # a bar for each case, made of the keys
GRID: Final = "grid"  # a cell for each case and key
CHANGE: Final = "change"  # before and after, for each case
COUNTIES: Final = "counties"  # a mark for each county and case
FLOWS: Final = "flows"  # a cell for each two counties, one case at a time


@dataclass(frozen=True, slots=True)
class Chart:
    """One picture: its name in files, its form, and the figures it shows.

    key         which figure of the measure, in dots
    difference  is the difference to the baseline shown, and not the figure itself?
    about       how to read it, where the question does not tell
    """

    name: str
    form: str
    measure: str
    title: Label
    key: str = TOTAL
    difference: bool = False
    about: Label | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A section of the report: what is asked, its pictures, and the tables behind.

    tables are names of measures, in the order of the tables.
    """

    name: str
    title: Label
    about: Label
    charts: tuple[Chart, ...]
    tables: tuple[str, ...]


QUESTIONS: Final = (
    Question(
        "moves",
        Label("多少人達成介聘？", "How many move?"),
        Label(
            "點是各次模擬的平均，橫線是平均的 95 % 信賴區間；虛線是基準的平均。",
            "A point is the mean of the replications, the line through it the 95 % "
            "confidence interval of the mean; the dashed line is the mean of the "
            "baseline.",
        ),
        (
            Chart("moves", DOTS, "moves", Label("達成介聘人數", "People who move")),
            Chart(
                "moves-difference",
                DOTS,
                "moves",
                Label("達成人數與基準的差", "People who move, less the baseline"),
                difference=True,
                about=Label(
                    "與基準的差，是同一次模擬（同一批教師、同一組抽籤）之內相減："
                    "區間不含 0，差異就不像是抽樣造成的。",
                    "The difference to the baseline within each replication (same "
                    "teachers, same lottery): where its interval does not hold 0, "
                    "sampling alone hardly explains it.",
                ),
            ),
        ),
        ("moves", "share"),
    ),
    Question(
        "optimum",
        Label("離最佳還有多遠？", "How far is the best possible?"),
        Label(
            "同一批教師、該案的缺額，交換人數不限、空出的位置可再補，最多有多少人能達成，"
            "是以最小成本流求得的確切值。圖是達成人數占它的比例；缺額不同的案，"
            "各有自己的最佳。",
            "The most of the same teachers who could move with the seats of the case, "
            "exchanges of any size and seats refilled, is found exactly, as a "
            "minimum-cost flow. The picture is the share of it that moves; cases with "
            "other seats have another best.",
        ),
        (
            Chart(
                "optimum",
                DOTS,
                "optimum_share",
                Label("占最多可達成人數", "Share of the most that could move"),
            ),
        ),
        ("optimum_share", "optimum", "bound", "gap"),
    ),
    Question(
        "choices",
        Label("達成者得到第幾志願？", "Which choice do people get?"),
        Label(
            "每一橫條是一案，依達成的志願序分段，長度是平均人數。",
            "A bar for each case, in parts by the number of the choice; the length is "
            "the mean number of people.",
        ),
        (
            Chart(
                "choices",
                STACK,
                "choices",
                Label("各志願序的達成人數", "People who move, by choice"),
            ),
        ),
        ("choices",),
    ),
    Question(
        "stages",
        Label(
            "在哪一階段、以幾人的交換達成？",
            "In which stage, by exchanges of how many?",
        ),
        Label(
            "達成人數依作業階段分段；交換的案數依一案有幾人分段。",
            "People who move are told by stage; exchanges are counted by how many "
            "people take part in one.",
        ),
        (
            Chart(
                "stages",
                STACK,
                "stages",
                Label("各作業階段的達成人數", "People who move, by stage"),
            ),
            Chart(
                "exchanges",
                STACK,
                "exchanges",
                Label("各種人數的交換案數", "Exchanges, by people in one"),
            ),
        ),
        ("stages", "exchanges"),
    ),
    Question(
        "counties",
        Label("各縣市增加或減少多少人？", "Which counties gain, which lose?"),
        Label(
            "淨調入是調入減調出：0 的右邊是增加，左邊是減少。",
            "Net moves are those who come less those who leave: right of 0 a county "
            "gains, left of it it loses.",
        ),
        (
            Chart(
                "counties",
                COUNTIES,
                "county_net",
                Label("各縣市淨調入", "Net moves into each county"),
            ),
        ),
        ("county_net", "county_in", "county_out", "county_within"),
    ),
    Question(
        "flows",
        Label("人從哪裡到哪裡？", "Who goes from where to where?"),
        Label(
            "列是調出縣市，欄是調入縣市，顏色越深人數越多。",
            "Rows are the counties left, columns the counties joined; the darker, the "
            "more people.",
        ),
        (
            Chart(
                "flows",
                FLOWS,
                "flows",
                Label("縣市之間的流動", "Moves between counties"),
            ),
        ),
        ("flows",),
    ),
    Question(
        "remote",
        Label(
            "偏遠學校與原民校留得住經驗嗎？",
            "Do remote and indigenous schools keep experience?",
        ),
        Label(
            "空心是介聘前、實心是介聘後，在這些學校的申請教師的平均服務年資；"
            "流失的年資是離開者年資的總和減去調入者年資的總和。",
            "The mean years of service of the applicants who sit at these schools, "
            "hollow before and filled after; experience lost is the years of service "
            "of those who leave less those of who come.",
        ),
        (
            Chart(
                "remote-years",
                CHANGE,
                "remote_years",
                Label("偏遠學校：平均年資", "Remote schools: mean service"),
            ),
            Chart(
                "remote-lost",
                DOTS,
                "remote_experience_lost",
                Label("偏遠學校：流失的年資", "Remote schools: experience lost"),
            ),
            Chart(
                "indigenous-years",
                CHANGE,
                "indigenous_years",
                Label("原民校：平均年資", "Indigenous schools: mean service"),
            ),
            Chart(
                "indigenous-lost",
                DOTS,
                "indigenous_experience_lost",
                Label("原民校：流失的年資", "Indigenous schools: experience lost"),
            ),
        ),
        (
            "remote_applicants",
            "remote_years",
            "remote_experience_lost",
            "indigenous_applicants",
            "indigenous_years",
            "indigenous_experience_lost",
        ),
    ),
    Question(
        "fairness",
        Label(
            "誰的順位被越過、還有多少人想換？",
            "Who is passed over, and who would still trade?",
        ),
        Label(
            "有理由的羨慕：更想去的學校有順位較後的人調入。閒置：更想去的學校最後還有"
            "可申請的缺額。還能互換、還能交換：以結果再換一次，雙方或全體都會更好。",
            "Justified envy: somebody who comes later moved into a school that one "
            "prefers. A seat left: a preferred school still has a seat one might take. "
            "Would swap, would trade: trading the results once more would be better "
            "for everybody who takes part.",
        ),
        (
            Chart(
                "envy",
                DOTS,
                "envy",
                Label("有理由羨慕的人", "People with justified envy"),
                key=APPLICANTS,
            ),
            Chart(
                "waste",
                DOTS,
                "waste",
                Label("想要的缺額閒置的人", "People who wanted a seat that is left"),
                key=APPLICANTS,
            ),
            Chart(
                "blocking-pairs",
                DOTS,
                "blocking_pairs",
                Label("還能互換的兩人", "Pairs who would swap"),
            ),
            Chart(
                "blocking-circles",
                DOTS,
                "blocking_circles",
                Label("還能參加交換的人", "People who would trade in a circle"),
            ),
        ),
        ("envy", "waste", "blocking_pairs", "blocking_circles"),
    ),
    Question(
        "regret",
        Label("積分高的人比較滿意嗎？", "Do more points bring less regret?"),
        Label(
            "遺憾程度是排在結果前面的志願占其志願的百分比，留任為 100。"
            "欄是依積分順位分的十等分，1 是積分最高的十分之一。",
            "Regret is the percentage of one's wishes that stand before the result, "
            "100 for who stays. Columns are tenths of those ranked by points, 1 the "
            "tenth with the most.",
        ),
        (
            Chart(
                "regret",
                GRID,
                "regret",
                Label("各十等分的遺憾程度", "Regret of each tenth"),
            ),
        ),
        ("regret",),
    ),
)


def asked(measures: Collection[str]) -> Iterator[Question]:
    """Yield the questions that these measures answer, with the pictures they allow.

    >>> [question.name for question in asked(["share", "flows"])]
    ['moves', 'flows']
    """
    for question in QUESTIONS:
        tables = tuple(name for name in question.tables if name in measures)
        charts = tuple(one for one in question.charts if one.measure in measures)
        if tables:
            yield replace(question, charts=charts, tables=tables)
