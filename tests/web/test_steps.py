"""Sign-in and steps 1 to 4, each test named after its item of features.md."""

from __future__ import annotations

from datetime import timedelta

import pytest
from practice_round import (
    CHEN,
    CLOSES,
    LIN,
    PASSWORD,
    WANG,
    Client,
    Page,
    appointment_form,
    person_form,
)

from jiepin.web import language
from jiepin.web.site import Site
from jiepin.web.store import applications


def test_g03_g09_title_and_organiser(client: Client) -> None:
    page = client.get("/teacher/").text
    assert "公立國民中小學暨幼兒園" in page
    assert "教師介聘他縣市服務系統" in page
    assert "主辦單位：高雄市政府教育局" in page


def test_g04_g05_g06_system_identity_and_sign_out(client: Client) -> None:
    client.http.headers["user-agent"] = "Mozilla/5.0 (Windows NT 10.0) Chrome/156.0.0.0"
    client.sign_in()
    text = Page(client.get("/teacher/notices").text).text
    assert "作業系統：Windows 10/11，瀏覽器：Chrome 156，來源IP：" in text
    assert "線上人數：1" in text
    assert "申請階段別：國小" in text
    assert "(尚未開始填寫資料)" in text
    assert client.post("/teacher/sign-out").headers["location"] == "/teacher/"
    assert client.get("/teacher/notices").headers["location"] == "/teacher/"


def test_g06_the_applicant_grows(client: Client) -> None:
    client.fill_in(4)
    assert "申請人：林小明" in Page(client.get("/teacher/person").text).text
    client.save("/teacher/appointment", **appointment_form())
    text = Page(client.get("/teacher/person").text).text
    assert "申請人：高雄市 新興鄉新興國小 林小明" in text


def test_g07_the_flow_bar_leads_in_order(client: Client) -> None:
    client.fill_in(3)
    page = client.get("/teacher/person").text
    assert page.count('class="done"') == 2
    assert page.count('class="now"') == 1
    assert page.count('class="later"') == 3
    for later in ("appointment", "wishes", "status"):
        moved = client.get(f"/teacher/{later}")
        assert (moved.status_code, moved.headers["location"]) == (
            303,
            "/teacher/person",
        )


def test_g10_the_year_is_the_round_s(client: Client) -> None:
    client.sign_in()
    assert "115 年" in client.get("/teacher/notices").text


def test_g13_after_the_deadline_nothing_changes(client: Client) -> None:
    client.fill_in(4)
    client.clock.set(CLOSES - timedelta(milliseconds=1))
    client.sign_in(LIN, PASSWORD)
    saved = client.save("/teacher/appointment", **appointment_form())
    assert saved.headers["location"] == "/teacher/wishes"
    version = client.version("/teacher/person")
    client.clock.set(CLOSES)
    before = client.application()
    late = client.post("/teacher/person", version=version, **person_form(name="晚"))
    assert late.status_code == 409
    assert "目前不在填報期間" in late.text
    assert client.application() == before


def test_g14_time_left_and_what_was_saved(client: Client) -> None:
    client.sign_in()
    client.save("/teacher/notices")
    text = Page(client.get("/teacher/password").text).text
    assert "系統時間 115年4月20日 09:00:00" in text
    assert "填報截止 115年4月30日 00:00" in text
    assert "尚餘 9 天 15 小時" in text
    assert "已儲存：115年4月20日 09:00:00，第 2 版" in text


# the door


def test_l01_l02_l08_the_form(client: Client) -> None:
    page = client.get("/teacher/").text
    for word in ("請選擇", "國中", "國小", "幼兒園", "首次登入無須密碼"):
        assert word in page
    assert "首次登入說明" in page


def test_l01_a_level_must_be_chosen(client: Client) -> None:
    answer = client.post("/teacher/sign-in", level="", password="")
    assert answer.status_code == 422
    assert "請選擇階段別" in answer.text


def test_l04_l05_l06_l10_the_texts_of_the_ticks(client: Client) -> None:
    page = client.get("/teacher/").text
    for text in (
        "未偵測到健保卡讀取程式",
        "已偵測到健保卡讀取程式",
        "未偵測到讀卡機",
        "已偵測到讀卡機",
        "未插入健保卡或卡片方向錯誤",
        "已插入健保卡",
        "瀏覽器未允許本網站連線至本機讀卡程式",
    ):
        assert text in page


def test_l07_no_card_no_sign_in(client: Client) -> None:
    client.post("/teacher/challenge")
    answer = client.post(
        "/teacher/sign-in", level="elementary", sealed="", signature=""
    )
    assert answer.status_code == 422
    assert "健保卡讀取結果無法辨識" in answer.text


def test_l11_each_level_is_an_account_of_its_own(client: Client) -> None:
    assert client.sign_in(LIN).status_code == 303
    assert client.sign_in(LIN, level="junior-high").status_code == 422
    assert client.sign_in(WANG).status_code == 303


def test_l12_unknown_and_wrong_sound_the_same(client: Client) -> None:
    client.fill_in(3)
    wrong = client.another().sign_in(LIN, "not this one")
    unknown = client.another().sign_in(LIN, "not this one", level="kindergarten")
    said = "無法登入：密碼不符，或您不在本階段別的介聘名冊中"
    assert said in wrong.text
    assert said in unknown.text


def test_r01_to_r06_first_login_help(client: Client) -> None:
    text = client.get("/teacher/help").text
    for word in ("裝置管理員", "讀卡機程式已就緒，監聽埠：8080", "自動啟動", "確定"):
        assert word in text
    command = "jiepin-reader --origin https://tas.test --server-key … autostart --on"
    assert command in text


# a forgotten password


def ask_reset(client: Client) -> str:
    """Ask for a link and return its path, empty when none was mailed."""
    client.post(
        "/teacher/forgot", level="elementary", confirmed="yes", **client.answer(LIN)
    )

    links = [mail["link"] for mail in client.mailed("reset")]
    return links[-1].removeprefix(client.site.settings.origin) if links else ""


def test_l20_the_question_before_the_mail(client: Client) -> None:
    page = client.post("/teacher/forgot", level="elementary")
    assert "確定要寄送密碼重設信件？" in page.text


def test_l21_a_link_sets_a_new_password_once(client: Client) -> None:
    client.fill_in(4)
    link = ask_reset(client.another())
    fresh = {"password": "another morning", "again": "another morning"}
    other = client.another()
    assert "密碼已重設" in other.post(link, **fresh, **other.answer(LIN)).text
    assert client.get("/teacher/notices").headers["location"] == "/teacher/"
    again = other.post(link, **fresh, **other.answer(LIN))
    assert "連結已失效" in again.text
    assert other.sign_in(LIN, PASSWORD).status_code == 422
    assert other.sign_in(LIN, "another morning").status_code == 303


def test_l21_a_link_needs_the_same_card_and_is_short_lived(client: Client) -> None:
    client.fill_in(4)
    fresh = {"password": "another morning", "again": "another morning"}
    link = ask_reset(client.another())
    other = client.another()
    assert "連結已失效" in other.post(link, **fresh, **other.answer(CHEN)).text
    client.clock.move(minutes=10)
    assert "連結已失效" in other.post(link, **fresh, **other.answer(LIN)).text


def test_l21_the_new_password_is_none_of_the_card(client: Client) -> None:
    client.fill_in(4)
    link = ask_reset(client.another())
    weak = {"password": LIN.national_id + "!", "again": LIN.national_id + "!"}
    other = client.another()
    assert "不可含有身分證字號" in other.post(link, **weak, **other.answer(LIN)).text


def test_l21_nobody_learns_whether_there_is_an_account(client: Client) -> None:
    said = "重設密碼的信已寄出"
    nobody = client.post(
        "/teacher/forgot", level="elementary", confirmed="yes", **client.answer(CHEN)
    )
    assert said in nobody.text
    assert ask_reset(client) == ""


# step 1


def test_t101_to_t106_notices(client: Client) -> None:
    client.sign_in()
    text = Page(client.get("/teacher/notices").text).text
    for word in (
        "為確保您的權益，請詳細閱讀以下事項",
        "作業日程表",
        "正式教師",
        "原民校",
        "原民調",
        "六項",
        "逾期不得更改或增減",
        "更正介聘學校名單",
        "我同意上列注意事項，開始下一步填報資料",
    ):
        assert word in text
    assert client.save("/teacher/notices").headers["location"] == "/teacher/password"
    saved = client.application()
    assert (saved.notices_version, saved.notices_at) == (1, client.clock.now())
    assert saved.step == applications.PASSWORD


# step 2


@pytest.mark.parametrize(
    ("password", "again", "hint", "said"),
    [
        ("short", "short", "", "密碼至少 8 個字元"),
        (PASSWORD, "something else", "", "兩次輸入的密碼不同"),
        ("password123", "password123", "", "太常見"),
        (LIN.national_id + "x", LIN.national_id + "x", "", "不可含有身分證字號"),
        ("19850309 pass", "19850309 pass", "", "不可含有身分證字號"),
        (PASSWORD, PASSWORD, f"it is {PASSWORD}", "密碼提示不可含有密碼"),
    ],
)
def test_t201_t202_refused(
    client: Client, password: str, again: str, hint: str, said: str
) -> None:
    client.fill_in(2)
    answer = client.save("/teacher/password", password=password, again=again, hint=hint)
    assert answer.status_code == 422
    assert said in answer.text
    assert not client.application().has_password


def test_t201_saved_with_a_new_session(client: Client) -> None:
    client.fill_in(2)
    before = client.http.cookies["__Host-sid"]
    client.save("/teacher/password", password=PASSWORD, again=PASSWORD, hint="morning")
    assert client.http.cookies["__Host-sid"] != before
    assert client.get("/teacher/person").status_code == 200
    assert client.another().sign_in(LIN).status_code == 422
    assert client.another().sign_in(LIN, PASSWORD).status_code == 303


def test_t203_a_change_needs_the_present_password(client: Client) -> None:
    client.fill_in(3)
    fresh = {"password": "another morning", "again": "another morning", "hint": ""}
    assert "目前密碼不符" in client.save("/teacher/password", **fresh, present="x").text
    done = client.save("/teacher/password", **fresh, present=PASSWORD)
    assert done.status_code == 303
    assert client.another().sign_in(LIN, "another morning").status_code == 303


# step 3


def test_t301_the_card_s_part_is_for_reading(client: Client) -> None:
    client.fill_in(3)
    page = client.get("/teacher/person").text
    assert LIN.national_id in page
    assert "74年3月9日" in page
    assert 'name="national_id"' not in page


def test_t302_the_name_can_be_corrected(client: Client) -> None:
    client.fill_in(3)
    client.save("/teacher/person", **person_form(name="林𡍼明"))
    saved = client.application()
    assert (saved.name, saved.card_name) == ("林𡍼明", "林小明")


@pytest.mark.parametrize("phone", ["1234", "07 1234567", "091234567", "+886912345678"])
def test_t303_telephones(client: Client, phone: str) -> None:
    client.fill_in(3)
    answer = client.save("/teacher/person", **person_form(phone1=phone))
    assert answer.status_code == 422
    assert "電話格式不符" in answer.text


@pytest.mark.parametrize("email", ["", "lin", "lin@example", "a@b.tw\r\nBcc: c@d.tw"])
def test_t304_e_mail(client: Client, email: str) -> None:
    client.fill_in(3)
    answer = client.save("/teacher/person", **person_form(email=email))
    assert answer.status_code == 422
    assert "請填寫可收信的電子郵件" in answer.text


def test_t306_step_4_opens_with_the_code(client: Client) -> None:
    client.fill_in(3)
    client.save("/teacher/person", **person_form())
    assert client.get("/teacher/appointment").headers["location"] == "/teacher/person"
    code = client.code()
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    assert "驗證碼不符" in client.save("/teacher/person/code", code=wrong).text
    done = client.save("/teacher/person/code", code=f" {code[:4]} {code[4:]} ")
    assert done.headers["location"] == "/teacher/appointment"
    assert client.application().email == "lin@example.org"


def test_t306_five_wrong_codes_end_it(client: Client) -> None:
    client.fill_in(3)
    client.save("/teacher/person", **person_form())
    code = client.code()
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for _ in range(5):
        client.save("/teacher/person/code", code=wrong)
    assert client.save("/teacher/person/code", code=code).status_code == 422


def test_t306_the_code_ends_after_fifteen_minutes(client: Client) -> None:
    client.fill_in(3)
    client.save("/teacher/person", **person_form())
    code = client.code()
    client.clock.move(minutes=15)
    assert client.save("/teacher/person/code", code=code).status_code == 422


def test_t306_a_new_address_needs_password_and_code(client: Client) -> None:
    client.fill_in(5)
    client.clock.move(minutes=1)
    moved = person_form(email="new@example.org")
    assert "須輸入目前密碼" in client.save("/teacher/person", **moved).text
    client.save("/teacher/person", **moved, present=PASSWORD)
    assert client.application().email == "lin@example.org"
    client.save("/teacher/person/code", code=client.code())
    assert client.application().email == "new@example.org"


# step 4


def test_t401_without_a_choice_it_is_waived(client: Client) -> None:
    client.fill_in(4)
    client.save("/teacher/appointment", **appointment_form(indigenous=""))
    assert client.application().indigenous is None


def test_t402_yes_needs_its_confirmation_without_scripts_too(client: Client) -> None:
    client.fill_in(4)
    form = appointment_form(indigenous="yes")
    assert (
        "請確認是否申請優先辦理原民調"
        in client.save("/teacher/appointment", **form).text
    )
    client.save("/teacher/appointment", **form, indigenous_confirmed="yes")
    assert client.application().indigenous is True


def test_t402_t403_what_yes_means(client: Client) -> None:
    client.fill_in(4)
    page = client.get("/teacher/appointment").text
    assert "將不得參與下一階段介聘作業" in page
    assert "達成第 7 志願，就不能再到第 1 至第 6 志願" in page


def test_t404_to_t408_saved(client: Client) -> None:
    client.fill_in(4)
    form = appointment_form(area="remote", subject2="E03", subject3="E18")
    done = client.save("/teacher/appointment", **form)
    assert done.headers["location"] == "/teacher/wishes"
    saved = client.application()
    assert saved.area == "remote"
    assert saved.service_years == 5
    assert saved.school == "123601"
    assert saved.subjects == ("E01", "E03", "E18")
    assert saved.step == applications.WISHES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"area": ""}, "請選擇教師證任教地區限制"),
        ({"area": "nowhere"}, "請選擇教師證任教地區限制"),
        ({"service_years": "1.5"}, "服務年資請填 0 至 60 的整數"),
        ({"service_years": "-1"}, "服務年資請填 0 至 60 的整數"),
        ({"school": ""}, "請選擇現任服務學校"),
        ({"school": "133601"}, "須為名冊所載縣市之學校"),
        ({"school": "123501"}, "請選擇現任服務學校"),
        ({"subject1": ""}, "請選擇現任服務學校應聘科(類)別"),
        ({"subject1": "J01"}, "請選擇本階段別的科(類)別"),
        ({"subject2": "E01"}, "申請應聘科(類)別不可重複"),
    ],
)
def test_t404_to_t408_refused(client: Client, changes: dict, said: str) -> None:
    client.fill_in(4)
    answer = client.save("/teacher/appointment", **appointment_form(**changes))
    assert answer.status_code == 422
    assert said in answer.text


def test_t409_the_subjects_of_the_level(client: Client) -> None:
    client.fill_in(4)
    page = client.get("/teacher/appointment").text
    assert page.count('<option value="E') == 3 * 18
    assert '<option value="J' not in page


def test_asvs_2_3_4_a_second_window_overwrites_nothing(client: Client) -> None:
    client.fill_in(4)
    version = client.version("/teacher/person")
    client.post("/teacher/person", version=version, **person_form(phone2="0912345678"))
    late = client.post("/teacher/person", version=version, **person_form(phone2=""))
    assert late.status_code == 409
    assert "資料已在其他視窗變更" in late.text
    assert client.application().phone2 == "0912345678"


@pytest.mark.parametrize(
    ("path", "bad", "good", "field", "kept"),
    [
        (
            "/teacher/person",
            person_form(phone1="x"),
            person_form(phone2=""),
            "phone2",
            "0912345678",
        ),
        (
            "/teacher/appointment",
            appointment_form(service_years="x"),
            appointment_form(service_years="3"),
            "service_years",
            7,
        ),
    ],
)
def test_a_form_with_a_mistake_stays_as_old_as_it_was(
    client: Client, path: str, bad: dict, good: dict, field: str, kept: object
) -> None:
    client.fill_in(5)
    seen = client.version(path)
    newer = {"phone2": "0912345678"} if field == "phone2" else {field: str(kept)}
    whole = person_form if field == "phone2" else appointment_form
    client.save(path, **whole(**newer))
    again = client.post(path, version=seen, **bad)
    assert again.status_code == 422
    assert f'name="version" value="{seen}"' in again.text
    assert client.post(path, version=seen, **good).status_code == 409
    assert getattr(client.application(), field) == kept


def test_a_password_with_a_mistake_stays_as_old_as_it_was(client: Client) -> None:
    client.fill_in(4)
    seen = client.version("/teacher/password")
    client.save("/teacher/person", **person_form(phone2="0912345678"))
    again = client.post("/teacher/password", version=seen, password="x", again="x")
    assert f'name="version" value="{seen}"' in again.text


# step 6


def test_t601_t603_t605_status(client: Client) -> None:
    client.file("133601", "143601")
    text = Page(client.get("/teacher/status").text).text
    for word in (
        "尚未審核通過",
        "(待審)",
        LIN.national_id,
        "74年3月9日",
        "1. 普通 2. 無 3. 無",
        "一般地區(無限制)",
        "屏東縣(甲)原因積分",
        "臺東縣(乙)積分總計",
        "青山國小▲",
        "豐里國小◆",
        "列印個人資料表",
        "設定介聘結果LINE通知服務",
    ):
        assert word in text


def test_g02_two_languages(client: Client) -> None:
    client.sign_in()
    answer = client.post("/language", language="en", back="/teacher/notices")
    assert answer.headers["location"] == "/teacher/notices"
    page = client.get("/teacher/notices").text
    assert '<html lang="en">' in page
    assert "I agree; go on to the next step" in page
    assert client.post("/language", back="//evil.example").headers["location"] == "/"
    assert language.current() == language.CHINESE


def test_t101_the_year_s_own_text(client: Client) -> None:
    client.sign_in()

    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute(
                "update round set notices = '第一項\n第二項 <b>', notices_version = 2"
            )

    client.call(write)
    page = client.get("/teacher/notices").text
    assert "<li>第二項 &lt;b&gt;</li>" in page
    client.save("/teacher/notices")
    assert client.application().notices_version == 2


def renew_notices(client: Client) -> None:
    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            await db.execute("update round set notices = '新', notices_version = 2")

    client.call(write)


def test_t102_consent_is_for_the_text_that_was_shown(client: Client) -> None:
    client.sign_in()
    shown = client.hidden("/teacher/notices")
    renew_notices(client)
    again = client.post("/teacher/notices", **shown)
    assert again.status_code == 409
    assert "注意事項已更新，請重新閱讀並同意" in again.text
    assert "<li>新</li>" in again.text
    assert client.application().notices_version is None
    assert client.save("/teacher/notices").headers["location"] == "/teacher/password"
    assert client.application().notices_version == 2


def test_t102_a_text_that_is_new_has_not_been_agreed_to(client: Client) -> None:
    client.fill_in(4)
    assert "您已於" in client.get("/teacher/notices").text
    renew_notices(client)
    page = client.get("/teacher/notices").text
    assert "您已於" not in page
    assert "注意事項已更新" in page
    assert client.save("/teacher/notices").headers["location"] == "/teacher/appointment"
    assert "您已於" in client.get("/teacher/notices").text
