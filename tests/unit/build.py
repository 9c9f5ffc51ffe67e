"""What unit tests are made of: a migration, what Azure shows of it, and the loop that answers looks.

Everything is as it is at the end of the main path (the image, a fitting definition, a
version that is Completed in its one region), so that a test says only what differs.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from imageferry.api.resource import ImageMigration, parse
from imageferry.api.status import ActionName, Condition, Operation, Status
from imageferry.migration import identity
from imageferry.migration.decide import decide
from imageferry.migration.facts import (
    UNSEEN,
    Completion,
    Consumers,
    Disk,
    Facts,
    Found,
    Gallery,
    GalleryDefinition,
    GalleryVersion,
    ManagedImage,
    RegionReplication,
    Sight,
    Surroundings,
    What,
)
from imageferry.migration.scopes import Scope, Scopes
from imageferry.migration.steps import Act, Context, Look, Wait
from imageferry.migration.timing import Timing

Json = dict[str, Any]

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
TIMING = Timing()
CLUSTER = "cluster-a"
UID = "11111111-1111-1111-1111-111111111111"
GROUPS = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups"
IMAGE_ID = f"{GROUPS}/legacy/providers/Microsoft.Compute/images/web-2019"
OTHER_IMAGE_ID = f"{GROUPS}/legacy/providers/Microsoft.Compute/images/db"
GALLERY_ID = f"{GROUPS}/images/providers/Microsoft.Compute/galleries/prod"
DEFINITION_ID = f"{GALLERY_ID}/images/web"
VERSION_ID = f"{DEFINITION_ID}/versions/1.0.0"
SCOPES = Scopes("imageferry-system", {"platform": Scope((f"{GROUPS}/legacy",), (GALLERY_ID,))})
PUBLISHED = "2026-05-01T08:00:00.1234567+00:00"
REPUBLISHED = "2026-05-01T11:00:00.7654321+00:00"
SPEC: Json = {
    "source": {"managedImageId": IMAGE_ID},
    "gallery": {"id": GALLERY_ID},
    "definition": {"name": "web"},
    "version": {"name": "1.0.0"},
}


def patched(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch as RFC 7386 tells it, section 2."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = patched(out.get(key), value)
    return out


def body(spec: Json | None = None, status: Json | None = None, **metadata: Any) -> Json:
    """Return an ImageMigration as the API server stores it; `spec` is merged into one that works."""
    given = {"name": "web-2019", "namespace": "platform", "uid": UID, "resourceVersion": "7", "generation": 3}
    return {
        "apiVersion": "imageferry.dev/v1alpha1",
        "kind": "ImageMigration",
        "metadata": given | metadata,
        "spec": patched(SPEC, spec or {}),
        "status": status or {},
    }


def migration(spec: Json | None = None, status: Json | None = None, **metadata: Any) -> ImageMigration:
    """Return the same, read by the models."""
    return parse(body(spec, status, **metadata))


def in_regions(*names: str) -> Json:
    """Return a spec that wants these regions."""
    return {"version": {"targetRegions": [{"name": name} for name in names]}}


def image(**changes: Any) -> ManagedImage:
    """Return a generalized V2 image with one data disk, made before the version was published."""
    vm = f"{GROUPS}/legacy/providers/Microsoft.Compute/virtualMachines/web"
    given = ManagedImage(
        id=IMAGE_ID,
        location="westeurope",
        provisioning_state="Succeeded",
        os_type="Windows",
        os_state="Generalized",
        generation="V2",
        os_disk=Disk(None, 127, (f"{vm}-os",)),
        data_disks=(Disk(0, 64, (f"{vm}-data",)),),
        source_virtual_machine=vm,
        created_at="2026-04-01T00:00:00Z",
    )
    return replace(given, **changes)


def gallery(**changes: Any) -> Gallery:
    """Return a gallery that lies elsewhere than the image."""
    return replace(Gallery(GALLERY_ID, "northeurope"), **changes)


def definition(**changes: Any) -> GalleryDefinition:
    """Return a definition that fits the image."""
    given = GalleryDefinition(
        id=DEFINITION_ID,
        provisioning_state="Succeeded",
        os_type="Windows",
        os_state="Generalized",
        generation="V2",
        security_type="Standard",
        architecture="x64",
        identifier=("platform", "web", "default"),
        location="northeurope",
    )
    return replace(given, **changes)


def version(*names: str, source: ManagedImage | None = None, **changes: Any) -> GalleryVersion:
    """Return a version of ours, Completed in the regions named (West Europe when none is)."""
    regions = names or ("westeurope",)
    targets = tuple({"name": name, "regionalReplicaCount": 1} for name in regions)
    tags = {
        "imageferry-migration": UID,
        "imageferry-cluster": CLUSTER,
        "imageferry-fingerprint": identity.fingerprint(source or image()),
    }
    given = GalleryVersion(
        id=VERSION_ID,
        location="westeurope",
        provisioning_state="Succeeded",
        source_id=IMAGE_ID,
        published_date=PUBLISHED,
        tags=tags,
        target_regions=targets,
        publishing_profile={"targetRegions": list(targets), "replicaCount": 1, "publishedDate": PUBLISHED},
        replication={name: RegionReplication("Completed", 100) for name in regions},
    )
    return replace(given, **changes)


def replicating(*names: str, lagging: str = "westeurope", state: str = "Replicating", **changes: Any) -> GalleryVersion:
    """Return a version of which one region lags, though its operation may have Succeeded."""
    complete = version(*names, **changes)
    return replace(complete, replication={**complete.replication, lagging: RegionReplication(state, 40, "copying")})


def facts(**changes: Any) -> Facts:
    """Return all there is to see at the end of the main path; values count as found, a Sight as what it says."""
    given: dict[str, Any] = {
        "image": image(),
        "gallery": gallery(),
        "definition": definition(),
        "version": version(),
        "siblings": (),
        "surroundings": Surroundings(),
        "consumers": Consumers(),
    } | changes
    known = Facts()
    for name, value in given.items():
        known = known.plus(What(name), value if isinstance(value, Sight) else Found(value))
    return known


def context(now: datetime = NOW, completion: Completion | None = None) -> Context:
    """Return what a decision needs besides."""
    return Context(now, TIMING, CLUSTER, completion, scopes=SCOPES)


def completed(seen: GalleryVersion, *, source: ManagedImage | None = None, since: datetime | None = None) -> Completion:
    """Return what a process remembers of a version that it has seen complete for long enough."""
    first = since or NOW - TIMING.settle
    return Completion(seen.id.casefold(), seen.published_date, identity.fingerprint(source or image()), first)


def proven(seen: GalleryVersion, *, source: ManagedImage | None = None) -> Json:
    """Return a status with the proof of a version, which nobody has verified yet."""
    return {"proof": identity.proof(identity.fingerprint(source or image()), seen).wire()}


def verified(seen: GalleryVersion, *, source: ManagedImage | None = None, at: datetime = NOW) -> Json:
    """Return a status whose proof somebody verified."""
    status = proven(seen, source=source)
    said = [{"type": "Verified", "status": "True", "reason": "Condition", "lastTransitionTime": at.isoformat()}]
    binding = {"digest": status["proof"]["digest"], "at": at.isoformat(), "method": "Condition"}
    return status | {"conditions": said, "verification": binding}


def announced(action: ActionName, *, age: timedelta = timedelta(), attempt: int = 1) -> Json:
    """Return a status with a mutation that was announced `age` ago."""
    resources = {
        ActionName.CREATE_GALLERY: GALLERY_ID,
        ActionName.CREATE_DEFINITION: DEFINITION_ID,
        ActionName.UPDATE_DEFINITION: DEFINITION_ID,
        ActionName.DELETE_IMAGE: IMAGE_ID,
    }
    operation = {
        "id": "announced",
        "action": action.value,
        "resource": resources.get(action, VERSION_ID),
        "requestedAt": (NOW - age).isoformat(),
        "attempt": attempt,
    }
    return {"operation": operation}


def receipt(outcome: str = "Deleted") -> Json:
    """Return a status that holds the receipt."""
    return {"deletion": {"receipt": {"outcome": outcome, "resource": IMAGE_ID, "at": NOW.isoformat()}}}


def settle(subject: ImageMigration, seen: Facts, given: Context | None = None) -> tuple[Act | Wait, list[What]]:
    """Answer every look from `seen` until another step comes; returns it, and what was looked at."""
    known, looked, given = Facts(), list[What](), _since(subject, given or context())
    while isinstance(step := decide(subject, known, given), Look):
        answer = getattr(seen, step.what.value)
        if answer is UNSEEN or step.what in looked:
            raise AssertionError(f"asked for {step.what} after {looked}")
        looked.append(step.what)
        known = known.plus(step.what, answer)
    return step, looked


def _since(subject: ImageMigration, given: Context) -> Context:
    """Return the context of a process that has known the open announcement, and has met 404, from its beginning."""
    operation = subject.status.operation
    since = given.operation_since or (operation.requested_at if operation else None)
    denied = dict.fromkeys(What, since) if since else {}
    return replace(given, operation_since=since, missing_since={**denied, **given.missing_since})


def act(subject: ImageMigration, seen: Facts, given: Context | None = None) -> Act:
    """Return the mutation that is decided on."""
    step, _ = settle(subject, seen, given)
    assert isinstance(step, Act), step.status.conditions
    return step


def wait(subject: ImageMigration, seen: Facts, given: Context | None = None) -> Wait:
    """Return the wait that is decided on."""
    step, _ = settle(subject, seen, given)
    assert isinstance(step, Wait), step.action
    return step


def stored(subject: ImageMigration, step: Act | Wait, *, now: datetime = NOW) -> ImageMigration:
    """Return the migration as it is read after the step was written; a mutation is announced as the engine does."""
    status = step.status
    if isinstance(step, Act):
        operation = Operation(
            id=f"{step.action.name}-{step.attempt}-{now.isoformat()}",
            action=step.action.name,
            resource=step.action.resource,
            requested_at=now,
            attempt=step.attempt,
        )
        status = status.model_copy(update={"operation": operation})
    return subject.model_copy(update={"status": Status.model_validate(status.wire())})


def condition(status: Status, kind: str) -> Condition | None:
    """Return a condition by its exact type."""
    return next((each for each in status.conditions if each.type == kind), None)


def states(status: Status) -> dict[str, str]:
    """Return all conditions: type and status."""
    return {each.type: each.status.value for each in status.conditions}


def reason(status: Status, kind: str) -> str:
    """Return the reason of a condition that has to be there."""
    found = condition(status, kind)
    assert found is not None, states(status)
    return found.reason or ""


def message(status: Status, kind: str) -> str:
    """Return the message of a condition that has to be there."""
    found = condition(status, kind)
    assert found is not None, states(status)
    return found.message or ""
