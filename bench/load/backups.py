"""How long a backup takes and how large it is, with many applicants, and the way back.

    .venv/bin/python bench/load/backups.py [--applicants N …]

The site runs meanwhile and is asked fifty times a second: the longest time without an
answer is told. Making, checking and restoring are the commands, their start included.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from population import Country, add, begin
from processes import SERVE, Probe, serving

from jiepin.web import backup
from jiepin.web.vault import Vault

SIZES = (5_000, 200_000)
SEED = 8
COLUMNS = (
    *("applicants", "database MiB", "backup MiB"),
    *("make s", "processor s", "check s", "restore s", "longest gap ms"),
)


def command(*words: object) -> tuple[float, float]:
    """Call `jiepin-web`; returns the seconds it took, by the clock and of processor."""
    begun = time.monotonic()
    process = subprocess.Popen(
        ["nice", sys.executable, "-c", SERVE, *map(str, words)],
        stdout=subprocess.DEVNULL,
    )
    watched, spent = psutil.Process(process.pid), 0.0
    while process.poll() is None:
        try:
            times = watched.cpu_times()
        except psutil.NoSuchProcess:
            break
        spent = times.user + times.system
        time.sleep(0.02)
    if process.wait():
        raise RuntimeError(f"exit code {process.returncode}: {words}")
    return time.monotonic() - begun, spent


def measured(folder: Path, applicants: int) -> tuple[float, ...]:
    """Fill a site, and make, check and restore a backup of it."""
    data, keys, identity = (folder / name for name in ("data", "keys.json", "identity"))
    vault = Vault.new()
    vault.write(keys)
    country = Country(asyncio.run(begin(data, vault)), SEED)
    add(data, vault, country.next(applicants))
    recipient = backup.make_identity(identity)
    options = ("--data", data, "--keys", keys, "--recipient", recipient)
    with serving(data, keys) as server:
        probe = Probe(server.port)
        making = command("backup", "make", *options, "--to", folder / "to")
        seen = probe.end()
    [file] = (folder / "to").iterdir()
    opened = (file, "--identity", identity, "--keys", keys)
    checking, _ = command("backup", "check", *opened)
    where = ("--data", folder / "new", "--mail", "hold")
    restoring, _ = command("restore", *opened, *where)
    sizes = [one.stat().st_size / 2**20 for one in (data / "jiepin.db", file)]
    return (applicants, *sizes, *making, checking, restoring, 1000 * seen.gap)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applicants", type=int, nargs="+", default=SIZES)
    print("  ".join(COLUMNS))
    for applicants in parser.parse_args().applicants:
        with tempfile.TemporaryDirectory(prefix="jiepin-backups-") as folder:
            row = measured(Path(folder), applicants)
        shown = (
            f"{value:>{len(name)},.1f}"
            for name, value in zip(COLUMNS, row, strict=True)
        )
        print("  ".join(shown), flush=True)


if __name__ == "__main__":
    main()
