"""How long everything waits, in one place.

The figures fit Azure: a version takes about seven minutes to build and its operation
asks for a poll a minute (fact sheet, section 3.1). Against a simulator with a fast clock
`scaled` shortens all of them alike. What a user gives in seconds in a spec is never scaled.
"""

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Self


@dataclass(frozen=True, slots=True)
class Timing:
    """All waits of the operator."""

    settle: timedelta = timedelta(minutes=10)
    """How long every region has to stay Completed, in this process's own sight, before a deletion."""
    disbelief: timedelta = timedelta(minutes=5)
    """How long a 404 after an announced PUT, or a 200 after an announced DELETE, may be a stale cache."""
    building: timedelta = timedelta(seconds=60)
    """Between looks at a version that builds or replicates, at least."""
    building_most: timedelta = timedelta(minutes=30)
    """And at most, however long it takes."""
    stuck: timedelta = timedelta(hours=6)
    """How long a small replication may show no progress before it is reported (fact sheet, section 6)."""
    soon: timedelta = timedelta(seconds=3)
    """Between looks at something that takes seconds: a definition, a deletion."""
    awaiting: timedelta = timedelta(minutes=10)
    """Between looks while a person is awaited; the watch tells sooner when one acts."""
    awaiting_most: timedelta = timedelta(hours=1)
    """The same, when that takes long: many wait for days, and share their limits with those that move."""
    complete: timedelta = timedelta(hours=6)
    """Between looks at a migration that is complete."""
    stalled_first: timedelta = timedelta(minutes=5)
    stalled_most: timedelta = timedelta(minutes=60)
    """Looks at a stalled migration: after the first, then twice as long each time up to the most."""
    retry_first: timedelta = timedelta(seconds=5)
    retry_most: timedelta = timedelta(minutes=5)
    """The same for passing faults."""
    denied: timedelta = timedelta(minutes=10)
    """How long a 403 may be a role that still spreads."""
    compare: timedelta = timedelta(minutes=10)
    """Between LISTs of metadata that are compared with what the watch told."""
    shared: timedelta = timedelta(seconds=30)
    """How long an answer about a subscription (its regions, quotas, locks) serves all its migrations."""
    rate_window: timedelta = timedelta(hours=1)
    """In which `deletion.maxPerHour` counts."""
    snapshot: timedelta = timedelta(seconds=60)
    """How old a list of what uses a subscription's images may be."""
    report: timedelta = timedelta(minutes=5)
    """Between writes that report nothing but progress."""

    def scaled(self, speed: float) -> Self:
        """Return the same waits, `speed` times as short; what waits for Kubernetes and not for Azure stays."""
        shorter = {field.name: getattr(self, field.name) / speed for field in fields(self) if field.name != "compare"}
        return replace(self, **shorter)
