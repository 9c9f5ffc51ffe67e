"""What stands between a caller and a resource: rights, locks and policies.

Rights are off until the first assignment: a test that is not about them needs none. From then on an identity may do
what its roles allow at the scope or above it (fact sheet, section 8). Locks are inherited downwards and the strictest
wins; a lock that was removed is honoured for a while longer (sections 3.8, 13.10).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Literal

from imageferry.simulator.wire import ArmError, Json


@dataclass(frozen=True, slots=True)
class Role:
    """Actions, with wildcards, less those that are taken out again."""

    name: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Say whether the role holds a right."""
        return _any(action, self.actions) and not _any(action, self.not_actions)

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> "Role":
        """Read a role definition as `az role definition create` takes it, in either of its two spellings."""
        lower = {name[:1].lower() + name[1:]: value for name, value in form.items()}
        inner = lower.get("permissions") or [lower]
        actions = [each for part in inner for each in part.get("actions", [])]
        taken = [each for part in inner for each in part.get("notActions", [])]
        return cls(str(lower.get("name") or lower.get("roleName") or "role"), tuple(actions), tuple(taken))


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role of an identity (its client id, or `*`) at a scope and all below it; it counts from `since` on."""

    identity: str
    role: Role
    scope: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock on a scope; `removed` is when it was taken away."""

    name: str
    scope: str
    level: Literal["CanNotDelete", "ReadOnly"]
    notes: str = ""
    removed: datetime | None = None

    def blocks(self, method: str) -> bool:
        """Say whether a call by that method is refused under it."""
        return method == "DELETE" or (self.level == "ReadOnly" and method in ("PUT", "PATCH", "POST"))

    @property
    def id(self) -> str:
        """The lock's own id."""
        return f"{self.scope}/providers/Microsoft.Authorization/locks/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Denies writes of some types outside some regions, or without some tags; an empty rule denies all of them."""

    name: str
    types: tuple[str, ...] = ("*",)
    allowed_locations: tuple[str, ...] = ()
    required_tags: tuple[str, ...] = ()
    scope: str = "/"

    def denies(self, kind: str, scope: str, body: Mapping[str, Any]) -> bool:
        """Say whether the policy refuses this body."""
        if not _any(kind, self.types) or not covers(self.scope, scope):
            return False
        location = str(body.get("location", "")).replace(" ", "").lower()
        misplaced = bool(location) and location not in self.allowed_locations
        tags = body.get("tags") or {}
        untagged = any(tag not in tags for tag in self.required_tags)
        if not self.allowed_locations and not self.required_tags:
            return True
        return (bool(self.allowed_locations) and misplaced) or untagged


@dataclass(slots=True)
class Governance:
    """Rights, locks and policies in force; not thread-safe, `Cloud` holds the lock."""

    assignments: list[Assignment] = field(default_factory=list)
    locks: dict[str, Lock] = field(default_factory=dict)
    policies: list[Policy] = field(default_factory=list)

    def may(self, identity: str, action: str, scope: str, now: datetime) -> bool:
        """Say whether an identity holds a right at a scope."""
        return not self.assignments or any(role.allows(action) for role in self._roles(identity, scope, now))

    def sees(self, identity: str, subscription: str, now: datetime) -> bool:
        """Say whether an identity has any right in a subscription."""
        return not self.assignments or any(
            covers(f"/subscriptions/{subscription}", each.scope) or covers(each.scope, f"/subscriptions/{subscription}")
            for each in self.assignments
            if each.identity in ("*", identity) and (each.since is None or each.since <= now)
        )

    def locks_on(self, scope: str) -> list[Lock]:
        """Give the locks that hold at a scope: its own, and inherited ones."""
        return [lock for lock in self._present() if covers(lock.scope, scope)]

    def locks_below(self, scope: str) -> list[Lock]:
        """Give the locks on what lies below a scope."""
        return [lock for lock in self._present() if covers(scope, lock.scope) and not covers(lock.scope, scope)]

    def check_locks(self, method: str, scope: str, now: datetime, *, honoured: float) -> None:
        """Refuse what a lock forbids; `honoured` is for how many seconds a removed one still counts."""
        limit = now - timedelta(seconds=honoured)
        hit = [
            lock.scope
            for lock in self.locks.values()
            if (lock.removed is None or lock.removed > limit) and covers(lock.scope, scope) and lock.blocks(method)
        ]
        if hit:
            verb = "delete" if method == "DELETE" else "write"
            message = (
                f"The scope '{scope}' cannot perform {verb} operation because following scope(s) are locked: "
                f"'{','.join(dict.fromkeys(hit))}'. Please remove the lock and try again."
            )
            raise ArmError(409, "ScopeLocked", message, gateway=True)

    def remove_lock(self, lock_id: str, now: datetime) -> None:
        """Take a lock away; it is kept for as long as it may still be honoured."""
        self.locks[lock_id.casefold()] = replace(self.locks[lock_id.casefold()], removed=now)

    def check_policies(self, kind: str, scope: str, body: Mapping[str, Any]) -> None:
        """Refuse a body that a policy denies."""
        for policy in self.policies:
            if policy.denies(kind, scope, body):
                assigned = f"{policy.scope.rstrip('/')}/providers/Microsoft.Authorization/policyAssignments"
                names: list[Json] = [{"policyAssignment": {"name": policy.name, "id": f"{assigned}/{policy.name}"}}]
                name = scope.rpartition("/")[2]
                message = f"Resource '{name}' was disallowed by policy. Policy identifiers: '{json.dumps(names)}'."
                raise ArmError(403, "RequestDisallowedByPolicy", message, target=name, gateway=True)

    def _roles(self, identity: str, scope: str, now: datetime) -> Iterator[Role]:
        for each in self.assignments:
            started = each.since is None or each.since <= now
            if each.identity in ("*", identity) and started and covers(each.scope, scope):
                yield each.role

    def _present(self) -> list[Lock]:
        return [lock for lock in self.locks.values() if lock.removed is None]


def covers(scope: str, inner: str) -> bool:
    """Say whether a scope is the other one or above it."""
    outer = scope.casefold().rstrip("/")
    return inner.casefold() == outer or inner.casefold().startswith(f"{outer}/")


def _any(value: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(value.casefold(), pattern.casefold()) for pattern in patterns)
