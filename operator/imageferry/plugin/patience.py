"""Waiting for Azure in a command that a person looks at: bounded, and never in silence."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta

from imageferry.migration.errors import BackOffError

FIRST, TRIES = timedelta(seconds=2), 5
"""Where Azure does not say for how long: the first wait, twice as long each time, and how often in a row."""


class Patience:
    """Waits out passing faults, for `seconds` in all.

    `tell` gets what is waited for: once a second where the output is `live`, else once a wait.
    """

    def __init__(self, seconds: float, tell: Callable[[str], None], *, live: bool) -> None:
        self._left = timedelta(seconds=seconds)
        self._tell = tell
        self._live = live
        self._tries = 0

    async def __call__(self, error: BackOffError) -> None:
        """Wait as long as Azure says; raise the error when that is longer than what is left."""
        wait = error.retry_after
        if wait is None:
            self._tries += 1
            if self._tries >= TRIES:
                raise error
            wait = FIRST * 2.0 ** (self._tries - 1)
        if wait > self._left:
            told = f"it takes {_seconds(wait)} until the next try, --timeout leaves {_seconds(self._left)}"
            raise BackOffError(error.code, f"{error.message}; {told}") from error
        self._left -= wait
        await self._sleep(wait, error.code)

    def reset(self) -> None:
        """Count tries anew after progress."""
        self._tries = 0

    async def _sleep(self, wait: timedelta, code: str) -> None:
        while wait > timedelta():
            self._tell(f"{code}: goes on in {_seconds(wait)}")
            step = min(wait, timedelta(seconds=1)) if self._live else wait
            await asyncio.sleep(step.total_seconds())
            wait -= step


def _seconds(span: timedelta) -> str:
    return f"{math.ceil(span.total_seconds())} s"
