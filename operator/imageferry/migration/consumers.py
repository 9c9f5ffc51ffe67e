"""What in Azure still needs a managed image, as far as it can be seen.

A machine that is there needs it no more: its disks are full copies. One that is being
made does, and so does a scale set whose model names the image, as it makes another
machine at any time (fact sheet, section 7).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from imageferry.api.resource import ImageMigration
from imageferry.api.status import CONSUMERS, ConsumerStatus
from imageferry.migration.claims import Claim, Peer
from imageferry.migration.facts import Consumer, Consumers

UNSEEN_KINDS = "Batch pools, Image Builder and deployment templates cannot be seen"
NAMED = 3
"""So many are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All consumers in a subscription, by the case-folded id of their image, and the rights that were missing."""

    by_image: Mapping[str, tuple[Consumer, ...]] = field(default_factory=dict)
    missing_rights: tuple[str, ...] = ()

    def of(self, image_id: str) -> Consumers:
        """Return those of one image."""
        return Consumers(self.by_image.get(image_id.casefold(), ()), self.missing_rights)


def builds(migration: ImageMigration, peers: Iterable[Peer]) -> tuple[Consumer, ...]:
    """Return the versions that other migrations of this operator are building from the same image."""
    image = migration.spec.source.managed_image_id.casefold()
    building = (peer for peer in peers if peer.builds and peer.ids[Claim.SOURCE] == image)
    return tuple(Consumer(peer.ids[Claim.VERSION], "ImageVersion") for peer in building)


def named(using: Iterable[Consumer]) -> str:
    """Return how many there are, and the first of them."""
    ids = sorted(each.id for each in using)
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    return f"{', '.join(ids[:NAMED])}{more}"


def statuses(using: Iterable[Consumer]) -> list[ConsumerStatus] | None:
    """Return the first of them as the status shows them; None when there are none."""
    ordered = sorted(using, key=lambda each: (each.kind, each.id))[:CONSUMERS]
    return [ConsumerStatus(id=each.id[:500], kind=each.kind) for each in ordered] or None
