"""The clock moves by factor and by hand, and never back."""

import pytest

from imageferry.simulator import SimClock


class Monotonic:
    """Real seconds under the test's control."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        """Read."""
        return self.seconds


def test_time_runs_by_the_factor() -> None:
    """A change of speed changes no instant that has been."""
    real = Monotonic()
    clock = SimClock(speed=60, monotonic=real)
    start = clock.now()
    real.seconds = 10
    assert (clock.now() - start).total_seconds() == 600
    clock.set_speed(1)
    real.seconds = 15
    assert (clock.now() - start).total_seconds() == 605


def test_a_frozen_clock_moves_only_by_hand() -> None:
    """And runs on from there."""
    real = Monotonic()
    clock = SimClock(monotonic=real)
    start = clock.now()
    clock.freeze()
    real.seconds = 100
    assert clock.now() == start
    clock.advance(30)
    clock.resume()
    real.seconds = 105
    assert (clock.now() - start).total_seconds() == 35


def test_the_clock_refuses_to_go_back() -> None:
    """Neither by hand nor by factor."""
    with pytest.raises(ValueError, match="only moves forward"):
        SimClock().advance(-1)
    with pytest.raises(ValueError, match="above 0"):
        SimClock(speed=0)
