"""Every path that is served: resources and operations (`paths`), and beside them actions, locks and catalogues.

One table says what a path is, what a call of it is named, and which right it needs (fact sheet, section 8).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from imageferry.simulator.paths import OPERATION_GROUPS, ArmPath, OperationPath, parse

_COMPUTE, _AUTHORIZATION, _RESOURCES = "Microsoft.Compute", "Microsoft.Authorization", "Microsoft.Resources"
_VERBS = {"GET": "read", "HEAD": "read", "DELETE": "delete"}
_SUBSCRIPTION = r"(?P<scope>/subscriptions/[^/]+)"
_GROUP = r"(?P<scope>/subscriptions/[^/]+/resourceGroups/[^/]+"
_GALLERY = _GROUP + r"/providers/Microsoft\.Compute/galleries/[^/]+)"
_MACHINE = _GROUP + r"/providers/Microsoft\.Compute/virtualMachines/[^/]+)"
_ANY = r"(?P<scope>/subscriptions/[^/]+(/resourceGroups/[^/]+(/providers/[^/]+(/[^/]+/[^/]+)+?)?)?)"
_LOCKS = _ANY + r"/providers/Microsoft\.Authorization/locks"


@dataclass(frozen=True, slots=True)
class Service:
    """A kind of call: its path, and by method the name that faults, hooks and the ledger know, and the right."""

    name: str
    pattern: re.Pattern[str]
    calls: Mapping[str, tuple[str, str]]


def _service(name: str, pattern: str, **calls: tuple[str, str]) -> Service:
    return Service(name, re.compile(pattern, re.IGNORECASE), calls)


_SERVICES = (
    _service("tenants", r"/tenants", GET=("tenants.list", "")),
    _service("subscriptions", r"/subscriptions", GET=("subscriptions.list", "")),
    _service("subscription", _SUBSCRIPTION, GET=("subscriptions.get", f"{_RESOURCES}/subscriptions/read")),
    _service(
        "locations",
        _SUBSCRIPTION + "/locations",
        GET=("subscriptions.listLocations", f"{_RESOURCES}/subscriptions/locations/read"),
    ),
    _service(
        "groups",
        _SUBSCRIPTION + "/resourceGroups",
        GET=("resourceGroups.list", f"{_RESOURCES}/subscriptions/resourceGroups/read"),
    ),
    _service(
        "provider",
        _SUBSCRIPTION + r"/providers/(?P<name>Microsoft\.\w+)",
        GET=("providers.get", f"{_RESOURCES}/subscriptions/providers/read"),
    ),
    _service(
        "register",
        _SUBSCRIPTION + r"/providers/(?P<name>Microsoft\.\w+)/register",
        POST=("providers.register", "{name}/register/action"),
    ),
    _service(
        "usages",
        _SUBSCRIPTION + r"/providers/Microsoft\.Compute/locations/(?P<name>[^/]+)/usages",
        GET=("usages.list", f"{_COMPUTE}/locations/usages/read"),
    ),
    _service(
        "skus",
        _SUBSCRIPTION + r"/providers/Microsoft\.Compute/skus",
        GET=("resourceSkus.list", f"{_COMPUTE}/skus/read"),
    ),
    _service("locks", _LOCKS, GET=("locks.list", f"{_AUTHORIZATION}/locks/read")),
    _service(
        "lock",
        _LOCKS + "/(?P<name>[^/]+)",
        GET=("locks.get", f"{_AUTHORIZATION}/locks/read"),
        PUT=("locks.createOrUpdate", f"{_AUTHORIZATION}/locks/write"),
        DELETE=("locks.delete", f"{_AUTHORIZATION}/locks/delete"),
    ),
    _service("share", _GALLERY + "/share", POST=("galleries.share", f"{_COMPUTE}/galleries/share/action")),
    _service(
        "softDeleted",
        _GALLERY + "/softDeletedArtifactTypes/Images/artifacts/(?P<name>[^/]+)/versions",
        GET=("softDeletedResource.list", f"{_COMPUTE}/galleries/softDeletedArtifactTypes/artifacts/versions/read"),
    ),
    _service(
        "instanceView",
        _MACHINE + "/instanceView",
        GET=("virtualMachines.instanceView", f"{_COMPUTE}/virtualMachines/instanceView/read"),
    ),
    _service(
        "runCommand",
        _MACHINE + "/runCommand",
        POST=("virtualMachines.runCommand", f"{_COMPUTE}/virtualMachines/runCommand/action"),
    ),
    _service(
        "generalize",
        _MACHINE + "/generalize",
        POST=("virtualMachines.generalize", f"{_COMPUTE}/virtualMachines/generalize/action"),
    ),
)


@dataclass(frozen=True, slots=True)
class ServicePath:
    """A path that names no resource of the provider. `scope` is what it is about, in the caller's casing."""

    service: Service
    id: str
    scope: str = ""
    name: str = ""

    @property
    def subscription(self) -> str:
        """The subscription; empty for what is above all of them."""
        return self.scope.split("/")[2] if self.scope else ""

    @property
    def about(self) -> ArmPath | None:
        """The resource or group that the path is about; None when the simulator holds no such kind."""
        found = parse(self.scope)
        return found if isinstance(found, ArmPath) else None


Route = ArmPath | OperationPath | ServicePath


def route(path: str) -> Route | None:
    """Read a path in any casing; None when it names nothing that is served."""
    resource = parse(path)
    if isinstance(resource, OperationPath) or (resource is not None and (resource.group or resource.types)):
        return resource
    for service in _SERVICES:
        if found := service.pattern.fullmatch(path.rstrip("/")):
            parts = found.groupdict()
            return ServicePath(service, path.rstrip("/"), parts.get("scope") or "", parts.get("name") or "")
    return None


def operation_name(method: str, path: Route) -> str | None:
    """Give the name by which faults, hooks and the ledger know the call; None when the method is not served."""
    if isinstance(path, ServicePath):
        return path.service.calls[method][0] if method in path.service.calls else None
    if isinstance(path, OperationPath):
        return "operations.get" if method == "GET" else None
    if not path.types:
        verbs = {"GET": "get", "PUT": "createOrUpdate", "HEAD": "checkExistence"}
        return f"resourceGroups.{verbs[method]}" if path.group and method in verbs else None
    group = OPERATION_GROUPS[path.kind]
    if path.is_collection:
        return f"{group}.list" if method == "GET" else None
    verbs = {"GET": "get", "PUT": "createOrUpdate", "PATCH": "update", "DELETE": "delete"}
    return f"{group}.{verbs[method]}" if method in verbs else None


def action(method: str, path: Route) -> tuple[str, str]:
    """Give the right that a call needs and the scope at which it must be held; no right for what all may do."""
    if isinstance(path, ServicePath):
        return path.service.calls[method][1].replace("{name}", path.name), path.scope
    if isinstance(path, OperationPath):
        return f"{_COMPUTE}/locations/{path.family}/read", f"/subscriptions/{path.subscription}"
    verb = _VERBS.get(method, "write")
    if not path.types:
        return f"{_RESOURCES}/subscriptions/resourceGroups/{verb}", path.id
    scope = path.id
    if path.is_collection:
        scope = path.parent.id if path.parent else ArmPath(path.subscription, path.group).id
    return f"{path.provider}/{path.kind}/{verb}", scope
