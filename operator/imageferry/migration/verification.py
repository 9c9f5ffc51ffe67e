"""Whether somebody vouched for just this version.

A verification is bound to the digest that its author saw: the one that came with it, or
the proof stored in the very body in which the condition is first seen. A digest that was
computed afterwards is never taken for it. When the proof has changed, the condition goes
back to Unknown in the same write that stores the new proof.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from imageferry.api.resource import API_VERSION, KIND, ImageMigration
from imageferry.api.status import Condition, ConditionStatus, Proof, Status, Verification

VERIFIED = "Verified"
PROOF_CHANGED = "ProofChanged"
METHOD_CONDITION = "Condition"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The condition and its binding as they now stand; `current` when they vouch for the proof."""

    condition: Condition | None
    verification: Verification | None
    current: bool
    message: str


def spoken(status: Status) -> Condition | None:
    """Return the Verified condition, however its author spelled it."""
    for condition in status.conditions:
        if condition.type.casefold() == VERIFIED.casefold():
            return condition.model_copy(update={"type": VERIFIED})
    return None


def stands(status: Status) -> bool:
    """Whether a stored status holds a verification for its own proof."""
    said, digest = spoken(status), status.proof.digest if status.proof else None
    given = status.verification.digest if status.verification else None
    return bool(said and said.status is ConditionStatus.TRUE and digest and given == digest)


def judge(status: Status, proof: Proof, *, now: datetime, not_before: datetime | None = None) -> Verdict:
    """Compare what was said with the proof as it is now; `not_before` is when this process still saw nothing said."""
    said = spoken(status)
    if said is None:
        return Verdict(None, None, current=False, message="nobody has set the Verified condition")
    if said.status is not ConditionStatus.TRUE:
        told = said.message if said.reason == PROOF_CHANGED else None
        return Verdict(said, None, current=False, message=told or f"the Verified condition is {said.status}")
    bound = bound_digest(status)
    if bound != proof.digest:
        return voided(said, f"it vouched for {bound or 'no proof'}, and the proof is now {proof.digest}", now=now)
    given = status.verification or Verification()
    at = _first_seen(said, given, not_before) or now
    kept = given.model_copy(update={"digest": bound, "at": at, "method": given.method or METHOD_CONDITION})
    return Verdict(_accepted(said, now=now), kept, current=True, message=f"verified for {bound}")


def _first_seen(said: Condition, given: Verification, not_before: datetime | None) -> datetime | None:
    """Return when we first saw it. `at` is ours: one that came along, or lies before what we know, does not count."""
    ours = said.last_transition_time is not None and given.method is not None
    if given.at is None or not ours:
        return not_before
    return max(given.at, not_before) if not_before else given.at


def _accepted(said: Condition, *, now: datetime) -> Condition:
    """Complete what plain kubectl leaves out, and drop what we said when an earlier one was void."""
    ours = {"reason": METHOD_CONDITION, "message": None} if said.reason in (None, PROOF_CHANGED) else {}
    return said.model_copy(
        update={"last_transition_time": said.last_transition_time or now.replace(microsecond=0), **ours}
    )


def judge_unproven(status: Status, *, now: datetime) -> Verdict:
    """Void what was said for a proof that is gone, while there is none yet to compare with."""
    said = spoken(status)
    if said is None or said.status is not ConditionStatus.TRUE:
        return Verdict(said, None, current=False, message="there is nothing to verify yet")
    return voided(said, "the version that it vouched for is gone, or was not there yet", now=now)


def voided(said: Condition, why: str, *, now: datetime) -> Verdict:
    """Take a verification back: Unknown, with the reason and the cure."""
    message = f"The verification does not count: {why}. Check the version and set the condition again."
    condition = said.model_copy(
        update={
            "status": ConditionStatus.UNKNOWN,
            "reason": PROOF_CHANGED,
            "message": message,
            "last_transition_time": now.replace(microsecond=0),
        }
    )
    return Verdict(condition, None, current=False, message=message)


def bound_digest(status: Status) -> str | None:
    """Return the digest that the author of the condition saw."""
    if status.verification and status.verification.digest:
        return status.verification.digest
    return status.proof.digest if status.proof else None


def command(migration: ImageMigration, digest: str) -> str:
    """Return the plain kubectl command that verifies; it works whatever was set before."""
    metadata = {"name": migration.metadata.name, "namespace": migration.metadata.namespace}
    said = {"conditions": [{"type": VERIFIED, "status": "True"}], "verification": {"digest": digest}}
    patch = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": said}
    text = json.dumps(patch, separators=(",", ":"))
    return f"echo '{text}' | kubectl apply --server-side --force-conflicts --subresource=status -f -"
