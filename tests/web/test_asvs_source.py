"""What the ASVS asks of the source itself, of templates, and of what is written down.

The numbers in the names are those of the requirements; docs/security.md lists them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

import jiepin.web
from jiepin.web import accounts, passwords, rotation
from jiepin.web.access import Action
from jiepin.web.documents import unpack
from jiepin.web.guard import MOST_BODY
from jiepin.web.staff import sign_in

WEB = Path(jiepin.web.__file__).parent
SECURITY = Path(__file__).resolve().parents[2] / "docs" / "security.md"
RUNS_SQL = {"execute", "executemany", "executescript", "execute_fetchall"}
# statements put together: of constants of the module, never of what somebody typed
CONSTANT = re.compile(r"_?[A-Z][A-Z_0-9]*(\.[a-z_]+)?")
# of what the program ships, of the shape of the database, or of a choice in the source
CHOSEN = {
    "web/rotation.py": {"place.read"},
    "web/store/archive.py": {"table", "where"},
    "web/store/backups.py": {"name", "table"},
    "web/store/database.py": {"script", "number"},
    "web/store/results.py": {"where"},
    "web/store/staff.py": {"where"},
}
WEAK = {"ecb", "cbc", "md5", "sha1", "modes", "cipher"}
RUN_BY_PLUGINS = re.compile(r"<(object|embed|applet|iframe)\b|\.jar|\.jnlp")
SPREADS = ("web/notify/worker.py", "web/crowd.py")  # what comes at once, with chance
ESCAPED = "web/fragments.py"  # keeps what a template has rendered


@cache
def sources() -> tuple[tuple[str, ast.Module], ...]:
    files = {f.relative_to(WEB).as_posix(): f for f in sorted(WEB.rglob("*.py"))}
    return tuple(
        (f"web/{name}", ast.parse(file.read_text("utf-8")))
        for name, file in files.items()
    )


def templates() -> Iterator[tuple[str, str]]:
    for file in sorted((WEB / "templates").rglob("*.html")):
        yield file.name, file.read_text("utf-8")


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """Give every call with the last word of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            yield getattr(called, "attr", getattr(called, "id", "")), node


def pasted(node: ast.AST) -> Iterator[str]:
    """Give what is put into a statement that is made of parts."""
    if isinstance(node, ast.JoinedStr):
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                yield ast.unparse(part.value)
    elif isinstance(node, ast.BinOp):
        for side in (node.left, node.right):
            if isinstance(side, ast.Name | ast.Attribute | ast.Call):
                yield ast.unparse(side)
            yield from pasted(side)
    elif isinstance(node, ast.Call):
        yield ast.unparse(node)


def test_asvs_1_2_4_no_statement_is_put_together_of_what_was_typed() -> None:
    seen = 0
    for name, tree in sources():
        for called, node in calls(tree):
            if called in RUNS_SQL and node.args:
                seen += 1
                free = CHOSEN.get(name, set())
                found = {p for p in pasted(node.args[0]) if not CONSTANT.fullmatch(p)}
                assert found <= free, f"{name}:{node.lineno} {found}"
    assert seen > 300


def test_asvs_1_2_4_all_statements_are_in_the_store() -> None:
    for name, tree in sources():
        if not name.startswith(("web/store/", "web/rotation.py", "web/demo")):
            assert not [n.lineno for c, n in calls(tree) if c in RUNS_SQL], name


def test_asvs_1_2_3_no_page_holds_a_script() -> None:
    """Scripts are files of ours: nothing is ever written into one."""
    for name, text in templates():
        for script in re.findall(r"<script[^>]*>", text):
            assert " src=" in script, name
        assert not re.search(r"\son\w+\s*=", text), name
        assert "javascript:" not in text, name
        assert not re.search(r"<style|\sstyle=", text) or name == "sheet.html", name


def test_asvs_1_3_7_no_template_is_made_of_a_text() -> None:
    for name, tree in sources():
        for called, node in calls(tree):
            assert called not in ("from_string", "Template", "eval", "exec"), name
            assert called != "Markup" or name == ESCAPED, (name, node.lineno)
    for name, text in templates():
        plain = text.replace(" ", "")
        assert "|safe" not in plain, name
        assert "autoescapefalse" not in plain, name


def test_asvs_11_3_1_to_11_3_2_one_cipher_and_it_authenticates() -> None:
    """AES-GCM at rest, HPKE for what the card says; nothing older is imported."""
    ciphers = set()
    for name, tree in sources():
        for node in ast.walk(tree):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("cryptography"):
                names = {one.name for one in node.names}
                ciphers |= names if "ciphers" in module else set()
                assert not {one.lower() for one in names} & WEAK, name
    assert ciphers == {"AESGCM"}


def test_asvs_6_5_3_secrets_come_from_the_system() -> None:
    """What `random` gives can be guessed; it makes nothing that must not be."""
    for name, tree in sources():
        imported = {
            one.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for one in node.names
        } | {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert "random" not in imported or name in SPREADS, name


def password_fields() -> list[tuple[str, str]]:
    pattern = re.compile(r'\{\{ *field\("(\w+)"(.*?)\) *\}\}')
    return [
        (name, rest)
        for _file, text in templates()
        for name, rest in pattern.findall(text)
        if name in ("password", "again", "present")
    ]


def test_asvs_6_2_6_passwords_are_typed_unseen() -> None:
    assert len(password_fields()) >= 8
    for _name, rest in password_fields():
        assert 'type="password"' in rest


def test_asvs_6_2_7_password_managers_and_pasting_are_welcome() -> None:
    for name, rest in password_fields():
        kind = "new-password" if name == "again" else "(new|current)-password"
        assert re.search(f'autocomplete="{kind}"', rest), (name, rest)
        assert "maxlength" not in rest  # nothing is cut off while it is pasted
    scripts = [file.read_text("utf-8") for file in (WEB / "static").glob("*.js")]
    assert not [text for text in scripts if "paste" in text]


def test_asvs_3_7_1_nothing_is_run_but_scripts_of_the_browser() -> None:
    for name, text in templates():
        assert not RUN_BY_PLUGINS.search(text), name


# what has to be written down


@pytest.fixture(scope="module")
def document() -> str:
    return re.sub(r"[,\u00a0]", "", SECURITY.read_text("utf-8"))


def test_asvs_6_1_1_limits_are_written_down(document: str) -> None:
    for figure in (
        f"{accounts.FAILURES} failures",
        f"{accounts.LOCK.seconds // 60} minutes",
        f"{accounts.ADDRESS_FAILURES} failures",
        f"{accounts.CHALLENGES} challenges",
        f"{accounts.CODE_TRIES} tries",
        f"{accounts.CODES} codes",
    ):
        assert figure in document, figure


def test_times_of_a_session_are_written_down(document: str) -> None:
    assert f"{accounts.IDLE.seconds // 60} minutes of silence" in document
    assert f"{accounts.ABSOLUTE.seconds // 3600} hours" in document


def test_asvs_5_1_1_what_may_be_uploaded_is_written_down(document: str) -> None:
    for figure in (
        f"{MOST_BODY // 2**20} MiB",
        f"{unpack.MOST_ROWS} rows",
        f"{unpack.MOST_COLUMNS} columns",
        f"{unpack.MOST_SHEETS} sheets",
        "xls xlsx or ods",
    ):
        assert figure in document, figure


def test_lengths_of_passwords_are_written_down(document: str) -> None:
    for figure in (passwords.SHORTEST, sign_in.SHORTEST, passwords.LONGEST):
        assert f"{figure} characters" in document, figure


def test_asvs_8_1_1_to_8_1_2_who_may_do_what_is_written_down(document: str) -> None:
    for action in get_args(Action):
        assert f"`{action}`" in document, action


def test_asvs_14_1_1_what_is_sealed_is_written_down(document: str) -> None:
    assert len(rotation._PLACES) > 8
    for place in rotation._PLACES:
        assert f"`{place.column}`" in document, place.column
