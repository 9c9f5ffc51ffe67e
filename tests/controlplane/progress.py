"""Telling a person, or a CI log, that a long step is alive.

On a terminal one line is rewritten every second; elsewhere a new line is written every 20 s.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

TERMINAL_SECONDS = 1.0
LOG_SECONDS = 20.0


class Progress:
    """Lines that begin with `==>`, on standard error unless told otherwise."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()

    def say(self, text: str) -> None:
        """Write one line that stays."""
        self._write(f"==> {text}\n")

    @contextmanager
    def phase(self, describe: Callable[[], str]) -> Iterator[None]:
        """Show what `describe` answers and the time gone by, until the block ends."""
        begun = time.monotonic()
        done = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(describe, begun, done), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()
            self._show(describe(), begun)
            self._write("\n" if self._terminal else "")

    def _tick(self, describe: Callable[[], str], begun: float, done: threading.Event) -> None:
        while not done.wait(TERMINAL_SECONDS if self._terminal else LOG_SECONDS):
            self._show(describe(), begun)

    def _show(self, text: str, begun: float) -> None:
        line = f"==> {text} ({elapsed(time.monotonic() - begun)})"
        self._write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def elapsed(seconds: float) -> str:
    """Spell a duration as `4m05s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02d}s"
