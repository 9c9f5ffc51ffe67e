"""What sets the resource types apart, in one table, and how any of them is shown."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from imageferry.simulator import definitions, galleries, images, machines, plain, runcommands, versions
from imageferry.simulator.operations import Kind
from imageferry.simulator.paths import OPERATION_GROUPS, ArmPath
from imageferry.simulator.replicas import replication_status
from imageferry.simulator.settings import Durations
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Json
from imageferry.simulator.world import World

SHOWN = ("location", "tags", "plan", "systemData", "properties", "extendedLocation", "sku", "zones", "identity")
"""What a resource has beside its id, in the order in which it is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Type:
    """What sets a resource type apart. `seconds` are for creating, updating and deleting."""

    create: Callable[[World, ArmPath, Json], Json]
    change: Callable[..., Json]
    render: Callable[[World, Resource], Json]
    seconds: Callable[[Durations], tuple[float, float, float]]
    family: str = "operations"
    retry_after: int = 0
    created: int = 201
    """Status of the answer to a PUT that creates."""
    capitals: bool = False
    """Whether its lists write the resource group in capitals."""

    def lasts(self, durations: Durations, kind: Kind) -> float:
        """Seconds that an operation takes."""
        return dict(zip(Kind, self.seconds(durations), strict=True))[kind]


_PLAIN = Type(
    create=plain.create,
    change=plain.change,
    render=plain.render,
    seconds=lambda d: (d.plain_write, d.plain_write, d.plain_delete),
    retry_after=2,
)
_OWN = {
    **dict.fromkeys(("disks", "snapshots"), replace(_PLAIN, created=202)),  # clients take 200 and 202 alone
    "images": Type(
        create=images.create,
        change=images.change,
        render=images.render,
        seconds=lambda d: (d.image_write, d.image_write, d.image_delete),
        capitals=True,
    ),
    "galleries": Type(
        create=galleries.create,
        change=galleries.change,
        render=galleries.render,
        seconds=lambda d: (d.gallery_write, d.gallery_write, d.gallery_delete),
        family="capsOperations",
        capitals=True,
    ),
    "galleries/images": Type(
        create=definitions.create,
        change=definitions.change,
        render=definitions.render,
        seconds=lambda d: (d.definition_write, d.definition_write, d.definition_delete),
        family="capsOperations",
    ),
    versions.KIND: Type(
        create=versions.create,
        change=versions.change,
        render=versions.render,
        seconds=lambda d: (d.version_create, d.version_update, d.version_delete),
        family="capsOperations",
        retry_after=60,
    ),
    machines.KIND: Type(
        create=machines.create,
        change=plain.change,
        render=machines.render,
        seconds=lambda d: (d.machine_create, d.machine_update, d.machine_delete),
        retry_after=10,
    ),
    runcommands.KIND: Type(
        create=runcommands.create,
        change=plain.change,
        render=runcommands.render,
        seconds=lambda d: (d.run_command, d.run_command, d.plain_delete),
    ),
}
TYPES = {kind: _OWN.get(kind, _PLAIN) for kind in OPERATION_GROUPS}


def render(world: World, resource: Resource, path: ArmPath, *, expand: str = "") -> Json:
    """Give the body as the caller sees it; `path` has the casing that the answer echoes, `expand` is case-folded."""
    body = resource.body
    shown: Json = {
        "name": path.name,
        "id": path.id,
        "type": f"{path.provider}/{path.kind}",
        "location": body["location"],
    }
    shown |= {key: body[key] for key in SHOWN[1:4] if key in body}
    properties = TYPES[path.kind].render(world, resource)
    if "replicationstatus" in expand and path.kind == versions.KIND:
        properties["replicationStatus"] = replication_status(resource.replicas.values(), world.now)
    if "instanceview" in expand and path.kind == machines.KIND:
        properties["instanceView"] = machines.instance_view(world, resource)
    if "instanceview" in expand and path.kind == runcommands.KIND:
        properties["instanceView"] = runcommands.instance_view(world, resource)
    if world.rules.unknown_fields:
        properties["platformAttributes"] = [{"name": "simulator.unknown", "value": "1"}]
    shown["properties"] = {**properties, "provisioningState": resource.state(world.now)}
    return shown | {key: body[key] for key in SHOWN[5:] if key in body}
