"""A LINE platform of our own: the parts of LINE Login and Messaging API that we use.

It checks what LINE checks (client, secret, redirect address, PKCE, nonce, bearer token,
retry key) and can be told to fail. It knows nothing of the code under test.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

LOGIN_ID, LOGIN_SECRET, CHANNEL_TOKEN = "1234567890", "login-secret", "channel-token"
CALLBACK = "https://tas.example/teacher/line"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class LineServer:
    """What the platform knows, and what it is to answer next instead of success.

    `failures` are taken one per push: a status and headers; a status above 1000 means
    that the message is taken all the same (status - 1000 is answered).
    """

    address: str = ""
    callback: str = CALLBACK
    user: str = "U0123456789abcdef0123456789abcdef"
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    delivered: list[dict[str, Any]] = field(default_factory=list)
    pushes: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    asked: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)

    # LINE Login

    async def authorize(self, request: Request) -> Response:
        """Agree at once and lead back with a code, as if somebody had signed in."""
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["client_id"] == LOGIN_ID
        assert asked["redirect_uri"] == self.callback
        assert asked["code_challenge_method"] == "S256"
        assert re.fullmatch(r"[A-Za-z0-9]+", asked["state"])
        code = secrets.token_urlsafe(12)
        self.asked[code] = asked
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{self.callback}?{back}")

    async def token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        asked = self.asked.pop(form["code"], None)  # a code counts once
        if asked is None or not self._is_client(form):
            return JSONResponse({"error": "invalid_grant"}, 400)
        hashed = hashlib.sha256(form["code_verifier"].encode("ascii")).digest()
        challenge = base64.urlsafe_b64encode(hashed).rstrip(b"=").decode("ascii")
        same = challenge == asked["code_challenge"]
        if not same or form["redirect_uri"] != asked["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        id_token, access = secrets.token_urlsafe(12), secrets.token_urlsafe(12)
        self.tokens[id_token] = {"sub": self.user, "nonce": asked["nonce"]}
        return JSONResponse({"id_token": id_token, "access_token": access})

    async def verify(self, request: Request) -> Response:
        form = await request.form()
        found = self.tokens.get(str(form["id_token"]))
        if found is None or form["client_id"] != LOGIN_ID:
            return JSONResponse({"error": "invalid_request"}, 400)
        if form["nonce"] != found["nonce"]:
            return JSONResponse({"error": "invalid_request"}, 400)
        return JSONResponse({**found, "aud": LOGIN_ID})

    async def revoke(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        if not self._is_client(form):
            return JSONResponse({"error": "invalid_request"}, 400)
        self.revoked.append(form["access_token"])
        return Response()

    def _is_client(self, form: dict[str, str]) -> bool:
        return (form["client_id"], form["client_secret"]) == (LOGIN_ID, LOGIN_SECRET)

    # Messaging API

    async def push(self, request: Request) -> Response:
        key = request.headers.get("X-Line-Retry-Key", "")
        try:
            message = await request.json()
        except ClientDisconnect:  # killed in the midst of it: nothing is taken
            return Response(status_code=400)
        self.pushes.append(key)
        if request.headers.get("Authorization") != f"Bearer {CHANNEL_TOKEN}":
            return JSONResponse({"message": "Authentication failed"}, 401)
        if not UUID.fullmatch(key):
            return JSONResponse({"message": "Invalid retry key"}, 400)
        status, headers = self.failures.pop(0) if self.failures else (200, {})
        if 200 < status < 1000:
            return JSONResponse({"message": "failed"}, status, headers)
        if key in self.taken:
            known = {"X-Line-Accepted-Request-Id": key}
            return JSONResponse({"message": "accepted already"}, 409, known)
        self.taken.add(key)
        self.delivered.append(message)
        return JSONResponse({"sentMessages": []}, status % 1000, headers)

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/oauth2/v2.1/authorize", self.authorize),
                Route("/oauth2/v2.1/token", self.token, methods=["POST"]),
                Route("/oauth2/v2.1/verify", self.verify, methods=["POST"]),
                Route("/oauth2/v2.1/revoke", self.revoke, methods=["POST"]),
                Route("/v2/bot/message/push", self.push, methods=["POST"]),
            ]
        )


@contextmanager
def line_server() -> Iterator[LineServer]:
    """Run the platform on a free port of this computer."""
    server = LineServer()
    with serving(server.app()) as address:
        server.address = address
        yield server


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """Run an application in a thread and return its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        [sock] = server.servers[0].sockets
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
