"""What `decide` may answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from imageferry.api.resource import ImageMigration
from imageferry.api.status import ActionName, AzureIdentity, Status
from imageferry.migration import absence, claims
from imageferry.migration.claims import Peer
from imageferry.migration.facts import Completion, Facts, What
from imageferry.migration.requests import Action
from imageferry.migration.scopes import Scopes
from imageferry.migration.timing import Timing


@dataclass(frozen=True, slots=True)
class Look:
    """Look at this and decide again."""

    what: What


@dataclass(frozen=True, slots=True)
class Act:
    """Announce this in the status, then do it, then look again."""

    action: Action
    status: Status
    attempt: int
    completion: Completion | None = None


class Pace(Enum):
    """When to look again, where that depends on how often it was looked before."""

    STALLED = "stalled"
    """Ever more rarely, but for ever."""
    NEVER = "never"
    """Not before the resource changes."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Write this status and look again later."""

    status: Status
    after: timedelta | Pace
    completion: Completion | None = None


Step: TypeAlias = Look | Act | Wait


@dataclass(frozen=True, slots=True)
class Brake:
    """The operator's global brake on deletions."""

    enabled: bool = True
    reaps: bool = True
    """Whether the operator has an identity to delete with."""
    most: int | None = None
    """Deletions within the window; None: any number."""
    deletions: tuple[datetime, ...] = ()
    """When other migrations' images were deleted lately."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision needs besides the resource and the facts."""

    now: datetime
    timing: Timing
    cluster: str
    completion: Completion | None = None
    """What this process remembers of the migration from earlier passes."""
    operation_since: datetime | None = None
    """When this process first saw the announcement that is open now. Clocks of others do not count."""
    missing_since: Mapping[What, datetime] = field(default_factory=dict)
    """Since when this process has seen nothing but 404 of what is known to be there."""
    peers: tuple[Peer, ...] = ()
    """Other migrations that share an image, a gallery, a definition or a version with this one."""
    brake: Brake = field(default_factory=Brake)
    gap: str | None = None
    """What is missing for the API server to see to it who verifies; None when it does."""
    scopes: Scopes = field(default_factory=Scopes)
    identity: AzureIdentity | None = None
    """Who this process is in Azure; None before its first token. Only receipts tell of it."""
    correlation_id: str | None = None
    """Azure's, of the open announcement's call; None when this process has not sent it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One migration with what was seen of it."""

    migration: ImageMigration
    facts: Facts
    context: Context

    @property
    def now(self) -> datetime:
        """The time of the decision."""
        return self.context.now

    @property
    def timing(self) -> Timing:
        """How long things wait."""
        return self.context.timing

    @property
    def soon(self) -> timedelta:
        """How long until the next look for what should show: seconds, or half of what passed without it."""
        begun = [since for since in (self.context.operation_since, *self.context.missing_since.values()) if since]
        passed = self.now - min(begun, default=self.now)
        return min(max(passed / 2, self.timing.soon), self.timing.building)

    def announced(self, name: ActionName) -> bool:
        """Whether this was announced so recently that its effect may not show yet."""
        operation, since = self.migration.status.operation, self.context.operation_since
        if operation is None or operation.action is not name or since is None:
            return False
        return self.now - since < self.timing.disbelief

    def knows(self, what: What) -> bool:
        """Whether this migration's own status tells that this is there or was requested."""
        return what in absence.known(self.migration.status)

    def hears_of(self, what: What) -> bool:
        """Whether its own status or that of another migration tells it."""
        return self.knows(what) or claims.known_to(self.context.peers, what, self.migration)

    def doubts(self, what: What, *, others: bool = False) -> bool:
        """Whether a 404 of what it knows (or, with `others`, hears of) may come from a cache: it has not lasted."""
        since = self.context.missing_since.get(what)
        lasted = since is not None and self.now - since >= self.timing.disbelief
        return not lasted and (self.hears_of(what) if others else self.knows(what))

    def next_attempt(self, name: ActionName) -> int:
        """Return how often this will have been announced, the coming time included."""
        operation = self.migration.status.operation
        return operation.attempt + 1 if operation and operation.action is name else 1
