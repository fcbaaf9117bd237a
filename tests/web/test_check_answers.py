"""確認資料: everything is shown once more, and filed from there alone."""

from __future__ import annotations

import re

import pytest
from practice_round import (
    CLOSES,
    LIN,
    PASSWORD,
    Client,
    Page,
    appointment_form,
    person_form,
)

from jiepin.web.site import Site

CHECK = "/teacher/check"
WISHES = ("133601", "143601", "133602")


@pytest.fixture
def ready(client: Client) -> Client:
    """Somebody who has pressed 儲存，完成申請 and not yet confirmed."""
    client.fill_in(5)
    client.save("/teacher/wishes/counties", county1="13", county2="14")
    keep(client, *WISHES, then="check")
    return client


def keep(client: Client, *wishes: str, then: str = "stay") -> None:
    done = client.save("/teacher/wishes/save", schools=" ".join(wishes), then=then)
    assert done.status_code == 303


def write(client: Client, statement: str) -> None:
    async def do(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(statement)

    client.call(do)


def test_everything_is_shown_as_it_will_be_filed(ready: Client) -> None:
    page = ready.get(CHECK).text
    text = Page(page).text
    for shown in (
        "確認資料",
        "您尚未完成申請",
        "林小明",
        LIN.national_id,
        "74年3月9日",
        "07-1234567#89",
        "lin@example.org",
        "新興國小",
        "一般地區(無限制)",
        "1. 普通 2. 無 3. 無",
        "屏東縣",
        "臺東縣",
    ):
        assert shown in text
    items = re.findall(r"<li>(\w+國小[△▲◆★]*)", page)
    assert items == ["青山國小▲", "豐里國小◆", "中正國小"]
    assert page.count("確認無誤，完成申請</button>") == 1
    for url in ("person", "appointment", "wishes/counties", "wishes"):
        assert re.search(rf'href="/teacher/{url}">修改<', page)
    assert re.search(r'href="/teacher/wishes">回志願資料<', page)
    application = ready.application()
    assert (application.state, application.step) == ("filling", 5)


def test_confirming_files_and_leads_to_the_status(ready: Client) -> None:
    assert ready.mailed("filed") == []
    answer = ready.save(CHECK)
    assert answer.headers["location"] == "/teacher/status"
    application = ready.application()
    assert (application.state, application.step) == ("filed", 6)
    assert application.wishes == WISHES
    [told] = ready.mailed("filed")
    assert (told["filed"], told["version"]) == (True, application.version)
    assert told["digest"] == application.digest


def test_looking_changes_nothing(ready: Client) -> None:
    before = ready.digest()
    ready.get(CHECK)
    assert ready.digest() == before


def test_ones_own_doubts_are_shown(ready: Client) -> None:
    write(ready, "insert into school_subject values ('133602', 'E02')")
    ready.save("/teacher/appointment", **appointment_form(service_years="2"))
    page = ready.get(CHECK).text
    assert "實際服務滿六學期" in page
    assert re.search(r"<li>中正國小.*<li>這所學校沒有您申請的科\(類\)別", page)
    assert page.count("這所學校沒有您申請的科(類)別") == 1


def test_the_declaration_of_the_indigenous_transfer_is_shown(ready: Client) -> None:
    declared = "申請優先辦理具原住民族身分之教師單調介聘作業"
    assert declared not in ready.get(CHECK).text
    form = appointment_form(indigenous="yes")
    ready.save("/teacher/appointment", **form, indigenous_confirmed="yes")
    assert declared in ready.get(CHECK).text


def test_a_list_under_way_is_told_of(ready: Client) -> None:
    ready.post("/teacher/wishes/edit", add="143602")
    page = ready.get(CHECK).text
    assert "另有變更尚未儲存" in page
    assert "卑南國小" not in page
    ready.save(CHECK)
    assert ready.application().wishes == WISHES


def test_what_another_window_saved_is_not_filed_unseen(ready: Client) -> None:
    seen = ready.version(CHECK)
    keep(ready, "143602")
    late = ready.post(CHECK, version=seen)
    assert late.status_code == 409
    assert "資料已在其他視窗變更" in late.text
    assert f'href="{CHECK}"' in late.text
    assert ready.application().state == "filling"


def test_a_second_click_is_told_of_the_first(ready: Client) -> None:
    seen = ready.version(CHECK)
    for _ in range(2):
        answer = ready.post(CHECK, version=seen)
        assert (answer.status_code, answer.headers["location"]) == (
            303,
            "/teacher/status",
        )
    assert len(ready.mailed("filed")) == 1
    ready.save("/teacher/person", **person_form(phone2="0912345678"))
    assert ready.post(CHECK, version=seen).status_code == 409


def test_nothing_is_filed_after_the_deadline(ready: Client) -> None:
    seen = ready.version(CHECK)
    ready.clock.set(CLOSES)
    ready.sign_in(LIN, PASSWORD)
    late = ready.post(CHECK, version=seen)
    assert late.status_code == 409
    assert "目前不在填報期間" in late.text
    assert ready.application().state == "filling"
    assert ready.get(CHECK).headers["location"] == "/teacher/wishes"


def test_t514_a_school_taken_off_meanwhile_is_not_filed(ready: Client) -> None:
    write(ready, "update school set open = 0 where code = '143601'")
    refused = ready.save(CHECK)
    assert refused.status_code == 422
    assert "豐里國小 已由縣市自介聘學校名單移除" in refused.text
    assert 'href="#wishes"' in refused.text
    assert ready.application().state == "filling"


def test_an_empty_list_leads_back(ready: Client) -> None:
    keep(ready)
    assert ready.get(CHECK).headers["location"] == "/teacher/wishes"
    version = ready.version("/teacher/wishes")
    refused = ready.post(CHECK, version=version)
    assert refused.status_code == 422
    assert "請至少選擇一所志願學校" in refused.text


def test_who_has_not_come_so_far_is_led_to_his_step(client: Client) -> None:
    assert client.get(CHECK).headers["location"] == "/teacher/"
    client.fill_in(4)
    for answer in (client.get(CHECK), client.post(CHECK, version=1)):
        assert answer.headers["location"] == "/teacher/appointment"


def test_what_is_filed_stays_filed_while_it_is_edited(ready: Client) -> None:
    ready.save(CHECK)
    ready.save("/teacher/person", **person_form(phone2="0912345678"))
    keep(ready, "143602", then="check")
    application = ready.application()
    assert (application.state, application.step) == ("filed", 6)
    page = ready.get(CHECK).text
    assert "您已完成申請" in page
    assert "0912345678" in page
    assert ready.save(CHECK).headers["location"] == "/teacher/status"


def test_what_was_returned_is_filed_again(ready: Client) -> None:
    ready.save(CHECK)
    write(ready, "update application set state = 'returned', reason = '缺件'")
    assert "您尚未完成申請" in ready.get(CHECK).text
    ready.save(CHECK)
    assert ready.application().state == "filed"


def test_an_approved_application_is_past_it(ready: Client) -> None:
    ready.save(CHECK)
    seen = ready.application().version
    write(ready, "update application set state = 'approved'")
    assert ready.get(CHECK).headers["location"] == "/teacher/status"
    assert ready.post(CHECK, version=seen).status_code == 409


def test_in_english(ready: Client) -> None:
    ready.http.cookies.set("__Host-lang", "en")
    text = Page(ready.get(CHECK).text).text
    for shown in ("Check everything", "All is right: file the application", "Pingtung"):
        assert shown in text


def test_any_name_stays_text(ready: Client) -> None:
    ready.save("/teacher/person", **person_form(name="<b>林&"))
    page = ready.get(CHECK).text
    assert "&lt;b&gt;林&amp;" in page
    assert "<b>林" not in page
