"""A service that runs for months renews its certificate before it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jiepin.reader import serve, trust
from jiepin.reader.places import Places


def handshake(context: ssl.SSLContext, authority: Path) -> None:
    """Greet a server that uses `context`, trusting one authority alone."""
    client = ssl.create_default_context(cafile=authority)
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with context.wrap_socket(theirs, server_side=True) as secure:
            secure.recv(1)

    thread = threading.Thread(target=answer)
    thread.start()
    with client.wrap_socket(ours, server_hostname="localhost") as secure:
        secure.sendall(b".")
    thread.join()


def test_the_certificate_is_renewed_while_the_service_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Places("darwin", tmp_path, {})  # where no store is changed
    old = trust.ensure(here.data, datetime.now(UTC) - timedelta(days=380))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.identity)
    handshake(context, old.authority)
    monkeypatch.setattr(serve, "LOOK_AT_CERTIFICATE", 0.01)

    async def keep() -> None:
        keeping = asyncio.create_task(serve.keep_certificate(here, context))
        async with asyncio.timeout(20):
            while trust.present(here.data, datetime.now(UTC)) is None:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        keeping.cancel()

    asyncio.run(keep())
    new = trust.present(here.data, datetime.now(UTC))
    assert new is not None
    assert new.name != old.name
    handshake(context, new.authority)


def test_a_certificate_that_is_good_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Places("darwin", tmp_path, {})
    certificate = trust.ensure(here.data, datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.identity)
    monkeypatch.setattr(serve, "LOOK_AT_CERTIFICATE", 0.01)

    async def keep() -> None:
        keeping = asyncio.create_task(serve.keep_certificate(here, context))
        await asyncio.sleep(0.2)
        assert not keeping.done()
        keeping.cancel()

    asyncio.run(keep())
    now = trust.present(here.data, datetime.now(UTC))
    assert now is not None
    assert now.name == certificate.name


def test_both_loopback_addresses_or_none() -> None:
    sockets = serve.listen(0)
    try:
        assert {opened.getsockname()[0] for opened in sockets} <= {"127.0.0.1", "::1"}
    finally:
        for opened in sockets:
            opened.close()
