"""Running the service: its sockets, its certificate, its log."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import ssl
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import Any

import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from jiepin.reader import places, stores, trust
from jiepin.reader.challenge import Gate
from jiepin.reader.errors import FolderRefused, PortTaken, ReaderError
from jiepin.reader.port import Port
from jiepin.reader.service import Desk, create_app
from jiepin.reader.watch import Watch

log = logging.getLogger("jiepin.reader")

LISTENING = "服務正常監聽中：https://localhost:"
LOG_BYTES = 256 * 1024  # twice that is kept
ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)  # a computer without IPv6
HOSTS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
MOST_CONNECTIONS = 64
CLOSING_SECONDS = 1  # for answers under way when the service ends
LOOK_AT_CERTIFICATE = 6 * 3600  # seconds


def run(
    reader: Port,
    here: places.Places,
    certificate: trust.LocalCertificate,
    port: int,
    origins: Sequence[str],
    server_keys: Sequence[Ed25519PublicKey],
) -> None:
    """Serve until the process is told to end. Raises PortTaken."""
    sockets = listen(port)
    start_log(here)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.identity)
    desk = Desk(
        watch=Watch(reader),
        gate=Gate(server_keys),
        device_key=trust.device_key(here.data),
        origins=tuple(origins),
        port=port,
    )
    server = Server(desk, context)
    asyncio.run(serve(server, sockets, keep_certificate(here, context, certificate)))


async def serve(
    server: Server, sockets: list[socket.socket], beside: Coroutine[Any, Any, None]
) -> None:
    """Serve, and do something else beside it."""
    renewing = asyncio.create_task(beside)
    try:
        await server.serve(sockets)
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing


class Server(uvicorn.Server):
    """The service under uvicorn; its log tells when it listens."""

    def __init__(self, desk: Desk, context: ssl.SSLContext) -> None:
        self.port = desk.port
        super().__init__(
            uvicorn.Config(
                create_app(desk),
                ssl_context_factory=lambda *_: context,
                log_config=None,
                log_level=logging.CRITICAL,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=CLOSING_SECONDS,
                lifespan="on",
                ws="none",
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("%s%d", LISTENING, self.port)


def listen(port: int) -> list[socket.socket]:
    """Return sockets of this computer's own addresses. Raises PortTaken.

    Both addresses that browsers know as localhost are taken, so that no other program
    can answer under that name; a computer without IPv6 has one.
    """
    sockets: list[socket.socket] = []
    for family, host in HOSTS:
        try:
            sockets.append(bound(family, host, port))
        except OSError as error:
            if family == socket.AF_INET6 and error.errno in ABSENT:
                continue
            for opened in sockets:
                opened.close()
            raise PortTaken(f"localhost:{port}: {error.strerror}") from None
    return sockets


def bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # named, so that asyncio sends at once (TCP_NODELAY)
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":  # there REUSEADDR would let another program in
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
    except BaseException:
        opened.close()
        raise
    return opened


def start_log(here: places.Places) -> None:
    """Log to the terminal and to a small file that is turned over.

    Raises FolderRefused.
    """
    if log.handlers:
        return
    places.make_private(here.data)
    path = here.data / places.LOG
    try:
        file = RotatingFileHandler(path, "a", LOG_BYTES, 1, "utf-8")
    except OSError as error:
        raise FolderRefused(f"{path}: {error.strerror}") from None
    handlers: list[logging.Handler] = [file]
    if sys.stderr is not None:  # pythonw has no terminal
        handlers.append(logging.StreamHandler())
    form = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
    for handler in handlers:
        handler.setFormatter(form)
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False


async def keep_certificate(
    here: places.Places, context: ssl.SSLContext, loaded: trust.LocalCertificate
) -> None:
    """Renew the certificate before it ends, also where the service runs for months.

    Where a person has to make the browsers trust it, the old one serves until the next
    start. What `trust --remove` took away is not made again.
    """
    while True:
        await asyncio.sleep(LOOK_AT_CERTIFICATE)
        if not os.path.exists(here.data / trust.AUTHORITY):
            continue
        try:
            certificate = trust.ensure(here.data, datetime.now(UTC))
            if certificate.name == loaded.name:
                continue
            told = await asyncio.to_thread(stores.install, here, certificate)
        except ReaderError as error:
            log.warning("certificate: %s %s", error.code, error.detail)
            continue
        for command in told.commands:
            log.warning("certificate renewed; before the next start: %s", command.text)
        if not told.commands:
            context.load_cert_chain(certificate.identity)
            loaded = certificate
            log.info("certificate renewed: until %s", certificate.not_after.date())
