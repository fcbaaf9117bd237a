"""A small round that has been reviewed, frozen and run; publishing is for the test.

林小明 and 潘阿妹 exchange their places (高雄市, 屏東縣), 陳美華 takes the one seat that
is open, 黃𡍼生 of 臺東縣 and 王大同 of a junior high school stay.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from practice_round import CHEN, LIN, WANG, YEAR, Client
from staff_site import host_desk
from wish_site import COMPUTER

from jiepin.core import Outcome, Round, Rules, solve
from jiepin.core.report.figures import figures
from jiepin.web.access import Actor
from jiepin.web.clock import to_ms
from jiepin.web.demo import Person
from jiepin.web.site import Site
from jiepin.web.store import accounts, results, schools, snapshots
from jiepin.web.store.schools import Window
from jiepin.web.vault import digest

PAN = Person("潘阿妹", "F", date(1988, 7, 1), "elementary", "13", 0)
HUANG = Person("黃𡍼生", "M", date(1979, 1, 30), "elementary", "14", 0)


@dataclass(frozen=True)
class Teacher:
    """Somebody with an approved application; `points` are in hundredths."""

    person: Person
    number: str
    county: str
    school: str
    subject: str
    counties: tuple[str, ...]
    wishes: tuple[str, ...]
    points: int

    @property
    def account(self) -> str:
        return "account of " + self.person.name

    @property
    def application(self) -> str:
        return "application of " + self.person.name


TEACHERS = (
    Teacher(
        LIN,
        "1220001",
        "12",
        "123601",
        "E01",
        ("13", "14"),
        ("133601", "133603", "133602", "143601"),
        6000,
    ),
    Teacher(CHEN, "1220002", "12", "123602", "E01", ("13",), ("133603",), 7000),
    Teacher(PAN, "1320001", "13", "133602", "E01", ("12",), ("123601",), 5000),
    Teacher(HUANG, "1420001", "14", "143602", "E01", ("12",), ("123602",), 4000),
    Teacher(WANG, "1210001", "12", "123501", "J01", ("13",), ("133501",), 3000),
)
MAILS = {one.application: f"t{one.number}@example.org" for one in TEACHERS}


@dataclass(frozen=True)
class Frozen:
    """The round on a running site: its host's heads, its snapshot, its first run."""

    client: Client
    host: Client
    snapshot: int
    run: int

    def approve(self, run: int | None = None) -> None:
        """Let two people of different roles approve of a run."""
        for role in ("clerk", "head"):
            self.approve_as(role, run)

    def approve_as(self, role: str, run: int | None = None) -> None:
        desk = host_desk(self.client, role)  # type: ignore[arg-type]

        async def write(site: Site) -> None:
            async with site.database.writing() as db:
                row = (run or self.run, desk.actor.account, role, 0)
                await db.execute("insert into approval values (?, ?, ?, ?)", row)

        self.client.call(write)

    def publish(self, at: datetime | None = None, run: int | None = None) -> None:
        """Publish a run, at once or at a moment."""
        actor = self.host.actor
        self.client.call(lambda site: results.publish(site, actor, run or self.run, at))

    def tend(self) -> None:
        self.client.call(results.tend)

    def teacher(self, person: Person = LIN) -> Client:
        """Return a browser in which a teacher is signed in."""
        token = secrets.token_urlsafe(8)
        browser = self.client.another()
        browser.http.cookies.set(
            self.client.site.settings.cookie, token, domain="tas.test"
        )
        self.client.call(lambda site: sign_in(site, person, token))
        return browser

    def run_again(self, snapshot: int | None = None, seed: int | None = None) -> int:
        """Run once more; returns the number of the run."""
        actor = self.host.actor
        return self.client.call(
            lambda site: run(site, actor, snapshot or self.snapshot, seed)
        )

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        async def do(site: Site) -> list[tuple[Any, ...]]:
            async with site.database.writing() as db:
                rows = await db.execute_fetchall(statement, values)
                return [tuple(row) for row in rows]

        return self.client.call(do)


def frozen_round(client: Client) -> Frozen:
    """Enter the teachers, freeze and run."""
    host = host_desk(client)

    async def work(site: Site) -> tuple[int, int]:
        await enter(site)
        snapshot = await snapshots.freeze(site, host.actor, "freeze", "")
        return snapshot.id, await run(site, host.actor, snapshot.id)

    return Frozen(client, host, *client.call(work))


async def sign_in(site: Site, person: Person, token: str) -> None:
    account, now = "account of " + person.name, site.clock.now()
    async with site.database.writing() as db:
        await accounts.add_session(db, digest(token), account, COMPUTER, now)


async def enter(site: Site) -> None:
    """Write the teachers as the review leaves them, and let the review be over."""
    now = site.clock.now()
    over = Window(now - timedelta(days=9), now)
    async with site.database.writing() as db:
        for level in schools.LEVELS:
            await schools.save_window(db, YEAR, level, "fill", over)
            await schools.save_window(db, YEAR, level, "review", over)
        await db.execute("insert into vacancy values ('133603', 'E01', 1, 1)")
        for one in TEACHERS:
            await _enter(site, db, one, now)


async def _enter(site: Site, db: Any, one: Teacher, now: datetime) -> None:
    person = one.person
    lookup = site.vault.lookup(YEAR, person.level, person.national_id)
    birth_date = person.birth_date.isoformat()
    new = accounts.NewAccount(
        id=one.account,
        year=YEAR,
        level=person.level,
        lookup=lookup,
        county=one.county,
        national_id=site.vault.seal(
            person.national_id, "account.national_id", one.account
        ),
        birth_date=site.vault.seal(birth_date, "account.birth_date", one.account),
        sex=person.sex,
        card_name=person.name,
        card_name_certain=True,
    )
    await accounts.create(db, new, now)
    await accounts.confirm_device(db, one.account, COMPUTER, now)
    county1, county2 = (*one.counties, None)[:2]
    await db.execute(
        """insert into application (id, account, year, level, county, saved, step,
        state, name, email, email_confirmed, indigenous, area, service_years, school,
        subject1, county1, county2, filed, number, language) values (:id, :account,
        :year, :level, :county, :now, 6, 'approved', :name, :email, :now, 0, 'general',
        5, :school, :subject, :county1, :county2, :now, :number, 'zh-Hant')""",
        {
            "id": one.application,
            "account": one.account,
            "year": YEAR,
            "level": person.level,
            "county": one.county,
            "now": to_ms(now),
            "name": person.name,
            "email": MAILS[one.application],
            "school": one.school,
            "subject": one.subject,
            "county1": county1,
            "county2": county2,
            "number": one.number,
        },
    )
    await db.executemany(
        "insert into wish values (?, ?, ?)",
        [(one.application, n, code) for n, code in enumerate(one.wishes, 1)],
    )
    await db.execute(
        "insert into points (application, item, value) values (?, 'appraisal', ?)",
        (one.application, one.points),
    )


async def run(site: Site, actor: Actor, snapshot: int, seed: int | None = None) -> int:
    """Solve a snapshot here and now, and keep what a run keeps."""
    async with site.database.reading() as db:
        found = await snapshots.by_id(db, snapshot)
        assert found is not None
        drawn = await snapshots.seed(db, site.vault, snapshot)
        [[id_]] = await db.execute_fetchall("select coalesce(max(id), 0) + 1 from run")
    folder = f"rounds/{YEAR}/run-{id_}"
    data = site.settings.data
    seed = drawn.seed if seed is None else seed
    outcome = solve_folder(data / found.folder, data / folder, seed)
    now = to_ms(site.clock.now())
    async with site.database.writing() as db:
        await db.execute(
            """insert into run (id, snapshot, asked, asked_by, state, started, finished,
            folder, digest, lawful, version) values (:id, :snapshot, :now, :by, 'done',
            :now, :now, :folder, :digest, 1, :version)""",
            {
                "id": id_,
                "snapshot": snapshot,
                "now": now,
                "by": actor.account,
                "folder": folder,
                "digest": sha256(
                    (data / folder / "assignments.csv").read_bytes()
                ).hexdigest(),
                "version": outcome.version,
            },
        )
        rows = outcome.assignments.rows(named=True)
        await db.executemany(
            "insert into run_move values (:run, :teacher_id, :stage, :exchange, "
            ":school, :subject, :choice)",
            [row | {"run": id_, "stage": row["stage"] or ""} for row in rows],
        )
    return int(id_)


def solve_folder(snapshot: Path, result: Path, seed: int) -> Outcome:
    """Solve a round folder by its own rules, with the figures of the report beside."""
    rules = Rules.load(snapshot / "rules.toml")
    round_ = Round.read(snapshot, rules.limits)
    outcome = solve(round_, rules, seed=seed)
    outcome.write(result)
    report = result.with_name(result.name + "-report")
    report.mkdir(exist_ok=True)
    text = json.dumps(figures(round_, outcome).to_dict(), ensure_ascii=False)
    (report / "figures.json").write_text(text, "utf-8")
    return outcome
