"""The command `jiepin-web`: serve a site or a practice site, look after keys, audit."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import NoReturn

import click
import uvicorn
from starlette.applications import Starlette

from jiepin.web import audit_check, backup, demo, language, logs, national_id
from jiepin.web import restore as restoring
from jiepin.web.app import create_app
from jiepin.web.clock import SystemClock, moment_text
from jiepin.web.monitor import watched
from jiepin.web.rotation import seal_again, unopened
from jiepin.web.settings import BadSettings, Settings
from jiepin.web.site import Site
from jiepin.web.staff.accounts import Handover, add_host_head
from jiepin.web.store.audit import NotAnExport
from jiepin.web.store.database import (
    Database,
    DatabaseInUse,
    NewerDatabase,
    UnusableDatabase,
)
from jiepin.web.vault import BadKeys, NotSealedHere, Vault

BROKEN, WRONG_INPUT = 1, 2
CHINESE: dict[type[Exception], str] = {
    BadSettings: "設定無法使用，沒有啟動任何東西。",
    BadKeys: "金鑰檔無法使用。",
    DatabaseInUse: "另一個程式正在使用這個資料庫，請先結束它。",
    UnusableDatabase: "資料庫無法開啟或寫入，沒有啟動任何東西。",
    sqlite3.DatabaseError: "資料庫無法讀取或寫入，進行中的變更已復原。",
    NewerDatabase: "這個資料庫由較新的版本建立，請安裝該版本。",
    NotSealedHere: "金鑰檔不屬於這個資料庫，資料沒有變更。",
    demo.NotAPracticeFolder: "資料夾裡有其他內容，請用 --data 選一個空資料夾。",
    NotAnExport: "檔案不是異動紀錄的匯出檔。",
    backup.BadIdentity: "備份的公鑰或私鑰無法使用。",
    backup.CannotWrite: "備份沒有完成，也沒有留下檔案；請檢查磁碟空間與資料夾。",
    backup.DamagedBackup: "備份已損壞或不完整，請改用另一份備份。",
    restoring.WrongIdentity: "這份備份要用另一把私鑰才能開啟。",
    restoring.NotEmpty: "資料夾裡有其他內容，備份只能還原到空資料夾。",
    UnicodeDecodeError: "檔案不是異動紀錄的匯出檔。",
    OSError: "檔案、資料夾或監聽埠無法使用。",
}


@contextmanager
def telling() -> Iterator[None]:
    """Tell what was wrong with what was given, and end with exit code 2.

    With 1 where nothing was given wrongly, but something is broken.
    """
    try:
        yield
    except tuple(CHINESE) as problem:
        kind = next(kind for kind in CHINESE if isinstance(problem, kind))
        code = BROKEN if kind is backup.DamagedBackup else WRONG_INPUT
        _refuse(CHINESE[kind], _english(problem), code)


def _english(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.filename:
        return f"{problem.filename}: {problem.strerror}"
    if isinstance(problem, sqlite3.DatabaseError):
        return f"{problem}; what was under way was undone; see the disk and who uses it"
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


@main.group("backup")
def backup_() -> None:
    """Make and check backups (備份), sealed for whoever holds the identity."""


_PATH = click.Path(path_type=Path)
_IDENTITY = click.option(
    "--identity", "key", type=_PATH, required=True, help="What `backup key` wrote."
)
_KEYS_TRIED = click.option(
    "--keys", "keys_file", type=_PATH, help="The key file, to try whether it fits."
)


@backup_.command("key")
@_KEYS_ARGUMENT
@telling()
def backup_key(file: Path) -> None:
    """Make an identity, never over a file that is there, and show its recipient.

    The recipient goes to the site as JIEPIN_BACKUP_RECIPIENT; the file goes elsewhere:
    whoever has it can open every backup.
    """
    recipient = backup.make_identity(file)
    click.echo(recipient)
    click.echo(
        f"{file}：請存放在伺服器以外的地方，遺失就無法還原任何備份\n"
        f"    {file}: keep it where the server is not; without it no backup opens",
        err=True,
    )


@backup_.command("make")
@click.option("--data", type=_PATH, envvar="JIEPIN_DATA", required=True)
@click.option("--keys", "keys_file", type=_PATH, envvar="JIEPIN_KEYS")
@click.option("--to", "folder", type=_PATH, envvar="JIEPIN_BACKUPS", required=True)
@click.option("--recipient", envvar="JIEPIN_BACKUP_RECIPIENT", required=True)
@telling()
def backup_make(
    data: Path, keys_file: Path | None, folder: Path, recipient: str
) -> None:
    """Write a backup of everything into a folder; the site may be running.

    What is not given comes from the variables that the site is set by.
    """
    _database_in(data)
    vault = Vault.read(keys_file or data / "keys.json")
    recipients = backup.read_recipients(recipient)
    file, manifest = asyncio.run(backup.make(data, vault, folder, recipients))
    click.echo(f"{file}: {file.stat().st_size:,} bytes, {_told(manifest)}")


@backup_.command("check")
@_KEYS_ARGUMENT
@_IDENTITY
@_KEYS_TRIED
@telling()
def backup_check(file: Path, key: Path, keys_file: Path | None) -> None:
    """Open a backup and look whether all of it is there and whole; exit code 0 or 1."""
    identity = backup.read_identity(key)
    vault = Vault.read(keys_file) if keys_file else None
    manifest = asyncio.run(restoring.check(file, identity, vault))
    click.echo(f"備份完整\n    {file}: whole, {_told(manifest)}")


@main.command("restore")
@_KEYS_ARGUMENT
@_IDENTITY
@click.option("--data", type=_PATH, required=True, help="An empty folder.")
@_KEYS_TRIED
@click.option(
    "--mail",
    type=click.Choice(["hold", "send"]),
    required=True,
    help="hold: what waited to be sent is held back, as it may have been sent since "
    "the backup was made; send: it is sent.",
)
@telling()
def restore(
    file: Path, key: Path, data: Path, keys_file: Path | None, mail: str
) -> None:
    """Put a backup into an empty folder, examined, for the site to start there."""
    identity = backup.read_identity(key)
    vault = Vault.read(keys_file) if keys_file else None
    hold, now = mail == "hold", SystemClock().now()
    done = asyncio.run(restoring.restore(file, identity, data, vault, hold, now))
    click.echo(
        f"已還原至 {data}；請把同一時期的金鑰檔放回原處再啟動。"
        f"所有人須重新登入；保留不寄的通知 {done.held} 件。\n"
        f"    {data}: restored, {_told(done.manifest)}. Put the key file of that time "
        "back to its place and start the site. Everybody signs in again; "
        f"{done.held} messages are held back"
    )


def _told(manifest: backup.Manifest) -> str:
    """Say what a backup holds."""
    names = ("account", "application", "audit")
    counts = ", ".join(f"{name} {manifest.counts[name]:,}" for name in names)
    lost = ", ".join(manifest.missing)
    missing = f"; 缺少 missing where it was made: {lost}" if lost else ""
    return f"made {manifest.made}, {counts}, files {len(manifest.files)}{missing}"


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


def _vault(settings: Settings) -> Vault:
    """Return the keys, made at the first start. Raises BadKeys."""
    file = settings.keys
    if not file.exists():
        if settings.database.exists():
            raise BadKeys(
                f"{file}: no key file, and {settings.database} is there already; "
                "bring back the key file that goes with it"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        Vault.new().write(file)
    return Vault.read(file)


def _run(settings: Settings, greeting: str = "") -> None:
    """Run one worker: one process alone may write to the database."""
    logs.start(settings.practice)
    with ExitStack() as opened:
        place = (settings.listen, settings.port)
        listening = opened.enter_context(listen(*place))
        watching = None
        if settings.monitor_port:
            place = (settings.monitor_listen, settings.monitor_port)
            watching = opened.enter_context(listen(*place))
        vault = _vault(settings)
        asyncio.run(_open_once(settings, vault))
        click.echo(greeting, nl=bool(greeting))
        app = create_app(settings, vault)
        config = _config(app, settings)
        with (
            suppress(KeyboardInterrupt),  # how one ends it
            asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
        ):
            beside = watched(app, watching) if watching else nullcontext()
            runner.run(_serve(config, listening, beside))


def listen(address: str, port: int) -> socket.socket:
    """Return a socket that listens, whose answers leave at once.

    asyncio does so (TCP_NODELAY) only where the protocol is named. Else the end of an
    answer waits until its beginning is acknowledged, which takes up to 40 ms.
    """
    made = socket.create_server((address, port))
    return socket.socket(made.family, made.type, socket.IPPROTO_TCP, made.detach())


def _config(app: Starlette, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # uvloop takes one new connection a turn: a crowd would wait where none sees it
        loop="asyncio",
        workers=1,
        log_config=None,  # ours
        access_log=False,  # addresses hold one-time links
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
    )


async def _serve(
    config: uvicorn.Config,
    listening: socket.socket,
    beside: AbstractAsyncContextManager[None],
) -> None:
    async with beside:
        await uvicorn.Server(config).serve([listening])


async def _open_once(settings: Settings, vault: Vault) -> None:
    """Open the database and close it, to hear of what is wrong before serving."""
    database = await Database.open(settings.database)
    try:
        async with database.reading() as db:
            closed = await unopened(db, vault)
    finally:
        await database.close()
    if closed:
        raise BadKeys(
            f"{settings.keys}: does not open {', '.join(closed)} of "
            f"{settings.database}; use the key file that goes with it"
        )


def _refuse(chinese: str, english: str, code: int = WRONG_INPUT) -> NoReturn:
    click.echo(f"{chinese}\n    {english}", err=True)
    sys.exit(code)
