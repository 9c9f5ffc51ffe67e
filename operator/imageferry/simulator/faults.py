"""Faults by rule: which calls they meet, and what then goes wrong.

A fault counts a call only when all of its conditions hold; `skip`, `times` and `probability` apply to those calls
in that order. Chance comes from a seeded generator, so a run can be repeated.
"""

import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal


@dataclass(frozen=True, slots=True)
class Answer:
    """Refuse instead of carrying out, in the gateway's envelope unless `provider`; on `token` an OAuth error."""

    status: int
    code: str
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    provider: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Answer with the HTML page that the front door sends when it is down."""

    status: int = 503


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection instead of an answer, before or after the effect.

    aiohttp's client repeats GET, PUT and DELETE once by itself when a kept-alive connection breaks: use `times=2`
    (or look at the ledger) when the client is to see the failure.
    """

    when: Literal["before", "after"] = "before"


@dataclass(frozen=True, slots=True)
class Slow:
    """Answer late, by real seconds; the effect takes place first."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FailOperation:
    """Accept the call, and let its operation fail at its end (or after `after` simulated seconds)."""

    code: str = "InternalExecutionError"
    message: str = "An internal execution error occurred. Please retry later."
    after: float | None = None


@dataclass(frozen=True, slots=True)
class FailRegion:
    """Accept the version, and let a region that is new in it fail when it would be completed.

    With `code` the operation fails too. A call that does not add the region is not affected.
    """

    region: str
    details: str = "Replication failed in this region. Remove the region and add it again."
    code: str = ""


@dataclass(frozen=True, slots=True)
class Stale:
    """Answer a read from an old cache: `missing` says 404 for what exists, `deleted` shows what is gone."""

    shows: Literal["missing", "deleted"]


Does = Answer | HtmlPage | Reset | Slow | FailOperation | FailRegion | Stale


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule: calls whose operation, resource and identity match, from the `skip`-th on, at most `times` of them."""

    operation: str
    does: Does
    resource: str = field(default="", kw_only=True)
    identity: str = field(default="", kw_only=True)
    skip: int = field(default=0, kw_only=True)
    times: int | None = field(default=None, kw_only=True)
    probability: float = field(default=1.0, kw_only=True)

    def matches(self, operation: str, resource_id: str, identity: str) -> bool:
        """Say whether the call is one of those that this rule speaks of."""
        return (
            fnmatchcase(operation, self.operation)
            and self.resource.casefold() in resource_id.casefold()
            and self.identity in ("", identity)
        )


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def draw(self, chance: random.Random) -> bool:
        self.seen += 1
        if self.seen <= self.fault.skip or self.fired == self.fault.times:
            return False
        if chance.random() >= self.fault.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The rules in force, in the order in which they were added; thread-safe."""

    def __init__(self, *, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._chance = random.Random(seed)  # noqa: S311 -- repeatable chance is the point
        self._armed: dict[int, _Armed] = {}
        self._number = 0

    def add(self, fault: Fault) -> int:
        """Put a rule in force; gives its number."""
        with self._lock:
            self._number += 1
            self._armed[self._number] = _Armed(fault)
            return self._number

    def remove(self, number: int) -> None:
        """End a rule; KeyError when there is none of that number."""
        with self._lock:
            del self._armed[number]

    def clear(self) -> None:
        """End all rules."""
        with self._lock:
            self._armed.clear()

    def fired(self, number: int) -> int:
        """Say how often the rule of that number took effect."""
        with self._lock:
            return self._armed[number].fired

    def items(self) -> list[tuple[int, Fault, int]]:
        """Give number, rule and how often it fired."""
        with self._lock:
            return [(number, armed.fault, armed.fired) for number, armed in self._armed.items()]

    def draw(self, operation: str, resource_id: str, identity: str) -> Sequence[Does]:
        """Give what goes wrong with this call, and count it."""
        with self._lock:
            return [
                armed.fault.does
                for armed in self._armed.values()
                if armed.fault.matches(operation, resource_id, identity) and armed.draw(self._chance)
            ]
