"""Resource ids and request paths: any casing comes in, two forms go out.

`id` keeps the caller's casing of names (a GET echoes it), `key` is case-folded (two ids are one resource when their
keys are equal).
"""

from dataclasses import dataclass
from functools import cached_property

PROVIDER = "Microsoft.Compute"
_OTHER_PROVIDERS = {"networkInterfaces": "Microsoft.Network", "virtualNetworks": "Microsoft.Network"}

_TYPES = {
    name.casefold(): name
    for name in (
        "images",
        "galleries",
        "versions",
        "virtualMachines",
        "virtualMachineScaleSets",
        "disks",
        "diskEncryptionSets",
        "snapshots",
        "runCommands",
        "networkInterfaces",
        "virtualNetworks",
    )
}

OPERATION_GROUPS = {
    "images": "images",
    "galleries": "galleries",
    "galleries/images": "galleryImages",
    "galleries/images/versions": "galleryImageVersions",
    "virtualMachines": "virtualMachines",
    "virtualMachineScaleSets": "virtualMachineScaleSets",
    "disks": "disks",
    "diskEncryptionSets": "diskEncryptionSets",
    "snapshots": "snapshots",
    "virtualMachines/runCommands": "virtualMachineRunCommands",
    "networkInterfaces": "networkInterfaces",
    "virtualNetworks": "virtualNetworks",
}


@dataclass(frozen=True)
class ArmPath:
    """A subscription, a group, a collection or a resource; the last of `types` without a name is a collection."""

    subscription: str
    group: str = ""
    types: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def is_collection(self) -> bool:
        """Whether this names a list, not one resource."""
        return len(self.types) == len(self.names) + 1

    @property
    def kind(self) -> str:
        """Type below the provider in Azure's casing: `galleries/images`; empty for a group or subscription."""
        return "/".join(self.types)

    @property
    def provider(self) -> str:
        """Namespace of the resource provider."""
        return _OTHER_PROVIDERS.get(self.types[0], PROVIDER) if self.types else ""

    @property
    def name(self) -> str:
        """Name of the resource itself."""
        return self.names[-1] if self.names else self.group

    @cached_property
    def id(self) -> str:
        """The id in the caller's casing of names."""
        head = f"/subscriptions/{self.subscription}" + (f"/resourceGroups/{self.group}" if self.group else "")
        return f"{head}/providers/{self.tail}" if self.types else head

    @cached_property
    def key(self) -> str:
        """What two spellings of one id have in common."""
        return self.id.casefold()

    @property
    def tail(self) -> str:
        """`Microsoft.Compute/galleries/g/images/i`, as ARM's messages write it."""
        names = (*self.names, "") if self.is_collection else self.names
        pairs = zip(self.types, names, strict=True)
        return "/".join([self.provider, *(part for pair in pairs for part in pair if part)])

    @property
    def parent(self) -> "ArmPath | None":
        """The resource that must exist before this one can; None at the top level."""
        names = self.names if self.is_collection else self.names[:-1]
        return ArmPath(self.subscription, self.group, self.types[:-1], names) if names else None

    @property
    def collection_key(self) -> str:
        """Key of the list that holds this resource."""
        return self.key if self.is_collection else self.key.rpartition("/")[0]

    def upper_group(self) -> "ArmPath":
        """Give the same path with its group in capitals, as some lists spell it."""
        return ArmPath(self.subscription, self.group.upper(), self.types, self.names)


@dataclass(frozen=True, slots=True)
class OperationPath:
    """An asynchronous operation."""

    subscription: str
    location: str
    family: str
    name: str


def parse(path: str) -> ArmPath | OperationPath | None:
    """Read a path in any casing; None when it names nothing that is served."""
    parts = [part for part in path.split("/") if part]
    folded = [part.casefold() for part in parts]
    if len(parts) < 2 or folded[0] != "subscriptions":
        return None
    subscription, rest, folded_rest = parts[1], parts[2:], folded[2:]
    group = ""
    if folded_rest[:1] == ["resourcegroups"] and len(rest) >= 2:
        group, rest, folded_rest = rest[1], rest[2:], folded_rest[2:]
    if not rest:
        return ArmPath(subscription, group)
    if folded_rest[:1] != ["providers"] or len(rest) < 3:
        return None
    if not group and folded_rest[1:3] == [PROVIDER.casefold(), "locations"]:
        return _operation(subscription, rest[3:])
    found = _resource(subscription, group, rest[2:])
    return found if found is not None and found.provider.casefold() == folded_rest[1] else None


def parse_id(resource_id: str) -> ArmPath:
    """Read the id of one resource; ValueError when it is none."""
    found = parse(resource_id)
    if not isinstance(found, ArmPath) or found.is_collection or not found.names:
        raise ValueError(f"not the id of a resource that the simulator holds: {resource_id!r}")
    return found


def _operation(subscription: str, rest: list[str]) -> OperationPath | None:
    families = {"operations": "operations", "capsoperations": "capsOperations"}
    if len(rest) != 3 or rest[1].casefold() not in families:
        return None
    return OperationPath(subscription, rest[0], families[rest[1].casefold()], rest[2])


def _resource(subscription: str, group: str, rest: list[str]) -> ArmPath | None:
    types = tuple(_TYPES.get(part.casefold(), part) for part in rest[::2])
    path = ArmPath(subscription, group, types, tuple(rest[1::2]))
    if path.kind not in OPERATION_GROUPS or (not group and not path.is_collection):
        return None
    if not group and len(types) > 1:
        return None
    return path
