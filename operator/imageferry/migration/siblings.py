"""Other migrations of the same managed image, read from their resources."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from imageferry.api.resource import ImageMigration, InvalidResourceError, parse
from imageferry.api.spec import DeletionPolicy
from imageferry.api.status import ConditionStatus
from imageferry.migration import identity, verification
from imageferry.migration.facts import Sibling
from imageferry.migration.report import REPLICATED


def of(migration: ImageMigration, bodies: Iterable[Mapping[str, Any]], *, now: datetime) -> tuple[Sibling, ...]:
    """Return the siblings among all resources; one that cannot be read blocks, as nobody knows what it needs."""
    found = (_sibling(migration, body, now) for body in bodies)
    return tuple(sibling for sibling in found if sibling)


def _sibling(migration: ImageMigration, body: Mapping[str, Any], now: datetime) -> Sibling | None:
    metadata = body["metadata"]
    source = _source(body)
    other = metadata["uid"] != migration.metadata.uid and not metadata.get("deletionTimestamp")
    if not other or not identity.same_id(source, migration.spec.source.managed_image_id):
        return None
    try:
        return _read(parse(body), now)
    except InvalidResourceError:
        key = f"{metadata['namespace']}/{metadata['name']}"
        return Sibling(key, retains=False, finished=False, replicated=False, verified=False)


def _source(body: Mapping[str, Any]) -> str:
    """Return the image that a resource names, whatever else is wrong with it."""
    spec = body.get("spec")
    source = spec.get("source") if isinstance(spec, Mapping) else None
    return str(source.get("managedImageId", "")) if isinstance(source, Mapping) else ""


def _read(other: ImageMigration, now: datetime) -> Sibling:
    status = other.status
    return Sibling(
        key=other.key,
        retains=other.spec.source_deletion.policy is DeletionPolicy.RETAIN,
        finished=status.receipt is not None,
        replicated=any(c.type == REPLICATED and c.status is ConditionStatus.TRUE for c in status.conditions),
        verified=verification.stands(other, now=now),
    )
