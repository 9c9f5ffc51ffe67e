"""One world for a whole module: many migrations side by side under one operator, and what is asked of them all."""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from imageferry.simulator import Entry
from tests import manifests
from tests.cluster.world import World, opened
from tests.controlplane import ControlPlane
from tests.manifests import Json

PUT_VERSION, PUT_DEFINITION, PUT_GALLERY = (
    "galleryImageVersions.createOrUpdate",
    "galleryImages.createOrUpdate",
    "galleries.createOrUpdate",
)
PROFILE, TARGETS = "properties.publishingProfile", "properties.publishingProfile.targetRegions"
EXCLUDED = f"{PROFILE}.excludeFromLatest"
END = f"{PROFILE}.endOfLifeDate"
WEST: Json = {"name": "westeurope"}
_tokens = count(1)


def version(**fields: Any) -> Json:
    """Return a spec that says this of the version."""
    return {"version": fields}


def regions(*regions: Json) -> Json:
    """Return a spec with these regions."""
    return version(targetRegions=list(regions))


def definition(**fields: Any) -> Json:
    """Return a spec that says this of the definition."""
    return {"definition": fields}


@contextmanager
def running_world(plane: ControlPlane, folder: Path, **settings: Any) -> Iterator[World]:
    """Give a world with a namespace of its own, its operator running."""
    with opened(plane, folder, **settings) as world:
        world.operator.start()
        yield world


def apply_all(world: World, wanted: Iterable[Json]) -> None:
    """Apply many manifests in one go."""
    world.kubectl("apply", "--filename=-", input="\n---\n".join(manifests.text(each) for each in wanted))


def bodies(world: World) -> dict[str, Json]:
    """Return all migrations by name."""
    items = json.loads(world.kubectl("get", "imig", "--output=json").stdout)["items"]
    return {item["metadata"]["name"]: item for item in items}


def statuses(world: World) -> dict[str, Json]:
    """Return all statuses by name."""
    return {name: body.get("status", {}) for name, body in bodies(world).items()}


def conditions(status: Json) -> dict[str, Json]:
    """Return the conditions by type."""
    return {each["type"]: each for each in status.get("conditions", [])}


def until_all(
    world: World, names: Iterable[str], look: Callable[[Json], Any], *, what: str, within: float = 60
) -> None:
    """Wait until a look at each of these statuses is true; what fails to come is named."""
    wanted, late = set(names), set[str]()

    def there() -> bool:
        nonlocal late
        seen = statuses(world)
        late = {name for name in wanted if not look(seen.get(name, {}))}
        return not late

    try:
        world.wait(there, what=what, within=within)
    except AssertionError as error:
        told = {name: conditions(statuses(world).get(name, {})).get("Ready", {}).get("message") for name in late}
        raise AssertionError(f"{what}: not {sorted(late)}: {told}\n{error}") from error


def until_settled(world: World, names: Iterable[str], phase: str) -> None:
    """Wait until all of these are in a phase for their newest spec, with nothing announced."""
    wanted = set(names)

    def settled(body: Json) -> bool:
        status = body.get("status", {})
        seen = status.get("observedGeneration") == body["metadata"]["generation"]
        return seen and status.get("phase") == phase and "operation" not in status

    def late() -> list[str]:
        there = bodies(world)
        return sorted(name for name in wanted if not settled(there[name]))

    try:
        world.wait(lambda: not late(), what=f"all settled, {phase}")
    except AssertionError as error:
        raise AssertionError(f"not settled: {late()}\n{error}") from error


def until_phases(world: World, names: Iterable[str], phase: str, *, within: float = 60) -> None:
    """Wait until all of these are in a phase."""
    until_all(world, names, lambda status: status.get("phase") == phase, what=f"all {phase}", within=within)


def verify_all(world: World, names: Iterable[str]) -> None:
    """Verify these in one go, for the proof that each shows."""
    seen = statuses(world)
    said = [
        {
            "apiVersion": "imageferry.dev/v1alpha1",
            "kind": "ImageMigration",
            "metadata": {"name": name},
            "status": {
                "conditions": [{"type": "Verified", "status": "True"}],
                "verification": {"by": "admin", "digest": seen[name]["proof"]["digest"]},
            },
        }
        for name in names
    ]
    words = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "--filename=-")
    world.kubectl(*words, input="\n---\n".join(manifests.text(each) for each in said))


def look_again(world: World, *names: str) -> None:
    """Ask for a pass of each, and wait until it was made."""
    token = f"look-{next(_tokens)}"
    world.kubectl("annotate", "--overwrite", "imig", *names, f"imageferry.dev/reconcile-at={token}")
    until_all(world, names, lambda status: status.get("lastHandledReconcileAt") == token, what="the pass asked for")


def definition_id(name: str, *, gallery: str = "prod") -> str:
    """Return the id of a definition."""
    return f"{manifests.gallery_id(gallery)}/images/{name}"


def version_id(name: str, *, gallery: str = "prod", version: str = "1.0.0") -> str:
    """Return the id of a version."""
    return f"{definition_id(name, gallery=gallery)}/versions/{version}"


def state(world: World, resource: str) -> Json:
    """Return a resource as ARM answers it; it has to be there."""
    found = world.azure.cloud.get(resource)
    assert found is not None, f"{resource} is not there: {world.azure.cloud.ids()}"
    return found


def change_in_azure(world: World, resource: str, change: Callable[[Json], None]) -> None:
    """Let somebody else change a resource beside us."""
    body = state(world, resource)
    change(body)
    world.azure.cloud.put(resource, body)


def sent(world: World, name: str, *, since: int = 0) -> list[Entry]:
    """Return every PUT and DELETE for the definition of that name, its version and the image of that name."""
    entries = world.azure.ledger.entries(since=since)
    ends = (f"/images/{name}".casefold(), f"/images/{name}/versions/".casefold())
    return [
        entry
        for entry in entries
        if entry.method != "GET"
        and (entry.resource_id.casefold().endswith(ends[0]) or ends[1] in entry.resource_id.casefold())
    ]


def builds(world: World, resource: str = "") -> list[Entry]:
    """Return all requests for a version that took effect."""
    return world.azure.ledger.entries(PUT_VERSION, effect="created", resource=resource)


def put_images(world: World, *names: str) -> None:
    """Let these images exist."""
    for name in names:
        world.azure.cloud.put_image(name, group="legacy")


def dig(body: Any, path: str) -> Any:
    """Return what stands at a path such as `properties.features.0.name`; None when nothing does."""
    for part in path.split("."):
        if isinstance(body, list):
            body = body[int(part)] if int(part) < len(body) else None
        else:
            body = (body or {}).get(part)
    return body
