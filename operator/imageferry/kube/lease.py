"""When a Lease may be taken, and what is written into it.

Pure: no I/O and no clock. A record of another holder is judged by one thing alone: how long
this process has seen it unchanged, by a monotonic clock of its own. The times in a record are
of another machine's clock and are for people.

The same rule serves a Lease that is not there. Somebody may have deleted it under a holder
that has not noticed yet, so it has to be missing for as long as a holder could believe in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

Record = Mapping[str, Any]
"""A Lease (coordination.k8s.io/v1) as the API server gave it."""

NAME = "imageferry"
API_VERSION = "coordination.k8s.io/v1"
RELEASED_SECONDS = 1
"""leaseDurationSeconds of a Lease that was given up, as client-go writes it: 0 is not valid."""


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """Seconds. A holder stops believing after `renew`, others wait for `lease`: the difference forgives slow clocks."""

    lease: int = 15
    renew: float = 10.0
    retry: float = 2.0

    @classmethod
    def of(cls, seconds: int) -> Self:
        """Return the timing of another lease duration, in the same proportions."""
        return cls(lease=seconds, renew=seconds * 2 / 3, retry=seconds * 2 / 15)

    @property
    def request(self) -> float:
        """How long one request may take: several fit into `renew`."""
        return self.renew / 3


@dataclass(frozen=True, slots=True)
class Sight:
    """A record, or that there is none, and since when this process has seen it just so."""

    record: Record | None
    since: float


def sight(before: Sight | None, record: Record | None, now: float) -> Sight:
    """Return what is seen now; any write to the Lease starts its time anew."""
    if before and _version(before.record) == _version(record):
        return before
    return Sight(record, now)


def takeable_at(seen: Sight, me: str, timing: LeaseTiming) -> float:
    """Return from when on a candidate may take it, if it stays as it is."""
    if seen.record is None:
        return seen.since + timing.lease
    if holder(seen.record) in ("", me):
        return seen.since
    return seen.since + (_spec(seen.record).get("leaseDurationSeconds") or timing.lease)


def holder(record: Record) -> str:
    """Return who holds it; empty when nobody does."""
    return str(_spec(record).get("holderIdentity") or "")


def taken(record: Record | None, me: str, timing: LeaseTiming, wall: datetime) -> Record:
    """Return the record with this holder, new or renewed; all else in it stays, resourceVersion included."""
    now = f"{wall.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    before = _spec(record) if record else {}
    spec = before | {"holderIdentity": me, "leaseDurationSeconds": timing.lease, "renewTime": now}
    if record is None:
        spec |= {"acquireTime": now, "leaseTransitions": 0}
        return {"apiVersion": API_VERSION, "kind": "Lease", "metadata": {"name": NAME}, "spec": spec}
    if holder(record) != me:
        spec |= {"acquireTime": now, "leaseTransitions": (before.get("leaseTransitions") or 0) + 1}
    return {**record, "spec": spec}


def given_up(record: Record) -> Record:
    """Return the record without a holder, so that the next one need not wait."""
    return {**record, "spec": {**_spec(record), "holderIdentity": "", "leaseDurationSeconds": RELEASED_SECONDS}}


def _spec(record: Record) -> dict[str, Any]:
    return record.get("spec") or {}


def _version(record: Record | None) -> tuple[str, str] | None:
    return (record["metadata"]["uid"], record["metadata"]["resourceVersion"]) if record else None
