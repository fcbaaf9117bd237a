"""No secret is in the repository, and what the audit of dependencies says is read."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
# how secrets look that programs make; each is written apart, so that it is none itself
SECRETS = [
    re.compile(pattern.encode())
    for pattern in (
        r"PRIVATE" + r" KEY-----",
        r"AGE-SECRET" + r"-KEY-1[0-9A-Z]{20,}",
        r"AKIA" + r"[0-9A-Z]{16}\b",
        r"ghp_" + r"[0-9A-Za-z]{36}\b",
        r"glpat-" + r"[0-9A-Za-z_-]{20}\b",
        r"xox[abprs]-" + r"[0-9A-Za-z-]{10,}",
        r"sk_live_" + r"[0-9A-Za-z]{16,}",
        r"pypi-" + r"AgEIcHlwaS5vcmc[0-9A-Za-z_-]{20,}",
        r"eyJ[0-9A-Za-z_-]{10,}" + r"\.eyJ[0-9A-Za-z_-]{10,}\.",
        r"\$argon2id\$v=" + r"\d+\$[^ $]+\$[0-9A-Za-z+/]{16,}",
        r'"(seal|lookup|sign|open)": ' + r'\[?\s*"[0-9A-Za-z_+/-]{42,44}=?"',
        r"://[^/\s:@]{1,40}:" + r"[^/\s:@{}$]{6,40}@",
    )
]
KEY_FILES = re.compile(r"(\.pem|\.key|\.p12|\.pfx|\.age|keys\.json.*|\.env|id_\w+)$")
ENV = re.compile(r"PASSWORD=\S|SECRET=\S|TOKEN=\S")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("no git here, so that nobody knows which files are tracked")
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def in_it(content: bytes) -> str | None:
    """Return how the secret looks that a content holds, not the secret itself."""
    found = (one.pattern.decode() for one in SECRETS if one.search(content))
    return next(found, None)


def test_no_secret_is_in_a_tracked_file() -> None:
    files = tracked()
    assert len(files) > 500
    for file in files:
        found = in_it(file.read_bytes())
        assert found is None, f"{file.relative_to(ROOT)}: like {found}"


def test_no_key_file_is_tracked() -> None:
    names = [
        file.relative_to(ROOT) for file in tracked() if KEY_FILES.search(file.name)
    ]
    for name in names:
        content = (ROOT / name).read_text("utf-8")
        assert name.suffix == ".env", name  # of an example, which holds no value
        assert not ENV.search(content), name


@pytest.mark.parametrize(
    "secret",
    [
        "-----BEGIN EC PRIVATE" + " KEY-----",
        "AGE-SECRET" + "-KEY-1" + "Q" * 58,
        "ghp_" + "a1" * 18,
        '"seal": [\n  "' + "A" * 43 + '="',
        "$argon2id$v=19$m=19456,t=2,p=1$" + "c2FsdHNhbHRzYWx0c2Fs" + "$x",
        "https://user:" + "hunter22@example.org/",
    ],
)
def test_a_secret_would_be_found(secret: str) -> None:
    assert in_it(f"x = {secret}\n".encode()) is not None


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOUND = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}
OURS = {"name": "jiepin", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code"),
    [
        ([SOUND, OURS], 0),
        ([SOUND, WEAK], 1),
        ([WEAK, SKIPPED], 1),
        ([SOUND, SKIPPED], 3),
        ([SKIPPED, OURS], 3),
    ],
)
def test_what_was_not_asked_about_is_not_called_sound(
    audit: ModuleType, packages: list[object], code: int
) -> None:
    assert audit.verdict({"dependencies": packages})[0] == code
