"""Answers that serve many migrations: what a subscription tells is asked once, and not by each.

Whoever asks while somebody else asks the same waits for that answer. An error is nobody's
answer: the next one asks again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Shared:
    """Keeps each answer for `seconds` of `clock`."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: dict[Hashable, tuple[float, Any]] = {}
        self._asking: dict[Hashable, asyncio.Lock] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer that is kept, or ask; whatever `ask` raises comes through."""
        async with self._asking.setdefault(key, asyncio.Lock()):
            now = self._clock()
            if key not in self._answers or self._answers[key][0] + self._seconds <= now:
                answer = await ask()
                self._forget()
                self._answers[key] = (self._clock(), answer)
            kept: T = self._answers[key][1]
        return kept

    def _forget(self) -> None:
        """Drop what is too old; a lock that somebody holds or awaits stays."""
        oldest = self._clock() - self._seconds
        self._answers = {key: kept for key, kept in self._answers.items() if kept[0] > oldest}
        idle = [key for key, lock in self._asking.items() if key not in self._answers and not lock.locked()]
        for key in idle:
            del self._asking[key]
