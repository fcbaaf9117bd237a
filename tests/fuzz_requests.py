"""Requests as nobody's browser sends them, drawn from the forms of a site's pages."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote, quote_from_bytes

from fuzz_site import (
    FORM,
    Asked,
    Form,
    FuzzedSite,
    addresses,
    filled_in,
    shows,
    urlencoded,
    who_may,
)
from hypothesis import strategies as st

from jiepin.web.guard import FILES

Fields = list[tuple[str, str]]
Drawn = tuple[str, Asked]  # who asks, and what

NASTY = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "x\r\nset-cookie: a=b",
    "\u202etxt.exe",
    "\ufeff",
    "\ufffe\uffff",
    "\u2028",
    "\ud800",
    "\udfff\ud800",
    "e\u0301" * 40,
    "𡍼" * 60,
    "١٢٣",
    "１２３",
    "²",
    "½",
    "Ⅷ",
    "-0",
    "-1",
    "0",
    "+5",
    "0x10",
    "1_000",
    " 7 ",
    "1.5",
    "1,5",
    "1e999",
    "1e-999",
    "NaN",
    "-Infinity",
    "9" * 17,
    "9" * 19,
    "9" * 5000,
    "0." + "3" * 5000,
    "2026-02-30",
    "2026-02-30T10:00",
    "0001-01-01T00:00",
    "9999-12-31T23:59",
    "10000-01-01T00:00",
    "2026-05-04T24:00",
    "2026-05-04T10:00+25:00",
    "2026-05-04T10:00Z",
    "2026-W19-1",
    "<script>alert(1)</script>",
    "\"'><b>",
    "{{7*7}}%s%(name)s{0}",
    "'; drop table account; --",
    "../../../../etc/passwd",
    "//evil.example/",
    "null",
    "[]",
    "{}",
    "true",
    "yes",
    "A123456789",
    "a@b.example\nbcc: c@d.example",
    "=1+1",
    "x" * 3000,
    "[limits]\nshare = 1e999",
    "a = " + "[" * 3000,
    "13 14 13 99",
    "133601 133601 999999",
)
MOMENTS = tuple(text for text in NASTY if "T" in text and text[:1].isdigit())
DAYS = ("0001-01-01", "9999-12-31", "2026-02-29", "20260420", "2026-W17-1", "-1-01-01")
WHOLE = ("-1", "0", "00", "1e3", "1.0", "9" * 9, "9" * 19, "9" * 5000, "²", "١٢", "-0")
ALWAYS = ("", "\x00", "²", "-1", "1e999", "9" * 5000, "x" * 3000, "\ud800", "𡍼")
# what is worth trying in a field of a kind, beside everything else
FITTING = {"datetime-local": MOMENTS, "date": DAYS, "number": WHOLE, "hidden": WHOLE}
CHARSETS = (
    "utf-8",
    "utf-7",
    "utf-16",
    "unicode_escape",
    "raw_unicode_escape",
    "idna",
    "punycode",
    "undefined",
    "rot13",
    "base64",
    "big5",
    "x" * 300,
    "é",
)
TYPES = (
    b"",
    b"text/plain",
    b"application/json",
    b"application/x-www-form-urlencoded; charset=utf-16",
    b"application/x-www-form-urlencoded; charset=\xff",
    b"multipart/form-data",
    b"multipart/form-data; boundary=",
    b'multipart/form-data; boundary="',
    b"multipart/form-data; boundary=" + b"b" * 5000,
    b"multipart/mixed; boundary=b",
    b"\xff\xfe/;;=;",
)
BOUNDARY = "b0undary"


def texts(site: FuzzedSite) -> st.SearchStrategy[str]:
    """Draw a value: what no form sends, what another form does, or any text."""
    return st.one_of(
        st.sampled_from(NASTY),
        st.sampled_from(site.words),
        st.text(max_size=30),
        st.integers(-(2**70), 2**70).map(str),
    )


def posts(site: FuzzedSite) -> st.SearchStrategy[Drawn]:
    """Draw what is posted: a form with its fields changed, in any sort of body."""
    forms = [form for form in site.forms if form.method == "POST"]
    values = texts(site)
    files = [form for form in forms if form.path == FILES and form.fields]
    known = st.sampled_from(forms + files * 5)
    return st.one_of(
        _submitted(site, known, values),
        _submitted(site, known, values),
        _submitted(site, _at_any_address(site, values), values),
    )


def _at_any_address(
    site: FuzzedSite, values: st.SearchStrategy[str]
) -> st.SearchStrategy[Form]:
    """Draw an address that is posted to, and who does; with fields of any form."""
    pairs = sorted({pair for form in site.forms for pair in form.fields})
    fields = st.lists(st.sampled_from(pairs), max_size=8).map(tuple)
    return st.builds(
        lambda drawn, fields: Form(*drawn, "POST", fields),
        _asker_and(site, _paths("POST", values)),
        fields,
    )


def _asker_and(
    site: FuzzedSite, paths: st.SearchStrategy[str]
) -> st.SearchStrategy[tuple[str, str]]:
    """Draw an address, and who asks: mostly somebody whose end it is."""
    anybody = list(site.cookies)
    return paths.flatmap(
        lambda path: st.tuples(
            st.sampled_from(anybody + who_may(site, path) * 9), st.just(path)
        )
    )


def _paths(method: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(addresses(method)).flatmap(
        lambda found: st.tuples(*[values.map(_sendable) for _ in found[1]]).map(
            lambda given: filled_in(found[0], given)
        )
    )


def _sendable(text: str) -> str:
    """Leave out half characters, which no address can hold, and what is too long."""
    return text.encode("utf-8", "ignore").decode("utf-8")[:500]


def _submitted(
    site: FuzzedSite, forms: st.SearchStrategy[Form], values: st.SearchStrategy[str]
) -> st.SearchStrategy[Drawn]:
    kinds = site.kinds

    @st.composite
    def draw_one(draw: st.DrawFn) -> Drawn:
        form = draw(forms)
        fields = list(form.fields)
        if draw(st.booleans()):
            _nearly(draw, fields, values, kinds)
        for _ in range(draw(st.integers(0, 3))):
            draw(st.sampled_from(CHANGES))(draw, fields, values)
        bodies = PARTS if form.path == FILES else BODIES
        type_, body = draw(st.sampled_from(bodies))(draw, fields)
        headers = [(b"content-type", type_)] if type_ else []
        if draw(st.integers(0, 20)) == 0:
            headers.append((b"content-encoding", b"gzip"))
            body = gzip.compress(body, mtime=0)
        english = draw(st.booleans())
        return form.who, Asked("POST", form.path, b"", headers, body, english)

    return draw_one()


# what becomes of fields


def _replace(draw: st.DrawFn, fields: Fields, values: st.SearchStrategy[str]) -> None:
    if fields:
        at = draw(st.integers(0, len(fields) - 1))
        fields[at] = (fields[at][0], draw(values))


def _nearly(
    draw: st.DrawFn,
    fields: Fields,
    values: st.SearchStrategy[str],
    kinds: Mapping[str, str],
) -> None:
    """Replace a field by what a program may take for what belongs there."""
    known = [at for at, (name, _) in enumerate(fields) if kinds.get(name) in FITTING]
    if known:
        name = fields[at := draw(st.sampled_from(known))][0]
        fields[at] = (name, draw(st.sampled_from(FITTING[kinds[name]])))
    else:
        _replace(draw, fields, values)


def _drop(draw: st.DrawFn, fields: Fields, _values: st.SearchStrategy[str]) -> None:
    if fields:
        del fields[draw(st.integers(0, len(fields) - 1))]


def _double(draw: st.DrawFn, fields: Fields, values: st.SearchStrategy[str]) -> None:
    if fields:
        fields.append((draw(st.sampled_from(fields))[0], draw(values)))


def _add(draw: st.DrawFn, fields: Fields, values: st.SearchStrategy[str]) -> None:
    fields.append((draw(values), draw(values)))


def _swap(draw: st.DrawFn, fields: Fields, _values: st.SearchStrategy[str]) -> None:
    if fields:
        at, other = (draw(st.integers(0, len(fields) - 1)) for _ in range(2))
        fields[at] = (fields[at][0], fields[other][1])


def _flood(draw: st.DrawFn, fields: Fields, _values: st.SearchStrategy[str]) -> None:
    many = draw(st.sampled_from((50, 999, 1001, 9999)))
    fields += [(f"extra{n}", "") for n in range(many)]


CHANGES: Sequence[Callable[..., None]] = (
    *[_replace] * 6,
    _drop,
    _drop,
    _double,
    _add,
    _swap,
    _flood,
)


# how fields are written down


def _as_usual(_draw: st.DrawFn, fields: Fields) -> tuple[bytes, bytes]:
    return b"application/x-www-form-urlencoded", urlencoded(fields)


def _as_bytes(draw: st.DrawFn, fields: Fields) -> tuple[bytes, bytes]:
    body = bytearray(urlencoded(fields))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        body[at:at] = draw(st.sampled_from((b"%", b"&", b"=", b"\x00", b"\xff", b";")))
    return b"application/x-www-form-urlencoded", bytes(body)


def _as_parts(draw: st.DrawFn, fields: Fields) -> tuple[bytes, bytes]:
    charset = draw(st.sampled_from((*["utf-8"] * 40, *CHARSETS)))
    body = b"".join(_part(draw, name, value, charset) for name, value in fields)
    body += f"--{BOUNDARY}--\r\n".encode()
    if draw(st.integers(0, 3)) == 0:
        body = _broken(draw, body)
    type_ = f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"
    return type_.encode("latin-1"), body


def _part(draw: st.DrawFn, name: str, value: str, charset: str) -> bytes:
    file = draw(st.integers(0, 8)) == 0
    name = quote(name) if set(name) & set('"\r\n\x00\\') else name
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    head += '; filename="../a.xlsx"' if file else ""
    content = _encoded(value, charset)
    return head.encode("utf-8", "surrogatepass") + b"\r\n\r\n" + content + b"\r\n"


def _encoded(value: str, charset: str) -> bytes:
    if charset == "unicode_escape":
        return value.encode("unicode_escape") + b"\\ud800"
    if charset == "utf-7":
        return value.encode("utf-7", "surrogatepass") + b"+2AA-"
    return value.encode("utf-8", "surrogatepass")


def _broken(draw: st.DrawFn, body: bytes) -> bytes:
    at = draw(st.integers(0, len(body)))
    return draw(
        st.sampled_from(
            (
                body[:at],
                body[at:],
                body.replace(b"\r\n", b"\n"),
                body.replace(b"; name=", b"; nome="),
                body.replace(b"--\r\n", b""),
                body[:at] + b"\x00\xff\r\n--" + body[at:],
                body.replace(b"form-data", b"form-data; boundary=nested"),
            )
        )
    )


def _as_something_else(draw: st.DrawFn, fields: Fields) -> tuple[bytes, bytes]:
    body = draw(
        st.sampled_from((urlencoded(fields), json.dumps(fields).encode(), b"\x00\xff"))
    )
    return draw(st.sampled_from(TYPES)), body


BODIES: Sequence[Callable[..., tuple[bytes, bytes]]] = (
    *[_as_usual] * 6,
    _as_bytes,
    _as_parts,
    _as_something_else,
)


PARTS: Sequence[Callable[..., tuple[bytes, bytes]]] = (_as_parts,)

# one field after the other


def fields(site: FuzzedSite) -> Iterator[Drawn]:
    """Give every form with each of its fields replaced by each odd value."""
    known = {(form.path, name): form for form in site.forms for name, _ in form.fields}
    for (_path, name), form in sorted(known.items()):
        if form.method != "POST":
            continue
        for value in (*ALWAYS, *FITTING.get(site.kinds.get(name, ""), ())):
            put = [(one, value if one == name else was) for one, was in form.fields]
            type_ = [(b"content-type", FORM)]
            yield form.who, Asked("POST", form.path, b"", type_, urlencoded(put))


# looking


def gets(site: FuzzedSite) -> st.SearchStrategy[Drawn]:
    """Draw an address that is looked at, with a query; and who looks."""
    values = texts(site)
    known = [a.partition("#")[0].partition("?") for a in site.addresses]
    names = {
        pair.partition("=")[0] for _p, _m, query in known for pair in query.split("&")
    } | {name for form in site.forms if form.method == "GET" for name, _ in form.fields}
    more = {"state", "code", "error", "done", "saved", "page", "filter", "sort", "who"}
    pairs = st.tuples(st.sampled_from(sorted(names | more)), values)
    query = st.one_of(
        st.lists(pairs, max_size=4).map(urlencoded),
        st.binary(max_size=20).map(lambda raw: quote_from_bytes(raw).encode()),
        st.sampled_from((b"%", b"a=%zz&=&&;", b"page=1&page=2", b"=" * 2000)),
    )
    paths = st.one_of(
        _paths("GET", values), st.sampled_from([path for path, _m, _q in known])
    )
    return st.builds(
        lambda drawn, method, query, english: (
            drawn[0],
            Asked(method, drawn[1], query, english=english),
        ),
        _asker_and(site, paths),
        st.sampled_from(("GET", "GET", "GET", "HEAD")),
        query,
        st.booleans(),
    )


# headers


def _header(name: bytes, *values: bytes) -> st.SearchStrategy[tuple[bytes, bytes]]:
    return st.tuples(st.just(name), st.sampled_from(values) | st.binary(max_size=40))


HEADERS = st.one_of(
    _header(b"accept-language", b"en", b"zz;q=9", b"*" * 5000, b"\xff"),
    _header(b"accept-encoding", b"gzip;q=0", b"gzip, gzip", b"br;q=nan", b"*;q=1e999"),
    _header(b"accept", b"*/*", b"text/html;q=x"),
    _header(b"range", b"bytes=0-", b"bytes=-1", b"bytes=5-1,2-3,0-0", b"bytes=9e9-"),
    _header(b"if-range", b'"x"', b"Thu, 30 Feb 2026 00:00:00 GMT"),
    _header(b"if-none-match", b"*", b'W/"', b'"a", "b"'),
    _header(b"if-modified-since", b"Thu, 32 Foo 99999 99:99:99 GMT", b"0"),
    _header(b"referer", b'https://tas.test/city/home"><b>', b"javascript:alert(1)"),
    _header(b"user-agent", b"<b>Windows NT 10.0", b"Chrome/" + b"9" * 9000),
    _header(b"x-forwarded-for", b"1.2.3.4, \x00", b"::1%eth0"),
    _header(b"x-forwarded-proto", b"http", b"javascript"),
    _header(b"x-forwarded-host", b"evil.example"),
    _header(b"forwarded", b"host=evil.example;proto=http"),
    _header(b"expect", b"100-continue", b"200-ok"),
    _header(b"content-length", b"-1", b"9" * 30, b"1e3", b"0"),
    _header(b"origin", b"null", b"https://tas.test", b"https://tas.test.evil.example"),
    _header(b"sec-fetch-site", b"same-origin", b"none", b"SAME-ORIGIN", b"same-site"),
    _header(b"x-http-method-override", b"DELETE"),
    _header(b"cookie", b"lang=en", b"lang=\xff", b"=;;=;", b'lang="\\303\\251'),
    _header(b"host", b"evil.example", b"tas.test:443", b"tas.test, tas.test", b""),
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "FOO")


def wrapped(site: FuzzedSite) -> st.SearchStrategy[Drawn]:
    """Draw a request to a known address with any method and any headers."""
    known = {a.partition("#")[0].partition("?")[0] for a in site.addresses}
    posted = {form.path for form in site.forms if form.method == "POST"}
    paths = sorted(known | posted | {"/static/", "/static/x/../../app.py", "/nowhere"})
    return st.builds(
        lambda drawn, method, headers: (
            drawn[0],
            Asked(method, drawn[1], b"", [(n, _one_line(v)) for n, v in headers]),
        ),
        _asker_and(site, st.sampled_from(paths)),
        st.sampled_from(METHODS),
        st.lists(HEADERS, max_size=4),
    )


def _one_line(value: bytes) -> bytes:
    """Leave out what no server hands on in a header."""
    return bytes(byte for byte in value if byte >= 32 and byte != 127)


def cookies(site: FuzzedSite) -> st.SearchStrategy[Drawn]:
    """Draw a page looked at with cookies that are broken, doubled or another's."""
    real = sorted(cookie for cookie in site.cookies.values() if cookie)
    names = sorted({cookie.partition("=")[0] for cookie in real} | {"__Host-lang", ""})
    value = st.one_of(
        st.sampled_from([cookie.partition("=")[2] for cookie in real]),
        st.sampled_from(("", "x" * 9000, '"\\377\\000"', "a b", "é", "en", '"')),
        st.binary(max_size=30).map(lambda raw: _one_line(raw).decode("latin-1")),
    )
    pair = st.builds(
        lambda name, value: f"{name}={value}", st.sampled_from(names), value
    )
    header = st.lists(pair, max_size=4).map("; ".join)
    paths = sorted({a.partition("#")[0].partition("?")[0] for a in site.addresses})
    return st.builds(
        lambda path, header, method: (
            "nobody",
            Asked(method, path, b"", [(b"cookie", header.encode("latin-1"))]),
        ),
        st.sampled_from(paths),
        header,
        st.sampled_from(("GET", "GET", "POST")),
    )


def afterwards(site: FuzzedSite) -> st.SearchStrategy[list[Drawn]]:
    """Draw what is looked at after something was saved."""
    return st.lists(st.sampled_from(shows(site)), min_size=2, max_size=2)


def odd_fields(site: FuzzedSite) -> st.SearchStrategy[Drawn]:
    """Draw a form with one field replaced by an odd value that may seem to fit."""
    return st.sampled_from(list(fields(site)))


DRAWN = {
    "posts": posts,
    "fields": odd_fields,
    "gets": gets,
    "wrapped": wrapped,
    "cookies": cookies,
}
