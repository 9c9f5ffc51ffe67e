"""When to look again at a version that replicates, and when it will be done.

A build of seven minutes and a replication of six hours are followed by the same rule:
a share of what is left at the pace so far, never more often than once a minute. So the looks
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


def _at_least(region: RegionStatus, now: datetime) -> timedelta | None:
    """Return what a region needs if Azure's whole percent was just about to turn."""
    if remaining(region, now) is None or not region.since:
        return None
    percent = (region.progress or 0) + 1
    return max(now - region.since, timedelta()) * ((100 - percent) / percent)


def next_look(regions: Iterable[RegionStatus], now: datetime, timing: Timing) -> timedelta:
    """Return how long to wait: a share of what the next region needs, or half of what passed without a sign."""
    lagging = [region for region in regions if region.state not in RESTING]
    known = [time for time in (_at_least(region, now) for region in lagging) if time is not None]
    if known:
        return min(max(min(known) * SHARE, timing.building), timing.building_most)
    passed = [now - region.since for region in lagging if region.since]
    return min(max(min(passed, default=timedelta()) / 2, timing.building), timing.building * 5)
