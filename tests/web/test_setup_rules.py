"""The rules of the year: checked, told in words, saved, and one truth of the limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from practice_round import Client, running
from staff_site import host_desk

from jiepin.core import Limits, Rules
from jiepin.web.host import rules as pages
from jiepin.web.language import speaking
from jiepin.web.problems import Problems
from jiepin.web.site import Site
from jiepin.web.store import rounds, schools
from jiepin.web.store.schools import RoundSettings

PAGE = "/host/rules"
YEAR = RoundSettings(115, "", 1, 2, 3, 30, 1)
SHORT = '[[stage]]\nname = "mutual"\nkind = "exchange"\nsize = 2\n'


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("site")) as client:
        yield host_desk(client)


def stored(client: Client) -> RoundSettings:
    async def read(site: Site) -> RoundSettings:
        async with site.database.reading() as db:
            return await schools.the_round(db)

    return client.call(read)


def post(client: Client, text: str, then: str):
    return client.post(PAGE, version=client.version(PAGE), rules=text, then=then)


def test_h03_rules_are_loaded_checked_and_saved(host: Client) -> None:
    page = host.get(PAGE).text
    assert "使用預設規則" in page
    assert "name = &#34;taiwan-110&#34;" in page
    loaded = host.get(PAGE + "?preset=county-internal").text
    assert "已載入「市內介聘」，儲存後才生效。" in loaded
    assert "沒有人會參加" in loaded  # volunteers for remote schools are unknown here
    text = 'name = "short"\n# a note of ours\n' + SHORT
    before = host.digest()
    checked = post(host, text, "check")
    assert checked.status_code == 200
    assert "規則可用，尚未儲存。" in checked.text
    assert "2 人互相對調學校，由積分高者發起" in checked.text
    assert host.digest() == before
    assert post(host, text, "save").headers["location"] == PAGE + "?saved=1"
    assert stored(host).rules == text.strip()
    assert "# a note of ours" in host.get(PAGE).text
    assert "使用預設規則" not in host.get(PAGE).text
    post(host, "", "save")
    assert "使用預設規則" in host.get(PAGE).text


BAD = [
    ("name = ", "不是 TOML", "not TOML"),
    ('name = "a"\n', "至少要有一個階段", "at least one"),
    ("name = 'a'\nbonus = 1\n" + SHORT, "「bonus」", "'bonus'"),
    ("name = 'a'\npriority = 'x'\n" + SHORT, "per-county, best", "per-county, best"),
    (SHORT.replace("2", "11"), "交換人數", "from 2 to 10"),
    ("name = 'a'\n" + SHORT + SHORT, "stage 2, name", "stage 2, name"),
    ("name = 'a'\n" + SHORT + "x" * 20_000, "至多 20000", "at most 20000"),
]


@pytest.mark.parametrize(("text", "zh", "en"), BAD)
@pytest.mark.parametrize("then", ["check", "save"])
def test_bad_rules_are_told_in_the_language_spoken(
    host: Client, text: str, zh: str, en: str, then: str
) -> None:
    text = text if "name = 'a'" in text or "kind" not in text else f"name='a'\n{text}"
    before = host.digest()
    for language, words in (("zh-Hant", zh), ("en", en)):
        host.post("/language", language=language, back="/")
        answer = post(host, text, then)
        assert answer.status_code == 422
        told = re.sub("<textarea.*?</textarea>", "", answer.text, flags=re.DOTALL)
        assert words in told.replace("&#39;", "'")
        assert 'href="#rules"' in answer.text
    host.post("/language", language="zh-Hant", back="/")
    assert host.digest() == before


# one truth of the limits

NAMES = st.text(min_size=1, max_size=8)
TAGS = st.sampled_from(["indigenous", "remote", "swap-only", "unheard-of"])
FILTERS = st.none() | TAGS
ONE_WAY = st.fixed_dictionaries(
    {"kind": st.just("one-way"), "reopen": st.booleans()},
    optional={"applicants": TAGS, "schools": TAGS},
)
EXCHANGE = st.fixed_dictionaries(
    {"kind": st.just("exchange"), "size": st.integers(2, 10)}
)
STAGES = st.lists(ONE_WAY | EXCHANGE, min_size=1, max_size=5)
TIES = st.permutations(["service_years", "birth_date", "lottery"])


@st.composite
def rule_sets(draw: st.DrawFn) -> Rules:
    """Draw any rule set that can be read, whatever limits it has."""
    stages = [{"name": f"s{n}"} | stage for n, stage in enumerate(draw(STAGES))]
    return Rules.from_dict(
        {
            "name": draw(NAMES),
            "priority": draw(st.sampled_from(["per-county", "best"])),
            "tie_break": draw(TIES)[: draw(st.integers(0, 3))],
            "limits": {"choices": draw(st.integers(0, 99)), "home_county": True},
            "stage": stages,
        }
    )


@settings(max_examples=60, deadline=None)
@given(rule_sets(), st.integers(1, 2), st.integers(1, 3), st.integers(0, 999))
def test_the_year_says_how_much_may_be_wished_and_the_rules_all_else(
    rules: Rules, counties: int, subjects: int, choices: int
) -> None:
    year = RoundSettings(115, "", 1, counties, subjects, choices, 1)
    text = rounds.rules_text(replace(year, rules=rules.to_toml()))
    read = Rules.from_toml(text)
    assert read.limits == Limits(counties, subjects, choices, home_county=False)
    assert replace(read, limits=rules.limits) == rules


@settings(max_examples=60, deadline=None)
@given(rule_sets(), st.sampled_from(["zh-Hant", "en"]))
def test_any_rules_can_be_told_in_words(rules: Rules, language: str) -> None:
    with speaking(language):
        told = pages.preview(replace(YEAR, rules=rules.to_toml()))
    assert not isinstance(told, Problems)
    assert len(told.stages) == len(rules.stages)
    assert len(told.ties) == len(rules.tie_break)
    strange = [s for s in rules.stages if s.schools == "unheard-of"]
    strange += [s for s in rules.stages if s.applicants not in (None, "indigenous")]
    assert len(told.doubts) == len(strange)
    assert all(stage.lines for stage in told.stages)


def test_a_preset_differs_from_itself_by_nothing() -> None:
    for name in pages.PRESET_NAMES:
        text = Rules.load(name).to_toml()
        told = pages.preview(replace(YEAR, rules=text))
        assert not isinstance(told, Problems)
        assert (told.preset, told.diff) == (pages.PRESET_NAMES[name], [])


def test_the_difference_shows_what_was_changed() -> None:
    text = Rules.load("taiwan-110").to_toml().replace("size = 5", "size = 6")
    told = pages.preview(replace(YEAR, rules=text))
    assert not isinstance(told, Problems)
    assert ("-", "size = 5") in told.diff
    assert ("+", "size = 6") in told.diff


def test_the_usual_rules_hold_where_none_are_stored() -> None:
    rules = Rules.from_toml(rounds.rules_text(YEAR))
    assert rules == replace(
        Rules.load(rounds.USUAL_RULES), limits=Limits(2, 3, 30, home_county=False)
    )
