"""Starting the service when the user signs in, for this user alone.

No administrator is needed, and nothing outside the user's own settings is touched:

=========  ==================================================================
Linux      `$XDG_CONFIG_HOME/systemd/user/jiepin-reader.service` and its link in
           `default.target.wants`, which is all that `systemctl --user enable` makes;
           without systemd `$XDG_CONFIG_HOME/autostart/jiepin-reader.desktop`
Windows    the value `jiepin-reader` under the Run key of HKEY_CURRENT_USER
macOS      `~/Library/LaunchAgents/tw.jiepin.reader.plist`
=========  ==================================================================

`on`, `off` and `show` say what holds for the next sign-in; they neither start nor stop
the service. A file is replaced whole or not at all. It remembers how many folders had
to be made for it, so that `off` takes away those and no others.

The desktop entry is for Linux without systemd (Devuan, Void, MX), because every desktop
honours it there: GNOME, KDE, Xfce, LXQt, MATE. Never both are on: the second start
would find its port taken.
"""

from __future__ import annotations

import errno
import os
import plistlib
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

from jiepin.reader.errors import AutostartRefused
from jiepin.reader.places import Places

NAME = "jiepin-reader"
LABEL = "tw.jiepin.reader"  # macOS names its agents by domain
MODULE = "jiepin.reader.cli"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"
# where Windows notes what the user switched off in the task manager; undocumented
APPROVED_KEY = r"Software\Microsoft\Windows\CurrentVersion\Explorer\StartupApproved\Run"
LONGEST_RUN_VALUE = 260  # characters; "Run and RunOnce Registry Keys" of Microsoft
BAD_USE = 2  # the exit code of a command that can never work, see `errors`


# ---------------------------------------------------------------- what is asked for


@dataclass(frozen=True, slots=True)
class Autostart:
    """Whether the service starts at sign-in, where that is said, and what stands there.

    `on` is False with a content where the user switched it off by other means.
    """

    on: bool
    where: str
    content: str | None


class Registry(Protocol):
    """Values of HKEY_CURRENT_USER."""

    def get(self, key: str, name: str) -> str | bytes | None: ...

    def set(self, key: str, name: str, value: str) -> None: ...

    def delete(self, key: str, name: str) -> None:
        """Delete a value, if it is there."""
        ...


def _nothing() -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Account(Places):
    """A user of a computer, as far as autostart needs to know.

    `systemd` says that Linux was started by it; `reload` lets a running manager of
    services see new files; Windows has a `registry`.
    """

    systemd: bool = True
    reload: Callable[[], None] = _nothing
    registry: Registry | None = None


def this_account() -> Account:
    """Return the user who runs this program, on this computer."""
    home, environment = Path.home(), dict(os.environ)
    if sys.platform == "win32":
        return Account(sys.platform, home, environment, registry=CurrentUser())
    if Path("/run/systemd/system").is_dir():  # the test of sd_booted(3)
        return Account(sys.platform, home, environment, reload=_daemon_reload)
    return Account(sys.platform, home, environment, systemd=False)


def on(command: Sequence[str], account: Account) -> Autostart:
    """Start `command` at every sign-in, instead of what was started before.

    >>> with tempfile.TemporaryDirectory() as home:
    ...     anna = Account("linux", Path(home), {})
    ...     states = [show(anna).on, on(["/bin/true"], anna).on, off(anna).on]
    >>> states
    [False, True, False]
    """
    used, *others = _ways(account)
    with _refusing(used.where):
        used.on(command)
        for way in others:
            way.off()
    return used.show()


def off(account: Account) -> Autostart:
    """Start nothing at sign-in and leave no trace; nothing happens if it is off."""
    ways = _ways(account)
    for way in ways:
        with _refusing(way.where):
            way.off()
    return ways[0].show()


def show(account: Account) -> Autostart:
    """Return what holds, or where `on` would write if there is nothing yet."""
    found = []
    for way in _ways(account):
        with _refusing(way.where):
            found.append(way.show())
    return max(found, key=lambda state: (state.on, state.content is not None))


def command_line(
    arguments: Sequence[str],
    *,
    executable: str = sys.executable,
    platform: str = sys.platform,
) -> list[str]:
    """Return the command that starts this program again, with `arguments`.

    The script beside this Python, else the module. Windows: the module with pythonw,
    because the script would open a black window that someone closes.

    >>> command_line(["serve"], executable="/opt/none/python3", platform="linux")
    ['/opt/none/python3', '-P', '-m', 'jiepin.reader.cli', 'serve']
    """
    if not executable:
        raise _refused(
            "sys.executable is empty",
            "找不到執行本程式的 Python。請重新安裝後再試一次。",
            "The Python that runs this program is unknown. Install it again.",
        )
    python = Path(executable).absolute()  # not resolved: a link makes the environment
    # -P: started in the home folder, a file there named ssl.py would be imported
    start = ["-P", "-m", MODULE]
    if platform == "win32":
        silent, script = python.with_name("pythonw.exe"), f"{NAME}.exe"
        if silent.is_file():
            return [str(silent), *start, *arguments]
    else:
        script = NAME
    if python.with_name(script).is_file():
        return [str(python.with_name(script)), *arguments]
    return [str(python), *start, *arguments]


# ------------------------------------------------------------------ what is written


def systemd_unit(command: Sequence[str]) -> str:
    """Return a systemd user unit, by systemd.service(5) and systemd.syntax(7).

    The colon before the program switches variables off, so `$` stands for itself even
    in the path of the program, where `$$` would not be undone. A quote or backslash in
    that path is refused here, as systemd itself does ("special characters").

    Trying again ends after five times, and at once for a command that can never work.
    What is locked needs no privilege and no mount namespace: PrivateTmp= and
    ProtectSystem= make a user service fail where unprivileged user namespaces are
    forbidden, as on Ubuntu. Open stay the unix sockets of pcscd and of the session
    bus, the loopback, and the home.

    >>> unit = systemd_unit(["/home/王 小明/bin/jiepin-reader", "100%", 'a"b'])
    >>> [line for line in unit.splitlines() if line.startswith("ExecStart")]
    ['ExecStart=":/home/王 小明/bin/jiepin-reader" "100%%" "a\\\\"b"']
    """
    program, *arguments = _posix(command, forbidden="\"'\\")
    words = [_systemd_word(word) for word in (f":{program}", *arguments)]
    return f"""\
# Written by `{NAME} autostart --on`; `--off` takes it away.
[Unit]
Description=健保卡讀取程式 (jiepin card reader)
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=exec
ExecStart={" ".join(words)}
Restart=on-failure
RestartSec=5
RestartPreventExitStatus={BAD_USE}
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""


def _systemd_word(word: str) -> str:
    escaped = re.sub(r'(["\\])', r"\\\1", word).replace("%", "%%")
    return f'"{escaped}"'


def desktop_entry(command: Sequence[str]) -> str:
    """Return an autostart entry, by the Desktop Entry Specification.

    Exec= is escaped twice, as an argument and then as a value. The path of the program
    may hold no `=` by the specification, and no `%` because GLib (GNOME, Xfce, MATE)
    looks for the file before it makes one `%` of two.

    >>> entry = desktop_entry(["/home/王 小明/bin/jiepin-reader", "100%", "$5"])
    >>> [line for line in entry.splitlines() if line.startswith("Exec")]
    ['Exec="/home/王 小明/bin/jiepin-reader" "100%%" "\\\\\\\\$5"']
    """
    program, *arguments = _posix(command, forbidden="=%")
    words = [_desktop_word(word) for word in (program, *arguments)]
    return f"""\
# Written by `{NAME} autostart --on`; `--off` takes it away.
[Desktop Entry]
Type=Application
Name=jiepin card reader
Name[zh_TW]=健保卡讀取程式
Exec={" ".join(words)}
Terminal=false
NoDisplay=true
"""


def _desktop_word(word: str) -> str:
    argument = re.sub(r'(["`$\\])', r"\\\1", word)
    value = argument.replace("\\", "\\\\").replace("%", "%%")
    return f'"{value}"'


def launch_agent(command: Sequence[str]) -> bytes:
    """Return a LaunchAgent, by launchd.plist(5), started again only after a failure.

    >>> plistlib.loads(launch_agent(["/Users/王小明/bin/jiepin-reader"]))["Label"]
    'tw.jiepin.reader'
    """
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": _posix(command),
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": 60,  # seconds; launchd has no limit of tries
            "Umask": 0o077,
        },
        sort_keys=False,
    )


def run_value(command: Sequence[str]) -> str:
    r"""Return a command line that CommandLineToArgvW takes apart again.

    >>> print(run_value([r"C:\Users\王 小明\Scripts\pythonw.exe", "-m", "a"]))
    "C:\Users\王 小明\Scripts\pythonw.exe" -m a
    """
    program, *arguments = _checked(command)
    if not PureWindowsPath(program).is_absolute() or '"' in program:
        raise _not_a_path(program)
    value = subprocess.list2cmdline([program, *arguments])
    if len(value) > LONGEST_RUN_VALUE:
        raise _refused(
            f"{len(value)} > {LONGEST_RUN_VALUE}: {value}",
            "命令太長，Windows 不會執行。請減少選項，或安裝在較短的路徑。",
            "The command is longer than Windows runs. "
            "Give fewer options, or install in a shorter path.",
        )
    return value


def _posix(command: Sequence[str], forbidden: str = "") -> list[str]:
    """Return the words, if the first is a path that the system takes for a program."""
    program, *_ = words = _checked(command)
    if not PurePosixPath(program).is_absolute():
        raise _not_a_path(program)
    for character in forbidden:
        if character in program:
            raise _refused(
                f"{program!r} holds {character}",
                "程式的路徑不可含此字元。請把本程式安裝在其他資料夾。",
                "The system starts no program by such a path. "
                "Install it in another folder.",
            )
    return words


def _checked(command: Sequence[str]) -> list[str]:
    """Return the words, if each can be written on one line of UTF-8 and of XML.

    >>> _checked(["/bin/true", "two\\nlines"])
    Traceback (most recent call last):
    ...
    jiepin.reader.errors.AutostartRefused: 無法設定自動啟動。
        Starting at sign-in could not be set up. 'two\\nlines' holds U+000A
        命令不可含換行、控制字元或無效字元。請改用其他路徑或選項。
        No line break or other control character can be written. Use another path.
    """
    assert command  # `command_line` gives a program at least
    for word in command:
        for character in word:
            if _unwritable(character):
                raise _refused(
                    f"{word!r} holds U+{ord(character):04X}",
                    "命令不可含換行、控制字元或無效字元。請改用其他路徑或選項。",
                    "No line break or other control character can be written. "
                    "Use another path.",
                )
    return list(command)


def _unwritable(character: str) -> bool:
    """Is it a control character, half of a surrogate pair or no character at all?"""
    code = ord(character)
    no_character = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return no_character or unicodedata.category(character) in ("Cc", "Cs")


# ----------------------------------------------------------------- where it is written


class _Way(Protocol):
    """One place where a system looks for what to start. Raises OSError."""

    @property
    def where(self) -> str: ...

    def on(self, command: Sequence[str]) -> None: ...

    def off(self) -> None: ...

    def show(self) -> Autostart: ...


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is started by being there, or by a link to it being there."""

    path: Path
    build: Callable[[Sequence[str]], bytes]
    link: Path | None = None
    switched_off: re.Pattern[bytes] | None = None
    reload: Callable[[], None] = _nothing

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders that must be there, the deepest first."""
        return tuple((self.link or self.path).parents)

    def on(self, command: Sequence[str]) -> None:
        content = self.build(command)
        missing = list(takewhile(lambda folder: not folder.exists(), self.folders))
        made = max(len(missing), _folders_made(self._read()))
        with ExitStack() as undo:
            for folder in reversed(missing):
                folder.mkdir(mode=0o700)
                undo.callback(folder.rmdir)
            fresh = _write_beside(self.path, _noting(made, content))
            undo.callback(fresh.unlink, missing_ok=True)
            if self.link and not os.path.lexists(self.link):
                self.link.symlink_to(Path("..", self.path.name))
                undo.callback(self.link.unlink)
            fresh.replace(self.path)
            undo.pop_all()
        self.reload()

    def off(self) -> None:
        made = _folders_made(self._read())
        removed = [_unlink(path) for path in (self.link, self.path) if path is not None]
        for folder in self.folders[:made]:
            if not _rmdir(folder):
                break
        if any(removed):
            self.reload()

    def show(self) -> Autostart:
        content = self._read()
        linked = self.link is None or os.path.lexists(self.link)
        stopped = self.switched_off and self.switched_off.search(content or b"")
        text = None if content is None else content.decode("utf-8", "replace")
        # a masked unit is a link to /dev/null: there, and empty
        return Autostart(bool(content) and linked and not stopped, self.where, text)

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _write_beside(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
    except OSError:
        os.unlink(name)
        raise
    return Path(name)


def _unlink(path: Path) -> bool:
    """Remove a file; return whether it was there."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _rmdir(folder: Path) -> bool:
    """Remove a folder unless it holds something or is a link; return if it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


def _noting(made: int, content: bytes) -> bytes:
    """Return the content with the number of folders made, after its first line.

    No word of a command can look like that line: words hold no line break, and `<` is
    escaped in XML.
    """
    first, line_break, rest = content.partition(b"\n")
    note = f"folders made: {made}"
    note = f"<!-- {note} -->" if content.startswith(b"<") else f"# {note}"
    return first + line_break + note.encode() + line_break + rest


def _folders_made(content: bytes | None) -> int:
    """Return the number that `_noting` wrote.

    >>> _folders_made(_noting(2, systemd_unit(["/bin/true"]).encode()))
    2
    >>> _folders_made(_noting(3, launch_agent(["/bin/true", "# folders made: 7"])))
    3
    >>> _folders_made(None)
    0
    """
    note = rb"^(?:#|<!--) folders made: (\d{1,2})(?: -->)?$"
    found = re.search(note, content or b"", re.MULTILINE)
    return int(found[1]) if found else 0


@dataclass(frozen=True, slots=True)
class _RunValue:
    """A value under the Run key."""

    registry: Registry

    @property
    def where(self) -> str:
        return rf"HKEY_CURRENT_USER\{RUN_KEY}\{NAME}"

    def on(self, command: Sequence[str]) -> None:
        value = run_value(command)
        self.registry.delete(APPROVED_KEY, NAME)
        self.registry.set(RUN_KEY, NAME, value)

    def off(self) -> None:
        self.registry.delete(RUN_KEY, NAME)
        self.registry.delete(APPROVED_KEY, NAME)

    def show(self) -> Autostart:
        value = self.registry.get(RUN_KEY, NAME)
        content = value if isinstance(value, str) else None
        approved = self.registry.get(APPROVED_KEY, NAME)
        # seen: 02 or 06 and zeros if on; 03 and the time of the click if off
        stopped = isinstance(approved, bytes) and approved[:1] > b"" and approved[0] % 2
        return Autostart(bool(content) and not stopped, self.where, content)


if sys.platform == "win32":
    import winreg

    class CurrentUser:
        """The registry of the user who runs this program."""

        def get(self, key: str, name: str) -> str | bytes | None:
            try:
                with winreg.OpenKey(winreg.HKEY_CURRENT_USER, key) as opened:
                    value, _ = winreg.QueryValueEx(opened, name)
            except FileNotFoundError:
                return None
            return value if isinstance(value, str | bytes) else None

        def set(self, key: str, name: str, value: str) -> None:
            with winreg.CreateKey(winreg.HKEY_CURRENT_USER, key) as opened:
                winreg.SetValueEx(opened, name, 0, winreg.REG_SZ, value)

        def delete(self, key: str, name: str) -> None:
            with (
                suppress(FileNotFoundError),
                winreg.OpenKey(
                    winreg.HKEY_CURRENT_USER, key, 0, winreg.KEY_SET_VALUE
                ) as opened,
            ):
                winreg.DeleteValue(opened, name)


def _ways(account: Account) -> list[_Way]:
    """Return the places that the system of an account reads; `on` uses the first."""
    if account.platform == "win32":
        assert account.registry is not None
        return [_RunValue(account.registry)]
    if account.platform == "darwin":
        agents = account.home / "Library" / "LaunchAgents"
        return [_File(agents / f"{LABEL}.plist", launch_agent)]
    units = account.xdg_config / "systemd" / "user"
    unit = _File(
        units / f"{NAME}.service",
        lambda command: systemd_unit(command).encode(),
        link=units / "default.target.wants" / f"{NAME}.service",
        reload=account.reload,
    )
    entry = _File(
        account.xdg_config / "autostart" / f"{NAME}.desktop",
        lambda command: desktop_entry(command).encode(),
        switched_off=re.compile(
            rb"^(Hidden *= *true|X-GNOME-Autostart-enabled *= *false) *$", re.MULTILINE
        ),
    )
    if account.platform == "linux" and account.systemd:
        return [unit, entry]
    return [entry, unit]


def _daemon_reload() -> None:
    """Let a running systemd see the files; without one there is nobody to tell."""
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["systemctl", "--user", "daemon-reload"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )


# -------------------------------------------------------------------- what goes wrong


@contextmanager
def _refusing(where: str) -> Iterator[None]:
    """Tell of what the system refuses: where it is, and what is to be done."""
    try:
        yield
    except OSError as error:
        named = error.filename2 or error.filename
        place = where if named is None else _nearest(Path(named))
        raise _refused(
            f"{where}\n    {place}: {error.strerror}",
            "請移開擋在此處的項目，或讓此處可以寫入，然後再試一次。",
            "Move away what is in the way there, or make it writable, then try again.",
        ) from None


def _nearest(path: Path) -> Path:
    """Return the path, or its nearest folder that is there (or a file in its place).

    >>> _nearest(Path("/no/such/folder")).as_posix()
    '/'
    """
    return next(
        (place for place in (path, *path.parents) if os.path.lexists(place)), path
    )


def _not_a_path(program: str) -> AutostartRefused:
    return _refused(
        f"{program!r} is not an absolute path",
        "請以完整路徑指定程式。",
        "Name the program by its absolute path.",
    )


def _refused(found: str, zh: str, en: str) -> AutostartRefused:
    return AutostartRefused(f"{found}\n    {zh}\n    {en}")
