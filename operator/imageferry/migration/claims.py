"""Who may write when several migrations want the same thing: one writer a version, one build an image.

Everybody applies one rule to the same resources, so nothing is negotiated: one that moves
comes before one that stands, one that has begun before one that has not (and one that only
creates a gallery or a definition has not begun to build), then the older before the younger.
That order is total, so nobody waits in a circle. A migration that is suspended, planned,
stalled, failing, finished or deleted stands, and holds nothing up.

Where two slip through all the same (one was not heard of yet), Azure refuses the second
with a conflict: nothing is lost but a call.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any

from imageferry.api.resource import ImageMigration, InvalidResourceError, parse
from imageferry.api.spec import Mode
from imageferry.api.status import ActionName, ConditionStatus, Phase, ReceiptOutcome, Status
from imageferry.migration import absence, requests
from imageferry.migration.facts import What
from imageferry.migration.report import REPLICATED


class Claim(StrEnum):
    """What only one migration at a time may work with."""

    GALLERY = "gallery"
    DEFINITION = "definition"
    VERSION = "version"
    SOURCE = "source"


class Begun(IntEnum):
    """What a migration is at; the smaller goes first."""

    BUILDING = 0
    CREATING = 1
    """What is there for everybody once it is created: nothing of the image's."""
    NOTHING = 2


FOR_ALL = (ActionName.CREATE_GALLERY, ActionName.CREATE_DEFINITION)
"""What is there for everybody once one has created it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A migration as others need to know it; `ids` are case-folded ARM ids by claim."""

    uid: str
    key: str
    created: datetime
    ids: Mapping[Claim, str]
    moves: bool
    begun: Begun
    waits: bool
    """Whether it may be waiting for another one."""
    creates_gallery: bool
    known: frozenset[What] = frozenset()
    """What it tells to be there."""
    builds: bool = False
    """Whether Azure may be building its version from the image right now, whatever became of the resource."""
    creating: ActionName | None = None
    """What it has announced to create."""
    deleted_at: datetime | None = None
    """When it announced the deletion of its image, or saw it gone after that."""

    @property
    def rank(self) -> tuple[bool, Begun, datetime, str]:
        """Place in the order: the smallest goes first."""
        return (not self.moves, self.begun, self.created, self.uid)

    def lets_go(self, now: "Peer | None") -> bool:
        """Whether those that waited for it may go on, now that it is like this (None: gone)."""
        if not self.moves:
            return False
        if now is None or not now.moves or now.rank > self.rank:
            return True
        return self.creating in FOR_ALL and now.creating is not self.creating


def read(body: Mapping[str, Any]) -> Peer | None:
    """Return what others need to know; None when it cannot be read, and so does not move."""
    try:
        return of(parse(body))
    except InvalidResourceError:
        return None


def of(migration: ImageMigration) -> Peer:
    """Return what others need to know of a migration."""
    spec = migration.spec
    return Peer(
        uid=migration.metadata.uid,
        key=migration.key,
        created=migration.metadata.creation_timestamp or datetime.min.replace(tzinfo=UTC),
        ids={
            Claim.SOURCE: spec.source.managed_image_id.casefold(),
            Claim.GALLERY: spec.gallery.id.casefold(),
            Claim.DEFINITION: requests.definition_id(migration).casefold(),
            Claim.VERSION: requests.version_id(migration).casefold(),
        },
        moves=_moves(migration),
        begun=_begun(migration.status),
        waits=migration.status.phase is Phase.PENDING,
        creates_gallery=spec.gallery.create is not None,
        known=absence.known(migration.status),
        builds=_builds(migration),
        creating=migration.status.operation.action if migration.status.operation else None,
        deleted_at=_deleted_at(migration),
    )


def known_to(peers: Iterable[Peer], what: What, migration: ImageMigration) -> bool:
    """Whether another migration tells that the resource which this one wants is there."""
    claim = Claim(what)
    mine = of(migration).ids[claim]
    return any(what in peer.known and peer.ids[claim] == mine for peer in peers)


def holder(claim: Claim, migration: ImageMigration, peers: Iterable[Peer]) -> Peer | None:
    """Return the migration that comes first, if that is another one."""
    me = of(migration)
    wants_gallery = claim is Claim.GALLERY
    before = (
        peer
        for peer in peers
        if peer.uid != me.uid
        and peer.moves
        and peer.ids[claim] == me.ids[claim]
        and peer.rank < me.rank
        and (peer.creates_gallery or not wants_gallery)
    )
    return min(before, key=lambda peer: peer.rank, default=None)


def _moves(migration: ImageMigration) -> bool:
    """Whether it may still write to Azure before a person is needed."""
    status, spec = migration.status, migration.spec
    if migration.metadata.deletion_timestamp or spec.suspend or spec.mode is Mode.PLAN:
        return False
    if status.phase is Phase.STALLED or status.error or status.receipt:
        return False
    replicated = any(c.type == REPLICATED and c.status is ConditionStatus.TRUE for c in status.conditions)
    deleting = status.operation is not None and status.operation.action is ActionName.DELETE_IMAGE
    return not replicated or (status.operation is not None and not deleting)


def _begun(status: Status) -> Begun:
    if status.operation is not None:
        return Begun.CREATING if status.operation.action in FOR_ALL else Begun.BUILDING
    return Begun.BUILDING if status.phase in (Phase.CREATING, Phase.REPLICATING) else Begun.NOTHING


def _builds(migration: ImageMigration) -> bool:
    status = migration.status
    asked = status.operation is not None and status.operation.action is ActionName.CREATE_VERSION
    return not status.receipt and (asked or status.phase in (Phase.CREATING, Phase.REPLICATING))


def _deleted_at(migration: ImageMigration) -> datetime | None:
    status = migration.status
    if status.operation and status.operation.action is ActionName.DELETE_IMAGE:
        return status.operation.requested_at
    receipt = status.receipt
    return receipt.at if receipt and receipt.outcome is ReceiptOutcome.DELETED else None
