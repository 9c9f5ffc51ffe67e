"""The budget at work: short waits are waited for, long ones end the pass, and nothing admitted is lost."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import pytest

from imageferry.engine.budget import Budget
from imageferry.engine.spending import Spending
from imageferry.migration.calls import UNANSWERED, Answer, Call, Limit, Verb
from imageferry.migration.errors import PostponedError

MINUTE = 60.0
CALL = Call("s", Verb.WRITES, "Write", (Limit("write", 1, MINUTE),))
LOOK = Call("s", Verb.READS, "Look", (Limit("look", 1000, MINUTE),))


@dataclass
class Clock:
    """Seconds that pass when the test says so."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


def spending(clock: Clock, *, chance: float = 0.0, speed: float = 1.0) -> Spending:
    """Return a fresh budget at work."""
    return Spending(Budget(), clock=clock, chance=lambda: chance, speed=speed)


async def send(spends: Spending, call: Call = CALL, answer: Answer = UNANSWERED) -> None:
    """Send a call and take its answer."""
    (await spends.take(call))(answer)


async def test_a_long_wait_sends_nothing_and_says_when(clock: Clock) -> None:
    """The pass ends there; its worker is free."""
    spends = spending(clock)
    await send(spends)
    clock.now += 20
    with pytest.raises(PostponedError) as postponed:
        await send(spends)
    assert postponed.value.after == timedelta(seconds=40)


async def test_many_waits_do_not_end_at_the_same_instant(clock: Clock) -> None:
    """A wait is never shorter than it has to be, and at most a second longer."""
    spends = spending(clock, chance=1.0)
    await send(spends)
    with pytest.raises(PostponedError) as postponed:
        await send(spends)
    assert postponed.value.after == timedelta(seconds=61)


async def test_against_a_fast_clock_waits_are_shorter(clock: Clock) -> None:
    """A minute of Azure's is a second of ours."""
    spends = spending(clock, speed=20.0)
    await send(spends)
    with pytest.raises(PostponedError) as postponed:
        await send(spends)
    assert postponed.value.after == timedelta(seconds=3)


async def test_a_short_wait_ends_with_the_answer_that_it_waits_for(clock: Clock) -> None:
    """The second call follows the first one's answer, although the clock stands still."""
    spends = spending(clock)
    settle = await spends.take(LOOK)
    second = asyncio.create_task(send(spends, LOOK))
    await asyncio.sleep(0)
    assert not second.done()
    settle(UNANSWERED)
    await second


async def test_what_was_admitted_is_taken_without_asking_again(clock: Clock) -> None:
    """So an announced mutation is sent: nobody gets its leave between the announcement and the call."""
    spends = spending(clock)
    with spends.turn("one"):
        await spends.admit(CALL)
        with pytest.raises(PostponedError), spends.turn("two"):
            await send(spends)
        await send(spends)


async def test_what_was_admitted_and_not_sent_is_given_back(clock: Clock) -> None:
    """When the announcement is refused, for one."""
    spends = spending(clock)
    with spends.turn("one"):
        await spends.admit(CALL)
    with spends.turn("two"):
        await send(spends)


async def test_a_postponed_turn_keeps_its_place_and_any_other_end_gives_it_up(clock: Clock) -> None:
    """Who was postponed first comes first; who ended its pass otherwise stands in nobody's way."""
    spends = spending(clock)
    await send(spends)
    for caller in ("gone", "first", "second"):
        with suppress(PostponedError), spends.turn(caller):
            await send(spends)
    clock.now += MINUTE
    with spends.turn("gone"):
        pass
    with pytest.raises(PostponedError), spends.turn("second"):
        await send(spends)
    with spends.turn("first"):
        await send(spends)


async def test_what_will_be_needed_is_waited_for_before_anything_is_looked_at(clock: Clock) -> None:
    """No look is spent on a pass that would end at its mutation; when there is room, nothing is taken for it yet."""
    spends = spending(clock)
    with spends.turn("one"):
        await spends.expect(CALL)
    await send(spends)
    with pytest.raises(PostponedError) as postponed, spends.turn("two"):
        await spends.expect(CALL)
    assert postponed.value.after == timedelta(seconds=MINUTE)
    clock.now += MINUTE
    with spends.turn("two"):
        await spends.expect(CALL)
        await send(spends, LOOK)
        await spends.admit(CALL)
