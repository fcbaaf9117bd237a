"""A whole small year in a real browser: three counties, thirty teachers, two results.

It begins with an empty database and ends with what anybody can do afterwards: solve the
announced data again and get the same bytes. The first of each kind of form is filled in
by clicks and keys; what repeats is posted as the same pages would post it.
"""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import staff_cards
from frozen_site import quick_engine
from site_browser import WIDTHS, Browser, Page, check, expect, keep_picture, launched
from site_server import SiteServer, site_server
from staff_cards import Telephone
from year_story import (
    ANSWERS,
    CHEN,
    COUNTIES,
    HUANG,
    LIN,
    ORGANISER,
    PAN,
    PASSWORD,
    PUBLISHED,
    QIU,
    REJECTED,
    RETURNED,
    TABLES,
    TEACHERS,
    TIMES,
    UNREVIEWED,
    WANG,
    WEN,
    YEAR,
    ZHANG,
    Official,
    Teacher,
    Visitor,
    file_application,
    ods,
    of_county,
    official,
    points_of,
    taipei,
    unzipped,
)

from jiepin.web import round_run
from jiepin.web.clock import SetClock
from jiepin.web.demo import Person
from jiepin.web.settings import Settings
from jiepin.web.staff.accounts import add_host_head
from jiepin.web.store import results
from jiepin.web.store.applications import Application

RUN_WITHIN = 240_000  # milliseconds, beside whatever else the machine does
ZHANG_WRONG, ZHANG_RIGHT = ZHANG.points, 65
FOLDER = f"rounds/{YEAR}"
FILES = ("assignments.csv", "exchanges.csv")


@dataclass
class Story:
    """The site, its clock, and everybody who has sat down at it."""

    server: SiteServer
    browser: Browser
    clock: SetClock
    folder: Path
    staff: dict[str, Official] = field(default_factory=dict)
    teachers: dict[str, Visitor] = field(default_factory=dict)
    applications: dict[str, Application] = field(default_factory=dict)

    def visitor(self, width: int = 1280) -> Visitor:
        return Visitor.new(self.server, self.browser, self.clock, width)

    def enrol(self, key: str, end: str, person: Person, code: str) -> Official:
        """Let somebody come in for the first time with the code handed over to him."""
        visitor = self.visitor()
        telephone = staff_cards.enrol(visitor, end, person, code)
        self.staff[key] = Official(visitor, end, person, telephone)
        return self.staff[key]

    def at(self, moment: str) -> None:
        """Let time pass; whoever was signed in has to come in again."""
        self.clock.set(taipei(moment))

    def number(self, one: Teacher) -> str:
        """Return the number that the review gave to somebody."""
        number = self.applications[one.person.name].number
        assert number is not None
        return number

    def read_applications(self) -> None:
        for one in TEACHERS:
            name = one.person.name
            self.applications[name] = self.teachers[name].application(one.person)

    def close(self) -> None:
        officials = [official.visitor for official in self.staff.values()]
        for visitor in (*officials, *self.teachers.values()):
            visitor.close()


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    folder = tmp_path / "site"

    def settings_at(origin: str) -> Settings:
        return Settings(data=folder, origin=origin, keys=folder / "keys.json")

    folder.mkdir()
    clock = SetClock(taipei("2026-04-10T09:00"))
    with (
        quick_engine(),
        launched() as browser,
        site_server(settings_at, clock) as server,
    ):
        told = Story(server, browser, clock, folder)
        yield told
        told.close()


def test_a_whole_small_year(story: Story) -> None:
    begin_with_an_empty_site(story)
    set_the_year_up(story)
    make_accounts(story)
    put_in_schools_and_rosters(story)
    everybody_files(story)
    counties_review(story)
    freeze_without_the_unreviewed(story)
    run_and_approve(story, run=1)
    publish_at_a_time(story)
    a_teacher_reads_why(story)
    anybody_reads_the_list(story)
    somebody_defaults(story, WEN, {CHEN, QIU}, opened=True)
    somebody_defaults(story, PAN, {LIN}, opened=False)
    correct_and_run_again(story)
    publish_the_correction(story)
    the_dropouts_still_count(story)
    the_same_bytes_again(story)
    the_audit_holds(story)


def look(page: Page, name: str) -> None:
    """Hold a page to what every page is held to, on a telephone; it ends wide.

    The tests of each area do so for every page at every width.
    """
    resize(page, "390px")
    check(page, f"year-{name}")
    resize(page, "1280px")
    keep_picture(page, f"year-{name}")


def resize(page: Page, width: str) -> None:
    page.set_viewport_size({"width": WIDTHS[width], "height": 844})


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


# before the year


def begin_with_an_empty_site(story: Story) -> None:
    """The command makes the first head; he comes in with card, code and telephone."""
    person = official("施文傑", "M")
    made = story.server.run(
        add_host_head, story.server.site, person.name, person.national_id
    )
    visitor = story.visitor()
    page = visitor.page
    page.goto("/host/")
    page.get_by_role("link", name="首次登入").click()
    page.fill("#enrol", made.code)
    page.fill("#password", staff_cards.PASSWORD)
    page.fill("#again", staff_cards.PASSWORD)
    visitor.show_card("host", person)
    page.wait_for_url("**/host/enrol/setup")
    secret = page.locator("code.key").inner_text().replace(" ", "")
    telephone = Telephone(visitor, secret)
    page.fill("#code", telephone.code())
    press(page, "確認並登入")
    page.wait_for_url("**/host/home")
    visitor.take_cookies()
    story.staff["host"] = Official(visitor, "host", person, telephone)


def set_the_year_up(story: Story) -> None:
    """Year, who takes part, limits, schedule and rules: all typed in."""
    page = story.staff["host"].page
    page.get_by_role("link", name="開始第一個年度").click()
    expect(page.locator("#year")).to_have_value(str(YEAR))
    page.fill("#organiser", ORGANISER)
    press(page, "開始年度")
    for box in page.locator("#levels input, #counties input").all():
        wanted = box.get_attribute("value") in ("elementary", *COUNTIES)
        box.set_checked(wanted)
    page.fill("#max_choices", "30")
    page.fill("#points-awards", "10")
    press(page, "儲存參加者與上限")
    expect(page.get_by_role("status")).to_have_text("設定已儲存。")
    page.get_by_role("link", name="作業日程").click()
    for name, value in TIMES.items():
        page.fill(f"#{name}", value)
    press(page, "儲存日程")
    expect(page.locator(".times-table")).to_contain_text("115年4月20日（週一） 08:00")
    page.goto("/host/rules")
    page.get_by_role("link", name="他縣市介聘（110 年度作業）").click()
    press(page, "儲存規則")
    expect(page.locator("ol.stages > li")).to_have_count(6)
    look(page, "rules")


def make_accounts(story: Story) -> None:
    """The head makes two colleagues and the counties' heads; these make reviewers."""
    host = story.staff["host"]
    reviewer, clerk = official("鄭可晴", "F"), official("何承恩", "M")
    code = make_by_hand(host.page, "/host/staff/new", reviewer, role="reviewer")
    story.enrol("host reviewer", "host", reviewer, code)
    code = host.add_colleague(clerk, "/host/staff/new")
    story.enrol("host clerk", "host", clerk, code)
    names = {"12": "周書安", "13": "洪淑貞", "14": "杜文華"}
    for county, name in names.items():
        person = official(name, "F")
        code = host.add_colleague(
            person, "/host/staff/new-head", county=county, levels="elementary"
        )
        head = story.enrol(f"{county} head", "city", person, code)
        other = official(name[0] + "承志", "M")
        code = head.add_colleague(other, "/city/staff/new", role="reviewer")
        story.enrol(f"{county} reviewer", "city", other, code)
    page = host.page
    page.goto("/host/staff")
    expect(page.get_by_role("row").filter(has_text="可登入")).to_have_count(6)
    expect(page.locator("main")).not_to_contain_text("尚無主管可登入的縣市")
    look(page, "accounts")


def make_by_hand(page: Page, path: str, person: Person, role: str) -> str:
    page.goto(path)
    page.fill("#national_id", person.national_id)
    page.fill("#name", person.name)
    page.check(f"#role-{role}")
    press(page, "建立帳號並產生登記碼")
    return page.locator("code.key").inner_text()


def put_in_schools_and_rosters(story: Story) -> None:
    """Schools, roster and seats come out of ods files: one county by its page."""
    for county in COUNTIES:
        head = story.staff[f"{county} head"]
        for table, sheet_of in TABLES.items():
            if county == "12":
                upload_by_hand(story, head.page, table, ods(sheet_of(county)))
            else:
                head.put_in(table, sheet_of(county))
    page = story.staff["13 head"].page
    page.goto("/city/roster")
    expect(page.locator(".counts li").first).to_contain_text("10")
    page.goto("/city/schools")
    row = page.get_by_role("row").filter(has_text="仁愛國小")
    expect(row).to_contain_text("2")


def upload_by_hand(story: Story, page: Page, table: str, content: bytes) -> None:
    file = story.folder.parent / f"{table}.ods"
    file.write_bytes(content)
    page.goto("/city/tables")
    page.set_input_files(f"#{table}-file", file)
    page.locator("form", has=page.locator(f"#{table}-file")).get_by_role(
        "button", name="上傳並試算"
    ).click()
    page.wait_for_url("**/city/tables/tried/*")
    found = {"schools": "4 新增", "roster": "10 新增", "seats": "4 變更"}[table]
    expect(page.locator(".counts")).to_contain_text(found)
    press(page, "確認匯入")
    expect(page.locator(".good")).to_be_visible()


# the teachers


def everybody_files(story: Story) -> None:
    """One fills in all pages on a telephone; the others post the same forms."""
    story.at("2026-04-20T09:00")
    for one in TEACHERS:
        visitor = story.visitor(WIDTHS["390px"])
        story.teachers[one.person.name] = visitor
        if one is CHEN:
            file_by_hand(visitor, one)
        else:
            file_application(visitor, one)
    story.read_applications()
    assert {one.state for one in story.applications.values()} == {"filed"}
    host = story.staff["host"].enter()
    host.page.goto("/host/home")
    expect(host.page.locator('[data-key="elementary-12-filed"]')).to_have_text("10")
    expect(host.page.locator(".obstacles")).to_contain_text("填報期間至")
    look(host.page, "board-filing")


def file_by_hand(visitor: Visitor, one: Teacher) -> None:
    page = visitor.page
    page.goto("/teacher/")
    page.select_option("#level", "elementary")
    visitor.show_card("teacher", one.person)
    page.wait_for_url("**/teacher/notices")
    page.locator("main form button").click()
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.locator("main form .buttons button").click()
    page.wait_for_url("**/teacher/person")
    page.fill("#phone1", "07-1234567#89")
    page.fill("#email", one.email)
    page.locator("form[data-guarded] button").click()
    page.wait_for_url("**/teacher/person#code")
    page.fill("#code", visitor.mailed("mail-code")[-1]["code"])
    page.locator("section.code button").first.click()
    page.wait_for_url("**/teacher/appointment")
    page.select_option("#indigenous", "no")
    page.select_option("#area", "general")
    page.fill("#service_years", "7")
    expect(page.locator("#school")).to_have_value(one.home.code)  # the roster knows
    page.select_option("#subject1", "E01")
    page.locator("#appointment .buttons button").click()
    page.wait_for_url("**/teacher/wishes**")
    page.select_option("#county1", one.counties[0])
    page.locator("main form .buttons button").first.click()
    for place in one.wishes:
        pool = page.locator("#results .results:visible li")
        pool.filter(has_text=place.name).get_by_role("button").click()
    expect(page.locator("#chosen > li")).to_have_count(len(one.wishes))
    page.locator("#save button[value=check]").click()
    page.wait_for_url("**/teacher/check")
    page.locator("main form button").click()
    page.wait_for_url("**/teacher/status")
    visitor.take_cookies()


# the counties


def counties_review(story: Story) -> None:
    """Two counties review all they have; the third leaves two lying."""
    story.at("2026-04-28T09:00")
    for county in COUNTIES:
        reviewer = story.staff[f"{county} reviewer"].enter()
        for one in of_county(county):
            if one in UNREVIEWED:
                continue
            application = story.applications[one.person.name]
            if one is CHEN:
                review_by_hand(reviewer.page, one, application)
            elif one is REJECTED:
                reviewer.begin_review(application.id)
                reason = {"reject-reason": "第 6 條第 1 項第 3 款：義務服務未滿"}
                reviewer.decide(application.id, "reject", **reason)
            elif one is RETURNED:
                return_and_mend(story, reviewer, one, application)
            else:
                reviewer.review(one, application.id, application.digest)
    story.read_applications()
    states = Counter(one.state for one in story.applications.values())
    assert states == {"approved": 27, "filed": 2, "rejected": 1}
    numbers = [one.number for one in story.applications.values() if one.number]
    assert len(set(numbers)) == 27
    assert all(re.fullmatch("1[234]2[0-9]{4}", number) for number in numbers)


def review_by_hand(page: Page, one: Teacher, application: Application) -> None:
    page.goto("/city/home")
    page.get_by_role("link", name="待審核").click()
    page.get_by_role("link", name=one.person.name).click()
    press(page, "開啟這筆資料")
    look(page, "review-open")
    page.fill("#code", application.digest[:16])
    press(page, "核對")
    expect(page.locator(".sheet-state")).to_contain_text("已核對")
    for item, value in points_of(one, one.points).items():
        page.fill(f"#{item}", value)
    for name, value in ANSWERS.items():
        page.check(f"#{name}-{value}")
    expect(page.locator("[data-total='1']")).to_have_text(f"{one.points + 24}.05")
    page.fill("#awards", "11")
    press(page, "儲存並審核通過")
    expect(page.locator("#summary")).to_contain_text("積分應在 0 與 10.00 之間")
    page.fill("#awards", "2.3")
    press(page, "儲存並審核通過")
    expect(page.locator("h1 .state")).to_have_text("審核通過")
    look(page, "review-approved")


def return_and_mend(
    story: Story, reviewer: Official, one: Teacher, application: Application
) -> None:
    """Send it back; the teacher mends it after the filling period, and files again."""
    reviewer.begin_review(application.id)
    reason = "電話號碼有誤，請更正"
    reviewer.decide(application.id, "return", **{"return-reason": reason})
    visitor = story.teachers[one.person.name]
    visitor.sign_in(one.person, PASSWORD)
    assert reason in visitor.get("/teacher/status").text
    form = {"name": one.person.name, "phone1": "08-7654321", "phone2": ""}
    visitor.save("/teacher/person", **form, email=one.email)
    assert visitor.save("/teacher/check").headers["location"] == "/teacher/status"
    again = visitor.application(one.person)
    assert (again.state, again.phone1) == ("filed", "08-7654321")
    reviewer.review(one, again.id, again.digest)


# the freeze and the run


def freeze_without_the_unreviewed(story: Story) -> None:
    """What nobody reviewed stands in the way, until the head leaves it out."""
    story.at("2026-05-04T09:00")
    clerk = story.staff["host clerk"].enter()
    assert "只有主管可以決定不列入未審核的申請" in clerk.get("/host/runs")
    host = story.staff["host"].enter()
    page = host.page
    page.goto("/host/home")
    expect(page.locator(".obstacles li")).to_have_count(1)
    expect(page.locator(".obstacles")).to_contain_text("尚有 2 件")
    look(page, "board")
    page.goto("/host/runs/check")
    expect(page.locator(".good")).to_contain_text("計算程式可以接受")
    page.goto("/host/runs")
    press(page, "凍結本年度資料")
    expect(page.locator("#summary")).to_contain_text("請再確認是否不列入")
    look(page, "runs-refused")
    page.get_by_label("未審核的 2 件申請不列入本次介聘").check()
    page.get_by_label("凍結說明").fill("臺東縣兩件未送審核文件")
    press(page, "凍結本年度資料")
    snapshot = page.locator("article.snapshot")
    expect(snapshot).to_contain_text("臺東縣兩件未送審核文件")
    expect(snapshot.locator("dd").nth(2)).to_have_text("27")
    tables = unzipped(host.bytes("/host/runs/snapshots/1.zip"))
    text = b"".join(tables.values()).decode()
    for one in TEACHERS:
        assert one.person.name not in text
        assert one.person.national_id not in text
        assert one.person.birth_date.isoformat() not in text


def run_and_approve(story: Story, run: int) -> None:
    """The clerk runs; verified, two people of different roles approve."""
    clerk = story.staff["host clerk"].enter()
    page = clerk.page
    page.goto("/host/runs")
    press(page, f"開始計算快照 {run}")
    page.wait_for_url(f"**/host/runs/{run}")
    if run == 1:
        keep_picture(page, "year-running")
    expect(page.locator(".state.done")).to_be_visible(timeout=RUN_WITHIN)
    expect(page.locator("main")).to_contain_text("檢核通過")
    press(page, "核可這次結果")
    expect(page.locator("main")).not_to_contain_text("已可公告")
    reviewer = story.staff["host reviewer"].enter()
    page = reviewer.page
    page.goto(f"/host/runs/{run}")
    press(page, "核可這次結果")
    expect(page.locator("main")).to_contain_text("已可公告")
    look(page, f"run-{run}")
    page.goto("/host/runs")
    expect(page.locator("table.runs tbody tr")).to_have_count(run)
    look(page, f"runs-{run}")
    stages = moves(story, run)
    assert stages == {
        "indigenous": 1,
        "one-way": 3,
        "mutual": 2,
        "three-way": 3,
        "": 18,
    }


def moves(story: Story, run: int) -> Counter[str]:
    """Count by stage who moved in a run; '' did not."""
    return Counter(row["stage"] for row in assignments(story, run).values())


def assignments(story: Story, run: int) -> dict[str, dict[str, str]]:
    file = story.folder / FOLDER / f"run-{run}" / "assignments.csv"
    rows = csv.DictReader(file.read_text("utf-8").splitlines())
    return {row["teacher_id"]: row for row in rows}


# the result


def publish_at_a_time(story: Story) -> None:
    """Nobody sees anything until the time has come; then everybody is told."""
    page = story.staff["host"].enter().page
    page.goto("/host/results")
    page.check("#run-1")
    page.fill("#at", PUBLISHED)
    page.check("#sure")
    press(page, "排定公告")
    expect(page.get_by_role("heading", name="已排定的公告")).to_be_visible()
    look(page, "planned")
    anybody = story.visitor()
    assert "介聘結果尚未公告" in anybody.get("/public/results").text
    assert "種子</dt><dd>" not in anybody.get("/public/").text
    chen = story.teachers[CHEN.person.name]
    chen.sign_in(CHEN.person, PASSWORD)
    assert "/teacher/result" not in chen.get("/teacher/status").text
    assert chen.get("/teacher/result").status_code == 404
    story.at(PUBLISHED)
    story.server.run(results.tend, story.server.site)
    told = {mail["to"] for mail in chen.mailed("result")}
    assert told == {one.email for one in TEACHERS if is_approved(story, one)}
    anybody.close()


def is_approved(story: Story, one: Teacher) -> bool:
    return story.applications[one.person.name].state == "approved"


def a_teacher_reads_why(story: Story) -> None:
    """On a telephone: the result, and why a better wish failed; nobody's name."""
    visitor = story.teachers[CHEN.person.name]
    page = visitor.page
    page.goto("/teacher/")
    page.select_option("#level", "elementary")
    page.fill("#password", PASSWORD)
    visitor.show_card("teacher", CHEN.person)
    page.wait_for_url("**/teacher/status")
    expect(page.locator("main")).to_contain_text("和平國小")
    look(page, "status")
    page.get_by_role("link", name="為什麼").click()
    expect(page.locator(".lead")).to_contain_text("和平國小")
    reasons = page.locator(".reasons")
    expect(reasons).to_have_count(1)
    expect(reasons).to_contain_text("第 1 志願 屏東縣 仁愛國小")
    look(page, "why")
    shown = page.locator("main").inner_text()
    for one in TEACHERS:
        assert one.person.name not in shown
        assert not is_approved(story, one) or story.number(one) not in shown


def anybody_reads_the_list(story: Story) -> None:
    """The list masks names; statistics and county lists are there as well."""
    anybody = story.visitor()
    page = anybody.page
    page.goto("/public/results")
    expect(page.locator("tbody tr")).to_have_count(9)
    shown = page.locator("tbody").inner_text()
    assert "陳○華" in shown
    assert not [one for one in TEACHERS if one.person.name in shown]
    look(page, "public-list")
    page.goto("/public/statistics")
    expect(page.locator("figure img").first).to_be_visible()
    look(page, "statistics")
    page.goto("/public/")
    expect(page.locator("pre.commands")).to_contain_text("jiepin solve")
    look(page, "announced")
    anybody.close()
    city = story.staff["13 head"].enter().page
    city.goto("/city/results?way=in")
    expect(city.locator("tbody tr").filter(has_text=CHEN.person.name)).to_be_visible()
    look(city, "city-results")


# what comes after


def somebody_defaults(
    story: Story, one: Teacher, falling: set[Teacher], *, opened: bool
) -> None:
    """§11: whose moves depend on it is shown; the county opens a seat, or does not."""
    host = story.staff["host"].enter()
    page = host.page
    page.goto("/host/dropouts")
    page.get_by_label("電腦編號").fill(story.number(one))
    page.get_by_label("情形").select_option("gave-up")
    page.get_by_label("登記事由").fill("家庭因素，無法赴任")
    press(page, "登記")
    page.wait_for_url("**/host/dropouts/*")
    own = page.url
    depending = page.locator("table.list tbody tr")
    expect(depending).to_have_count(len(falling))
    for other in falling:
        expect(depending.filter(has_text=story.number(other))).to_be_visible()
    look(page, f"dropout-{one.county}")
    city = story.staff[f"{one.county} head"].enter().page
    city.goto("/city/dropouts")
    look(city, f"city-dropouts-{one.county}")
    press(city, "增開一個缺額" if opened else "不增開缺額")
    page.goto(own)
    press(page, "套用到結果")
    expect(page.locator("main")).to_contain_text("均維持" if opened else "失其效力")
    look(page, f"dropout-applied-{one.county}")
    for other in falling:
        assert standing(story, other) == opened, other.person.name
    assert not standing(story, one)


def standing(story: Story, one: Teacher) -> bool:
    """Tell whether the published list says that somebody moves."""
    return story.number(one) in story.staff["host"].get("/host/results/list")


def correct_and_run_again(story: Story) -> None:
    """§14: the points of one were wrong; his county mends them, and it is run again."""
    story.at("2026-05-14T09:00")
    number = story.number(ZHANG)
    page = story.staff["host"].enter().page
    page.goto("/host/corrections")
    page.locator("#number").fill(number)
    page.get_by_label("更正事由").fill("原因積分誤植")
    press(page, "開放更正")
    city = story.staff["12 reviewer"].enter()
    application = story.applications[ZHANG.person.name]
    city.begin_review(application.id)
    undo = {"undo-reason": "原因積分誤植，依承辦縣市開放更正"}
    city.decide(application.id, "undo", **undo)
    other = story.applications[LIN.person.name]
    city.begin_review(other.id)
    assert "undo-reason" not in city.get(f"/city/applications/{other.id}")
    desk = city.page
    desk.goto(f"/city/applications/{application.id}")
    press(desk, "開啟這筆資料")
    expect(desk.locator("#reason1")).to_have_value(str(ZHANG_WRONG))
    desk.fill("#reason1", str(ZHANG_RIGHT))
    press(desk, "儲存並審核通過")
    expect(desk.locator("h1 .state")).to_have_text("審核通過")
    page.goto("/host/corrections")
    look(page, "corrections")
    page.get_by_role("button", name=f"更正完成，關閉 {number}").click()
    page.get_by_label("重行辦理的原因").fill("一人原因積分誤植")
    press(page, "凍結更正的快照")
    run_and_approve(story, run=2)
    page = story.staff["host"].enter().page
    page.goto("/host/runs/1/compare/2")
    expect(page.locator("tbody tr").filter(has_text=number)).to_be_visible()
    look(page, "compared")


def publish_the_correction(story: Story) -> None:
    """Exactly two results differ: these are told, and nobody else is."""
    page = story.staff["host"].enter().page
    page.goto("/host/corrections/2")
    lines = page.locator("tbody tr")
    expect(lines).to_have_count(2)
    expect(lines.filter(has_text=ZHANG.person.name)).to_contain_text("更正後達成")
    expect(lines.filter(has_text=WANG.person.name)).to_contain_text("更正後未達成")
    look(page, "differences")
    before = len(story.teachers[CHEN.person.name].mailed("result"))
    page.goto("/host/results")
    page.check("#run-2")
    page.check("#sure")
    press(page, "排定公告")
    expect(page.locator("main")).to_contain_text("第 2 次計算的結果自")
    story.server.run(results.tend, story.server.site)
    told = story.teachers[CHEN.person.name].mailed("result")[before:]
    assert {mail["to"] for mail in told} == {ZHANG.email, WANG.email}
    look(page, "published")
    assert standing(story, ZHANG)
    assert standing(story, HUANG)
    assert not standing(story, WANG)


def the_dropouts_still_count(story: Story) -> None:
    """Who gave up before the correction has given up after it, too."""
    page = story.staff["host"].page
    page.goto("/host/dropouts")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("main")).not_to_contain_text("待重新套用")
    look(page, "dropouts")
    assert [standing(story, one) for one in (WEN, PAN, LIN)] == [False] * 3
    assert [standing(story, one) for one in (CHEN, QIU)] == [True] * 2


# what anybody can do


def the_same_bytes_again(story: Story) -> None:
    """What is announced, solved with the seed that is revealed, gives the result."""
    anybody = story.visitor()
    page = anybody.get("/public/").text
    seeds = set(re.findall(r"--seed (\d+)", page))
    nonces = set(re.findall(r"'jiepin seed 1 \d+ (\w+)'", page))
    assert len(seeds) == len(nonces) == 1  # a correction keeps the lot
    [seed], [nonce] = seeds, nonces
    commitment = hashlib.sha256(f"jiepin seed 1 {seed} {nonce}".encode()).hexdigest()
    assert page.count(commitment) == 2
    for run in (1, 2):
        files = unzipped(anybody.http.get(f"/public/snapshots/{run}/round.zip").content)
        again = story.folder.parent / f"again-{run}"
        for name, content in files.items():
            (again / name).parent.mkdir(parents=True, exist_ok=True)
            (again / name).write_bytes(content)
        snapshot = again / f"snapshot-{run}"
        digest = hashlib.sha256((snapshot / "manifest.json").read_bytes()).hexdigest()
        assert digest in page
        rules = ("--rules", snapshot / "rules.toml", "--seed", seed)
        jiepin(story, "solve", snapshot, *rules, "--out", again / "result")
        jiepin(story, "verify", snapshot, again / "result")
        for name in FILES:
            stored = story.folder / FOLDER / f"run-{run}" / name
            assert (again / "result" / name).read_bytes() == stored.read_bytes()
    anybody.close()


def jiepin(story: Story, *arguments: object) -> None:
    """Run the engine's command, as who has nothing but the announced data would."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", round_run.MAIN, *map(str, arguments)],
        env=round_run.environment(story.folder),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def the_audit_holds(story: Story) -> None:
    """Every entry is as it was written, and the command says so."""
    page = story.staff["host"].enter().page
    page.goto("/host/audit?check=1")
    expect(page.locator(".good")).to_contain_text("完整")
    look(page, "audit")
    command = "from jiepin.web.cli import main; main()"
    done = subprocess.run(
        [
            *(sys.executable, "-c", command),
            *("audit", "verify", "--data", str(story.folder)),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [entries] = re.findall(r"(\d+) entries", done.stdout)
    assert int(entries) > 400
