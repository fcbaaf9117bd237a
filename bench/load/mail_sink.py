"""A mail server on this computer that takes every mail and forgets it.

.venv/bin/python bench/load/mail_sink.py PORT
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from aiosmtpd.smtp import SMTP


class Taken:
    """Says yes to every mail."""

    async def handle_DATA(  # noqa: N802
        self, _server: Any, _session: Any, _envelope: Any
    ) -> str:
        return "250 OK"


async def main(port: int) -> None:
    def protocol() -> SMTP:
        return SMTP(Taken(), hostname="localhost")

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
