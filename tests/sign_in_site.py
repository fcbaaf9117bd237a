"""A small site with a sign-in page, to see the reader service from a real browser.

The page uses the module that the real pages use (web/static/reader.js) and the server
the functions that the real one uses (jiepin.web.card). Served over HTTPS as tas.test
and evil.test, under one authority that the browser of the tests trusts.
"""

from __future__ import annotations

import datetime
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from jiepin.web import card

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("tas.test", "evil.test", "rebound.test")
PAGE = """<!doctype html><html lang="zh-Hant-TW"><meta charset="utf-8">
<link rel="icon" href="data:,"><title>登入</title>
<script type="module" src="/page.js" data-reader="{reader}"></script>
<ul><li id="program"></li><li id="reader"></li><li id="card"></li></ul>
<button id="sign-in">登入</button><p id="answer" aria-live="polite"></p>"""
PAGE_SCRIPT = """
import { CardReader } from "/reader.js";
const url = document.querySelector("script[data-reader]").dataset.reader;
const reader = new CardReader(url);
reader.addEventListener("change", () => {
  for (const name of ["program", "reader", "card"]) {
    const { ok, reason } = reader.state[name];
    const line = document.querySelector("#" + name);
    line.className = ok ? "yes" : "no";
    line.textContent = ok ? "yes" : reason ?? "no";
  }
});
async function post(path, table) {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(table) });
  return answer.json();
}
async function signIn() {
  const asked = await post("/challenge", {});
  const answer = await reader.read(asked);
  const signedIn = await post("/login", answer);
  window.again = await post("/login", answer);
  return signedIn.welcome;
}
document.querySelector("#sign-in").addEventListener("click", async () => {
  const shown = document.querySelector("#answer");
  shown.textContent = "";
  shown.textContent = await signIn().catch((error) => error.code ?? error.name);
});
reader.start();
"""
POLICY = (
    "default-src 'none'; script-src 'self'; img-src data:; connect-src 'self' {reader};"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class Site:
    """The site's keys, its one open challenge, and the app around them."""

    def __init__(self, reader: str) -> None:
        self.reader = reader
        self.port = 0
        self.keys = card.SiteKeys(
            Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        )
        self.open: card.Challenge | None = None
        self.readings: list[card.Reading] = []

    @property
    def origin(self) -> str:
        return f"https://tas.test:{self.port}"

    async def page(self, request: Request) -> Response:
        answer = HTMLResponse(PAGE.format(reader=self.reader))
        if request.url.hostname == "tas.test":
            answer.headers["content-security-policy"] = POLICY.format(
                reader=self.reader
            )
        return answer

    async def script(self, request: Request) -> Response:
        if request.url.path == "/page.js":
            return Response(PAGE_SCRIPT, media_type="text/javascript")
        return FileResponse(ROOT / "web/static/reader.js", media_type="text/javascript")

    async def empty(self, _: Request) -> Response:
        return HTMLResponse("<!doctype html><link rel=icon href=data:,><p>evil")

    async def challenge(self, _: Request) -> Response:
        made = card.make_challenge(self.keys, self.origin, "session", int(time.time()))
        self.open = made
        return JSONResponse(made.for_page())

    async def login(self, request: Request) -> Response:
        asked, self.open = self.open, None
        if asked is None:
            return JSONResponse({"error": "challenge used or expired"}, 409)
        answer = await request.json()
        reading = card.open_answer(self.keys, asked, answer, int(time.time()))
        self.readings.append(reading)
        hidden = reading.name[0] + "○" + reading.name[2:]
        return JSONResponse({"welcome": f"歡迎 {hidden}"})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/empty", self.empty),
                Route("/page.js", self.script),
                Route("/reader.js", self.script),
                Route("/challenge", self.challenge, methods=["POST"]),
                Route("/login", self.login, methods=["POST"]),
            ]
        )


@contextmanager
def served(site: Site, folder: Path) -> Iterator[Path]:
    """Serve the site on a free port; gives the file of the authority to trust."""
    authority, identity = certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    server = uvicorn.Server(
        uvicorn.Config(
            site.app(),
            port=0,
            ssl_context_factory=lambda *_: context,
            log_config=None,
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    site.port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield authority
    finally:
        server.should_exit = True
        thread.join()


def certificates(folder: Path) -> tuple[Path, Path]:
    """Write an authority of the tests, and a key and certificate for its names."""
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(
        text: str, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(text))
            .issuer_name(name("authority of the tests"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    authority = (
        certificate("authority of the tests", keys[0])
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(keys[0], hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES])
    leaf = (
        certificate("tas.test", keys[1])
        .add_extension(names, critical=False)
        .sign(keys[0], hashes.SHA256())
    )
    private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "site-ca.pem").write_bytes(authority.public_bytes(Encoding.PEM))
    (folder / "site.pem").write_bytes(private + leaf.public_bytes(Encoding.PEM))
    return folder / "site-ca.pem", folder / "site.pem"
