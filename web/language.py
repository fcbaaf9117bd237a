"""Two languages: texts are written in Traditional Chinese and translated to English.

The catalogues are `locale/en/LC_MESSAGES/*.po`; all of them are read at the first use
and compiled in memory, so that no compiled file lies about.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

CHINESE, ENGLISH = "zh-Hant", "en"
LANGUAGES = {CHINESE: "中文", ENGLISH: "English"}
HTML_LANG = {CHINESE: "zh-Hant-TW", ENGLISH: "en"}

_current: ContextVar[str] = ContextVar("language", default=CHINESE)


def current() -> str:
    """Return the language that is spoken now."""
    return _current.get()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language for a while; an unknown one is Chinese.

    >>> with speaking("en"):
    ...     print(_("登出"))
    Sign out
    """
    token = _current.set(language if language in LANGUAGES else CHINESE)
    try:
        yield
    finally:
        _current.reset(token)


def _(text: str, **values: object) -> str:
    """Return a text in the language spoken now, with its `%(name)s` filled in.

    >>> _("登出")
    '登出'
    """
    said = _translations(current()).gettext(text)
    return said % values if values else said


def counted(one: str, many: str, n: int) -> str:
    """Return the form of a text that suits a number."""
    return _translations(current()).ngettext(one, many, n)


def mark(text: str) -> str:
    """Mark a text that is said later: it is listed for translation, not translated."""
    return text


def said(text: str) -> str:
    """Translate a text that `mark` had marked."""
    return _translations(current()).gettext(text)


@cache
def _translations(language: str) -> gettext.NullTranslations:
    if language == CHINESE:
        return gettext.NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalogue())
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def catalogue() -> Catalog:
    """Return all English texts, those of every catalogue file together."""
    whole = Catalog(locale=ENGLISH)
    folder = files("jiepin.web") / "locale" / ENGLISH / "LC_MESSAGES"
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".po"):
            for message in read_po(io.BytesIO(file.read_bytes()), locale=ENGLISH):
                if message.id:
                    whole[message.id] = message
    return whole
