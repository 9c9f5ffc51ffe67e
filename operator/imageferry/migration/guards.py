"""What has to hold, in one and the same pass, before a managed image is deleted.

Each guard is a pure function of the case. A wrong delete cannot be undone, so a guard
that cannot tell says no. Some of them need something that is only fetched or counted once
the others hold, the deferred ones. `Settled` comes last: what it says is the process's own,
so that a restart changes nothing in what the others say before it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imageferry.api.spec import DeletionPolicy, ReplicationMode, Spec
from imageferry.api.status import Deletion, GuardStatus, Proof
from imageferry.migration import consumers, identity, regions, verification
from imageferry.migration.facts import (
    Completion,
    Consumer,
    Consumers,
    Fact,
    Found,
    GalleryVersion,
    ManagedImage,
    Sibling,
    What,
)
from imageferry.migration.steps import Brake
from imageferry.migration.timing import Timing

SUCCEEDED = "Succeeded"


@dataclass(frozen=True, slots=True)
class DeletionCase:
    """Everything that guards may ask."""

    spec: Spec
    image: ManagedImage
    version: GalleryVersion
    proof: Proof
    verified: verification.Verdict
    completion: Completion
    siblings: Fact[tuple[Sibling, ...]]
    consumers: Fact[Consumers]
    builds: tuple[Consumer, ...]
    """Versions that others are building from the image."""
    timing: Timing
    brake: Brake
    now: datetime
    refusal: str | None
    """Why the migration's namespace may not use its image or its gallery."""

    @property
    def fingerprint(self) -> str:
        """The image's fingerprint, computed from what was read in this pass."""
        return self.proof.source_fingerprint


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a guard holds, and a sentence; `due` is when time alone may change the answer."""

    passed: bool
    message: str
    due: datetime | None = None
    waived: str | None = None
    """Why a person takes it for held."""


def holds(message: str) -> Answer:
    """Answer yes."""
    return Answer(passed=True, message=message)


def blocks(message: str) -> Answer:
    """Answer no."""
    return Answer(passed=False, message=message)


Guard = Callable[[DeletionCase], Answer]

DEFERRED = blocks("looked at once all others hold")


def policy_allows(case: DeletionCase) -> Answer:
    """Hold when the spec says that the image shall be deleted."""
    policy = case.spec.source_deletion.policy
    return Answer(passed=policy is DeletionPolicy.DELETE, message=f"sourceDeletion.policy is {policy}")


def scope_allowed(case: DeletionCase) -> Answer:
    """Hold when the migration's namespace may use this image and this gallery."""
    return blocks(case.refusal) if case.refusal else holds("the namespace may use the image and the gallery")


def version_built_from_source(case: DeletionCase) -> Answer:
    """Hold when the version was built from this very image, and not from one that had its name."""
    if not identity.same_id(case.version.source_id, case.spec.source.managed_image_id):
        return blocks(f"the version was built from {case.version.source_id or 'an unknown source'}")
    tagged = case.version.tags.get(identity.FINGERPRINT_TAG)
    if tagged is not None:
        message = "carries" if tagged == case.fingerprint else "does not carry"
        return Answer(
            passed=tagged == case.fingerprint,
            message=f"the version {message} the fingerprint of the image as it is now",
        )
    created, published = _time(case.image.created_at), _time(case.version.published_date)
    if created and published and created < published:
        return holds("the image is older than the version, which carries no fingerprint")
    return blocks("the version carries no fingerprint, and the image is not known to be older than it")


def source_unchanged(case: DeletionCase) -> Answer:
    """Hold when the image is settled and the same as when the version was first seen complete."""
    if case.image.provisioning_state != SUCCEEDED:
        return blocks(f"the image is {case.image.provisioning_state}, not {SUCCEEDED}")
    if case.completion.fingerprint != case.fingerprint:
        return blocks("the image has changed since the version was seen complete")
    return holds("the image is as it was when the version was seen complete")


def all_regions_completed(case: DeletionCase) -> Answer:
    """Hold when the version is Succeeded and every wanted region says Completed for itself."""
    if case.version.provisioning_state != SUCCEEDED:
        return blocks(f"the version is {case.version.provisioning_state}, not {SUCCEEDED}")
    lagging = regions.incomplete(case.spec.version, case.version)
    return Answer(
        passed=not lagging,
        message=f"not Completed: {', '.join(lagging)}" if lagging else "every wanted region is Completed",
    )


def full_replication(case: DeletionCase) -> Answer:
    """Hold when the version is an independent copy; a Shallow one depends on its source."""
    modes = (case.version.replication_mode, case.spec.version.replication_mode)
    full = all(mode == ReplicationMode.FULL for mode in modes)
    return Answer(passed=full, message="replicationMode is Full" if full else "a Shallow version depends on the image")


def verification_current(case: DeletionCase) -> Answer:
    """Hold when somebody vouched for just this proof."""
    return Answer(passed=case.verified.current, message=case.verified.message)


def grace_elapsed(case: DeletionCase) -> Answer:
    """Hold when the grace has passed since the verification, and since the version was published."""
    grace = timedelta(seconds=case.spec.source_deletion.grace_seconds)
    at = case.verified.verification.at if case.verified.verification else None
    published = _time(case.version.published_date)
    if at is None or published is None:
        return blocks("the grace counts from the verification")
    if published > case.now and grace:
        return blocks("publishedDate is in the future: the clocks of Azure and of the operator differ")
    due = max(at, min(published, case.now)) + grace if grace else case.now
    if case.now >= due:
        return holds("the grace has passed")
    return Answer(passed=False, message=f"the grace ends at {due:%Y-%m-%dT%H:%M:%SZ}", due=due)


def settled(case: DeletionCase) -> Answer:
    """Hold when this process itself has seen every region stay Completed for long enough."""
    due = case.completion.since + case.timing.settle
    message = f"the regions have to stay Completed for {case.timing.settle} in the operator's own sight"
    return Answer(passed=case.now >= due, message=message, due=due)


def deletion_enabled(case: DeletionCase) -> Answer:
    """Hold unless the operator is set to delete nothing at all."""
    if not case.brake.reaps:
        setting = "deletion.identity (IMAGEFERRY_DELETION_IDENTITY) is None"
        return blocks(f"the operator's setting {setting}: it never deletes; delete the image yourself")
    if case.brake.enabled:
        return holds("the operator may delete")
    return blocks("the operator's setting deletion.enabled (IMAGEFERRY_DELETION_ENABLED) is false")


def within_rate(case: DeletionCase) -> Answer:
    """Hold while the operator has deleted fewer images than its setting allows lately."""
    window = case.timing.rate_window
    recent = sorted(at for at in case.brake.deletions if at + window > case.now)
    if case.brake.most is None or len(recent) < case.brake.most:
        return holds("deletion.maxPerHour leaves room")
    message = f"deletion.maxPerHour is {case.brake.most}, and {len(recent)} images were deleted lately"
    if not case.brake.most:
        return blocks(message)
    return Answer(passed=False, message=message, due=recent[-case.brake.most] + window)


def not_shared(case: DeletionCase) -> Answer:
    """Hold when no other migration needs the image."""
    if not isinstance(case.siblings, Found):
        return DEFERRED
    for sibling in case.siblings.value:
        if sibling.finished:
            continue
        if sibling.retains:
            return blocks(f"{sibling.key} retains the same image")
        if not (sibling.replicated and sibling.verified):
            return blocks(f"{sibling.key} migrates the same image and is not replicated and verified yet")
    return holds("no other migration needs the image")


def no_consumers(case: DeletionCase) -> Answer:
    """Hold when nothing that can be seen still needs the image; what cannot be looked at may be there."""
    if not isinstance(case.consumers, Found):
        return DEFERRED
    seen = case.consumers.value
    if seen.missing_rights:
        return blocks(
            f"the operator's identity may not look for what uses the image: it lacks {', '.join(seen.missing_rights)} "
            "in the image's subscription; give it that right (docs/azure.md), or waive NoConsumers"
        )
    if using := (*seen.found, *case.builds):
        cure = "point them to the version, or waive NoConsumers"
        return blocks(f"{len(using)} still need the image ({consumers.named(using)}): {cure}; {consumers.UNSEEN_KINDS}")
    return holds(f"no machine is being made from the image and no scale set names it; {consumers.UNSEEN_KINDS}")


IMMEDIATE: dict[str, Guard] = {
    "PolicyAllows": policy_allows,
    "ScopeAllowed": scope_allowed,
    "DeletionEnabled": deletion_enabled,
    "VersionBuiltFromSource": version_built_from_source,
    "SourceUnchanged": source_unchanged,
    "AllRegionsCompleted": all_regions_completed,
    "FullReplication": full_replication,
    "VerificationCurrent": verification_current,
    "GraceElapsed": grace_elapsed,
}
DEFERRED_GUARDS: dict[str, Guard] = {
    "WithinRate": within_rate,
    "NoConsumers": no_consumers,
    "NotShared": not_shared,
    "Settled": settled,
}
LOOKS = {"NoConsumers": What.CONSUMERS, "NotShared": What.SIBLINGS}
"""What a deferred guard has to be told.

The other migrations come last of all looks: no write is fenced against what they say, so
that as little as possible lies between their LIST and the announcement.
"""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The answers of all guards by name."""

    answers: dict[str, Answer]

    @property
    def blocking(self) -> dict[str, Answer]:
        """The guards that do not hold."""
        return {name: answer for name, answer in self.answers.items() if not answer.passed}

    @property
    def due(self) -> datetime | None:
        """When time alone may let the deletion proceed; None when something else is awaited."""
        dues = [answer.due for answer in self.blocking.values() if answer is not DEFERRED]
        return max((due for due in dues if due), default=None) if all(dues) else None

    @property
    def statuses(self) -> list[GuardStatus]:
        """The answers as the status shows them."""
        return [
            GuardStatus(name=name, passed=answer.passed, message=answer.message, waived=answer.waived)
            for name, answer in self.answers.items()
        ]

    @property
    def wants(self) -> What | None:
        """The look that is missing: of the first guard that does not hold, when that one was not told yet."""
        first = next(iter(self.blocking), None)
        return LOOKS.get(first) if first and self.answers[first] is DEFERRED else None


def evaluate(case: DeletionCase) -> Evaluation:
    """Ask every guard; the deferred ones only once all others hold, one after the other."""
    answers = {name: guard(case) for name, guard in IMMEDIATE.items()}
    waived = {str(each.guard): each.reason for each in case.spec.source_deletion.waivers or ()}
    for name, guard in DEFERRED_GUARDS.items():
        held = all(answer.passed for answer in answers.values())
        if reason := waived.get(name):
            answers[name] = Answer(passed=True, message=f"waived: {reason}", waived=reason)
        else:
            answers[name] = guard(case) if held else DEFERRED
    return Evaluation(answers)


def restated(deletion: Deletion | None, name: str, answer: Answer) -> Deletion | None:
    """Return a stored deletion in which one guard says something else."""
    if deletion is None:
        return None
    told = GuardStatus(name=name, passed=answer.passed, message=answer.message)
    return deletion.model_copy(update={"guards": [told if each.name == name else each for each in deletion.guards]})


def _time(text: str | None) -> datetime | None:
    """Read a time as ARM writes it; None when there is none or it makes no sense."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
