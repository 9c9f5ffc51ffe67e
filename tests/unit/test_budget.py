"""The ARM budget by a clock that only the test moves, against a server that counts as Azure does."""

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageferry.engine.budget import FRONT_DOOR, Budget, Slot
from imageferry.engine.meters import ABSENT_SECONDS, ANSWER_SECONDS
from imageferry.migration.calls import UNANSWERED, Answer, Call, Limit, Verb

SUBSCRIPTION = "s"
SHORT, LONG = 10.0, 100.0
ROUNDING = 1e-6


def call_with(short: int, long: int, *, policy: str = "Write", verb: Verb = Verb.WRITES) -> Call:
    """Return a call with a short and a long window."""
    return Call(SUBSCRIPTION, verb, policy, (Limit("short", short, SHORT), Limit("long", long, LONG)))


@dataclass
class Server:
    """Counts arrivals in sliding windows and a token bucket, exactly; refuses nothing, remembers what it would."""

    limits: dict[str, tuple[int, float]]
    size: int = 200
    rate: float = 10.0
    refused: list[str] = field(default_factory=list)
    arrivals: dict[str, deque[float]] = field(default_factory=dict)
    level: float | None = None
    at: float = 0.0

    def arrive(self, now: float, *, ours: bool = True) -> dict[str, int]:
        """Take a call; return what is left."""
        left = {name: self._window(name, now, ours=ours) for name in self.limits}
        return left | {"writes": self._bucket(now, ours=ours)} if ours else left

    def _window(self, name: str, now: float, *, ours: bool) -> int:
        calls, span = self.limits[name]
        times = self.arrivals.setdefault(name, deque())
        while times and times[0] <= now - span + ROUNDING:
            times.popleft()
        times.append(now)
        if ours and len(times) > calls:
            self.refused.append(f"{name}: {len(times)} of {calls} at {now}")
        return max(0, calls - len(times))

    def _bucket(self, now: float, *, ours: bool) -> int:
        self.level = min(self.size, (self.size if self.level is None else self.level) + (now - self.at) * self.rate)
        self.at = now
        self.level -= 1
        if ours and self.level < -ROUNDING:
            self.refused.append(f"bucket: {self.level} at {now}")
        return max(0, int(self.level))


@dataclass
class Play:
    """Callers that want one call each, a budget, a server, and calls that take their time."""

    call: Call
    server: Server
    seed: int
    latency: float = 0.5
    late: float = 0.0
    served: list[int] = field(default_factory=list)
    postponed: int = 0
    now: float = 0.0

    def run(self, callers: int, *, others: Callable[[float], int] = lambda _: 0) -> None:
        """Play until every caller was served."""
        budget, order, chance = Budget(), count(), Random(self.seed)  # noqa: S311 - chance that can be repeated
        events: list[tuple[float, int, Callable[[], None]]] = []

        def at(time: float, what: Callable[[], None]) -> None:
            heapq.heappush(events, (time, next(order), what))

        def ask(caller: int) -> None:
            given = budget.reserve(str(caller), self.call, self.now)
            if isinstance(given, Slot):
                self.served.append(caller)
                budget.leave(str(caller), self.now)
                at(self.now + chance.random() * self.latency, lambda: arrive(given))
            else:
                assert given > self.now
                self.postponed += given > self.now + 1  # shorter waits are waited for
                at(given + chance.random() * self.late, lambda: ask(caller))

        def arrive(slot: Slot) -> None:
            for _ in range(others(self.now)):
                self.server.arrive(self.now, ours=False)
            left = self.server.arrive(self.now)
            at(self.now + chance.random() * self.latency, lambda: budget.settle(slot, Answer(left), self.now))

        for caller in range(callers):
            ask(caller)
        while events:
            self.now, _, what = heapq.heappop(events)
            what()


def play(short: int, long: int, *, seed: int = 0, latency: float = 0.5, late: float = 0.0) -> Play:
    """Return a play whose server has just the limits that the budget believes in."""
    server = Server({"short": (short, SHORT), "long": (long, LONG)})
    return Play(call_with(short, long), server, seed, latency=latency, late=late)


@given(
    short=st.integers(1, 8),
    longer=st.integers(0, 12),
    callers=st.integers(1, 40),
    seed=st.integers(0, 99),
    latency=st.floats(0, 30),
    late=st.floats(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_no_window_ever_holds_more_than_its_limit(  # noqa: PLR0917 - what hypothesis varies
    short: int, longer: int, callers: int, seed: int, latency: float, late: float
) -> None:
    """However long calls are under way and however late callers come; and every caller is served."""
    played = play(short, short + longer, seed=seed, latency=latency, late=late)
    played.run(callers)
    assert played.server.refused == []
    assert sorted(played.served) == list(range(callers))


@given(real=st.integers(1, 9), callers=st.integers(1, 40), seed=st.integers(0, 99), latency=st.floats(0, 2))
@settings(max_examples=100, deadline=None)
def test_a_limit_below_the_published_one_is_learned_without_a_refusal(
    real: int, callers: int, seed: int, latency: float
) -> None:
    """One call goes ahead alone; what it is told bounds those that follow."""
    server = Server({"short": (real, SHORT), "long": (1000, LONG)})
    played = Play(call_with(150, 1000), server, seed, latency=latency)
    played.run(callers)
    assert played.server.refused == []
    assert len(played.served) == callers


@given(size=st.integers(5, 250), callers=st.integers(1, 400), seed=st.integers(0, 9), latency=st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_front_door_is_never_run_dry(size: int, callers: int, seed: int, latency: float) -> None:
    """Neither with the published size of its bucket nor with another one that its headers tell."""
    server = Server({}, size=size)
    call = Call(SUBSCRIPTION, Verb.WRITES, "Large", (Limit("large", 10_000, SHORT),))
    played = Play(call, server, seed, latency=latency)
    played.run(callers)
    if size >= FRONT_DOOR[Verb.WRITES][0]:
        assert played.server.refused == []
    assert len(played.served) == callers


def test_callers_are_served_in_the_order_in_which_they_asked() -> None:
    """All ask at once; nobody overtakes."""
    played = play(4, 30)
    played.run(100)
    assert played.served == list(range(100))


def test_a_caller_that_waits_is_postponed_once_and_no_oftener() -> None:
    """The time that it was told is the time at which it gets leave."""
    played = play(5, 1000, latency=0.0)
    played.run(100)
    assert played.postponed <= 100


def test_the_time_is_no_longer_than_the_limits_ask() -> None:
    """15 calls at 5 per 10 seconds: two windows after the first, and a moment to look at each one's first answer."""
    played = play(5, 1000, latency=0.0)
    played.run(15)
    assert 2 * SHORT <= played.now < 2 * SHORT + 3 * ANSWER_SECONDS


def test_who_comes_new_does_not_overtake_who_waits() -> None:
    """Room that is promised is not given away, although its owner has not come yet."""
    budget, call = Budget(), call_with(1, 9)
    slot = _granted(budget, "first", call, 0.0)
    budget.settle(slot, UNANSWERED, 0.0)
    assert budget.reserve("waits", call, 1.0) == SHORT
    assert budget.reserve("new", call, SHORT + 1) == 2 * SHORT + 1  # one window after the one who waits
    _granted(budget, "waits", call, SHORT + 2)


def test_who_never_comes_holds_nobody_up_for_ever() -> None:
    """A migration that was deleted while it waited loses its place."""
    budget, call = Budget(), call_with(1, 99)
    budget.settle(_granted(budget, "first", call, 0.0), UNANSWERED, 0.0)
    budget.reserve("deleted", call, 1.0)
    assert isinstance(budget.reserve("new", call, SHORT + 1), float)
    _granted(budget, "new", call, SHORT + ABSENT_SECONDS + 1)


def test_while_it_waits_it_is_granted_nothing_else() -> None:
    """What a pass would look at before its mutation has to be looked at again when there is room for that."""
    budget, write, look = Budget(), call_with(1, 9), Call(SUBSCRIPTION, Verb.READS, "Look", ())
    budget.settle(_granted(budget, "other", write, 0.0), UNANSWERED, 0.0)
    _granted(budget, "one", look, 1.0)
    assert budget.reserve("one", write, 1.0) == SHORT
    assert budget.reserve("one", look, 2.0) == SHORT
    _granted(budget, "one", look, SHORT)
    _granted(budget, "one", write, SHORT)
    _granted(budget, "one", look, SHORT)


def test_calls_without_a_caller_do_not_wait_for_each_other() -> None:
    """What is called outside a turn has no place: one such call is no reason to hold another."""
    budget, write, look = Budget(), call_with(1, 9), Call(SUBSCRIPTION, Verb.READS, "Look", ())
    budget.settle(_granted(budget, "", write, 0.0), UNANSWERED, 0.0)
    assert budget.reserve("", write, 1.0) == SHORT
    _granted(budget, "", look, 1.0)
    assert budget.reserve("one", write, 1.0) == SHORT


def test_the_oldest_comes_first_whatever_it_asks_for_next() -> None:
    """A pass that waited for its first look does not wait again behind younger ones for its second."""
    budget, first, second = Budget(), call_with(1, 9, policy="First"), call_with(1, 9, policy="Second")
    for call in (first, second):
        budget.settle(_granted(budget, "early", call, 0.0), UNANSWERED, 0.0)
    budget.leave("early", 0.0)
    assert budget.reserve("old", first, 1.0) == SHORT
    assert budget.reserve("young", second, 1.0) == SHORT
    _granted(budget, "old", first, SHORT)
    _granted(budget, "old", second, SHORT)
    assert isinstance(budget.reserve("young", second, SHORT), float)


@pytest.mark.parametrize("used", [pytest.param(0, id="alone"), pytest.param(60, id="with-others")])
def test_what_others_use_is_not_there(used: int) -> None:
    """Of 100 calls, those that the header does not count as ours are left alone, and a tenth of the rest."""
    budget, call = Budget(), call_with(100, 9999)
    budget.settle(_granted(budget, "a", call, 0.0), Answer({"short": 100 - used - 1}), 0.0)
    granted = sum(1 for _ in _grants(budget, call, 1.0)) + 1
    assert granted == (100 if not used else 40 - 4)


def test_others_are_forgotten_when_they_have_left() -> None:
    """What they used slides out of the window as what we use does."""
    budget, call = Budget(), call_with(10, 9999)
    budget.settle(_granted(budget, "a", call, 0.0), Answer({"short": 0}), 0.0)
    assert budget.reserve("b", call, 1.0) == SHORT
    _granted(budget, "b", call, SHORT)


def test_a_larger_limit_is_used_once_it_is_told() -> None:
    """Large subscriptions have more than is published."""
    budget, call = Budget(), call_with(10, 9999)
    budget.settle(_granted(budget, "a", call, 0.0), Answer({"short": 29}), 0.0)
    assert sum(1 for _ in _grants(budget, call, 1.0)) == 29


def test_while_nothing_is_known_one_call_goes_alone() -> None:
    """The others follow its answer."""
    budget, call = Budget(), call_with(10, 99)
    slot = _granted(budget, "a", call, 0.0)
    assert budget.reserve("b", call, 0.0) == ANSWER_SECONDS
    assert isinstance(budget.reserve("b", call, SHORT), float)
    budget.settle(slot, UNANSWERED, SHORT)
    _granted(budget, "b", call, SHORT)
    _granted(budget, "c", call, SHORT)


def test_a_refusal_by_the_provider_blocks_its_policy_to_the_second() -> None:
    """Nothing of that policy is sent within; other policies go on; after it one call goes alone."""
    budget, call, other = Budget(), call_with(10, 99), call_with(10, 99, policy="Other")
    budget.settle(_granted(budget, "a", call, 0.0), Answer({}, blocked=17), 1.0)
    assert budget.reserve("b", call, 1.0) == 18.0
    assert budget.reserve("b", call, 17.999) == 18.0
    _granted(budget, "c", other, 2.0)
    _granted(budget, "b", call, 18.0)
    assert isinstance(budget.reserve("d", call, 18.0), float)


def test_a_refusal_by_the_front_door_blocks_the_subscription_to_the_second() -> None:
    """Reads as well as writes; other subscriptions go on."""
    budget, call = Budget(), call_with(10, 99)
    look, elsewhere = Call(SUBSCRIPTION, Verb.READS), Call("elsewhere", Verb.READS)
    budget.settle(_granted(budget, "a", call, 0.0), Answer({}, blocked=30, everywhere=True), 1.0)
    assert [budget.reserve("b", each, 30.9) for each in (call, look)] == [31.0, 31.0]
    _granted(budget, "c", elsewhere, 2.0)
    _granted(budget, "b", call, 31.0)
    _granted(budget, "d", look, 31.0)


def test_leave_that_was_not_used_is_given_back() -> None:
    """A mutation that was not announced takes nothing from the others."""
    budget, call = Budget(), call_with(1, 1)
    budget.release(_granted(budget, "a", call, 0.0), 0.0)
    _granted(budget, "b", call, 0.0)


def test_thousands_that_wait_cost_little_each() -> None:
    """A place in the line is found without walking it."""
    budget, call = Budget(), call_with(10, 9999)
    budget.settle(_granted(budget, "first", call, 0.0), UNANSWERED, 0.0)
    due = [budget.reserve(str(caller), call, 0.0) for caller in range(5000)]
    assert due[-1] == pytest.approx(5000 / 10 * SHORT, rel=0.01)


def _granted(budget: Budget, caller: str, call: Call, now: float) -> Slot:
    """Ask; it must be granted."""
    given = budget.reserve(caller, call, now)
    assert isinstance(given, Slot), f"{caller} has to wait until {given}"
    return given


def _grants(budget: Budget, call: Call, now: float) -> Iterator[Slot]:
    """Ask as somebody else each time, until there is no leave."""
    for caller in count():
        given = budget.reserve(f"many-{caller}", call, now)
        if not isinstance(given, Slot):
            return
        yield given
