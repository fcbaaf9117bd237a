"""The fixed words, sentinels and units, with their Chinese labels."""

from __future__ import annotations

from typing import Final, NamedTuple

NOBODY: Final = -1  # no applicant, no claim, no position
POINTS_PER_POINT: Final = 100  # points are held in hundredths of a point
LIST_SEPARATOR: Final = "|"  # between the entries of one CSV cell

JUNIOR_HIGH: Final = "junior-high"
ELEMENTARY: Final = "elementary"
KINDERGARTEN: Final = "kindergarten"

ONE_WAY: Final = "one-way"
EXCHANGE: Final = "exchange"

PER_COUNTY: Final = "per-county"
BEST: Final = "best"

SERVICE_YEARS: Final = "service_years"
BIRTH_DATE: Final = "birth_date"
LOTTERY: Final = "lottery"

SWAP_ONLY: Final = "swap-only"  # tag of schools that take part in exchanges alone


class Label(NamedTuple):
    """A word for people, Traditional Chinese and English."""

    zh: str
    en: str


def label_in(label: Label, lang: str) -> str:
    """Return a label in Chinese ("zh") or English ("en").

    >>> label_in(LEVELS["kindergarten"], "zh")
    '幼兒園'
    """
    return label.zh if lang == "zh" else label.en


LEVELS: Final = {
    JUNIOR_HIGH: Label("國中", "junior high school"),
    ELEMENTARY: Label("國小", "elementary school"),
    KINDERGARTEN: Label("幼兒園", "kindergarten"),
}

TAGS: Final = {
    "remote": Label("偏遠", "remote"),
    "special-remote": Label("特偏", "specially remote"),
    "extreme-remote": Label("極偏", "extremely remote"),
    "correctional": Label("中途或矯正", "halfway or correctional"),
    "indigenous": Label("原民校", "indigenous"),
    SWAP_ONLY: Label("僅參加互調", "exchanges only"),
}

GROUPS: Final = {
    "indigenous": Label(
        "具原住民族身分並申請優先辦理", "indigenous, applied for priority"
    ),
    "language": Label("具本土語文認證", "holds a language certificate"),
    "remote": Label("自願至偏遠地區", "volunteers for remote schools"),
}

TIE_KEYS: Final = {
    SERVICE_YEARS: Label("服務年資", "years of service"),
    BIRTH_DATE: Label("出生日期", "date of birth"),
    LOTTERY: Label("抽籤", "lottery"),
}

EXCHANGE_SIZES: Final = range(2, 11)

STAGED: Final = "staged"  # the mechanism of the rules of the year
OPTIMUM: Final = "optimum"

MECHANISMS: Final = {
    STAGED: Label("依規則分階段", "stage by stage, by the rules"),
    "top_trading_cycles": Label("頂端交易循環", "top trading cycles"),
    "deferred_acceptance": Label("延遲接受", "deferred acceptance"),
    "block_exchange": Label("阻擋交換", "block exchange"),
    "teacher_optimal_block_exchange": Label(
        "教師最適阻擋交換", "teacher-optimal block exchange"
    ),
    "one_sided_block_exchange": Label("單邊阻擋交換", "one-sided block exchange"),
    OPTIMUM: Label("最多人達成", "the most moves possible"),
}

OBJECTIVES: Final = {
    "moves": Label("達成人數最多，其次志願序最前", "most moves, then the best choices"),
    "points": Label("達成者積分總和最高", "largest sum of the movers' points"),
    "rank": Label("積分高者依序優先達成", "whoever ranks higher moves first"),
}

_EXCHANGE_LABELS: Final = {
    2: Label("互調", "mutual"),
    3: Label("三角調", "three-way"),
    4: Label("四角調", "four-way"),
    5: Label("五角調", "five-way"),
}

_STAGE_LABELS: Final = {
    "indigenous": Label("原民調", "indigenous"),
    "remote": Label("偏遠調", "remote"),
    "one-way": Label("單調", "one-way"),
    "mutual": _EXCHANGE_LABELS[2],
    "three-way": _EXCHANGE_LABELS[3],
    "four-way": _EXCHANGE_LABELS[4],
    "five-way": _EXCHANGE_LABELS[5],
}


def stage_label(name: str) -> Label:
    """Return the label of a stage; a stage of free name is its own label.

    A mechanism beside the rules is the only stage of its result.

    >>> stage_label("mutual").zh, stage_label("first").zh
    ('互調', 'first')
    """
    return _STAGE_LABELS.get(name) or MECHANISMS.get(name) or Label(name, name)


def exchange_label(size: int) -> Label:
    """Return the label of an exchange of `size` people.

    >>> exchange_label(3).zh, exchange_label(7).en
    ('三角調', '7-way')
    """
    return _EXCHANGE_LABELS.get(size, Label(f"{size} 角調", f"{size}-way"))


def points_text(hundredths: int) -> str:
    """Return points as people write them, without a float in between.

    >>> points_text(6550), points_text(7105), points_text(8000)
    ('65.5', '71.05', '80')
    """
    whole, part = divmod(hundredths, POINTS_PER_POINT)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".") if part else str(whole)
