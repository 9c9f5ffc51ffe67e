"""Which migration is looked at next, by a clock that only the test moves."""

import asyncio
from dataclasses import dataclass

import pytest

from imageferry.engine.queue import WorkQueue


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


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    """Give an empty queue."""
    return WorkQueue(clock)


async def _idle(queue: WorkQueue) -> bool:
    """Whether no key is handed out now."""
    getting = asyncio.create_task(queue.get())
    for _ in range(5):
        await asyncio.sleep(0)
    idle = not getting.done()
    getting.cancel()
    await asyncio.gather(getting, return_exceptions=True)
    return idle


async def test_keys_come_in_the_order_of_their_wishes(queue: WorkQueue) -> None:
    """First wanted, first looked at; a repeated wish keeps its place."""
    for key in ("a", "b", "a", "c"):
        queue.add(key)

    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]
    assert await _idle(queue)


async def test_a_key_is_never_active_twice(queue: WorkQueue) -> None:
    """News during a pass waits for its end."""
    queue.add("a")
    await queue.get()
    queue.add("a")

    assert await _idle(queue)


async def test_news_during_a_pass_costs_one_more_pass(queue: WorkQueue) -> None:
    """However many there were."""
    queue.add("a")
    await queue.get()
    for _ in range(3):
        queue.add("a")
    queue.done("a")

    assert await queue.get() == "a"
    queue.done("a")
    assert await _idle(queue)


async def test_a_pass_without_news_is_not_repeated(queue: WorkQueue) -> None:
    """Done is done."""
    queue.add("a")
    await queue.get()
    queue.done("a")

    assert await _idle(queue)


async def test_a_due_key_comes_when_it_is_time(queue: WorkQueue, clock: Clock) -> None:
    """Not a second sooner."""
    queue.add_after("a", 60)
    clock.now += 59.9
    assert await _idle(queue)
    clock.now += 0.1

    assert await queue.get() == "a"


@pytest.mark.parametrize(("first", "second"), [(60, 10), (10, 60)])
async def test_the_earlier_wish_counts(queue: WorkQueue, clock: Clock, first: float, second: float) -> None:
    """An earlier time replaces a later one, and a later one replaces nothing; it comes once."""
    queue.add_after("a", first)
    queue.add_after("a", second)
    clock.now += 10

    assert await queue.get() == "a"
    queue.done("a")
    clock.now += 1000
    assert await _idle(queue)


async def test_news_replaces_a_due_time(queue: WorkQueue, clock: Clock) -> None:
    """A pass now makes the one at a time needless; that pass decides anew."""
    queue.add_after("a", 60)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    clock.now += 60

    assert await _idle(queue)


async def test_a_wish_for_later_does_not_delay_news(queue: WorkQueue) -> None:
    """What wants a pass now has it now."""
    queue.add("a")
    queue.add_after("a", 60)

    assert await queue.get() == "a"


async def test_the_end_of_a_pass_may_ask_for_a_later_one(queue: WorkQueue, clock: Clock) -> None:
    """A due time that is set during a pass outlives its end."""
    queue.add("a")
    await queue.get()
    queue.add_after("a", 60)
    queue.done("a")
    assert await _idle(queue)
    clock.now += 60

    assert await queue.get() == "a"


async def test_a_key_that_becomes_due_during_its_pass_waits_for_its_end(queue: WorkQueue, clock: Clock) -> None:
    """Time does not make it active twice either."""
    queue.add("a")
    await queue.get()
    queue.add_after("a", 10)
    clock.now += 20
    assert await _idle(queue)
    queue.done("a")

    assert await queue.get() == "a"


@pytest.mark.parametrize("wish", ["now", "later", "again"])
async def test_what_is_forgotten_does_not_come(queue: WorkQueue, clock: Clock, wish: str) -> None:
    """Whatever was wanted for it, now, later or after its pass."""
    if wish == "again":
        queue.add("a")
        await queue.get()
    if wish == "later":
        queue.add_after("a", 10)
    else:
        queue.add("a")
    queue.forget("a")
    queue.done("a")
    clock.now += 20

    assert await _idle(queue)


async def test_what_was_forgotten_can_come_back(queue: WorkQueue, clock: Clock) -> None:
    """A forgotten key starts like a new one."""
    queue.add_after("a", 10)
    queue.forget("a")
    queue.add_after("a", 30)
    clock.now += 10
    assert await _idle(queue)
    clock.now += 20

    assert await queue.get() == "a"


async def test_waiting_workers_wake_for_news(queue: WorkQueue) -> None:
    """One of them takes the key, the others wait on."""
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add("a")
    done, waiting = await asyncio.wait(workers, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()

    assert [each.result() for each in done] == ["a"]


async def test_an_earlier_time_wakes_a_worker_that_sleeps_longer(queue: WorkQueue) -> None:
    """A worker that sleeps for an hour hears of something due at once."""
    queue.add_after("a", 3600)
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_after("b", 0)

    assert await asyncio.wait_for(worker, 5) == "b"


async def test_a_closed_queue_hands_out_nothing(queue: WorkQueue) -> None:
    """Workers get None, those that wait too, though there is work left."""
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.close()
    queue.add("a")

    assert await asyncio.wait_for(worker, 5) is None
    assert await queue.get() is None
    assert queue.closed


async def test_its_length_is_what_wants_a_pass_now(queue: WorkQueue) -> None:
    """Neither what is due later nor what is active."""
    queue.add("a")
    queue.add("b")
    queue.add_after("c", 60)
    await queue.get()

    assert len(queue) == 1
