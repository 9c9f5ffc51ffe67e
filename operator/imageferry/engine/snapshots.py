"""What uses the images of a subscription, looked up once for all migrations that ask within a minute.

A subscription is listed whole, so five hundred migrations that become ready together cost
one look. Whoever looked uses what was seen; others only what is not older than the limit.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from imageferry.migration.consumers import Snapshot
from imageferry.migration.facts import Consumers


class Snapshots:
    """The newest snapshot of every subscription."""

    def __init__(
        self, take: Callable[[str], Awaitable[Snapshot]], *, clock: Callable[[], datetime], most: timedelta
    ) -> None:
        self._take = take
        self._clock = clock
        self._most = most
        self._taken: dict[str, tuple[datetime, Snapshot]] = {}
        self._looking: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def consumers_of(self, image_id: str) -> Consumers:
        """Return what needs an image; MigrationError or PostponedError when it could not be looked at."""
        subscription = image_id.split("/")[2].casefold()
        async with self._looking[subscription]:
            began = self._clock()
            known = self._taken.get(subscription)
            if known is None or began - known[0] > self._most:
                known = (began, await self._take(subscription))
                self._taken[subscription] = known
        return known[1].of(image_id)
