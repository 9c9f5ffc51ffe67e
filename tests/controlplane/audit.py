"""The audit log: what the API server itself says that was asked of it, and by whom.

Tests that promise "no write" or "by this user" count here and not in the operator, which
could be wrong about itself. Every write of every resource is logged, of our own resources
with its bodies; reads only of our own resources, events and leases. The server's own
requests are left out. Of the operator's own service account everything is logged: what it
asks is what its rights are compared with. An entry is written when the request is over, which may be a moment
after its client has the answer: wait for an entry, do not expect it at once.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

WRITES = ("create", "update", "patch", "delete", "deletecollection")
OPERATOR_USER = "system:serviceaccount:imageferry-system:imageferry"
OURS = {"group": "imageferry.dev"}
SHARED = (
    {"group": "coordination.k8s.io", "resources": ["leases"]},
    {"group": "", "resources": ["events"]},
    {"group": "events.k8s.io", "resources": ["events"]},
)
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "None", "nonResourceURLs": ["*"]},
        {"level": "RequestResponse", "verbs": WRITES, "resources": [OURS]},
        {"level": "Metadata", "resources": [OURS, *SHARED]},
        {"level": "Metadata", "users": [OPERATOR_USER]},
        {"level": "Metadata", "verbs": WRITES},
        {"level": "None"},
    ],
}


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One finished request. Bodies are there for writes of our own resources, else None."""

    received: datetime
    seconds: float
    """Until it was answered."""
    verb: str
    user: str
    user_agent: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    request: dict[str, Any] | None
    response: dict[str, Any] | None

    @property
    def is_write(self) -> bool:
        """Whether the verb changes something; the code tells whether it did."""
        return self.verb in WRITES

    @property
    def target(self) -> str:
        """Resource with its subresource, as RBAC writes it: `imagemigrations/status`."""
        return "/".join(filter(None, (self.resource, self.subresource)))


def write_policy(path: Path) -> None:
    """Write the policy for kube-apiserver."""
    path.write_text(json.dumps(POLICY))


def read(path: Path, *, since: datetime | None = None) -> list[AuditEntry]:
    """Return the finished requests, oldest first; those received at `since` or later."""
    return [entry for entry in _entries(path) if since is None or entry.received >= since]


def _entries(path: Path) -> Iterator[AuditEntry]:
    for line in path.read_text().splitlines(keepends=True) if path.exists() else ():
        if line.endswith("\n"):  # the last one may be half written
            event = json.loads(line)
            if event["stage"] == "ResponseComplete":
                yield _entry(event)


def _entry(event: dict[str, Any]) -> AuditEntry:
    reference = event.get("objectRef", {})
    received = datetime.fromisoformat(event["requestReceivedTimestamp"])
    return AuditEntry(
        received=received,
        seconds=(datetime.fromisoformat(event["stageTimestamp"]) - received).total_seconds(),
        verb=event["verb"],
        user=event["user"]["username"],
        user_agent=event.get("userAgent", ""),
        group=reference.get("apiGroup", ""),
        resource=reference.get("resource", ""),
        subresource=reference.get("subresource", ""),
        namespace=reference.get("namespace", ""),
        name=reference.get("name", ""),
        code=event["responseStatus"]["code"],
        request=event.get("requestObject"),
        response=event.get("responseObject"),
    )
