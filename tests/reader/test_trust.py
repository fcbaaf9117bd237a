"""The certificate of an installation, its keys, and the browsers that trust it.

Nothing is faked: certutil changes databases in a temporary home, handshakes are those
of OpenSSL, and Chromium opens pages with that home as its own.
"""

from __future__ import annotations

import http.client
import http.server
import ipaddress
import os
import re
import shlex
import shutil
import ssl
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jiepin.reader import stores, trust
from jiepin.reader.errors import BadServerKey, FolderRefused, StoreRefused
from jiepin.reader.places import LOG, Places
from jiepin.reader.stores import Store
from jiepin.reader.trust import LocalCertificate, ensure

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
CHROMIUM = shutil.which("chromium")

needs_certutil = pytest.mark.skipif(
    shutil.which("certutil") is None,
    reason="certutil is missing: sudo apt-get install libnss3-tools",
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is missing: sudo apt-get install chromium"
)

PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    home = tmp_path / "林 小明"
    (home / ".local" / "share").mkdir(parents=True)
    return Places("linux", home, {})


def authority_of(certificate: LocalCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.authority.read_bytes())


def leaf_of(certificate: LocalCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.identity.read_bytes())


def everything(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def handshake(identity: Path, authority: bytes, name: str) -> None:
    """Let a client that trusts one authority alone meet a server, in memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(identity)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority.decode("ascii"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(3):
        for side in sides:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert sides[0].version() == "TLSv1.3"


def greet(certificate: LocalCertificate) -> None:
    for name in ("localhost", "127.0.0.1"):
        handshake(certificate.identity, certificate.authority.read_bytes(), name)


# The certificate -------------------------------------------------------------------


def test_the_first_start_makes_a_certificate(places: Places) -> None:
    made = ensure(places.data, NOW)
    assert made.renewed
    assert made.not_after == NOW - DAY + timedelta(days=397)
    greet(made)
    leaf = leaf_of(made)
    assert leaf.not_valid_before_utc == NOW - DAY
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["127.0.0.1"]


def test_the_authority_can_do_one_thing_only(places: Places) -> None:
    authority = authority_of(ensure(places.data, NOW))
    found = {
        each.oid._name: (each.critical, each.value) for each in authority.extensions
    }
    assert found["basicConstraints"] == (True, x509.BasicConstraints(True, 0))
    assert found["nameConstraints"] == (True, trust.CONSTRAINTS)
    assert found["extendedKeyUsage"] == (False, trust.SERVER_ONLY)
    critical, usage = found["keyUsage"]
    assert critical
    assert usage == trust.key_usage("key_cert_sign")


def test_the_name_tells_the_program_and_nobody(places: Places) -> None:
    first = ensure(places.data, NOW)
    second = ensure(places.home / "other", NOW)
    assert re.fullmatch("健保卡讀取程式 jiepin-reader [0-9a-f]{8}", first.name)
    assert first.name != second.name
    assert authority_of(first).subject.rfc4514_string() == f"CN={first.name}"
    assert leaf_of(first).subject.rfc4514_string() == "CN=localhost"


def test_the_second_start_keeps_it(places: Places) -> None:
    first = ensure(places.data, NOW)
    before = {path: path.read_bytes() for path in everything(places.data)}
    second = ensure(places.data, NOW + DAY)
    assert not second.renewed
    assert second.name == first.name
    assert {path: path.read_bytes() for path in everything(places.data)} == before


@pytest.mark.parametrize(
    ("later", "renewed"),
    [
        (timedelta(days=366), False),  # 30 days are left
        (timedelta(days=366, seconds=1), True),
        (timedelta(days=500), True),
        (-DAY, False),
        (-DAY - timedelta(seconds=1), True),  # not yet valid: the clock was set back
        (timedelta(days=-5000), True),
    ],
)
def test_it_is_renewed_before_it_expires(
    places: Places, later: timedelta, renewed: bool
) -> None:
    first = ensure(places.data, NOW)
    second = ensure(places.data, NOW + later)
    assert second.renewed is renewed
    assert (second.name != first.name) is renewed
    assert not ensure(places.data, NOW + later).renewed
    if renewed:
        assert second.not_after == NOW + later + timedelta(days=396)


def test_the_key_of_the_authority_is_nowhere(places: Places) -> None:
    trust.device_key(places.data)
    authorities = set()
    for later in (0, 400):
        certificate = ensure(places.data, NOW + later * DAY)
        authorities.add(authority_of(certificate).public_key().public_numbers())
    assert len(authorities) == 2
    assert sorted(path.name for path in everything(places.home) if path.is_file()) == [
        "ca.pem",
        "device.pem",
        "issued.pem",
        "server.pem",
    ]
    keys = []
    for path in everything(places.data):
        content = path.read_bytes()
        assert not PEM_BLOCK.sub(b"", content).strip()  # nothing between the blocks
        for block in PEM_BLOCK.finditer(content):
            if b"PRIVATE" in block.group(1):
                key = serialization.load_pem_private_key(block.group(), None)
                keys.append((path.name, key))
            else:
                assert block.group(1) == b"CERTIFICATE"
    assert [name for name, _ in keys] == ["device.pem", "server.pem"]
    _, server = keys[1]
    assert isinstance(server, ec.EllipticCurvePrivateKey)
    assert server.public_key().public_numbers() not in authorities


@pytest.mark.parametrize("name", ["ca.pem", "server.pem"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage", "other"])
def test_a_damaged_file_is_replaced(places: Places, name: str, damage: str) -> None:
    first = ensure(places.data, NOW)
    other = ensure(places.home / "other", NOW)
    path = places.data / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        damaged = {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "garbage": b"\xff\x00" * 300,
            "other": (other.authority.parent / name).read_bytes(),
        }
        path.write_bytes(damaged[damage])
    second = ensure(places.data, NOW)
    assert second.renewed
    assert second.name not in (first.name, other.name)
    greet(second)


def test_a_key_that_is_not_the_certificates_is_replaced(places: Places) -> None:
    ensure(places.data, NOW)
    path = places.data / "server.pem"
    blocks = [block.group() for block in PEM_BLOCK.finditer(path.read_bytes())]
    assert len(blocks) == 2
    key = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(trust.private_pem(key) + blocks[1])
    second = ensure(places.data, NOW)
    assert second.renewed
    greet(second)


def test_a_certificate_for_other_names_is_replaced(places: Places) -> None:
    """A forged one of our own making, so that nothing but its names is wrong."""
    ensure(places.data, NOW)
    authority_key, authority = trust.make_authority(NOW)
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    key, leaf = trust.sign_leaf(authority_key, authority, names, NOW)
    (places.data / "ca.pem").write_bytes(trust.pem(authority))
    (places.data / "server.pem").write_bytes(trust.private_pem(key) + trust.pem(leaf))
    second = ensure(places.data, NOW)
    assert second.renewed
    greet(second)


@settings(deadline=None, max_examples=40)
@given(
    name=st.sampled_from(["ca.pem", "server.pem", "issued.pem", "device.pem"]),
    where=st.floats(0, 1, exclude_max=True),
    byte=st.integers(0, 255),
)
@example(name="ca.pem", where=1 - 2**-53, byte=33)  # the line end: OpenSSL minds
@example(name="server.pem", where=1 - 2**-53, byte=33)
def test_any_damaged_byte_ends_well(name: str, where: float, byte: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ensure(folder, NOW)
        trust.device_key(folder)
        content = bytearray((folder / name).read_bytes())
        content[int(where * len(content))] = byte
        (folder / name).write_bytes(content)
        greet(ensure(folder, NOW))
        assert not ensure(folder, NOW).renewed
        trust.device_key(folder).sign(b"")


def test_a_folder_that_cannot_be_written_is_told(places: Places) -> None:
    places.data.write_bytes(b"")
    with pytest.raises(FolderRefused, match="jiepin-reader"):
        ensure(places.data, NOW)


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_only_the_owner_may_read(places: Places) -> None:
    def modes() -> set[int]:
        files = [places.data / "server.pem", places.data / "device.pem"]
        return {stat.S_IMODE(path.stat().st_mode) for path in files}

    ensure(places.data, NOW)
    trust.device_key(places.data)
    assert stat.S_IMODE(places.data.stat().st_mode) == 0o700
    for path in everything(places.data):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        path.chmod(0o644)
    assert not ensure(places.data, NOW).renewed
    trust.device_key(places.data)
    assert modes() == {0o600}


# What the authority could sign, had its key been kept ------------------------------


def forge(folder: Path, *names: x509.GeneralName) -> tuple[Path, bytes]:
    """Return the identity of a server with these names, and its authority."""
    authority_key, authority = trust.make_authority(NOW)
    key, leaf = trust.sign_leaf(authority_key, authority, list(names), NOW)
    identity = folder / "forged.pem"
    identity.write_bytes(trust.private_pem(key) + trust.pem(leaf))
    return identity, trust.pem(authority)


def address(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def test_a_forged_certificate_for_localhost_would_do(tmp_path: Path) -> None:
    """The others below are refused for their names and for nothing else."""
    identity, authority = forge(tmp_path, trust.LOCALHOST)
    handshake(identity, authority, "localhost")


@pytest.mark.parametrize(
    ("names", "asked", "reason"),
    [
        ([x509.DNSName("example.com")], "example.com", "permitted subtree"),
        ([x509.DNSName("notlocalhost")], "notlocalhost", "permitted subtree"),
        ([x509.DNSName("evil.localhost")], "evil.localhost", "excluded subtree"),
        ([address("127.0.0.2")], "127.0.0.2", "permitted subtree"),
        ([address("192.168.1.1")], "192.168.1.1", "permitted subtree"),
        ([address("::1")], "::1", "permitted subtree"),
        ([address("::ffff:127.0.0.1")], "::ffff:127.0.0.1", "permitted subtree"),
        ([trust.LOCALHOST, x509.DNSName("a.tw")], "localhost", "permitted subtree"),
        (
            [trust.LOCALHOST, x509.RFC822Name("teacher@example.com")],
            "localhost",
            "permitted subtree",
        ),
        (
            [trust.LOCALHOST, x509.UniformResourceIdentifier("https://example.com/")],
            "localhost",
            "permitted subtree",
        ),
    ],
)
def test_a_forged_certificate_for_another_name_is_refused(
    tmp_path: Path, names: list[x509.GeneralName], asked: str, reason: str
) -> None:
    identity, authority = forge(tmp_path, *names)
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        handshake(identity, authority, asked)
    assert caught.value.verify_message == f"{reason} violation"


def test_the_authority_may_name_no_other_authority(tmp_path: Path) -> None:
    authority_key, authority = trust.make_authority(NOW)
    key, below = trust.make_authority(NOW)
    signed = (
        trust.blank(below.subject, authority.subject, key.public_key(), NOW)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    leaf_key, leaf = trust.sign_leaf(key, signed, [trust.LOCALHOST], NOW)
    identity = tmp_path / "forged.pem"
    identity.write_bytes(
        trust.private_pem(leaf_key) + trust.pem(leaf) + trust.pem(signed)
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="path length"):
        handshake(identity, trust.pem(authority), "localhost")


# Keys ------------------------------------------------------------------------------


def test_the_device_key_is_made_once(places: Places) -> None:
    first = trust.device_key(places.data).public_key()
    assert trust.device_key(places.data).public_key() == first
    assert trust.device_key(places.home / "other").public_key() != first


@pytest.mark.parametrize("damage", [b"", b"\xff\x00garbage", "cut", "another kind"])
def test_a_damaged_device_key_is_replaced(places: Places, damage: bytes | str) -> None:
    first = trust.device_key(places.data).public_key()
    path = places.data / "device.pem"
    if damage == "cut":
        damage = path.read_bytes()[:60]
    elif damage == "another kind":
        damage = trust.private_pem(ec.generate_private_key(ec.SECP256R1()))
    assert isinstance(damage, bytes)
    path.write_bytes(damage)
    second = trust.device_key(places.data).public_key()
    assert second != first
    assert trust.device_key(places.data).public_key() == second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 or os.name != "posix"


def public_pem(key: ed25519.Ed25519PublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.PEM,
        serialization.PublicFormat.SubjectPublicKeyInfo,
    )


def ed25519_pem() -> bytes:
    return public_pem(ed25519.Ed25519PrivateKey.generate().public_key())


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_server_keys_are_read_in_their_order(
    tmp_path: Path, start: bytes, ending: bytes
) -> None:
    keys = [ed25519.Ed25519PrivateKey.generate().public_key() for _ in range(3)]
    path = tmp_path / "網站 金鑰.pem"
    path.write_bytes(start + b"\n".join(map(public_pem, keys)).replace(b"\n", ending))
    assert trust.read_server_keys(path) == tuple(keys)


SECRET = trust.private_pem(ed25519.Ed25519PrivateKey.generate())
RSA_PEM = public_pem(rsa.generate_private_key(65537, 2048).public_key())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"A123456789", "line 1: text that is no PEM block"),
        (b"\n\nA123456789\n" + ed25519_pem(), "line 3: text that is no PEM block"),
        (ed25519_pem() + b"A123456789", "line 4: text that is no PEM block"),
        (ed25519_pem()[:70], "line 1: text that is no PEM block"),
        (ed25519_pem().decode().encode("utf-16"), "line 1: text that is no PEM block"),
        (b"\xff" * 99, "line 1: text that is no PEM block"),
        (SECRET, "line 1: PRIVATE KEY instead of PUBLIC KEY"),
        (ed25519_pem() + SECRET, "line 4: PRIVATE KEY instead of PUBLIC KEY"),
        (RSA_PEM, "line 1: the PUBLIC KEY there is not an Ed25519 one"),
        (ed25519_pem().replace(b"MCow", b"MCox"), "line 1: the PUBLIC KEY there is"),
    ],
)
def test_bad_server_keys_are_told_and_not_shown(
    tmp_path: Path, content: bytes, told: str
) -> None:
    path = tmp_path / "keys.pem"
    path.write_bytes(content)
    with pytest.raises(BadServerKey, match=re.escape(told)) as caught:
        trust.read_server_keys(path)
    text = str(caught.value)
    assert str(path) in text
    assert "A123456789" not in text
    assert not any(
        line in text for line in content.decode("latin-1").split() if line[16:]
    )


def test_a_missing_server_key_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadServerKey, match=r"none\.pem: No such file"):
        trust.read_server_keys(tmp_path / "none.pem")
    with pytest.raises(BadServerKey, match="Is a directory"):
        trust.read_server_keys(tmp_path)


# Trust stores ----------------------------------------------------------------------


def nss(folder: Path, *words: str | Path) -> str:
    done = subprocess.run(
        ["certutil", *words, "-d", f"sql:{folder}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout


def make_database(folder: Path, password: Path | None = None) -> Path:
    folder.mkdir(parents=True)
    opening = ["--empty-password"] if password is None else ["-f", str(password)]
    nss(folder, "-N", *opening)
    return folder


def foreign_authority(name: str) -> x509.Certificate:
    """An authority of somebody else, as a school or a virus scanner has one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = trust.common_name(name)
    return (
        trust.blank(subject, subject, key.public_key(), NOW)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )


def add(folder: Path, certificate: x509.Certificate, nickname: str) -> None:
    file = folder.parent / "to-add.pem"
    file.write_bytes(trust.pem(certificate))
    nss(folder, "-A", "-t", "C,,", "-n", nickname, "-i", file)
    file.unlink()


def listed(folder: Path) -> list[str]:
    """Return the lines of certutil -L that name a certificate, spaces made one."""
    lines = (" ".join(line.split()) for line in nss(folder, "-L").splitlines())
    return sorted(line for line in lines if line.count(",") == 2 and "SSL" not in line)


def modern(places: Places) -> Path:
    return places.home / ".local/share/pki/nssdb"


def old(places: Places) -> Path:
    return places.home / ".pki/nssdb"


def profile(places: Places) -> Path:
    return places.home / ".mozilla/firefox/abcd1234.default-esr"


def our_line(certificate: LocalCertificate) -> str:
    return f"jiepin-reader {certificate.name[-8:]} C,,"


@needs_certutil
def test_no_trace_is_left(places: Places) -> None:
    before = everything(places.home)
    certificate = ensure(places.data, NOW)
    trust.device_key(places.data)
    done = stores.install(places, certificate)
    assert done.stores == (Store("Chromium", modern(places)),)
    assert (done.refused, done.commands) == ((), ())
    assert listed(modern(places)) == [our_line(certificate)]
    assert not old(places).parent.exists()
    for log in (LOG, f"{LOG}.1"):
        (places.data / log).write_text("the service was here", "utf-8")
    gone = stores.remove(places)
    assert gone.stores == done.stores
    assert gone.left is None
    assert [path.name for path in gone.files] == [*trust.FILES]
    assert everything(places.home) == before


@needs_certutil
def test_removing_twice_or_nothing_is_no_mistake(places: Places) -> None:
    assert stores.remove(places) == stores.Removed()
    stores.install(places, ensure(places.data, NOW))
    stores.remove(places)
    assert stores.remove(places) == stores.Removed()


@needs_certutil
def test_the_place_of_older_versions_is_used_where_it_is(places: Places) -> None:
    """Chromium reads ~/.pki/nssdb where that folder is, even an empty one."""
    old(places).mkdir(parents=True)
    before = everything(places.home)
    certificate = ensure(places.data, NOW)
    done = stores.install(places, certificate)
    assert done.stores == (Store("Chromium", old(places)),)
    assert listed(old(places)) == [our_line(certificate)]
    stores.remove(places)
    assert everything(places.home) == before


@needs_certutil
def test_the_folder_of_xdg_is_used_where_it_is_set(places: Places) -> None:
    moved = Places("linux", places.home, {"XDG_DATA_HOME": str(places.home / "資料")})
    done = stores.install(moved, ensure(moved.data, NOW))
    assert [store.folder for store in done.stores] == [places.home / "資料/pki/nssdb"]
    stores.remove(moved)
    assert [path.name for path in everything(places.home / "資料")] == []


@needs_certutil
def test_every_browser_is_found(places: Places) -> None:
    home = places.home
    expected = [
        ("Chromium", make_database(old(places))),
        ("Chromium", make_database(modern(places))),
        ("Chromium", make_database(home / "snap/chromium/4000/.pki/nssdb")),
        ("Chromium", make_database(home / ".var/app/org.chromium.Chromium/.pki/nssdb")),
        ("Firefox", make_database(profile(places))),
        ("Firefox", make_database(home / ".config/mozilla/firefox/new.default")),
        (
            "Firefox",
            make_database(home / "snap/firefox/common/.mozilla/firefox/snap.default"),
        ),
        (
            "Firefox",
            make_database(
                home / ".var/app/org.mozilla.firefox/.mozilla/firefox/flat.default"
            ),
        ),
    ]
    (home / "snap/chromium/current").symlink_to("4000")
    (home / ".mozilla/firefox/Crash Reports").mkdir()
    found = stores.stores(places)
    assert [(each.browser, each.folder.resolve()) for each in found] == expected
    certificate = ensure(places.data, NOW)
    assert stores.install(places, certificate).stores == found
    for _, folder in expected:
        assert listed(folder) == [our_line(certificate)]
    stores.remove(places)
    for _, folder in expected:
        assert listed(folder) == []
        assert (folder / "cert9.db").is_file()  # it was there before us


@needs_certutil
def test_one_folder_by_two_ways_is_one_store(places: Places) -> None:
    make_database(old(places))
    modern(places).parent.mkdir()
    modern(places).symlink_to(old(places))
    assert stores.stores(places) == (Store("Chromium", old(places)),)


@needs_certutil
def test_certificates_of_others_stay(places: Places) -> None:
    for folder in (make_database(old(places)), make_database(profile(places))):
        add(folder, foreign_authority("學校 憑證"), "學校 憑證")
        add(folder, foreign_authority("jiepin-reader"), "jiepin-reader 00000000")
        nss(folder, "-M", "-t", "CT,C,", "-n", "學校 憑證")
    before = [listed(folder) for folder in (old(places), profile(places))]
    assert before[0] == ["jiepin-reader 00000000 C,,", "學校 憑證 CT,C,"]
    files = everything(places.home)
    certificate = ensure(places.data, NOW)
    stores.install(places, certificate)
    assert our_line(certificate) in listed(profile(places))
    stores.remove(places)
    assert [listed(folder) for folder in (old(places), profile(places))] == before
    assert everything(places.home) == files


@needs_certutil
def test_a_renewed_certificate_takes_the_place_of_the_earlier(places: Places) -> None:
    first = ensure(places.data, NOW)
    stores.install(places, first)
    second = ensure(places.data, NOW + 400 * DAY)
    stores.install(places, second)
    assert listed(modern(places)) == [our_line(second)]


@needs_certutil
def test_installing_again_changes_nothing(places: Places) -> None:
    certificate = ensure(places.data, NOW)
    stores.install(places, certificate)
    before = (modern(places) / "cert9.db").read_bytes()
    stores.install(places, certificate)
    assert (modern(places) / "cert9.db").read_bytes() == before


@needs_certutil
def test_trust_that_was_taken_away_is_given_back(places: Places) -> None:
    certificate = ensure(places.data, NOW)
    stores.install(places, certificate)
    nickname = our_line(certificate).removesuffix(" C,,")
    nss(modern(places), "-M", "-t", ",,", "-n", nickname)
    assert not stores.describe(places, NOW).stores[0].ready
    stores.install(places, certificate)
    assert listed(modern(places)) == [our_line(certificate)]
    assert stores.describe(places, NOW).stores[0].ready


@needs_certutil
def test_authorities_of_lost_installations_go_too(places: Places) -> None:
    """The data folder was deleted by hand, and one authority imported by hand."""
    make_database(profile(places))
    lost = ensure(places.data, NOW)
    stores.install(places, lost)
    add(profile(places), authority_of(ensure(places.home / "other", NOW)), "by hand")
    by_hand = ensure(places.home / "another", NOW)
    add(profile(places), authority_of(by_hand), by_hand.name)
    shutil.rmtree(places.data)
    stores.remove(places)
    # Without our name in its nickname it may be anyone's.
    assert listed(profile(places)) == ["by hand C,,"]


@needs_certutil
@pytest.mark.parametrize("guest", ["certificate", "key", "module", "file"])
def test_a_store_that_others_came_to_use_stays(places: Places, guest: str) -> None:
    stores.install(places, ensure(places.data, NOW))
    folder = modern(places)
    if guest == "certificate":
        add(folder, foreign_authority("學校"), "學校")
    elif guest == "key":
        noise = places.home / "noise"
        noise.write_bytes(os.urandom(64))
        nss(folder, "-G", "-k", "ec", "-q", "nistp256", "-z", noise)
    elif guest == "module":
        with (folder / "pkcs11.txt").open("a") as file:
            file.write("library=libnssckbi.so\nname=自然人憑證\n\n")
    else:
        (folder / "readme").write_text("mine")
    stores.remove(places)
    assert (folder / "cert9.db").is_file()
    assert listed(folder) == ["學校 C,,"] * (guest == "certificate")
    assert not places.data.exists()


@needs_certutil
def test_a_store_made_by_a_run_that_was_cut_off_goes_too(places: Places) -> None:
    before = everything(places.home)
    certificate = ensure(places.data, NOW)
    stores.remember(places.data, Store("Chromium", modern(places)))
    modern(places).mkdir(parents=True)
    (places.data / ".ca.pem.x1y2z3").write_bytes(b"a write that was cut off")
    stores.install(places, certificate)
    stores.remove(places)
    assert everything(places.home) == before


@needs_certutil
def test_files_of_others_in_the_data_folder_stay(places: Places) -> None:
    ensure(places.data, NOW)
    (places.data / "server-key.pub").write_bytes(ed25519_pem())
    assert stores.remove(places).left == places.data
    assert [path.name for path in places.data.iterdir()] == ["server-key.pub"]


@needs_certutil
def test_a_locked_store_is_told_and_the_others_are_done(places: Places) -> None:
    password = places.home / "password"
    password.write_text("s3cret\n")
    make_database(profile(places), password)
    certificate = ensure(places.data, NOW)
    done = stores.install(places, certificate)
    assert done.stores == (Store("Chromium", modern(places)),)
    [refused] = done.refused
    assert f"{profile(places)}: it is locked by a password" in str(refused)
    assert listed(profile(places)) == []  # certutil had left it there, without trust
    assert stores.remove(places).stores == done.stores
    assert not modern(places).exists()


@needs_certutil
def test_a_broken_store_is_told(places: Places) -> None:
    old(places).mkdir(parents=True)
    (old(places) / "cert9.db").write_bytes(b"no database" * 100)
    certificate = ensure(places.data, NOW)
    with pytest.raises(StoreRefused, match="SEC_ERROR_BAD_DATABASE") as caught:
        stores.install(places, certificate)
    assert str(old(places)) in str(caught.value)
    [state] = stores.describe(places, NOW).stores
    assert "SEC_ERROR_BAD_DATABASE" in str(state.refused)
    [refused] = stores.remove(places).refused  # we never came into it
    assert "SEC_ERROR_BAD_DATABASE" in str(refused)
    assert not places.data.exists()


@needs_certutil
def test_a_store_that_broke_after_us_can_be_tried_again(places: Places) -> None:
    make_database(profile(places))
    certificate = ensure(places.data, NOW)
    stores.install(places, certificate)
    database = profile(places) / "cert9.db"
    content = database.read_bytes()
    database.write_bytes(b"no database" * 100)
    with pytest.raises(StoreRefused, match="SEC_ERROR_BAD_DATABASE"):
        stores.remove(places)
    assert certificate.authority.is_file()
    assert not modern(places).exists()  # the others are done all the same
    database.write_bytes(content)
    stores.remove(places)
    assert listed(profile(places)) == []
    assert not places.data.exists()


def test_without_certutil_the_way_is_told(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(places.home)
    certificate = ensure(places.data, NOW)
    monkeypatch.setenv("PATH", str(places.home))
    with pytest.raises(
        StoreRefused, match="sudo apt-get install libnss3-tools"
    ) as told:
        stores.install(places, certificate)
    assert "chrome://settings/certificates" in str(told.value)
    assert str(certificate.authority) in str(told.value)
    assert not modern(places).exists()
    stores.remove(places)  # nothing was installed, so nothing is missing
    assert everything(places.home) == before


@needs_certutil
def test_without_certutil_nothing_is_forgotten(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = ensure(places.data, NOW)
    stores.install(places, certificate)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", str(places.home))
        with pytest.raises(StoreRefused, match="libnss3-tools"):
            stores.remove(places)
        assert stores.describe(places, NOW).stores[0].refused is not None
    assert certificate.authority.is_file()
    stores.remove(places)
    assert not modern(places).exists()


@needs_certutil
def test_what_is_installed_is_described(places: Places) -> None:
    make_database(profile(places))
    empty = stores.describe(places, NOW)
    assert empty.certificate is None
    assert [(each.authorities, each.ready) for each in empty.stores] == [
        ((), False)
    ] * 2
    first = ensure(places.data, NOW)
    stores.install(places, first)
    second = ensure(places.data, NOW + 400 * DAY)
    add(profile(places), authority_of(second), "jiepin-reader today")
    before = {path: path.stat().st_mtime_ns for path in everything(places.home)}
    told = stores.describe(places, NOW + 400 * DAY)
    assert {path: path.stat().st_mtime_ns for path in everything(places.home)} == before
    assert told.certificate is not None
    assert told.certificate.name == second.name
    assert not told.certificate.renewed
    chromium, firefox = told.stores
    assert [each.name for each in chromium.authorities] == [first.name]
    assert not chromium.ready
    assert firefox.ready
    assert {(each.name, each.current) for each in firefox.authorities} == {
        (first.name, False),
        (second.name, True),
    }
    assert {each.not_after for each in firefox.authorities} == {
        first.not_after,
        second.not_after,
    }


# Commands for a person -------------------------------------------------------------


def two_authorities(places: Places) -> tuple[LocalCertificate, str, str]:
    """Return the certificate of today, the earlier thumbprint and that of today."""
    thumbprints = []
    for later in (0, 400):
        certificate = ensure(places.data, NOW + later * DAY)
        sha1 = authority_of(certificate).fingerprint(hashes.SHA1())
        thumbprints.append(sha1.hex().upper())
    return certificate, *thumbprints


def test_windows_commands(places: Places) -> None:
    windows = Places("win32", places.home, {})
    certificate, earlier, today = two_authorities(windows)
    done = stores.install(windows, certificate)
    assert done.stores == ()
    assert [command.text for command in done.commands] == [
        f"certutil -user -delstore Root {earlier}",
        f'certutil -user -addstore Root "{certificate.authority}"',
    ]
    told = stores.describe(windows, NOW + 400 * DAY)
    assert [command.text for command in told.commands] == [
        f"certutil -user -store Root {each}" for each in (earlier, today)
    ]
    gone = stores.remove(windows)
    assert [command.words for command in gone.commands] == [
        ("certutil", "-user", "-delstore", "Root", each) for each in (earlier, today)
    ]
    assert not windows.data.exists()


def test_macos_commands(places: Places) -> None:
    mac = Places("darwin", places.home, {})
    certificate, earlier, today = two_authorities(mac)
    keychain = f"{mac.home}/Library/Keychains/login.keychain-db"
    done = stores.install(mac, certificate)
    assert [command.words for command in done.commands] == [
        ("security", "delete-certificate", "-Z", earlier, "-t", keychain),
        (
            *("security", "add-trusted-cert", "-r", "trustRoot", "-p", "ssl"),
            *("-k", keychain, str(certificate.authority)),
        ),
    ]
    for command in done.commands:
        assert tuple(shlex.split(command.text)) == command.words
    assert f"'{keychain}'" in done.commands[1].text
    told = stores.describe(mac, NOW + 400 * DAY)
    assert told.commands[1].words == (
        *("security", "find-certificate", "-a", "-Z", "-c", certificate.name, keychain),
    )
    gone = stores.remove(mac)
    assert [command.words[3] for command in gone.commands] == [earlier, today]
    assert not mac.data.exists()


def test_paths_are_quoted_for_each_shell() -> None:
    windows = PureWindowsPath(r"C:\Users\林 小明 & 子")
    text = stores.addition("win32", windows, windows / "ca.pem").text
    assert text.endswith(r' Root "C:\Users\林 小明 & 子\ca.pem"')
    mac = PurePosixPath("/Users/O'Brien 林")
    text = stores.addition("darwin", mac, mac / "ca.pem").text
    assert shlex.split(text)[-1] == "/Users/O'Brien 林/ca.pem"


# Over the network and in a browser -------------------------------------------------


class Greeting(http.server.BaseHTTPRequestHandler):
    timeout = 5  # also for browsers that connect and say nothing

    def setup(self) -> None:
        self.request.settimeout(self.timeout)
        self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        body = "<!doctype html><title>健保卡</title>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a browser that does not trust us ends the handshake."""


@contextmanager
def https(identity: Path, address: str = "127.0.0.1") -> Iterator[int]:
    """Serve one page; gives the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    with Server((address, 0), Greeting) as server:
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_client_that_trusts_ca_pem_alone_is_served(places: Places, name: str) -> None:
    certificate = ensure(places.data, NOW)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate.authority)
    with https(certificate.identity) as port:
        client = http.client.HTTPSConnection(name, port, context=context, timeout=10)
        try:
            client.request("GET", "/")
            assert client.getresponse().read().decode().endswith("健保卡</title>")
        finally:
            client.close()
        stranger = http.client.HTTPSConnection(
            name, port, context=ssl.create_default_context(), timeout=10
        )
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.connect()
        stranger.close()


def browse(home: Path, *urls: str) -> list[str]:
    """Open pages in a Chromium with that home; return each title or network error."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is missing: pip install playwright"
    )

    def run() -> list[str]:
        found = []
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM,
                args=["--no-sandbox", "--host-resolver-rules=MAP *.test 127.0.0.1"],
                env={
                    **{k: v for k, v in os.environ.items() if k != "XDG_DATA_HOME"},
                    "HOME": str(home),
                },
            )
            page = browser.new_page()
            for url in urls:
                try:
                    page.goto(url)
                    found.append(page.title())
                except sync_api.Error as error:
                    found.append(re.findall("ERR_[A-Z_]+", str(error))[0])
            browser.close()
        return found

    # A thread of its own: other tests may have a Playwright open in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result(timeout=120)


@needs_certutil
@needs_chromium
@pytest.mark.parametrize("has_old_folder", [False, True])
def test_chromium_trusts_it_once_it_is_installed(
    places: Places, has_old_folder: bool
) -> None:
    if has_old_folder:
        old(places).mkdir(parents=True)
    certificate = ensure(places.data, NOW)
    with https(certificate.identity) as port:
        urls = [f"https://localhost:{port}/", f"https://127.0.0.1:{port}/"]
        if not has_old_folder:
            refused = browse(places.home, urls[0])
            assert refused == ["ERR_CERT_AUTHORITY_INVALID"]
        stores.install(places, certificate)
        assert browse(places.home, *urls) == ["健保卡", "健保卡"]
        stores.remove(places)
        if has_old_folder:
            refused = browse(places.home, urls[0])
            assert refused == ["ERR_CERT_AUTHORITY_INVALID"]


@needs_certutil
@needs_chromium
def test_chromium_refuses_what_the_authority_may_not_name(places: Places) -> None:
    folder = make_database(old(places))
    authority_key, authority = trust.make_authority(NOW)
    add(folder, authority, "forger")
    urls = []
    with ExitStack() as servers:
        for host, name, at in (
            ("localhost", trust.LOCALHOST, "127.0.0.1"),
            ("evil.localhost", x509.DNSName("evil.localhost"), "127.0.0.1"),
            ("tas.test", x509.DNSName("tas.test"), "127.0.0.1"),
            ("127.0.0.2", address("127.0.0.2"), "127.0.0.2"),
        ):
            key, leaf = trust.sign_leaf(authority_key, authority, [name], NOW)
            identity = places.home / "forged.pem"
            identity.write_bytes(trust.private_pem(key) + trust.pem(leaf))
            port = servers.enter_context(https(identity, at))
            urls.append(f"https://{host}:{port}/")
        found = browse(places.home, *urls)
    assert found == ["健保卡", *["ERR_CERT_INVALID"] * 3]
