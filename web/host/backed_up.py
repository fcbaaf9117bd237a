"""A backup before what is hard to take back: a freeze, a correction, a publication."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from jiepin.web.backup_schedule import Backups
from jiepin.web.language import _
from jiepin.web.problems import Problem, Problems

log = logging.getLogger(__name__)

FIELD: Final = "without_backup"


async def no_backup(request: Request, form: Mapping[str, object]) -> Problems:
    """Make a backup; return why not to go on when there is none.

    Whoever ticks so goes on without: a full disk for backups must not keep a result
    from being published in time.
    """
    backups: Backups = request.app.state.backups
    if await backups.now():
        return Problems()
    if form.get(FIELD) == "yes":
        log.warning("%s goes on without a backup", request.url.path)
        return Problems()
    text = _(
        "事前的備份沒有完成，因此什麼都還沒有做。"
        "請通知系統管理人員檢查備份；若不等備份，請勾選後再送出"
    )
    return Problems((Problem(FIELD, text),))
