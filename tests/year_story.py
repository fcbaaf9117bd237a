"""A small year of three counties: who is there, and browsers that sign them in."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import staff_cards
from practice_round import Client
from site_server import SiteServer
from staff_cards import Telephone

from jiepin.web import demo
from jiepin.web.card import from_base64
from jiepin.web.clock import SetClock
from jiepin.web.county.eligibility import CHECKS
from jiepin.web.demo import Person
from jiepin.web.documents import spreadsheets
from jiepin.web.documents.spreadsheets import Sheet
from jiepin.web.site import Site

if TYPE_CHECKING:
    from site_browser import Browser, Page

YEAR = 115
ORGANISER = "高雄市政府教育局"
COUNTIES = {"12": "高雄市", "13": "屏東縣", "14": "臺東縣"}
PASSWORD = "a quiet morning"
# in Taiwan's time: the phases of the year, and when somebody sits down in them
TIMES = {
    "fill-opens": "2026-04-20T08:00",
    "fill-closes": "2026-04-27T00:00",
    "review-opens": "2026-04-27T00:00",
    "review-closes": "2026-05-04T00:00",
    "freeze-opens": "2026-05-04T08:00",
    "run-opens": "2026-05-04T08:00",
}
PUBLISHED = "2026-05-11T10:00"

Answer = TypeVar("Answer")


def taipei(text: str) -> datetime:
    """Return the moment that a field for date and time means.

    >>> taipei("2026-04-20T08:00").isoformat()
    '2026-04-20T00:00:00+00:00'
    """
    return datetime.fromisoformat(text + "+08:00").astimezone(UTC)


# what the counties put in


@dataclass(frozen=True)
class Place:
    """A school; `seats` are those that are open for others, in general subjects."""

    code: str
    name: str
    township: str
    seats: int = 0
    tags: str = ""

    @property
    def county(self) -> str:
        return self.code[:2]


K1 = Place("126001", "新興國小", "新興區")
K2 = Place("126002", "前金國小", "前金區")
K3 = Place("126003", "苓雅國小", "苓雅區")
K4 = Place("126004", "鹽埕國小", "鹽埕區")
P1 = Place("136001", "中正國小", "屏東市")
P2 = Place("136002", "仁愛國小", "屏東市", seats=2)
P3 = Place("136003", "和平國小", "潮州鎮")
P4 = Place("136004", "青山國小", "三地門鄉", seats=1, tags="特偏、原民校")
T1 = Place("146001", "豐里國小", "臺東市")
T2 = Place("146002", "卑南國小", "臺東市")
T3 = Place("146003", "東海國小", "臺東市", seats=1)
T4 = Place("146004", "寶桑國小", "臺東市", tags="偏遠")
PLACES = (K1, K2, K3, K4, P1, P2, P3, P4, T1, T2, T3, T4)


@dataclass(frozen=True)
class Teacher:
    """Who applies: from where, wishing what, and the points that the county gives."""

    person: Person
    home: Place
    wishes: tuple[Place, ...]
    points: int
    indigenous: bool = False

    @property
    def county(self) -> str:
        return self.home.county

    @property
    def counties(self) -> tuple[str, ...]:
        """The counties of the wishes, in order."""
        return tuple(dict.fromkeys(place.county for place in self.wishes))

    @property
    def email(self) -> str:
        return f"{self.person.national_id.lower()}@example.org"


def teacher(
    name: str, points: int, home: Place, *wishes: Place, indigenous: bool = False
) -> Teacher:
    """Make somebody up; who has more points was born earlier."""
    sex = "F" if points % 2 else "M"
    born = date(1995 - points // 4, 1 + points % 12, 1 + points % 28)
    person = Person(name, sex, born, "elementary", home.county, 0)
    return Teacher(person, home, wishes, points, indigenous)


# 林小明 and 潘阿妹 change places; 陳美華, 邱文彬 and 温秀珠 do in a ring of three.
# The seats of 仁愛國小 go to 黃士傑 and 王大同, that of 青山國小 by the stage of
# indigenous teachers to 高明德; for that of 東海國小, 李佩珊 and 曾雅筑 draw lots.
# Nobody else can move: no one wishes to go where they are.
LIN = teacher("林小明", 44, K1, P1)
CHEN = teacher("陳美華", 41, K2, P2, P3)
HUANG = teacher("黃士傑", 70, K3, P2, T1)
WANG = teacher("王大同", 60, K4, P2)
ZHANG = teacher("張瑞堃", 50, K3, P2, P1)
PAN = teacher("潘阿妹", 43, P1, K1)
QIU = teacher("邱文彬", 40, P3, T3, T1)
LI = teacher("李佩珊", 55, P2, T3)
WEN = teacher("温秀珠", 39, T1, K1, K2)
GAO = teacher("高明德", 38, T4, P1, P4, indigenous=True)
TEACHERS = (
    *(LIN, CHEN, HUANG, WANG, ZHANG),
    teacher("吳怡君", 31, K4, P1, T1),
    teacher("蔡宜庭", 29, K3, T3),
    teacher("鍾肇政", 30, K4, P3, P2),
    teacher("許育誠", 28, K3, P1, T3),
    teacher("謝佳玲", 27, K4, T1, P2),  # is rejected
    *(PAN, QIU, LI),
    teacher("曾雅筑", 55, P2, T3),
    teacher("盧淑芬", 25, P4, K1, K2),
    teacher("簡志宏", 26, P4, T1),
    teacher("賴雅婷", 23, P4, K2, T3),
    teacher("徐國峰", 24, P4, K1),
    teacher("宋美惠", 21, P4, T3, K2),
    teacher("唐建中", 22, P4, K1, T1),  # is returned for correction
    *(WEN, GAO),
    teacher("葉書豪", 34, T2, P2),
    teacher("江玉梅", 19, T4, K1, P1),
    teacher("范文雄", 20, T2, P3, K2),
    teacher("彭雅琪", 17, T4, K2),
    teacher("董怡安", 15, T2, P1, K1),
    teacher("石志偉", 16, T4, P2, P3),
    teacher("尤俊傑", 18, T2, K1),  # nobody reviews these two
    teacher("方淑娟", 13, T4, P1),
)
REJECTED, RETURNED = TEACHERS[9], TEACHERS[19]
UNREVIEWED = TEACHERS[28:]


def of_county(code: str) -> list[Teacher]:
    return [one for one in TEACHERS if one.county == code]


def schools_sheet(county: str) -> Sheet:
    """The list of schools that a county uploads."""
    columns = ("學校代碼", "階段別", "校名", "鄉鎮市區", "註記", "設有科(類)別")
    rows = [
        (one.code, "國小", one.name, one.township, one.tags, "普通")
        for one in PLACES
        if one.county == county
    ]
    return Sheet("學校清單", columns, rows)


def seats_sheet(county: str) -> Sheet:
    """The seats that a county opens; twice as many are free."""
    columns = ("學校代碼", "科(類)別", "缺額總數", "提列他縣市")
    rows = [
        (one.code, "普通", 2 * one.seats, one.seats)
        for one in PLACES
        if one.county == county
    ]
    return Sheet("缺額", columns, rows)


def roster_sheet(county: str) -> Sheet:
    """The roster that a county uploads."""
    columns = ("身分證統一編號", "階段別", "現任學校")
    rows = [
        (one.person.national_id, "國小", one.home.name) for one in of_county(county)
    ]
    return Sheet("介聘名冊", columns, rows)


TABLES: dict[str, Callable[[str], Sheet]] = {
    "schools": schools_sheet,
    "roster": roster_sheet,
    "seats": seats_sheet,
}


def ods(sheet: Sheet) -> bytes:
    return spreadsheets.write("ods", [sheet])


# who sits where


def official(name: str, sex: str) -> Person:
    return Person(name, sex, date(1975, 6, 15), "", "", 0)


# browsers


@dataclass
class Visitor(Client):
    """Somebody at the served site: forms are posted without a page, or with one.

    `page` is his Chromium, with the same cookies and the same card reader.
    """

    server: SiteServer = field(kw_only=True)
    browser: Browser = field(kw_only=True)
    width: int = 1280
    _page: Page | None = None

    @classmethod
    def new(
        cls, server: SiteServer, browser: Browser, clock: SetClock, width: int = 1280
    ) -> Visitor:
        http: Any = httpx2.Client(base_url=server.origin, timeout=60)
        app: Any = None
        made = cls(app, http, clock, server=server, browser=browser)
        return replace(made, width=width)

    @property
    def site(self) -> Site:
        return self.server.site

    def call(self, work: Callable[[Site], Awaitable[Answer]]) -> Answer:
        async def run() -> Answer:
            return await work(self.site)

        found: Answer = self.server.run(run)
        return found

    @property
    def page(self) -> Page:
        """His window, opened when it is first asked for."""
        from site_browser import opened  # skips the test where there is no browser

        if self._page is None:
            self._page = opened(self.browser, self.server.origin, self.width)
        self._share_cookies(self._page)
        return self._page

    def resize(self, width: int) -> Page:
        """Make his window as wide as a telephone, or as a screen."""
        self.page.set_viewport_size({"width": width, "height": 844})
        return self.page

    def _share_cookies(self, page: Page) -> None:
        """Let the window know the cookies that came without it."""
        cookies = [
            {"name": one.name, "value": one.value, "url": self.server.origin}
            for one in self.http.cookies.jar
        ]
        if cookies:
            page.context.add_cookies(cookies)  # type: ignore[arg-type]

    def take_cookies(self) -> None:
        """Learn the cookies that the window was given."""
        assert self._page is not None
        self.http.cookies.clear()
        for one in self._page.context.cookies():
            self.http.cookies.set(one["name"], one["value"])

    def show_card(self, end: str, person: Person) -> None:
        """Put what the reader says of the card into the form of a door, and send it.

        No reader runs beside a test; what it would answer is sealed as it seals it.
        """
        page = self.page
        asked = page.context.request.post(
            f"/{end}/challenge", headers={"origin": self.server.origin}
        )
        raw = from_base64(asked.json()["challenge"])
        answer = demo.sealed(person, raw, self.device, "pcsc")
        page.evaluate(
            """answer => {
                const door = document.getElementById("door");
                for (const [name, value] of Object.entries(answer)) {
                    door.elements[name].value = value;
                }
                door.submit();
            }""",
            answer,
        )

    def close(self) -> None:
        self.http.close()
        if self._page is not None:
            self._page.context.close()


@dataclass
class Official:
    """A member of staff at his desk, and his telephone."""

    visitor: Visitor
    end: str
    person: Person
    telephone: Telephone

    @property
    def page(self) -> Page:
        return self.visitor.page

    def enter(self) -> Official:
        """Sign in once more; each code counts once, so half a minute goes by."""
        self.visitor.clock.move(seconds=30)
        with suppress(KeyError):
            self.visitor.http.cookies.delete(self.visitor.site.settings.staff_cookie)
        answer = staff_cards.sign_in(
            self.visitor, self.end, self.person, self.telephone.code()
        )
        assert answer.headers.get("location") == f"/{self.end}/home", answer.text
        return self

    def get(self, path: str) -> str:
        """Return a page that is there."""
        answer = self.visitor.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return str(answer.text)

    def bytes(self, path: str) -> bytes:
        answer = self.visitor.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        return bytes(answer.content)

    def post(self, path: str, **form: object) -> str:
        """Post a form that is to be taken; returns where it leads."""
        answer = self.visitor.post(path, **form)
        assert answer.status_code == 303, f"{path}: {answer.text}"
        return str(answer.headers["location"])

    def add_colleague(self, person: Person, path: str, **more: str) -> str:
        """Make somebody's account; returns the code to be handed over."""
        form = staff_cards.new_member(person, **more)
        answer = self.visitor.post(path, **form)
        assert answer.status_code == 200, answer.text
        return staff_cards.handed_over(answer.text)

    def put_in(self, table: str, sheet: Sheet) -> None:
        """Upload a table of the county and put it in, as its pages do."""
        file = {"file": (f"{table}.ods", ods(sheet))}
        tried = self.visitor.http.post(
            "/city/tables", data={"table": table, "mode": "add"}, files=file
        )
        assert tried.status_code == 303, tried.text
        where = tried.headers["location"]
        [seen] = re.findall(r'name="fingerprint" value="(\w+)"', self.get(where))
        assert self.post(where, fingerprint=seen) == "/city/tables?done=put"

    def review(self, one: Teacher, id_: str, digest: str) -> None:
        """Open a record, compare its sheet, enter points and checks, approve."""
        self.begin_review(id_)
        self.decide(id_, "sheet", code=digest)
        form = points_of(one, one.points) | ANSWERS | {"then": "approve"}
        self.decide(id_, "save", **form)

    def begin_review(self, id_: str) -> None:
        self.post(f"/city/applications/{id_}/open")

    def decide(self, id_: str, what: str, **form: str) -> None:
        """Post a form of a record as its page is now."""
        fields = r'type="hidden" name="(version|review)" value="(\d+)"'
        seen = dict(re.findall(fields, self.get(f"/city/applications/{id_}")))
        self.post(f"/city/applications/{id_}/{what}", **{**seen, **form})


ANSWERS = {
    f"check-{check.item}": "not-applicable"
    if check.optional and check.item != "indigenous"
    else "yes"
    for check in CHECKS
}


def points_of(one: Teacher, reason: int) -> dict[str, str]:
    """Return the points of a teacher by item; the reason makes the difference."""
    shared = {"appraisal": "8.5", "service": "12", "awards": "2.3"}
    reasons = {f"reason{n}": str(reason) for n, _ in enumerate(one.counties, 1)}
    return shared | {"special": "0", "studies": "1.25"} | reasons


def file_application(visitor: Visitor, one: Teacher) -> None:
    """Come in for the first time, do all six steps, and file."""
    entered = visitor.sign_in(one.person)
    assert entered.headers.get("location") == "/teacher/", entered.text
    steps: Sequence[tuple[str, dict[str, str]]] = (
        ("/teacher/notices", {}),
        ("/teacher/password", {"password": PASSWORD, "again": PASSWORD, "hint": ""}),
        ("/teacher/person", person_form(one)),
    )
    for path, form in steps:
        saved(visitor, path, form)
    code = visitor.mailed("mail-code")[-1]["code"]
    saved(visitor, "/teacher/person/code", {"code": code})
    saved(visitor, "/teacher/appointment", appointment_form(one))
    counties = {f"county{n}": code for n, code in enumerate(one.counties, 1)}
    saved(visitor, "/teacher/wishes/counties", counties)
    listed = " ".join(place.code for place in one.wishes)
    saved(visitor, "/teacher/wishes/save", {"schools": listed, "then": "check"})
    assert saved(visitor, "/teacher/check", {}) == "/teacher/status"


def saved(visitor: Visitor, path: str, form: dict[str, str]) -> str:
    answer = visitor.save(path, **form)
    assert answer.status_code == 303, f"{path}: {answer.text}"
    return str(answer.headers["location"])


def person_form(one: Teacher) -> dict[str, str]:
    return {
        "name": one.person.name,
        "phone1": "07-1234567",
        "phone2": "",
        "email": one.email,
    }


def appointment_form(one: Teacher) -> dict[str, str]:
    return {
        "indigenous": "yes" if one.indigenous else "no",
        "indigenous_confirmed": "yes" if one.indigenous else "",
        "area": "general",
        "service_years": "7",
        "school": one.home.code,
        "subject1": "E01",
        "subject2": "",
        "subject3": "",
    }


def unzipped(content: bytes) -> dict[str, bytes]:
    """Return the files of a zip by their path in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        return {name: file.read(name) for name in file.namelist()}
