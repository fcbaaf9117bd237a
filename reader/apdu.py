"""What is sent to the card and what its answer means: pure, no reader, no clock.

The basic record of a health-insurance card (健保卡) is 57 bytes that any terminal may
read: card number 12, name 20 in Big5, national ID 10, birth date 7, sex 1, date of
issue 7. Older cards want their application selected first; newer ones refuse SELECT
and answer GET DATA all the same, so GET DATA alone decides.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from jiepin.reader.errors import NotHealthCard

SELECT = bytes.fromhex("00A4040010D1580000010000000000000000001100")
READ = bytes.fromhex("00CA1100020000")
RECORD_LENGTH = 57
OK = 0x9000
MORE = 0x61  # SW1: so many bytes wait for GET RESPONSE
WRONG_LENGTH = 0x6700  # some cards want the expected length said
SAY_LENGTH = 0x6C  # SW1: ask again for exactly so many bytes
MOST_ROUNDS = 8  # answers to fetch for one command; a card may never end

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
FULL_SPACE = "\N{IDEOGRAPHIC SPACE}"  # pads names on some cards
ROC_YEAR_ZERO = 1911  # 民國元年 is 1912

# what the first letter of a national ID counts: A is 10, B is 11, I is 34 …
_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
LETTER_VALUE = {letter: 10 + place for place, letter in enumerate(_LETTERS)}
_WEIGHTS = (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)


class IdKind(StrEnum):
    """Which family a national ID belongs to (身分證統一編號、統一證號)."""

    NATIONAL = "national"
    RESIDENT = "resident"  # since 2021: a letter, 8 or 9, eight digits
    OLD_RESIDENT = "old-resident"  # until then: two letters, eight digits


_SHAPES = (
    (IdKind.NATIONAL, re.compile("[A-Z][12][0-9]{8}")),
    (IdKind.RESIDENT, re.compile("[A-Z][89][0-9]{8}")),
    (IdKind.OLD_RESIDENT, re.compile("[A-Z][A-D][0-9]{8}")),
)


class Answer(NamedTuple):
    """What a card answered: its data and its two status bytes as one number."""

    data: bytes
    status: int


@dataclass(frozen=True, slots=True)
class CardRecord:
    """The basic record of one card.

    `name` holds U+FFFD for what Big5 does not have or was cut off; `name_certain` is
    False then, and also where a character lies outside plain Big5, since local
    governments have put characters of their own there. `issued` is None where the card
    holds no date. `sex` is M or F.
    """

    card_number: str
    name: str
    name_certain: bool
    national_id: str
    id_kind: IdKind
    birth_date: datetime.date
    sex: str
    issued: datetime.date | None


def exchange(transmit: Callable[[bytes], bytes], command: bytes) -> Answer:
    """Send one command and fetch the whole answer, however the card hands it out.

    >>> exchange(lambda command: bytes.fromhex("6A82"), SELECT)
    Answer(data=b'', status=27266)
    """
    data = b""
    said_length = False
    answer = split(transmit(command))
    for _ in range(MOST_ROUNDS):
        data += answer.data
        high, low = divmod(answer.status, 0x100)
        if high == MORE:
            answer = split(transmit(bytes((command[0], 0xC0, 0, 0, low))))
        elif high == SAY_LENGTH and not said_length:
            said_length = True
            answer = split(transmit(command + bytes((low,))))
        elif answer.status == WRONG_LENGTH and not said_length:
            said_length = True
            answer = split(transmit(command + b"\0"))
        else:
            return Answer(data, answer.status)
    raise NotHealthCard("the answer never ended")


def split(raw: bytes) -> Answer:
    """Take the status bytes off an answer; raise NotHealthCard if there are none.

    >>> split(b"abc" + bytes.fromhex("9000"))
    Answer(data=b'abc', status=36864)
    """
    if len(raw) < 2:
        raise NotHealthCard(f"an answer of {len(raw)} bytes; expected 2 or more")
    return Answer(bytes(raw[:-2]), int.from_bytes(raw[-2:], "big"))


def select(transmit: Callable[[bytes], bytes]) -> bool:
    """Select the application; say whether the card knows it.

    >>> select(lambda command: bytes.fromhex("9000"))
    True
    """
    return exchange(transmit, SELECT).status == OK


def read(transmit: Callable[[bytes], bytes]) -> CardRecord:
    """Read the basic record; raise NotHealthCard if the card does not give one."""
    select(transmit)  # newer cards refuse and answer GET DATA all the same
    answer = exchange(transmit, READ)
    if answer.status != OK:
        raise NotHealthCard(f"GET DATA answered {answer.status:04X}")
    return parse_record(answer.data)


def parse_record(data: bytes) -> CardRecord:
    """Return what the 57 bytes say, whatever they are.

    Raises NotHealthCard, which names the part that is wrong and never its content.
    A name is never a reason to refuse: it can be corrected later, and people are
    matched by national ID alone.

    >>> parse_record(b"too short")
    Traceback (most recent call last):
    ...
    jiepin.reader.errors.NotHealthCard: 這不是健保卡，或卡片內容無法辨識。請換插健保卡。
        This is no health-insurance card, or its record is not readable. \
a record of 9 bytes; expected 57
    """
    if len(data) != RECORD_LENGTH:
        raise NotHealthCard(f"a record of {len(data)} bytes; expected {RECORD_LENGTH}")
    card_number = _ascii(data[:12])
    if not re.fullmatch("[0-9]{12}", card_number):
        raise NotHealthCard("the card number is not 12 digits")
    national_id = _ascii(data[32:42])
    kind = id_kind(national_id)
    if kind is None:
        raise NotHealthCard("the national ID is of no known family or misread")
    birth_date = roc_date(_ascii(data[42:49]))
    if birth_date is None:
        raise NotHealthCard("the birth date is no date")
    sex = _ascii(data[49:50])
    if sex not in ("M", "F"):
        raise NotHealthCard("the sex is neither M nor F")
    name, certain = decode_name(data[12:32])
    return CardRecord(
        card_number=card_number,
        name=name,
        name_certain=certain,
        national_id=national_id,
        id_kind=kind,
        birth_date=birth_date,
        sex=sex,
        issued=roc_date(_ascii(data[50:57])),
    )


def pack_record(
    card_number: str, name: str, national_id: str, birth: str, sex: str, issued: str
) -> bytes:
    """Lay a record out as a card holds it: for practice cards and tests.

    Dates are seven digits of the ROC calendar. A name longer than twenty bytes is cut
    off, as on a real card; a part of another length raises ValueError.

    >>> person = ("000012345678", "林小明", "A123456789", "0740309", "M", "1130101")
    >>> len(pack_record(*person)), parse_record(pack_record(*person)).name
    (57, '林小明')
    """
    name_bytes = name.encode("big5-hkscs", "replace")[:20].ljust(20, b"\0")
    parts = (
        (card_number.encode("ascii"), 12),
        (name_bytes, 20),
        (national_id.encode("ascii"), 10),
        (birth.encode("ascii"), 7),
        (sex.encode("ascii"), 1),
        (issued.encode("ascii"), 7),
    )
    for part, length in parts:
        if len(part) != length:
            raise ValueError(f"a part of {len(part)} bytes; expected {length}")
    return b"".join(part for part, _ in parts)


def decode_name(data: bytes) -> tuple[str, bool]:
    """Return the name and whether it is certain.

    >>> decode_name("林小明".encode("big5").ljust(20, bytes(1)))
    ('林小明', True)
    >>> decode_name("堃".encode("big5-hkscs"))
    ('堃', False)
    """
    text = data.partition(b"\0")[0]
    decoded = text.decode("big5-hkscs", "replace")
    name = "".join(
        c if c.isprintable() or c == FULL_SPACE else UNKNOWN for c in decoded
    )
    return name.strip(), name == text.decode("cp950", "replace") and UNKNOWN not in name


def id_kind(national_id: str) -> IdKind | None:
    """Return the family of a national ID; None if its shape or check digit is wrong.

    >>> id_kind("A123456789"), id_kind("A800000014"), id_kind("AB12345671")
    (<IdKind.NATIONAL: 'national'>, <IdKind.RESIDENT: 'resident'>, None)
    """
    for kind, shape in _SHAPES:
        if shape.fullmatch(national_id):
            return kind if _check_sum(national_id) % 10 == 0 else None
    return None


def _check_sum(national_id: str) -> int:
    first, second = national_id[0], national_id[1]
    # of a second letter the ones count, as if it were a digit
    sex = str(LETTER_VALUE[second] % 10) if second.isalpha() else second
    digits = f"{LETTER_VALUE[first]}{sex}{national_id[2:]}"
    return sum(
        weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)
    )


def roc_date(digits: str) -> datetime.date | None:
    """Return the date of seven ROC digits (民國 yyyMMdd); None if there is no such day.

    >>> roc_date("0740309"), roc_date("1130230"), roc_date("       ")
    (datetime.date(1985, 3, 9), None, None)
    """
    if not re.fullmatch("[0-9]{7}", digits) or digits.startswith("000"):
        return None
    year, month, day = int(digits[:3]), int(digits[3:5]), int(digits[5:])
    try:
        return datetime.date(ROC_YEAR_ZERO + year, month, day)
    except ValueError:
        return None


def _ascii(data: bytes) -> str:
    return data.decode("ascii", "replace")
