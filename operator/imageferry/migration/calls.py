"""What a call to Azure costs: values that `azure/` makes and the budget in `engine/` keeps account of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Verb(StrEnum):
    """How Resource Manager's front door sorts calls; the values are those of its headers."""

    READS = "reads"
    WRITES = "writes"
    DELETES = "deletes"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in any stretch of so many seconds; `name` is Azure's, as its headers tell it."""

    name: str
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """One call's place among the limits: of the front door by verb, of the provider by policy."""

    subscription: str
    verb: Verb
    policy: str = ""
    limits: tuple[Limit, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer tells about limits.

    `left` says how many calls are left, by the name of the limit or the verb. `blocked` is for how many seconds no such
    call may follow, after a 429; `everywhere` says that this is true of the whole subscription.
    """

    left: Mapping[str, int] = field(default_factory=dict)
    blocked: float = 0.0
    everywhere: bool = False


UNANSWERED = Answer()
"""The call may have been counted, and nothing was told."""
