"""What following a replication cost, and how soon each region's completion was seen, by the simulator's ledger."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imageferry.simulator import Entry, SimulatorServer

_IMAGES = re.compile("/images/([^/]+)", re.IGNORECASE)
GET, CREATE = "galleryImageVersions.get", "galleryImageVersions.createOrUpdate"


@dataclass(frozen=True, slots=True)
class Followed:
    """One migration's replication; times are the simulator's."""

    reads: int
    """From nothing until the look that saw the last region Completed, its whole pass included."""
    late: tuple[float, ...]
    """For each region, seconds from its completion until it was seen."""


def of(azure: SimulatorServer, name: str, regions: Sequence[str]) -> Followed:
    """Return what a migration cost that `manifests.migration` made, all regions of which were seen Completed.

    `regions` begins with the image's own. Each bears its part of what migrations share, such as looks at the gallery.
    """
    entries = azure.ledger.entries()
    own = [entry for entry in entries if _concerns(entry, name)]
    shared = sum(entry.method == "GET" and not _IMAGES.search(entry.resource_id) for entry in entries)
    begun = _published(azure, next(entry for entry in own if entry.operation == CREATE))
    looks = [entry.time for entry in own if entry.operation == GET]
    durations, completed = azure.cloud.durations, list[datetime]()
    for order, region in enumerate(regions):
        delay = durations.region_delay(region, home=not order, order=order)
        completed.append(begun + timedelta(seconds=durations.version_create + delay))
    seen = [next(look for look in looks if look >= at) for at in completed]
    later = [look for look in looks if look > max(seen)]
    until = min(later, default=datetime.max.replace(tzinfo=UTC))
    return Followed(
        sum(entry.method == "GET" and entry.time < until for entry in own)
        + math.ceil(shared / azure.ledger.count(CREATE)),
        tuple((look - at).total_seconds() for look, at in zip(seen, completed, strict=True)),
    )


def _published(azure: SimulatorServer, put: Entry) -> datetime:
    """Return when a version began to be built; the ledger's time of the call is a moment later."""
    profile = (azure.cloud.get(put.resource_id) or {})["properties"]["publishingProfile"]
    return datetime.fromisoformat(profile["publishedDate"])


def _concerns(entry: Entry, name: str) -> bool:
    """Whether a call was for this migration's image, definition or version."""
    found = _IMAGES.search(entry.resource_id)
    return found is not None and found[1].casefold() == name.casefold()
