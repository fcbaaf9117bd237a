"""Starting at sign-in: what is written, read again by other eyes, and no trace after.

The parsers here follow the manuals, not the module. Where systemd and GLib are
installed, they read (and start) what was written as well.
"""

from __future__ import annotations

import importlib.util
import json
import os
import plistlib
import shutil
import subprocess
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jiepin.reader import autostart
from jiepin.reader.autostart import Account
from jiepin.reader.errors import AutostartRefused

UNIT = ".config/systemd/user/jiepin-reader.service"
WANTS = ".config/systemd/user/default.target.wants"
ENTRY = ".config/autostart/jiepin-reader.desktop"
AGENT = "Library/LaunchAgents/tw.jiepin.reader.plist"

# every sign that some system gives a meaning, and words that are more than their signs
SIGNS = " \"'\\%$`;=<>&|#~*?!^(){}[]:@-+/,."
WORDS: tuple[str, ...]
WORDS = (";", "%h", "%%", "$HOME", "${USER}", "$$", "\\t", '\\"', "&amp;", "]]>")
WORDS += (
    "-",
    "@",
    "",
    "a b",
    "中 文",
    "𠮷",
    "\u3000",
    "<!-- x -->",
    "# folders made: 7",
)
NO_CHARACTERS = "".join(
    chr(code)
    for code in range(0x110000)
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
)
UNWRITABLE = [*"\0\n\r\t\x1b\x7f\x85", "\ud800", "\ufffe", "\U0010ffff"]

letters = st.characters(
    exclude_categories=("Cc", "Cs"), exclude_characters=NO_CHARACTERS
)
signs = st.text(st.sampled_from(SIGNS) | letters, max_size=12)
arguments = st.lists(st.sampled_from(WORDS) | signs, max_size=4)


def names_without(forbidden: str) -> st.SearchStrategy[str]:
    allowed = st.sampled_from([sign for sign in SIGNS if sign not in forbidden + "/"])
    return st.text(
        allowed | letters.filter(lambda letter: letter not in forbidden), max_size=12
    ).map(lambda name: f"王{name}x")


def commands(prefix: str, forbidden: str) -> st.SearchStrategy[list[str]]:
    return st.builds(
        lambda name, rest: [prefix + name, *rest], names_without(forbidden), arguments
    )


# ------------------------------------------------------------- what others would read

C_ESCAPES = dict(zip('abfnrtv\\"' + "'s", '\a\b\f\n\r\t\v\\"' + "' ", strict=True))


def systemd_words(line: str) -> list[str]:
    """Take a command line apart by systemd.syntax(7) and systemd.service(5)."""
    words, rest = [], line.lstrip(" \t")
    while rest:
        quote = rest[0] if rest[0] in "\"'" else ""
        rest, word = rest[len(quote) :], ""
        while rest and (rest[0] != quote if quote else rest[0] not in " \t"):
            if rest[0] == "\\":
                word, rest = word + C_ESCAPES[rest[1]], rest[2:]
            else:
                word, rest = word + rest[0], rest[1:]
        if quote:
            assert rest[:1] == quote, "a quote is not closed"
            assert rest[1:2] in ("", " ", "\t"), "a quote is closed within a word"
            rest = rest[1:]
        else:
            assert word != ";", "here a second command would begin"
        words.append(specifiers_undone(word))
        rest = rest.lstrip(" \t")
    program = words[0].lstrip("@-:+!")
    if ":" not in words[0][: -len(program)]:
        assert not any("$" in word for word in words), "a variable would be put in"
    return [program, *words[1:]]


def specifiers_undone(word: str) -> str:
    """Make one of two percent signs; a single one would be put in for."""
    pieces = word.split("%%")
    assert not any("%" in piece for piece in pieces)
    return "%".join(pieces)


def desktop_words(line: str) -> list[str]:
    """Take Exec= apart by the Desktop Entry Specification: first the value, ..."""
    value, rest = "", line
    while rest:
        if rest[0] == "\\":
            value, rest = value + {"s": " ", "\\": "\\"}[rest[1]], rest[2:]
        else:
            value, rest = value + rest[0], rest[1:]
    words = []
    while value:  # ... then the arguments, here all of them quoted
        assert value[0] == '"'
        value, word = value[1:], ""
        while value[0] != '"':
            assert value[0] not in "`$", "should be escaped within quotes"
            if value[0] == "\\":
                assert value[1] in '"`$\\'
                value = value[1:]
            word, value = word + value[0], value[1:]
        words.append(specifiers_undone(word))
        assert value[1:2] in ("", " ")
        value = value[2:]
    return words


def windows_words(line: str) -> list[str]:
    """Take a command line apart by the rules of CommandLineToArgvW."""
    if line[0] == '"':  # the program: no escapes, up to the next quote
        program, rest = line[1:].split('"', 1)
    else:
        program, _, rest = line.replace("\t", " ").partition(" ")
    words, rest = [program], rest.lstrip(" \t")
    while rest:
        word, quoted = "", False
        while rest and (quoted or rest[0] not in " \t"):
            n_backslashes = len(rest) - len(rest.lstrip("\\"))
            rest = rest[n_backslashes:]
            if rest[:1] != '"':
                word += "\\" * n_backslashes
                if rest and (quoted or rest[0] not in " \t"):
                    word, rest = word + rest[0], rest[1:]
            elif n_backslashes % 2:
                word, rest = word + "\\" * (n_backslashes // 2) + '"', rest[1:]
            else:
                word += "\\" * (n_backslashes // 2)
                if quoted and rest[1:2] == '"':
                    word, rest = word + '"', rest[2:]
                else:
                    quoted, rest = not quoted, rest[1:]
        words.append(word)
        rest = rest.lstrip(" \t")
    return words


def line_after(start: str, text: str) -> str:
    (found,) = [line for line in text.split("\n") if line.startswith(start)]
    return found.removeprefix(start)


# ------------------------------------------------------------------ words come through


@given(commands("/home/", "\"'\\"))
def test_systemd_reads_the_command(command: list[str]) -> None:
    unit = autostart.systemd_unit(command)
    assert systemd_words(line_after("ExecStart=", unit)) == command


@given(commands("/home/", "=%"))
def test_desktops_read_the_command(command: list[str]) -> None:
    entry = autostart.desktop_entry(command)
    assert desktop_words(line_after("Exec=", entry)) == command


@given(commands("/Users/", ""))
def test_macos_reads_the_command(command: list[str]) -> None:
    agent = plistlib.loads(autostart.launch_agent(command))
    assert agent["ProgramArguments"] == command
    assert agent["RunAtLoad"] is True
    assert agent["KeepAlive"] == {"SuccessfulExit": False}


@given(commands("C:\\Users\\", '"'))
def test_windows_reads_the_command(command: list[str]) -> None:
    assert windows_words(autostart.run_value(command)) == command


@pytest.mark.parametrize(
    ("line", "words"),
    [  # the examples of "Parsing C++ command-line arguments" by Microsoft
        (r'p "abc" d e', ["p", "abc", "d", "e"]),
        (r'p a\\b d"e f"g h', ["p", r"a\\b", "de fg", "h"]),
        (r"p a\\\"b c d", ["p", r"a\"b", "c", "d"]),
        (r'p a\\\\"b c" d e', ["p", r"a\\b c", "d", "e"]),
        (r'"C:\a b\p" ""', [r"C:\a b\p", ""]),
    ],
)
def test_the_windows_parser_knows_the_rules(line: str, words: list[str]) -> None:
    assert windows_words(line) == words


def test_a_unit_starts_at_sign_in_and_again_after_a_failure() -> None:
    lines = autostart.systemd_unit(["/bin/true"]).splitlines()
    assert lines[lines.index("[Install]") + 1] == "WantedBy=default.target"
    assert "Restart=on-failure" in lines
    assert "RestartPreventExitStatus=2" in lines


@pytest.mark.parametrize("character", UNWRITABLE)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("build", "program"),
    [
        (autostart.systemd_unit, "/bin/true"),
        (autostart.desktop_entry, "/bin/true"),
        (autostart.launch_agent, "/bin/true"),
        (autostart.run_value, "C:\\true.exe"),
    ],
)
def test_what_no_line_can_hold_is_refused(
    build: Callable[[Sequence[str]], object], program: str, place: int, character: str
) -> None:
    command = [program, "a"]
    command[place] += character
    with pytest.raises(AutostartRefused, match=rf"holds U\+{ord(character):04X}\n"):
        build(command)


@pytest.mark.parametrize(
    ("build", "program", "found"),
    [
        (autostart.systemd_unit, "true", "'true' is not an absolute path"),
        (autostart.systemd_unit, "/o'b", "holds '"),
        (autostart.systemd_unit, "/a\\b", r"holds \\"),
        (autostart.desktop_entry, "true", "not an absolute path"),
        (autostart.desktop_entry, "/a=b", "holds ="),
        (autostart.desktop_entry, "/a%b", "holds %"),
        (autostart.launch_agent, "true", "not an absolute path"),
        (autostart.run_value, "/bin/true", "not an absolute path"),
        (autostart.run_value, 'C:\\a"b', "not an absolute path"),
        (autostart.run_value, "C:\\" + "王" * 258, "261 > 260"),
    ],
)
def test_a_program_that_could_not_be_started_is_refused(
    build: Callable[[Sequence[str]], object], program: str, found: str
) -> None:
    with pytest.raises(AutostartRefused, match=found):
        build([program])


# ----------------------------------------------------------- the systems' own opinions


def dumped_words(text: str) -> list[str]:
    """Take apart what systemd prints: some words quoted, with backslashes."""
    words = []
    while text:
        quoted = text[0] == '"'
        text, word = text[quoted:], ""
        while text and text[0] != ('"' if quoted else " "):
            text = text[quoted and text[0] == "\\" :]
            word, text = word + text[0], text[1:]
        words.append(word)
        text = text[quoted:].removeprefix(" ")
    return words


def drawn(strategy: st.SearchStrategy[list[str]], n: int) -> list[list[str]]:
    """Return n examples, always the same."""
    examples: list[list[str]] = []

    @settings(derandomize=True, database=None, max_examples=n)
    @given(strategy)
    def collect(example: list[str]) -> None:
        examples.append(example)

    collect()
    return examples


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is missing")
def test_systemd_itself_reads_the_command(tmp_path: Path) -> None:
    hard = ["/home/王 $x %h;", *WORDS, "'", '"', "\\", "\\\\", "a\\", "`~*"]
    wanted = [hard, *drawn(commands("/home/", "\"'\\"), 25)]
    units = [tmp_path / f"u{number:02}.service" for number in range(len(wanted))]
    for unit, command in zip(units, wanted, strict=True):
        unit.write_text(autostart.systemd_unit(command), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "SYSTEMD_LOG_LEVEL": "debug",  # makes it print what it understood
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if "Command Line: " not in done.stdout:
        pytest.skip("this systemd-analyze does not print what it understood")
    found = {}
    name = ""
    for line in done.stdout.split("\n"):
        if "-> Unit " in line:
            name = line.partition("-> Unit ")[2].rstrip(":")
        elif "Command Line: " in line:
            found[name] = dumped_words(line.partition("Command Line: ")[2])
    complaints = [
        line
        for line in done.stderr.split("\n")
        if str(tmp_path) in line and ".service:" in line
    ]
    assert complaints == []  # unknown key, unknown escape, unknown specifier
    assert [found[unit.name] for unit in units] == wanted


@pytest.fixture
def recorder(tmp_path: Path) -> tuple[Path, Callable[[], list[str]]]:
    """Give a program in a folder hard to name, and what it was called with."""
    program, record = tmp_path / "王 $x \"'\\`;" / "record", tmp_path / "record.json"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"with open({str(record)!r} + '.new', 'w') as file:\n"
        "    json.dump(sys.argv, file)\n"
        f"os.replace({str(record)!r} + '.new', {str(record)!r})\n"
    )
    program.chmod(0o700)

    def called() -> list[str]:
        for _ in range(200):
            if record.exists():
                words: list[str] = json.loads(record.read_bytes())
                return words
            time.sleep(0.05)
        pytest.fail("the program was not started")

    return program, called


@pytest.mark.skipif(not shutil.which("gio"), reason="gio of GLib is missing")
def test_glib_starts_the_command(
    tmp_path: Path, recorder: tuple[Path, Callable[[], list[str]]]
) -> None:
    program, called = recorder
    command = [str(program), *WORDS, "'", '"', "\\", "\\\\", "a\\", "`~*", "%U"]
    entry = tmp_path / "a.desktop"
    entry.write_text(autostart.desktop_entry(command), "utf-8")
    done = subprocess.run(
        ["gio", "launch", entry], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert called() == command


# --------------------------------------------------------------------- on, show, off


@dataclass
class Memory:
    """A registry in memory."""

    values: dict[tuple[str, str], str | bytes] = field(default_factory=dict)

    def get(self, key: str, name: str) -> str | bytes | None:
        return self.values.get((key, name))

    def set(self, key: str, name: str, value: str) -> None:
        self.values[key, name] = value

    def delete(self, key: str, name: str) -> None:
        self.values.pop((key, name), None)


KINDS = ("systemd", "desktop", "freebsd", "macos", "windows")
COMMAND = ["/opt/王 小明/jiepin-reader", "serve", "--port", "8081"]
WINDOWS_COMMAND = ["C:\\Users\\王 小明\\pythonw.exe", "-m", "a"]


def account_at(home: Path, kind: str) -> Account:
    if kind == "windows":
        return Account("win32", home, {}, registry=Memory())
    if kind == "macos":
        return Account("darwin", home, {})
    platform = "freebsd14" if kind == "freebsd" else "linux"
    return Account(platform, home, {}, systemd=kind == "systemd")


@pytest.fixture(params=["anna", "王小明 的家"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    name: str = request.param
    folder = tmp_path / name
    folder.mkdir()
    return folder


@pytest.fixture(params=KINDS)
def account(request: pytest.FixtureRequest, home: Path) -> Account:
    return account_at(home, request.param)


def command_for(account: Account) -> list[str]:
    return WINDOWS_COMMAND if account.platform == "win32" else COMMAND


def state(account: Account) -> dict[str, object]:
    """Return all that is in a home and its registry."""
    found: dict[str, object] = {}
    for path in sorted(account.home.rglob("*")):
        name = path.relative_to(account.home).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = path.read_bytes() if path.is_file() else "folder"
    if isinstance(account.registry, Memory):
        found["registry"] = dict(account.registry.values)
    return found


def fill(home: Path) -> None:
    """Put there what belongs to the user, some of it with our neighbours' names."""
    for folder in (WANTS, "Library/LaunchAgents", ".config/autostart"):
        (home / folder).mkdir(parents=True)
    (home / UNIT).with_name("other.service").write_text("[Service]\n")
    (home / WANTS / "other.service").symlink_to("../other.service")
    (home / ENTRY).with_name("other.desktop").write_text("[Desktop Entry]\n")
    (home / AGENT).with_name("tw.jiepin.other.plist").write_bytes(b"")


@pytest.mark.parametrize("lived_in", [False, True])
def test_on_twice_and_off_twice(account: Account, lived_in: bool) -> None:
    if lived_in:
        fill(account.home)
    if isinstance(account.registry, Memory):
        account.registry.set(autostart.RUN_KEY, "OneDrive", "x")
    before = state(account)
    assert not autostart.show(account).on
    assert autostart.show(account).content is None

    shown = autostart.on(command_for(account), account)
    assert shown == autostart.show(account)
    assert shown.on
    once = state(account)
    assert autostart.on(command_for(account), account) == shown
    assert state(account) == once
    assert {name: once[name] for name in before if name != "registry"} == {
        name: before[name] for name in before if name != "registry"
    }

    other = [*command_for(account), "--other"]
    changed = autostart.on(other, account)
    assert changed.where == shown.where
    assert changed.content != shown.content
    assert "--other" in (changed.content or "")
    assert list(state(account)) == list(once)

    gone = autostart.off(account)
    assert (gone.on, gone.content, gone.where) == (False, None, shown.where)
    assert gone == autostart.show(account)
    assert state(account) == before
    assert autostart.off(account) == gone
    assert state(account) == before


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("systemd", {UNIT, f"{WANTS}/jiepin-reader.service"}),
        ("desktop", {ENTRY}),
        ("freebsd", {ENTRY}),
        ("macos", {AGENT}),
        ("windows", set()),
    ],
)
def test_where_it_is_written(home: Path, kind: str, files: set[str]) -> None:
    account = account_at(home, kind)
    shown = autostart.on(command_for(account), account)
    written = state(account)
    registry = written.pop("registry", {})
    assert {name for name, what in written.items() if what != "folder"} == files
    if kind == "windows":
        value = '"C:\\Users\\王 小明\\pythonw.exe" -m a'
        assert registry == {(autostart.RUN_KEY, "jiepin-reader"): value}
        assert shown.content == value
        assert shown.where.startswith("HKEY_CURRENT_USER\\Software\\Microsoft\\")
    else:
        path = Path(shown.where)
        assert path.relative_to(home).as_posix() == min(files, key=len)
        assert shown.content == path.read_text("utf-8")
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_link_leads_to_the_unit(home: Path) -> None:
    autostart.on(COMMAND, account_at(home, "systemd"))
    link = home / WANTS / "jiepin-reader.service"
    assert link.is_symlink()
    assert link.samefile(home / UNIT)


@pytest.mark.parametrize("kind", ["systemd", "desktop"])
def test_the_folder_of_settings_may_be_elsewhere(tmp_path: Path, kind: str) -> None:
    elsewhere = tmp_path / "設 定" / "config"
    account = replace(
        account_at(tmp_path / "home", kind),
        environment={"XDG_CONFIG_HOME": str(elsewhere)},
    )
    shown = autostart.on(COMMAND, account)
    assert Path(shown.where).is_relative_to(elsewhere)
    assert not (tmp_path / "home").exists()
    autostart.off(account)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", "config", "./x"])
def test_a_relative_folder_of_settings_does_not_count(value: str) -> None:
    account = Account("linux", Path("/home/anna"), {"XDG_CONFIG_HOME": value})
    assert account.xdg_config == Path("/home/anna/.config")


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        *(("systemd", folder) for folder in (".config", ".config/systemd", WANTS)),
        ("desktop", ".config"),
        ("desktop", ".config/autostart"),
        ("macos", "Library"),
        ("macos", "Library/LaunchAgents"),
    ],
)
def test_empty_folders_of_the_user_stay(home: Path, kind: str, folder: str) -> None:
    account = account_at(home, kind)
    (home / folder).mkdir(parents=True)
    before = state(account)
    autostart.on(COMMAND, account)
    autostart.on([*COMMAND, "again"], account)
    autostart.off(account)
    assert state(account) == before


@pytest.mark.parametrize("name", [UNIT, ENTRY, AGENT])
def test_what_came_later_stays(home: Path, name: str) -> None:
    kinds = {UNIT: "systemd", ENTRY: "desktop", AGENT: "macos"}
    account = account_at(home, kinds[name])
    autostart.on(COMMAND, account)
    other = (home / name).with_name("other")
    other.write_text("mine")
    autostart.off(account)
    left = [path for path in home.rglob("*") if not path.is_dir()]
    assert left == [other]
    assert list(other.parent.iterdir()) == [other]


def test_disabled_by_systemctl(home: Path) -> None:
    account = account_at(home, "systemd")
    autostart.on(COMMAND, account)
    (home / WANTS / "jiepin-reader.service").unlink()  # as `systemctl disable` does
    (home / WANTS).rmdir()
    shown = autostart.show(account)
    assert not shown.on
    assert shown.content == (home / UNIT).read_text("utf-8")
    assert autostart.on(COMMAND, account).on
    autostart.off(account)
    assert list(home.iterdir()) == []


def test_enabled_by_systemctl(home: Path) -> None:
    account = account_at(home, "systemd")
    autostart.on(COMMAND, account)
    link = home / WANTS / "jiepin-reader.service"
    link.unlink()
    link.symlink_to(home / UNIT)  # systemctl writes whole paths
    assert autostart.show(account).on
    assert autostart.on(COMMAND, account).on
    autostart.off(account)
    assert list(home.iterdir()) == []


def test_a_masked_unit_is_off_and_can_be_turned_on(home: Path) -> None:
    account = account_at(home, "systemd")
    autostart.on(COMMAND, account)
    (home / UNIT).unlink()
    (home / UNIT).symlink_to("/dev/null")
    assert not autostart.show(account).on
    assert autostart.on(COMMAND, account).on
    assert not (home / UNIT).is_symlink()
    assert Path("/dev/null").is_char_device()


def test_a_link_alone_is_taken_away(home: Path) -> None:
    account = account_at(home, "systemd")
    autostart.on(COMMAND, account)
    (home / UNIT).unlink()
    assert not autostart.show(account).on
    autostart.off(account)
    assert not [path for path in home.rglob("*") if not path.is_dir()]


def test_a_link_alone_is_used_again(home: Path) -> None:
    account = account_at(home, "systemd")
    autostart.on(COMMAND, account)
    (home / UNIT).unlink()
    assert autostart.on(COMMAND, account).on


@pytest.mark.parametrize(
    "line", ["Hidden=true", "X-GNOME-Autostart-enabled=false", "Hidden = true "]
)
def test_switched_off_in_the_desktop(home: Path, line: str) -> None:
    account = account_at(home, "desktop")
    autostart.on([*COMMAND, "Hidden=true"], account)
    assert autostart.show(account).on
    with (home / ENTRY).open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    assert not autostart.show(account).on
    assert line in (autostart.show(account).content or "")
    assert autostart.on(COMMAND, account).on


@pytest.mark.parametrize("first", ["systemd", "desktop"])
def test_never_both_ways_at_once(home: Path, first: str) -> None:
    second = {"systemd": "desktop", "desktop": "systemd"}[first]
    autostart.on(COMMAND, account_at(home, first))
    assert autostart.show(account_at(home, second)).on  # it is told of all the same
    autostart.on(COMMAND, account_at(home, second))
    assert (home / UNIT).exists() == (second == "systemd")
    assert (home / ENTRY).exists() == (second == "desktop")
    autostart.off(account_at(home, first))
    assert not [path for path in home.rglob("*") if not path.is_dir()]


def test_systemd_is_told_when_something_changed(home: Path) -> None:
    told: list[str] = []
    account = replace(
        account_at(home, "systemd"), reload=lambda: told.append(*os.listdir(home) or "")
    )
    autostart.off(account)
    assert told == []
    autostart.on(COMMAND, account)
    assert told == [".config"]
    (home / "x").touch()
    (home / "x").unlink()
    account = replace(account, reload=lambda: told.append("off"))
    autostart.off(account)
    autostart.off(account)
    assert told == [".config", "off"]


# ---------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("kind", "in_the_way"),
    [
        ("systemd", ".config"),
        ("systemd", ".config/systemd"),
        ("systemd", ".config/systemd/user"),
        ("systemd", WANTS),
        ("desktop", ".config"),
        ("desktop", ".config/autostart"),
        ("macos", "Library"),
        ("macos", "Library/LaunchAgents"),
    ],
)
def test_a_file_in_the_way(home: Path, kind: str, in_the_way: str) -> None:
    account = account_at(home, kind)
    (home / in_the_way).parent.mkdir(parents=True, exist_ok=True)
    (home / in_the_way).write_text("mine")
    before = state(account)
    assert not autostart.show(account).on
    with pytest.raises(AutostartRefused) as caught:
        autostart.on(COMMAND, account)
    zh, _, found, advice_zh, advice_en = str(caught.value).split("\n")
    assert zh == AutostartRefused.zh
    assert found == f"    {home / in_the_way}: {os.strerror(20)}"  # not a directory
    assert advice_zh.strip().startswith("請移開擋在此處的項目")
    assert advice_en.strip().startswith("Move away what is in the way there")
    assert state(account) == before
    autostart.off(account)
    assert state(account) == before


@pytest.mark.parametrize(
    ("kind", "name"), [("systemd", UNIT), ("desktop", ENTRY), ("macos", AGENT)]
)
@pytest.mark.parametrize("call", ["on", "off", "show"])
def test_a_folder_in_place_of_the_file(
    home: Path, kind: str, name: str, call: str
) -> None:
    account = account_at(home, kind)
    (home / name / "mine").mkdir(parents=True)
    before = state(account)
    calls: dict[str, Callable[[], object]] = {
        "on": lambda: autostart.on(COMMAND, account),
        "off": lambda: autostart.off(account),
        "show": lambda: autostart.show(account),
    }
    with pytest.raises(AutostartRefused, match=name.rpartition("/")[2]):
        calls[call]()
    assert state(account) == before


@pytest.mark.parametrize(
    ("was", "kind", "step"),
    [
        *(("off", kind, "mkdir") for kind in ("systemd", "desktop", "macos")),
        *(("off", kind, "replace") for kind in ("systemd", "desktop", "macos")),
        *(("on", kind, "replace") for kind in ("systemd", "desktop", "macos")),
        ("off", "systemd", "symlink_to"),
        *(("disabled", "systemd", step) for step in ("mkdir", "symlink_to", "replace")),
    ],
)
def test_a_full_disk_changes_nothing(
    home: Path, was: str, kind: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = account_at(home, kind)
    if was != "off":
        autostart.on(COMMAND, account)
    if was == "disabled":
        (home / WANTS / "jiepin-reader.service").unlink()
        (home / WANTS).rmdir()
    before, real_step = state(account), getattr(Path, step)

    def full(path: Path, *given: object, **named: object) -> object:
        if step == "mkdir" and path.name in (".config", "systemd", "user", "Library"):
            return real_step(path, *given, **named)  # the last folder is one too many
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(AutostartRefused, match="No space left on device"):
        autostart.on([*COMMAND, "--other"], account)
    assert state(account) == before


def test_a_refused_command_changes_nothing(account: Account) -> None:
    autostart.on(command_for(account), account)
    before = state(account)
    with pytest.raises(AutostartRefused, match=r"holds U\+000A"):
        autostart.on([*command_for(account), "two\nlines"], account)
    assert state(account) == before


def test_no_path_of_a_command_can_pass_for_our_note(home: Path) -> None:
    for kind in ("systemd", "desktop", "macos"):
        account = account_at(home, kind)
        (home / WANTS).mkdir(parents=True, exist_ok=True)
        (home / ENTRY).parent.mkdir(exist_ok=True)
        (home / AGENT).parent.mkdir(parents=True, exist_ok=True)
        before = state(account)
        autostart.on(["/x", "# folders made: 9", "<!-- folders made: 9 -->"], account)
        autostart.off(account)
        assert state(account) == before


# ---------------------------------------------------------------------------- Windows

OFF_IN_TASK_MANAGER = bytes.fromhex("030000002e5d5af1c3e3d901")
ON_IN_TASK_MANAGER = bytes.fromhex("020000000000000000000000")


def test_switched_off_in_the_task_manager(home: Path) -> None:
    registry = Memory()
    account = Account("win32", home, {}, registry=registry)
    shown = autostart.on(WINDOWS_COMMAND, account)
    approved = (autostart.APPROVED_KEY, "jiepin-reader")
    registry.values[approved] = ON_IN_TASK_MANAGER
    assert autostart.show(account) == shown
    registry.values[approved] = b""
    assert autostart.show(account) == shown
    registry.values[approved] = OFF_IN_TASK_MANAGER
    assert autostart.show(account) == replace(shown, on=False)
    assert autostart.on(WINDOWS_COMMAND, account).on
    registry.values[approved] = OFF_IN_TASK_MANAGER
    autostart.off(account)
    assert registry.values == {}


def test_a_registry_closed_by_the_administrator(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(*_: object) -> None:
        raise PermissionError(13, "Access is denied")

    monkeypatch.setattr(Memory, "set", closed)
    account = account_at(home, "windows")
    with pytest.raises(AutostartRefused, match=r"jiepin-reader: Access is denied"):
        autostart.on(WINDOWS_COMMAND, account)
    assert not autostart.show(account).on


@pytest.fixture
def winreg(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, tuple[object, int]]]:
    """Stand in for the module winreg: keys, each with its values and their types."""
    keys: dict[str, dict[str, tuple[object, int]]] = {}

    class Key:
        def __init__(self, name: str) -> None:
            self.values = keys[name]

        def __enter__(self) -> Key:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def open_key(hive: object, name: str, _: int = 0, access: int = 1) -> Key:
        assert (hive, access in (1, 2)) == ("HKCU", True)
        if name not in keys:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        return Key(name)

    def create_key(hive: object, name: str) -> Key:
        assert hive == "HKCU"
        keys.setdefault(name, {})
        return Key(name)

    def query_value(key: Key, name: str) -> tuple[object, int]:
        if name not in key.values:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        return key.values[name]

    def set_value(key: Key, name: str, _: int, kind: int, value: object) -> None:
        key.values[name] = (value, kind)

    def delete_value(key: Key, name: str) -> None:
        query_value(key, name)
        del key.values[name]

    module = types.ModuleType("winreg")
    module.__dict__.update(
        HKEY_CURRENT_USER="HKCU",
        KEY_SET_VALUE=2,
        REG_SZ=1,
        OpenKey=open_key,
        CreateKey=create_key,
        QueryValueEx=query_value,
        SetValueEx=set_value,
        DeleteValue=delete_value,
    )
    monkeypatch.setitem(sys.modules, "winreg", module)
    return keys


def test_the_registry_of_windows(
    winreg: dict[str, dict[str, tuple[object, int]]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Load the module once more, as Windows would, with a stand-in for winreg."""
    assert autostart.__file__ is not None
    spec = importlib.util.spec_from_file_location("autostart_w", autostart.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "autostart_w", module)
    monkeypatch.setenv("HOME", str(tmp_path))
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        spec.loader.exec_module(module)
        account = module.this_account()

    assert account.platform == "win32"
    assert not module.show(account).on
    assert module.on(WINDOWS_COMMAND, account).on
    value = '"C:\\Users\\王 小明\\pythonw.exe" -m a'
    assert winreg == {autostart.RUN_KEY: {"jiepin-reader": (value, 1)}}
    winreg[autostart.APPROVED_KEY] = {"jiepin-reader": (OFF_IN_TASK_MANAGER, 3)}
    assert not module.show(account).on
    assert not module.off(account).on
    assert winreg == {autostart.RUN_KEY: {}, autostart.APPROVED_KEY: {}}
    module.off(account)
    winreg[autostart.RUN_KEY]["jiepin-reader"] = (7, 4)  # a number is not ours
    assert module.show(account).content is None


# ---------------------------------------------------------------------- this computer


def test_this_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "王小明"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "設定"))
    account = autostart.this_account()
    assert account.platform == sys.platform
    assert account.home == tmp_path / "王小明"
    assert account.xdg_config == tmp_path / "設定"
    assert account.systemd == Path("/run/systemd/system").is_dir()


@pytest.mark.parametrize("there", [True, False])
def test_telling_systemd_never_fails(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if there:
        systemctl = tmp_path / "systemctl"
        systemctl.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/told"\nexit 1\n')
        systemctl.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    autostart._daemon_reload()
    told = (tmp_path / "told").read_text() if there else "--user daemon-reload\n"
    assert told == "--user daemon-reload\n"


def touched(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return str(path)


def test_the_script_beside_python_is_started(tmp_path: Path) -> None:
    folder = tmp_path / "王 小明" / "bin"
    python, script = touched(folder / "python3"), touched(folder / "jiepin-reader")
    made = autostart.command_line(["serve"], executable=python, platform="linux")
    assert made == [script, "serve"]


def test_without_a_script_the_module_is_started(tmp_path: Path) -> None:
    python = touched(tmp_path / "bin" / "python3")
    made = autostart.command_line(["serve"], executable=python, platform="darwin")
    assert made == [python, "-P", "-m", "jiepin.reader.cli", "serve"]


def test_a_link_to_python_is_kept(tmp_path: Path) -> None:
    """A virtual environment is found by the place of the link."""
    python, link = touched(tmp_path / "python3.11"), tmp_path / "venv" / "python"
    link.parent.mkdir()
    link.symlink_to(python)
    made = autostart.command_line([], executable=str(link), platform="linux")
    assert made[0] == str(link)


@pytest.mark.parametrize(
    ("files", "started"),
    [
        (("pythonw.exe", "jiepin-reader.exe"), ["pythonw.exe", "-P", "-m"]),
        (("pythonw.exe",), ["pythonw.exe", "-P", "-m"]),
        (("jiepin-reader.exe",), ["jiepin-reader.exe"]),
        ((), ["python.exe", "-P", "-m"]),
    ],
)
def test_windows_starts_without_a_window_if_it_can(
    tmp_path: Path, files: tuple[str, ...], started: list[str]
) -> None:
    folder = tmp_path / "王 小明" / "Scripts"
    for name in ("python.exe", *files):
        touched(folder / name)
    program, *options = autostart.command_line(
        ["serve"], executable=str(folder / "python.exe"), platform="win32"
    )
    module = ["jiepin.reader.cli"] if "-m" in started else []
    assert program == str(folder / started[0])
    assert options == [*started[1:], *module, "serve"]


def test_an_unknown_python_is_refused() -> None:
    with pytest.raises(AutostartRefused, match=r"sys\.executable is empty"):
        autostart.command_line(["serve"], executable="")


def test_the_module_is_not_taken_from_the_home_folder(tmp_path: Path) -> None:
    """A file of the user named like a module must not be imported at sign-in."""
    (tmp_path / "json.py").write_text("raise SystemExit('taken from home')")
    module = autostart.command_line([], executable="/none/python")[1:-1]
    done = subprocess.run(
        [sys.executable, *module, "json.tool"],
        cwd=tmp_path,
        input="[]",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]")
