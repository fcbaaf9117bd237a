"""bench/README.md from what was measured."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

Parts = dict[str, dict[str, Any]]

HEAD = """\
# 速度 Timing

這一頁由 `make bench` 產生：每個數字都是實測，比值在同一次執行中取得。
`make bench-quick`（三分鐘內）只印在畫面上；
`make bench-compare BASE=版本` 與另一版本成對比較。

Written by `make bench` (`.venv/bin/python bench/report.py`, about 45 minutes); what
was measured lies in `results/`. `make bench-quick` measures small sizes within three
minutes and prints them; `make bench-compare BASE=REV` times two revisions by turns.
"""
TARGETS = """\
## The yardstick

**E(N)**: N applicants, N/3 positions in 22 counties, one subject, twelve wishes each
in two counties, no vacancies, points all different (`markets.py`); exchanges of 2 to
5, warm.
**U**: best of seven single-threaded `np.take(table, wishes)` on the wishes of that
market.
"""
BOUNDS = """\
What bounds the rows that miss: see [What bounds it](#what-bounds-it).
"""
WHY = """\
## What bounds it

- **Growth.** {growth} Tried against it and not kept: homes surveyed in the order of how
  many wish them, to find dead ends early (35 s), inlining by Numba (slower), lists made
  anew more or less often than at three quarters (equal or slower), keeping wishes
  without a branch (4 % slower). Links and marks are read ahead (a fifth faster, kept).
- **E(4,000).** About half of it is the searches (half a microsecond a claim), a third
  making the lists anew, the rest Python around the kernels.
- **Two threads** share the lists and the flags that say who is left. Up to 32,768
  claims a second thread costs more than it brings, and none is used; above, a market
  whose lists fit the cache gains less than one whose searches wait for memory, or one
  that falls into blocks.
- **Reading.** Polars reads Parquet on both processors already. Above that, twelve
  million codes are looked up and held against the tables, also on both; the lists of a
  CSV file must be split first, which alone takes longer than reading the file.
"""


def why(parts: Parts) -> str:
    """Return what bounds the figures, with the growth of the work as counted."""
    work: dict[int, float] = {}
    for row in parts.get("counts", {"rows": []})["rows"]:
        n = row["applicants"]
        work[n] = work.get(n, 0) + row["searched"] * row["links"]
    growth = ""
    if {100_000, 1_000_000} <= work.keys():
        small, large = work[100_000], work[1_000_000]
        growth = (
            "Searches times links, summed over the sizes (table above), are about "
            f"{small / 1e6:,.0f} million on E(100,000) and {large / 1e6:,.0f} million "
            f"on E(1,000,000): {large / small:.0f} times as many. The larger market "
            "has longer ways back before an end is met, so the work itself outgrows "
            "the aim of 13; the time for a link stays about the same."
        )
    text = WHY.format(growth=growth)
    return "\n".join(
        textwrap.fill(line, 86, subsequent_indent="  ", break_on_hyphens=False)
        for line in text.replace("\n  ", " ").split("\n")
    )


def page(parts: Parts, with_plots: bool) -> str:
    """Return the page; parts that were not measured are left out."""
    blocks: list[str] = [HEAD]
    if "targets" in parts:
        blocks += [TARGETS, targets(parts), BOUNDS if with_plots else ""]
        blocks += [pictures("growth", "stages", "threads") if with_plots else ""]
        blocks += ["### Markets\n", markets(parts)]
    if "counts" in parts:
        blocks += ["### Searches\n", COUNTS, counts(parts["counts"]["rows"])]
    if "peers" in parts:
        blocks += ["## Everything else\n", PEERS, peers(parts["peers"]["rows"])]
        blocks += [pictures("peers") if with_plots else ""]
    if "phases" in parts:
        blocks += ["## Phases of `jiepin solve`\n", PHASES]
        blocks += [phases(parts["phases"]["rows"])]
    if "reading" in parts:
        blocks += ["## Reading\n", READING, reading(parts["reading"]["rows"])]
    if "cases" in parts:
        blocks += ["## Cases\n", CASES, cases(parts["cases"]["rows"])]
    if with_plots:
        blocks += [why(parts)]
    blocks += ["## Measured on\n", origins(parts)]
    return "\n".join(block for block in blocks if block)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


ALT = {
    "growth": "Seconds against applicants, one thread and two, with slopes",
    "stages": "Microseconds per applicant, stage by stage, growing with the market",
    "threads": "How much faster two threads are, by applicants",
    "peers": "Seconds against applicants of every peer",
}


def pictures(*names: str) -> str:
    return "\n".join(f"![{ALT[name]}](plots/{name}.svg)" for name in names) + "\n"


def time(seconds: float) -> str:
    """Return seconds with three digits, in the unit that suits."""
    if seconds >= 100:
        return f"{seconds:,.0f} s"
    if seconds >= 1:
        return f"{seconds:.3g} s"
    if seconds >= 0.001:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


def ratio(value: float) -> str:
    return f"{value:.3g} ×" if value < 1000 else f"{value:,.0f} ×"


def by_name(parts: Parts) -> dict[str, dict[str, Any]]:
    rows = parts["targets"]["rows"] + parts.get("largest", {"rows": []})["rows"]
    return {row["name"]: row for row in rows}


def targets(parts: Parts) -> str:
    """Return the table of what was aimed at; rows not measured are left out."""
    found = by_name(parts)
    rows: list[tuple[str, str, str, bool]] = []

    def add(what: str, aim: str, value: str, met: bool) -> None:
        rows.append((what, aim, value, met))

    def in_units(name: str, aim: int) -> None:
        if name in found:
            row = found[name]
            units = row["seconds"]["2"] / row["unit"]
            value = f"{units:.0f} U ({time(row['seconds']['2'])})"
            add(f"{name}, two threads", f"≤ {aim} U", value, units <= aim)

    in_units("E(1,000,000)", 400)
    in_units("20 × E(50,000)", 100)
    if "E(1,000,000)" in found:
        seconds = found["E(1,000,000)"]["seconds"]
        gain = seconds["1"] / seconds["2"]
        add("two threads against one", "≥ 1.7 ×", ratio(gain), gain >= 1.7)
        growth = seconds["1"] / found["E(100,000)"]["seconds"]["1"]
        what = "E(1,000,000) over E(100,000), one thread"
        add(what, "≤ 13 ×", ratio(growth), growth <= 13)
    if "E(4,000)" in found:
        small = found["E(4,000)"]["seconds"]["1"]
        add("E(4,000), one thread", "≤ 5 ms", time(small), small <= 0.005)
    if "E(1,000,000)" in found:
        peak = max(found["E(1,000,000)"]["peak"].values()) / 2**20
        what = "memory above the input, E(1,000,000)"
        add(what, "≤ 1,024 MiB", f"{peak:.0f} MiB", peak <= 1024)
    if "E(10,000,000)" in found:
        row = found["E(10,000,000)"]
        peak = row["process_peak"] / 2**30
        value = f"{time(row['seconds']['2'])}, {peak:.1f} GiB"
        add("E(10,000,000), two threads", "within 16 GiB", value, peak <= 16)
    if "real shape, 5,000" in found:
        real = found["real shape, 5,000"]["seconds"]["1"]
        add("a generated round of 5,000", "≤ 50 ms", time(real), real <= 0.05)
    for row in parts.get("reading", {"rows": []})["rows"]:
        if row["files"] == ".parquet":
            times = (row["check"] + row["encode"]) / row["alone"]
            what = f"{row['teachers']:,} teachers from Parquet, checked, encoded"
            add(what, "≤ 4 × Polars", ratio(times), times <= 4)
    return table(
        ("what", "aim", "measured", ""),
        [(*row[:3], "met" if row[3] else "**missed**") for row in rows],
    )


def markets(parts: Parts) -> str:
    rows = []
    for name, row in by_name(parts).items():
        seconds = row["seconds"]
        one, two = seconds.get("1"), seconds.get("2")
        made = row["exchanges"]
        rows.append(
            (
                name,
                f"{row['wishes']:,}",
                time(row["unit"]),
                time(one) if one else "",
                time(two) if two else "",
                f"{one / row['unit']:.0f}" if one else "",
                f"{two / row['unit']:.0f}" if two else "",
                " + ".join(f"{n:,}" for n in made),
            )
        )
    head = ("market", "wishes", "U", "1 thread", "2 threads", "U", "U")
    return table((*head, "exchanges of 2 + 3 + 4 + 5"), rows)


COUNTS = """\
`.venv/bin/python bench/counts.py`: claims left when a stage begins, searched (found
ahead of their turn as well), found and failed; the rest left unsearched, as members or
because nobody wishes their home. `positions` and `links` are what the way back from a
home touches when the stage begins, the mean of 1,000.
"""


def counts(rows: Sequence[dict[str, Any]]) -> str:
    names = ("claims", "searched", "found", "failed", "made")
    return table(
        ("applicants", "size", *names, "positions", "links"),
        [
            (
                f"{row['applicants']:,}",
                str(row["size"]),
                *(f"{row[name]:,}" for name in names),
                f"{row['positions']:,.0f}",
                f"{row['links']:,.0f}",
            )
            for row in rows
        ],
    )


PEERS = """\
`.venv/bin/python bench/peers.py`: each on larger and larger E(N) until one takes more
than 120 s; the last it finished is shown. Only rows that compute the same can be
compared with each other: the engine makes exchanges by the rules, so does the plain
Python, and their answers are held to be equal; the others list every cycle, or choose
the cycles that move most people, or trade in cycles of any length, and know neither
points nor the order of wishes. `engine` is jiepin on the same market in the same
process, one thread.
matching-algorithms 0.1.0 ends with a KeyError on E(500), not for lack of time. igraph
1.0.0, which is said to miss cycles, counted all of them on these markets.
"""


def peers(rows: Sequence[dict[str, Any]]) -> str:
    last = {row["peer"]: row for row in rows}
    counts = {
        (row["computes"], row["n"]): row["answer"]
        for row in rows
        if row["peer"].startswith("networkx")
    }
    lines = []
    for peer, row in last.items():
        right = counts.get((row["computes"], row["n"]))
        answer = f"{row['answer']:,}"
        if right is not None and right != row["answer"]:
            answer += f" (right: {right:,})"
        speed = row["seconds"] / row["engine"]
        lines.append(
            (
                peer,
                row["computes"],
                f"E({row['n']:,})",
                time(row["seconds"]),
                answer,
                time(row["engine"]),
                "" if peer == "jiepin" else ratio(speed),
            )
        )
    head = (
        "peer",
        "computes",
        "largest",
        "seconds",
        "answer",
        "engine",
        "peer / engine",
    )
    return table(head, lines)


PHASES = """\
`.venv/bin/python bench/phases.py`: generated rounds of all three levels, preset
taiwan-110; `command` is the wall time of the whole command, one run each.
"""


def phases(rows: Sequence[dict[str, Any]]) -> str:
    timed = ("read", "encode", "solve", "write", "command")
    return table(
        ("teachers", "threads", *timed, "peak", "moved"),
        [
            (
                f"{row['teachers']:,}",
                str(row["threads"]),
                *(time(row[phase]) for phase in timed),
                f"{row['peak'] / 2**20:,.0f} MiB",
                f"{row['moved']:,}",
            )
            for row in rows
        ],
    )


READING = """\
`.venv/bin/python bench/reading.py`: twelve choices each; best of three. `alone` is
Polars reading the files, `split` reading and splitting the lists of the CSV file,
`check` is `Round.read`, `all` is check and encode.
"""


def reading(rows: Sequence[dict[str, Any]]) -> str:
    head = ("files", "alone", "split", "check", "encode", "all", "to alone", "to split")
    return table(
        head,
        [
            (
                row["files"],
                *(time(row[name]) for name in ("alone", "split", "check", "encode")),
                time(row["check"] + row["encode"]),
                ratio((row["check"] + row["encode"]) / row["alone"]),
                ratio((row["check"] + row["encode"]) / row["split"]),
            )
            for row in rows
        ],
    )


CASES = """\
`.venv/bin/python -m pytest bench/bench_core.py`: pytest-benchmark; sizes are
applicants, then threads.
"""


def cases(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("group", "case", "fastest", "median", "rounds"),
        [
            (
                row["group"],
                row["case"],
                time(row["min"]),
                time(row["median"]),
                str(row["rounds"]),
            )
            for row in sorted(rows, key=lambda row: str(row["group"]))
        ],
    )


def origins(parts: Parts) -> str:
    """Return one line for each machine and set of versions."""
    names: dict[str, list[str]] = {}
    for name, part in parts.items():
        names.setdefault(f"{part['machine']}; {part['versions']}", []).append(name)
    return "".join(f"- {', '.join(found)}: {where}\n" for where, found in names.items())
