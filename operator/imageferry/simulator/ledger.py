"""What was asked and what it changed, so that a test counts effects and proves "at most once".

Invariant: an entry stands here before the answer leaves, and also when the answer never arrives.
"""

import threading
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any


class Effect(StrEnum):
    """What a request changed."""

    CREATED = "created"
    UPDATED = "updated"
    ACCEPTED = "accepted"
    """A delete that was accepted."""
    REFUSED = "refused"
    NONE = "none"
    """A mutation without effect: nothing to delete, already being deleted, or cut before its effect."""
    READ = "read"


EFFECTIVE = frozenset({Effect.CREATED, Effect.UPDATED, Effect.ACCEPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One ARM request. `status` is what the answer says or would have said; 0 when it was cut before the effect."""

    seq: int
    time: datetime
    identity: str
    method: str
    operation: str
    resource_id: str
    api_version: str
    status: int
    effect: Effect
    correlation_id: str
    body: dict[str, Any] | None = field(default=None, repr=False)
    answered: bool = True


class Ledger:
    """All requests in the order of their effects; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self._seq = 0

    def next_seq(self) -> int:
        """Give the number of a request that has just arrived."""
        with self._lock:
            self._seq += 1
            return self._seq

    def add(self, entry: Entry) -> None:
        """Record a request."""
        with self._lock:
            self._entries.append(entry)

    def mark(self) -> int:
        """Give a position to be used as `since`: entries recorded from now on."""
        with self._lock:
            return len(self._entries)

    def clear(self) -> None:
        """Forget all entries; marks taken before are void."""
        with self._lock:
            self._entries.clear()

    def entries(
        self,
        operation: str = "*",
        *,
        effect: Effect | str | None = None,
        identity: str | None = None,
        resource: str = "",
        since: int = 0,
    ) -> list[Entry]:
        """Give the entries whose operation matches, oldest first; `resource` is a part of the id, in any case."""
        wanted = resource.casefold()
        with self._lock:
            recorded = self._entries[since:]
        return [
            entry
            for entry in recorded
            if fnmatchcase(entry.operation, operation)
            and (effect is None or entry.effect == effect)
            and (identity is None or entry.identity == identity)
            and wanted in entry.resource_id.casefold()
        ]

    def mutations(self, operation: str = "*", *, resource: str = "", since: int = 0) -> list[Entry]:
        """Give the entries that changed something: created, updated, or a delete that was accepted."""
        found = self.entries(operation, resource=resource, since=since)
        return [entry for entry in found if entry.effect in EFFECTIVE]

    def count(
        self, operation: str = "*", *, effect: Effect | str | None = None, resource: str = "", since: int = 0
    ) -> int:
        """Count entries as `entries` finds them."""
        return len(self.entries(operation, effect=effect, resource=resource, since=since))
