"""Azure's limits: how much is left, and with `rules.throttling` the refusal of what is beyond.

Gallery operations have sliding windows of 3 and 30 minutes, images a token bucket that refills within a minute; both
count per subscription and region. The gateway has token buckets per caller and subscription and per subscription. A
refused call costs nothing, but it begins a block: until it ends all calls of that limit are refused, and each of them
makes it longer. Without throttling the same numbers are counted and told, and nothing is refused.
"""

import json
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from imageferry.simulator.settings import Rules
from imageferry.simulator.wire import Answered, ArmError, timestamp

_PREFIX = "x-ms-ratelimit-remaining"
_WINDOWS = {
    "galleries.get": ("GetGallery", 350, 2500),
    "galleries.createOrUpdate": ("CreateUpdateGallery", 50, 300),
    "galleries.update": ("CreateUpdateGallery", 50, 300),
    "galleries.delete": ("DeleteGallery", 50, 300),
    "galleries.list": ("ListGalleryInResourceGroup", 100, 1000),
    "galleryImages.get": ("GetGalleryImage", 600, 3000),
    "galleryImages.createOrUpdate": ("CreateUpdateGalleryImage", 150, 750),
    "galleryImages.update": ("CreateUpdateGalleryImage", 150, 750),
    "galleryImages.delete": ("DeleteGalleryImage", 50, 300),
    "galleryImages.list": ("ListGalleryImagesInGallery", 1500, 10_000),
    "galleryImageVersions.get": ("GetGalleryImageVersion", 2000, 10_000),
    "galleryImageVersions.createOrUpdate": ("CreateUpdateGalleryImageVersion", 375, 1200),
    "galleryImageVersions.update": ("CreateUpdateGalleryImageVersion", 375, 1200),
    "galleryImageVersions.delete": ("DeleteGalleryImageVersion", 150, 1000),
    "galleryImageVersions.list": ("ListGalleryImageVersionsInGalleryImage", 1500, 10_000),
    "capsOperations.get": ("GetOperationStatus", 5000, 15_000),
}
_BUCKETS = {
    "images.get": (("GetImagesSubscriptionMaximum", 360),),
    "images.createOrUpdate": (("CreateImagesSubscriptionMaximum", 60),),
    "images.update": (("CreateImagesSubscriptionMaximum", 60),),
    "images.delete": (("DeleteImagesSubscriptionMaximum", 120),),
    "images.list": (("HighCostGetImagesSubscriptionMaximum", 90),),
    "operations.get": (("GetOperationResource", 60), ("GetOperationSubscriptionMaximum", 15_000)),
}
_GATEWAY = {"reads": (250, 25), "writes": (200, 10), "deletes": (200, 10)}
_GLOBAL_FACTOR = 15
_EXTENSION = 1.0
"""Seconds that a call within a block adds to it."""


class Throttled(ArmError):  # noqa: N818 -- an answer of Azure's, as its parent is
    """429 as Compute writes it: the outer code says little, `details` names the limit and the end of the block."""

    def __init__(self, name: str, *, limit: int, now: datetime, wait: int) -> None:
        message = "The server rejected the request because too many requests have been received for this subscription."
        super().__init__(429, "OperationNotAllowed", message, headers={"Retry-After": str(wait)})
        self._detail = {
            "operationGroup": name,
            "startTime": timestamp(now),
            "endTime": timestamp(now + timedelta(seconds=wait)),
            "allowedRequestCount": limit,
            "measuredRequestCount": limit + 1,
        }

    def answer(self) -> Answered:
        """Render the envelope with its details."""
        plain = super().answer()
        name = self._detail["operationGroup"]
        detail = {"code": "TooManyRequests", "target": name, "message": json.dumps(self._detail)}
        inner = {"internalErrorCode": "TooManyRequestsReceived"}
        error = {**(plain.body or {})["error"], "details": [detail], "innererror": inner}
        return Answered(plain.status, {"error": error}, headers=plain.headers)


def _refused_by_gateway(method: str, subscription: str, wait: int) -> ArmError:
    message = (
        f"Number of requests for subscription '{subscription}' and operation '{method}/SUBSCRIPTIONS/RESOURCEGROUPS/"
        f"PROVIDERS/MICROSOFT.COMPUTE/' exceeded the backend storage limit. Please try again after '{wait}' seconds."
    )
    headers = {"Retry-After": str(wait)}
    return ArmError(429, "SubscriptionRequestsThrottled", message, gateway=True, headers=headers)


@dataclass(slots=True)
class _Window:
    """A sliding window."""

    name: str
    limit: int
    span: float
    blocked: float = -math.inf
    times: deque[float] = field(default_factory=deque)

    def left(self, now: float) -> int:
        while self.times and self.times[0] <= now - self.span:
            self.times.popleft()
        return self.limit - len(self.times)

    def take(self, now: float) -> None:
        self.times.append(now)

    def wait(self, now: float) -> float:
        return self.times[-self.limit] + self.span - now if 0 < self.limit <= len(self.times) else self.span


@dataclass(slots=True)
class _Bucket:
    """A token bucket."""

    name: str
    limit: int
    rate: float
    blocked: float = -math.inf
    level: float = math.inf
    at: float = 0.0

    def left(self, now: float) -> int:
        self.level = min(float(self.limit), self.level + (now - self.at) * self.rate)
        self.at = now
        return math.floor(self.level)

    def take(self, now: float) -> None:
        self.level = max(0.0, self.level - 1)
        self.at = now

    def wait(self, now: float) -> float:
        self.left(now)
        return (1 - self.level) / self.rate


_Meter = _Window | _Bucket


class Limits:
    """Counts calls; thread-safe."""

    def __init__(self, clock: Callable[[], datetime], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._monotonic = monotonic
        self._meters: dict[tuple[str, ...], _Meter] = {}
        self._follows: bool | None = None

    def enter(self, method: str, subscription: str, identity: str, rules: Rules) -> dict[str, str]:
        """Count a call at the gateway; gives the headers that tell what is left, ArmError when it is refused."""
        verb = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")
        capacity, rate = _GATEWAY[verb]
        with self._lock:
            now = self._now(rules)
            own = self._bucket((subscription, identity), verb, rules.limits.get(verb, capacity), rate)
            size = rules.limits.get(f"global-{verb}", capacity * _GLOBAL_FACTOR)
            shared = self._bucket((subscription,), f"global-{verb}", size, rate * _GLOBAL_FACTOR)
            full = self._refusing((own, shared), now) if rules.throttling else None
            if full is not None:
                raise _refused_by_gateway(method, subscription, self._block(full, now))
            return {f"{_PREFIX}-subscription-{each.name}": str(self._take(each, now)) for each in (own, shared)}

    def provide(self, operation: str, subscription: str, region: str, rules: Rules) -> dict[str, str]:
        """Count a call at the provider; as `enter`."""
        with self._lock:
            now = self._now(rules)
            meters = self._policies(operation, (subscription, region), rules)
            full = self._refusing(meters, now) if rules.throttling else None
            if full is not None:
                wait = self._block(full, now)
                raise Throttled(full.name, limit=full.limit, now=self._clock().astimezone(UTC), wait=wait)
            told = ",".join(f"Microsoft.Compute/{each.name};{self._take(each, now)}" for each in meters)
            return {f"{_PREFIX}-resource": told} if told else {}

    def _now(self, rules: Rules) -> float:
        """Give the time that limits follow; everything is counted anew when that is another one than before."""
        if self._follows is not rules.limits_follow_clock:
            self._follows = rules.limits_follow_clock
            self._meters.clear()
        return self._clock().timestamp() if rules.limits_follow_clock else self._monotonic()

    def _policies(self, operation: str, place: tuple[str, ...], rules: Rules) -> tuple[_Meter, ...]:
        if operation in _WINDOWS:
            name, short, long = _WINDOWS[operation]
            spans = ((f"{name}3Min", short, 180.0), (f"{name}30Min", long, 1800.0))
            return tuple(self._window(place, each, rules.limits.get(each, size), span) for each, size, span in spans)
        buckets = _BUCKETS.get(operation, ())
        return tuple(self._bucket(place, name, rules.limits.get(name, size), size / 60) for name, size in buckets)

    def _window(self, place: tuple[str, ...], name: str, limit: int, span: float) -> _Meter:
        meter = self._meters.setdefault((*place, name), _Window(name, limit, span))
        meter.limit = limit
        return meter

    def _bucket(self, place: tuple[str, ...], name: str, limit: int, rate: float) -> _Meter:
        meter = self._meters.setdefault((*place, name), _Bucket(name, limit, rate))
        meter.limit = limit
        return meter

    @staticmethod
    def _refusing(meters: tuple[_Meter, ...], now: float) -> _Meter | None:
        return next((each for each in meters if each.blocked > now or each.left(now) < 1), None)

    @staticmethod
    def _block(meter: _Meter, now: float) -> int:
        """Begin a block, or make it longer; gives its whole seconds from now on."""
        ends = meter.blocked + _EXTENSION if meter.blocked > now else now + meter.wait(now)
        wait = max(1, math.ceil(ends - now))
        meter.blocked = now + wait
        return wait

    @staticmethod
    def _take(meter: _Meter, now: float) -> int:
        meter.left(now)
        meter.take(now)
        return max(0, meter.left(now))
