"""Every wanted region is Completed: say what there is to verify, and let the image go when every guard holds."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from imageferry.api.spec import DeletionPolicy, ReadyWhen
from imageferry.api.status import ConsumerStatus, Deletion, Phase, Proof, Status
from imageferry.migration import consumers, guards, identity, receipts, requests, upkeep, verification
from imageferry.migration.facts import UNSEEN, Completion, Found, GalleryVersion, ManagedImage, What, value_of
from imageferry.migration.report import (
    DEFINITION_READY,
    FALSE,
    SOURCE_DELETED,
    Says,
    Summary,
    compose,
)
from imageferry.migration.stall import stalled
from imageferry.migration.steps import Act, Case, Look, Step, Wait
from imageferry.migration.tracking import definition_says, version_fields, version_says
from imageferry.migration.unbuilt import definition_finding, not_built, source_status, unresolved


@dataclass(frozen=True, slots=True)
class Ending:
    """A case whose version is complete, with all that is derived from the same looks."""

    case: Case
    image: ManagedImage
    version: GalleryVersion
    proof: Proof
    verified: verification.Verdict
    completion: Completion
    evaluation: guards.Evaluation

    @property
    def policy(self) -> DeletionPolicy:
        """What shall become of the image."""
        return self.case.migration.spec.source_deletion.policy


def decide(case: Case, image: ManagedImage, version: GalleryVersion) -> Step:
    """Return the next step for a version that is complete while its image is there."""
    ending = _ending(case, image, version)
    return _by_definition(ending) or _by_guards(ending)


def _by_guards(ending: Ending) -> Step:
    if ending.verified.current and (step := upkeep.version(_as_told(ending), ending.version)):
        return step  # what waited for the verification: the version joins the latest
    if what := ending.evaluation.wants:
        return Look(what)
    if not ending.evaluation.blocking:
        return _delete(ending)
    if not ending.verified.current:
        return _await_verification(ending)
    if ending.policy is DeletionPolicy.RETAIN:
        return _retained(ending)
    return _blocked(ending)


def _by_definition(ending: Ending) -> Step | None:
    """Look at the definition where it may matter, and stall where it does not fit the image."""
    case, version = ending.case, ending.version
    if case.facts.definition is UNSEEN and _wants_definition(ending):
        return Look(What.DEFINITION)
    definition = value_of(case.facts.definition)
    finding = definition_finding(case, ending.image, definition) if definition else None
    if finding is None:
        return None
    says = {DEFINITION_READY: Says(FALSE, "DefinitionMismatch", finding), **version_says(case, version)}
    return stalled(case, "DefinitionMismatch", finding, says=says, **version_fields(case, version))


def _wants_definition(ending: Ending) -> bool:
    """Whether the definition has to be looked at too: many wait for a person, and its reads are scarce.

    It cannot change, so once for a spec is enough until the image may go; a finding lets this process forget that.
    """
    case = ending.case
    edited = case.migration.status.observed_generation != case.migration.metadata.generation
    return edited or ending.verified.current or ending.completion != case.context.completion


def _ending(case: Case, image: ManagedImage, version: GalleryVersion) -> Ending:
    fingerprint = identity.fingerprint(image)
    proof = identity.proof(fingerprint, version)
    before = _completion(case, version, fingerprint)
    not_before = before.verified_since or (case.now if before.seen_unverified else None)
    terms = case.migration.spec.verification
    verified = verification.judge(case.migration.status, proof, now=case.now, terms=terms, not_before=not_before)
    verified = verification.as_sure_as(verified, gap=case.context.gap)
    completion = replace(
        before,
        seen_unverified=before.seen_unverified or not verified.current,
        verified_since=not_before if verified.current else None,
    )
    deletion_case = guards.DeletionCase(
        spec=case.migration.spec,
        image=image,
        version=version,
        proof=proof,
        verified=verified,
        completion=completion,
        siblings=case.facts.siblings,
        consumers=case.facts.consumers,
        builds=consumers.builds(case.migration, case.context.peers),
        timing=case.timing,
        brake=case.context.brake,
        now=case.now,
        refusal=case.context.scopes.refusal(case.migration),
    )
    return Ending(case, image, version, proof, verified, completion, guards.evaluate(deletion_case))


def _as_told(ending: Ending) -> Case:
    """Return the case with what was said in this pass, as the next pass would read it."""
    said, status = ending.verified, ending.case.migration.status
    others = [c for c in status.conditions if c.type.casefold() != verification.VERIFIED.casefold()]
    conditions = [*others, said.condition] if said.condition else others
    told = {"proof": ending.proof, "verification": said.verification, "conditions": conditions}
    migration = ending.case.migration.model_copy(update={"status": status.model_copy(update=told)})
    return replace(ending.case, migration=migration, context=replace(ending.case.context, completion=ending.completion))


def _completion(case: Case, version: GalleryVersion, fingerprint: str) -> Completion:
    """Return what this process remembers of this version of this image, or that it sees it complete for the first time.

    An image that was replaced counts as seen for the first time: so the status says the same after a restart.
    """
    before, now = case.context.completion, (version.id.casefold(), version.published_date, fingerprint)
    if before and (before.version_id, before.published_date, before.fingerprint) == now:
        return before
    return Completion(*now, case.now)


def _await_verification(ending: Ending) -> Wait:
    command = verification.command(ending.case.migration, ending.proof.digest)
    open_to_all = f" {verification.unauthenticated(gap)}." if (gap := ending.case.context.gap) else ""
    message = f"Every wanted region is Completed.{open_to_all} Try the version, then verify it: {command}"
    summary = Summary(
        Phase.AWAITING_VERIFICATION, "AwaitingVerification", message, reached=frozenset({ReadyWhen.REPLICATED})
    )
    reason = "Retained" if ending.policy is DeletionPolicy.RETAIN else "Present"
    return _wait(ending, summary, Says(FALSE, reason, ending.verified.message))


def _retained(ending: Ending) -> Wait:
    message = "Completed: the version is verified, and the managed image stays."
    summary = Summary(Phase.COMPLETED, "Completed", message, reached=frozenset(ReadyWhen))
    return _wait(ending, summary, Says(FALSE, "Retained", "sourceDeletion.policy is Retain"))


def _blocked(ending: Ending) -> Wait:
    """Wait for the guards that do not hold; where time alone is missing, until then."""
    blocking = {n: a for n, a in ending.evaluation.blocking.items() if a is not guards.DEFERRED}
    text = "; ".join(f"{name}: {answer.message}" for name, answer in blocking.items())
    waits = ending.evaluation.due is not None
    reason, phase = ("DeletionWaits", Phase.DELETING) if waits else ("DeletionBlocked", Phase.DELETION_BLOCKED)
    summary = _leaving(reason, f"The managed image stays for now: {text}.", phase=phase)
    return _wait(ending, summary, Says(FALSE, reason, text))


def _delete(ending: Ending) -> Act:
    action = requests.delete_image(ending.image)
    first = _requested_at(ending.case.migration.status) or ending.case.now.replace(microsecond=0)
    deletion = Deletion(guards=ending.evaluation.statuses, requested_at=first)
    told = _status(ending, _DELETING, _DELETION_OPEN, deletion=deletion)
    status = receipts.announced(told, ending.case.context.identity)
    return Act(action, status, ending.case.next_attempt(action.name), ending.completion)


def _requested_at(status: Status) -> datetime | None:
    return status.deletion.requested_at if status.deletion else None


def await_deletion(case: Case) -> Wait:
    """Wait until the image's announced deletion shows; of the version say what it shows meanwhile."""
    says, fields = not_built("Gone"), dict[str, Any](replication=None)
    if isinstance(case.facts.version, Found):
        says = version_says(case, case.facts.version.value)
        fields = version_fields(case, case.facts.version.value)
    says |= {SOURCE_DELETED: _DELETION_OPEN}
    status = compose(case.migration, _DELETING, now=case.now, says=says, error=unresolved(case), **fields)
    return Wait(status, case.soon, case.context.completion)


def _leaving(reason: str, message: str, *, phase: Phase = Phase.DELETING) -> Summary:
    return Summary(phase, reason, message, reached=frozenset({ReadyWhen.REPLICATED, ReadyWhen.VERIFIED}))


_DELETING = _leaving("DeletingSource", "the deletion of the managed image was requested")
_DELETION_OPEN = Says(FALSE, "Deleting", _DELETING.message)


def _wait(ending: Ending, summary: Summary, source: Says) -> Wait:
    timing = ending.case.timing
    after = timing.complete if summary.phase is Phase.COMPLETED else timing.awaiting
    if summary.phase is Phase.AWAITING_VERIFICATION:
        after = min(max((ending.case.now - ending.completion.since) / 2, after), timing.awaiting_most)
    for due in (ending.evaluation.due, ending.verified.until):
        if due:
            after = max(min(after, due - ending.case.now), timing.soon / 10)
    return Wait(_status(ending, summary, source, operation=None), after, ending.completion)


def _status(ending: Ending, summary: Summary, source: Says, **fields: Any) -> Status:  # noqa: ANN401 - fields of Status, checked by its model
    case, version = ending.case, ending.version
    says = version_says(case, version) | {SOURCE_DELETED: source}
    common = version_fields(case, version) | {
        "source": source_status(ending.image),
        "proof": ending.proof,
        "verified": ending.verified.condition,
        "verification": ending.verified.verification,
        "deletion": Deletion(
            guards=ending.evaluation.statuses,
            consumers=_consumers(case),
            requested_at=_requested_at(case.migration.status),
        ),
    }
    if isinstance(case.facts.definition, Found):
        says |= definition_says(case.facts.definition.value)
    return compose(case.migration, summary, now=case.now, says=says, **(common | fields))


def _consumers(case: Case) -> list[ConsumerStatus] | None:
    if not isinstance(case.facts.consumers, Found):
        return None
    return consumers.statuses(
        (*case.facts.consumers.value.found, *consumers.builds(case.migration, case.context.peers))
    )
