"""Step 5, 志願資料, as forms alone; items T501 to T517 of the features."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from practice_round import YEAR, school
from wish_site import HOME, LEVEL, Desk, chosen, desk, offered

from jiepin.web.store import schools

DIRTY = "您的志願學校有變更，變更完畢請記得按「儲存志願學校」按鈕"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    """Give a teacher at step 5 who has chosen 屏東縣 and 臺東縣."""
    with desk(tmp_path) as opened:
        opened.choose("13", "14")
        yield opened


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as opened:
        yield opened


def is_dirty(page: str) -> bool:
    return f'role="status">{DIRTY}' in page


# the counties


def test_counties_come_first_t501(fresh: Desk) -> None:
    answer = fresh.client.get("/teacher/wishes")
    assert answer.headers["location"] == "/teacher/wishes/counties"
    page = fresh.get("/counties")
    for text in ("選擇志願縣市", "甲", "乙", "請選擇", "確定志願縣市"):
        assert text in page
    assert "※志願縣市不影響排序" in page
    assert 'value="13"' in page
    assert 'value="12"' not in page, "the home county may not be wished"
    fresh.choose("13", "14")
    assert fresh.stored().counties == ("13", "14")


@pytest.mark.parametrize(
    ("counties", "problem"),
    [
        ((), "請至少選擇一個志願縣市"),
        (("13", "13"), "甲、乙志願縣市不可相同"),
        (("12",), "志願縣市不可為現任服務學校所在縣市"),
        (("99",), "請從清單選擇志願縣市"),
    ],
)
def test_counties_that_do_not_hold_t501(
    fresh: Desk, counties: tuple[str, ...], problem: str
) -> None:
    fields = {f"county{n}": code for n, code in enumerate(counties, 1)}
    answer = fresh.post("/counties", version=fresh.stored().version, **fields)
    assert answer.status_code == 422
    assert problem in answer.text
    assert fresh.stored().counties == ()


def test_a_change_of_counties_says_first_what_it_drops_t502(at: Desk) -> None:
    at.save("134601", "144601", "134602")
    at.do(add="134701")
    version = at.stored().version
    asked = at.post("/counties", version=version, county1="14", county2="01")
    assert asked.status_code == 200
    assert "變更志願縣市後，下列 3 所學校將自您的志願清單移除" in asked.text
    for name in ("和平國小", "仁愛國小", "青山國小"):
        assert name in asked.text
    assert "台東國小" not in asked.text
    assert at.stored().counties == ("13", "14"), "nothing yet"
    fields = {"county1": "14", "county2": "01", "confirmed": "yes"}
    assert at.post("/counties", version=version, **fields).status_code == 303
    assert at.stored().counties == ("14", "01")
    assert at.stored().wishes == ("144601",)
    assert chosen(at.get()) == ["144601"]


def test_counties_with_a_mistake_stay_as_old_as_they_were(at: Desk) -> None:
    seen = at.stored().version
    at.save("134601")
    asked = at.post("/counties", version=seen, county1="14")
    assert asked.status_code == 200
    assert f'name="version" value="{seen}"' in asked.text


def test_counties_changed_while_a_list_is_under_way_keep_what_they_can(
    at: Desk,
) -> None:
    at.save("134601", "144601")
    at.do(action="first", school="144601")
    at.do(add="144701")
    fields = {"county1": "14", "confirmed": "yes", "version": at.stored().version}
    assert at.post("/counties", **fields).status_code == 303
    page = at.get()
    assert chosen(page) == ["144601", "144701"]
    assert is_dirty(page)
    assert at.stored().wishes == ("144601",)


def test_counties_in_another_order_drop_nothing_t502(at: Desk) -> None:
    at.save("134601", "144601")
    at.choose("14", "13")
    assert at.stored().wishes == ("134601", "144601")


# the page


def test_the_labels_of_the_handbook(at: Desk) -> None:
    page = at.get()
    labels = (
        "您選擇的志願學校",  # T504
        "清空志願",  # T506
        "回復前次所儲存的志願學校",
        "修改志願縣市",
        "儲存志願學校",
        "志願插入模式",  # T507
        "從最後插入志願",
        "從最前插入志願",
        "位前面插入志願",
        "不分區",  # T509
        "關鍵字過濾學校名稱",  # T510
        "上一步",  # T513
        "儲存，完成申請",
    )
    for label in labels:
        assert label in page, label


def test_the_legend_t503(at: Desk) -> None:
    legend = re.sub(
        r"<[^>]+>", "", at.get().split('class="legend">')[1].split("</p>")[0]
    )
    assert legend.replace("\n", "") == ("註記說明：△偏遠▲特偏◆極偏★中途或矯正◎原民校")


def test_an_empty_list_says_what_to_do_t504(at: Desk) -> None:
    text = re.sub(r"<[^>]+>", "", at.get())
    assert "請從下方學校待選區選擇您的志願學校" in text


def test_marks_and_notices_stand_at_each_school_t511(at: Desk) -> None:
    page = at.get(township="*")
    assert '<span class="name">青山國小</span><span class="mark special-remote"' in page
    assert 'aria-label="特偏">▲' in page
    assert 'aria-label="原民校">◎' in page
    assert "借校上課" in page
    page = at.do(add="134602")
    assert "借校上課" in page


def test_tabs_with_codes_and_townships_t508_t509(at: Desk) -> None:
    page = at.get()
    assert re.search(r"屏東縣 <small>\(代碼：13\)", page)
    assert re.search(r"臺東縣 <small>\(代碼：14\)", page)
    assert re.findall(r'name="township" value="([^"*]+)" form', page) == [
        "屏東市",
        "三地門鄉",
    ]
    other = at.get(county="14")
    assert re.findall(r'name="township" value="([^"*]+)" form', other) == [
        "臺東市",
        "蘭嶼鄉",
    ]


def test_tab_township_and_keyword_decide_what_is_listed_t510_t517(at: Desk) -> None:
    assert offered(at.get()) == []
    assert offered(at.get(township="*")) == ["134601", "134602", "134701"]
    assert offered(at.get(township="屏東市")) == ["134601", "134602"]
    assert offered(at.get(township="屏東市", keyword="仁愛")) == ["134602"]
    assert offered(at.get(keyword="青山")) == ["134701"]
    assert offered(at.get(county="14", keyword="臺東")) == ["144601"], "台 is 臺"
    assert offered(at.get(county="14", township="屏東市")) == []
    assert offered(at.get(county="01", township="*")) == ["134601", "134602", "134701"]


def test_who_is_chosen_is_seen_in_the_pool_t511(at: Desk) -> None:
    at.do(add="134602")
    page = at.do(add="134601", township="*")
    assert re.search(r'value="134601">.*第 2 志願', page)
    assert re.search(r'value="134602">.*第 1 志願', page)
    assert len(re.findall("chosen-as", page)) == 2


def test_insert_modes_t507(at: Desk) -> None:
    at.do(add="134601")
    at.do(add="134602", insert="last")
    at.do(add="144601", insert="first")
    page = at.do(add="144701", insert="before", n="3")
    assert chosen(page) == ["144601", "134601", "144701", "134602"]
    assert 'value="before" form="add" checked' in page
    assert 'name="n" min="1" value="3"' in page


def test_the_menu_of_a_school_t512(at: Desk) -> None:
    at.do(add="134701")
    page = at.get(at="1")
    menu = page.split('<dialog id="menu"')[1].split("</dialog>")[0]
    assert "屏東縣三地門鄉-青山國小" in menu
    for label in (
        "刪除",
        "移動到第",
        "往前移動",
        "往後移動",
        "移動到第一位",
        "移動到最後一位",
        "顯示Google地圖位置",
    ):
        assert label in menu, label
    link = re.search(
        r'<a class="map" href="([^"]+)" target="_blank" rel="([^"]+)"', menu
    )
    assert link
    query = parse_qs(urlsplit(link.group(1).replace("&amp;", "&")).query)
    assert query["query"] == ["屏東縣三地門鄉青山國小"]
    assert link.group(2) == "noopener noreferrer"


def test_the_actions_t512(at: Desk) -> None:
    for code in ("134601", "134602", "134701", "144601"):
        at.do(add=code)
    page = at.do(action="forward", school="134701")
    assert chosen(page) == ["134601", "134701", "134602", "144601"]
    assert "目前第 2 位，共 4 位" in page, "the menu stays open while a school moves"
    page = at.do(action="backward", school="134601")
    assert chosen(page) == ["134701", "134601", "134602", "144601"]
    page = at.do(action="first", school="144601")
    assert chosen(page) == ["144601", "134701", "134601", "134602"]
    page = at.do(action="last", school="134701")
    assert chosen(page) == ["144601", "134601", "134602", "134701"]
    page = at.do(action="place", school="134701", place="2")
    assert chosen(page) == ["144601", "134701", "134601", "134602"]
    page = at.do(action="remove", school="134601")
    assert chosen(page) == ["144601", "134701", "134602"]
    assert "目前第" not in page.split('id="words"')[0]


def test_what_another_window_did_already_is_no_error(at: Desk) -> None:
    at.do(add="134601")
    assert chosen(at.do(add="134601")) == ["134601"]
    assert chosen(at.do(action="remove", school="134602")) == ["134601"]
    assert chosen(at.do(action="nonsense", school="134601")) == ["134601"]


# saving


def test_changes_are_told_until_they_are_saved_t505_t506(at: Desk) -> None:
    assert not is_dirty(at.get())
    assert is_dirty(at.do(add="134601"))
    assert at.stored().wishes == (), "nothing counts before a save"
    assert at.save("134601").headers["location"] == "/teacher/wishes"
    page = at.get()
    assert not is_dirty(page)
    assert at.stored().wishes == ("134601",)
    shown = page.split('id="state" role="status">')[1].split("<")[0]
    version = at.stored().version
    told = f"已儲存：115年4月20日 09:00:00，第 {version} 版，校驗碼 "
    assert shown.startswith(told)
    assert re.fullmatch("([0-9A-F]{4} ?){4}", shown.removeprefix(told))


def test_clear_and_restore_t506(at: Desk) -> None:
    at.save("134601", "134602")
    asked = at.get(ask="clear")
    assert "確定要清空志願" in asked
    page = at.do(action="clear")
    assert chosen(page) == []
    assert is_dirty(page)
    assert at.stored().wishes == ("134601", "134602")
    page = at.do(action="restore")
    assert chosen(page) == ["134601", "134602"]
    assert not is_dirty(page)


def test_two_saves_t513_t517(at: Desk) -> None:
    at.save("134601")
    assert at.stored().state == "filling"
    assert at.stored().step == 5
    answer = at.save("134601", "144601", then="check")
    assert answer.headers["location"] == "/teacher/check"
    assert at.stored().wishes == ("134601", "144601")
    assert at.stored().state == "filling", "it is filed once everything was shown"
    answer = at.client.post("/teacher/check", data={"version": at.stored().version})
    assert answer.headers["location"] == "/teacher/status"
    assert at.stored().state == "filed"


def test_an_application_is_not_finished_without_a_wish_t513(at: Desk) -> None:
    answer = at.save(then="check")
    assert answer.status_code == 422
    assert "請至少選擇一所志願學校" in answer.text
    assert at.stored().state == "filling"


def test_an_unsaved_list_is_still_there_after_leaving_t517(at: Desk) -> None:
    at.do(add="134601")
    at.client.get("/teacher/appointment")
    assert chosen(at.get()) == ["134601"]
    assert at.stored().wishes == ()


def test_what_the_page_held_is_saved(at: Desk) -> None:
    """Not what another page has under way."""
    at.do(add="134601")
    at.save("134602")
    assert at.stored().wishes == ("134602",)
    assert chosen(at.get()) == ["134602"]


def test_a_list_of_any_length_t515(tmp_path: Path) -> None:
    more = [school(f"13{n:04d}", f"第{n}國小", township="屏東市") for n in range(600)]
    with desk(tmp_path, more) as at:
        at.choose("13", "14")
        codes = [new.code for new in more]
        at.save(*codes)
        assert at.stored().wishes == tuple(codes)
        assert chosen(at.get()) == codes


def test_a_limit_of_choices_t515(at: Desk) -> None:
    at.sql("update round set max_choices = 2")
    at.do(add="134601")
    at.do(add="134602")
    refused = at.post("/edit", add="134701")
    assert refused.status_code == 422
    assert "志願學校至多 2 所" in refused.text
    assert chosen(refused.text) == ["134601", "134602"]
    refused = at.save("134601", "134602", "134701")
    assert refused.status_code == 422
    assert "志願學校至多 2 所" in refused.text
    assert chosen(refused.text) == ["134601", "134602", "134701"], "nothing is lost"
    assert at.stored().wishes == ()


@pytest.mark.parametrize("code", ["014601", "144501", HOME, "999999"])
def test_schools_that_cannot_be_wished(at: Desk, code: str) -> None:
    """Of another county, another level, one's own, or of nowhere."""
    assert at.post("/edit", add=code).status_code == 422
    assert at.save("134601", code).status_code == 422
    assert at.stored().wishes == ()


# schools that are corrected meanwhile


def close(at: Desk, code: str) -> None:
    at.sql("update school set open = 0 where code = :code", code=code)
    at.sql("update round set schools_revision = schools_revision + 1")


def test_a_school_taken_off_is_flagged_t514(at: Desk) -> None:
    at.save("134601", "134602")
    close(at, "134601")
    page = at.get(township="*")
    assert "所屬縣市已自介聘學校名單移除這所學校，請刪除" in page
    assert offered(page) == ["134602", "134701"]
    refused = at.save("134601", "134602", "134701")
    assert refused.status_code == 422
    assert "和平國小 已由縣市自介聘學校名單移除" in refused.text
    assert at.save("134602", "134701").status_code == 303


# another window


def test_a_list_saved_elsewhere_is_not_overwritten(at: Desk) -> None:
    seen = at.stored().version
    at.save("134601")
    answer = at.save("134602", version=seen)
    assert answer.headers["location"] == "/teacher/wishes"
    assert at.stored().wishes == ("134601",)
    page = at.get()
    assert "志願資料已在別處變更" in page
    own, saved = page.split('<div class="two">')[1].split("</section>")[:2]
    assert "仁愛國小" in own
    assert "和平國小" in saved


def test_a_conflict_ends_with_ones_own_list(at: Desk) -> None:
    seen = at.stored().version
    at.save("134601")
    at.save("134602", version=seen)
    assert at.post("/mine").headers["location"] == "/teacher/wishes"
    page = at.get()
    assert chosen(page) == ["134602"]
    assert is_dirty(page)
    assert at.save("134602").status_code == 303
    assert at.stored().wishes == ("134602",)


def test_a_conflict_ends_with_the_list_saved_elsewhere(at: Desk) -> None:
    seen = at.stored().version
    at.save("134601")
    at.save("134602", version=seen)
    assert chosen(at.do(action="restore")) == ["134601"]
    assert not is_dirty(at.get())


def test_a_draft_outlived_by_a_save_elsewhere_is_a_conflict(at: Desk) -> None:
    at.do(add="134602")
    at.sql("update wish_draft set schools = '[\"134701\"]'")
    seen = at.stored().version
    draft = at.sql("select * from wish_draft")
    at.save("134601", version=seen)
    at.sql(
        "insert into wish_draft values (:id, :base, :changed, :schools)",
        id=at.stored().id,
        **dict(zip(("base", "changed", "schools"), draft[0][1:], strict=True)),
    )
    assert "志願資料已在別處變更" in at.get()


def test_a_save_of_another_step_is_no_conflict(at: Desk) -> None:
    seen = at.stored().version
    at.client.post(
        "/teacher/appointment",
        data={
            "version": seen,
            "indigenous": "no",
            "area": "general",
            "service_years": "9",
            "school": HOME,
            "subject1": "E01",
        },
    )
    assert at.stored().service_years == 9
    assert at.save("134601", version=seen).status_code == 303
    assert at.stored().wishes == ("134601",)


def test_a_save_in_an_old_window_leaves_the_draft_of_another(at: Desk) -> None:
    old = {"version": at.stored().version, "draft": ""}
    at.do(add="134601")
    assert at.save("134602", **old).status_code == 303
    assert at.stored().wishes == ("134602",)
    page = at.get()
    assert "志願資料已在別處變更" in page
    own, saved = page.split('<div class="two">')[1].split("</section>")[:2]
    assert "和平國小" in own
    assert "仁愛國小" in saved


def test_a_refused_save_in_an_old_window_leaves_the_draft_of_another(at: Desk) -> None:
    old = {"version": at.stored().version, "draft": ""}
    at.save("144601")
    at.do(add="134601")
    refused = at.save("134602", **old)
    assert refused.status_code == 409
    assert "另一個視窗或裝置也有尚未儲存的志願清單" in refused.text
    assert at.save("134602", "999999", **old).status_code in (409, 422)
    assert chosen(at.get()) == ["144601", "134601"]


def test_a_draft_does_not_overwrite_that_of_another_window(at: Desk) -> None:
    old = {"version": at.stored().version, "draft": ""}
    at.do(add="134601")
    status, told = by_script(at, "/draft", schools="134602", **old)
    assert (status, told["reason"]) == (409, "draft")
    assert "另一個視窗或裝置" in str(told["text"])
    assert chosen(at.get()) == ["134601"]


def test_a_page_goes_on_with_the_draft_it_made(at: Desk) -> None:
    form = {"version": at.stored().version, "draft": ""}
    for schools_ in ("134601", "134601 134602", "134602"):
        status, told = by_script(at, "/draft", **{**form, "schools": schools_})
        assert status == 200
        form["draft"] = str(told["draft"])
        at.clock.move(seconds=1)
    refused, told = by_script(at, "/save", schools="134701 999999", **form)
    assert refused == 422
    form["draft"] = str(told["draft"])
    assert by_script(at, "/save", schools="134701", **form)[0] == 200
    assert at.sql("select * from wish_draft") == []


@pytest.mark.parametrize("action", ["clear", "restore"])
def test_an_old_page_does_not_undo_the_draft_of_another(at: Desk, action: str) -> None:
    old = at.draft()
    at.do(add="134601")
    assert chosen(at.do(action=action, draft=old)) == ["134601"]
    assert chosen(at.do(action=action)) == []


# the time to fill in


def test_nothing_changes_once_the_time_is_over(at: Desk) -> None:
    at.save("134601")
    at.do(add="134602")
    at.wait(days=10)
    assert at.save("134602").status_code == 409
    assert at.post("/edit", add="134701").status_code == 409
    assert at.post("/draft", schools="134701").status_code == 409
    assert at.post("/mine").status_code == 409
    page = at.get()
    assert chosen(page) == ["134601"], "what counts is what was saved"
    for button in ("儲存志願學校</button>", "儲存，完成申請", "清空志願", 'name="add"'):
        assert button not in page
    assert at.stored().wishes == ("134601",)


def test_a_conflict_is_over_when_the_time_is(at: Desk) -> None:
    seen = at.stored().version
    at.save("134601")
    at.save("134602", version=seen)
    at.wait(days=10)
    assert chosen(at.get()) == ["134601"]


def test_who_never_chose_counties_still_sees_the_page(fresh: Desk) -> None:
    fresh.wait(days=10)
    assert chosen(fresh.get()) == []
    answer = fresh.client.get("/teacher/wishes/counties")
    assert answer.headers["location"] == "/teacher/wishes"


def test_an_approved_list_is_only_shown(at: Desk) -> None:
    at.file("134601")
    at.sql("update application set state = 'approved'")
    assert "清空志願" not in at.get()
    assert at.save("134602").status_code == 409
    assert at.stored().wishes == ("134601",)


def test_one_has_to_be_signed_in(at: Desk) -> None:
    at.client.cookies.clear()
    for path in ("", "/counties"):
        answer = at.client.get(f"/teacher/wishes{path}")
        assert answer.headers["location"] == "/teacher/"
    for path in ("/save", "/draft", "/edit", "/mine", "/counties"):
        assert at.post(path).headers["location"] == "/teacher/"


def test_step_five_comes_after_step_four(at: Desk) -> None:
    at.sql("update application set step = 4")
    answer = at.client.get("/teacher/wishes")
    assert answer.headers["location"] == "/teacher/appointment"


def test_other_sites_cannot_post(at: Desk) -> None:
    for path in ("/save", "/draft", "/edit", "/mine", "/counties"):
        answer = at.client.post(
            f"/teacher/wishes{path}", headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403


def test_looking_changes_nothing(at: Desk) -> None:
    at.do(add="134601")
    before = at.sql("select * from wish_draft"), at.stored()
    for query in ({}, {"at": "1"}, {"ask": "restore"}, {"township": "*"}):
        at.get(**query)
    assert (at.sql("select * from wish_draft"), at.stored()) == before


# what wishes.js asks for


def by_script(at: Desk, path: str, **form: object) -> tuple[int, dict[str, object]]:
    headers = {"accept": "application/json"}
    answer = at.client.post(f"/teacher/wishes{path}", data=form, headers=headers)
    body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    return answer.status_code, body


def test_a_draft_is_kept_and_doubted(at: Desk) -> None:
    at.sql("insert into school_subject values ('134602', 'E02')")
    version = at.stored().version
    form = {"schools": "134602 134601", "version": version}
    status, told = by_script(at, "/draft", **form)
    assert status == 200
    assert told["doubts"] == {
        "134602": ["這所學校沒有您申請的科(類)別，此志願不可能達成"]
    }
    page = at.get()
    assert chosen(page) == ["134602", "134601"]
    assert "這所學校沒有您申請的科(類)別" in page
    assert at.stored().version == version


def test_a_save_by_script_tells_version_time_and_digest(at: Desk) -> None:
    form = {"schools": "134601", "version": at.stored().version}
    status, told = by_script(at, "/save", **form)
    assert status == 200
    assert told["version"] == at.stored().version
    assert told["doubts"] == {}
    assert "09:00:00" in str(told["text"])
    assert "校驗碼" in str(told["text"])


def test_a_save_by_script_leads_on_to_the_check(at: Desk) -> None:
    form = {"schools": "134601", "version": at.stored().version}
    assert by_script(at, "/save", then="check", **form)[1]["then"] == "/teacher/check"


def test_a_save_by_script_after_the_deadline_says_so(at: Desk) -> None:
    form = {"schools": "134601", "version": at.stored().version}
    at.wait(days=10)
    for path in ("/save", "/draft"):
        status, told = by_script(at, path, **form)
        assert (status, told["reason"]) == (409, "closed")
        assert "目前不在填報期間" in str(told["text"])


def test_a_conflict_by_script_keeps_both_lists(at: Desk) -> None:
    seen = at.stored().version
    at.save("134601")
    status, told = by_script(at, "/save", schools="134602", version=seen)
    assert (status, told["reason"]) == (409, "changed")
    page = at.client.get("/teacher/wishes").text
    assert "仁愛國小" in page
    assert "和平國小" in page


def test_a_refusal_by_script_says_why(at: Desk) -> None:
    form = {"schools": "134601 014601", "version": at.stored().version}
    status, told = by_script(at, "/save", **form)
    assert status == 422
    assert "板橋國小" in str(told["text"])


# the pool


def pool_address(page: str, county: str) -> str:
    found = re.search(rf'value="{county}" data-pool="([^"]+)"', page)
    assert found
    return found.group(1)


def test_the_pool_of_a_county_is_kept_by_browsers_for_good(at: Desk) -> None:
    address = pool_address(at.get(), "13")
    answer = at.client.get(address)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert offered(answer.text) == ["134601", "134602", "134701"]
    again = at.client.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


def test_the_address_of_a_pool_follows_its_content_t514(at: Desk) -> None:
    before = pool_address(at.get(), "13")
    other = pool_address(at.get(), "14")
    close(at, "134601")
    after = pool_address(at.get(), "13")
    assert after != before
    assert pool_address(at.get(), "14") == other
    moved = at.client.get(before)
    assert (moved.status_code, moved.headers["location"]) == (303, after)
    assert moved.headers["cache-control"] == "no-store"
    assert offered(at.client.get(after).text) == ["134602", "134701"]


def test_the_pool_is_the_same_for_everybody(at: Desk) -> None:
    address = pool_address(at.get(), "13")
    before = at.client.get(address).content
    at.save("134601", "134602")
    assert at.client.get(pool_address(at.get(), "13")).content == before


@pytest.mark.parametrize(
    "path", ["junior-high/14/x", "elementary/99/x", "elementary/../13"]
)
def test_pools_that_are_not_there(at: Desk, path: str) -> None:
    assert at.client.get(f"/teacher/pool/{path}").status_code == 404


# doubts, and others


def test_doubts_of_the_whole_list_stand_above_it(at: Desk) -> None:
    at.sql("update application set service_years = 2, indigenous = 1")
    page = at.do(add="134601")
    assert "實際服務滿六學期" in page
    assert "原民調階段沒有志願可用" in page
    assert "原民調階段沒有志願可用" not in at.do(add="134701").split('id="words"')[0]


def test_a_certificate_that_does_not_reach_there(at: Desk) -> None:
    at.sql("update application set area = 'remote'")
    at.do(add="134601")
    page = at.do(add="134701")
    assert page.count("您的教師證不能在這所學校任教") == 1


def test_nothing_depends_on_others(at: Desk) -> None:
    """Neither how many want a school nor whether anyone there wants to leave."""
    at.save("134601", "134701")
    at.do(add="134602")
    paths = ("", "?township=*", "?at=1", "/counties")
    before = [at.client.get(f"/teacher/wishes{path}").text for path in paths]
    for n, home in enumerate(("134601", "134602", "144601")):
        at.sql(
            f"""insert into account (id, year, level, lookup, county, national_id,
            birth_date, sex, card_name, card_name_certain, created) values
            ('o{n}', {YEAR}, '{LEVEL}', x'0{n + 1}', '13', x'', x'', 'M', '他', 1, 1)"""
        )
        at.sql(
            f"""insert into application (id, account, year, level, county, saved, step,
            state, school, subject1, county1) values
            ('q{n}', 'o{n}', {YEAR}, '{LEVEL}', '13', 1, 6, 'filed', '{home}', 'E01',
            '14')"""
        )
        at.sql(f"insert into wish values ('q{n}', 1, '134701')")
    after = [at.client.get(f"/teacher/wishes{path}").text for path in paths]
    assert after == before


# texts


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30))
def test_any_keyword_comes_back_as_text(at: Desk, keyword: str) -> None:
    page = at.get(keyword=keyword + "<b>\"'{{ 1 }}")
    assert "<b>\"'" not in page
    assert page.count("<script") == at.get(keyword="x").count("<script")


def test_any_name_of_a_school_stays_text(at: Desk) -> None:
    evil = '<script>alert("1")</script>國小'
    new = school("134999", evil, township=evil, notice=evil)

    async def add() -> None:
        async with at.site.database.writing() as db:
            await schools.add(db, [new])

    at.run(add)
    at.do(add="134999")
    for page in (
        at.get(township="*", at="1"),
        at.client.get(pool_address(at.get(), "13")).text,
    ):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


def test_the_page_is_light(at: Desk) -> None:
    """Under 60 KB for a list of twenty, whatever the size of the pool."""
    at.save("134601", "134602", "134701", "144601", "144701")
    assert len(at.get().encode()) < 20_000


def test_a_draft_is_there_on_another_day(at: Desk) -> None:
    at.do(add="134601")
    at.wait(days=2)
    assert chosen(at.get()) == ["134601"]


def test_asvs_3_2_2_scripts_never_make_markup_out_of_data() -> None:
    folder = files("jiepin.web") / "static"
    scripts = [file for file in folder.iterdir() if file.name.endswith(".js")]
    assert {"wishes.js", "wish_pool.js"} <= {file.name for file in scripts}
    for file in scripts:
        text = file.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval("):
            assert word not in text, file.name
