"""Mail by SMTP. Addresses and subjects cannot smuggle in a header line."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache
from typing import Any, Final

import aiosmtplib

from jiepin.web.notify.delivery import NeverSent, NotSent, name_of
from jiepin.web.settings import Mail

TIMEOUT: Final = 30.0  # seconds for each step of the talk with the server
REFUSED: Final = 500  # from here on an answer is meant for good


@dataclass(frozen=True, slots=True)
class Post:
    """The way of mail; `context` is for a server with a certificate of its own."""

    settings: Mail
    context: ssl.SSLContext | None = None
    timeout: float = TIMEOUT

    async def send(self, key: str, payload: dict[str, Any], now: datetime) -> None:
        """Send one mail (`to`, `subject`, `body`); raises NotSent or NeverSent."""
        if not self.settings.host:
            raise NotSent("no mail server is set (JIEPIN_SMTP_HOST)")
        mail = message(key, payload, self.settings.sender, now)
        try:
            await aiosmtplib.send(mail, **self._options())
        except aiosmtplib.SMTPRecipientsRefused as refused:
            raise _refused("recipient", refused.recipients[0].code) from None
        except aiosmtplib.SMTPDataError as refused:
            raise _refused("mail", refused.code) from None
        except aiosmtplib.SMTPResponseException as answer:
            # greeting, sign-in, sender: about this site, which somebody will mend
            raise NotSent(f"{type(answer).__name__} {answer.code}") from None
        except (aiosmtplib.SMTPException, OSError) as fault:
            raise NotSent(type(fault).__name__) from None

    def _options(self) -> dict[str, Any]:
        return {
            "hostname": self.settings.host,
            "port": self.settings.port,
            "username": self.settings.user or None,
            "password": self.settings.password or None,
            "use_tls": self.settings.security == "tls",
            "start_tls": self.settings.security == "starttls",
            "tls_context": self.context or _trusting(),
            "timeout": self.timeout,
            "local_hostname": _address(self.settings.sender).domain,
        }


@cache
def _trusting() -> ssl.SSLContext:
    """Return what checks certificates, made once: pages wait while it is made."""
    return ssl.create_default_context()


def message(
    key: str, payload: dict[str, Any], sender: str, now: datetime
) -> EmailMessage:
    """Write a mail; raises NeverSent for an address or subject that is none.

    >>> from datetime import UTC
    >>> payload = {"to": "lin@example.org", "subject": "密碼重設", "body": "…"}
    >>> mail = message("reset:a1:1:mail", payload, "tas@example.org", datetime.now(UTC))
    >>> mail["To"], mail["Subject"]
    ('lin@example.org', '密碼重設')
    """
    mail = EmailMessage(policy=SMTP)
    try:
        mail["From"] = _address(sender)
        mail["To"] = _address(payload["to"])
        mail["Subject"] = _one_line(payload["subject"])
    except (MessageError, ValueError, IndexError):
        raise NeverSent("the address or the subject cannot stand in a mail") from None
    mail["Date"] = now
    mail["Message-ID"] = f"<{name_of(key)}@{_address(sender).domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(payload["body"])
    return mail


def _address(text: str) -> Address:
    address = Address(addr_spec=_one_line(text))
    if not address.domain or not text.isascii():
        raise ValueError(text)
    return address


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(text)
    return text


def _refused(what: str, code: int) -> NotSent | NeverSent:
    said = f"{what} refused with {code}"
    return NeverSent(said) if code >= REFUSED else NotSent(said)
