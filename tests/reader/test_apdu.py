"""Any bytes give a record or a clean refusal; known records are read right."""

from __future__ import annotations

import datetime
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jiepin.reader import apdu
from jiepin.reader.apdu import IdKind
from jiepin.reader.errors import NotHealthCard

PERSON = ("000012345678", "林小明", "A123456789", "0740309", "M", "1130101")
RECORD = apdu.pack_record(*PERSON)
OK = bytes.fromhex("9000")

LETTERS = string.ascii_uppercase


def letter_value(letter: str) -> int:
    """The table of the household registration office, letter by letter."""
    values = (10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25)
    values += (26, 27, 28, 29, 32, 30, 31, 33)
    return values[LETTERS.index(letter)]


def check_digit(first: str, second: str, middle: str) -> str:
    """The last digit that makes a national ID right, from the published weights."""
    tens, ones = divmod(letter_value(first), 10)
    sex = letter_value(second) % 10 if second.isalpha() else int(second)
    weights = (8, 7, 6, 5, 4, 3, 2, 1)
    digits = [sex, *map(int, middle)]
    total = tens + 9 * ones + sum(w * d for w, d in zip(weights, digits, strict=True))
    return str(-total % 10)


@st.composite
def national_ids(draw: st.DrawFn) -> tuple[str, IdKind]:
    kind, second = draw(
        st.sampled_from(
            [
                *((IdKind.NATIONAL, digit) for digit in "12"),
                *((IdKind.RESIDENT, digit) for digit in "89"),
                *((IdKind.OLD_RESIDENT, letter) for letter in "ABCD"),
            ]
        )
    )
    first = draw(st.sampled_from(LETTERS))
    middle = draw(st.text(string.digits, min_size=7, max_size=7))
    return first + second + middle + check_digit(first, second, middle), kind


@st.composite
def people(draw: st.DrawFn) -> tuple[str, str, str, str, str, str]:
    days = st.dates(datetime.date(1912, 1, 1), datetime.date(2910, 12, 31))
    birth, issued = (f"{d.year - 1911:03}{d:%m%d}" for d in (draw(days), draw(days)))
    name = draw(st.text(st.characters(codec="big5"), max_size=10)).strip()
    name = "".join(c for c in name if c.isprintable())[:10].strip()
    return (
        draw(st.text(string.digits, min_size=12, max_size=12)),
        name,
        draw(national_ids())[0],
        birth,
        draw(st.sampled_from("MF")),
        issued,
    )


def test_a_record_is_read() -> None:
    record = apdu.parse_record(RECORD)
    assert record == apdu.CardRecord(
        card_number="000012345678",
        name="林小明",
        name_certain=True,
        national_id="A123456789",
        id_kind=IdKind.NATIONAL,
        birth_date=datetime.date(1985, 3, 9),
        sex="M",
        issued=datetime.date(2024, 1, 1),
    )


@given(people())
def test_every_record_comes_back_as_it_was_written(person: tuple[str, ...]) -> None:
    record = apdu.parse_record(apdu.pack_record(*person))
    card_number, name, national_id, birth, sex, issued = person
    assert (record.card_number, record.name, record.sex) == (card_number, name, sex)
    assert record.national_id == national_id
    assert record.issued is not None
    for day, digits in ((record.birth_date, birth), (record.issued, issued)):
        assert f"{day.year - 1911:03}{day:%m%d}" == digits


@given(st.binary(max_size=200))
def test_any_bytes_give_a_record_or_a_clean_refusal(data: bytes) -> None:
    try:
        record = apdu.parse_record(data)
    except NotHealthCard:
        return
    assert apdu.id_kind(record.national_id) is record.id_kind


@given(st.integers(0, 56), st.integers(0, 255))
def test_a_wrong_byte_gives_a_record_or_a_clean_refusal(at: int, byte: int) -> None:
    data = RECORD[:at] + bytes((byte,)) + RECORD[at + 1 :]
    try:
        record = apdu.parse_record(data)
    except NotHealthCard as error:
        shown = str(error)
    else:
        shown = ""
        if not 12 <= at < 32:  # all but the name is checked or taken as it is
            assert record.name == "林小明"
    for part in PERSON[:4]:
        assert part not in shown


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({0: b"X"}, "card number"),
        ({32: b"a"}, "national ID"),
        ({41: b"0"}, "national ID"),
        ({42: b"000"}, "birth date"),
        ({45: b"13"}, "birth date"),
        ({49: b"X"}, "sex"),
    ],
)
def test_what_is_wrong_is_named_without_its_value(
    change: dict[int, bytes], part: str
) -> None:
    data = bytearray(RECORD)
    for at, new in change.items():
        data[at : at + len(new)] = new
    with pytest.raises(NotHealthCard, match=part):
        apdu.parse_record(bytes(data))


@pytest.mark.parametrize("length", [0, 1, 56, 58, 255])
def test_a_record_has_57_bytes(length: int) -> None:
    with pytest.raises(NotHealthCard, match=f"a record of {length} bytes; expected 57"):
        apdu.parse_record(RECORD.ljust(length, b"\0")[:length])


def test_a_card_without_a_date_of_issue_is_a_card() -> None:
    assert apdu.parse_record(RECORD[:50] + b"       ").issued is None


@pytest.mark.parametrize(
    ("raw", "name", "certain"),
    [
        ("林小明".encode("big5"), "林小明", True),
        ("碁銹裏墻恒粧嫺".encode("cp950"), "碁銹裏墻恒粧嫺", True),
        ("堃喆峯煊犇".encode("big5-hkscs"), "堃喆峯煊犇", False),
        ("林".encode("big5") + b"\xff" + "明".encode("big5"), "林�明", False),
        ("一二三四五六七八九".encode("big5") + b"\xa4", "一二三四五六七八九�", False),
        ("林\u3000小明\u3000\u3000".encode("big5"), "林\u3000小明", True),
        (b"LIN, MING-TEH   ", "LIN, MING-TEH", True),
        (b"", "", True),
        (b"\x01\x02\x1b[31m", "���[31m", False),
        ("林".encode("big5") + b"\0" + b"junk", "林", True),
    ],
)
def test_names(raw: bytes, name: str, certain: bool) -> None:
    data = RECORD[:12] + raw.ljust(20, b"\0") + RECORD[32:]
    record = apdu.parse_record(data)
    assert (record.name, record.name_certain) == (name, certain)


def test_a_name_too_long_for_a_card_is_cut_off_and_uncertain() -> None:
    long = apdu.pack_record(PERSON[0], "瑪" * 9 + "a亞", *PERSON[2:])
    record = apdu.parse_record(long)
    assert (record.name, record.name_certain) == ("瑪" * 9 + "a�", False)


@given(national_ids())
def test_ids_of_every_family_are_known(drawn: tuple[str, IdKind]) -> None:
    national_id, kind = drawn
    assert apdu.id_kind(national_id) is kind


@given(national_ids(), st.integers(1, 9))
def test_a_wrong_check_digit_is_seen(drawn: tuple[str, IdKind], shift: int) -> None:
    national_id = drawn[0]
    wrong = national_id[:-1] + str((int(national_id[-1]) + shift) % 10)
    assert apdu.id_kind(wrong) is None


@pytest.mark.parametrize(
    ("national_id", "kind"),
    [
        ("A123456789", IdKind.NATIONAL),
        ("A800000014", IdKind.RESIDENT),
        ("AD30196818", IdKind.OLD_RESIDENT),
        ("FA12345689", IdKind.OLD_RESIDENT),
        ("A323456789", None),
        ("AE30196818", None),
        ("a123456789", None),
        ("A12345678", None),
        ("A123456789 ", None),
        ("Ａ123456789", None),
        ("A12345678\N{ARABIC-INDIC DIGIT NINE}", None),
        ("", None),
    ],
)
def test_known_ids(national_id: str, kind: IdKind | None) -> None:
    assert apdu.id_kind(national_id) is kind


@pytest.mark.parametrize(
    ("digits", "day"),
    [
        ("0010101", datetime.date(1912, 1, 1)),
        ("1130229", datetime.date(2024, 2, 29)),
        ("1140229", None),
        ("0000101", None),
        ("0740000", None),
        ("074030", None),
        ("07403099", None),
        ("\N{FULLWIDTH DIGIT ZERO}740309", None),
    ],
)
def test_roc_dates(digits: str, day: datetime.date | None) -> None:
    assert apdu.roc_date(digits) == day


class Script:
    """A card that gives its answers in order and remembers what it was asked."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.asked.append(command)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_card_is_selected_and_read() -> None:
    card = Script(OK, RECORD + OK)
    assert apdu.read(card.transmit).national_id == "A123456789"
    assert card.asked == [apdu.SELECT, apdu.READ]


def test_a_newer_card_refuses_select_and_is_read() -> None:
    card = Script(bytes.fromhex("6D00"), RECORD + OK)
    assert apdu.read(card.transmit).national_id == "A123456789"


def test_an_answer_in_parts_is_put_together() -> None:
    card = Script(
        OK, RECORD[:40] + bytes.fromhex("6111"), RECORD[40:57] + bytes.fromhex("9000")
    )
    assert apdu.read(card.transmit).name == "林小明"
    assert card.asked[-1] == bytes.fromhex("00C0000011")


@pytest.mark.parametrize(("refusal", "added"), [("6C39", b"\x39"), ("6700", b"\0")])
def test_a_card_that_wants_the_length_said(refusal: str, added: bytes) -> None:
    card = Script(OK, bytes.fromhex(refusal), RECORD + OK)
    assert apdu.read(card.transmit).name == "林小明"
    assert card.asked[-1] == apdu.READ + added


@pytest.mark.parametrize("status", ["6A82", "6A86", "6982", "6D00", "6F00", "6C39"])
def test_a_card_that_gives_no_record_is_no_health_card(status: str) -> None:
    card = Script(bytes.fromhex(status))
    with pytest.raises(NotHealthCard, match=f"GET DATA answered {status}"):
        apdu.read(card.transmit)


def test_an_answer_that_never_ends_is_given_up() -> None:
    card = Script(OK, bytes.fromhex("00" * 200 + "61FF"))
    with pytest.raises(NotHealthCard, match="never ended"):
        apdu.read(card.transmit)
    assert len(card.asked) < 12


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=12))
def test_any_answers_give_a_record_or_a_clean_refusal(answers: list[bytes]) -> None:
    try:
        record = apdu.read(Script(*answers).transmit)
    except NotHealthCard:
        return
    assert apdu.id_kind(record.national_id) is record.id_kind


def test_a_part_of_another_length_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="a part of 3 bytes; expected 7"):
        apdu.pack_record(*PERSON[:3], "074", *PERSON[4:])
