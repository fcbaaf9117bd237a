"""Results at the ends: the own county's, those of all, and why mine is as it is."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from practice_round import CHEN, LIN, WANG, YEAR, Client, Page, running
from published_round import HUANG, PAN, TEACHERS, Frozen, frozen_round
from staff_site import county_desk, host_desk
from strategies import Case, cases

from jiepin.core import explain, solve
from jiepin.web import explainer
from jiepin.web.documents import spreadsheets
from jiepin.web.explainer import Explained, Explainer, NotExplained, told
from jiepin.web.site import Site
from jiepin.web.store import outbox
from jiepin.web.teacher import own_result

WHY = "/teacher/result"


@dataclass(frozen=True)
class Folders:
    """A run, as the explainer must know it."""

    run: int
    round_folder: str
    run_folder: str


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with running(tmp_path_factory.mktemp("site")) as client:
        frozen = frozen_round(client)
        frozen.approve()
        frozen.publish()
        frozen.tend()
        yield frozen


def text_of(client: Client, path: str) -> str:
    return " ".join(Page(client.get(path).text).text.split())


def listed(client: Client, path: str) -> list[str]:
    """Return the names in the list of a page, in its order."""
    names = [one.person.name for one in TEACHERS]
    text = client.get(path).text.split("<tbody>")[1].split("</tbody>")[0]
    return sorted((name for name in names if name in text), key=text.index)


# the county


@pytest.mark.parametrize(
    ("county", "way", "names"),
    [
        ("12", "in", [PAN.name]),
        ("12", "out", [LIN.name, CHEN.name]),
        ("12", "stay", [WANG.name]),
        ("13", "in", [LIN.name, CHEN.name]),
        ("13", "out", [PAN.name]),
        ("13", "stay", []),
        ("14", "stay", [HUANG.name]),
        ("01", "in", []),
    ],
)
def test_c10_in_and_out_of_the_own_county(
    published: Frozen, county: str, way: str, names: list[str]
) -> None:
    desk = county_desk(published.client, county=county)
    assert listed(desk, f"/city/results?way={way}") == names


def test_c10_of_the_own_levels_alone(published: Frozen) -> None:
    desk = county_desk(published.client, levels=("junior-high",))
    for way in ("in", "out"):
        assert listed(desk, f"/city/results?way={way}&level=elementary") == []
    assert listed(desk, "/city/results?way=stay") == [WANG.name]
    assert "潘阿妹" not in desk.post("/city/results.csv?level=elementary").text


def test_c10_lists_and_letters_to_take_away(published: Frozen) -> None:
    desk = county_desk(published.client)
    for kind in ("ods", "xlsx"):
        answer = desk.post(f"/city/results.{kind}")
        assert answer.headers["content-disposition"].startswith("attachment")
        sheets = {sheet.title: sheet for sheet in spreadsheets.read(answer.content)}
        assert list(sheets) == ["調入", "調出", "未達成介聘", "發函清單"]
        [coming] = sheets["調入"].rows
        assert coming[:2] == ("1320001", "潘阿妹")
        letters = [(row[0], row[3], row[5]) for row in sheets["發函清單"].rows]
        assert letters == [
            ("123601", "調入", "潘阿妹"),
            ("123601", "調出", "林小明"),
            ("123602", "調出", "陳美華"),
        ]
    csv = desk.post("/city/results.csv?way=letters").text
    assert csv.startswith("\ufeff學校代碼,受文學校")
    assert desk.post("/city/results.pdf").status_code == 404


def test_c10_how_far_the_notices_are(published: Frozen) -> None:
    desk = county_desk(published.client)
    count = "產生介聘結果電子郵件300"
    assert count in text_of(desk, "/city/results")
    application = "application of " + LIN.name

    async def fail(site: Site) -> None:
        async with site.database.reading() as db:
            [[id_]] = await db.execute_fetchall(
                "select id from outbox where application = ?", (application,)
            )
        await outbox.failed(site, id_, "no such mailbox", None)

    published.client.call(fail)
    shown = text_of(desk, "/city/results")
    assert "產生介聘結果電子郵件201" in shown
    assert "請另行聯絡：1220001" in shown
    assert "1220001" not in text_of(
        county_desk(published.client, county="14"), "/city/results"
    )


# the host


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", [PAN.name, LIN.name, CHEN.name]),
        ("county=13&way=in", [LIN.name, CHEN.name]),
        ("county=13&way=out", [PAN.name]),
        ("county=12&way=stay&level=junior-high", [WANG.name]),
    ],
)
def test_h08_the_list_of_all(published: Frozen, asked: str, names: list[str]) -> None:
    desk = host_desk(published.client, "clerk")
    assert listed(desk, f"/host/results/list?{asked}") == names
    csv = desk.post(f"/host/results/list.csv?{asked}").text
    assert [name in csv for name in names] == [True] * len(names)
    assert csv.count("\n") == len(names) + 1


@pytest.mark.parametrize(
    ("who", "names"), [("1220002", [CHEN.name]), ("小明", [LIN.name]), ("%", [])]
)
def test_h08_somebody_is_looked_for(
    published: Frozen, who: str, names: list[str]
) -> None:
    desk = host_desk(published.client, "clerk")
    text = desk.post("/host/results/list", who=who).text
    rows = text.split("<tbody>")[1].split("</tbody>")[0]
    assert [one.person.name for one in TEACHERS if one.person.name in rows] == names


def test_h08_nobody_else_sees_it(published: Frozen) -> None:
    county = county_desk(published.client)
    assert county.post("/host/results/list.ods").headers["location"] == "/host/"
    for path in ("/host/results", "/host/results/list"):
        assert county.get(path).headers["location"] == "/host/"
        assert published.client.another().get(path).headers["location"] == "/host/"
    assert host_desk(published.client).get("/city/results").status_code == 303


# why


def test_h07_why_in_plain_words(published: Frozen) -> None:
    browser = published.teacher(LIN)
    assert f'href="{WHY}"' in browser.get("/teacher/status").text
    text = text_of(browser, WHY)
    assert "達成介聘：屏東縣中正鄉 中正國小（第 3 志願，普通）" in text
    assert "第 1 志願 屏東縣 青山國小（普通）" in text
    assert "第 2 志願 屏東縣 仁愛國小（普通）" in text
    assert "最低調入積分 70，您的積分 60" in text
    assert "第 3 志願 屏東縣" not in text  # nothing is wrong with the one he got
    assert "第 4 志願" not in text
    browser.post("/language", language="en", back=WHY)
    assert "the lowest who got one had 70, you had 60" in text_of(browser, WHY)


def test_h07_why_names_nobody_else(published: Frozen) -> None:
    for person in (LIN, HUANG, PAN):
        html = published.teacher(person).get(WHY).text
        for one in TEACHERS:
            if one.person is not person:
                assert one.person.name not in html
                assert one.number not in html


def test_h07_who_got_the_first_and_who_got_none(published: Frozen) -> None:
    assert "沒有更前面的志願" in text_of(published.teacher(CHEN), WHY)
    stays = text_of(published.teacher(WANG), WHY)
    assert "各志願為什麼沒有達成" in stays
    assert "第 1 志願 屏東縣 明正國中" in stays


def test_h07_without_signing_in_there_is_nothing(published: Frozen) -> None:
    assert published.client.another().get(WHY).headers["location"] == "/teacher/"


def test_choices_count_in_the_own_list_with_its_closed_schools(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as client:
        client.call(close)
        frozen = frozen_round(client)
        frozen.approve()
        frozen.publish()
        assert frozen.sql("select choice from run_move where number = '1220001'") == [
            (2,)
        ]
        browser = frozen.teacher(LIN)
        assert "（第 3 志願，普通）" in text_of(browser, "/teacher/status")
        text = text_of(browser, WHY)
        assert "第 2 志願 屏東縣 仁愛國小" in text
        assert "第 1 志願" not in text


async def close(site: Site) -> None:
    async with site.database.writing() as db:
        await db.execute("update school set open = 0 where code = '133601'")


@settings(max_examples=30, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(cases())
def test_h07_no_explanation_knows_of_anybody_else(case: Case) -> None:
    people = [
        replace(teacher, teacher_id=f"teacher<{n}>")
        for n, teacher in enumerate(case.draft.teachers)
    ]
    round_ = replace(case, draft=replace(case.draft, teachers=tuple(people))).round_
    outcome = solve(round_, case.rules, seed=case.seed)
    for person in people:
        found = told(explain(round_, outcome, person.teacher_id))
        assert "teacher<" not in json.dumps(found)
        for one in found["reasons"]:
            assert {school for school, _ in one["wishes"]} <= set(person.choices)


# the process beside the site

FIRST = Folders(1, f"rounds/{YEAR}/snapshot-1", f"rounds/{YEAR}/run-1")
PARROT = """
import json, sys, time
for line in sys.stdin:
    number = line.strip()
    if number == "dies":
        sys.exit(1)
    if number == "slow":
        time.sleep(0.5)
    wishes = [[number, sys.argv[1].split("/")[-1]]]
    why = {"zh-Hant": ["x"], "en": ["x"]}
    print(json.dumps({"reasons": [{"wishes": wishes, "why": why}]}), flush=True)
"""
QUICK = (sys.executable, "-I", "-S", "-c", PARROT)


def asking(work: Callable[[Explainer], Awaitable[None]]) -> None:
    """Do something with a process that knows nothing and answers at once."""

    async def run() -> None:
        asked = Explainer(Path("data"), QUICK)
        try:
            await work(asked)
        finally:
            await asked.stop()

    asyncio.run(run())


def wishes(found: Explained) -> tuple[tuple[str, str], ...]:
    return found.reasons[0].wishes


def test_answers_go_to_who_asked_and_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explainer, "SOON", 60)

    async def work(asked: Explainer) -> None:
        numbers = [f"{n}" for n in range(20)]
        found = await asyncio.gather(*(asked.explain(FIRST, n) for n in numbers))
        assert [wishes(one) for one in found] == [((n, "snapshot-1"),) for n in numbers]
        await asked.stop()
        assert asked._process is None
        assert await asked.explain(FIRST, "7") == found[7]  # without a process
        assert asked._process is None

    asking(work)


def test_a_process_that_ends_is_begun_anew() -> None:
    async def work(asked: Explainer) -> None:
        with pytest.raises(NotExplained):
            await asked.explain(FIRST, "dies")
        assert wishes(await asked.explain(FIRST, "1")) == (("1", "snapshot-1"),)

    asking(work)


def test_an_answer_that_nobody_waited_for_is_not_given_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(asked: Explainer) -> None:
        await asked.explain(FIRST, "1")  # the process is there
        first = asyncio.create_task(asked.explain(FIRST, "slow"))
        while not asked._one.locked():
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        first.cancel()
        monkeypatch.setattr(explainer, "SOON", 60)
        assert wishes(await asked.explain(FIRST, "2")) == (("2", "snapshot-1"),)

    asking(work)


def test_where_others_ask_nobody_waits_long_and_finds_it_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(explainer, "SOON", 0)

    async def work(asked: Explainer) -> None:
        first = asyncio.create_task(asked.explain(FIRST, "slow"))
        await asyncio.sleep(0)
        with pytest.raises(NotExplained):
            await asked.explain(FIRST, "2")
        assert wishes(await first) == (("slow", "snapshot-1"),)
        while asked._asked:
            await asyncio.sleep(0.01)
        assert wishes(await asked.explain(FIRST, "2")) == (("2", "snapshot-1"),)

    asking(work)


def test_of_another_run_another_process_is_asked() -> None:
    async def work(asked: Explainer) -> None:
        second = Folders(2, f"rounds/{YEAR}/snapshot-2", f"rounds/{YEAR}/run-2")
        assert wishes(await asked.explain(FIRST, "1")) == (("1", "snapshot-1"),)
        assert wishes(await asked.explain(second, "1")) == (("1", "snapshot-2"),)
        assert wishes(await asked.explain(FIRST, "1")) == (("1", "snapshot-1"),)

    asking(work)


def test_what_will_be_asked_is_worked_out_before() -> None:
    async def work(asked: Explainer) -> None:
        asked.prepare(FIRST, ["1", "2"])
        preparing = asked._preparing
        asked.prepare(FIRST, ["1"])  # each minute anew, and nothing comes of it
        assert asked._preparing is preparing
        assert preparing is not None
        await preparing
        await asked._end()
        assert await asked.explain(FIRST, "2")
        assert asked._process is None

    asking(work)


def test_when_too_many_ask_the_page_says_so(
    published: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explainer, "MOST_WAITING", 0)
    monkeypatch.setattr(published.client.app.state.explainer, "_kept", {})
    text = text_of(published.teacher(LIN), WHY)
    assert "說明尚在準備" in text
    assert "達成介聘：屏東縣" in text


def test_it_is_prepared_from_the_plan_on(
    published: Frozen,
) -> None:
    asked: list[tuple[int, tuple[str, ...]]] = []

    class Asked(Explainer):
        def prepare(self, run: explainer.Run, numbers: tuple[str, ...]) -> None:
            asked.append((run.run, numbers))

    async def tend(site: Site) -> None:
        await own_result.prepare(site, Asked(site.settings.data))

    published.client.call(tend)
    assert asked == [(1, tuple(sorted(one.number for one in TEACHERS)))]
    start = published.client.clock.now()
    published.client.clock.move(days=3)
    published.client.call(tend)
    published.client.clock.set(start)
    assert len(asked) == 1
