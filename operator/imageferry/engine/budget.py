"""The ARM budget: whether a call may be sent now, else from when on; so that Azure never has to refuse one.

No I/O and no clock: times are seconds that the caller gives, and never run backwards.
A caller that has to wait has one place for all that it waits for, in the order in which
callers began to wait. It keeps it until `leave`, or until it does not come for its time;
so the oldest is always served first, whatever it asks for next, and none starves.
"""

import math
from dataclasses import dataclass

from imageferry.engine.meters import Bucket, Policy
from imageferry.migration.calls import Answer, Call, Verb

FRONT_DOOR = {Verb.READS: (250, 25.0, 3), Verb.WRITES: (200, 10.0, 1), Verb.DELETES: (200, 10.0, 1)}
"""Size and refill a second, per principal and subscription (fact sheet, section 10.1), and calls of a usual turn."""


@dataclass(eq=False, slots=True)
class Slot:
    """Leave to send one call; it is counted as under way until `settle` or `release`."""

    call: Call
    sent: float


@dataclass(slots=True)
class _Waiting:
    """A caller's place, and for what it waits; None when it has just got that."""

    place: int
    call: Call | None = None


class Budget:
    """All limits of all subscriptions."""

    def __init__(self) -> None:
        self._policies: dict[tuple[str, str], Policy] = {}
        self._buckets: dict[tuple[str, Verb], Bucket] = {}
        self._blocked: dict[str, float] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._places = 0

    def reserve(self, caller: str, call: Call, now: float) -> Slot | float:
        """Give leave for one call, or the time from which on the caller may expect it.

        While what a caller waits for is not there, it gets no leave for anything else either: what it would look at
        meanwhile it has to look at again. Who has no name has no place either.
        """
        waiting = self._waiting.get(caller)
        if waiting and waiting.call and waiting.call != call:
            awaited = self._opens(caller, waiting.call, now)
            if awaited > now:
                return self._wait(caller, waiting.call, awaited, now)
        at = self._opens(caller, call, now)
        if at > now:
            return self._wait(caller, call, at, now)
        policy, bucket = self._policy(call), self._bucket(call, now)
        policy.send()
        bucket.send(now)
        if waiting and waiting.call == call:
            self._step_out(waiting, now)
        return Slot(call, now)

    def expect(self, caller: str, call: Call, *, soon: float, now: float) -> float:
        """Stand in the line for a call that will most likely be needed, unless there is room by `soon`; give when."""
        at = self._opens(caller, call, now)
        return self._wait(caller, call, at, now) if at > soon else now

    def settle(self, slot: Slot, answer: Answer, now: float) -> None:
        """Count a call's answer and learn from it."""
        call = slot.call
        bucket = self._bucket(call, now)
        self._policy(call).settle(answer, sent=slot.sent, now=now)
        bucket.settle(answer.left.get(call.verb), now)
        if answer.blocked and answer.everywhere:
            bucket.empty(now)
            self._blocked[call.subscription] = max(self._blocked.get(call.subscription, 0.0), now + answer.blocked)

    def release(self, slot: Slot, now: float) -> None:
        """Take leave back that was not used."""
        self._policy(slot.call).take_back()
        self._bucket(slot.call, now).take_back()

    def leave(self, caller: str, now: float) -> None:
        """Give up the caller's place: it has got what it waited for, or waits no longer."""
        waiting = self._waiting.pop(caller, None)
        if waiting:
            self._step_out(waiting, now)

    def _step_out(self, waiting: _Waiting, now: float) -> None:
        if waiting.call:
            self._policy(waiting.call).line.leave(waiting.place)
            self._bucket(waiting.call, now).line.leave(waiting.place)
        waiting.call = None

    def _opens(self, caller: str, call: Call, now: float) -> float:
        """Give when a call may be sent: the front door is only asked for what the provider has room for."""
        waiting = self._waiting.get(caller)
        place = waiting.place if waiting else math.inf
        policy, bucket = self._policy(call), self._bucket(call, now)
        at = max(policy.opens(policy.line.ahead(place, now), now), self._blocked.get(call.subscription, now))
        return at if at > now else bucket.opens(bucket.line.ahead(place, now), now)

    def _wait(self, caller: str, call: Call, at: float, now: float) -> float:
        """Stand in the line of the policy, and in that of the front door where only that is in the way."""
        if not caller:
            return at
        if caller not in self._waiting:
            self._places += 1
            self._waiting[caller] = _Waiting(self._places)
        waiting = self._waiting[caller]
        if waiting.call != call:
            self._step_out(waiting, now)
            waiting.call = call
        policy, bucket = self._policy(call), self._bucket(call, now)
        through = policy.opens(policy.line.ahead(waiting.place, now), now) <= now
        policy.line.join(waiting.place, at)
        (bucket.line.join(waiting.place, at) if through else bucket.line.leave(waiting.place))
        return at

    def _policy(self, call: Call) -> Policy:
        key = (call.subscription, call.policy or call.verb)
        if key not in self._policies:
            self._policies[key] = Policy(call.limits)
        return self._policies[key]

    def _bucket(self, call: Call, now: float) -> Bucket:
        key = (call.subscription, call.verb)
        if key not in self._buckets:
            self._buckets[key] = Bucket(*FRONT_DOOR[call.verb], now=now)
        return self._buckets[key]
