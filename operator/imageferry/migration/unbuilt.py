"""The version is not there: check the image, see to the definition, build.

The order of the looks is that of the questions: is there something to build from, may it
be built, is the definition right. A version that was there before and has vanished is
built again within a budget; what was verified of the old one does not count for it.
"""

from collections.abc import Mapping
from typing import Any

from imageferry.api.spec import ReplicationMode
from imageferry.api.status import (
    ActionName,
    DefinitionStatus,
    Outcome,
    Phase,
    SourceStatus,
    Status,
    VersionStatus,
)
from imageferry.migration import definitions, identity, requests, verification
from imageferry.migration.facts import MISSING, UNSEEN, Found, GalleryDefinition, ManagedImage, What
from imageferry.migration.guards import SUCCEEDED
from imageferry.migration.report import (
    DEFINITION_READY,
    FALSE,
    PREFLIGHT,
    REPLICATED,
    TRUE,
    VERSION_READY,
    Says,
    Summary,
    compose,
)
from imageferry.migration.stall import stalled
from imageferry.migration.steps import Act, Case, Look, Step, Wait

BUILD_BUDGET = 3
LARGEST_DISK_GB = 2048
"""Beyond it ARM answers GallerySourceResourceExceedsMaxSize (fact sheet, section 4.3)."""


def decide(case: Case) -> Step:
    """Return the next step towards a build."""
    if case.announced(ActionName.CREATE_VERSION):
        return _disbelieve(
            case, Phase.CREATING, "CreatingVersion", "the version was requested; Azure does not show it yet"
        )
    match case.facts.image:
        case Found(image):
            return _check_image(case, image)
        case _ if case.facts.image is UNSEEN:
            return Look(What.IMAGE)
    return _without_image(case)


def source_status(image: ManagedImage) -> SourceStatus:
    """Return the image as the status shows it."""
    return SourceStatus(
        id=image.id,
        location=image.location,
        os_type=image.os_type,
        hyper_v_generation=image.generation,
        size_gb=sum(disk.size_gb or 0 for disk in image.disks),
        data_disks=len(image.data_disks),
        fingerprint=identity.fingerprint(image),
    )


def _disbelieve(case: Case, phase: Phase, reason: str, message: str) -> Wait:
    return Wait(_status(case, Summary(phase, reason, message)), case.timing.soon * 3)


def _without_image(case: Case) -> Step:
    image = case.migration.spec.source.managed_image_id
    message = (
        f"spec.source.managedImageId: there is no image {image}, and no version {case.migration.spec.version.name} "
        "built from it either; correct the id in a new ImageMigration, or create the image"
    )
    return _preflight_stall(case, "SourceMissing", message)


def _check_image(case: Case, image: ManagedImage) -> Step:
    source = source_status(image)
    if image.provisioning_state == "Failed":
        message = f"spec.source.managedImageId: the image {image.id} is Failed; create it anew"
        return _preflight_stall(case, "SourceFailed", message, source=source)
    if image.provisioning_state != SUCCEEDED:
        message = f"the image is {image.provisioning_state}; waiting until it is {SUCCEEDED}"
        summary = Summary(Phase.PENDING, "SourceNotSettled", message)
        return Wait(_status(case, summary, source=source), case.timing.soon * 3)
    if finding := _unfit(case, image):
        reason, message = finding
        return _preflight_stall(case, reason, message, source=source)
    return _see_definition(case, image)


def _unfit(case: Case, image: ManagedImage) -> tuple[str, str] | None:
    """Return reason and message when this image can never become this version."""
    spec = case.migration.spec
    if image.os_state != definitions.GENERALIZED:
        return "SourceNotGeneralized", (
            f"spec.source.managedImageId: the image is {image.os_state}; only generalized images can be migrated: "
            "generalize the machine and capture it again"
        )
    large = [disk for disk in image.disks if (disk.size_gb or 0) > LARGEST_DISK_GB]
    if large and spec.version.replication_mode is not ReplicationMode.SHALLOW:
        lun = "the OS disk" if large[0].lun is None else f"the data disk at LUN {large[0].lun}"
        return "SourceTooLarge", (
            f"spec.source.managedImageId: {lun} has {large[0].size_gb} GB, and Azure builds versions from disks of at "
            f"most {LARGEST_DISK_GB} GB; capture a smaller image, or use a new ImageMigration with "
            "version.replicationMode Shallow"
        )
    if wrong := definitions.contradictions(spec.definition, image):
        text = "; ".join(str(difference) for difference in wrong)
        return "DefinitionContradictsSource", f"spec.definition: {text}; correct the field, or leave it out"
    return None


def _see_definition(case: Case, image: ManagedImage) -> Step:
    match case.facts.definition:
        case Found(definition):
            return _check_definition(case, image, definition)
        case _ if case.facts.definition is UNSEEN:
            return Look(What.DEFINITION)
    if case.announced(ActionName.CREATE_DEFINITION):
        return _disbelieve(
            case, Phase.DEFINING, "CreatingDefinition", "the definition was requested; Azure does not show it yet"
        )
    return _create_definition(case, image)


def _create_definition(case: Case, image: ManagedImage) -> Step:
    if case.facts.gallery is UNSEEN:
        return Look(What.GALLERY)
    if case.facts.gallery is MISSING:
        gallery = case.migration.spec.gallery.id
        message = (
            f"spec.gallery.id: there is no gallery {gallery}; create it, or correct the id in a new ImageMigration"
        )
        return _preflight_stall(case, "GalleryMissing", message, source=source_status(image))
    summary = Summary(Phase.DEFINING, "CreatingDefinition", "the definition is requested")
    status = _status(
        case,
        summary,
        says={PREFLIGHT: _passed()},
        source=source_status(image),
        definition=DefinitionStatus(id=requests.definition_id(case.migration)),
    )
    action = requests.create_definition(case.migration, image, case.facts.gallery.value)
    return Act(action, status, case.next_attempt(action.name))


def _check_definition(case: Case, image: ManagedImage, definition: GalleryDefinition) -> Step:
    if finding := definition_finding(case, image, definition):
        return _definition_stall(case, "DefinitionMismatch", finding, source=source_status(image))
    if definition.provisioning_state == "Failed":
        finding = f"spec.definition.name: the definition {definition.id} is Failed; delete it, and it is created again"
        return _definition_stall(case, "DefinitionFailed", finding, source=source_status(image))
    if definition.provisioning_state != SUCCEEDED:
        summary = Summary(Phase.DEFINING, "CreatingDefinition", "the definition is requested")
        return Wait(_status(case, summary), case.timing.soon)
    return _build(case, image, definition)


def definition_finding(case: Case, image: ManagedImage, definition: GalleryDefinition) -> str | None:
    """Return what is wrong with an existing definition, and the cure; None when it fits."""
    wrong = definitions.differences(case.migration.spec.definition, image, definition)
    if not wrong:
        return None
    text = "; ".join(str(difference) for difference in wrong)
    return (
        f"spec.definition.name: the definition {case.migration.spec.definition.name} exists and does not fit: {text}. "
        "None of these can be changed in Azure: name another definition in a new ImageMigration, or delete this one"
    )


def definition_says(definition: GalleryDefinition) -> dict[str, Says]:
    """Return what DefinitionReady says of a definition that fits."""
    return {DEFINITION_READY: Says(TRUE, "Agrees", f"the definition {definition.id.rsplit('/', 1)[-1]} fits the image")}


def definition_status(case: Case) -> DefinitionStatus:
    """Return the definition as the status shows it."""
    before, operation = case.migration.status.definition, case.migration.status.operation
    requested = operation is not None and operation.action is ActionName.CREATE_DEFINITION
    outcome = (before and before.outcome) or (Outcome.CREATED if requested else Outcome.ADOPTED)
    return DefinitionStatus(id=requests.definition_id(case.migration), outcome=outcome)


def _build(case: Case, image: ManagedImage, definition: GalleryDefinition) -> Step:
    before = case.migration.status.version
    builds = (before.attempts if before else None) or 0
    says = {PREFLIGHT: _passed(), **definition_says(definition)}
    common = {"source": source_status(image), "definition": definition_status(case)}
    if builds >= BUILD_BUDGET:
        message = (
            f"spec.version.name: version {case.migration.spec.version.name} was built {builds} times and is not there; "
            "find out in Azure what removes it, then delete and apply this ImageMigration anew"
        )
        return stalled(case, "BuildBudgetExhausted", message, says=says | _not_built("BuildBudgetExhausted"), **common)
    voided = verification.judge_unproven(case.migration.status, now=case.now)
    status = _status(
        case,
        Summary(Phase.CREATING, "CreatingVersion", "the version is requested"),
        says=says,
        verified=voided.condition,
        verification=voided.verification,
        proof=None,
        replication=None,
        deletion=None,
        version=VersionStatus(id=requests.version_id(case.migration), attempts=builds or None),
        **common,
    )
    action = requests.create_version(case.migration, image, cluster=case.context.cluster)
    return Act(action, status, case.next_attempt(action.name))


def _status(case: Case, summary: Summary, *, says: Mapping[str, Says] | None = None, **fields: Any) -> Status:  # noqa: ANN401 - as `compose`
    """Compose a status that claims no version, whatever was said before: siblings trust what stands there."""
    return compose(case.migration, summary, now=case.now, says=_not_built(summary.reason) | dict(says or {}), **fields)


def _preflight_stall(case: Case, reason: str, message: str, **fields: Any) -> Wait:  # noqa: ANN401 - as `stalled`
    says = {PREFLIGHT: Says(FALSE, reason, message), **_not_built(reason)}
    return stalled(case, reason, message, says=says, **fields)


def _definition_stall(case: Case, reason: str, message: str, **fields: Any) -> Wait:  # noqa: ANN401 - as `stalled`
    says = {DEFINITION_READY: Says(FALSE, reason, message), **_not_built(reason)}
    return stalled(case, reason, message, says=says, **fields)


def _not_built(reason: str) -> dict[str, Says]:
    """Return what is said while there is no version, whatever was said before."""
    return {kind: Says(FALSE, reason, "there is no version yet") for kind in (VERSION_READY, REPLICATED)}


def _passed() -> Says:
    return Says(TRUE, "Passed", "the image, the gallery and the definition fit together")
