"""A mail server of our own on this computer (aiosmtpd), which can be told to fail."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "tas", "mail-password"


@dataclass
class Mailbox:
    """What has arrived; `answers` holds what to say at a step instead of yes.

    The steps are `mail`, `rcpt` and `data`; each answer counts once.
    """

    port: int = 0
    answers: dict[str, list[str]] = field(default_factory=dict)
    arrived: list[EmailMessage] = field(default_factory=list)

    def _answer(self, step: str, yes: str) -> str:
        waiting = self.answers.get(step, [])
        return waiting.pop(0) if waiting else yes

    # called by aiosmtpd

    async def handle_MAIL(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        envelope.mail_from = address
        return self._answer("mail", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self._answer("rcpt", "250 OK")

    async def handle_DATA(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        answer = self._answer("data", "250 OK")
        if answer.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=default)
            self.arrived.append(mail)
        return answer


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None,
    implicit: bool = False,
    port: int = 0,
    **options: Any,
) -> AsyncIterator[Mailbox]:
    """Run a mail server; `implicit`: TLS from the first byte, `port` 0: a free one."""
    mailbox = Mailbox()
    talks: list[SMTP] = []

    def talk() -> SMTP:
        starttls = None if implicit else tls
        talks.append(
            SMTP(mailbox, tls_context=starttls, hostname="mail.example", **options)
        )
        return talks[-1]

    loop = asyncio.get_running_loop()
    context = tls if implicit else None
    server = await loop.create_server(talk, "127.0.0.1", port, ssl=context)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await _end(talks)
        await server.wait_closed()


async def _end(talks: list[SMTP]) -> None:
    """End the talks that a client has broken off in the middle."""
    for talk in talks:
        for transport in (talk.transport, talk._original_transport):
            if transport is not None:
                transport.abort()
    tasks = [talk._handler_coroutine for talk in talks if talk._handler_coroutine]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def silent_server() -> AsyncIterator[int]:
    """Run a server that takes one connection and never says a word."""
    gone = asyncio.Event()

    async def listen(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        await gone.wait()
        server.close()
        await server.wait_closed()


def check_login(
    _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
) -> AuthResult:
    """Let the one user in."""
    known = isinstance(data, LoginPassword)
    right = known and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return contexts of a server on 127.0.0.1 and of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))
