"""Runs `imageferry` with a wall clock that is wrong: `python tests/shifted.py SECONDS operator`.

time-machine replaces time.time and datetime.now at the C level, so that the product is run as it
is and knows nothing of it. Monotonic clocks stay as they are, as on a machine whose clock is wrong.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from imageferry.cli import main


def command(seconds: float) -> tuple[str, ...]:
    """Return the words that start it so."""
    return (sys.executable, str(Path(__file__)), str(seconds))


if __name__ == "__main__":
    shift = timedelta(seconds=float(sys.argv.pop(1)))
    with time_machine.travel(datetime.now(UTC) + shift, tick=True):
        main()
