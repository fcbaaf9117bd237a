"""What is done once a night, when nobody is waiting."""

from __future__ import annotations

from datetime import date, timedelta

from jiepin.web.clock import TAIPEI
from jiepin.web.site import Site

HOUR = timedelta(hours=3)  # of the night in Taiwan; rounds open and close at midnight


class Nights:
    """Looks after one site: `tend` it now and then."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._done = self._night()

    async def tend(self) -> None:
        """Empty the write-ahead log, once in each night.

        SQLite goes on writing at its beginning, but never makes it smaller by itself.
        """
        night = self._night()
        if night > self._done:
            await self._site.database.checkpoint()
            self._done = night

    def _night(self) -> date:
        return (self._site.clock.now().astimezone(TAIPEI) - HOUR).date()
