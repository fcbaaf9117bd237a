"""One running site: its settings, its clock, its keys and its database."""

from __future__ import annotations

from dataclasses import dataclass

from jiepin.web.clock import Clock
from jiepin.web.settings import Settings
from jiepin.web.store.database import Database
from jiepin.web.vault import Vault


@dataclass(frozen=True, slots=True)
class Site:
    """What every handler needs, at `request.app.state.site`."""

    settings: Settings
    clock: Clock
    vault: Vault
    database: Database
