"""docs/operate.md followed to the word behind real proxies; what it tells is so."""

from __future__ import annotations

import http.client
import inspect
import json
import re
import shutil
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pretended_machine import HOST, ROOT, Machine, machine

from jiepin.web import monitor, settings
from jiepin.web.app import create_app
from jiepin.web.figures import REFUSALS
from jiepin.web.monitor import Monitor
from jiepin.web.rendering import STATIC
from jiepin.web.settings import Settings
from jiepin.web.vault import Vault

PAGE = (ROOT / "docs" / "operate.md").read_text("utf-8")
DEPLOY = ROOT / "deploy"
BASH = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = "127.0.0.2"  # from where the visitor comes: another address of loopback
CLAIMED = "203.0.113.7"  # what he says his address is
LINK = "a-one-time-link"
READY = "curl -fsS --retry 20 --retry-all-errors --retry-delay 1 {}/ready\n"
AGAIN = "systemctl start jiepin\n" + READY.format("http://127.0.0.1:9115")


def needs(*programs: str) -> None:
    missing = [name for name in programs if not _found(name)]
    if missing:
        pytest.skip(f"not installed here: {', '.join(missing)}")


def _found(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which all of the document was done, with nginx."""
    needs("bash", "curl", "nginx")
    with machine(tmp_path_factory.mktemp("machine")) as made:
        for block in BASH.findall(PAGE):
            if "/etc/nginx" in block:
                made.certify()
            made.run(block)
        yield made


class Visitor:
    """Asks the site through the proxy, from another address than the proxy's."""

    def __init__(self, made: Machine, proxy: str, port: int) -> None:
        self.proxy = proxy
        self._port = port
        self._context = ssl.create_default_context(cafile=made.folder / "ca.pem")

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        host: str = HOST,
        name: str = HOST,
        **headers: str,
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Return status, headers and text; `name` is what TLS is asked for."""
        place = ("127.0.0.1", self._port)
        plain = socket.create_connection(place, 20, (ELSEWHERE, 0))
        with closing(self._context.wrap_socket(plain, server_hostname=name)) as secure:
            asked = http.client.HTTPConnection(HOST)
            asked.sock = secure
            sent = {k.replace("_", "-"): v for k, v in headers.items()}
            asked.request(method, path, body, {"host": host, **sent})
            answer = asked.getresponse()
            return answer.status, answer.headers, answer.read().decode()


@pytest.fixture(scope="module", params=["nginx", "caddy"])
def visitor(request: pytest.FixtureRequest, installed: Machine) -> Visitor:
    if request.param == "nginx":
        return Visitor(installed, "nginx", installed.tls)
    needs("caddy")
    return Visitor(installed, "caddy", installed.start_caddy())


def test_every_step_of_the_document(installed: Machine) -> None:
    assert len(BASH.findall(PAGE)) >= 8
    data = installed.path("/var/lib/jiepin")
    assert (data / "jiepin.db").is_file()
    assert installed.path("/etc/jiepin/jiepin.env").stat().st_mode & 0o777 == 0o600
    assert installed.path("/etc/jiepin/keys.json").stat().st_mode & 0o777 == 0o600
    assert installed.path("/opt/jiepin/current").readlink() == Path("0.1.0")
    with closing(sqlite3.connect(data / "jiepin.db")) as db:
        [[name]] = db.execute("select name from staff").fetchall()
    assert name == "承辦主管"


def test_log_is_one_json_object_a_line(installed: Machine) -> None:
    lines = [json.loads(line) for line in installed.log().splitlines()]
    starts = [line for line in lines if line["message"] == "the site has started"]
    assert len(starts) >= 3  # first, upgraded, gone back
    assert {"time", "level", "logger", "message"} == set(starts[0])


def test_the_site_answers_by_its_name_over_tls(visitor: Visitor) -> None:
    status, headers, text = visitor.ask("/teacher/")
    assert status == 200
    assert "介聘" in text
    assert headers["strict-transport-security"].startswith("max-age=31536000;")
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "uvicorn" not in str(headers)
    assert "1." not in headers.get("server", "")  # no version is told


def test_static_files_may_be_kept(visitor: Visitor) -> None:
    status, headers, _ = visitor.ask(f"{STATIC}/site.css")
    assert (status, headers["cache-control"]) == (
        200,
        "public, max-age=31536000, immutable",
    )


def test_another_name_gets_no_answer(visitor: Visitor) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized|alert"):
        visitor.ask("/teacher/", name="other.example", host="other.example")
    status, _, text = visitor.ask("/teacher/", host="other.example")
    assert status == 421 or not text


def test_plain_http_leads_to_https(installed: Machine) -> None:
    asked = http.client.HTTPConnection("127.0.0.1", installed.plain)
    asked.request("GET", "/teacher/?q=1", headers={"host": "evil.example"})
    answer = asked.getresponse()
    assert answer.status == 301
    assert answer.headers["location"] == "https://tas.example/teacher/?q=1"
    asked.close()


def test_a_claimed_address_counts_for_nothing(
    installed: Machine, visitor: Visitor
) -> None:
    status, headers, _ = visitor.ask(
        "/teacher/challenge",
        "POST",
        sec_fetch_site="same-origin",
        x_forwarded_for=CLAIMED,
        forwarded=f"for={CLAIMED}",
        x_real_ip=CLAIMED,
    )
    assert status == 200
    assert headers["set-cookie"].startswith("__Host-sid=")
    database = installed.path("/var/lib/jiepin/jiepin.db")
    with closing(sqlite3.connect(database)) as db:
        keys = {key for (key,) in db.execute("select key from throttle")}
    assert keys == {f"challenge:{ELSEWHERE}"}


@pytest.mark.parametrize(("size", "page"), [(2_500_000, True), (3_500_000, False)])
def test_bodies_are_limited(visitor: Visitor, size: int, page: bool) -> None:
    status, _, text = visitor.ask(
        "/teacher/sign-in", "POST", bytes(size), sec_fetch_site="same-origin"
    )
    assert status == 413
    assert ("送出的內容太大" in text) == (page or visitor.proxy == "caddy")


@pytest.mark.parametrize("path", ["/metrics", "/health", "/ready"])
def test_the_monitor_is_not_on_the_public_name(visitor: Visitor, path: str) -> None:
    status, _, text = visitor.ask(path)
    assert status == 404
    assert "jiepin_" not in text


def test_the_monitor_listens_here_alone(installed: Machine) -> None:
    with closing(socket.create_connection(("127.0.0.1", installed.monitor), 5)):
        pass
    for port in (installed.monitor, installed.site):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ELSEWHERE, port), 5)


def test_logs_hold_no_links_also_while_the_site_is_down(
    installed: Machine, visitor: Visitor
) -> None:
    path = f"/teacher/reset/{LINK}?again={LINK}"
    assert visitor.ask(path, referer=f"https://{HOST}{path}")[0] == 200
    installed.run("systemctl stop jiepin")
    status, headers, text = visitor.ask(path, referer=f"https://{HOST}{path}")
    installed.run(AGAIN)
    assert (status, headers["retry-after"]) == (503, "60")
    assert "系統維護中" in text
    assert "The site is being maintained" in text
    others = (installed.folder / "journal", installed.folder / "nginx-error.log")
    logged = [
        file.read_text("utf-8")
        for file in (*installed.path("/var/log").rglob("*.log"), *others)
    ]
    assert len(logged) >= 3
    assert visitor.proxy != "nginx" or any('"status":503' in text for text in logged)
    assert not any(LINK in text for text in logged)


# the examples


def test_unit_is_sound_and_closed(installed: Machine) -> None:
    needs("systemd-analyze")
    unit = installed.path("/etc/systemd/system/jiepin.service")
    sound = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (sound.returncode, sound.stderr) == (0, "")
    closed = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert closed.returncode == 0, closed.stdout


def test_rules_are_such_as_prometheus_reads() -> None:
    needs("promtool")
    for kind, name in (("rules", "jiepin.rules.yml"), ("config", "prometheus.yml")):
        done = subprocess.run(
            ["promtool", "check", kind, DEPLOY / name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def figures_there_are() -> set[str]:
    site = create_app(Settings(Path(), "https://tas.example", Path()), Vault.new())
    watching = Monitor(site)
    families = watching._figures.registry.collect()
    own = [family for family in families if family.name.startswith("jiepin")]
    ends = {"counter": "_total", "info": "_info"}
    return {family.name + ends.get(family.type, "") for family in own}


def test_figures_of_the_document_are_those_there_are() -> None:
    told = set(re.findall(r"`(jiepin_\w+)(?:\{[^}]*\})?`", section("監看 Monitoring")))
    info = {"jiepin_info"}
    assert told - info == figures_there_are() - info


def test_rules_ask_for_figures_there_are() -> None:
    rules = (DEPLOY / "jiepin.rules.yml").read_text("utf-8")
    asked = {
        re.sub("_(bucket|count)$", "", name)
        for name in re.findall(r"\bjiepin_\w+", rules)
    }
    assert asked <= figures_there_are()
    assert "jiepin_wal_bytes > 64 * 1024 * 1024" in rules


def test_every_warning_is_explained() -> None:
    rules = (DEPLOY / "jiepin.rules.yml").read_text("utf-8")
    warnings = re.findall(r"alert: (\w+)", rules)
    assert re.findall(r"^\| (Jiepin\w+) \|", PAGE, re.MULTILINE) == warnings


def test_every_reason_not_to_be_ready_is_explained() -> None:
    documented = inspect.getdoc(monitor.obstacles) or ""
    known = re.findall(r"^(\w+)  +\w", documented, re.MULTILINE)
    table = section("監看 Monitoring").split("| not ready |")[1].split("\n\n")[0]
    told = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert told == ["starting", *known]
    for why in REFUSALS:
        assert f"`{why}`" in PAGE


def test_every_setting_is_explained() -> None:
    source = Path(settings.__file__).read_text("utf-8")
    read = set(re.findall(r'reader\.get\(\s*"(\w+)"', source))
    told = re.findall(r"^\| `JIEPIN_(\w+)` \|", section("設定 Settings"), re.MULTILINE)
    assert sorted(told) == sorted(read)
    example = (DEPLOY / "jiepin.env").read_text("utf-8")
    assert set(re.findall(r"^#?JIEPIN_(\w+)=", example, re.MULTILINE)) <= read


def test_the_example_settings_can_be_used() -> None:
    lines = (DEPLOY / "jiepin.env").read_text("utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    read = Settings.read(dict(pairs))
    assert read.monitor_port == 9115
    assert read.proxies == "127.0.0.1"


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
