"""Files sent as spreadsheets: read or refused, in bounds, while the site goes on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fuzz_tables
import pytest
from fuzz_tables import FILES, WORST, XLSX, read
from httpx2 import Response
from hypothesis import HealthCheck, Phase, given, settings
from practice_round import Client, Page
from staff_site import county_desk

from jiepin.web.county import table_rows, tables
from jiepin.web.county.table_rows import Line, in_turns
from jiepin.web.documents import spreadsheets, unpack
from jiepin.web.documents.spreadsheets import Sheet

TESTS = Path(fuzz_tables.__file__).parent
PARENT = 400 << 10  # KiB: what the site may take for one file, most of it its modules


def sent(desk: Client, content: bytes, table: str = "roster") -> Response:
    file = {"file": ("名冊.xlsx", content)}
    return desk.http.post("/city/tables", data={"table": table}, files=file)


def test_the_worst_files_end_within_bounds() -> None:
    """Whatever is in a file: the process that reads it is bounded, the site small."""
    done = subprocess.run(
        [sys.executable, fuzz_tables.__file__],
        capture_output=True,
        check=True,
        env=dict(os.environ) | {"PYTHONPATH": str(TESTS)},
    )
    found = json.loads(done.stdout)
    expected = {
        name: "read" if harmless else "refused"
        for name, (_make, harmless) in WORST.items()
    }
    assert found["ends"] == expected
    assert found["memory"]["child"] * 1024 < unpack.MOST_MEMORY
    assert found["memory"]["self"] < PARENT


@settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(FILES)
def test_any_file_is_read_or_refused(content: bytes) -> None:
    assert read(content) in ("read", "refused")


@pytest.mark.parametrize("table", ["roster", "schools", "seats", "points"])
def test_the_page_says_what_to_do(client: Client, table: str) -> None:
    desk = county_desk(client)
    before = client.digest()
    answer = sent(desk, fuzz_tables.bad("twenty-corners.xlsx"), table)
    assert answer.status_code == 422
    assert "工作表、列、欄或文字過多" in Page(answer.text).text
    answer = sent(desk, WORST["torn"][0](), table)
    assert "請上傳 xlsx、xls 或 ods 檔" in Page(answer.text).text
    desk.post("/language", language="en", back="/city/tables")
    answer = sent(desk, fuzz_tables.bad("shared-text.xlsx"), table)
    assert "too many sheets, rows, columns or too much text" in Page(answer.text).text
    assert client.digest() == before
    assert desk.get("/city/tables").status_code == 200


def test_rare_names_and_odd_texts_are_faults_of_a_row(client: Client) -> None:
    odd = ["١٢٣", "\u202e𡍼", "=1+1", "1e999", "x" * 5000]
    rows = [[text, text, text] for text in odd]
    sheet = Sheet("a", fuzz_tables.ROSTER.columns, rows)
    answer = sent(county_desk(client), spreadsheets.write("ods", [sheet]))
    assert answer.status_code == 422
    told = [f'<td class="amount">{row}</td>' in answer.text for row in range(2, 7)]
    assert all(told)


def test_two_files_are_read_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them wait, so that threads and memory are left for all else."""
    under_way, most = 0, 0
    lock, both = threading.Lock(), threading.Semaphore(0)
    whole = spreadsheets.read

    def counted(content: bytes) -> list[Sheet]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        both.release() if under_way == 2 else both.acquire(timeout=1)
        try:
            return whole(content)
        finally:
            with lock:
                under_way -= 1

    monkeypatch.setattr(tables.spreadsheets, "read", counted)
    desk = county_desk(client)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _n: sent(desk, XLSX), range(6)))
    assert {answer.status_code for answer in answers} == {422}
    assert most == spreadsheets.READ_AT_ONCE


def test_others_are_answered_between_rows() -> None:
    lines = [Line(n, {}) for n in range(1000)]
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async def both() -> int:
        task = asyncio.create_task(other())
        found = [line async for line in in_turns(lines)]
        task.cancel()
        return len(found)

    assert asyncio.run(both()) == 1000
    assert turns >= 1000 // table_rows.AT_ONCE - 1
