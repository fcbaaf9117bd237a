"""Page weights and server times of the teacher's end, with many applicants.

    .venv/bin/python bench/site.py [--applicants N] [--times N]

One practice site in this process, its SQLite file on disk (synchronous=FULL). One
applicant files twenty wishes through the pages; the others are copies of his rows. Then
each page is fetched and the list is saved again and again. No network is in the times.
"""

from __future__ import annotations

import argparse
import gzip
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from starlette.testclient import TestClient

from jiepin.web.app import create_app
from jiepin.web.settings import Settings
from jiepin.web.site import Site
from jiepin.web.vault import Vault

ORIGIN = "http://127.0.0.1:8000"
PASSWORD = "a quiet morning"
N_WISHES = 20
PAGES = (
    "notices",
    "password",
    "person",
    "appointment",
    "wishes",
    "check",
    "status",
    "sheet",
)
NUMBERS = """
create temp table number as
with recursive n (n) as (select 1 union all select n + 1 from n where n < :most)
select n from n
"""
# what is copied once for each number, and the columns that name somebody
TABLES = {
    "account": ("id", "lookup"),
    "application": ("id", "account"),
    "wish": ("application",),
    "application_version": ("application",),
}


class Newcomer:
    """A browser that goes through the six steps with the first practice card."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def post(self, path: str, **fields: str) -> None:
        page = self.http.get(path.removesuffix("/code").replace("/save", "")).text
        seen = re.search(r'name="version" value="(\d+)"', page)
        data = {"version": seen.group(1) if seen else "", **fields}
        done = self.http.post(path, data=data)
        assert done.status_code == 303, (path, done.status_code, done.text[-800:])

    def file(self) -> list[str]:
        """File an application; return the codes of its schools."""
        self.post("/teacher/sign-in", level="elementary", password="", practice="0")
        self.post("/teacher/notices", notices_version="1")
        self.post("/teacher/password", password=PASSWORD, again=PASSWORD, hint="")
        person = {"name": "林小明", "phone1": "07-1234567", "phone2": ""}
        self.post("/teacher/person", email="lin@example.org", **person)
        self.post("/teacher/person/code", code=self.code())
        self.post("/teacher/appointment", **self.appointment())
        self.post("/teacher/wishes/counties", county1="13", county2="14")
        codes = self.schools()
        self.save(codes)
        self.post("/teacher/check")
        return codes

    def save(self, codes: list[str]) -> None:
        self.post("/teacher/wishes/save", schools=" ".join(codes), then="stay")

    def code(self) -> str:
        while True:  # mailed by the worker a moment later
            page = self.http.get("/practice/mail").text
            if found := re.search(r"\b\d{8}\b", page):
                return found.group()
            time.sleep(0.05)

    def appointment(self) -> dict[str, str]:
        page = self.http.get("/teacher/appointment").text
        school = re.search(r'<option value="(12\w+)"', page)
        assert school is not None
        fixed = {"indigenous": "no", "area": "general", "service_years": "6"}
        subjects = {"subject1": "E01", "subject2": "", "subject3": ""}
        return {"school": school.group(1), **fixed, **subjects}

    def schools(self) -> list[str]:
        page = self.http.get("/teacher/wishes?county=13").text
        pool = re.search(r"/teacher/pool/[^\"' ]+", page)
        text = self.http.get(pool.group()).text if pool else page
        codes = dict.fromkeys(re.findall(r"\b13\w{4}\b", text))
        return list(codes)[:N_WISHES]


async def copy_applicants(site: Site, n: int) -> None:
    """Make n more applicants out of the first, in one transaction."""
    async with site.database.writing() as db:
        await db.execute(NUMBERS, {"most": n})
        for table, own in TABLES.items():
            rows = await db.execute_fetchall(f"pragma table_info({table})")
            names = [row["name"] for row in rows]
            columns = ", ".join(copied(name) if name in own else name for name in names)
            await db.execute(
                f"insert into {table} ({', '.join(names)}) "
                f"select {columns} from {table}, number"
            )


def copied(name: str) -> str:
    """Return the SQL of a value that must be another one in each copy."""
    if name == "lookup":
        return "cast(hex(lookup) || '-' || n as blob)"
    return f"{name} || '-' || n"


def timed(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of so many calls, in milliseconds."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    slow = sorted(seconds)[min(int(0.99 * times), times - 1)]
    return statistics.median(seconds) * 1000, slow * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applicants", type=int, default=5000)
    parser.add_argument("--times", type=int, default=200)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="jiepin-site-") as folder:
        environment = {"JIEPIN_DATA": folder, "JIEPIN_ORIGIN": ORIGIN}
        app = create_app(Settings.read(environment, practice=True), Vault.new())
        with TestClient(app, base_url=ORIGIN, follow_redirects=False) as http:
            http.headers["sec-fetch-site"] = "same-origin"
            newcomer = Newcomer(http)
            codes = newcomer.file()
            http.portal.call(copy_applicants, app.state.site, asked.applicants - 1)
            print(f"{asked.applicants:,} applicants, {len(codes)} wishes each")
            size = sum(file.stat().st_size for file in Path(folder).glob("*.db*"))
            print(f"database {size / 2**20:.0f} MiB\n")
            report(http, codes, asked.times)


def report(http: TestClient, codes: list[str], times: int) -> None:
    print(f"{'page':<14}{'bytes':>9}{'gzip':>9}{'median ms':>11}{'p99 ms':>9}")
    for name in PAGES:
        path = f"/teacher/{name}"
        content = http.get(path).content
        median, slow = timed(partial(http.get, path), times)
        packed = len(gzip.compress(content))
        print(f"{name:<14}{len(content):>9,}{packed:>9,}{median:>11.1f}{slow:>9.1f}")
    orders = [codes, codes[::-1]]
    turn = iter(range(10**9))
    seen = http.get("/teacher/wishes").text
    version = int(re.findall(r'name="version" value="(\d+)"', seen)[0])

    def save() -> None:
        nonlocal version
        data = {"version": str(version), "schools": " ".join(orders[next(turn) % 2])}
        done = http.post("/teacher/wishes/save", data={**data, "then": "stay"})
        assert done.status_code == 303, done.text
        version += 1

    median, slow = timed(save, times)
    print(f"{'save of a list':<14}{'':>9}{'':>9}{median:>11.1f}{slow:>9.1f}")
    median, slow = timed(lambda: http.get("/teacher/sheet.pdf"), min(times, 50))
    pdf = len(http.get("/teacher/sheet.pdf").content)
    print(f"{'sheet.pdf':<14}{pdf:>9,}{'':>9}{median:>11.1f}{slow:>9.1f}")


if __name__ == "__main__":
    main()
