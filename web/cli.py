"""The command `jiepin-web`: serve a site or a practice site, look after keys, audit."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import click
import uvicorn

from jiepin.web import audit_check, demo, language, national_id
from jiepin.web.app import create_app
from jiepin.web.clock import SystemClock, moment_text
from jiepin.web.rotation import seal_again
from jiepin.web.settings import BadSettings, Settings
from jiepin.web.site import Site
from jiepin.web.staff.accounts import Handover, add_host_head
from jiepin.web.store.audit import NotAnExport
from jiepin.web.store.database import Database, DatabaseInUse, NewerDatabase
from jiepin.web.vault import BadKeys, NotSealedHere, Vault

BROKEN, WRONG_INPUT = 1, 2
CHINESE: dict[type[Exception], str] = {
    BadSettings: "設定無法使用，沒有啟動任何東西。",
    BadKeys: "金鑰檔無法使用。",
    DatabaseInUse: "另一個程式正在使用這個資料庫，請先結束它。",
    NewerDatabase: "這個資料庫由較新的版本建立，請安裝該版本。",
    NotSealedHere: "金鑰檔不屬於這個資料庫，資料沒有變更。",
    demo.NotAPracticeFolder: "資料夾裡有其他內容，請用 --data 選一個空資料夾。",
    NotAnExport: "檔案不是異動紀錄的匯出檔。",
    UnicodeDecodeError: "檔案不是異動紀錄的匯出檔。",
    OSError: "檔案、資料夾或監聽埠無法使用。",
}


@contextmanager
def telling() -> Iterator[None]:
    """Tell what was wrong with what was given, and end with exit code 2."""
    try:
        yield
    except tuple(CHINESE) as problem:
        kind = next(kind for kind in CHINESE if isinstance(problem, kind))
        _refuse(CHINESE[kind], _english(problem))


def _english(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.filename:
        return f"{problem.filename}: {problem.strerror}"
    return str(problem)


@click.group()
@click.version_option(package_name="jiepin")
def main() -> None:
    """The site of teacher transfer rounds (教師介聘)."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database.")
@telling()
def serve(data: Path | None) -> None:
    """Serve the site; everything else is set by JIEPIN_… variables.

    The first start creates the database and the key file.
    """
    environment = dict(os.environ)
    if data is not None:
        environment["JIEPIN_DATA"] = str(data)
    settings = Settings.read(environment)
    if (settings.data / demo.MARKER).exists():
        _refuse(
            "這個資料夾屬於練習站，請選另一個資料夾。",
            f"{settings.data}: holds a practice site; choose another folder",
        )
    _run(settings)


@main.command("demo")
@click.option("--data", type=click.Path(path_type=Path), default=Path("demo/site"))
@click.option("--port", type=click.IntRange(1, 65535), default=8000)
@telling()
def demo_(data: Path, port: int) -> None:
    """Serve a practice site on this computer, with practice cards."""
    environment = {
        "JIEPIN_DATA": str(data),
        "JIEPIN_ORIGIN": f"http://127.0.0.1:{port}",
        "JIEPIN_PORT": str(port),
    }
    settings = Settings.read(environment, practice=True)
    demo.check_folder(data)
    _run(
        settings,
        f"練習站 practice site: {settings.origin}/\n"
        "教師 teachers /teacher/，縣市 counties /city/，承辦縣市 host /host/\n"
        "選一張練習卡登入，Ctrl+C 結束 — choose a practice card; Ctrl+C ends it",
    )


@main.group()
def keys() -> None:
    """Make, show and rotate the keys of a site."""


_KEYS_ARGUMENT = click.argument("file", type=click.Path(path_type=Path))


@keys.command()
@_KEYS_ARGUMENT
@telling()
def create(file: Path) -> None:
    """Make a key file; never over one that is there."""
    if file.exists():
        _refuse(
            "檔案已存在；換掉它，先前封存的資料就再也打不開。",
            f"{file}: is there already; what it sealed would never open again",
        )
    Vault.new().write(file)
    click.echo(f"{file}: made; keep a copy where the database is not")


@keys.command()
@_KEYS_ARGUMENT
@telling()
def show(file: Path) -> None:
    """Show the public key that the reader services must know, as a file for them."""
    click.echo(Vault.read(file).site_keys.public_pem(), nl=False)


@keys.command()
@_KEYS_ARGUMENT
@click.option("--data", type=click.Path(path_type=Path), required=True)
@telling()
def rotate(file: Path, data: Path) -> None:
    """Seal everything with a fresh key; the site must not be running.

    The earlier key file stays beside it: older backups open with that one alone.
    """
    earlier = Vault.read(file)
    database = _database_in(data)
    rotated = earlier.rotated()
    rotated.write(file)  # opens old and new, so that a crash half-way loses nothing
    try:
        count = asyncio.run(_seal_again(database, rotated))
    except NotSealedHere:
        earlier.write(file)  # nothing is sealed with the fresh key
        raise
    kept = _free_name(file)
    earlier.write(kept)
    rotated.only_newest().write(file)
    click.echo(f"{count} values sealed with a fresh key")
    click.echo(
        f"較早的備份仍需先前的金鑰：{kept}\n"
        f"    older backups still need {kept}; remove it together with them"
    )


@main.group("staff")
def staff_() -> None:
    """Accounts of the staff; all but the host's first are made on the pages."""


@staff_.command("add-host")
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.option("--keys", "file", type=click.Path(path_type=Path), help="The key file.")
@click.option("--name", required=True, help="Name of the host's head (主管姓名).")
@telling()
def add_host(data: Path, file: Path | None, name: str) -> None:
    """Make a head of the host, or let one in again; the site must not be running.

    Asks for the national ID, and shows the code for the first sign-in once.
    """
    database = _database_in(data)
    vault = Vault.read(file or data / "keys.json")
    typed = click.prompt("身分證統一編號 national ID", hide_input=True)
    id_ = national_id.clean(typed)
    if not national_id.is_right(id_):
        _refuse(
            "身分證字號的格式或檢查碼不符，沒有建立帳號。",
            "shape or check digit of the ID is wrong; no account was made",
        )
    made = asyncio.run(_add_host(database, vault, name, id_))
    until = moment_text(made.until, language.CHINESE)
    click.echo(
        f"登記碼（只顯示這一次）：{made.code}，有效至 {until}\n"
        "    code for the first sign-in at /host/enrol, shown once; valid for 7 days"
    )


async def _add_host(path: Path, vault: Vault, name: str, id_: str) -> Handover:
    database = await Database.open(path)
    try:
        settings = Settings(data=path.parent, origin="", keys=Path())
        site = Site(settings, SystemClock(), vault, database)
        return await add_host_head(site, name, id_)
    finally:
        await database.close()


@main.group()
def audit() -> None:
    """Check and export what happened on a site (異動紀錄)."""


@audit.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database.")
@click.option(
    "--file", type=click.Path(path_type=Path), help="What `audit export` wrote."
)
@telling()
def verify(data: Path | None, file: Path | None) -> None:
    """Follow the chain of the audit; names the first broken entry, exit code 1.

    With --data that of a site, which may be running; with --file that of an export;
    with both also whether the site still holds all that was exported.
    """
    if data is None and file is None:
        _refuse(
            "請以 --data 指定資料夾，或以 --file 指定匯出檔。",
            "nothing to check; give --data, --file or both",
        )
    database = None if data is None else _database_in(data)
    verdict = asyncio.run(audit_check.verify(database, file))
    click.echo(f"{verdict.chinese}\n    {verdict.english}", err=not verdict.holds)
    if not verdict.holds:
        sys.exit(BROKEN)


@audit.command()
@click.option("--data", type=click.Path(path_type=Path), required=True)
@click.argument("file", type=click.Path(path_type=Path))
@telling()
def export(data: Path, file: Path) -> None:
    """Write the whole audit to a file that proves itself, one JSON object a line."""
    database = _database_in(data)
    if file.exists():
        _refuse("檔案已存在，沒有寫入。", f"{file}: is there already; nothing written")
    chain = asyncio.run(audit_check.export(database, file))
    click.echo(f"{file}: {chain.whole} entries, last digest {chain.head.hex()}")


def _database_in(data: Path) -> Path:
    """Return the database of a folder, which must be there already."""
    database = data / "jiepin.db"
    if not database.is_file():
        _refuse(
            "這個資料夾沒有資料庫，什麼都沒有變更；請檢查 --data。",
            f"{database}: no database there, nothing was changed; check --data",
        )
    return database


def _free_name(file: Path) -> Path:
    """Return where earlier keys go, never over others: keys.json.old, .old2, .old3."""
    names = (f"{file.name}.old{n if n > 1 else ''}" for n in itertools.count(1))
    return next(path for name in names if not (path := file.with_name(name)).exists())


async def _seal_again(path: Path, vault: Vault) -> int:
    database = await Database.open(path)
    try:
        return await seal_again(database, vault)
    finally:
        await database.close()


def _vault(file: Path) -> Vault:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        Vault.new().write(file)
    return Vault.read(file)


def _run(settings: Settings, greeting: str = "") -> None:
    """Run one worker: one process alone may write to the database."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    with socket.create_server((settings.listen, settings.port)) as listening:
        vault = _vault(settings.keys)
        asyncio.run(_open_once(settings.database))
        click.echo(greeting, nl=bool(greeting))
        config = uvicorn.Config(
            create_app(settings, vault),
            workers=1,
            access_log=False,  # addresses hold one-time links
            log_level="warning",
            server_header=False,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies or None,
        )
        with suppress(KeyboardInterrupt):  # how one ends it
            uvicorn.Server(config).run(sockets=[listening])


async def _open_once(path: Path) -> None:
    """Open the database and close it, to hear of what is wrong before serving."""
    await (await Database.open(path)).close()


def _refuse(chinese: str, english: str) -> NoReturn:
    click.echo(f"{chinese}\n    {english}", err=True)
    sys.exit(WRONG_INPUT)
