"""The review desk: opening, the sheet, points, checks, decisions (C02–C06, C09)."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from practice_round import LIN, Client, Page, person_form
from review_desk import (
    ANSWERS,
    POINTS,
    approve,
    check_sheet,
    file,
    open_record,
    post,
    record,
    reviewed,
    seen,
    sign_in,
    stored,
    work,
)
from staff_site import county_desk, host_desk

from jiepin.web.clock import to_ms
from jiepin.web.documents.sheet import short_digest
from jiepin.web.site import Site
from jiepin.web.store import applications, audit, review


def text(desk: Client, path: str) -> str:
    return " ".join(Page(desk.get(path).text).text.split())


def actions(client: Client, id_: str) -> list[str]:
    async def read(site: Site) -> list[str]:
        async with site.database.reading() as db:
            return [entry.action for entry in await audit.of_object(db, id_)]

    return client.call(read)


def write(client: Client, statement: str, **values: object) -> None:
    async def do(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(statement, values)

    client.call(do)


# opening


def test_c03_the_id_is_shown_to_whom_has_opened_it(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client, "clerk")
    for hidden in (LIN.national_id, "lin@example.org", "07-1234567", 'name="awards"'):
        assert hidden not in desk.get(record(id_)).text
    before = client.digest()
    desk.get(record(id_))
    assert client.digest() == before
    assert open_record(desk, id_).status_code == 303
    for shown in (LIN.national_id, "lin@example.org", "07-1234567", 'name="awards"'):
        assert shown in desk.get(record(id_)).text
    assert actions(client, id_)[-1] == "opened"
    desk.post(record(id_, "close"))
    assert LIN.national_id not in desk.get(record(id_)).text


def test_c03_the_teacher_sees_which_office_opened_it(client: Client) -> None:
    id_ = file(client)
    open_record(county_desk(client, "reviewer", name="不具名"), id_)
    sign_in(client)
    page = client.get("/teacher/own-data").text
    assert "<td>高雄市 審核人</td><td>開啟您的資料</td>" in page
    assert "不具名" not in page


def test_two_reviewers_see_each_other(client: Client) -> None:
    id_ = file(client)
    first = county_desk(client, "reviewer", name="甲審核")
    second = county_desk(client, "clerk", name="乙承辦")
    open_record(first, id_)
    before = client.digest()
    refused = open_record(second, id_)
    assert refused.status_code == 422
    assert "甲審核（審核人）自" in refused.text
    assert client.digest() == before
    assert first.get(record(id_, "openers")).json() == []
    assert open_record(second, id_, also="yes").status_code == 303
    [other] = first.get(record(id_, "openers")).json()
    assert other.startswith("乙承辦（承辦人）自")
    assert "其他人也開啟了這筆資料：乙承辦" in text(first, record(id_))
    assert "審核中" in second.get("/city/applications").text
    assert "甲審核" in second.get("/city/home").text


def test_the_second_save_of_two_changes_nothing(client: Client) -> None:
    first, id_ = reviewed(client)
    second = county_desk(client, "reviewer")
    open_record(second, id_, also="yes")
    old = seen(second, id_)
    note = {"note-awards": "嘉獎", "check-committee": "no"}
    assert post(first, id_, "save", **POINTS | note).status_code == 303
    before = client.digest()
    late = second.post(record(id_, "save"), **old, awards="9", then="approve")
    assert late.status_code == 409
    assert "您的內容還沒有儲存" in late.text
    assert client.digest() == before
    assert 'name="awards" value="9"' in late.text
    assert "目前儲存：2.3 嘉獎" in late.text
    assert "目前儲存：否" in late.text
    fresh = dict(re.findall(r'name="(version|review)" value="(\d+)"', late.text))
    assert second.post(record(id_, "save"), **fresh, awards="9").status_code == 303
    assert work(client, id_).points == {"awards": (900, "")}


def test_a_decision_of_another_closes_the_record(client: Client) -> None:
    first, id_ = reviewed(client)
    second = county_desk(client, "reviewer")
    open_record(second, id_, also="yes")
    old = seen(second, id_)
    approve(first, id_)
    before = client.digest()
    late = second.post(record(id_, "return"), **old, **{"return-reason": "x"})
    assert late.status_code == 409
    assert "其他人剛作成審核決定" in late.text
    assert client.digest() == before


def test_nobody_reviews_what_he_has_not_opened(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client)
    versions = {"version": str(stored(client, id_).version), "review": "0"}
    before = client.digest()
    for what in ("save", "return", "reject"):
        form = versions | POINTS | {"return-reason": "x", "reject-reason": "x"}
        assert desk.post(record(id_, what), **form).status_code == 409
    assert client.digest() == before


def test_what_was_open_overnight_is_open_no_more(client: Client) -> None:
    id_ = file(client)
    open_record(county_desk(client), id_)
    client.clock.move(hours=8)
    assert open_record(county_desk(client), id_).status_code == 303


# the sheet


def test_c03_the_sheet_is_checked_by_digest_or_code(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client, "clerk")
    open_record(desk, id_)
    found = stored(client, id_)
    scanned = f"JIEPIN/115/ELEMENTARY/{found.version}/{found.digest.upper()}"
    for code in (short_digest(found.digest), scanned):
        answer = post(desk, id_, "sheet", code=code)
        assert answer.headers["location"].endswith("#sheet")
        assert stored(client, id_).sheet_checked == found.version
        write(client, "update application set sheet_checked = null")
    assert actions(client, id_)[-1] == "sheet-checked"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("", "請輸入校驗碼 16 個字元"),
        ("林小明", "請輸入校驗碼 16 個字元"),
        ("0123 4567 89AB CDEF", "與這位老師的任何一版都不符"),
        ("JIEPIN/114/ELEMENTARY/{v}/{digest}", "與這位老師的任何一版都不符"),
        ("JIEPIN/115/JUNIOR-HIGH/{v}/{digest}", "與這位老師的任何一版都不符"),
        ("{older}", "個人資料表，已失效；目前為第"),
    ],
)
def test_c03_another_sheet_is_told_of(client: Client, code: str, told: str) -> None:
    id_ = file(client)
    desk = county_desk(client, "clerk")
    open_record(desk, id_)
    found = stored(client, id_)

    async def read(site: Site) -> str:
        async with site.database.reading() as db:
            return (await applications.versions(db, id_))[-2].digest

    facts = {"v": found.version, "digest": found.digest, "older": client.call(read)}
    before = client.digest()
    answer = post(desk, id_, "sheet", code=code.format(**facts))
    assert answer.status_code == 422
    assert told in answer.text
    assert client.digest() == before


def test_c03_a_sheet_is_void_once_the_teacher_saves_again(client: Client) -> None:
    desk, id_ = reviewed(client)
    give_back(client, desk, id_)
    open_record(desk, id_)
    assert "曾核對第" in desk.get(record(id_)).text
    assert "尚未核對第" in approve(desk, id_).text


def give_back(client: Client, desk: Client, id_: str, name: str = "林曉明") -> None:
    """Return for correction; the teacher changes the name and files again."""
    post(desk, id_, "return", **{"return-reason": "請更正姓名"})
    sign_in(client)
    client.save("/teacher/person", **person_form(name=name))
    assert client.save("/teacher/check").headers["location"] == "/teacher/status"


# points


def test_c04_points_are_kept_to_the_hundredth(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    form = POINTS | {"note-awards": "嘉獎 4 次", "awards": " １.０5 "}
    assert post(desk, id_, "save", **form).status_code == 303
    entered = work(client, id_).points
    assert entered["awards"] == (105, "嘉獎 4 次")
    assert entered["studies"] == (125, "")
    page = desk.get(record(id_)).text
    assert 'name="awards" value="1.05"' in page
    assert re.search(r'data-total="1">52.8<', page)  # 30 + 8.5 + 12 + 1.05 + 0 + 1.25
    assert re.search(r'data-total="2">33.3<', page)
    sign_in(client)
    assert "52.8" in client.get("/teacher/status").text
    assert "嘉獎 4 次" not in client.get("/teacher/status").text


@pytest.mark.parametrize("value", ["x", "1.234", "-1", "1e3", "1,5", "99999"])
def test_c04_what_is_no_number_is_kept_as_typed(client: Client, value: str) -> None:
    desk, id_ = reviewed(client, "clerk")
    before = client.digest()
    answer = post(desk, id_, "save", **POINTS | {"awards": value, "studies": "3"})
    assert answer.status_code == 422
    assert '<a href="#awards">獎懲積分：積分請填' in answer.text
    assert "至多兩位小數" in answer.text
    assert f'name="awards" value="{value}"' in answer.text
    assert 'name="studies" value="3"' in answer.text
    assert client.digest() == before


def test_c04_no_more_than_the_limit_of_the_year(client: Client) -> None:
    write(client, "insert into points_limit values (115, 'awards', 1050)")
    desk, id_ = reviewed(client, "clerk")
    assert "最高 10.5 分" in desk.get(record(id_)).text
    before = client.digest()
    answer = post(desk, id_, "save", **POINTS | {"awards": "10.51"})
    assert answer.status_code == 422
    assert "積分應在 0 與 10.50 之間" in answer.text
    assert client.digest() == before
    assert post(desk, id_, "save", **POINTS | {"awards": "10.5"}).status_code == 303


def test_c04_what_is_left_empty_is_forgotten(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    post(desk, id_, "save", **POINTS | ANSWERS)
    post(desk, id_, "save", awards="3", **{"check-committee": "yes"})
    entered = work(client, id_)
    assert entered.points == {"awards": (300, "")}
    assert entered.answers.keys() == {"committee"}


def test_c04_a_total_for_each_county_and_no_more(client: Client) -> None:
    id_ = file(client, "133601")
    desk = county_desk(client)
    open_record(desk, id_)
    page = desk.get(record(id_)).text
    assert 'name="reason1"' in page
    assert 'name="reason2"' not in page
    assert page.count("data-total") == 1
    post(desk, id_, "save", **POINTS)
    assert "reason2" not in work(client, id_).points


def test_write_points_leaves_other_items(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    post(desk, id_, "save", **POINTS)
    old = seen(desk, id_)

    async def imported(site: Site) -> None:
        async with site.database.writing() as db:
            found = await applications.by_id(db, id_)
            assert found is not None
            entries = {"awards": (250, "匯入")}
            await review.write_points(db, found, entries, site.clock.now())

    client.call(imported)
    assert work(client, id_).points["awards"] == (250, "匯入")
    assert work(client, id_).points["service"] == (1200, "")
    assert desk.post(record(id_, "save"), **old, **POINTS).status_code == 409


@pytest.mark.parametrize("entry", [("awards", 100_000), ("salary", 1), ("awards", -1)])
def test_write_points_refuses_what_no_item_gives(
    client: Client, entry: tuple[str, int]
) -> None:
    id_ = file(client)

    async def imported(site: Site) -> None:
        async with site.database.writing() as db:
            found = await applications.by_id(db, id_)
            assert found is not None
            item, value = entry
            with pytest.raises(applications.Refused):
                await review.write_points(
                    db, found, {item: (value, "")}, site.clock.now()
                )

    client.call(imported)
    assert work(client, id_).points == {}


# decisions


def test_c05_approval_gives_the_next_number_of_county_and_level(client: Client) -> None:
    desk, id_ = reviewed(client)
    assert approve(desk, id_).status_code == 303
    found = stored(client, id_)
    assert (found.state, found.number) == ("approved", "1220001")
    assert found.reviewed == found.version
    assert client.mailed("passed")[-1]["number"] == "1220001"
    sign_in(client)
    assert "1220001" in client.get("/teacher/status").text
    assert "審核通過" in client.get("/teacher/status").text


def test_c05_every_obstacle_is_told(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client, "reviewer")
    open_record(desk, id_)
    before = client.digest()
    answer = post(desk, id_, "save", then="approve", awards="1")
    assert answer.status_code == 422
    assert answer.text.count("尚未登錄積分") == 2 * 6  # in the list and at the field
    assert answer.text.count("尚未審查") == 2 * len(ANSWERS)
    assert "尚未核對第" in answer.text
    assert 'name="awards" value="1"' in answer.text
    assert client.digest() == before


def test_c05_who_is_barred_is_not_approved(client: Client) -> None:
    desk, id_ = reviewed(client)
    lookup = client.site.vault.lookup(0, "bar", LIN.national_id)
    write(
        client,
        "insert into bar values (:lookup, 0, :until, 110, 'x')",
        lookup=lookup,
        until=to_ms(client.clock.now()) + 1,
    )
    answer = approve(desk, id_)
    assert answer.status_code == 422
    assert "系統查有未報到或放棄介聘之紀錄（第 11 條第 1 項）" in answer.text
    client.clock.move(seconds=1)
    assert approve(desk, id_).status_code == 303


def test_c05_a_clerk_enters_and_does_not_decide(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    page = desk.get(record(id_)).text
    assert 'value="approve"' not in page
    assert 'name="return-reason"' not in page
    before = client.digest()
    assert approve(desk, id_).status_code == 404
    reasons = {"return-reason": "x", "reject-reason": "x", "undo-reason": "x"}
    for what in ("return", "reject", "undo"):
        assert post(desk, id_, what, **reasons).status_code == 404
    assert client.digest() == before


def test_c05_returned_with_a_reason_mended_and_filed_again(client: Client) -> None:
    desk, id_ = reviewed(client)
    assert post(desk, id_, "return").status_code == 422
    reason = "請補服務證明\n第二行"
    assert post(desk, id_, "return", **{"return-reason": reason}).status_code == 303
    found = stored(client, id_)
    assert (found.state, found.reason) == ("returned", reason)
    assert client.mailed("returned")[-1]["reason"] == reason
    sign_in(client)
    page = client.get("/teacher/status").text
    assert "請補服務證明" in page
    assert "補正截止" in page  # the time to fill in is over
    assert "115年4月27日 09:00" in page
    client.save("/teacher/person", **person_form(name="林曉明"))
    assert stored(client, id_).state == "returned"
    assert client.save("/teacher/check").headers["location"] == "/teacher/status"
    assert stored(client, id_).state == "filed"
    assert "目前不在填報期間" in client.get("/teacher/status").text
    refused = client.save("/teacher/person", **person_form(name="林大明"))
    assert refused.status_code == 409


def test_c05_what_was_returned_is_not_mended_after_the_review(client: Client) -> None:
    desk, id_ = reviewed(client)
    post(desk, id_, "return", **{"return-reason": "缺件"})
    client.clock.move(days=7)
    sign_in(client)
    before = stored(client, id_)
    assert client.save("/teacher/person", **person_form(name="x")).status_code == 409
    assert stored(client, id_) == before


def test_c03_the_changes_since_the_review_are_shown(client: Client) -> None:
    desk, id_ = reviewed(client)
    post(desk, id_, "save", **POINTS)
    post(desk, id_, "return", **{"return-reason": "請更正"})
    sign_in(client)
    client.save("/teacher/person", **person_form(name="林曉明"))
    client.save("/teacher/wishes/save", schools="143601 133601 143602", then="check")
    client.save("/teacher/check")
    [row] = re.findall(
        r"<tr>\n<td>\(待審\).*?</tr>", desk.get("/city/applications").text, re.DOTALL
    )
    assert "已變更" in row
    assert "1220001" not in desk.get("/city/applications?changed=no").text
    open_record(desk, id_)
    page = text(desk, record(id_))
    assert "姓名 林小明 林曉明".replace(" ", "") in page.replace(" ", "")
    assert "刪除原第 2 志願：中正國小" in page
    assert "新增第 3 志願：卑南國小" in page
    assert "移動：豐里國小，原第 3 志願改為第 1 志願" in page
    assert "移動：青山國小" not in page
    older = text(desk, record(id_) + "?compare=7")
    assert "與第 7 版的差異" in older


def test_c05_rejected_for_good_with_a_reason(client: Client) -> None:
    desk, id_ = reviewed(client)
    assert post(desk, id_, "reject").status_code == 422
    post(desk, id_, "reject", **{"reject-reason": "第 5 條：未滿六學期"})
    assert stored(client, id_).state == "rejected"
    assert client.mailed("rejected")[-1]["reason"] == "第 5 條：未滿六學期"
    sign_in(client)
    assert client.save("/teacher/person", **person_form(name="x")).status_code == 409
    assert stored(client, id_).state == "rejected"


def test_c05_undone_with_a_reason_the_number_stays(client: Client) -> None:
    desk, id_ = reviewed(client)
    approve(desk, id_)
    assert LIN.national_id not in desk.get(record(id_)).text  # closed by the decision
    open_record(desk, id_)
    assert post(desk, id_, "undo").status_code == 422
    post(desk, id_, "undo", **{"undo-reason": "年資登錄錯誤"})
    found = stored(client, id_)
    assert (found.state, found.number, found.reason) == ("filed", "1220001", "")
    assert client.mailed("reopened")
    assert "年資登錄錯誤" in desk.get(record(id_)).text
    assert "年資登錄錯誤" not in whole_audit(client)
    assert actions(client, id_)[-1] == "review-undone"
    open_record(desk, id_)
    assert approve(desk, id_).status_code == 303
    assert stored(client, id_).number == "1220001"
    assert len(client.mailed("passed")) == 2


def whole_audit(client: Client) -> str:
    async def read(site: Site) -> str:
        async with site.database.reading() as db:
            rows = await db.execute_fetchall("select * from audit")
        return repr([tuple(row) for row in rows])

    return client.call(read)


def test_a_return_is_not_undone_over_an_empty_list(client: Client) -> None:
    desk, id_ = reviewed(client)
    post(desk, id_, "return", **{"return-reason": "x"})
    sign_in(client)
    client.save("/teacher/wishes/save", schools="")
    open_record(desk, id_)
    answer = post(desk, id_, "undo", **{"undo-reason": "x"})
    assert answer.status_code == 422
    assert stored(client, id_).state == "returned"


def test_what_was_approved_is_locked(client: Client) -> None:
    desk, id_ = reviewed(client)
    approve(desk, id_)
    open_record(desk, id_)
    before = client.digest()
    assert post(desk, id_, "save", **POINTS | {"awards": "1"}).status_code == 409
    assert post(desk, id_, "return", **{"return-reason": "x"}).status_code == 409
    assert check_sheet(desk, id_).status_code == 409
    assert client.digest() == before


def test_the_teacher_may_have_saved_meanwhile(client: Client) -> None:
    desk, id_ = reviewed(client)
    write(client, "update window set closes = closes + 3600000 where kind = 'fill'")
    old = seen(desk, id_)
    sign_in(client)
    client.save("/teacher/person", **person_form(name="林曉明"))
    form = old | POINTS | ANSWERS | {"then": "approve"}
    assert desk.post(record(id_, "save"), **form).status_code == 409
    assert stored(client, id_).state == "filed"


# what the site knows of a check


def test_c06_hints_beside_the_checks(client: Client) -> None:
    desk, id_ = reviewed(client)
    page = text(desk, record(id_))
    assert "所填服務年資：5 年" in page
    assert "未申請原民調" in page
    assert "本系統查無紀錄" in page
    assert "不在任教地區內之志願" not in page
    write(client, "update application set area = 'remote', indigenous = 1")
    page = text(desk, record(id_))
    assert "不在任教地區內之志願：中正國小" in page
    assert "已申請原民調" in page


def test_c06_the_indigenous_stage_needs_its_proof(client: Client) -> None:
    desk, id_ = reviewed(client)
    write(client, "update application set indigenous = 1")
    answer = approve(desk, id_)
    assert answer.status_code == 422
    assert "申請原民調者須具證明文件（第 8 條第 2 項第 1 款）" in answer.text
    assert approve(desk, id_, **{"check-indigenous": "yes"}).status_code == 303


def test_c03_a_record_that_has_just_begun_can_be_opened(client: Client) -> None:
    client.sign_in(LIN)
    desk = county_desk(client)
    id_ = client.application().id
    assert "(尚未填寫)" in desk.get(record(id_)).text
    open_record(desk, id_)
    page = desk.get(record(id_)).text
    assert LIN.national_id in page
    assert 'value="approve"' not in page
    for paper in ("sheet.pdf", "points.pdf"):
        assert desk.get(record(id_, paper)).status_code == 404


# the papers


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext")
def test_c09_the_confirmation_of_points(client: Client) -> None:
    desk, id_ = reviewed(client, "clerk")
    assert post(desk, id_, "save", **POINTS | {"note-awards": "嘉獎 4 次"})
    answer = desk.get(record(id_, "points.pdf"))
    assert answer.headers["content-type"] == "application/pdf"
    done = subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=answer.content, capture_output=True
    )
    paper = re.sub(r"\s+", " ", done.stdout.decode())
    for part in (
        "國小教師積分確認單",
        "林小明",
        "屏東縣(甲)原因積分 30.0",
        "獎懲積分 2.3 嘉獎 4 次",
        "屏東縣(甲)積分總計 54.05",
        "臺東縣(乙)積分總計 34.55",
        "申請教師簽名",
        "審核尚未完成",
    ):
        assert part in paper
    assert LIN.national_id not in paper


def test_c03_papers_are_for_whom_has_opened_the_record(client: Client) -> None:
    id_ = file(client)
    desk = county_desk(client)
    for paper in ("sheet.pdf", "points.pdf"):
        assert desk.get(record(id_, paper)).status_code == 404
    open_record(desk, id_)
    before = client.digest()
    for paper in ("sheet.pdf", "points.pdf"):
        assert desk.get(record(id_, paper)).content.startswith(b"%PDF")
    assert client.digest() == before


# english


def test_the_record_is_english_where_it_is_asked_for(client: Client) -> None:
    desk, id_ = reviewed(client)
    desk.post("/language", language="en", back="/")
    page = desk.get(record(id_)).text
    assert "Save and approve" in page
    assert "§6 I 3" in page
    assert host_desk(client).get(record(id_)).headers["location"] == "/city/"
