"""Plots of what was measured, as SVG; the same figures give the same bytes."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Parts = dict[str, dict[str, Any]]
MARKERS = "osD^vP*X<>h"


def draw(parts: Parts, folder: Path) -> None:
    """Write the plots that the parts allow."""
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "jiepin", "svg.fonttype": "none"})
    folder.mkdir(exist_ok=True)
    if "targets" in parts:
        rows = [row for row in parts["targets"]["rows"] if row["name"].startswith("E(")]
        rows += parts.get("largest", {"rows": []})["rows"]
        _save(folder / "growth.svg", growth, rows)
        _save(folder / "threads.svg", threads, rows)
        _save(folder / "stages.svg", stages, rows)
    if "peers" in parts:
        _save(folder / "peers.svg", peers, parts["peers"]["rows"])


def _save(file: Path, plot: Any, rows: list[dict[str, Any]]) -> None:
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    plot(axes, rows)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def growth(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Time against N, with the slope of a line through all points."""
    for n_threads, marker in (("1", "o"), ("2", "s")):
        found = [row for row in rows if n_threads in row["seconds"]]
        n = np.array([row["applicants"] for row in found])
        seconds = np.array([row["seconds"][n_threads] for row in found])
        slope = np.polyfit(np.log(n), np.log(seconds), 1)[0]
        plural = "s" if n_threads != "1" else ""
        label = f"{n_threads} thread{plural}, slope {slope:.2f}"
        axes.loglog(n, seconds, marker=marker, label=label)
    axes.set(title="Exchanges of 2–5 on E(N)", xlabel="applicants", ylabel="seconds")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()


def threads(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """How much faster two threads are."""
    found = [row for row in rows if {"1", "2"} <= row["seconds"].keys()]
    n = [row["applicants"] for row in found]
    gain = [row["seconds"]["1"] / row["seconds"]["2"] for row in found]
    axes.semilogx(n, gain, marker="o")
    axes.axhline(1, color="grey", linewidth=1)
    axes.set(
        title="Two threads against one", xlabel="applicants", ylabel="times as fast"
    )
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, alpha=0.3)


def stages(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Microseconds per applicant, stage by stage, on one thread."""
    found = [row for row in rows if "1" in row["stages"]]
    names = [row["name"] for row in found]
    bottom = np.zeros(len(found))
    for stage in found[0]["stages"]["1"]:
        height = np.array(
            [row["stages"]["1"][stage] / row["applicants"] * 1e6 for row in found]
        )
        axes.bar(names, height, bottom=bottom, label=stage)
        bottom += height
    axes.set(
        title="Where the time goes, one thread", ylabel="microseconds per applicant"
    )
    axes.legend()


def peers(axes: Axes, rows: list[dict[str, Any]]) -> None:
    """Time against N of everything that looks for exchanges."""
    names = dict.fromkeys(row["peer"] for row in rows)
    for marker, peer in zip(cycle(MARKERS), names, strict=False):
        found = [row for row in rows if row["peer"] == peer]
        axes.loglog(
            [row["n"] for row in found],
            [row["seconds"] for row in found],
            marker=marker,
            label=peer,
            linewidth=2.5 if peer == "jiepin" else 1,
            color="black" if peer == "jiepin" else None,
        )
    axes.axhline(120, color="grey", linewidth=1, linestyle="--")
    axes.set(title="Peers on E(N), each its own task", xlabel="applicants")
    axes.set_ylabel("seconds")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
