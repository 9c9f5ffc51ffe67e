"""A replication that does not move is said to be stuck: for people, and for nothing else.

Azure calls it no error, so nothing is repaired or given up, and the version is looked at as
before: the next sign of progress ends it. Since when nothing moved is read from the status
that was written before. Forged or lost, that hastens or delays this message, and no more.
"""

from collections.abc import Collection
from datetime import timedelta

from imageferry.api.status import Phase, RegionStatus
from imageferry.migration.pace import RESTING
from imageferry.migration.regions import EXTRA
from imageferry.migration.report import Standing, Summary
from imageferry.migration.steps import Case
from imageferry.migration.timing import Timing

GIGABYTES, REGIONS = 1024, 10
"""An image of so much more, or so many more regions, takes as long again."""


def patience(timing: Timing, *, size_gb: int, regions: int) -> timedelta:
    """Return how long a replication may stand still: longer for large images and for many regions."""
    return timing.stuck * (1 + size_gb / GIGABYTES + (regions - 1) / REGIONS)


def summary(case: Case, regions: Collection[RegionStatus]) -> Summary | None:
    """Return what to say of a replication of which no region has moved for too long; None for any other."""
    wanted = [region for region in regions if region.state != EXTRA]
    lagging = [region for region in wanted if region.state not in RESTING]
    moved = max((at for region in wanted if (at := region.last_progress_time or region.since)), default=case.now)
    source = case.migration.status.source
    allowed = patience(case.timing, size_gb=(source.size_gb if source else None) or 0, regions=len(wanted))
    if not lagging or case.now - moved < allowed:
        return None
    names = ", ".join(f"{region.name} ({region.state}, {region.progress or 0} %)" for region in lagging)
    message = (
        f"spec.version.targetRegions: no region has moved since {moved:%Y-%m-%dT%H:%M:%SZ}: {names}. Azure reports no "
        "error, and it is looked at as before; ask Azure's support, with the version's id, or go on waiting"
    )
    return Summary(Phase.STALLED, "ReplicationStuck", message, Standing.STUCK)
