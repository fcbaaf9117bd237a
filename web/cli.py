"""The command `jiepin-web`: serve a site, a practice site, look after its keys."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click
import uvicorn

from jiepin.web import demo
from jiepin.web.app import create_app
from jiepin.web.rotation import seal_again
from jiepin.web.settings import BadSettings, Settings
from jiepin.web.store.database import Database, DatabaseInUse, NewerDatabase
from jiepin.web.vault import BadKeys, Vault

WRONG_INPUT = 2


@click.group()
@click.version_option(package_name="jiepin")
def main() -> None:
    """The site of teacher transfer rounds (教師介聘)."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of the database.")
def serve(data: Path | None) -> None:
    """Serve the site; everything else is set by JIEPIN_… variables.

    The first start creates the database and the key file.
    """
    environment = dict(os.environ)
    if data is not None:
        environment["JIEPIN_DATA"] = str(data)
    settings = _settings(environment)
    if (settings.data / demo.MARKER).exists():
        _refuse(f"{settings.data}: holds a practice site; choose another folder")
    _run(settings, _vault(settings.keys))


@main.command("demo")
@click.option("--data", type=click.Path(path_type=Path), default=Path("demo/site"))
@click.option("--port", type=click.IntRange(1, 65535), default=8000)
def demo_(data: Path, port: int) -> None:
    """Serve a practice site on this computer, with practice cards."""
    settings = _settings(
        {
            "JIEPIN_DATA": str(data),
            "JIEPIN_ORIGIN": f"http://127.0.0.1:{port}",
            "JIEPIN_PORT": str(port),
        },
        practice=True,
    )
    try:
        demo.check_folder(data)
    except demo.NotAPracticeFolder as problem:
        _refuse(str(problem))
    click.echo(f"練習站 practice site: {settings.origin}/teacher/")
    click.echo("選一張練習卡登入，Ctrl+C 結束 — choose a practice card; Ctrl+C ends it")
    _run(settings, _vault(settings.keys))


@main.group()
def keys() -> None:
    """Make, show and rotate the keys of a site."""


_KEYS_ARGUMENT = click.argument("file", type=click.Path(path_type=Path))


@keys.command()
@_KEYS_ARGUMENT
def create(file: Path) -> None:
    """Make a key file; never over one that is there."""
    if file.exists():
        _refuse(f"{file}: is there already; what it sealed would never open again")
    Vault.new().write(file)
    click.echo(f"{file}: made; keep a copy where the database is not")


@keys.command()
@_KEYS_ARGUMENT
def show(file: Path) -> None:
    """Show the public key that the reader services must know, as a file for them."""
    click.echo(_read(file).site_keys.public_pem(), nl=False)


@keys.command()
@_KEYS_ARGUMENT
@click.option("--data", type=click.Path(path_type=Path), required=True)
def rotate(file: Path, data: Path) -> None:
    """Seal everything with a fresh key; the site must not be running."""
    rotated = _read(file).rotated()
    rotated.write(file)  # opens old and new, so that a crash half-way loses nothing
    try:
        count = asyncio.run(_seal_again(data / "jiepin.db", rotated))
    except (DatabaseInUse, NewerDatabase) as problem:
        _refuse(str(problem))
    rotated.only_newest().write(file)
    click.echo(f"{count} values sealed with a fresh key")


async def _seal_again(path: Path, vault: Vault) -> int:
    database = await Database.open(path)
    try:
        return await seal_again(database, vault)
    finally:
        await database.close()


def _settings(environment: Mapping[str, str], practice: bool = False) -> Settings:
    try:
        return Settings.read(environment, practice)
    except BadSettings as problem:
        _refuse(str(problem))


def _vault(file: Path) -> Vault:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        Vault.new().write(file)
    return _read(file)


def _read(file: Path) -> Vault:
    try:
        return Vault.read(file)
    except BadKeys as problem:
        _refuse(str(problem))


def _run(settings: Settings, vault: Vault) -> None:
    """Run one worker: one process alone may write to the database."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        asyncio.run(_open_once(settings.database))
    except (DatabaseInUse, NewerDatabase) as problem:
        _refuse(str(problem))
    uvicorn.run(
        create_app(settings, vault),
        host=settings.listen,
        port=settings.port,
        workers=1,
        access_log=False,  # addresses hold one-time links
        log_level="warning",
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
    )


async def _open_once(path: Path) -> None:
    """Open the database and close it, to hear of what is wrong before serving."""
    await (await Database.open(path)).close()


def _refuse(text: str) -> NoReturn:
    click.echo(text, err=True)
    sys.exit(WRONG_INPUT)
