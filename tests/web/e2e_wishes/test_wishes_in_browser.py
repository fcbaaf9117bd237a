"""Step 5 in a real browser: mouse, touch, keyboard, no JavaScript, two widths."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from practice_round import school
from site_browser import (
    WIDTHS,
    Browser,
    Page,
    check,
    close_all,
    expect,
    launched,
    opened,
)
from wish_site import SCHOOLS, Served, served

from jiepin.web.store.schools import School
from jiepin.web.teacher import wish_list
from jiepin.web.teacher.wish_list import Insert, WishList

PHONE, DESK = WIDTHS["390px"], WIDTHS["1280px"]
EACH_WIDTH = pytest.mark.parametrize("width", [PHONE, DESK], ids=["390px", "1280px"])


def large_pool() -> Iterator[School]:
    """Make 600 schools in two counties, thirty townships each."""
    for county in ("13", "14"):
        for n in range(300):
            tags = ("remote",) if n % 3 else ()
            name = f"第{n}國小" if n % 10 else f"台{n}國小"
            yield school(f"{county}5{n:03d}", name, *tags, township=f"第{n // 10}鄉")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def round_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the small round with 600 further schools."""
    folder = tmp_path_factory.mktemp("site")
    with served(folder, (*SCHOOLS, *large_pool())) as running:
        yield running


@pytest.fixture
def site(round_: Served, chromium: Browser) -> Iterator[Served]:
    """Give the teacher an empty list; both counties are chosen."""
    fresh = round_.afresh()
    for table in ("wish", "wish_draft", "school_subject"):
        fresh.sql(f"delete from {table}")
    fresh.sql(
        "update application set county1 = '13', county2 = '14', step = 5, "
        "state = 'filling', wishes_saved = null, version = version + 1"
    )
    yield fresh
    close_all(chromium)


def visit(
    chromium: Browser, site: Served, width: int, path: str = "", **kind: Any
) -> Page:
    """Open the editor in a browser of its own; nothing may go to another host."""
    page = opened(chromium, site.origin, width, **kind)
    page.context.add_cookies([site.cookie])
    page.on("request", lambda request: refuse_others(request.url, site))
    page.goto(f"/teacher/wishes{path}")
    return page


def refuse_others(url: str, site: Served) -> None:
    assert url.startswith(site.origin), url


def ready(page: Page) -> Page:
    """Wait until the schools of the open county are there to be filtered."""
    page.locator("#results .results:visible section").first.wait_for()
    return page


def edit(chromium: Browser, site: Served, width: int) -> Page:
    return ready(visit(chromium, site, width))


def pick(page: Page, *names: str) -> None:
    for name in names:
        page.locator("#keyword").fill(name)
        page.locator("#results button:visible").first.click()
    page.locator("#keyword").fill("")


def listed(page: Page) -> list[str]:
    found: list[str] = page.locator("#chosen > li .name").all_text_contents()
    return found


def said(page: Page, text: str) -> None:
    expect(page.locator("#said")).to_have_text(text)


def told(page: Page, text: str) -> None:
    expect(page.locator("#state")).to_have_text(re.compile(text))


def save(page: Page) -> None:
    page.locator("#save button[value=stay]").click()
    told(page, "已儲存：.*第 [0-9]+ 版，校驗碼")


@EACH_WIDTH
def test_by_mouse(chromium: Browser, site: Served, width: int) -> None:
    page = edit(chromium, site, width)
    banner = page.locator("#dirty")
    expect(banner).to_be_hidden()
    pick(page, "和平", "仁愛", "青山")
    said(page, "青山國小 已加入，第 3 志願，共 3 所")
    expect(banner).to_be_visible()
    page.locator("#tabs button").nth(1).click()
    page.get_by_label("從最前插入志願").check()
    pick(page, "蘭嶼")
    assert listed(page) == ["蘭嶼國小", "和平國小", "仁愛國小", "青山國小"]
    page.locator("#chosen .wish").nth(3).click()
    menu = page.locator("#menu")
    expect(menu.locator("h2")).to_have_text("屏東縣三地門鄉-青山國小")
    menu.get_by_role("button", name="往前移動").click()
    menu.get_by_role("button", name="往前移動").click()
    expect(menu.locator(".now")).to_have_text("目前第 2 位，共 4 位")
    menu.locator("[name=place]").fill("1")
    menu.locator("[name=place]").press("Enter")
    assert listed(page) == ["青山國小", "蘭嶼國小", "和平國小", "仁愛國小"]
    menu.get_by_role("button", name="移動到最後一位").click()
    menu.get_by_role("button", name="刪除").click()
    assert listed(page) == ["蘭嶼國小", "和平國小", "仁愛國小"]
    save(page)
    expect(banner).to_be_hidden()
    assert site.stored().wishes == ("144701", "134601", "134602")
    assert page.evaluate("window.violations") == []


@EACH_WIDTH
def test_nothing_sticks_out(chromium: Browser, site: Served, width: int) -> None:
    page = edit(chromium, site, width)
    pick(page, "和平", "仁愛")
    wide = "document.documentElement.scrollWidth - innerWidth"
    assert page.evaluate(wide) <= 0


def test_filters_show_only_what_matches_t517(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    found = page.locator("#results .results:not([hidden]) li:visible")
    expect(found).to_have_count(303)
    page.get_by_role("button", name="屏東市", exact=True).click()
    expect(found).to_have_count(2)
    page.locator("#keyword").fill("仁")
    expect(found).to_have_count(1)
    expect(page.locator("#found")).to_have_text("符合 1 所")
    page.locator("#tabs button").nth(1).click()
    page.locator("#keyword").fill("臺0")
    expect(found).to_have_text(["台0國小"])


def test_insert_before_a_place_t507(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平", "仁愛")
    page.get_by_label("插入的位置").fill("2")
    pick(page, "青山")
    assert listed(page) == ["和平國小", "青山國小", "仁愛國小"]


def test_a_chosen_school_in_the_pool_opens_its_menu(
    chromium: Browser, site: Served
) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平", "仁愛")
    button = page.locator("#results button:visible", has_text="仁愛國小")
    expect(button).to_contain_text("第 2 志願")
    button.click()
    page.locator("#menu").get_by_role("button", name="刪除").click()
    assert listed(page) == ["和平國小"]
    expect(button).not_to_contain_text("志願")


def test_clear_and_restore_ask_first_t506(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平", "仁愛")
    save(page)
    page.get_by_role("button", name="清空志願").click()
    page.locator("#message").get_by_role("button", name="取消").click()
    assert listed(page) == ["和平國小", "仁愛國小"]
    page.get_by_role("button", name="清空志願").click()
    page.locator("#message").get_by_role("button", name="確定").click()
    expect(page.locator("#empty")).to_be_visible()
    page.get_by_role("button", name="回復前次所儲存的志願學校").click()
    page.locator("#message").get_by_role("button", name="確定").click()
    said(page, "已回復前次所儲存的志願學校")
    assert listed(page) == ["和平國小", "仁愛國小"]


def test_drag_by_mouse(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平", "仁愛", "青山")
    grip = page.locator("#chosen .handle").nth(2).bounding_box()
    top = page.locator("#chosen > li").nth(0).bounding_box()
    page.mouse.move(grip["x"] + 10, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(grip["x"] + 10, grip["y"] - 20, steps=4)
    page.mouse.move(grip["x"] + 10, top["y"] + 2, steps=4)
    page.wait_for_timeout(100)
    page.mouse.up()
    said(page, "青山國小 移到第 1 位，共 3 所")
    assert listed(page) == ["青山國小", "和平國小", "仁愛國小"]


def test_a_drag_is_given_up_with_escape(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平", "仁愛")
    grip = page.locator("#chosen .handle").nth(1).bounding_box()
    page.mouse.move(grip["x"] + 10, grip["y"] + 10)
    page.mouse.down()
    page.mouse.move(grip["x"] + 10, grip["y"] - 80, steps=4)
    page.wait_for_timeout(100)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert listed(page) == ["和平國小", "仁愛國小"]
    assert page.locator(".dragged").count() == 0


def test_drag_by_finger(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, PHONE)
    pick(page, "和平", "仁愛", "青山")
    handle = page.locator("#chosen .handle").nth(0)
    handle.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, document.querySelector('#chosen').offsetTop - 200)")
    grip, last = (
        handle.bounding_box(),
        page.locator("#chosen > li").nth(2).bounding_box(),
    )
    x, start, end = grip["x"] + 15, grip["y"] + 15, last["y"] + last["height"] - 4
    fingers = page.context.new_cdp_session(page)

    def touch(kind: str, *points: dict[str, float]) -> None:
        event = {"type": kind, "touchPoints": list(points)}
        fingers.send("Input.dispatchTouchEvent", event)

    touch("touchStart", {"x": x, "y": start})
    for step in range(1, 6):
        touch("touchMove", {"x": x, "y": start + (end - start) * step / 5})
    page.wait_for_timeout(100)
    touch("touchEnd")
    said(page, "和平國小 移到第 3 位，共 3 所")
    assert listed(page) == ["仁愛國小", "青山國小", "和平國小"]


def test_by_keyboard_alone(chromium: Browser, site: Served) -> None:
    """From the top of the page to a saved list, without a pointer."""
    page = edit(chromium, site, DESK)
    key = page.keyboard

    def to(selector: str) -> None:
        for _ in range(400):
            key.press("Tab")
            if page.locator(f"{selector}:focus").count():
                return
        pytest.fail(f"{selector} is not reached with Tab")

    to("#keyword")
    key.type("國小")
    to("#results button")
    key.press("Enter")
    said(page, "和平國小 已加入，第 1 志願，共 1 所")
    for n in (2, 3):
        to("#results button")
        key.press("Enter")
        expect(page.locator("#chosen > li")).to_have_count(n)
    page.locator("#list-title").focus()
    for _ in range(3):
        to("#chosen .handle")
    names = listed(page)
    key.press("ArrowUp")
    said(page, f"{names[2]} 移到第 2 位，共 3 所")
    key.press("Home")
    said(page, f"{names[2]} 移到第 1 位，共 3 所")
    assert page.locator(".handle:focus").count() == 1, "the handle keeps the focus"
    key.press("End")
    assert listed(page) == names
    to("#chosen .wish") if page.locator(
        "#chosen > li:last-child .handle:focus"
    ).count() == 0 else key.press("Tab")
    key.press("Enter")
    expect(page.locator("#menu")).to_be_visible()
    key.press("Escape")
    expect(page.locator("#menu")).to_be_hidden()
    assert page.locator("#chosen > li:last-child .wish:focus").count() == 1
    key.press("Enter")
    to("#menu button.remove")
    key.press("Enter")
    assert listed(page) == names[:2]
    assert page.locator("#list-title:focus").count() == 1
    to("#save button[value=stay]")
    key.press("Enter")
    told(page, "已儲存")
    assert len(site.stored().wishes) == 2


def test_focus_goes_to_the_next_school_after_a_removal(
    chromium: Browser, site: Served
) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平", "仁愛")
    page.locator("#chosen .wish").first.click()
    page.locator("#menu button.remove").click()
    focused = page.locator("#chosen .wish:focus .name")
    expect(focused).to_have_text("仁愛國小")


@EACH_WIDTH
def test_without_javascript_t516(chromium: Browser, site: Served, width: int) -> None:
    page = visit(chromium, site, width, java_script_enabled=False)
    page.get_by_role("button", name="屏東市", exact=True).click()
    for name in ("和平國小", "仁愛國小"):
        page.locator("#results").get_by_role("button", name=name).click()
    page.get_by_label("從最前插入志願").check()
    page.locator("#tabs button").nth(1).click()
    page.locator("#keyword").fill("蘭嶼")
    page.locator("#keyword").press("Enter")
    page.get_by_label("從最前插入志願").check()
    page.locator("#results").get_by_role("button", name="蘭嶼國小").click()
    assert listed(page) == ["蘭嶼國小", "和平國小", "仁愛國小"]
    assert page.locator("#dirty").is_visible()
    page.locator("#chosen .wish").nth(2).click()
    page.locator("#menu").get_by_role("button", name="往前移動").click()
    page.locator("#menu [name=place]").fill("1")
    page.locator("#menu [name=place]").press("Enter")
    assert listed(page) == ["仁愛國小", "蘭嶼國小", "和平國小"]
    page.locator("#menu").get_by_role("button", name="關閉").click()
    page.locator("#save button[value=stay]").click()
    assert site.stored().wishes == ("134602", "144701", "134601")
    page.get_by_role("button", name="清空志願").click()
    page.locator("#ask").get_by_role("button", name="確定").click()
    assert listed(page) == []
    page.get_by_role("button", name="回復前次所儲存的志願學校").click()
    page.locator("#ask").get_by_role("button", name="確定").click()
    assert len(listed(page)) == 3
    page.locator("#save button[value=check]").click()
    assert page.url.endswith("/teacher/check")
    page.get_by_role("button", name="確認無誤，完成申請").click()
    assert page.url.endswith("/teacher/status")
    assert site.stored().state == "filed"


def test_who_leaves_unsaved_is_warned_g14(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    pick(page, "和平")
    page.close(run_before_unload=True)
    page.wait_for_timeout(300)
    assert asked == ["beforeunload"]
    save(page)
    page.locator("#save a.button").click()
    page.wait_for_url("**/teacher/appointment")
    assert asked == ["beforeunload"]


def test_the_list_under_way_is_kept_by_the_site(
    chromium: Browser, site: Served
) -> None:
    page = edit(chromium, site, DESK)
    with page.expect_response("**/wishes/draft"):
        pick(page, "和平", "仁愛")
    other = edit(chromium, site, PHONE)
    assert listed(other) == ["和平國小", "仁愛國小"]
    assert other.locator("#dirty").is_visible()
    assert site.stored().wishes == ()


def test_doubts_appear_while_editing(chromium: Browser, site: Served) -> None:
    site.sql("insert into school_subject values ('134602', 'E02')")
    page = edit(chromium, site, DESK)
    pick(page, "仁愛")
    doubt = page.locator("#chosen .doubts li")
    expect(doubt).to_have_text("這所學校沒有您申請的科(類)別，此志願不可能達成")
    page.locator("#chosen .wish").click()
    page.locator("#menu button.remove").click()
    expect(doubt).to_have_count(0)


@pytest.mark.parametrize("language", ["zh-Hant", "en"])
def test_a_row_of_the_page_is_as_the_site_makes_it(
    chromium: Browser, site: Served, language: str
) -> None:
    page = edit(chromium, site, DESK)
    spoken = {"name": "lang", "value": language, "url": site.origin}
    page.context.add_cookies([spoken])
    ready(page).reload()
    ready(page)
    pick(page, "仁愛", "青山")
    here = rows_of(page)
    page.locator("#save button[value=stay]").click()
    expect(page.locator("#dirty")).to_be_hidden()
    page.reload()
    assert rows_of(ready(page)) == here


def rows_of(page: Page) -> list[str]:
    rows = page.locator("#chosen > li").evaluate_all(
        "rows => rows.map(row => row.outerHTML)"
    )
    return [re.sub(r' class="changed"|\s+', "", row) for row in rows]


def test_two_windows_in_conflict_keep_both_lists(
    chromium: Browser, site: Served
) -> None:
    one, other = edit(chromium, site, DESK), edit(chromium, site, PHONE)
    pick(one, "和平")
    pick(other, "仁愛")
    save(one)
    other.locator("#save button[value=stay]").click()
    expect(other.locator("h1")).to_have_text("志願資料已在別處變更")
    assert other.locator(".listed .name").all_text_contents() == [
        "仁愛國小",
        "和平國小",
    ]
    other.get_by_role("button", name="用這一份繼續編輯").first.click()
    ready(other)
    assert listed(other) == ["仁愛國小"]
    save(other)
    assert site.stored().wishes == ("134602",)


def test_a_session_that_ended_loses_nothing(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平")
    page.context.clear_cookies()
    page.locator("#save button[value=stay]").click()
    told(page, "登入已逾時，尚未儲存")
    assert listed(page) == ["和平國小"]
    page.context.add_cookies([site.cookie])
    save(page)
    assert site.stored().wishes == ("134601",)


def test_a_draft_that_is_not_kept_is_told_of(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    page.context.clear_cookies()
    pick(page, "和平")
    told(page, "草稿未能保留：請在另一個分頁重新登入")
    page.context.add_cookies([site.cookie])
    page.context.set_offline(True)
    pick(page, "仁愛")
    told(page, "草稿未能保留：連線中斷")
    page.context.set_offline(False)
    with page.expect_response("**/wishes/draft"):
        pick(page, "青山")
    told(page, "志願清單尚未儲存過")


def test_a_draft_of_another_window_stays(chromium: Browser, site: Served) -> None:
    one, other = edit(chromium, site, DESK), edit(chromium, site, PHONE)
    with one.expect_response("**/wishes/draft"):
        pick(one, "和平")
    pick(other, "仁愛")
    told(other, "草稿未能保留：另一個視窗或裝置也有尚未儲存的志願清單")
    save(other)
    assert site.stored().wishes == ("134602",)
    other.reload()
    expect(other.locator("h1")).to_have_text("志願資料已在別處變更")


def test_nothing_is_left_behind_for_the_check(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平")
    page.context.clear_cookies()
    page.locator("#save button[value=check]").click()
    told(page, "登入已逾時，尚未儲存")
    assert listed(page) == ["和平國小"]
    page.context.add_cookies([site.cookie])
    page.locator("#save button[value=check]").click()
    page.wait_for_url("**/teacher/check")
    assert site.stored().wishes == ("134601",)


def test_a_save_after_the_deadline_says_so(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平")
    site.sql("update application set state = 'approved'")
    page.locator("#save button[value=stay]").click()
    told(page, "尚未儲存，您的清單仍在這一頁。目前不在填報期間")
    assert listed(page) == ["和平國小"]


def test_a_busy_site_is_no_ended_session(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平")
    busy = "<main><h1>請稍候</h1><p>目前人數眾多。</p></main>"
    answer = {"status": 503, "content_type": "text/html; charset=utf-8", "body": busy}
    page.route("**/wishes/save", lambda route: route.fulfill(**answer))
    page.locator("#save button[value=stay]").click()
    told(page, "尚未儲存，您的清單仍在這一頁。請稍候 目前人數眾多。")


def test_a_double_click_files_once(chromium: Browser, site: Served) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平")
    page.locator("#save button[value=check]").click()
    page.wait_for_url("**/teacher/check")
    posts: list[str] = []
    page.on("request", lambda sent: sent.method == "POST" and posts.append(sent.url))
    page.locator("main form button").dblclick()
    page.wait_for_url("**/teacher/status")
    assert len(posts) == 1
    assert site.stored().state == "filed"
    page.go_back()
    page.locator("main form button").click()
    page.wait_for_url("**/teacher/status")


def test_a_site_that_cannot_be_reached_loses_nothing(
    chromium: Browser, site: Served
) -> None:
    page = edit(chromium, site, DESK)
    pick(page, "和平")
    page.context.set_offline(True)
    page.locator("#save button[value=stay]").click()
    told(page, "連不上本站，尚未儲存")
    page.context.set_offline(False)
    save(page)


def test_pools_that_do_not_come_leave_the_forms(
    chromium: Browser, site: Served
) -> None:
    page = opened(chromium, site.origin, DESK)
    page.context.add_cookies([site.cookie])
    page.route("**/teacher/pool/**", lambda route: route.abort())
    page.goto("/teacher/wishes")
    page.get_by_role("button", name="屏東市", exact=True).click()
    page.locator("#results").get_by_role("button", name="和平國小").click()
    expect(page.locator("#chosen .name")).to_have_text(["和平國小"])


@EACH_WIDTH
def test_axe_finds_nothing_serious(chromium: Browser, site: Served, width: int) -> None:
    page = edit(chromium, site, width)
    pick(page, "和平", "仁愛", "青山")
    check(page, "wishes")
    page.locator("#chosen .wish").first.click()
    check(page, "wishes-menu")
    for n, path in enumerate(("/counties", "?township=*&at=1", "?ask=clear")):
        check(visit(chromium, site, width, path), f"wishes-{n}")


@EACH_WIDTH
@pytest.mark.parametrize("language", ["zh-Hant", "en"])
def test_everything_is_checked_before_it_is_filed(
    chromium: Browser, site: Served, width: int, language: str
) -> None:
    site.sql("insert into school_subject values ('134602', 'E02')")
    page = edit(chromium, site, width)
    spoken = {"name": "lang", "value": language, "url": site.origin}
    page.context.add_cookies([spoken])
    pick(page, "和平", "仁愛", "青山", "第1")
    page.locator("#save button[value=check]").click()
    page.wait_for_url("**/teacher/check")
    check(page, f"check-{language}")
    rows = page.locator(".wishes-list > li")
    expect(rows).to_have_count(4)
    expect(rows.nth(1).locator(".doubts li")).to_have_count(1)
    page.locator(".headed a[href='/teacher/wishes']").click()
    ready(page)
    page.go_back()
    page.locator("main form button").click()
    page.wait_for_url("**/teacher/status")
    assert site.stored().state == "filed"


def test_both_lists_do_the_same(chromium: Browser, site: Served) -> None:
    """wish_list.js and wish_list.py, on a long run of random actions."""
    page = visit(chromium, site, DESK)
    source = page.locator("script[src*='wishes.js']").get_attribute("src")
    address = source.replace("wishes.js", "wish_list.js")
    steps = list(random_steps(random.Random(5), 400))
    found = page.evaluate(RUN, [address, steps])
    assert found == list(by_python(steps))


RUN = """async ([address, steps]) => {
  const wishes = await import(address);
  const states = [];
  let list = [];
  for (const [action, school, n, mode] of steps) {
    if (action === "add") list = wishes.add(list, school, { mode, n });
    else if (action === "remove") list = wishes.remove(list, school);
    else list = wishes.move(list, school, action, n);
    states.push(list);
  }
  return states;
}"""

Step = tuple[str, str, int, str]


def random_steps(draw: random.Random, n: int) -> Iterator[Step]:
    actions = ["add"] * 4 + ["remove", *wish_list.MOVES]
    for _ in range(n):
        yield (
            draw.choice(actions),
            f"S{draw.randrange(12)}",
            draw.randrange(-2, 16),
            draw.choice(wish_list.INSERT_MODES),
        )


def by_python(steps: list[Step]) -> Iterator[list[str]]:
    wishes = WishList()
    for action, code, n, mode in steps:
        edit_ = wish_list.Edit(action, code, n, Insert(mode, n))
        with suppress(wish_list.WishError):  # the page leaves the list as it is
            wishes = wish_list.edited(wishes, edit_, WishList())
        yield list(wishes)
