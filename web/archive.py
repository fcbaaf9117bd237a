"""What is kept of a round when its personal data goes: one zip file, for research.

It holds the round, its rules and its manifest as they were frozen, the published result
and its report, the result after dropouts, the audit and a summary; people go by number
alone, and nothing tells any more whose number it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jiepin.web import after_run
from jiepin.web.site import Site
from jiepin.web.store import archive, audit, dropouts, results, round_folder
from jiepin.web.store.dropouts import Dropout
from jiepin.web.store.results import Publication

README: Final = """本檔案為一次介聘作業去除個人資料後的存檔，供研究使用。
round/ 凍結的作業資料、規則與清單；result/ 公告的結果；report/ 統計；
after-dropouts/ 扣除放棄與未報到後的結果；audit.jsonl 異動紀錄；summary.json 摘要。
教師僅有電腦編號；編號與個人的對照已刪除。以 jiepin solve 重算，結果逐位元相同。

A transfer round without personal data, kept for research. round/ as it was frozen, with
rules and manifest; result/ as it was published; report/ figures; after-dropouts/ the
result without those who dropped out; audit.jsonl; summary.json. Teachers go by number
alone; who was behind a number has been deleted. `jiepin solve` gives the same result.
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into the file."""

    summary: dict[str, Any]
    publication: Publication | None
    dropped: Sequence[Dropout]
    audit: Sequence[str]


def path_of(site: Site, year: int) -> Path:
    """Return where the archive of a year lies."""
    return site.settings.data / file_of(year)


def file_of(year: int) -> str:
    """Return where that is below the data folder."""
    return f"rounds/{year}/archive-{year}.zip"


async def write(site: Site, year: int) -> str:
    """Write the archive of a year, whole or not at all; returns its SHA-256."""
    contents = await _read(site, year)
    return await asyncio.to_thread(_write, site, path_of(site, year), contents)


async def _read(site: Site, year: int) -> Contents:
    now = site.clock.now()
    async with site.database.reading() as db:
        publication = await results.published(db, year, now)
        found = await archive.year(db, year)
        assert found is not None  # who asks has seen it
        summary = {
            "year": year,
            "organiser": found.organiser,
            "archived": now.isoformat(),
            "published": publication.publish_at.isoformat() if publication else None,
            **await archive.counts(db, year),
        }
        dropped = [one for one in await dropouts.of_year(db, year) if one.counts]
        lines = [line async for line in audit.export_lines(db)]
    return Contents(summary, publication, dropped, lines)


def _write(site: Site, target: Path, contents: Contents) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as beside:
        folder = Path(beside) / target.stem
        folder.mkdir()
        _fill(site.settings.data, folder, contents)
        content = round_folder.zipped(folder)
        file = Path(beside) / target.name
        file.write_bytes(content)
        round_folder.settle(file)
        os.replace(file, target)
    round_folder.settle(target.parent)
    return hashlib.sha256(content).hexdigest()


def _fill(data: Path, folder: Path, contents: Contents) -> None:
    """Lay out what is to be kept; without a publication there is no round in it."""
    (folder / "README.txt").write_text(README, "utf-8")
    (folder / "audit.jsonl").write_text("".join(contents.audit), "utf-8")
    text = json.dumps(contents.summary, ensure_ascii=False, indent=1)
    (folder / "summary.json").write_text(text + "\n", "utf-8")
    run = contents.publication
    if run is None:
        return
    shutil.copytree(data / run.round_folder, folder / "round")
    shutil.copytree(data / run.run_folder, folder / "result")
    report = data / f"{run.run_folder}-report"
    if report.is_dir():
        shutil.copytree(report, folder / "report")
    dropped = {one.number: one.opened for one in contents.dropped}
    after = after_run.Decided.read(data, run).without(dropped)
    after.write(folder / "after-dropouts")
