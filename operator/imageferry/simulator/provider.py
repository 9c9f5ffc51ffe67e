"""The resource provider: one request in, one answer and its effect out.

Synchronous and without I/O; `Cloud` calls it under its lock, so the effect of a request is one step. Faults that
change the effect (a failing operation or region, a stale read) come in with the request.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from imageferry.simulator import definitions, galleries, images, versions
from imageferry.simulator.faults import Does, FailOperation, FailRegion, Stale
from imageferry.simulator.ledger import Effect
from imageferry.simulator.operations import Failure, Kind, Operation, Signer
from imageferry.simulator.paths import OPERATION_GROUPS, PROVIDER, ArmPath, OperationPath
from imageferry.simulator.regions import short_name
from imageferry.simulator.replicas import Replica, replication_status
from imageferry.simulator.settings import Durations
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Answered, ArmError, Json, conflict, missing
from imageferry.simulator.world import World, check_location, section

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRequest:
    """A request that passed the gateway's checks. `target` is path and query to the letter."""

    method: str
    path: ArmPath | OperationPath
    target: str
    query: Mapping[str, str]
    api_version: str
    body: Json | None = None
    base_url: str = ""
    page_size: int = 50
    does: Sequence[Does] = ()

    def fault(self, kind: type[_T]) -> _T | None:
        """Give the first fault of that kind that meets this request."""
        return next((each for each in self.does if isinstance(each, kind)), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer and what the request changed."""

    answered: Answered
    effect: Effect = field(default=Effect.READ)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    """What sets a resource type apart."""

    create: Callable[[World, ArmPath, Json], Json]
    change: Callable[..., Json]
    render: Callable[[World, Resource], Json]
    seconds: Callable[[Durations], tuple[float, float, float]]
    family: str = "capsOperations"
    retry_after: int = 0
    capitals: bool = False
    """Whether its lists write the resource group in capitals."""


_TYPES = {
    "images": _Type(
        create=images.create,
        change=images.change,
        render=images.render,
        seconds=lambda d: (d.image_write, d.image_write, d.image_delete),
        family="operations",
        capitals=True,
    ),
    "galleries": _Type(
        create=galleries.create,
        change=galleries.change,
        render=galleries.render,
        seconds=lambda d: (d.gallery_write, d.gallery_write, d.gallery_delete),
        capitals=True,
    ),
    "galleries/images": _Type(
        create=definitions.create,
        change=definitions.change,
        render=definitions.render,
        seconds=lambda d: (d.definition_write, d.definition_write, d.definition_delete),
    ),
    versions.KIND: _Type(
        create=versions.create,
        change=versions.change,
        render=versions.render,
        seconds=lambda d: (d.version_create, d.version_update, d.version_delete),
        retry_after=60,
    ),
}


def operation_name(method: str, path: ArmPath | OperationPath) -> str | None:
    """Give the name by which faults, hooks and the ledger know the call; None when the method is not served."""
    if isinstance(path, OperationPath):
        return "operations.get" if method == "GET" else None
    if not path.types:
        verbs = {"GET": "get", "PUT": "createOrUpdate", "HEAD": "checkExistence"}
        return f"resourceGroups.{verbs[method]}" if path.group and method in verbs else None
    group = OPERATION_GROUPS[path.kind]
    if path.is_collection:
        return f"{group}.list" if method == "GET" else None
    verbs = {"GET": "get", "PUT": "createOrUpdate", "PATCH": "update", "DELETE": "delete"}
    return f"{group}.{verbs[method]}" if method in verbs and (method == "GET" or path.kind in _TYPES) else None


def answer(world: World, signer: Signer, request: ArmRequest) -> Outcome:
    """Carry out a request; ArmError when it is refused."""
    path = request.path
    if path.subscription.casefold() not in world.store.subscriptions:
        message = f"The subscription '{path.subscription}' could not be found."
        raise ArmError(404, "SubscriptionNotFound", message, gateway=True)
    if isinstance(path, OperationPath):
        return _poll(world, signer, request, path)
    if not path.types:
        return _group(world, request, path)
    _check_place(world, request, path)
    if path.is_collection:
        return _list(world, request, path)
    acts = {"GET": _get, "PUT": _put, "PATCH": _patch, "DELETE": _delete}
    return acts[request.method](world, signer, request, path)


def render(world: World, resource: Resource, path: ArmPath, *, expand: bool = False) -> Json:
    """Give the body as the caller sees it; `path` has the casing that the answer echoes."""
    body = resource.body
    shown: Json = {"name": path.name, "id": path.id, "type": f"{PROVIDER}/{path.kind}", "location": body["location"]}
    shown |= {key: body[key] for key in ("tags", "plan", "systemData") if key in body}
    kind = _TYPES.get(path.kind)
    properties = kind.render(world, resource) if kind else dict(resource.properties)
    if expand and path.kind == versions.KIND:
        properties["replicationStatus"] = replication_status(resource.replicas.values(), world.now)
    shown["properties"] = {**properties, "provisioningState": resource.state(world.now)}
    return shown


def _check_place(world: World, request: ArmRequest, path: ArmPath) -> None:
    """Refuse what lies in a group, or below a parent, that does not exist."""
    if path.group and ArmPath(path.subscription, path.group).key not in world.store.groups:
        raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{path.group}' could not be found.", gateway=True)
    parent = path.parent
    if parent is not None and world.store.find(parent.key) is None:
        verb = {"GET": "read", "DELETE": "delete"}.get(request.method, "write")
        message = (
            f"Failed to perform '{verb}' on resource(s) of type '{path.kind}', because the parent resource "
            f"'{parent.id}' could not be found."
        )
        raise ArmError(404, "ParentResourceNotFound", message, gateway=True)


def _poll(world: World, signer: Signer, request: ArmRequest, path: OperationPath) -> Outcome:
    operation = world.store.operation(path.name)
    if operation is None:
        raise ArmError(404, "NotFound", f"The entity was not found in this Azure location: operation '{path.name}'.")
    if not signer.genuine(request.target):
        raise ArmError(400, "BadRequest", "The operation URL is not the one that was handed out: follow it verbatim.")
    headers = {"Retry-After": str(operation.retry_after)} if operation.retry_after else {}
    if request.query.get("monitor") != "true":
        return Outcome(Answered(200, operation.body(world.now), headers=headers))
    if operation.running(world.now):
        location = {"Location": request.base_url + request.target}
        return Outcome(Answered(202, None, headers={**headers, **location}))
    return Outcome(Answered(200, None))


def _group(world: World, request: ArmRequest, path: ArmPath) -> Outcome:
    found = world.store.groups.get(path.key)
    if request.method == "HEAD":
        return Outcome(Answered(404 if found is None else 204, None, gateway=True))
    if request.method == "GET":
        if found is None:
            message = f"Resource group '{path.group}' could not be found."
            raise ArmError(404, "ResourceGroupNotFound", message, gateway=True)
        return Outcome(Answered(200, found, gateway=True))
    body = request.body or {}
    check_location(body, "resourceGroups")
    world.store.groups[path.key] = group_body(path, body)
    status, effect = (201, Effect.CREATED) if found is None else (200, Effect.UPDATED)
    return Outcome(Answered(status, world.store.groups[path.key], gateway=True), effect)


def group_body(path: ArmPath, body: Json) -> Json:
    """Give a resource group as ARM shows it."""
    return {
        "id": path.id,
        "name": path.group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": body["location"],
        **({"tags": body["tags"]} if "tags" in body else {}),
        "properties": {"provisioningState": "Succeeded"},
    }


def _list(world: World, request: ArmRequest, path: ArmPath) -> Outcome:
    kind = _TYPES.get(path.kind)
    found = world.store.collection(path.key) if path.group else world.store.of_kind(path.subscription, path.kind)
    after = _unmask(request.query.get("$skiptoken", ""))
    rest = [resource for resource in found if resource.path.key > after]
    page = rest[: request.page_size]
    capitals = bool(path.group) and kind is not None and kind.capitals
    value = [render(world, each, each.path.upper_group() if capitals else each.path) for each in page]
    body: Json = {"value": value}
    if len(rest) > len(page):
        token = base64.urlsafe_b64encode(page[-1].path.key.encode()).decode()
        where = request.target.partition("?")[0]
        body["nextLink"] = f"{request.base_url}{where}?api-version={request.api_version}&$skiptoken={token}"
    return Outcome(Answered(200, body))


def _unmask(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError:
        raise ArmError(400, "InvalidParameter", "The skip token is not one that was handed out.") from None


def _get(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    del signer
    stale, found = request.fault(Stale), world.store.find(path.key)
    if stale and stale.shows == "missing":
        found = None
    if stale and stale.shows == "deleted" and found is None and path.key in world.store.graves:
        found = replace(world.store.graves[path.key], operation=None)
    if found is None:
        raise missing(path.tail, path.group)
    expand = "replicationstatus" in request.query.get("$expand", "").casefold()
    return Outcome(Answered(200, render(world, found, path, expand=expand)))


def _put(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    present, kind = world.store.find(path.key), _TYPES[path.kind]
    body = request.body or {}
    if present is not None:
        check_location({"location": present.body["location"], **body}, path.kind)
        return _changed(world, signer, request, present)
    resource = Resource(path, kind.create(world, path, body))
    world.store.add(resource)
    operation = _begin(world, request, resource, Kind.CREATE)
    resource.built = None if operation.failure else operation.ends
    headers = _headers(signer, request, operation)
    return Outcome(Answered(201, render(world, resource, path), headers=headers), Effect.CREATED)


def _patch(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    present = world.store.find(path.key)
    if present is None:
        raise missing(path.tail, path.group)
    return _changed(world, signer, request, present)


def _changed(world: World, signer: Signer, request: ArmRequest, resource: Resource) -> Outcome:
    path, patch = request.path, request.method == "PATCH"
    if not isinstance(path, ArmPath):
        raise TypeError(path)
    _check_free(world, resource)
    resource.body = _TYPES[path.kind].change(world, resource, request.body or {}, patch=patch)
    operation = _begin(world, request, resource, Kind.UPDATE)
    shown = render(world, resource, path)
    if path.kind == "galleries" and patch:
        shown["properties"]["provisioningState"] = "Succeeded"
    return Outcome(Answered(200, shown, headers=_headers(signer, request, operation)), Effect.UPDATED)


def _delete(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    resource = world.store.find(path.key)
    if resource is None:
        return Outcome(Answered(204, None), Effect.NONE)
    running = resource.operation
    if running is not None and running.kind is Kind.DELETE and running.running(world.now):
        return Outcome(Answered(202, None, headers=_headers(signer, request, running)), Effect.NONE)
    _check_free(world, resource)
    _check_childless(world, path)
    if path.kind == versions.KIND:
        versions.check_delete(world, resource)
    operation = _begin(world, request, resource, Kind.DELETE)
    return Outcome(Answered(202, None, headers=_headers(signer, request, operation)), Effect.ACCEPTED)


def _check_free(world: World, resource: Resource) -> None:
    """Refuse a second writer."""
    operation = resource.operation
    if operation is None or not operation.running(world.now):
        return
    if operation.kind is Kind.DELETE:
        message = f"The resource '{resource.path.id}' is marked for deletion. Only DELETE is allowed."
        raise ArmError(409, "OperationNotAllowed", message)
    raise conflict(
        f"The resource '{resource.path.id}' is busy: another operation is in progress ({operation.kind.value})."
    )


def _check_childless(world: World, path: ArmPath) -> None:
    nested = [child.path.tail for child in world.store.children(path)]
    emptied = world.store.emptied(path)
    stale = emptied is not None and (world.now - emptied).total_seconds() < world.rules.stale_children
    if nested or stale:
        named = f" Some existing nested resource IDs include: '{','.join(nested[:5])}'." if nested else ""
        message = (
            f"Cannot delete resource while nested resources exist.{named} "
            "Please delete all nested resources before deleting this resource."
        )
        raise ArmError(409, "CannotDeleteResource", message, gateway=True)


def _begin(world: World, request: ArmRequest, resource: Resource, kind: Kind) -> Operation:
    """Start the operation, decide how it will end, and start the clocks of new regions."""
    path, of_type = resource.path, _TYPES[resource.path.kind]
    seconds = dict(zip(Kind, of_type.seconds(world.durations), strict=True))[kind]
    at_once = versions.verdict(world, resource) if kind is Kind.CREATE and path.kind == versions.KIND else None
    fault, region = request.fault(FailOperation), request.fault(FailRegion)
    failure = at_once
    if at_once is not None:
        seconds = 0
    elif fault is not None:
        failure = Failure(fault.code, fault.message)
        seconds = seconds if fault.after is None else fault.after
    elif region is not None and region.code:
        detail = f"{{region:{region.region}, detail:{region.details}}}"
        failure = Failure(region.code, f"Replication failed in these regions: {detail}. Remove and add them again.")
    operation = Operation(
        name=str(uuid4()),
        subscription=path.subscription,
        location=resource.body["location"],
        family=of_type.family,
        resource_key=path.key,
        kind=kind,
        started=world.now,
        ends=world.now + timedelta(seconds=seconds),
        api_version=request.api_version,
        failure=failure,
        retry_after=of_type.retry_after,
    )
    world.store.start(resource, operation)
    if path.kind == versions.KIND and kind is not Kind.DELETE:
        resource.replicas = replicate(world, resource, operation, region, broken=failure is not None and region is None)
    return operation


def replicate(
    world: World, resource: Resource, operation: Operation, fault: FailRegion | None, *, broken: bool
) -> dict[str, Replica]:
    """Give the copies of the wanted regions: those that exist keep their clocks, new ones start."""
    home, copies, others = short_name(resource.body["location"]), {}, 0
    for target in section(resource.properties, "publishingProfile")["targetRegions"]:
        region = short_name(target["name"])
        others += region != home
        delay = world.durations.region_delay(region, home=region == home, order=others)
        ends = operation.ends + timedelta(seconds=delay)
        failure = fault.details if fault and short_name(fault.region) == region else None
        fresh = Replica(region, operation.started, ends, failure)
        if broken:
            fresh = Replica(
                region, operation.started, operation.ends, operation.failure.message if operation.failure else ""
            )
        copies[region] = resource.replicas.get(region, fresh)
    return copies


def _headers(signer: Signer, request: ArmRequest, operation: Operation) -> dict[str, str]:
    headers = {"Azure-AsyncOperation": request.base_url + signer.target(operation)}
    if request.method == "DELETE":
        headers["Location"] = request.base_url + signer.target(operation, monitor=True)
    if operation.retry_after:
        headers["Retry-After"] = str(operation.retry_after)
    return headers
