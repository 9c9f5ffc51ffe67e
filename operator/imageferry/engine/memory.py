"""What this process remembers of a migration between passes; a restart forgets it without harm."""

from dataclasses import dataclass, field
from datetime import datetime

from imageferry.api.status import ActionName, Operation
from imageferry.migration.facts import Completion, What
from imageferry.migration.failures import History
from imageferry.migration.transitions import Notice

PROGRESS = frozenset({"Replicated", "Verified", "ProofChanged", "Expired", "Suspended", "Resumed", "Completed"})


@dataclass(slots=True)
class Memory:
    """One migration's."""

    completion: Completion | None = None
    history: History = field(default_factory=History)
    stalls: int = 0
    unreached: int = 0
    """Passes in a row that found no API server."""
    operation: tuple[str, datetime] | None = None
    """The open announcement, and when this process first saw it."""
    missing_since: dict[What, datetime] = field(default_factory=dict)
    """Since when Azure has denied what is known to be there, without a break."""
    answered: tuple[str, str | None] | None = None
    """The announcement whose call Azure answered last, and Azure's correlation id."""
    asked_at: str | None = None
    """The last token of somebody who asked for a pass."""
    failed: ActionName | None = None
    """The mutation that failed when it was last sent: it is announced again while the status tells of the failure."""
    told: set[Notice] = field(default_factory=set)
    """Events since the last progress; none is repeated."""
    reported_at: datetime | None = None
    """When a status was last written, or first seen: progress alone is reported now and then."""

    def since(self, operation: Operation | None, now: datetime) -> datetime | None:
        """Return when this process first saw the open announcement; None when there is none."""
        if operation is None:
            self.operation = None
        elif self.operation is None or self.operation[0] != operation.id:
            self.operation = (operation.id, now)
        return self.operation[1] if self.operation else None

    def denied(self, what: What, now: datetime) -> None:
        """Note that Azure denies what is known to be there."""
        self.missing_since.setdefault(what, now)

    def correlation_id(self, operation: Operation | None) -> str | None:
        """Return Azure's correlation id of an announcement's call; None when this process has no answer to it."""
        return self.answered[1] if operation and self.answered and self.answered[0] == operation.id else None

    def hear(self, token: str | None) -> None:
        """Start anew with patience when somebody asks for a pass."""
        if token != self.asked_at:
            self.asked_at, self.stalls, self.history = token, 0, History()

    def news(self, notices: list[Notice]) -> list[Notice]:
        """Return those that were not told since the last progress."""
        fresh = [notice for notice in notices if notice not in self.told]
        if any(notice.reason in PROGRESS for notice in fresh):
            self.told = set()
        self.told |= set(fresh)
        return fresh
