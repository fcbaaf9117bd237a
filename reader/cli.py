"""The command `jiepin-reader`.

Exit codes: 0 done; 1 no card could be read (`--once`); 2 wrong input, nothing changed;
3 anything unforeseen.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from jiepin.reader.errors import BadOrigin, BadUse, CardError, NotInstalled, ReaderError

try:
    from jiepin.reader import apdu, autostart, places, serve, stores, trust
    from jiepin.reader.pcsc import PcscPort
    from jiepin.reader.port import Port
    from jiepin.reader.replay import ReplayPort, read_card
    from jiepin.reader.watch import Watch
except ModuleNotFoundError as missing:  # the extra `reader` was not installed
    if (missing.name or "").startswith("jiepin"):
        raise
    sys.exit(f"{NotInstalled(str(missing))}")

DONE, NO_CARD, WRONG_INPUT, UNFORESEEN = 0, 1, 2, 3
PORT = 8080
LEAST_PORT, MOST_PORT = 1024, 65535  # those a user may listen on
ONCE_SECONDS = 15.0  # how long `--once` waits for a card
ORIGIN = re.compile(
    r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?"
    r"|http://(localhost|127\.0\.0\.1)(:[0-9]{1,5})?"
)


@dataclass(frozen=True, slots=True)
class Options:
    """How the service runs: what the person gave, checked."""

    port: int
    origins: tuple[str, ...]
    server_keys: tuple[Path, ...]
    replay: Path | None

    def reader(self) -> Port:
        """Return the readers of this computer, or the practice reader."""
        if self.replay is None:
            return PcscPort()
        if self.replay.exists():
            read_card(self.replay)  # says now what is wrong with it
        return ReplayPort(self.replay)

    def words(self) -> list[str]:
        """Return the words that give these options again, from any folder."""
        words = [] if self.port == PORT else ["--port", str(self.port)]
        for origin in self.origins:
            words += ["--origin", origin]
        for path in self.server_keys:
            words += ["--server-key", str(path.absolute())]
        if self.replay is not None:
            words += ["--replay", str(self.replay.absolute())]
        return words


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="jiepin", prog_name="jiepin-reader")
@click.option(
    "--port",
    default=PORT,
    show_default=True,
    type=click.IntRange(LEAST_PORT, MOST_PORT),
    help="監聽埠。Where to listen on localhost.",
)
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="URL",
    help="獲准使用讀卡機的網站，可重複。A site that may use the reader; repeatable.",
)
@click.option(
    "--server-key",
    "server_keys",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="網站的公開金鑰檔（PEM），可重複。The sites' Ed25519 public keys; repeatable.",
)
@click.option(
    "--replay",
    metavar="CARD.toml",
    type=click.Path(path_type=Path),
    help="以檔案代替讀卡機，供練習。A practice card from a file, in while it exists.",
)
@click.option(
    "--once",
    is_flag=True,
    help="在終端機讀一次卡片後結束。Read a card on the terminal, masked, and end.",
)
@click.option("--show", is_flag=True, help="--once 不遮罩。With --once: masks nothing.")
@click.pass_context
def jiepin_reader(
    context: click.Context,
    port: int,
    origins: tuple[str, ...],
    server_keys: tuple[Path, ...],
    replay: Path | None,
    once: bool,
    show: bool,
) -> None:
    """健保卡讀取程式。Lets the sign-in page see the reader and the health card.

    不加子命令就啟動服務。Without a subcommand the service is started.
    """
    for origin in origins:
        check_origin(origin)
    if show and not once:
        raise click.UsageError("--show 要和 --once 一起用。 --show goes with --once.")
    options = Options(port, origins, server_keys, replay)
    context.obj = options
    if context.invoked_subcommand is None:
        if once:
            context.exit(read_once(options.reader(), show))
        run_service(options)


def check_origin(origin: str) -> None:
    """Raise BadOrigin for what no browser would send as the origin of a page.

    >>> check_origin("https://tas.example:8443")
    """
    port = urlsplit(origin).netloc.partition(":")[2]
    usual = "443" if origin.startswith("https") else "80"
    if not ORIGIN.fullmatch(origin) or port == usual or int(port or 0) > MOST_PORT:
        raise BadOrigin(repr(origin))


def run_service(options: Options) -> None:
    """Serve until Ctrl-C, with this installation's certificate and keys."""
    here = places.here()
    keys = [key for path in options.server_keys for key in trust.read_server_keys(path)]
    if not (options.origins and keys):
        say(
            "尚未登記網站：只有狀態頁可用；請加上 --origin 與 --server-key。",
            "No site is registered: only the status page works; "
            "add --origin and --server-key.",
        )
    reader = options.reader()
    certificate = trust.ensure(here.data, now())
    try:
        told = stores.install(here, certificate)
    except ReaderError as error:
        say(str(error))  # the service works; a browser has to be told by hand
    else:
        why = "瀏覽器不信任本機憑證時，請執行 If a browser does not trust it, run:"
        tell_commands(told.commands, why)
    serve.run(reader, here, certificate, options.port, options.origins, keys)


# reading on the terminal


def read_once(reader: Port, show: bool) -> int:
    """Print what the card says, masked unless `show`; return the exit code."""
    try:
        record = asyncio.run(first_reading(reader))
    except CardError as error:
        say(str(error))
        return NO_CARD
    for label, value in lines(record, show):
        click.echo(f"{label}  {value}")
    return DONE


async def first_reading(reader: Port) -> apdu.CardRecord:
    """Wait a little for a card and read it; raises the CardError in the way."""
    async with Watch(reader) as watch:
        state = watch.state
        click.echo("等候健保卡… Waiting for a card…", err=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(ONCE_SECONDS):
                while state.card is not None and state.card.code not in LASTING:
                    state = await watch.after(state.number, ONCE_SECONDS)
        return await watch.read()


LASTING = ("no-service", "not-a-health-card", "card-mute", "timeout")


def lines(record: apdu.CardRecord, show: bool) -> list[tuple[str, str]]:
    """Return what `--once` prints, label and value.

    >>> person = ("000012345678", "林小明", "A123456789", "0740309", "M", "1130101")
    >>> record = apdu.parse_record(apdu.pack_record(*person))
    >>> for label, value in lines(record, show=False):
    ...     print(label, value)
    卡號 card ********5678
    姓名 name 林○○
    身分證統一編號 ID A12****789
    生日 birth 民國 74 年 1985
    性別 sex 男 M
    """
    birth = record.birth_date
    roc_year = birth.year - apdu.ROC_YEAR_ZERO
    full = f"民國 {roc_year} 年 {birth.month} 月 {birth.day} 日 {birth}"
    name = record.name or "（無 none）"
    doubt = "" if record.name_certain else "（請確認 please check）"
    return [
        ("卡號 card", record.card_number if show else "*" * 8 + record.card_number[8:]),
        ("姓名 name", (name if show else name[0] + "○" * (len(name) - 1)) + doubt),
        ("身分證統一編號 ID", record.national_id if show else mask(record.national_id)),
        ("生日 birth", full if show else f"民國 {roc_year} 年 {birth.year}"),
        ("性別 sex", {"M": "男 M", "F": "女 F"}[record.sex]),
    ]


def mask(national_id: str) -> str:
    return f"{national_id[:3]}****{national_id[7:]}"


# trust


@jiepin_reader.command("trust")
@click.option("--remove", is_flag=True, help="移除憑證與金鑰。Take everything back.")
@click.option("--show", is_flag=True, help="顯示目前狀態。Show what is where.")
def trust_command(remove: bool, show: bool) -> None:
    """讓瀏覽器信任本機憑證。Make this user's browsers trust the local certificate."""
    here = places.here()
    if remove and show:
        raise click.UsageError("--remove 與 --show 擇一。 Choose one of the two.")
    if remove:
        tell_removed(stores.remove(here))
    elif show:
        tell_trust(stores.describe(here, now()))
    else:
        told = stores.install(here, trust.ensure(here.data, now()))
        for store in told.stores:
            click.echo(f"已信任 trusted: {store}")
        tell_refused(told.refused)
        tell_commands(told.commands)


def tell_refused(refused: Iterable[BadUse]) -> None:
    for error in refused:
        say(str(error))


def tell_removed(removed: stores.Removed) -> None:
    for store in removed.stores:
        click.echo(f"已自信任清單移除 removed from: {store}")
    for path in removed.files:
        click.echo(f"已刪除 deleted: {path}")
    tell_refused(removed.refused)
    if removed.left is not None:
        click.echo(f"資料夾中還有其他檔案 other files are left in: {removed.left}")
    if not (removed.stores or removed.files or removed.commands):
        click.echo("沒有需要移除的。 Nothing to remove.")
    tell_commands(removed.commands)


def tell_trust(trusted: stores.Trust) -> None:
    certificate = trusted.certificate
    if certificate is None:
        click.echo(
            "尚無憑證；啟動服務時會建立。 No certificate yet; the service makes it."
        )
    else:
        click.echo(f"憑證 certificate: {certificate.name}")
        click.echo(f"有效至 valid until: {certificate.not_after:%Y-%m-%d}")
    for state in trusted.stores:
        ready = "已信任 trusted" if state.ready else "未信任 not trusted"
        click.echo(f"{ready}: {state.store}")
        tell_refused([state.refused] if state.refused else [])
    tell_commands(trusted.commands, "要查看，請執行 To look, run:")


def tell_commands(
    commands: Sequence[stores.Command], why: str = "請執行下列命令 Please run:"
) -> None:
    """Print what a person runs where this program changes nothing itself."""
    if commands:
        click.echo(why)
    for command in commands:
        click.echo(f"    {command.text}")


# autostart


@jiepin_reader.command("autostart")
@click.option(
    "--on", "wanted", flag_value="on", help="登入時自動啟動。Start at sign-in."
)
@click.option("--off", "wanted", flag_value="off", help="取消。No longer.")
@click.option("--show", "wanted", flag_value="show", help="顯示。Show what is set.")
@click.pass_obj
def autostart_command(options: Options, wanted: str | None) -> None:
    """登入時自動啟動。Start the service at sign-in, with the options given before it.

    例 for example: jiepin-reader --origin https://… --server-key FILE autostart --on
    """
    account = autostart.this_account()
    match wanted:
        case "on":
            for path in options.server_keys:
                trust.read_server_keys(path)
            options.reader() if options.replay else None
            state = autostart.on(autostart.command_line(options.words()), account)
        case "off":
            state = autostart.off(account)
        case "show":
            state = autostart.show(account)
        case _:
            raise click.UsageError("請選 --on、--off 或 --show。 Choose one of these.")
    click.echo(f"{'開 on' if state.on else '關 off'}: {state.where}")
    if state.content is not None:
        click.echo(state.content.rstrip())


# the command itself


def now() -> datetime:
    return datetime.now(UTC)


def say(*sentences: str) -> None:
    """Tell the person; without a terminal (pythonw) the log is told."""
    text = "\n    ".join(sentences)
    if sys.stderr is None:
        with suppress(ReaderError):
            serve.start_log(places.here())
            logging.getLogger("jiepin.reader").error(text)
    click.echo(text, err=True)


def main(arguments: Iterable[str] | None = None) -> None:
    """Run the command and end with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file may not know every character
            stream.reconfigure(errors="replace")
    words: Any = None if arguments is None else list(arguments)
    try:
        code = jiepin_reader.main(words, "jiepin-reader", standalone_mode=False)
    except click.exceptions.Abort:
        code = 128 + signal.SIGINT
    except KeyboardInterrupt:
        code = DONE  # how one ends the service
    except click.ClickException as error:
        error.show()
        code = WRONG_INPUT
    except BadUse as error:
        say(str(error))
        code = WRONG_INPUT
    except Exception:
        say(traceback.format_exc())
        code = UNFORESEEN
    sys.exit(code)


if __name__ == "__main__":
    main()
