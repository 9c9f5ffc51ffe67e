"""What somebody may write into a status that is not true. Whoever may write it cannot make an image go by that."""

from collections.abc import Callable
from typing import Any

from tests.walks.estate import REGIONS
from tests.walks.oracle import image_of

Json = dict[str, Any]


def _replicated(status: Json, *, spec: Json, now: str) -> None:
    del spec, now
    kinds = ("Replicated", "VersionReady", "Ready")
    kept = [each for each in status.get("conditions", []) if each["type"] not in kinds]
    status["conditions"] = [*kept, *({"type": kind, "status": "True"} for kind in kinds)]
    shown = [{"name": region, "state": "Completed", "progress": 100} for region in REGIONS]
    status["replication"] = {"summary": "3/3", "progress": 100, "regions": shown}


def _guards(status: Json, *, spec: Json, now: str) -> None:
    del spec, now
    deletion = status.get("deletion") or {}
    held = [{"name": each["name"], "passed": True} for each in deletion.get("guards", [])]
    status["deletion"] = {**deletion, "guards": held}


def _proof(status: Json, *, spec: Json, now: str) -> None:
    nothing = {"sourceFingerprint": "none", "versionId": image_of(spec), "publishedDate": now}
    status["proof"] = {**nothing, **(status.get("proof") or {}), "digest": f"v1:sha256:{'f' * 64}"}


def _operation(action: str, at: str | None = None) -> Callable[..., None]:
    def announce(status: Json, *, spec: Json, now: str) -> None:
        status["operation"] = {
            "id": f"forged {now}",
            "action": action,
            "resource": image_of(spec),
            "requestedAt": at or now,
            "attempt": 1,
        }

    return announce


def _receipt(status: Json, *, spec: Json, now: str) -> None:
    receipt = {"outcome": "Deleted", "resource": image_of(spec), "at": now}
    status["deletion"] = {**(status.get("deletion") or {}), "receipt": receipt}


def _repairs(status: Json, *, spec: Json, now: str) -> None:
    """Say that nothing ever served anywhere, and that no deletion was ever requested."""
    _operation("CreateVersion")(status, spec=spec, now=now)
    shown = [{"name": region, "state": "Failed", "repairs": 0} for region in REGIONS]
    status["replication"] = {"summary": "0/3", "progress": 0, "regions": shown}
    status["version"] = {"id": "", **(status.get("version") or {}), "attempts": 1}
    (status.get("deletion") or {}).pop("requestedAt", None)


FORGERIES: dict[str, Callable[..., None]] = {
    "replicated": _replicated,
    "guards": _guards,
    "proof": _proof,
    "deletion": _operation("DeleteImage"),
    "build": _operation("CreateVersion"),
    "old update": _operation("UpdateVersion", "2020-01-01T00:00:00Z"),
    "receipt": _receipt,
    "repairs": _repairs,
}
