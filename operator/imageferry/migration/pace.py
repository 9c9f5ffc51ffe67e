"""When to look again at a version that replicates, and when it will be done.

A build of seven minutes and a replication of six hours are followed by the same rule. A region
takes at least a share of what is left at its pace so far, and may be seen a minute late: so the next look
is a minute after that share, or when the region should be done, never sooner than in a minute. The looks
lie close together only around a completion, and a long replication costs tens of calls.
Azure tells whole percents and its pace varies, hence a share: the next estimate is better.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from imageferry.api.status import RegionStatus
from imageferry.migration.regions import COMPLETED, EXTRA, FAILED
from imageferry.migration.timing import Timing

SHARE = 0.6
"""Of the time that is left at least: the pace varies."""
RESTING = frozenset({COMPLETED, EXTRA, FAILED})


def remaining(region: RegionStatus, now: datetime) -> timedelta | None:
    """Return how long a region needs at its pace so far; None while it has shown none."""
    if region.state in RESTING or not region.progress or not region.since:
        return None
    elapsed = max(now - region.since, timedelta())
    return elapsed * ((100 - region.progress) / region.progress)


def expected(regions: Iterable[RegionStatus], now: datetime) -> datetime | None:
    """Return when the last region is expected to be Completed; None while one has not shown a pace."""
    lagging = [remaining(region, now) for region in regions if region.state not in RESTING]
    known = [time for time in lagging if time is not None]
    if not known or len(known) < len(lagging):
        return None
    return (now + max(known)).replace(microsecond=0)


def _wait(region: RegionStatus, now: datetime, timing: Timing) -> timedelta | None:
    """Return after how long to look at a region: at least, it needs what it would if its percent was about to turn."""
    left = remaining(region, now)
    if left is None or not region.since:
        return None
    percent = (region.progress or 0) + 1
    at_least = max(now - region.since, timedelta()) * ((100 - percent) / percent)
    return min(left, at_least * SHARE + timing.building)


def next_look(regions: Iterable[RegionStatus], now: datetime, timing: Timing) -> timedelta:
    """Return how long to wait, for the region that comes next; half of what passed while none gave a sign."""
    lagging = [region for region in regions if region.state not in RESTING]
    known = [wait for wait in (_wait(region, now, timing) for region in lagging) if wait is not None]
    if known:
        return min(max(min(known), timing.building), timing.building_most)
    passed = [now - region.since for region in lagging if region.since]
    return min(max(min(passed, default=timedelta()) / 2, timing.building), timing.building * 5)
