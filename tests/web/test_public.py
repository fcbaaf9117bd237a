"""What everybody may see: commitments, the list with masked names, the figures."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from practice_round import Client, Page, running
from published_round import TEACHERS, Frozen, frozen_round

from jiepin.core import Round, Rules, solve
from jiepin.web import downloads, result_tables
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.masked import masked

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    with running(tmp_path_factory.mktemp("site")) as client:
        frozen = frozen_round(client)
        frozen.approve()
        frozen.publish()
        yield frozen


@pytest.fixture(scope="module")
def everybody(published: Frozen) -> Client:
    """A browser in which nobody is signed in."""
    return published.client.another()


def text_of(client: Client, path: str) -> str:
    return " ".join(Page(client.get(path).text).text.split())


# names


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("林小明", "林○明"),
        ("林明", "林○"),
        ("林", "○"),
        ("", ""),
        ("歐陽小明", "歐○○明"),
        ("黃𡍼生", "黃○生"),  # a rare character is one
        ("𡍼小\U000e0100明", "𡍼○明"),  # with a variant chosen
        ("林\ue000明", "林○明"),  # a private one
        ("谷辣斯·尤達卡", "谷○○·○○卡"),
        ("谷辣斯‧尤達卡", "谷○○‧○○卡"),
        ("谷辣斯．尤達卡Kulas", "谷○○．○○○○○○○s"),
        ("Lin Ming-Hua", "L○○ ○○○○-○○a"),
        ("Nguyễn An", "N○○○○○ ○n"),
    ],
)
def test_h07_names_are_masked(name: str, shown: str) -> None:
    assert masked(name) == shown


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12))
def test_h07_no_more_than_the_first_and_the_last_character_show(name: str) -> None:
    plain = unicodedata.normalize("NFC", name)
    shown = masked(name)
    letters = [c for c in shown if c != "○" and unicodedata.category(c)[0] not in "ZPM"]
    kept = [c for c in letters if c not in "\u200c\u200d"]
    assert len(kept) <= 2 + plain.count("\u200d")  # what is joined counts as one
    assert all(c in plain for c in shown if c != "○")
    if len(plain.strip()) == 1 and plain.strip().isalpha():
        assert shown.strip() == "○"


# the list


def test_h07_the_public_list_names_nobody(published: Frozen, everybody: Client) -> None:
    pages = [everybody.get("/public/results").text]
    pages += [everybody.get("/public/results.csv").text]
    for kind in ("ods", "xlsx"):
        content = everybody.get(f"/public/results.{kind}").content
        pages.append(str(spreadsheets.read(content)))
    for page in pages:
        assert "林○明" in page
        assert "中正國小" in page
        for one in TEACHERS:
            assert one.person.name not in page
            assert one.number not in page
            assert one.person.national_id not in page
    assert "王○同" not in pages[0]  # he is not placed
    assert published.host.get("/public/results").text.count("○") == 3


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("", ["潘○妹", "林○明", "陳○華"]),
        ("county=13", ["潘○妹", "林○明", "陳○華"]),
        ("county=14", []),
        ("level=junior-high", []),
        ("level=elementary&county=12", ["潘○妹", "林○明", "陳○華"]),
        ("county=%27or%201&level=x&page=-3", []),
    ],
)
def test_the_list_is_narrowed(everybody: Client, asked: str, names: list[str]) -> None:
    html = everybody.get(f"/public/results?{asked}").text
    assert re.findall(r'<th scope="row">(.○.)</th>', html) == names
    csv = everybody.get(f"/public/results.csv?{asked}").text
    assert csv.count("\n") == len(names) + 1


def test_the_list_has_pages(everybody: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("jiepin.web.result_tables", "jiepin.web.public.listed"):
        monkeypatch.setattr(f"{module}.PER_PAGE", 2)
    first = everybody.get("/public/results?level=elementary").text
    assert "第 1／2 頁，共 3 人" in first
    after = re.search(r'rel="next" href="([^"]+)"', first)
    assert after is not None
    second = everybody.get(after.group(1).replace("&amp;", "&")).text
    assert "陳○華" in second
    assert 'rel="next"' not in second
    assert "level=elementary" in after.group(1)


def test_nothing_taken_away_is_a_formula() -> None:
    rows = [("=cmd()", "+1", "-1", "@x", "\t=1", 5)]
    text = downloads.csv_of(Sheet("t", tuple("abcdef"), rows)).decode("utf-8-sig")
    assert text.splitlines()[1:] == ["'=cmd(),'+1,'-1,'@x,'\t=1,5"]


def test_an_unknown_kind_of_file_is_absent(everybody: Client) -> None:
    for path in ("/public/results.pdf", "/public/pictures/other.svg"):
        assert everybody.get(path).status_code == 404


# what is announced


def test_h05_what_was_committed_to_is_shown_and_holds(
    everybody: Client, tmp_path: Path
) -> None:
    """Do what the page tells everybody to do."""
    page = everybody.get("/public/").text
    manifest = everybody.get("/public/snapshots/1/manifest.json").content
    assert hashlib.sha256(manifest).hexdigest() in page
    opened = re.search(r"jiepin seed 1 (\d+) (\w+)", page)
    assert opened is not None
    assert hashlib.sha256(opened.group().encode()).hexdigest() in page
    content = everybody.get("/public/snapshots/1/round.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as folder:
        folder.extractall(tmp_path)
    folder = tmp_path / "snapshot-1"
    assert (folder / "manifest.json").read_bytes() == manifest
    rules = Rules.load(folder / "rules.toml")
    again = solve(Round.read(folder, rules.limits), rules, seed=int(opened.group(1)))
    again.write(tmp_path / "result")
    digest = hashlib.sha256((tmp_path / "result/assignments.csv").read_bytes())
    assert digest.hexdigest() in page


def test_h05_what_is_published_holds_no_person(everybody: Client) -> None:
    content = everybody.get("/public/snapshots/1/round.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as folder:
        whole = "".join(folder.read(name).decode() for name in folder.namelist())
    assert TEACHERS[0].number in whole
    for one in TEACHERS:
        assert one.person.name not in whole
        assert one.person.national_id not in whole
        assert one.person.birth_date.isoformat() not in whole


def test_unknown_snapshots_are_absent(everybody: Client) -> None:
    for path in ("manifest.json", "round.zip"):
        assert everybody.get(f"/public/snapshots/9/{path}").status_code == 404
        assert everybody.get(f"/public/snapshots/x/{path}").status_code == 404


# figures


def test_h08_statistics(everybody: Client) -> None:
    text = text_of(everybody, "/public/statistics?county=13")
    assert "高雄市321-1" in text  # applied, out, in, net
    assert "屏東縣112+1" in text
    assert "申請 5 人，達成介聘 3 人" in text
    assert "單調—1" in text
    assert "互調12" in text
    assert "國小 普通1170.0" in text  # seats, who came, lowest points
    assert "1170.0" not in text_of(everybody, "/public/statistics?county=12")
    numbers = [one.number for one in TEACHERS]
    assert not any(number in text for number in numbers)


def test_h08_pictures_and_the_report_have_their_own_policy(
    published: Frozen, everybody: Client
) -> None:
    site = published.client.site
    folder = site.settings.data / "rounds/115/run-1-report"
    assert everybody.get("/public/report").status_code == 404
    (folder / "flows.svg").write_text("<svg/>", "utf-8")
    (folder / "report.html").write_text("<style></style>", "utf-8")
    try:
        for path, kind in (
            ("/public/report", "text/html; charset=utf-8"),
            ("/public/pictures/flows.svg", "image/svg+xml"),
        ):
            answer = everybody.get(path)
            assert answer.headers["content-type"] == kind
            assert answer.headers["content-security-policy"].startswith(POLICY)
            assert answer.headers["cache-control"] == "no-store"
        page = everybody.get("/public/statistics").text
        assert '<img src="/public/pictures/flows.svg" alt="縣市之間' in page
    finally:
        (folder / "flows.svg").unlink()
        (folder / "report.html").unlink()


def test_h08_pictures_and_the_report_are_in_the_language_spoken(
    published: Frozen,
) -> None:
    folder = published.client.site.settings.data / "rounds/115/run-1-report-en"
    there = folder.exists()
    folder.mkdir(exist_ok=True)
    (folder / "report.html").write_text("<p>Report", "utf-8")
    (folder / "flows.svg").write_text("<svg>Flows</svg>", "utf-8")
    browser = published.client.another()
    try:
        assert "Report" not in browser.get("/public/report").text
        browser.post("/language", language="en", back="/public/")
        assert browser.get("/public/report").text == "<p>Report"
        assert "Flows" in browser.get("/public/pictures/flows.svg").text
        page = browser.get("/public/statistics").text
        assert '<img src="/public/pictures/flows.svg"' in page
    finally:
        (folder / "report.html").unlink()
        (folder / "flows.svg").unlink()
        if not there:
            folder.rmdir()


def test_a_run_without_figures_still_has_its_counties(
    everybody: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Path("nowhere")
    monkeypatch.setattr(result_tables, "report_folder", lambda *_: nowhere)
    text = text_of(everybody, "/public/statistics")
    assert "高雄市321-1" in text
    assert "縣市之間的流動" not in text


# languages


def test_public_pages_are_english_after_choosing_it(published: Frozen) -> None:
    browser = published.client.another()
    browser.post("/language", language="en", back="/public/")
    assert "Commitment to the seed" in browser.get("/public/").text
    listed = browser.get("/public/results").text
    assert re.search("Kaohsiung City [^ <]+ [^ <]+國小", listed)
    statistics = browser.get("/public/statistics?county=13").text
    assert "exchange of two" in statistics
    assert "general" in statistics
