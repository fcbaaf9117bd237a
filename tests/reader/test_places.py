"""The folders of the reader, on three platforms, and private files in them."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from jiepin.reader.errors import FolderRefused
from jiepin.reader.places import (
    Places,
    data_folder,
    here,
    make_private,
    write_private,
)

UNIX_HOME = PurePosixPath("/home/林 小明")
WINDOWS_HOME = PureWindowsPath(r"C:\Users\林 小明")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("platform", "home", "environment", "expected"),
    [
        ("linux", UNIX_HOME, {}, "/home/林 小明/.local/share/jiepin-reader"),
        ("linux", UNIX_HOME, {"XDG_DATA_HOME": "/資料"}, "/資料/jiepin-reader"),
        (
            "linux",  # the specification: a relative path does not count
            UNIX_HOME,
            {"XDG_DATA_HOME": "資料"},
            "/home/林 小明/.local/share/jiepin-reader",
        ),
        (
            "linux",
            UNIX_HOME,
            {"XDG_DATA_HOME": ""},
            "/home/林 小明/.local/share/jiepin-reader",
        ),
        (
            "win32",
            WINDOWS_HOME,
            {"LOCALAPPDATA": r"D:\林 小明\Local"},
            r"D:\林 小明\Local\jiepin-reader",
        ),
        (
            "win32",
            WINDOWS_HOME,
            {},
            r"C:\Users\林 小明\AppData\Local\jiepin-reader",
        ),
        (
            "darwin",
            PurePosixPath("/Users/林 小明"),
            {"XDG_DATA_HOME": "/資料"},
            "/Users/林 小明/Library/Application Support/jiepin-reader",
        ),
    ],
)
def test_data_folder(
    platform: str, home: PurePath, environment: dict[str, str], expected: str
) -> None:
    assert str(data_folder(platform, home, environment)) == expected


def test_here_is_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "林小明"))
    places = here()
    assert places.platform == sys.platform
    if sys.platform == "linux":
        assert places.home == tmp_path / "林小明"


def test_xdg_folders(tmp_path: Path) -> None:
    plain = Places("linux", tmp_path, {})
    assert plain.xdg_data == tmp_path / ".local" / "share"
    assert plain.xdg_config == tmp_path / ".config"
    named = {"XDG_DATA_HOME": "/資料", "XDG_CONFIG_HOME": "/設定"}
    moved = Places("linux", tmp_path, named)
    assert (moved.xdg_data, moved.xdg_config) == (Path("/資料"), Path("/設定"))


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_what_is_written_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "健保卡 讀取" / "key.pem"
    before = os.umask(0)
    try:
        write_private(path, b"first")
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert mode(tmp_path) == 0o755  # not ours
    path.chmod(0o644)
    path.parent.chmod(0o755)
    write_private(path, b"second")
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


def test_a_file_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_bytes(b"")
    with pytest.raises(FolderRefused, match="blocked"):
        make_private(tmp_path / "blocked" / "folder")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "key.pem").mkdir()
    with pytest.raises(FolderRefused, match=r"key\.pem"):
        write_private(tmp_path / "key.pem", b"secret")
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]
