"""The time that Azure's limits allow for many migrations of one subscription and region, at best.

A schedule of the calls that a migration needs at least, each at the earliest instant at which the published limits
have room (fact sheet, section 10), first come first served, by a client that costs no time and guesses right. No
client can be faster. The limits are written here once more: a mistake of the operator's must not count as allowed.
"""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

WINDOWS = {
    "galleryImages.get": ((600, 180.0), (3000, 1800.0)),
    "galleryImages.createOrUpdate": ((150, 180.0), (750, 1800.0)),
    "galleryImageVersions.get": ((2000, 180.0), (10_000, 1800.0)),
    "galleryImageVersions.createOrUpdate": ((375, 180.0), (1200, 1800.0)),
}
"""Calls within any stretch of so many seconds."""
BUCKETS = {
    "reads": (250, 25.0),
    "writes": (200, 10.0),
    "images.get": (360, 6.0),
    "images.delete": (120, 2.0),
    "deletes": (200, 10.0),
}
"""Tokens and refill a second; `reads`, `writes` and `deletes` are the front door's, for one principal."""
VERBS = {"get": "reads", "createOrUpdate": "writes", "delete": "deletes"}


@dataclass(frozen=True, slots=True)
class Step:
    """One call, and how many seconds after the one before it at the earliest."""

    operation: str
    after: float = 0.0


def migration(*, definition: float, replicated: float) -> tuple[Step, ...]:
    """Return the calls from nothing to Replicated: what is built from and that it is not there, twice a PUT, the end.

    `definition` and `replicated` are how long Azure takes over the one and over the other. That the gallery is there
    has to be seen once for all.
    """
    return (
        Step("images.get"),
        Step("galleryImageVersions.get"),
        Step("galleryImages.get"),
        Step("galleryImages.createOrUpdate"),
        Step("galleryImages.get", definition),
        Step("galleryImageVersions.createOrUpdate"),
        Step("galleryImageVersions.get", replicated),
    )


def schedule(migrations: int, steps: Sequence[Step]) -> list[float]:
    """Return, for each step, when the last migration's call may be sent, if all begin at 0."""
    meters: dict[str, list[_Window | _Bucket]] = {}
    last, due = [0.0] * len(steps), [(0.0, number, 0) for number in range(migrations)]
    while due:
        ready, number, index = heapq.heappop(due)
        operation = steps[index].operation
        if operation not in meters:
            shared = meters.setdefault(VERBS[operation.rpartition(".")[2]], list(_door(operation)))
            meters[operation] = [*_own(operation), *shared]
        at = max((each.opens(ready) for each in meters[operation]), default=ready)
        if at > ready:
            heapq.heappush(due, (at, number, index))
            continue
        for each in meters[operation]:
            each.take(ready)
        last[index] = max(last[index], ready)
        if index + 1 < len(steps):
            heapq.heappush(due, (ready + steps[index + 1].after, number, index + 1))
    return last


@dataclass(slots=True)
class _Window:
    calls: int
    span: float
    times: deque[float] = field(default_factory=deque)

    def opens(self, now: float) -> float:
        return max(now, self.times[-self.calls] + self.span) if len(self.times) >= self.calls else now

    def take(self, now: float) -> None:
        self.times.append(now)


@dataclass(slots=True)
class _Bucket:
    size: int
    rate: float
    level: float = float("inf")
    at: float = 0.0

    def opens(self, now: float) -> float:
        level = min(self.size, self.level + (now - self.at) * self.rate)
        return now if level >= 1 - 1e-9 else now + (1 - level) / self.rate

    def take(self, now: float) -> None:
        self.level = min(self.size, self.level + (now - self.at) * self.rate) - 1
        self.at = now


def _own(operation: str) -> Iterator[_Window | _Bucket]:
    for calls, span in WINDOWS.get(operation, ()):
        yield _Window(calls, span)
    if operation in BUCKETS:
        yield _Bucket(*BUCKETS[operation])


def _door(operation: str) -> Iterator[_Window | _Bucket]:
    yield _Bucket(*BUCKETS[VERBS[operation.rpartition(".")[2]]])
