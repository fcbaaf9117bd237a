"""A service that runs for months renews its certificate before it ends."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jiepin.reader import serve, stores, trust
from jiepin.reader.places import Places
from jiepin.reader.trust import LocalCertificate


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


Done = Callable[[], bool]
Keep = Callable[[Places, ssl.SSLContext, LocalCertificate, Done], None]


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Keep:
    """Let a function keep the certificate of a place until something is true."""

    def keep(
        here: Places, context: ssl.SSLContext, loaded: LocalCertificate, done: Done
    ) -> None:
        async def run() -> None:
            keeping = asyncio.create_task(serve.keep_certificate(here, context, loaded))
            async with asyncio.timeout(30):
                while not done():
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.2)
            assert not keeping.done()
            keeping.cancel()

        asyncio.run(run())

    monkeypatch.setattr(serve, "LOOK_AT_CERTIFICATE", 0.01)
    return keep


def old_certificate(here: Places) -> tuple[LocalCertificate, ssl.SSLContext]:
    """A certificate that ends in less than thirty days, and a server that uses it."""
    old = trust.ensure(here.data, datetime.now(UTC) - timedelta(days=380))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(old.identity)
    handshake(context, old.authority)
    return old, context


@pytest.mark.skipif(not shutil.which("certutil"), reason="certutil is not installed")
def test_the_certificate_is_renewed_while_the_service_runs(
    tmp_path: Path, kept: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    here = Places("linux", tmp_path, {})
    old, context = old_certificate(here)
    caplog.set_level(logging.INFO)
    kept(here, context, old, lambda: "certificate renewed: until" in caplog.text)
    new = trust.present(here.data, datetime.now(UTC))
    assert new is not None
    assert new.name != old.name
    handshake(context, new.authority)
    assert [state.ready for state in stores.describe(here, datetime.now(UTC)).stores]


def test_where_a_person_makes_browsers_trust_it_the_old_one_serves_on(
    tmp_path: Path, kept: Keep, caplog: pytest.LogCaptureFixture
) -> None:
    here = Places("darwin", tmp_path, {})
    old, context = old_certificate(here)
    authority = tmp_path / "old.pem"
    authority.write_bytes(old.authority.read_bytes())
    kept(here, context, old, lambda: "security add-trusted-cert" in caplog.text)
    handshake(context, authority)


def test_what_was_removed_is_not_made_again(tmp_path: Path, kept: Keep) -> None:
    here = Places("darwin", tmp_path, {})
    old, context = old_certificate(here)
    stores.remove(here)
    kept(here, context, old, lambda: True)
    assert not here.data.exists()


def test_a_certificate_that_is_good_is_kept(tmp_path: Path, kept: Keep) -> None:
    here = Places("darwin", tmp_path, {})
    certificate = trust.ensure(here.data, datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.identity)
    kept(here, context, certificate, lambda: True)
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
