"""Whether a request may be carried out at all: rights, linked rights, registration, policies, locks - in that order."""

from collections.abc import Iterator
from typing import Any

from imageferry.simulator.paths import ArmPath, parse
from imageferry.simulator.requests import ArmRequest
from imageferry.simulator.routes import action
from imageferry.simulator.wire import ArmError, Json
from imageferry.simulator.world import World, section

_SOURCE_RIGHTS = {
    "images": "Microsoft.Compute/images/read",
    "galleries/images": "Microsoft.Compute/galleries/images/read",
    "galleries/images/versions": "Microsoft.Compute/galleries/images/versions/read",
    "virtualMachines": "Microsoft.Compute/virtualMachines/write",
    "disks": "Microsoft.Compute/disks/write",
    "snapshots": "Microsoft.Compute/snapshots/write",
}
_READ_DES = "Microsoft.Compute/diskEncryptionSets/read"
_JOIN_SUBNET = "Microsoft.Network/virtualNetworks/subnets/join/action"


def check(world: World, request: ArmRequest) -> None:
    """Raise the ArmError by which Resource Manager refuses this request; it does not look whether anything exists."""
    right, scope = action(request.method, request.path)
    if not right:
        return
    if not world.governance.may(request.identity, right, scope, world.now):
        message = (
            f"The client '{request.identity}' with object id '{request.object_id}' does not have authorization to "
            f"perform action '{right}' over scope '{scope}' or the scope is invalid. "
            "If access was recently granted, please refresh your credentials."
        )
        raise ArmError(403, "AuthorizationFailed", message, gateway=True)
    _check_linked(world, request, right, scope)
    _check_registered(world, request)
    body, path = request.body or {}, request.path
    if isinstance(path, ArmPath) and request.method in ("PUT", "PATCH"):
        world.governance.check_policies(f"{path.provider}/{path.kind}" if path.types else "", path.id, body)
    if request.method not in ("GET", "HEAD") and not right.startswith("Microsoft.Authorization/"):
        honoured = world.rules.removed_lock_honoured
        world.governance.check_locks(request.method, scope, world.now, honoured=honoured)


def _check_linked(world: World, request: ArmRequest, right: str, scope: str) -> None:
    if request.method not in ("PUT", "PATCH") or not isinstance(request.path, ArmPath):
        return
    for linked, at in _linked(request.path.kind, section(request.body or {}, "properties")):
        if not world.governance.may(request.identity, linked, at, world.now):
            message = (
                f"The client '{request.identity}' with object id '{request.object_id}' has permission to perform "
                f"action '{right}' on scope '{scope}'; however, it does not have permission to perform action(s) "
                f"'{linked}' on the linked scope(s) '{at}' (respectively) or the linked scope(s) are invalid."
            )
            raise ArmError(403, "LinkedAuthorizationFailed", message, gateway=True)


def _linked(kind: str, properties: Json) -> Iterator[tuple[str, str]]:
    """Give the rights that a body needs elsewhere: on its sources, encryption sets and subnets."""
    if kind not in ("galleries/images/versions", "virtualMachines", "images"):
        return
    for name, value in _strings(properties):
        if name == "diskEncryptionSetId":
            yield _READ_DES, value
        elif name in ("id", "virtualMachineId"):
            path = parse(value)
            if "/subnets/" in value.casefold():
                yield _JOIN_SUBNET, value
            elif isinstance(path, ArmPath) and path.kind in _SOURCE_RIGHTS and path.names:
                yield _SOURCE_RIGHTS[path.kind], value


def _strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 -- any JSON
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for inner, each in value.items():
            yield from _strings(each, inner)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each, name)


def _check_registered(world: World, request: ArmRequest) -> None:
    path = request.path
    if not isinstance(path, ArmPath) or not path.types:
        return
    if world.store.registration(path.subscription, path.provider, world.now) != "Registered":
        message = (
            f"The subscription is not registered to use namespace '{path.provider}'. See "
            "https://aka.ms/rps-not-found for how to register subscriptions."
        )
        raise ArmError(409, "MissingSubscriptionRegistration", message, gateway=True)
