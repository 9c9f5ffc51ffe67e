"""A person's word on a proof: what speaks against saying it, and the patch that says it.

The patch changes the Verified condition and `status.verification` and nothing else, and only
the very version of the resource that was shown. Of `verification` it holds proof, name and
evidence; how and when it was heard the operator writes itself: no clock of others shortens a grace.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from imageferry.api.resource import SINGULAR
from imageferry.migration.verification import VERIFIED
from imageferry.plugin import draw
from imageferry.plugin.draw import Body

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said, by whom."""

    verified: bool
    by: str
    message: str | None = None
    evidence: str | None = None

    @property
    def verb(self) -> str:
        """The command that says it."""
        return "verify" if self.verified else "reject"

    @property
    def participle(self) -> str:
        """What was done."""
        return "verified" if self.verified else "rejected"


def key(body: Body) -> str:
    """Return how errors name a migration."""
    return f"{SINGULAR} {body['metadata']['namespace']}/{body['metadata']['name']}"


def digest(body: Body) -> str | None:
    """Return the digest of the proof; None when there is none yet."""
    return (draw.status_of(body).get("proof") or {}).get("digest")


def spoken(body: Body) -> Body:
    """Return the Verified condition; empty when nobody has spoken."""
    return draw.condition(body, VERIFIED)


def rejected(body: Body) -> bool:
    """Whether a person's veto stands."""
    return spoken(body).get("status") == "False"


def stands(body: Body) -> bool:
    """Whether a verification for the proof as it is stands already."""
    given = (draw.status_of(body).get("verification") or {}).get("digest")
    return spoken(body).get("status") == "True" and given is not None and given == digest(body)


def hindrance(body: Body, *, wanted: str | None, named: bool) -> str | None:
    """Return why it cannot be verified; `wanted` is the digest that was asked for, `named` whether it was by name."""
    status, proof = draw.status_of(body), digest(body)
    receipt = (status.get("deletion") or {}).get("receipt")
    if receipt:
        return f"its managed image is gone since {receipt['at']}: there is nothing left to decide"
    if proof is None:
        return f"there is nothing to verify yet, its phase is {draw.phase(body).plain}{_regions(status)}"
    if wanted and wanted != proof:
        return f"its proof is {proof} and not {wanted}: look at the version again, then verify what you have seen"
    if rejected(body) and not named:
        said = spoken(body).get("message") or "no reason was given"
        return f"a veto stands ({said}); to lift it, verify this one by its name"
    return None


def difference(shown: Body, now: Body) -> str | None:
    """Return what changed of that which a verdict is about; None when it is the same as shown."""
    before, after = _subject(shown), _subject(now)
    return next((name for name in before if before[name] != after[name]), None)


def patch(body: Body, verdict: Verdict, now: datetime) -> list[Json]:
    """Return the JSON patch (RFC 6902); the API server refuses it for any other resourceVersion than the body's."""
    conditions = draw.status_of(body).get("conditions")
    entry = condition(body, verdict, now)
    place = next((at for at, each in enumerate(conditions or ()) if _is_verified(each)), None)
    if place is not None:
        said: Json = {"op": "replace", "path": f"/status/conditions/{place}", "value": entry}
    elif conditions is not None:
        said = {"op": "add", "path": "/status/conditions/-", "value": entry}
    else:
        said = {"op": "add", "path": "/status/conditions", "value": [entry]}
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": body["metadata"]["resourceVersion"]},
        said,
        {"op": "add", "path": "/status/verification", "value": verification(body, verdict)},
    ]


def patched(body: Body, verdict: Verdict, now: datetime) -> Json:
    """Return the resource as the patch leaves it."""
    status, entry = draw.status_of(body), condition(body, verdict, now)
    conditions = [entry if _is_verified(each) else each for each in status.get("conditions") or ()]
    conditions += [] if entry in conditions else [entry]
    return {**body, "status": {**status, "conditions": conditions, "verification": verification(body, verdict)}}


def condition(body: Body, verdict: Verdict, now: datetime) -> Json:
    """Return the condition; its type stays spelled as it is."""
    before, status = spoken(body), "True" if verdict.verified else "False"
    since = before.get("lastTransitionTime") if before.get("status") == status else None
    return {
        "type": before.get("type") or VERIFIED,
        "status": status,
        "reason": verdict.participle.capitalize(),
        "message": _message(verdict),
        "observedGeneration": body["metadata"].get("generation", 0),
        "lastTransitionTime": since or now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def verification(body: Body, verdict: Verdict) -> Json:
    """Return whose word it is, and for which proof."""
    given = {"digest": digest(body), "by": verdict.by, "evidence": verdict.evidence}
    return {name: value for name, value in given.items() if value}


def _message(verdict: Verdict) -> str:
    """Return a sentence; that of a veto holds its author, since `verification` is kept only while it counts."""
    said = f"{verdict.participle} by {verdict.by}"
    if verdict.verified or not verdict.message:
        return verdict.message or said
    return f"{said}: {verdict.message}"


def _subject(body: Body) -> Mapping[str, Any]:
    """Return what a verdict is about, by the name under which a change of it is told."""
    status, said = draw.status_of(body), spoken(body)
    return {
        "the migration itself (it was deleted and made again)": body["metadata"]["uid"],
        "status.proof": status.get("proof"),
        "the spec": body["metadata"].get("generation"),
        "the Verified condition": (said.get("status"), said.get("reason"), said.get("message")),
        "status.deletion.receipt": (status.get("deletion") or {}).get("receipt"),
    }


def _is_verified(each: Body) -> bool:
    return str(each["type"]).casefold() == VERIFIED.casefold()


def _regions(status: Body) -> str:
    summary = (status.get("replication") or {}).get("summary")
    return f", {summary} regions are Completed" if summary else ""
