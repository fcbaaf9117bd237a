"""Mail against a real server: what arrives, and what becomes of each way to fail."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import nullcontext
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail_servers import (
    PASSWORD,
    USER,
    Mailbox,
    certificate,
    check_login,
    mail_server,
    silent_server,
)

from jiepin.web.notify.delivery import NeverSent, NotSent
from jiepin.web.notify.mail import Post, message
from jiepin.web.settings import Mail

NOW = datetime(2026, 4, 20, 1, 2, 3, tzinfo=UTC)
LETTER = {"to": "lin@example.org", "subject": "[教師介聘] 密碼重設", "body": "您好\n"}
KEY = "reset:p1:7:mail"


def post(port: int, *, timeout: float = 5, **options: Any) -> Post:
    """Return the way to a server on this computer, without TLS unless told."""
    context = options.pop("context", None)
    found = Mail(
        **{
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sender": "noreply@tas.example",
            **options,
        }
    )
    return Post(found, context, timeout)


async def send(way: Post, key: str = KEY, **letter: str) -> None:
    await way.send(key, LETTER | letter, NOW)


def sent(*, answers: dict[str, list[str]] | None = None, **letter: str) -> Mailbox:
    """Send one letter to a fresh server and return its mailbox."""

    async def run() -> Mailbox:
        async with mail_server() as mailbox:
            mailbox.answers = answers or {}
            await send(post(mailbox.port), **letter)
            return mailbox

    return asyncio.run(run())


def test_letter_arrives_as_written() -> None:
    [mail] = sent(body="王小明 老師您好：\n\n第二段 <b>&amp;\n.\n最後一行\n").arrived
    assert mail["To"] == "lin@example.org"
    assert mail["From"] == "noreply@tas.example"
    assert mail["Subject"] == "[教師介聘] 密碼重設"
    assert mail["Date"].datetime == NOW
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    body = mail.get_content().replace("\r\n", "\n")
    assert body == "王小明 老師您好：\n\n第二段 <b>&amp;\n.\n最後一行\n"


def test_same_message_same_name_at_every_try() -> None:
    [one], [two] = (sent().arrived for _ in range(2))
    assert one["Message-ID"] == two["Message-ID"]
    other = message("reset:p1:8:mail", LETTER, "noreply@tas.example", NOW)
    assert other["Message-ID"] != one["Message-ID"]
    assert other["Message-ID"].endswith("@tas.example>")


@pytest.mark.parametrize(
    "letter",
    [
        {"to": "lin@example.org\r\nBcc: all@example.org"},
        {"to": "lin@example.org\nBcc: all@example.org"},
        {"to": "lin@example.org, all@example.org"},
        {"to": "Lin <lin@example.org>"},
        {"to": "lin"},
        {"to": ""},
        {"to": "林@example.org"},
        {"subject": "您好\r\nBcc: all@example.org"},
        {"subject": "您好\nX: y"},
        {"subject": "您好\u2028X: y"},
    ],
)
def test_asvs_1_3_11_headers_cannot_be_smuggled_in(letter: dict[str, str]) -> None:
    async def run() -> list[EmailMessage]:
        async with mail_server() as mailbox:
            with pytest.raises(NeverSent, match="cannot stand in a mail"):
                await send(post(mailbox.port), **letter)
            return mailbox.arrived

    assert asyncio.run(run()) == []


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=40))
@settings(deadline=None)
def test_any_body_comes_back_the_same(words: str) -> None:
    """Line ends aside, which mail does not tell apart."""
    mail = message(KEY, {**LETTER, "body": words}, "noreply@tas.example", NOW)
    assert len(mail.keys()) == len(set(mail.keys()))
    found = mail.get_content().splitlines()
    assert "".join(found) == "".join(words.splitlines())


@pytest.mark.parametrize(
    ("answers", "ending", "says"),
    [
        (
            {"rcpt": ["550 5.1.1 lin@example.org unknown"]},
            NeverSent,
            "recipient .* 550",
        ),
        ({"rcpt": ["450 4.2.1 lin@example.org busy"]}, NotSent, "recipient .* 450"),
        ({"data": ["552 too large lin@example.org"]}, NeverSent, "mail .* 552"),
        ({"data": ["451 try again"]}, NotSent, "mail .* 451"),
        ({"mail": ["550 we do not know you"]}, NotSent, "SMTPSenderRefused 550"),
        ({"mail": ["421 going down"]}, NotSent, "SMTPSenderRefused 421"),
    ],
)
def test_refusals(
    answers: dict[str, list[str]], ending: type[Exception], says: str
) -> None:
    with pytest.raises(ending, match=says) as caught:
        sent(answers=answers)
    assert "example" not in str(caught.value)


def test_asvs_16_5_2_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotSent, match="SMTPConnectError"):
        asyncio.run(send(post(port)))


def test_server_says_nothing() -> None:
    async def run() -> None:
        async with silent_server() as port:
            await send(post(port, timeout=0.2))

    with pytest.raises(NotSent, match="Timeout"):
        asyncio.run(run())


def test_no_server_is_set() -> None:
    with pytest.raises(NotSent, match="JIEPIN_SMTP_HOST"):
        asyncio.run(send(post(25, host="")))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_tls(security: str, tmp_path: Path) -> None:
    server, client = certificate(tmp_path)

    async def run(context: ssl.SSLContext | None) -> list[EmailMessage]:
        async with mail_server(server, implicit=security == "tls") as mailbox:
            way = post(mailbox.port, security=security, context=context)
            try:
                await send(way)
            finally:
                assert len(mailbox.arrived) == (context is not None)
            return mailbox.arrived

    assert len(asyncio.run(run(client))) == 1
    with pytest.raises(NotSent):  # a server that nobody vouches for gets nothing
        asyncio.run(run(None))


def test_server_without_tls_gets_nothing() -> None:
    async def run() -> None:
        async with mail_server() as mailbox:
            await send(post(mailbox.port, security="starttls"))

    with pytest.raises(NotSent, match="SMTPException"):
        asyncio.run(run())


@pytest.mark.parametrize(("password", "arrives"), [(PASSWORD, True), ("no", False)])
def test_sign_in_at_the_server(password: str, arrives: bool, tmp_path: Path) -> None:
    server, client = certificate(tmp_path)
    refused = pytest.raises(NotSent, match="SMTPAuthenticationError 535")
    expected = nullcontext() if arrives else refused

    async def run() -> int:
        async with mail_server(
            server, authenticator=check_login, auth_required=True
        ) as mailbox:
            way = post(
                mailbox.port,
                security="starttls",
                context=client,
                user=USER,
                password=password,
            )
            with expected:
                await send(way)
            return len(mailbox.arrived)

    assert asyncio.run(run()) == arrives
