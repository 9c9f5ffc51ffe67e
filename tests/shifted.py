"""Runs `imageferry` with a wall clock that is wrong: `python tests/shifted.py SECONDS operator`.

time-machine replaces time.time and datetime.now at the C level, so that the product is run as it
is and knows nothing of it. Monotonic clocks stay as they are, as on a machine whose clock is wrong.
"""

import sys
from datetime import UTC, datetime, timedelta

import time_machine

from imageferry.cli import main

if __name__ == "__main__":
    shift = timedelta(seconds=float(sys.argv.pop(1)))
    with time_machine.travel(datetime.now(UTC) + shift, tick=True):
        main()
