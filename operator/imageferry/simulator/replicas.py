"""Replication of a version, region by region.

Each region has a clock of its own that ends later than the operation: a finished operation never
means that a region is usable.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from imageferry.simulator.wire import Json


@dataclass(frozen=True, slots=True)
class Replica:
    """One region's copy: Replicating from `started`, at `ends` Completed or, with a `failure`, Failed."""

    region: str
    started: datetime
    ends: datetime
    failure: str | None = None

    def state(self, now: datetime) -> str:
        """`Replicating`, `Completed` or `Failed`."""
        if now < self.ends:
            return "Replicating"
        return "Completed" if self.failure is None else "Failed"

    def progress(self, now: datetime) -> int:
        """0 to 100; a failed copy stays below 100."""
        total = (self.ends - self.started).total_seconds()
        share = min(1.0, (now - self.started).total_seconds() / total) if total > 0 else 1.0
        if self.failure is not None:
            share *= 0.5
        return min(int(share * 100), 100 if now >= self.ends else 99)

    def summary(self, now: datetime) -> Json:
        """Render the entry of this region."""
        state = self.state(now)
        details = (self.failure or "") if state == "Failed" else ""
        return {"region": self.region, "state": state, "details": details, "progress": self.progress(now)}


def replication_status(replicas: Iterable[Replica], now: datetime) -> Json:
    """Render what `$expand=ReplicationStatus` adds."""
    summary = [replica.summary(now) for replica in replicas]
    states = {entry["state"] for entry in summary}
    if not states:
        aggregated = "Unknown"
    elif "Replicating" in states:
        aggregated = "InProgress"
    else:
        aggregated = "Failed" if "Failed" in states else "Completed"
    return {"aggregatedState": aggregated, "summary": summary}
