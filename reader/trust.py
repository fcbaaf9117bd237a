"""The certificate of this installation, and its keys.

`ensure` makes a certificate authority for this installation alone, has it sign one
certificate for localhost and 127.0.0.1, and drops the key of the authority: it never
leaves memory, so nobody can have it sign anything else, and the authority is fit for
nothing else either (name constraints). `stores` has the browsers trust it.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from jiepin.reader.errors import BadServerKey, FolderRefused
from jiepin.reader.places import LOG, close_to_others, write_private

# The files of the data folder.
AUTHORITY = "ca.pem"  # what browsers are to trust
IDENTITY = "server.pem"  # the key and the certificate of this server
DEVICE = "device.pem"
ISSUED = "issued.pem"  # every authority ever made here, so that all can be removed
STORES = "stores.json"  # the trust stores we changed, and what we made for them
FILES = (AUTHORITY, IDENTITY, DEVICE, ISSUED, STORES, LOG, f"{LOG}.1")

LABEL = "健保卡讀取程式 jiepin-reader"
OUR_NAME = re.compile(rf"{LABEL} [0-9a-f]{{8}}")

VALID = timedelta(days=397)
RENEWED = timedelta(days=30)  # so long before the end
BACKDATED = timedelta(days=1)  # for clocks that are slow

LOCALHOST = x509.DNSName("localhost")
LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
# A permitted localhost would include every name below it, hence the leading dot.
# The forms for mail and addresses of pages cannot be forbidden, only narrowed.
CONSTRAINTS = x509.NameConstraints(
    permitted_subtrees=[
        LOCALHOST,
        x509.IPAddress(ipaddress.ip_network("127.0.0.1/32")),
        x509.RFC822Name("localhost"),
        x509.UniformResourceIdentifier("localhost"),
    ],
    excluded_subtrees=[
        x509.DNSName(".localhost"),
        x509.IPAddress(ipaddress.ip_network("::/0")),
    ],
)
SERVER_ONLY = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
DAMAGED = (
    OSError,
    ValueError,  # also no PEM, another kind of PEM, a name that is no name
    TypeError,  # a key with a password
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.ExtensionNotFound,
    x509.DuplicateExtension,
    x509.InvalidVersion,
)

PEM = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{1,40})-----\n[A-Za-z0-9+/=\n]*-----END \1-----"
)


# The certificate -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LocalCertificate:
    """The certificate of this installation, for `ssl.SSLContext.load_cert_chain`.

    `authority` is the file that browsers are to trust, `identity` the file with the
    key and the certificate of the server, `name` the authority's. `renewed` is true
    when this call made it: the stores do not know it yet.
    """

    authority: Path
    identity: Path
    name: str
    not_after: datetime
    renewed: bool = False


def ensure(folder: Path, now: datetime) -> LocalCertificate:
    """Return the certificate in a data folder; make it where there is none to use.

    A new one is made when it is missing, damaged, not yet valid by `now` (which knows
    its time zone) or has less than 30 days left. Raises FolderRefused.

    >>> import tempfile
    >>> from datetime import UTC
    >>> now = datetime(2026, 7, 1, tzinfo=UTC)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first = ensure(Path(folder), now)
    ...     second = ensure(Path(folder), now + timedelta(days=300))
    >>> first.renewed, second.renewed, first.name == second.name
    (True, False, True)
    >>> print(first.not_after.date())
    2027-08-01
    """
    return present(folder, now) or renew(folder, now)


def present(folder: Path, now: datetime) -> LocalCertificate | None:
    """Return the certificate in a data folder, None when a new one is needed."""
    assert now.tzinfo is not None
    authority_file, identity_file = folder / AUTHORITY, folder / IDENTITY
    try:
        authority_pem = authority_file.read_bytes()
        identity_pem = identity_file.read_bytes()
        authority = x509.load_pem_x509_certificate(authority_pem)
        leaf = x509.load_pem_x509_certificate(identity_pem)
        key = load_pem_private_key(identity_pem, password=None)
        authority.verify_directly_issued_by(authority)
        leaf.verify_directly_issued_by(authority)
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        close_to_others(identity_file)
    except DAMAGED:
        return None
    fits = (
        isinstance(key, ec.EllipticCurvePrivateKey)
        and key.public_key() == leaf.public_key()
        and list(names.value) == [LOCALHOST, LOOPBACK]
        and is_ours(authority)
        and constraints_of(authority) == CONSTRAINTS
        # To the byte: OpenSSL and browsers read less forgivingly than we do.
        and authority_pem == pem(authority)
        and identity_pem == private_pem(key) + pem(leaf)
    )
    not_before = max(leaf.not_valid_before_utc, authority.not_valid_before_utc)
    not_after = min(leaf.not_valid_after_utc, authority.not_valid_after_utc)
    if not fits or not not_before <= now <= not_after - RENEWED:
        return None
    return LocalCertificate(
        authority_file, identity_file, name_of(authority), not_after
    )


def renew(folder: Path, now: datetime) -> LocalCertificate:
    """Make a new authority and a new certificate. Raises FolderRefused."""
    authority, identity = issue(now)
    before = b"".join(pem(earlier) for earlier in issued(folder))
    write_private(folder / ISSUED, before + pem(authority))
    write_private(folder / AUTHORITY, pem(authority))
    write_private(folder / IDENTITY, identity)
    made = present(folder, now)
    if made is None:  # another process of ours wrote in between, or the disk is odd
        raise FolderRefused(f"{folder}: what was written cannot be read back")
    return replace(made, renewed=True)


def issue(now: datetime) -> tuple[x509.Certificate, bytes]:
    """Return an authority and what it signed: key and certificate in PEM.

    The key of the authority ends with this call.
    """
    authority_key, authority = make_authority(now)
    key, leaf = sign_leaf(authority_key, authority, [LOCALHOST, LOOPBACK], now)
    return authority, private_pem(key) + pem(leaf)


def make_authority(
    now: datetime,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = common_name(f"{LABEL} {secrets.token_hex(4)}")
    certificate = (
        blank(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage("key_cert_sign"), critical=True)
        .add_extension(CONSTRAINTS, critical=True)
        .add_extension(SERVER_ONLY, critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def sign_leaf(
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    names: list[x509.GeneralName],
    now: datetime,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    signer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
        signer.value
    )
    certificate = (
        blank(common_name("localhost"), authority.subject, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage("digital_signature"), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(SERVER_ONLY, critical=False)
        .add_extension(signer_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return key, certificate


def blank(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    not_before = now - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_before + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_usage(only: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use == only for use in KEY_USES})


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def issued(folder: Path) -> list[x509.Certificate]:
    """Return every authority made in a data folder, oldest first."""
    found: list[x509.Certificate] = []
    for name in (ISSUED, AUTHORITY):
        with suppress(*DAMAGED):
            found += x509.load_pem_x509_certificates((folder / name).read_bytes())
    return list(dict.fromkeys(found))


def is_ours(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate is an authority made by this program, ever."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        return (
            OUR_NAME.fullmatch(name_of(certificate)) is not None
            and certificate.issuer == certificate.subject
            and basic.value == x509.BasicConstraints(ca=True, path_length=0)
            and LOCALHOST in (constraints_of(certificate).permitted_subtrees or ())
        )
    except DAMAGED:
        return False


def name_of(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def constraints_of(certificate: x509.Certificate) -> x509.NameConstraints:
    return certificate.extensions.get_extension_for_class(x509.NameConstraints).value


def thumbprint(certificate: x509.Certificate) -> str:
    """Return what Windows and macOS call a certificate by: SHA-1 in hexadecimal."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()


# Keys ------------------------------------------------------------------------------


def device_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key of this installation; make it where there is none to use.

    It tells a server one installation from another and proves nothing about a card.
    Raises FolderRefused.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, second = device_key(Path(folder)), device_key(Path(folder))
    >>> first.public_key() == second.public_key()
    True
    """
    path = folder / DEVICE
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
        close_to_others(path)
    except DAMAGED:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        key = Ed25519PrivateKey.generate()
        write_private(path, private_pem(key))
    return key


def read_server_keys(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """Return the public keys of a file of one or more PEM blocks, in their order.

    Raises BadServerKey, which tells where the file is wrong and none of its content.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "server.pub"
    ...     _ = path.write_text(
    ...         "-----BEGIN PUBLIC KEY-----\\n"
    ...         "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\\n"
    ...         "-----END PUBLIC KEY-----\\n"
    ...     )
    ...     [key] = read_server_keys(path)
    >>> key.public_bytes_raw().hex()[:16]
    'd75a980182b10ab7'
    """
    try:
        text = path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise BadServerKey(f"{path}: {error.strerror}") from error
    keys = []
    end = 0
    for block in PEM.finditer(text):
        only_blank(path, text, end, block.start())
        keys.append(server_key(path, line_of(text, block.start()), block))
        end = block.end()
    only_blank(path, text, end, len(text))
    if not keys:
        raise BadServerKey(f"{path}: the file is empty")
    return tuple(keys)


def server_key(path: Path, line: int, block: re.Match[str]) -> Ed25519PublicKey:
    place = f"{path} line {line}"
    if block.group(1) != "PUBLIC KEY":
        raise BadServerKey(f"{place}: {block.group(1)} instead of PUBLIC KEY")
    try:
        key = load_pem_public_key(block.group().encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadServerKey(f"{place}: the PUBLIC KEY there is damaged") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadServerKey(f"{place}: the PUBLIC KEY there is not an Ed25519 one")
    return key


def only_blank(path: Path, text: str, start: int, end: int) -> None:
    between = text[start:end]
    if between.strip():
        line = line_of(text, start + len(between) - len(between.lstrip()))
        raise BadServerKey(f"{path} line {line}: text that is no PEM block")


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
