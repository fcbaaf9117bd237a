"""Staff who come through their door: cards, codes that are handed over, telephones."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from practice_round import Client

from jiepin.web import demo
from jiepin.web.card import from_base64
from jiepin.web.demo import Person
from jiepin.web.staff import second_factor
from jiepin.web.staff.accounts import Handover, add_host_head

PASSWORD = "every seat in order"
SHI = Person("施文傑", "M", date(1972, 5, 4), "", "", 0)
HE = Person("何承恩", "M", date(1980, 6, 15), "", "", 0)
ZHENG = Person("鄭可晴", "F", date(1985, 1, 31), "", "", 0)
ZHOU = Person("周書安", "F", date(1991, 12, 1), "", "", 0)


@dataclass
class Telephone:
    """What shows the codes of one account."""

    client: Client
    secret: str = field(repr=False)

    def code(self, steps: int = 0) -> str:
        """Return the code of a step of half a minute, counted from now."""
        now = self.client.clock.now().timestamp() + 30 * steps
        return second_factor.pyotp.TOTP(self.secret).at(int(now))


def card(
    client: Client, person: Person, end: str, source: str = "pcsc"
) -> dict[str, str]:
    """Fetch a challenge of an end and let the person's card answer it."""
    raw = from_base64(client.post(f"/{end}/challenge").json()["challenge"])
    return demo.sealed(person, raw, client.device, source)


def begin(client: Client, end: str, person: Person, code: str, **more: str):
    """Show card and code for the first sign-in."""
    fields = {"enrol": code, "password": PASSWORD, "again": PASSWORD}
    return client.post(
        f"/{end}/enrol", **{**fields, **card(client, person, end)} | more
    )


def set_up(client: Client, end: str) -> Telephone:
    """Take the second factor from the page into a telephone."""
    page = client.get(f"/{end}/enrol/setup").text
    [secret] = re.findall(r'<code class="key">([A-Z2-7 ]+)</code>', page)
    return Telephone(client, secret.replace(" ", ""))


def enrol(client: Client, end: str, person: Person, code: str) -> Telephone:
    """Do the whole first sign-in; the browser is signed in afterwards."""
    begun = begin(client, end, person, code)
    assert begun.headers["location"] == f"/{end}/enrol/setup", begun.text
    telephone = set_up(client, end)
    done = client.post(f"/{end}/enrol/setup", code=telephone.code())
    assert done.headers["location"] == f"/{end}/home", done.text
    return telephone


def sign_in(
    client: Client,
    end: str,
    person: Person,
    code: str,
    password: str = PASSWORD,
    **more,
):
    """Sign in with card, password and code."""
    fields = {"password": password, "code": code, **card(client, person, end)}
    return client.post(f"/{end}/sign-in", **{**fields, **more})


def host_head(client: Client, person: Person = SHI) -> Handover:
    """Make the host's first head, as the command line does."""
    return client.call(
        lambda site: add_host_head(site, person.name, person.national_id)
    )


def handed_over(page: str) -> str:
    """Return the code that a page shows once."""
    [code] = re.findall(r'<code class="key">([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})<', page)
    return code


def new_member(person: Person, **more: str) -> dict[str, object]:
    """Return the form by which somebody's account is made."""
    form = {"name": person.name, "national_id": person.national_id, "role": "clerk"}
    return form | {"levels": "elementary"} | more
