"""The budget at work: who asks is who has the turn, and a long wait ends the pass instead of holding a worker.

A turn is one pass of one migration. What was admitted in it and not sent is given back at
its end, and its place in the line is given up unless it was postponed.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta

from imageferry.engine.budget import Budget, Slot
from imageferry.migration.calls import Answer, Call
from imageferry.migration.errors import PostponedError

PATIENCE = 1.0
"""Seconds that a call waits in its pass."""
JITTER, JITTER_MOST = 0.1, 1.0
"""A wait is longer by up to this part of it, and by at most so many seconds: many waits end at once."""


@dataclass(slots=True)
class _Turn:
    caller: str
    admitted: dict[Call, Slot] = field(default_factory=dict)


_NOBODY = _Turn("")
"""Who calls outside a turn: nothing of it is kept."""
_TURN: ContextVar[_Turn] = ContextVar("turn", default=_NOBODY)


class Spending:
    """Spends one budget for all workers.

    `clock` gives seconds, `speed` is how fast Azure's time passes in comparison, `chance` gives numbers in 0…1.
    """

    def __init__(
        self, budget: Budget, *, clock: Callable[[], float], chance: Callable[[], float], speed: float
    ) -> None:
        self._budget = budget
        self._clock = clock
        self._chance = chance
        self._speed = speed
        self._news = asyncio.Event()

    @contextmanager
    def turn(self, caller: str) -> Iterator[None]:
        """Let all calls inside be those of one caller."""
        turn = _Turn(caller)
        token = _TURN.set(turn)
        postponed = False
        try:
            yield
        except PostponedError:
            postponed = True
            raise
        finally:
            _TURN.reset(token)
            for slot in turn.admitted.values():
                self._budget.release(slot, self._now())
            if not postponed:
                self._budget.leave(caller, self._now())

    async def expect(self, call: Call) -> None:
        """Look ahead: PostponedError when a call that will most likely be needed has no room for now."""
        now = self._now()
        at = self._budget.expect(_TURN.get().caller, call, soon=now + PATIENCE * self._speed, now=now)
        if at > now:
            raise PostponedError(self._jittered(at - now))

    async def admit(self, call: Call) -> None:
        """Keep leave for a call that this turn will `take`; PostponedError when there is none for now."""
        turn = _TURN.get()
        if call not in turn.admitted:
            turn.admitted[call] = await self._slot(turn, call)

    async def take(self, call: Call) -> Callable[[Answer], None]:
        """Get leave for a call that is sent at once, and what is to be told its answer; as `admit`."""
        turn = _TURN.get()
        slot = turn.admitted.pop(call, None) or await self._slot(turn, call)

        def settle(answer: Answer) -> None:
            self._budget.settle(slot, answer, self._now())
            self._news.set()
            self._news = asyncio.Event()

        return settle

    async def _slot(self, turn: _Turn, call: Call) -> Slot:
        """Wait for leave as long as patience lasts."""
        until = self._now() + PATIENCE * self._speed
        while True:
            now = self._now()
            given = self._budget.reserve(turn.caller, call, now)
            if isinstance(given, Slot):
                return given
            if given > until or now >= until:
                raise PostponedError(self._jittered(given - now))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), (given - now) / self._speed)

    def _jittered(self, seconds: float) -> timedelta:
        longer = min(seconds * JITTER, JITTER_MOST) * self._chance()
        return timedelta(seconds=(seconds + longer) / self._speed)

    def _now(self) -> float:
        return self._clock() * self._speed
