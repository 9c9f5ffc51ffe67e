"""What this process remembers of a migration between passes; a restart forgets it without harm."""

from dataclasses import dataclass, field
from datetime import datetime

from imageferry.migration.facts import Completion
from imageferry.migration.failures import History


@dataclass(slots=True)
class Memory:
    """One migration's."""

    completion: Completion | None = None
    history: History = field(default_factory=History)
    stalls: int = 0
    reported_at: datetime | None = None
    """When a status was last written, or first seen: progress alone is reported now and then."""
