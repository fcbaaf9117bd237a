"""LINE: linking an account through LINE Login, and pushing a line to it.

LINE Notify, which the handbook speaks of, ended in 2025. Now the teacher signs in at
LINE (OAuth 2.1 with state, nonce and PKCE), adds the site's official account as a
friend, and the site pushes through the Messaging API. All that is kept is LINE's user
id, sealed; nothing is asked of the profile, and the access token is given back at once.
Both channels must belong to one provider, or the ids of one mean nothing to the other.

Nothing has to be remembered while a linking is under way: `state` carries when it ends
and is signed for one session and one application; nonce and PKCE verifier follow from
it and from the site's key.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from jiepin.web.card import to_base64
from jiepin.web.notify.delivery import NeverSent, NotSent, name_of
from jiepin.web.settings import Line

LIFE: Final = timedelta(minutes=10)
TIMEOUT: Final = 15.0  # seconds
OURS: Final = (  # a wrong setting of the site, or LINE's limits: mend and go on
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_MANY_REQUESTS,
)
_TIME, _RANDOM, _MAC = 8, 32, 32  # hexadecimal digits in a state


class NotLinked(Exception):
    """The linking did not come about; the text tells at which step."""


@dataclass(frozen=True, slots=True)
class Linking:
    """One linking of one application in one session.

    `callback` is the address LINE sends the browser back to, as registered there;
    `key` is the site's, `who` names session and application.
    """

    settings: Line
    callback: str
    key: bytes
    who: str

    def address(self, now: datetime, language: str) -> str:
        """Return LINE's page to sign in at; each call begins a new linking."""
        state = self._state(now + LIFE)
        verifier = hashlib.sha256(self._verifier(state).encode("ascii")).digest()
        question = {
            "response_type": "code",
            "client_id": self.settings.login_id,
            "redirect_uri": self.callback,
            "state": state,
            "scope": "openid",
            "nonce": self._nonce(state),
            "code_challenge": to_base64(verifier),
            "code_challenge_method": "S256",
            "bot_prompt": "aggressive",  # only friends of the account can be told
            "ui_locales": "zh-TW" if language.startswith("zh") else "en-US",
        }
        return f"{self.settings.access}/oauth2/v2.1/authorize?{urlencode(question)}"

    def expects(self, state: str, now: datetime) -> bool:
        """Tell whether a state was given out to this session and still counts."""
        ends, random = state[:_TIME], state[_TIME : _TIME + _RANDOM]
        signed = self._signed(ends + random)
        if not hmac.compare_digest(state.encode(), signed.encode()):
            return False
        return now < datetime.fromtimestamp(int(ends, 16), UTC)

    async def finish(self, code: str, state: str, now: datetime) -> str:
        """Return the LINE user id for the code that came back; raises NotLinked."""
        if not self.expects(state, now):
            raise NotLinked("the linking is not of this session, or took too long")
        async with _client(self.settings) as client:
            tokens = await self._tokens(client, code, state)
            user = await self._user(client, str(tokens.get("id_token", "")), state)
            await self._give_back(client, str(tokens.get("access_token", "")))
        return user

    async def _tokens(
        self, client: httpx2.AsyncClient, code: str, state: str
    ) -> dict[str, Any]:
        return await _form(
            client,
            "/oauth2/v2.1/token",
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.callback,
            client_id=self.settings.login_id,
            client_secret=self.settings.login_secret,
            code_verifier=self._verifier(state),
        )

    async def _user(self, client: httpx2.AsyncClient, token: str, state: str) -> str:
        """Let LINE itself check the ID token: signature, channel, time and nonce."""
        said = await _form(
            client,
            "/oauth2/v2.1/verify",
            id_token=token,
            client_id=self.settings.login_id,
            nonce=self._nonce(state),
        )
        if said.get("nonce") != self._nonce(state) or not said.get("sub"):
            raise NotLinked("the answer of LINE is not to this linking")
        return str(said["sub"])

    async def _give_back(self, client: httpx2.AsyncClient, token: str) -> None:
        fields = {
            "access_token": token,
            "client_id": self.settings.login_id,
            "client_secret": self.settings.login_secret,
        }
        # where it fails: it was never kept, and ends by itself
        with contextlib.suppress(httpx2.HTTPError):
            await client.post("/oauth2/v2.1/revoke", data=fields)

    def _state(self, ends: datetime) -> str:
        return self._signed(f"{int(ends.timestamp()):0{_TIME}x}{secrets.token_hex(16)}")

    def _signed(self, start: str) -> str:
        return start + self._derived("state", start).hex()[:_MAC]

    def _nonce(self, state: str) -> str:
        return self._derived("nonce", state).hex()

    def _verifier(self, state: str) -> str:
        return to_base64(self._derived("verifier", state))

    def _derived(self, what: str, text: str) -> bytes:
        return hmac.digest(
            self.key, f"line {what}|{self.who}|{text}".encode(), "sha256"
        )


@dataclass(frozen=True, slots=True)
class Push:
    """The way a line takes to somebody who has linked."""

    settings: Line

    async def send(self, key: str, payload: dict[str, Any], now: datetime) -> None:
        """Send one line (`to`, `text`); raises NotSent or NeverSent.

        The retry key makes LINE take a message once, however often it is handed over.
        """
        if not self.settings.offered:
            raise NotSent("LINE is not set (JIEPIN_LINE_…)")
        headers = {
            "Authorization": f"Bearer {self.settings.channel_token}",
            "X-Line-Retry-Key": str(name_of(key)),
        }
        message = {"type": "text", "text": payload["text"]}
        body = {"to": payload["to"], "messages": [message]}
        try:
            async with _client(self.settings) as client:
                answer = await client.post(
                    "/v2/bot/message/push", headers=headers, json=body
                )
        except httpx2.HTTPError as fault:
            raise NotSent(type(fault).__name__) from None
        _judge(answer, now)


def _judge(answer: httpx2.Response, now: datetime) -> None:
    code = answer.status_code
    if code < HTTPStatus.BAD_REQUEST or code == HTTPStatus.CONFLICT:
        return  # a conflict: it has taken this message before
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR or code in OURS:
        raise NotSent(f"LINE answered {code}", _after(answer, now))
    raise NeverSent(f"LINE answered {code}")


def _after(answer: httpx2.Response, now: datetime) -> timedelta | None:
    """Read Retry-After, which is a number of seconds or a date."""
    text = answer.headers.get("Retry-After", "")
    if text.isdecimal():
        return timedelta(seconds=int(text[:6]))
    try:
        return parsedate_to_datetime(text) - now
    except (TypeError, ValueError):
        return None


def _client(settings: Line) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=settings.api, timeout=TIMEOUT, verify=_trusting()
    )


@cache
def _trusting() -> ssl.SSLContext:
    """Return what checks certificates, made once: pages wait while it is made."""
    return httpx2.create_ssl_context()


async def _form(client: httpx2.AsyncClient, path: str, **fields: str) -> dict[str, Any]:
    try:
        answer = await client.post(path, data=fields)
        found = answer.json() if answer.is_success else None
    except (httpx2.HTTPError, ValueError):
        raise NotLinked(f"LINE cannot be reached ({path})") from None
    if not isinstance(found, dict):
        raise NotLinked(f"LINE refused with {answer.status_code} ({path})")
    return found
