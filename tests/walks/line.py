"""What stands between one operator process and the world: every call passes here, and here it can be made to die.

A call ticks before and after its effect. A plan for a tick is something that others do
right then, or the death of the process, after which nothing of it reaches the world.
"""

from collections.abc import Callable


class CrashError(BaseException):
    """The process is gone. No handler for Exception hides it."""


class Line:
    """The calls of one process."""

    def __init__(self) -> None:
        self.alive = True
        self._ticks = 0
        self._plans: dict[int, Callable[[], None]] = {}
        self._before_announcement: Callable[[], None] | None = None

    def plan(self, ticks: int, what: Callable[[], None]) -> None:
        """Let something happen after so many ticks more; 0 means right before the next announcement."""
        if ticks:
            self._plans[self._ticks + ticks] = what
        else:
            self._before_announcement = what

    def clear(self) -> None:
        """Forget what was planned and did not happen."""
        self._plans, self._before_announcement = {}, None

    def cut(self) -> None:
        """End the process."""
        self.alive = False

    def tick(self) -> None:
        """Pass a point; CrashError when the process is dead, or dies here."""
        if self.alive:
            self._ticks += 1
            if what := self._plans.pop(self._ticks, None):
                what()
        if not self.alive:
            raise CrashError

    def announce(self) -> None:
        """Pass the point right before an announcement is written."""
        what, self._before_announcement = self._before_announcement, None
        if what and self.alive:
            what()
        self.tick()
