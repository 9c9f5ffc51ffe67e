"""The limit of deletions within a window, whatever times they come at."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from imageferry.migration import guards
from imageferry.migration.steps import Brake
from tests.unit.build import NOW, TIMING
from tests.unit.test_guards import World

CASE = World().case


def answer(deletions: list[datetime], now: datetime, most: int) -> guards.Answer:
    """Ask the guard."""
    return guards.within_rate(replace(CASE, now=now, brake=Brake(most=most, deletions=tuple(deletions))))


@given(most=st.integers(1, 4), gaps=st.lists(st.integers(0, 3000), max_size=30))
def test_no_window_holds_more_than_allowed(most: int, gaps: list[int]) -> None:
    """Delete whenever the guard lets it: beyond the limit there is always a window between."""
    now, deleted = NOW, list[datetime]()
    for gap in gaps:
        now += timedelta(seconds=gap)
        if answer(deleted, now, most).passed:
            deleted.append(now)
    assert all(beyond - first >= TIMING.rate_window for first, beyond in zip(deleted, deleted[most:], strict=False))


@given(most=st.integers(1, 4), ages=st.lists(st.integers(0, 3599), min_size=1, max_size=12))
def test_it_tells_when_there_is_room_again(most: int, ages: list[int]) -> None:
    """Not a second early, and no later than needed."""
    deleted = [NOW - timedelta(seconds=age) for age in ages]
    told = answer(deleted, NOW, most)
    assert told.passed is (len(ages) < most)
    if not told.passed:
        assert told.due is not None
        assert answer(deleted, told.due, most).passed
        assert not answer(deleted, told.due - timedelta(seconds=1), most).passed


def test_none_allowed_waits_for_nothing() -> None:
    """With a limit of 0 time alone changes nothing."""
    assert (answer([], NOW, 0).passed, answer([], NOW, 0).due) == (False, None)
