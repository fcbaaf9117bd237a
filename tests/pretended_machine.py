"""A server of its own below a folder, on which docs/operate.md is followed to the word.

Its `/opt`, `/etc`, `/var` and `/usr/local` lie below the folder. What only root, a
package manager or systemd may do is done by stand-ins: `systemctl` starts what the unit
says with the settings it names, `python3 -m venv` and `pip` lend the present
environment, `nginx` and `curl` are the real ones on ports that are free.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ROOT = Path(__file__).resolve().parents[1]
HOST = "tas.example"
NATIONAL_ID = "A123456789"  # invented; typed when the first account is made
STAND_INS = (
    *("apt-get", "useradd", "chown", "git", "python3", "pip"),
    *("install", "runuser", "systemctl", "nginx", "curl"),
)
_OWN = re.compile(r"(?<![\w.}])/(opt|etc|var|usr/local)/")

STAND_IN = r"""#!/usr/bin/env bash
set -euo pipefail
last=${@: -1}
localise() { # paths and ports of this machine, as its operator would write them
  sed -E -i -e "s#(^|[^A-Za-z0-9_.}])/(opt|etc|var)/#\1$MACHINE/\2/#g" \
    -e "s/127\.0\.0\.1:8000/127.0.0.1:$SITE/; s/_PORT=8000/_PORT=$SITE/" \
    -e "s/_PORT=9115/_PORT=$MONITOR/; s/=mail\.example/=/" \
    -e "s/listen 443/listen 127.0.0.1:$TLS/; s/listen 80/listen 127.0.0.1:$PLAIN/" \
    -e "/listen \[::\]/d" \
    "$1"
}
value() { sed -n "s/^$1=//p" "$MACHINE/etc/systemd/system/jiepin.service"; }
start() {
  (
    for name in ${!JIEPIN_*}; do unset "$name"; done
    set -a; . "$(value EnvironmentFile)"; set +a
    cd "$(value WorkingDirectory)"
    exec $(value ExecStart) >>"$MACHINE/journal" 2>&1 </dev/null
  ) &
  echo $! >"$MACHINE/site.pid"
}
stop() {
  local pid; pid=$(cat "$MACHINE/site.pid")
  kill -TERM "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
case $(basename "$0") in
  apt-get | useradd | chown | pip) ;;
  git) [ "$1" != clone ] || ln -s "$2" "$last" ;;
  runuser) shift 3; exec "$@" ;;
  python3) # -m venv
    mkdir -p "$last/bin"
    ln -s "$LENT/jiepin-web" "$MACHINE/bin/pip" "$last/bin/" ;;
  install)
    words=()
    while [ $# -gt 0 ]; do
      case $1 in -o | -g) shift ;; *) words+=("$1") ;; esac
      shift
    done
    /usr/bin/install "${words[@]}"
    [ -d "$last" ] || localise "$last" ;;
  nginx) exec "$REAL_NGINX" -q -c "$MACHINE/nginx.conf" "$@" ;;
  systemctl)
    case "$*" in
      daemon-reload) ;;
      "enable --now jiepin" | "start jiepin") start ;;
      "stop jiepin") stop ;;
      "reload nginx") nginx >/dev/null 2>&1 ;;
      *) echo "systemctl $*: not known here" >&2; exit 1 ;;
    esac ;;
  curl)
    set -- --cacert "$MACHINE/ca.pem" \
      --connect-to "tas.example:443:127.0.0.1:$TLS" "$@"
    exec "$REAL_CURL" "$@" ;;
esac
"""

NGINX_MAIN = """
{user}
pid {machine}/nginx.pid;
error_log {machine}/nginx-error.log;
events {{}}
http {{
    {temp}
    include {machine}/etc/nginx/conf.d/*.conf;
}}
"""


class Machine:
    """The pretended server; `run` follows a block of commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[bytes]] = []
        self.site, self.monitor, self.tls, self.plain = free_ports(4)
        for name in ("bin", "etc/systemd/system", "etc/nginx/conf.d", "usr/local/bin"):
            (folder / name).mkdir(parents=True)
        for name in ("var/lib", "var/log/nginx", "var/backups"):
            (folder / name).mkdir(parents=True)
        stand_in = folder / "stand-in"
        stand_in.write_text(STAND_IN, "utf-8")
        stand_in.chmod(0o755)
        for name in STAND_INS:
            (folder / "bin" / name).symlink_to(stand_in)
        parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temp = "\n    ".join(f"{part}_temp_path {folder}/tmp-{part};" for part in parts)
        user = "user root root;" if os.geteuid() == 0 else ""
        main = NGINX_MAIN.format(machine=folder, temp=temp, user=user)
        (folder / "nginx.conf").write_text(main, "utf-8")
        self.environment = {
            **{name: v for name, v in os.environ.items() if "JIEPIN" not in name},
            "PATH": f"{folder}/bin:{folder}/usr/local/bin:{os.environ['PATH']}",
            "MACHINE": str(folder),
            "LENT": str(Path(sys.executable).parent),
            "REAL_NGINX": shutil.which("nginx") or "/usr/sbin/nginx",
            "REAL_CURL": shutil.which("curl") or "",
            "JIEPIN_SOURCE": str(ROOT),
            "SITE": str(self.site),
            "MONITOR": str(self.monitor),
            "TLS": str(self.tls),
            "PLAIN": str(self.plain),
        }

    def path(self, name: str) -> Path:
        """Return where a file of the server lies: `/etc/jiepin/keys.json`."""
        return self.folder / name.lstrip("/")

    def run(self, block: str) -> str:
        """Run a block of commands as it stands in the document; return what it said."""
        own = _OWN.sub(rf"{self.folder}/\1/", block)
        own = own.replace("127.0.0.1:9115", f"127.0.0.1:{self.monitor}")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", own],
            env=self.environment,
            cwd=self.folder,
            input=NATIONAL_ID + "\n",
            text=True,
            capture_output=True,
            start_new_session=True,  # without a terminal, what is asked for is read
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def log(self) -> str:
        """What the site has logged."""
        journal = self.folder / "journal"
        return journal.read_text("utf-8") if journal.exists() else ""

    def certify(self) -> None:
        """Put certificate and key where the document says."""
        place = self.path("/etc/jiepin/tls")
        authority, identity = certificates(HOST)
        (self.folder / "ca.pem").write_bytes(authority)
        for name, content in zip(("fullchain", "privkey"), identity, strict=True):
            (place / f"{name}.pem").write_bytes(content)

    def start_caddy(self) -> int:
        """Start Caddy as the example says, beside nginx; return its port."""
        port, plain = free_ports(2)
        place = self.path("/etc/jiepin/tls")
        text = (ROOT / "deploy" / "Caddyfile").read_text("utf-8")
        ports = f"{{\n\thttp_port {plain}\n\thttps_port {port}\n"
        text = text.replace("{\n", ports, 1).replace(":8000", f":{self.site}")
        files = f"tls {place}/fullchain.pem {place}/privkey.pem"
        text = text.replace(f"\n{HOST} {{\n", f"\n{HOST} {{\n\t{files}\n")
        (self.folder / "Caddyfile").write_text(text, "utf-8")
        with (self.folder / "var/log/caddy.log").open("wb") as log:
            caddy = subprocess.Popen(
                ["caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"],
                cwd=self.folder,
                env={**self.environment, "HOME": str(self.folder)},
                stdout=log,
                stderr=log,
            )
        self._started.append(caddy)
        while not listens(port) and caddy.poll() is None:
            time.sleep(0.05)
        return port

    def end(self) -> None:
        for process in self._started:
            process.terminate()
            process.wait()
        for name in ("nginx.pid", "site.pid"):
            with suppress(FileNotFoundError, ProcessLookupError, ValueError):
                os.kill(int((self.folder / name).read_text()), signal.SIGTERM)


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Lend a machine; what was started on it is ended."""
    made = Machine(folder)
    try:
        yield made
    finally:
        made.end()


def free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


def listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def certificates(host: str) -> tuple[bytes, tuple[bytes, bytes]]:
    """Return an authority of its own, and a certificate with key that it has signed."""
    signer, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "practice authority")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    names = x509.SubjectAlternativeName([x509.DNSName(host)])
    authority = _certificate(
        issuer, issuer, signer, signer, x509.BasicConstraints(True, None)
    )
    own = _certificate(subject, issuer, key, signer, names)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return authority, (own, secret)


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> bytes:
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=True)
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
