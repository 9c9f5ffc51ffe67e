"""The time of the simulated cloud.

Every state is computed from `now()` when somebody looks; nothing runs on a timer. So a test
moves an hour by moving the clock, and two looks at one instant always agree.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SimClock:
    """Wall time at the start, plus monotonic time by a factor; it never runs backwards."""

    def __init__(self, *, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._anchor_real = monotonic()
        self._anchor = datetime.now(UTC)
        self._speed = _checked(speed)
        self._frozen = False

    @property
    def speed(self) -> float:
        """Simulated seconds per real second while the clock runs."""
        return self._speed

    @property
    def frozen(self) -> bool:
        """Whether time moves only by `advance`."""
        return self._frozen

    def now(self) -> datetime:
        """Give the simulated instant, aware, in UTC."""
        with self._lock:
            return self._read()

    def advance(self, seconds: float) -> datetime:
        """Move forward at once; gives the new instant."""
        if seconds < 0:
            raise ValueError(f"seconds is {seconds}: the clock only moves forward")
        with self._lock:
            self._settle()
            self._anchor += timedelta(seconds=seconds)
            return self._anchor

    def freeze(self) -> None:
        """Stop; from now on time moves only by `advance`."""
        with self._lock:
            self._settle()
            self._frozen = True

    def resume(self) -> None:
        """Run again from the instant at which the clock stands."""
        with self._lock:
            self._settle()
            self._frozen = False

    def set_speed(self, speed: float) -> None:
        """Run by another factor from now on."""
        with self._lock:
            self._settle()
            self._speed = _checked(speed)

    def _settle(self) -> None:
        self._anchor, self._anchor_real = self._read(), self._monotonic()

    def _read(self) -> datetime:
        if self._frozen:
            return self._anchor
        return self._anchor + timedelta(seconds=(self._monotonic() - self._anchor_real) * self._speed)


def _checked(speed: float) -> float:
    if speed <= 0:
        raise ValueError(f"speed is {speed}: give a factor above 0, or freeze the clock")
    return speed
