"""The command `jiepin-reader` as a person uses it, in a home of its own."""

from __future__ import annotations

import signal
import socket
import ssl
from pathlib import Path

import pytest
from reader_process import free_port, run, service

ROOT = Path(__file__).resolve().parents[2]
CARDS = ROOT / "fixtures" / "cards"
HEALTH = CARDS / "health.toml"
DATA = ".local/share/jiepin-reader"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "王 小明"
    home.mkdir()
    return home


def get(url_port: int, authority: Path, request: bytes) -> str:
    """Send a request to localhost and return the whole answer."""
    context = ssl.create_default_context(cafile=authority)
    line = socket.create_connection(("localhost", url_port))
    with context.wrap_socket(line, server_hostname="localhost") as secure:
        secure.sendall(request)
        parts = []
        while part := secure.recv(65536):
            parts.append(part)
    return b"".join(parts).decode()


# once


def test_once_reads_masked(home: Path) -> None:
    done = run(home, "--replay", HEALTH, "--once")
    assert done.returncode == 0
    assert "********5678" in done.stdout
    assert "林○○" in done.stdout
    for part in ("000012345678", "林小明", "A123456789", "3 月"):
        assert part not in done.stdout + done.stderr


def test_once_shows_all_when_asked(home: Path) -> None:
    done = run(home, "--replay", HEALTH, "--once", "--show")
    assert done.returncode == 0
    for part in ("000012345678", "林小明", "A123456789", "民國 74 年 3 月 9 日", "男"):
        assert part in done.stdout


def test_once_asks_to_check_a_doubtful_name(home: Path) -> None:
    done = run(home, "--replay", CARDS / "newer.toml", "--once", "--show")
    assert "陳喆堃（請確認 please check）" in done.stdout


def test_once_tells_why_there_is_no_reading(home: Path) -> None:
    done = run(home, "--replay", CARDS / "citizen.toml", "--once")
    assert done.returncode == 1
    assert "這不是健保卡" in done.stderr
    assert "GET DATA answered 6A86" in done.stderr
    assert not any(home.iterdir())


@pytest.mark.parametrize("encoding", ["cp950", "cp1252"])
def test_a_file_that_knows_fewer_characters_is_no_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    monkeypatch.setenv("PYTHONUTF8", "0")
    assert run(home, "--help", encoding=encoding).returncode == 0
    card = CARDS / "newer.toml"
    done = run(home, "--replay", card, "--once", "--show", encoding=encoding)
    assert (done.returncode, "B220000000" in done.stdout) == (0, True)


# wrong input


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--origin", "tas.example"], "'tas.example'"),
        (["--origin", "https://tas.example/login"], "without a path"),
        (["--origin", "http://tas.example"], "https://host"),
        (["--origin", "https://*.tas.example"], "https://host"),
        (["--origin", "null"], "https://host"),
        (["--origin", "https://tas.example:443"], "https://host"),
        (["--origin", "https://tas.example:99999"], "https://host"),
        (["--port", "443"], "443 is not in the range"),
        (["--server-key", "none.pem"], "none.pem"),
        (["--server-key", str(HEALTH)], "health.toml"),
        (["--replay", str(ROOT / "setup.cfg"), "--once"], "setup.cfg"),
        (["--show"], "--once"),
        (["--port", "0"], "0 is not in the range"),
        (["autostart"], "--on"),
        (["trust", "--show", "--remove"], "Choose one"),
        (
            ["--origin", "https://a.example", "--server-key", "n", "autostart", "--on"],
            "n",
        ),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_input_is_told_and_changes_nothing(
    home: Path, words: list[str], told: str
) -> None:
    done = run(home, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(home.iterdir())


# the service


def test_the_service_tells_that_it_listens_and_answers(home: Path) -> None:
    with service(home, "--replay", HEALTH) as running:
        assert any(
            line.endswith(f"服務正常監聽中：https://localhost:{running.port}")
            for line in running.lines
        )
        request = f"GET / HTTP/1.1\r\nHost: localhost:{running.port}\r\n"
        close = "Connection: close\r\n\r\n"
        answer = get(running.port, running.authority, (request + close).encode())
        assert answer.startswith("HTTP/1.1 200 ")
        assert f"讀卡機程式已就緒，監聽埠：{running.port}" in answer
        assert "\r\nserver:" not in answer
        log = (home / DATA / "log.txt").read_text("utf-8")
        assert f"服務正常監聽中：https://localhost:{running.port}" in log


def test_without_a_site_it_says_so_and_serves_its_page(home: Path) -> None:
    with service(home, "--replay", HEALTH) as running:
        running.wait_for("尚未登記網站")


def test_it_listens_on_this_computer_alone(home: Path) -> None:
    with service(home, "--replay", HEALTH) as running:
        hexadecimal = f":{running.port:04X}"
        tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
        rows = [row.split() for t in tables for row in t.read_text().splitlines()[1:]]
        local = {row[1] for row in rows if row[1].endswith(hexadecimal)}
        loopback = "0100007F", "00000000000000000000000001000000"
        assert local
        assert {address.partition(":")[0] for address in local} <= set(loopback)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told_also_with_a_silent_card(
    home: Path, how: signal.Signals
) -> None:
    with service(home, "--replay", CARDS / "silent.toml") as running:
        assert running.end(how) in (0, -how)
        assert "Traceback" not in "\n".join(running.lines)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_that_is_taken_is_told(home: Path, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_port()
        taken.bind((host, port))
        taken.listen()
        done = run(home, "--port", str(port), "--replay", HEALTH)
    assert done.returncode == 2
    assert f"localhost:{port}: Address already in use" in done.stderr
    assert "--port" in done.stderr


# trust and autostart


def test_trust_and_back(home: Path) -> None:
    assert "尚無憑證" in run(home, "trust", "--show").stdout
    assert not any(path.is_file() for path in home.rglob("*"))
    done = run(home, "trust")
    assert (done.returncode, done.stderr) == (0, "")
    assert "已信任 trusted: Chromium" in done.stdout
    assert "已信任 trusted: Chromium" in run(home, "trust", "--show").stdout
    removed = run(home, "trust", "--remove")
    assert "已刪除 deleted" in removed.stdout
    assert not any(path.is_file() for path in home.rglob("*"))
    assert "沒有需要移除的" in run(home, "trust", "--remove").stdout


def test_autostart_and_back(home: Path) -> None:
    assert run(home, "autostart", "--show").stdout.startswith("關 off")
    options = ("--port", "8181", "--origin", "https://tas.example", "--replay", HEALTH)
    done = run(home, *options, "autostart", "--on")
    assert done.returncode == 0
    for word in ("8181", "https://tas.example", str(HEALTH), "jiepin-reader"):
        assert word in done.stdout
    assert run(home, "autostart", "--show").stdout.startswith("開 on")
    assert run(home, "autostart", "--off").stdout.startswith("關 off")
    assert not any(path.is_file() for path in home.rglob("*"))
