"""The addresses that both ends of the staff have: their door and their accounts."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import Route

from jiepin.web.staff import door, members, own_account
from jiepin.web.teacher.door import challenge

BOTH = ("GET", "POST")


def routes(end: str) -> Sequence[Route]:
    """Return the door and the accounts of an end, city or host."""
    at, staff = f"/{end}", f"/{end}/staff"
    return (
        Route(f"{at}/", door.sign_in_page),
        Route(f"{at}/challenge", challenge, methods=["POST"]),
        Route(f"{at}/sign-in", door.enter, methods=["POST"]),
        Route(f"{at}/sign-out", door.leave, methods=["POST"]),
        Route(f"{at}/enrol", door.enrol, methods=BOTH),
        Route(f"{at}/enrol/setup", door.set_up, methods=BOTH),
        Route(f"{at}/enrol/picture.svg", door.picture),
        Route(f"{at}/account", own_account.account, methods=BOTH),
        Route(f"{at}/account/sessions", own_account.end_others, methods=["POST"]),
        Route(staff, members.members),
        Route(f"{staff}/new", members.new, methods=BOTH),
        Route(f"{staff}/{{member}}", members.member, methods=BOTH),
        Route(f"{staff}/{{member}}/code", members.code, methods=["POST"]),
        Route(f"{staff}/{{member}}/access", members.access, methods=["POST"]),
    )


CITY: Sequence[Route] = routes("city")
HOST: Sequence[Route] = (
    Route("/host/staff/new-head", members.new_head, methods=BOTH),
    *routes("host"),
)
