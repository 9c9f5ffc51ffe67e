"""What of a status is worth writing.

A merge patch holds only what differs, so fields of a newer operator are left alone. A
change of nothing but progress is written now and then, not at every look: each write
wakes every watcher of the resource.
"""

from collections.abc import Mapping
from typing import Any

from imageferry.api.status import Status

Json = dict[str, Any]


def merge_patch(before: Status, after: Status) -> Json:
    """Return the JSON merge patch (RFC 7386) that turns the one into the other; empty when they are equal."""
    return _merge(before.wire(), after.wire())


def only_progress(before: Status, after: Status) -> bool:
    """Whether they differ in nothing but how far a replication is."""
    return _without_progress(before) == _without_progress(after)


def _merge(before: Mapping[str, Any], after: Mapping[str, Any]) -> Json:
    patch: Json = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if old == value:
            continue
        patch[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return patch


def _without_progress(status: Status) -> Status:
    if not status.replication:
        return status
    unmoved = {"progress": None, "details": None, "last_progress_time": None}
    regions = [region.model_copy(update=unmoved) for region in status.replication.regions]
    replication = status.replication.model_copy(
        update={"progress": 0, "expected_completion_time": None, "regions": regions}
    )
    return status.model_copy(update={"replication": replication})
