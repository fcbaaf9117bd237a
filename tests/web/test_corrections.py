"""§14: open, correct, freeze again, compare person by person, write to people."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from letter_pages import pages_of
from practice_round import CHEN, LIN, WANG, Client, Page
from published_round import PAN, Frozen, frozen_round
from staff_site import county_desk, host_desk

from jiepin.web.access import review_open
from jiepin.web.documents import spreadsheets
from jiepin.web.site import Site
from jiepin.web.store import applications, corrections, results, schools, snapshots

SEATS = "/city/schools/seats?level=elementary&subject=E01"
OF_CHEN = "application of " + CHEN.name


@pytest.fixture
def published(client: Client) -> Frozen:
    """The small round, approved and published; 陳美華 has the one seat."""
    found = frozen_round(client)
    found.approve()
    found.publish()
    return found


def open_for(desk: Client, number: str = "1220002", **more: str):
    form = {"number": number, "application": "", "reason": "積分誤算"}
    return desk.post("/host/corrections", **form | more)


def close(desk: Client, application: str = OF_CHEN):
    return desk.post("/host/corrections/close", application=application)


def open_schools(desk: Client, county: str = "13", reason: str = "缺額誤植"):
    form = {"county": county, "county_reason": reason}
    return desk.post("/host/corrections/schools", **form)


def close_schools(desk: Client, county: str = "13"):
    return desk.post("/host/corrections/schools/close", county=county)


def mend(desk: Client, seats: str = "2", code: str = "133603"):
    """Let a county say how many seats it opens at a school."""
    form = Page(desk.get(SEATS).text).values
    form |= {f"seats-{code}": seats, f"total-{code}": seats, "then": "save"}
    return desk.post("/city/schools/seats", **form)


def seats(frozen: Frozen) -> int:
    [(found,)] = frozen.sql("select seats from vacancy where school = '133603'")
    return int(found)


def freeze(frozen: Frozen):
    return frozen.host.post("/host/corrections/freeze", why="缺額誤植")


def corrected(frozen: Frozen) -> int:
    """Let 林小明 have more points than 陳美華, and take her wish; freeze and run again.

    His first choice that can be had is then her seat, and 潘阿妹 stays.
    """
    assert open_for(frozen.host, "1220001").status_code == 303
    application = "application of " + LIN.name
    frozen.sql("update points set value = 9000 where application = :id", id=application)
    assert close(frozen.host, application).status_code == 303
    frozen_again = frozen.host.post("/host/corrections/freeze", why="積分誤算")
    assert frozen_again.headers["location"] == "/host/runs", frozen_again.text
    [(snapshot,)] = frozen.sql("select max(id) from snapshot")
    return frozen.run_again(snapshot)


def test_one_application_is_opened_and_closed(published: Frozen) -> None:
    async def is_open(site: Site) -> bool:
        async with site.database.reading() as db:
            found = await applications.by_id(db, OF_CHEN)
        assert found is not None
        return review_open(found, site.clock.now())

    assert not published.client.call(is_open)
    assert open_for(published.host).status_code == 303
    assert published.client.call(is_open)
    page = published.host.get("/host/corrections").text
    assert CHEN.name in page
    assert "積分誤算" in page
    told = county_desk(published.client).get("/city/dropouts").text
    assert "積分誤算" in told
    assert (
        "積分誤算"
        not in county_desk(published.client, county="13").get("/city/dropouts").text
    )
    assert open_for(published.host).status_code == 422  # open already
    assert close(published.host).status_code == 303
    assert not published.client.call(is_open)
    assert close(published.host).status_code == 409


def test_one_that_was_left_out_is_chosen_from_the_list(published: Frozen) -> None:
    id_ = "application of " + WANG.name
    published.sql(
        "update application set state = 'rejected', number = null where id = :id",
        id=id_,
    )
    assert f'<option value="{id_}"' in published.host.get("/host/corrections").text
    assert open_for(published.host, "", application=id_).status_code == 303
    assert WANG.name in published.host.get("/host/corrections").text


@pytest.mark.parametrize(
    ("number", "reason", "told"),
    [
        ("9999999", "x", "本年度沒有這個電腦編號"),
        ("", "x", "本年度沒有這個電腦編號"),
        ("1220002", " ", "請填寫更正事由"),
    ],
)
def test_wrong_input_is_told(
    published: Frozen, number: str, reason: str, told: str
) -> None:
    refused = open_for(published.host, number, reason=reason)
    assert refused.status_code == 422
    assert told in refused.text
    assert published.sql("select * from correction") == []


def test_nothing_is_opened_before_the_freeze(client: Client) -> None:
    host = host_desk(client)
    assert "尚未凍結" in host.get("/host/corrections").text
    assert open_for(host).status_code == 409


def test_who_may_not_finds_nothing(published: Frozen) -> None:
    reviewer = host_desk(published.client, "reviewer")
    county = county_desk(published.client)
    page = reviewer.get("/host/corrections").text
    assert '<form method="post" action="/host/corrections' not in page
    before = published.client.digest()
    assert open_for(reviewer).status_code == 404
    assert close(reviewer).status_code == 404
    assert reviewer.post("/host/corrections/freeze", why="x").status_code == 404
    assert open_for(county).headers["location"] == "/host/"
    assert published.client.digest() == before


def test_a_corrected_snapshot_waits_for_all_that_is_open(published: Frozen) -> None:
    open_for(published.host)
    refused = published.host.post("/host/corrections/freeze", why="積分誤算")
    assert refused.status_code == 422
    assert "正在更正" in refused.text
    close(published.host)
    refused = published.host.post("/host/corrections/freeze", why="")
    assert refused.status_code == 422
    assert 'id="why-wrong"' in refused.text


def test_differences_person_by_person(published: Frozen) -> None:
    run = corrected(published)
    assert f"/host/corrections/{run}" in published.host.get("/host/corrections").text
    page = published.host.get(f"/host/corrections/{run}").text
    for told in ("改至其他學校", "原達成，更正後未達成", "仁愛國小（普通）"):
        assert told in page
    assert LIN.name in page
    assert PAN.name in page
    assert "1420001" not in page  # stays in both


def test_the_seed_is_the_same_one(published: Frozen) -> None:
    corrected(published)

    async def seeds(site: Site) -> set[int]:
        async with site.database.reading() as db:
            found = await snapshots.of_year(db, 115)
            return {
                (await snapshots.seed(db, site.vault, one.id)).seed for one in found
            }

    assert len(published.client.call(seeds)) == 1


def test_the_list_and_the_letters(published: Frozen) -> None:
    run = corrected(published)
    url = f"/host/corrections/{run}/file"
    [sheet] = spreadsheets.read(published.host.post(url, kind="ods").content)
    assert [row[0] for row in sheet.rows] == ["1220001", "1220002", "1320001"]
    assert published.host.post(url, kind="csv").content.startswith(b"\xef\xbb\xbf")
    assert published.host.post(url, kind="exe").status_code == 404
    letters = pages_of(published.host.post(url, kind="pdf").content)
    assert len(letters) == 3
    assert "林小明" in letters[0]
    assert "原公告結果：屏東縣中正國小（普通）" in letters[0]
    assert "更正後結果：屏東縣仁愛國小（普通）" in letters[0]
    assert "潘阿妹" in letters[2]
    assert "更正後結果：未達成介聘" in letters[2]
    names = (LIN.name, CHEN.name, PAN.name)
    for name, letter in zip(names, letters, strict=True):
        assert not any(other in letter for other in names if other != name)
    audited = published.sql(
        "select count(*) from audit where action = 'differences-exported'"
    )
    assert audited == [(4,)]


def test_letters_are_chinese_whatever_is_spoken(published: Frozen) -> None:
    run = corrected(published)
    published.host.http.cookies.set("__Host-lang", "en", domain="tas.test")
    assert "another school" in published.host.get(f"/host/corrections/{run}").text
    answer = published.host.post(f"/host/corrections/{run}/file", kind="pdf")
    assert "更正後結果：未達成介聘" in pages_of(answer.content)[2]


def test_it_is_compared_with_what_was_published_before_it(published: Frozen) -> None:
    run = corrected(published)
    published.approve(run)
    published.client.clock.move(minutes=1)
    published.publish(run=run)

    async def before(site: Site) -> int:
        async with site.database.reading() as db:
            found = corrections.before(await results.history(db, 115), run)
        assert found is not None
        return found.run

    assert published.client.call(before) == published.run
    assert LIN.name in published.host.get(f"/host/corrections/{run}").text
    # the first one was compared with nothing
    assert published.host.get(f"/host/corrections/{published.run}").status_code == 404
    assert published.host.get("/host/corrections/99").status_code == 404


def test_those_who_dropped_out_count_on_both_sides(published: Frozen) -> None:
    form = {"number": "1220001", "kind": "gave-up", "reason": "x", "days": "1"}
    url = published.host.post("/host/dropouts", **form).headers["location"]
    desk = county_desk(published.client)
    desk.post(url.replace("/host/", "/city/"), answer="none")
    published.host.post(url + "/apply")
    page = published.host.get(f"/host/corrections/{corrected(published)}").text
    assert LIN.name not in page  # out before, out now
    assert PAN.name not in page
    assert CHEN.name in page  # her seat is gone with the points of him


def test_own_data_tells_of_it(published: Frozen) -> None:
    open_for(published.host)
    own = published.teacher(CHEN).post("/teacher/own-data.json").json()
    assert own["review"]["opened_for_correction"] == ["積分誤算"]
    assert "開放更正" in published.teacher(CHEN).get("/teacher/own-data").text


# schools and seats


@pytest.fixture
def taught(client: Client) -> Frozen:
    """The small round, published; the school of the one seat teaches its subject."""

    async def write(site: Site) -> None:
        async with site.database.writing() as db:
            await schools.add_taught(db, [("133603", "E01"), ("123601", "E01")])

    client.call(write)
    found = frozen_round(client)
    found.approve()
    found.publish()
    return found


def test_a_county_mends_its_seats_while_the_host_lets_it(taught: Frozen) -> None:
    desk, other = county_desk(taught.client, county="13"), county_desk(taught.client)
    assert mend(desk).status_code == 409
    assert open_schools(taught.host).status_code == 303
    assert "缺額誤植" in taught.host.get("/host/corrections").text
    assert "缺額誤植" in desk.get("/city/dropouts").text
    assert "缺額誤植" not in other.get("/city/dropouts").text
    assert "開放更正學校與缺額" in desk.get("/city/schools").text
    assert mend(desk).status_code == 303
    assert seats(taught) == 2
    assert close_schools(taught.host).status_code == 303
    assert mend(desk, "3").status_code == 409
    assert seats(taught) == 2
    assert "缺額誤植" not in desk.get("/city/dropouts").text
    assert close_schools(taught.host).status_code == 409
    actions = taught.sql("select action, county from audit order by id desc limit 3")
    assert actions == [
        ("schools-closed", "13"),
        ("school-corrected", "13"),
        ("schools-opened", "13"),
    ]


def test_nobody_else_mends_them_and_nothing_else(taught: Frozen) -> None:
    open_schools(taught.host)
    client = taught.client
    other, reviewer = county_desk(client), county_desk(client, "reviewer", "13")
    elsewhere = county_desk(client, county="13", levels=["kindergarten"])
    before = client.digest()
    assert mend(other, code="123601").status_code == 409  # its own are not open
    assert mend(reviewer).status_code == 404
    assert elsewhere.post("/city/schools/133603").status_code == 404
    assert client.digest() == before


def test_by_spreadsheet_as_well_but_no_roster(taught: Frozen) -> None:
    open_schools(taught.host)
    desk = county_desk(taught.client, "clerk", "13")
    content = desk.get("/city/tables/seats.ods").content
    [sheet] = spreadsheets.read(content)
    rows = [(*row[:-2], "2", "2") for row in sheet.rows if row[0] == "133603"]
    content = spreadsheets.write("ods", [replace(sheet, rows=rows)])
    tried = send(desk, "seats", content)
    assert tried.status_code == 303, tried.text
    url = tried.headers["location"]
    done = desk.post(url, **Page(desk.get(url).text).values)
    assert done.headers["location"].endswith("done=put")
    assert seats(taught) == 2
    assert send(desk, "roster", content).status_code == 404


def send(desk: Client, table: str, content: bytes):
    file = ("table.ods", io.BytesIO(content))
    form = {"table": table, "mode": "add"}
    headers = {"Origin": "https://tas.test"}
    return desk.http.post(
        "/city/tables", data=form, files={"file": file}, headers=headers
    )


def test_nobody_is_mailed_of_a_wish_after_the_freeze(taught: Frozen) -> None:
    open_schools(taught.host)
    done = mend(county_desk(taught.client, county="13"), "0")  # which 陳美華 wishes
    assert done.headers["location"].endswith("told=0")
    assert taught.client.mailed("schools") == []


@pytest.mark.parametrize(
    ("county", "reason", "told"),
    [
        ("", "x", "請選擇縣市"),
        ("99", "x", "請選擇縣市"),
        ("13", " ", "請填寫更正事由"),
    ],
)
def test_wrong_input_about_a_county_is_told(
    published: Frozen, county: str, reason: str, told: str
) -> None:
    refused = open_schools(published.host, county, reason)
    assert refused.status_code == 422
    assert told in refused.text
    assert published.sql("select * from correction") == []


def test_a_county_is_opened_once_and_by_the_host_alone(published: Frozen) -> None:
    client = published.client
    reviewer, county = host_desk(client, "reviewer"), county_desk(client, county="13")
    before = client.digest()
    assert open_schools(reviewer).status_code == 404
    assert open_schools(county).headers["location"] == "/host/"
    assert client.digest() == before
    open_schools(published.host)
    assert open_schools(published.host).status_code == 422
    assert close_schools(reviewer).status_code == 404
    assert close_schools(published.host, "12").status_code == 409
    assert '<option value="13"' not in published.host.get("/host/corrections").text


def test_no_county_is_opened_before_the_freeze(client: Client) -> None:
    assert open_schools(host_desk(client)).status_code == 409


def test_the_snapshot_differs_by_the_seat_alone(taught: Frozen) -> None:
    open_schools(taught.host)
    mend(county_desk(taught.client, county="13"))
    refused = freeze(taught)
    assert refused.status_code == 422
    assert "1 個縣市正在更正" in refused.text
    close_schools(taught.host)
    assert freeze(taught).status_code == 303
    before, after = files(taught)
    assert {name for name in before if before[name] != after[name]} == {"vacancies.csv"}
    data = taught.client.site.settings.data / "rounds" / "115"
    texts = [
        (data / f"snapshot-{n}" / "vacancies.csv").read_text("utf-8") for n in (1, 2)
    ]
    assert texts[0].replace("133603,E01,1", "133603,E01,2") == texts[1] != texts[0]


def files(frozen: Frozen) -> list[dict[str, str]]:
    """Return the digests of the files of each snapshot."""
    rows = frozen.sql("select manifest from snapshot order by id")
    return [json.loads(manifest)["files"] for (manifest,) in rows]


def test_a_correction_with_nothing_corrected_is_refused(taught: Frozen) -> None:
    refused = freeze(taught)
    assert refused.status_code == 422
    assert "與快照 1 完全相同，沒有更正" in refused.text
    open_schools(taught.host)
    desk = county_desk(taught.client, county="13")
    mend(desk)
    mend(desk, "1")  # and back
    close_schools(taught.host)
    assert freeze(taught).status_code == 422
    assert len(files(taught)) == 1
    folder = taught.client.site.settings.data / "rounds" / "115"
    assert not (folder / "snapshot-2").exists()


def test_a_freeze_is_not_taken_back_while_a_county_mends(client: Client) -> None:
    frozen = frozen_round(client)
    open_schools(frozen.host)
    url = "/host/runs/snapshots/1/withdraw"
    refused = frozen.host.post(url, reason="x")
    assert refused.status_code == 422, refused.status_code
    assert "正在更正學校與缺額" in refused.text
    close_schools(frozen.host)
    assert frozen.host.post(url, reason="x").status_code == 303
