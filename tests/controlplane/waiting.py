"""Waiting for a state that can be observed, with a bound: the only way a test may wait."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(look: Callable[[], T | None], *, what: str, within: float = 10.0, every: float = 0.02) -> T:
    """Return the first true answer of `look`; TimeoutError names `what` after `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not seen within {within:g} s; the last look gave {answer!r}")
        time.sleep(every)
    return answer
