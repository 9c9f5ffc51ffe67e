"""How long tests of chance walk: SOAK=1 (`make soak`) makes them walk far."""

import os


def trials(default: int, soak: int) -> int:
    """Return how many trials a test does."""
    return soak if os.environ.get("SOAK") == "1" else default
