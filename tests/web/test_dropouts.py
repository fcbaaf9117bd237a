"""§11: who drops out, whose moves fall, what the county may open instead."""

from __future__ import annotations

from datetime import timedelta

import pytest
from letter_pages import pages_of
from practice_round import CHEN, LIN, Client
from published_round import PAN, Frozen, frozen_round
from staff_site import county_desk, host_desk

from jiepin.core import Outcome, Round, void
from jiepin.web.access import Actor
from jiepin.web.clock import from_ms
from jiepin.web.demo import Person
from jiepin.web.site import Site
from jiepin.web.store import audit, dropouts
from jiepin.web.store.dropouts import Ending


@pytest.fixture
def published(client: Client) -> Frozen:
    """The small round, approved and published at once; 林小明 and 潘阿妹 exchange."""
    found = frozen_round(client)
    found.approve()
    found.publish()
    return found


def mark(desk: Client, number: str = "1220001", **changes: str):
    form = {"number": number, "kind": "gave-up", "reason": "家庭因素", "days": "3"}
    return desk.post("/host/dropouts", **form | changes)


def marked(frozen: Frozen, number: str = "1220001", **changes: str) -> str:
    answer = mark(frozen.host, number, **changes)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def answer(desk: Client, url: str, seat: str):
    return desk.post(url.replace("/host/", "/city/"), answer=seat)


def applied(
    frozen: Frozen, number: str = "1220001", seat: str = "", **more: str
) -> str:
    """Write somebody down, let the county answer, and apply it."""
    url = marked(frozen, number, **more)
    county = number[:2]
    desk = county_desk(frozen.client, county=county)
    assert answer(desk, url, seat).status_code == 303
    done = frozen.host.post(url + "/apply")
    assert done.status_code == 303, done.text
    return url


def result(frozen: Frozen, person: Person, run: int = 0) -> tuple[str | None, str]:
    """Return where somebody is placed, and what is noted of it."""
    [row] = frozen.sql(
        "select school, note from result where application = :id and run = :run",
        id="application of " + person.name,
        run=run or frozen.run,
    )
    return row


def mailed(frozen: Frozen, event: str) -> list[str]:
    return sorted(mail["to"] for mail in frozen.client.mailed(event))


def bars(frozen: Frozen) -> list[tuple[object, ...]]:
    return frozen.sql("select * from bar")


def test_every_move_that_depends_on_it_is_shown_and_falls(published: Frozen) -> None:
    url = marked(published)
    page = published.host.get(url).text
    assert "1320001" in page
    assert "中正國小" in page
    assert "1220002" not in page
    assert published.host.post(url + "/apply").status_code == 409  # the county is asked
    assert result(published, PAN) == ("123601", "")
    assert answer(county_desk(published.client), url, "none").status_code == 303
    assert published.host.post(url + "/apply").status_code == 303
    assert result(published, LIN) == (None, "dropped-out")
    assert result(published, PAN) == (None, "void")
    assert result(published, CHEN) == ("133603", "")
    assert mailed(published, "dropped-out") == ["t1220001@example.org"]
    assert mailed(published, "void") == ["t1320001@example.org"]
    assert mailed(published, "restored") == []


def test_the_rows_are_those_of_the_engine(published: Frozen) -> None:
    applied(published)
    data = published.client.site.settings.data
    [(round_folder, run_folder)] = published.sql(
        "select snapshot.folder, run.folder from run "
        "join snapshot on snapshot.id = run.snapshot"
    )
    outcome = Outcome.read(data / run_folder)
    round_ = Round.read(data / round_folder, outcome.rules.limits)
    moves = void(round_, outcome, ["1220001"]).moves
    stored = published.sql(
        """select number, stage, result.school, subject from result
        join application on application.id = application where result.school is not null
        order by number"""
    )
    columns = ("teacher_id", "stage", "school", "subject")
    assert stored == [tuple(row) for row in moves[columns].iter_rows()]


def test_a_seat_that_is_opened_keeps_the_moves(published: Frozen) -> None:
    url = applied(published, seat="open")
    assert result(published, LIN) == (None, "dropped-out")
    assert result(published, PAN) == ("123601", "kept")
    assert mailed(published, "void") == []
    assert "均維持" in published.host.get(url).text


def test_the_county_answers_in_its_time_alone(published: Frozen) -> None:
    url = marked(published, days="2")
    desk = county_desk(published.client)
    page = desk.get("/city/dropouts").text
    assert "1220001" in page
    assert "1320001" in page
    published.client.clock.move(days=2)
    desk = county_desk(published.client)
    assert answer(desk, url, "open").status_code == 409
    assert "增開一個缺額</button>" not in desk.get("/city/dropouts").text
    host = host_desk(published.client)
    assert host.post(url + "/apply").status_code == 303  # no answer: no seat
    assert result(published, PAN) == (None, "void")


def test_the_county_may_change_its_mind_until_it_is_applied(published: Frozen) -> None:
    url = marked(published)
    desk = county_desk(published.client)
    for seat in ("none", "open"):
        assert answer(desk, url, seat).status_code == 303
    published.host.post(url + "/apply")
    assert answer(desk, url, "none").status_code == 409
    assert result(published, PAN) == ("123601", "kept")


def test_where_nobody_depends_on_it_the_county_is_not_waited_for(
    published: Frozen,
) -> None:
    url = marked(published, "1220002")
    assert published.host.post(url + "/apply").status_code == 303
    assert result(published, CHEN) == (None, "dropped-out")


def test_two_who_drop_out_are_worked_out_together(published: Frozen) -> None:
    first = marked(published)
    desk = county_desk(published.client)
    answer(desk, first, "open")
    published.host.post(first + "/apply")
    applied(published, "1320001")  # to whom the open seat had been kept
    assert result(published, PAN) == (None, "dropped-out")
    assert result(published, LIN) == (None, "dropped-out")
    published.host.post(first + "/undo", reason="誤登")
    assert result(published, LIN) == (None, "void")  # the other is still out
    assert mailed(published, "void") == ["t1220001@example.org"]


def test_undo_restores_tells_and_lifts_the_bar(published: Frozen) -> None:
    url = applied(published)
    assert len(bars(published)) == 1
    refused = published.host.post(url + "/undo", reason=" ")
    assert refused.status_code == 422
    assert "請填寫事由" in refused.text
    assert published.host.post(url + "/undo", reason="誤登").status_code == 303
    assert result(published, LIN) == ("133602", "")
    assert result(published, PAN) == ("123601", "")
    assert mailed(published, "restored") == [
        "t1220001@example.org",
        "t1320001@example.org",
    ]
    assert bars(published) == []
    assert published.host.post(url + "/undo", reason="x").status_code == 409
    marked(published)  # and once more, if it was right after all


def test_who_fell_with_another_meanwhile_is_not_applied_nor_barred(
    published: Frozen,
) -> None:
    waiting = marked(published, "1320001")
    first = applied(published)  # with whom 潘阿妹 exchanges
    assert result(published, PAN) == (None, "void")
    refused = published.host.post(waiting + "/apply")
    assert refused.status_code == 422
    assert "已隨他人失效" in refused.text
    page = published.host.get(waiting).text
    assert "已隨他人失效" in page
    assert "/apply" not in page
    answer(county_desk(published.client, county="13"), waiting, "none")
    assert published.host.post(waiting + "/apply").status_code == 422
    assert [row[4] for row in bars(published)] == ["application of " + LIN.name]
    # and once her move holds again
    published.host.post(first + "/undo", reason="誤登")
    assert published.host.post(waiting + "/apply").status_code == 303
    assert result(published, PAN) == (None, "dropped-out")
    assert [row[4] for row in bars(published)] == ["application of " + PAN.name]


def test_what_is_final_stays(published: Frozen) -> None:
    url = applied(published)
    clerk = host_desk(published.client, "clerk")
    assert clerk.post(url + "/finish").status_code == 404
    assert published.host.post(url + "/finish").status_code == 303
    assert published.host.post(url + "/undo", reason="x").status_code == 409
    assert published.host.post(url + "/finish").status_code == 409
    assert published.host.post(url + "/apply").status_code == 409
    assert "/undo" not in published.host.get(url).text


@pytest.mark.parametrize(("kind", "barred"), [("no-show", True), ("refused", False)])
def test_the_bar_is_for_those_who_did_not_come(
    published: Frozen, kind: str, barred: bool
) -> None:
    applied(published, kind=kind)
    [*found] = published.sql("select lookup, since, until, year from bar")
    assert bool(found) == barred
    for lookup, since, until, year in found:
        vault = published.client.site.vault
        assert lookup == vault.lookup(0, "bar", LIN.national_id)
        assert from_ms(until).year - from_ms(since).year == 10
        assert year == 115


@pytest.mark.parametrize(
    ("number", "field", "value", "told"),
    [
        ("1210001", "kind", "gave-up", "沒有以這個電腦編號達成"),  # was not placed
        ("9999999", "kind", "gave-up", "沒有以這個電腦編號達成"),
        ("1220001", "kind", "", "請選擇情形"),
        ("1220001", "reason", "", "請填寫事由"),
        ("1220001", "days", "0", "1 至 30"),
        ("1220001", "days", "many", "1 至 30"),
    ],
)
def test_wrong_input_is_told(
    published: Frozen, number: str, field: str, value: str, told: str
) -> None:
    refused = mark(published.host, number, **{field: value})
    assert refused.status_code == 422
    assert told in refused.text
    assert f'value="{number}"' in refused.text
    assert published.sql("select * from dropout") == []


def test_nobody_is_written_down_twice(published: Frozen) -> None:
    marked(published)
    again = mark(published.host)
    assert again.status_code == 422
    assert "已經登記過了" in again.text


def test_nothing_is_written_down_before_the_publication(client: Client) -> None:
    found = frozen_round(client)
    assert mark(found.host).status_code == 409
    assert "結果公告後才能登記" in found.host.get("/host/dropouts").text


def test_who_may_do_what(published: Frozen) -> None:
    client = published.client
    url = marked(published)
    before = client.digest()
    for desk in (
        county_desk(client, "clerk"),
        county_desk(client, "reviewer"),
        county_desk(client, county="13"),
        county_desk(client, levels=("junior-high",)),
        host_desk(client),
    ):
        before = client.digest()
        assert answer(desk, url, "open").status_code in (303, 404)
        assert client.digest() == before
    reviewer = host_desk(client, "reviewer")
    for path in ("/host/dropouts", url):  # reads, and finds no form
        page = reviewer.get(path).text
        assert 'action="/host/dropouts' not in page
    before = client.digest()
    assert mark(reviewer, "1320001").status_code == 404
    for what in ("apply", "undo", "finish", "letters"):
        assert reviewer.post(f"{url}/{what}", reason="x").status_code == 404
    assert client.digest() == before
    assert "1220001" not in county_desk(client, county="13").get("/city/dropouts").text
    junior = county_desk(client, levels=("junior-high",))
    assert "1220001" not in junior.get("/city/dropouts").text


def test_a_result_worked_out_from_something_else_is_not_written(
    published: Frozen,
) -> None:
    """Two people act at once: the second one's figures are not true any more."""
    url = marked(published)
    number = int(url.rsplit("/", 1)[1])
    answer(county_desk(published.client), url, "none")
    stale = Ending(published.run, {"1320001": False}, [], {})
    actor: Actor = published.host.actor

    async def apply(site: Site) -> None:
        await dropouts.apply(site, actor, number, [stale])

    with pytest.raises(dropouts.ChangedElsewhere):
        published.client.call(apply)
    assert result(published, LIN) == ("133602", "")


def test_a_correction_published_later_is_applied_to_as_well(published: Frozen) -> None:
    url = applied(published)
    again = published.run_again()
    published.approve(again)
    published.client.clock.move(minutes=1)
    published.publish(run=again)
    assert result(published, LIN, again) == ("133602", "")
    assert "待重新套用" in published.host.get("/host/dropouts").text
    assert published.host.post(url + "/apply").status_code == 303
    assert result(published, LIN, again) == (None, "dropped-out")
    assert result(published, PAN, again) == (None, "void")
    assert "待重新套用" not in published.host.get("/host/dropouts").text


def test_a_correction_published_on_its_page_knows_who_dropped_out(
    published: Frozen,
) -> None:
    applied(published)
    again = published.run_again()
    published.approve(again)
    answer = published.host.post("/host/results/plan", run=again, sure="yes")
    assert answer.status_code == 303
    assert result(published, LIN, again) == (None, "dropped-out")
    assert result(published, PAN, again) == (None, "void")
    assert "待重新套用" not in published.host.get("/host/dropouts").text


def test_what_counts_already_is_not_applied_twice(published: Frozen) -> None:
    url = applied(published)
    before = published.client.digest()
    assert published.host.post(url + "/apply").status_code == 409
    assert published.client.digest() == before


def test_the_next_year_has_begun(published: Frozen) -> None:
    url = applied(published)
    published.sql(
        "insert into round (year, organiser, notices_version, max_counties, "
        "max_subjects, max_choices) values (116, 'x', 1, 2, 3, 0)"
    )
    assert "1220001" in published.host.get("/host/dropouts").text
    assert "1220001" in county_desk(published.client).get("/city/dropouts").text
    marked(published, "1220002")
    assert published.host.post(url + "/finish").status_code == 303


def test_a_publication_still_to_come_is_prepared_and_tells_nobody(
    published: Frozen,
) -> None:
    again = published.run_again()
    published.approve(again)
    at = published.client.clock.now() + timedelta(days=1)
    published.publish(at, run=again)
    applied(published)
    assert result(published, PAN, again) == (None, "void")
    assert mailed(published, "void") == ["t1320001@example.org"]
    told = published.sql("select count(*) from audit where action = 'result-void'")
    assert told == [(1,)]


def test_the_teacher_reads_what_happened(published: Frozen) -> None:
    applied(published)
    assert "連帶失效，仍留原校" in published.teacher(PAN).get("/teacher/status").text
    assert "已登記放棄" in published.teacher(LIN).get("/teacher/status").text
    for person in (LIN, PAN):
        assert published.teacher(person).get("/teacher/result").status_code == 200
    own = published.teacher(LIN).post("/teacher/own-data.json").json()
    assert own["review"]["place_not_taken_up"] == ["家庭因素"]
    assert own["review"]["barred_until"].startswith("2036-")
    read = published.teacher(PAN).get("/teacher/own-data").text
    assert "介聘因他人放棄失效" in read


def test_letters_for_all_whose_transfer_is_void(published: Frozen) -> None:
    url = marked(published)
    assert published.host.post(url + "/letters").status_code == 404
    published.host.post(url + "/undo", reason="x")
    url = applied(published)
    letters = published.host.post(url + "/letters")
    assert letters.status_code == 200, letters.text
    assert letters.headers["content-type"] == "application/pdf"
    first, second = pages_of(letters.content)
    assert "林小明" in first
    assert "十年內不得再申請" in first
    assert "潘" not in first
    assert "潘阿妹" in second
    assert "仍留原學校服務" in second
    assert "林" not in second


def test_the_audit_tells_it_without_a_person(published: Frozen) -> None:
    applied(published)

    async def read(site: Site) -> list[audit.Link]:
        async with site.database.reading() as db:
            assert (await audit.chain(db)).broken is None
            return await audit.found(db, audit.Search())

    found = [link for link in published.client.call(read) if "drop" in link.action]
    assert [link.action for link in reversed(found)] == [
        "dropout-marked",
        "dropout-no-seat",
        "dropout-applied",
        "result-dropped-out",
    ]
    assert not any("家庭因素" in link.detail for link in found)
