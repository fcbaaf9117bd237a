"""What is configurable: one frozen value, from the environment and the arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pyrage import RecipientError
from pyrage.x25519 import Recipient

_ORIGIN = re.compile(r"https?://[a-z0-9.\-]+(:[0-9]{1,5})?")
LINE_API, LINE_ACCESS = "https://api.line.me", "https://access.line.me"
LOOPBACK = ("127.0.0.1", "localhost")


class BadSettings(Exception):
    """Settings that cannot be used; the text names every one of them."""


@dataclass(frozen=True, slots=True)
class Mail:
    """How mail leaves the site; without a host none does."""

    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    security: str = "starttls"  # or "tls" or "none"
    sender: str = "noreply@localhost"


@dataclass(frozen=True, slots=True)
class Line:
    """The LINE channels: one sends, one signs in; empty means LINE is not offered."""

    channel_token: str = ""
    login_id: str = ""
    login_secret: str = ""
    api: str = LINE_API
    access: str = LINE_ACCESS

    @property
    def offered(self) -> bool:
        return bool(self.channel_token and self.login_id and self.login_secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one site.

    data      folder of the database and, unless given, the key file
    origin    what browsers see, as in https://tas.example; also the Host expected
    practice  a practice site: marked on every page, with practice cards
    proxies   addresses that may tell the browser's address (X-Forwarded-For)
    monitor_listen, monitor_port   where it can be watched; port 0: nowhere
    backups   folder in which a backup is made every hour; None: the site makes none
    backup_recipient   who can open them, as `jiepin-web backup key` shows it

    >>> Settings.read({"JIEPIN_DATA": "d", "JIEPIN_ORIGIN": "https://tas.example"}).host
    'tas.example'
    >>> Settings.read({"JIEPIN_ORIGIN": "tas.example", "JIEPIN_PORT": "x"})
    Traceback (most recent call last):
    ...
    jiepin.web.settings.BadSettings: 3 settings cannot be used:
      JIEPIN_DATA is missing; expected a folder
      JIEPIN_ORIGIN is 'tas.example'; expected as in https://tas.example
      JIEPIN_PORT is 'x'; expected a number from 1 to 65535
    """

    data: Path
    origin: str
    keys: Path
    practice: bool = False
    listen: str = "127.0.0.1"
    port: int = 8000
    proxies: str = ""
    monitor_listen: str = "127.0.0.1"
    monitor_port: int = 0
    backups: Path | None = None
    backup_recipient: str = ""
    mail: Mail = Mail()
    line: Line = Line()

    @property
    def host(self) -> str:
        """The Host header that browsers send."""
        return urlsplit(self.origin).netloc

    @property
    def secure(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie.

        Over plain http, which only a practice site on this computer may use, not every
        browser keeps a Secure cookie, and the prefix asks for one.
        """
        return "__Host-sid" if self.secure else "sid"

    @property
    def staff_cookie(self) -> str:
        """The name of the cookie of the staff's session: both may be signed in."""
        return "__Host-staff" if self.secure else "staff"

    @property
    def language_cookie(self) -> str:
        """The name of the cookie that keeps the language chosen."""
        return "__Host-lang" if self.secure else "lang"

    @property
    def database(self) -> Path:
        return self.data / "jiepin.db"

    @classmethod
    def read(cls, environment: Mapping[str, str], practice: bool = False) -> Self:
        """Read JIEPIN_… variables; raises BadSettings."""
        reader = _Reader(environment)
        data = reader.get("DATA", Path, None, "a folder")
        default_keys = (data or Path()) / "keys.json"
        settings = cls(
            data=data or Path(),
            origin=reader.get("ORIGIN", _origin, None, "as in https://tas.example"),
            keys=reader.get("KEYS", Path, default_keys, "a file"),
            practice=practice,
            listen=reader.get("LISTEN", str, "127.0.0.1", "an address"),
            port=reader.get("PORT", _port, 8000, "a number from 1 to 65535"),
            proxies=reader.get("PROXIES", str, "", "addresses"),
            monitor_listen=reader.get("MONITOR_LISTEN", str, "127.0.0.1", "an address"),
            monitor_port=reader.get(
                "MONITOR_PORT", _port, 0, "a number from 1 to 65535"
            ),
            backups=_read_backups(reader, data),
            backup_recipient=reader.get(
                "BACKUP_RECIPIENT", _recipients, "", "age1…, of `jiepin-web backup key`"
            ),
            mail=_read_mail(reader),
            line=_read_line(reader),
        )
        reader.check(settings)
        return settings


def _read_backups(reader: _Reader, data: Path | None) -> Path | None:
    """Read where backups go: not where they would be lost with what they are of."""

    def elsewhere(text: str) -> Path:
        folder = Path(text).absolute()
        if data is not None and folder.is_relative_to(data.absolute()):
            raise ValueError
        return folder

    folder: Path | None = reader.get(
        "BACKUPS", elsewhere, "", "a folder outside the data folder"
    )
    return folder or None


def _read_mail(reader: _Reader) -> Mail:
    return Mail(
        host=reader.get("SMTP_HOST", str, "", "a host"),
        port=reader.get("SMTP_PORT", _port, 25, "a number from 1 to 65535"),
        user=reader.get("SMTP_USER", str, "", "a name"),
        password=reader.get("SMTP_PASSWORD", str, "", "a password"),
        security=reader.get(
            "SMTP_SECURITY", _security, "starttls", "starttls, tls or none"
        ),
        sender=reader.get("MAIL_FROM", _sender, "noreply@localhost", "an address"),
    )


def _read_line(reader: _Reader) -> Line:
    return Line(
        channel_token=reader.get("LINE_CHANNEL_TOKEN", str, "", "a token"),
        login_id=reader.get("LINE_LOGIN_ID", str, "", "a channel ID"),
        login_secret=reader.get("LINE_LOGIN_SECRET", str, "", "a secret"),
        api=reader.get("LINE_API", str, LINE_API, "an address"),
        access=reader.get("LINE_ACCESS", str, LINE_ACCESS, "an address"),
    )


class _Reader:
    """Reads one variable after the other and remembers what is wrong."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._wrong: list[str] = []

    def get(
        self, name: str, parse: Callable[[str], Any], default: Any, expected: str
    ) -> Any:
        text = self._environment.get(f"JIEPIN_{name}", "")
        if not text:
            if default is None:
                self._wrong.append(f"JIEPIN_{name} is missing; expected {expected}")
            return default
        try:
            return parse(text)
        except ValueError:
            # an identity may have been put where its recipient belongs
            secret = "PASSWORD" in name or "SECRET" in name or "SECRET" in text.upper()
            shown = "…" if secret else repr(text)
            self._wrong.append(f"JIEPIN_{name} is {shown}; expected {expected}")
            return default

    def check(self, settings: Settings) -> None:
        if settings.backups and not settings.backup_recipient:
            self.get("BACKUP_RECIPIENT", str, None, "age1…, who can open the backups")
        if settings.origin and not settings.secure:
            loopback = urlsplit(settings.origin).hostname in LOOPBACK
            if not (settings.practice and loopback):
                self._wrong.append(
                    f"JIEPIN_ORIGIN is {settings.origin!r}; only a practice site on "
                    "this computer may do without https"
                )
        if self._wrong:
            count = f"{len(self._wrong)} settings cannot be used:"
            raise BadSettings("\n  ".join([count, *self._wrong]))


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError
    return text


def _recipients(text: str) -> str:
    try:
        for word in text.split():
            Recipient.from_str(word)
    except RecipientError:
        raise ValueError from None
    if not text.split():
        raise ValueError
    return text


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError
    return port


def _security(text: str) -> str:
    if text not in ("starttls", "tls", "none"):
        raise ValueError
    return text


def _sender(text: str) -> str:
    if "@" not in text or not text.isprintable():
        raise ValueError
    return text
