"""Migrations for reports: what a status holds at each milestone."""

from datetime import datetime, timedelta
from typing import Any

from imageferry.plugin.journeys import Journey, journey
from tests.unit import build
from tests.unit.build import NOW, Json

MINUTE = timedelta(minutes=1)
EVIDENCE = "https://ci.example/runs/7"


def stamp(after: float) -> str:
    """Return the time that many minutes after NOW, as Kubernetes writes it."""
    return (NOW + after * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(after: float) -> datetime:
    """Return the same as a time."""
    return NOW + after * MINUTE


def body(
    *,
    replicated: float | None = None,
    verified: float | None = None,
    deleted: float | None = None,
    phase: str = "Replicating",
    outcome: str = "Deleted",
    ready: Json | None = None,
    **more: Any,
) -> Json:
    """Return a migration that was created NOW; milestones are minutes after it."""
    conditions: list[Json] = [ready] if ready else []
    if replicated is not None:
        conditions.append({"type": "Replicated", "status": "True", "lastTransitionTime": stamp(replicated)})
    status: Json = {"phase": phase, "conditions": conditions, "source": {"id": build.IMAGE_ID, "sizeGB": 191}}
    verification = {"by": "vera", "at": stamp(verified or 0), "evidence": EVIDENCE}
    if verified is not None:
        status["verification"] = verification
    if deleted is not None:
        receipt: Json = {"outcome": outcome, "resource": build.IMAGE_ID, "at": stamp(deleted)}
        status["deletion"] = {"receipt": receipt | ({"verification": verification} if verified is not None else {})}
    return build.body(status=build.patched(status, more), creationTimestamp=stamp(0))


def read(**given: Any) -> Journey:
    """Return the same, as reports read it."""
    return journey(body(**given))
