"""What a measurement came to: percentiles by kind of request, and what was lost."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from traffic import Asked, Browser


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all values does not exceed.

    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(-int(-share * len(ordered) // 1) - 1, 0)]


@dataclass(frozen=True)
class Kept:
    """What of the acknowledged saves is in the database."""

    acknowledged: int
    lost: int
    torn: int
    whole: bool

    @property
    def text(self) -> str:
        check = "ok" if self.whole else "BROKEN"
        return (
            f"{self.acknowledged:,} acknowledged saves, {self.lost} lost, "
            f"{self.torn} torn; integrity_check {check}"
        )


def check(folder: Path, browsers: Sequence[Browser]) -> Kept:
    """Compare everything that was acknowledged with the database.

    Lost: a version that was acknowledged and is not kept with that list. Torn: the
    list that is stored is not that of the newest version, or is neither the one
    acknowledged last nor one whose answer never came.
    """
    with closing(sqlite3.connect(folder / "jiepin.db")) as db:
        lost = torn = 0
        for browser in browsers:
            if not (browser.saved or browser.asked):
                continue
            kept, listed = _stored(db, browser.person.application)
            lost += sum(kept.get(v) != wishes for v, wishes in browser.saved.items())
            newest = kept[max(kept)]
            torn += listed != newest or listed not in (browser.held, browser.asked)
        [(answer,)] = db.execute("pragma integrity_check").fetchall()
    acknowledged = sum(len(browser.saved) for browser in browsers)
    return Kept(acknowledged, lost, torn, answer == "ok")


def _stored(
    db: sqlite3.Connection, application: str
) -> tuple[dict[int, tuple[str, ...]], tuple[str, ...]]:
    """Return the lists of all versions that are whole, and the list as it is now."""
    rows = db.execute(
        "select version, content, digest from application_version "
        "where application = ?",
        (application,),
    )
    kept = {
        version: tuple(json.loads(content)["wishes"])
        for version, content, digest in rows
        if hashlib.sha256(content.encode("utf-8")).hexdigest() == digest
    }
    listed = db.execute(
        "select school from wish where application = ? order by place", (application,)
    )
    return kept, tuple(code for (code,) in listed)


@dataclass
class Report:
    """One measurement; every time in seconds."""

    title: str
    seconds: float
    asked: Sequence[Asked]
    late: Sequence[float]
    gap: float
    probed: Mapping[str, int]
    cpu: float  # of the site
    own_cpu: float  # of what asks
    memory: float  # MiB of the site
    kept: Kept | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def slow(self) -> float:
        """The 99th percentile of all requests that were answered."""
        took = [one.seconds for one in self.asked if one.outcome == "ok"]
        return percentile(took, 0.99) if took else float("inf")

    @property
    def refused(self) -> int:
        return sum(one.outcome == "refused" for one in self.asked)

    @property
    def errors(self) -> Counter[str]:
        wrong = (o for o in self.asked if o.outcome not in ("ok", "refused"))
        return Counter(f"{one.kind}: {one.outcome}" for one in wrong)

    def lines(self) -> Iterator[str]:
        """Yield the report as Markdown."""
        yield f"### {self.title}"
        yield ""
        yield "| request | count | p50 ms | p99 ms | longest ms | refused | errors |"
        yield "|---|---:|---:|---:|---:|---:|---:|"
        kinds = Counter(one.kind for one in self.asked)
        for kind, _n in kinds.most_common():
            yield self._line(kind, [one for one in self.asked if one.kind == kind])
        yield self._line("**all**", self.asked)
        yield ""
        n = len(self.asked) + sum(self.probed.values())
        busy = self.cpu / self.seconds
        late = percentile(self.late, 0.99) * 1000
        yield (
            f"- longest gap between two answers to a probe every 20 ms: "
            f"{self.gap * 1000:.0f} ms ({_counts(self.probed)})"
        )
        yield (
            f"- site: {n / self.seconds:.0f} requests/s, {busy:.0%} of a core, "
            f"{self.cpu / max(n, 1) * 1000:.1f} ms of a core per request, "
            f"{self.memory:.0f} MiB; what asks: {self.own_cpu / self.seconds:.0%}, "
            f"99 % of its requests begun within {late:.0f} ms"
        )
        yield f"- errors: {_counts(self.errors) or 'none'}"
        if self.kept:
            yield f"- {self.kept.text}"
        for note in self.notes:
            yield f"- {note}"
        yield ""

    def _line(self, name: str, asked: Sequence[Asked]) -> str:
        took = [one.seconds * 1000 for one in asked if one.outcome == "ok"]
        refused = sum(one.outcome == "refused" for one in asked)
        errors = len(asked) - len(took) - refused
        times = "– | – | –"
        if took:
            times = (
                f"{percentile(took, 0.5):.0f} | {percentile(took, 0.99):.0f} | "
                f"{max(took):.0f}"
            )
        return f"| {name} | {len(asked):,} | {times} | {refused} | {errors} |"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {n:,}" for name, n in sorted(counts.items()))
