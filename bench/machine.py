"""Where and with what a figure was measured."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("numpy", "numba", "polars")
PEERS = (
    "networkx",
    "igraph",
    "kep_solver",
    "ortools",
    "highspy",
    "matching-algorithms",
)


def machine() -> str:
    """Return one line on the machine."""
    model = "processor unknown"
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        lines = cpus.read_text("utf-8").splitlines()
        models = [line for line in lines if line.startswith("model name")]
        model = models[0].partition(":")[2].strip() if models else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} processors, {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}"
    )


def versions(packages: tuple[str, ...] = PACKAGES) -> str:
    """Return Python's version and those of packages, as far as they are here."""
    found = [f"CPython {platform.python_version()}"]
    for package in packages:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"{package} missing")
    return ", ".join(found)


def reset_peak() -> int:
    """Forget the peak of this process's memory; return what it has now, in bytes.

    Linux only: it knows the peak since a moment of one's choice.
    """
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def peak() -> int:
    """Return the peak of this process's memory since reset_peak, in bytes."""
    return _status("VmHWM")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text("utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")
