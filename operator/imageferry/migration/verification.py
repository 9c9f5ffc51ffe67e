"""Whether somebody vouched for just this version, and still does.

A verification is bound to the digest that its author saw: the one that came with it, or
the proof stored in the very body in which the condition is first seen. A digest that was
computed afterwards is never taken for it. When the proof has changed, the condition goes
back to Unknown in the same write that stores the new proof; so it does when it has expired.

A proof may also be approved in the spec, by its digest. That neither expires nor needs the
condition. A condition that is False is a person's veto: it outranks whatever else was said,
and only a person lifts it.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from imageferry.api.consent import VerificationTerms
from imageferry.api.resource import API_VERSION, KIND, ImageMigration
from imageferry.api.status import Condition, ConditionStatus, Proof, Status, Verification
from imageferry.migration import identity

VERIFIED = "Verified"
PROOF_CHANGED, EXPIRED = "ProofChanged", "Expired"
OURS = (PROOF_CHANGED, EXPIRED)
"""Reasons that the operator itself gives: it took the condition back."""
CALLER = '{{printf "%q" .status.userInfo.username}}'
"""Where kubectl's template puts in the caller's name, in quotes."""
METHOD_CONDITION, METHOD_APPROVAL = "Condition", "ApprovedDigest"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The condition and its binding as they now stand; `current` when they vouch for the proof."""

    condition: Condition | None
    verification: Verification | None
    current: bool
    message: str
    until: datetime | None = None
    """When it expires; None when it does not."""


def spoken(status: Status) -> Condition | None:
    """Return the Verified condition, however its author spelled it."""
    for condition in status.conditions:
        if condition.type.casefold() == VERIFIED.casefold():
            return condition.model_copy(update={"type": VERIFIED})
    return None


def stands(migration: ImageMigration, *, now: datetime) -> bool:
    """Whether a stored status holds a verification for its own proof, as the operator has seen it."""
    status = migration.status
    seen = status.verification and status.verification.digest
    terms = migration.spec.verification
    return bool(seen and status.proof and judge(status, status.proof, now=now, terms=terms).current)


def judge(
    status: Status,
    proof: Proof,
    *,
    now: datetime,
    terms: VerificationTerms | None = None,
    not_before: datetime | None = None,
) -> Verdict:
    """Compare what was said with the proof as it is now; `not_before` is when this process still saw nothing said."""
    terms = terms or VerificationTerms()
    said = spoken(status)
    if said and said.status is ConditionStatus.FALSE:
        message = "the Verified condition is False: a veto, which only a person lifts"
        return Verdict(said, None, current=False, message=message)
    word = _judge_condition(said, status, proof, now=now, terms=terms, not_before=not_before)
    if word.current or not terms.approved_digest:
        return word
    if identity.vouches(terms.approved_digest, proof):
        return _approved(word, status, terms.approved_digest, now=now, not_before=not_before)
    wrong = f"spec.verification.approvedDigest is {terms.approved_digest}, and the proof is {proof.digest}"
    return replace(word, message=f"{word.message}; {wrong}")


def _judge_condition(  # noqa: PLR0913 - as `judge`
    said: Condition | None,
    status: Status,
    proof: Proof,
    *,
    now: datetime,
    terms: VerificationTerms,
    not_before: datetime | None,
) -> Verdict:
    if said is None:
        return Verdict(None, None, current=False, message="nobody has set the Verified condition")
    if said.status is not ConditionStatus.TRUE:
        told = said.message if said.reason in OURS else None
        return Verdict(said, None, current=False, message=told or f"the Verified condition is {said.status}")
    bound = bound_digest(status)
    if not identity.vouches(bound, proof):
        return voided(said, f"it vouched for {bound or 'no proof'}, and the proof is now {proof.digest}", now=now)
    given = status.verification or Verification()
    at = _first_seen(said, given, not_before) or now
    until = at + timedelta(seconds=terms.valid_for_seconds) if terms.valid_for_seconds else None
    if until and now >= until:
        why = f"it was valid for {terms.valid_for_seconds} seconds, until {until:%Y-%m-%dT%H:%M:%SZ}"
        return voided(said, why, now=now, reason=EXPIRED)
    method = METHOD_CONDITION if given.method in (None, METHOD_APPROVAL) else given.method
    kept = given.model_copy(update={"digest": bound, "at": at, "method": method})
    return Verdict(_accepted(said, now=now), kept, current=True, message=f"verified for {bound}", until=until)


def _approved(word: Verdict, status: Status, digest: str, *, now: datetime, not_before: datetime | None) -> Verdict:
    """Take the digest in the spec for a verification; a condition that does not count stays as it is."""
    given = status.verification or Verification()
    known = given.at if (given.method, given.digest) == (METHOD_APPROVAL, digest) else None
    times = [time for time in (known, not_before) if time]
    kept = Verification(digest=digest, at=max(times, default=now), method=METHOD_APPROVAL)
    message = f"approved by spec.verification.approvedDigest for {digest}"
    return Verdict(word.condition, kept, current=True, message=message)


def _first_seen(said: Condition, given: Verification, not_before: datetime | None) -> datetime | None:
    """Return when we first saw it. `at` is ours: one that came along, or lies before what we know, does not count."""
    ours = said.last_transition_time is not None and given.method is not None
    if given.at is None or not ours:
        return not_before
    return max(given.at, not_before) if not_before else given.at


def _accepted(said: Condition, *, now: datetime) -> Condition:
    """Complete what plain kubectl leaves out, and drop what we said when an earlier one was void."""
    ours = {"reason": METHOD_CONDITION, "message": None} if said.reason in (None, *OURS) else {}
    return said.model_copy(
        update={"last_transition_time": said.last_transition_time or now.replace(microsecond=0), **ours}
    )


def judge_unproven(status: Status, *, now: datetime) -> Verdict:
    """Void what was said for a proof that is gone, while there is none yet to compare with."""
    said = spoken(status)
    if said is None or said.status is not ConditionStatus.TRUE:
        return Verdict(said, None, current=False, message="there is nothing to verify yet")
    return voided(said, "the version that it vouched for is gone, or was not there yet", now=now)


def voided(said: Condition, why: str, *, now: datetime, reason: str = PROOF_CHANGED) -> Verdict:
    """Take a verification back: Unknown, with the reason and the cure."""
    message = f"The verification does not count: {why}. Check the version and set the condition again."
    condition = said.model_copy(
        update={
            "status": ConditionStatus.UNKNOWN,
            "reason": reason,
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


def as_sure_as(verdict: Verdict, *, gap: str | None) -> Verdict:
    """Say with a verification that counts that anyone may have given it; `gap` is None where that cannot be."""
    if not verdict.current or gap is None:
        return verdict
    return replace(verdict, message=f"{verdict.message}. {unauthenticated(gap)}")


def unauthenticated(gap: str) -> str:
    """Return the sentence for a cluster in which the API server does not see to it who verifies."""
    return f"Verification is unauthenticated: {gap}, so that whoever may patch imagemigrations/status may verify"


def command(migration: ImageMigration, digest: str) -> str:
    """Return the plain kubectl command that verifies in the caller's name; it works whatever was set before."""
    metadata = {"name": migration.metadata.name, "namespace": migration.metadata.namespace}
    said = {"conditions": [{"type": VERIFIED, "status": "True"}], "verification": {"by": "", "digest": digest}}
    patch = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "status": said}
    template = json.dumps(patch, separators=(",", ":")).replace('"by":""', f'"by":{CALLER}')
    applied = "kubectl apply --server-side --force-conflicts --subresource=status -f -"
    return f"kubectl auth whoami -o go-template='{template}' | {applied}"
