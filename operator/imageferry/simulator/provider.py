"""The resource provider: one request in, one answer and its effect out.

Synchronous and without I/O; `Cloud` calls it under its lock, so the effect of a request is one step. Faults that
change the effect (a failing operation or region, a stale read) come in with the request.
"""

import base64
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from imageferry.simulator import access, catalogue, galleries, machines, services, sources, versions
from imageferry.simulator.faults import FailOperation, FailRegion, Stale
from imageferry.simulator.kinds import TYPES, render
from imageferry.simulator.ledger import Effect
from imageferry.simulator.operations import Failure, Kind, Operation, Signer
from imageferry.simulator.paths import ArmPath, OperationPath
from imageferry.simulator.regions import short_name
from imageferry.simulator.replicas import Replica
from imageferry.simulator.requests import ArmRequest, Outcome, operation_headers
from imageferry.simulator.routes import ServicePath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Answered, ArmError, Json, conflict, missing
from imageferry.simulator.world import World, check_location, section


def answer(world: World, signer: Signer, request: ArmRequest) -> Outcome:
    """Carry out a request; ArmError when it is refused."""
    path = request.path
    if path.subscription and path.subscription.casefold() not in world.store.subscriptions:
        message = f"The subscription '{path.subscription}' could not be found."
        raise ArmError(404, "SubscriptionNotFound", message, gateway=True)
    access.check(world, request)
    if isinstance(path, OperationPath):
        return _poll(world, signer, request, path)
    if isinstance(path, ServicePath):
        return services.answer(world, signer, request, path)
    if not path.types:
        return _group(world, request, path)
    _check_place(world, request, path)
    if path.is_collection:
        return _list(world, request, path)
    acts = {"GET": _get, "PUT": _put, "PATCH": _patch, "DELETE": _delete}
    return acts[request.method](world, signer, request, path)


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
    return Outcome(Answered(200, operation.result))


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
    found = world.store.collection(path.key) if path.group else world.store.of_kind(path.subscription, path.kind)
    after = _unmask(request.query.get("$skiptoken", ""))
    rest = [resource for resource in found if resource.path.key > after]
    page = rest[: request.page_size]
    capitals = bool(path.group) and TYPES[path.kind].capitals
    value = [render(world, each, each.path.upper_group() if capitals else each.path) for each in page]
    body: Json = {"value": value}
    if len(rest) > len(page):
        token = base64.urlsafe_b64encode(page[-1].path.key.encode()).decode()
        where = request.target.partition("?")[0]
        body["nextLink"] = f"{request.base_url}{where}?api-version={request.api_version}&$skiptoken={token}"
    gateway = not value and path.parent is None  # an empty top-level list is answered by ARM itself
    return Outcome(Answered(200, body, gateway=gateway))


def _unmask(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token).decode()
    except ValueError:
        raise ArmError(400, "InvalidParameter", "The skip token is not one that was handed out.") from None


def _get(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    del signer
    stale, found = request.fault(Stale), world.store.find(path.key)
    if (stale and stale.shows == "missing") or (found is not None and _too_new(world, found)):
        found = None
    if stale and stale.shows == "deleted" and found is None and path.key in world.store.graves:
        found = replace(world.store.graves[path.key], operation=None)
    if found is None:
        raise missing(path.tail, path.group)
    expand = request.query.get("$expand", "").casefold()
    return Outcome(Answered(200, render(world, found, path, expand=expand)))


def _too_new(world: World, resource: Resource) -> bool:
    operation = resource.operation
    if operation is None or operation.kind is not Kind.CREATE:
        return False
    return (world.now - operation.started).total_seconds() < world.rules.stale_create


def _put(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    present, kind = world.store.find(path.key), TYPES[path.kind]
    body = request.body or {}
    if present is not None:
        check_location({"location": present.body["location"], **body}, path.kind)
        return _changed(world, signer, request, present)
    if (kept := world.store.soft_deleted_resource(path.key)) is not None:
        return _restored(world, signer, request, kept)
    resource = Resource(path, kind.create(world, path, body))
    _check_quota(world, path, resource.body["location"])
    world.store.add(resource)
    operation = _begin(world, request, resource, Kind.CREATE)
    resource.built = None if operation.failure else operation.ends
    headers = operation_headers(signer, request, operation)
    return Outcome(Answered(kind.created, render(world, resource, path), headers=headers), Effect.CREATED)


def _check_quota(world: World, path: ArmPath, location: str) -> None:
    """Refuse one resource more than the quota allows (fact sheet, sections 4.3 and 9)."""
    if path.kind not in catalogue.QUOTAS:
        return
    used, limit = catalogue.quota(world.store, path, location, world.rules)
    if used >= limit:
        message = (
            f"Operation could not be completed as it results in exceeding the quota of '{path.kind}' in the region "
            f"'{location}': limit {limit}, in use {used}."
        )
        raise ArmError(409, "OperationNotAllowed", message)


def _restored(world: World, signer: Signer, request: ArmRequest, version: Resource) -> Outcome:
    """Bring a soft-deleted version back, whatever the body says: 200, with the old bits (fact sheet, section 7)."""
    body = request.body or {}
    check_location(body, version.path.kind)
    version.body = {**version.body, **{name: body[name] for name in ("tags",) if name in body}}
    world.store.add(version)
    operation = _begin(world, request, version, Kind.UPDATE, seconds=world.durations.version_restore)
    shown = render(world, version, version.path)
    return Outcome(Answered(200, shown, headers=operation_headers(signer, request, operation)), Effect.CREATED)


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
    resource.body = TYPES[path.kind].change(world, resource, request.body or {}, patch=patch)
    operation = _begin(world, request, resource, Kind.UPDATE)
    shown = render(world, resource, path)
    if path.kind == "galleries" and patch:
        shown["properties"]["provisioningState"] = "Succeeded"
    headers = operation_headers(signer, request, operation)
    return Outcome(Answered(200, shown, headers=headers), Effect.UPDATED)


def _delete(world: World, signer: Signer, request: ArmRequest, path: ArmPath) -> Outcome:
    resource = world.store.find(path.key)
    bypass = request.query.get("bypassSoftDelete", "").casefold() == "true"
    if resource is None:
        purged = bypass and world.store.purge(path.key)
        return Outcome(Answered(204, None), Effect.ACCEPTED if purged else Effect.NONE)
    running = resource.operation
    if running is not None and running.kind is Kind.DELETE and running.running(world.now):
        return Outcome(Answered(202, None, headers=operation_headers(signer, request, running)), Effect.NONE)
    if path.kind != machines.KIND:
        _check_free(world, resource)
    _check_childless(world, path)
    if path.kind == versions.KIND:
        versions.check_delete(world, resource)
    if path.kind == "images":
        machines.check_image_free(world, resource)
    operation = _begin(world, request, resource, Kind.DELETE)
    if operation.failure is None:
        _on_delete(world, resource, operation, bypass=bypass)
    return Outcome(Answered(202, None, headers=operation_headers(signer, request, operation)), Effect.ACCEPTED)


def _on_delete(world: World, resource: Resource, operation: Operation, *, bypass: bool) -> None:
    """Let what belongs to a machine go with it, and a version of a soft-deleting gallery be kept."""
    if resource.path.kind == machines.KIND:
        goes, stays = machines.leftovers(world, resource)
        for part in goes:
            world.store.start(part, operation)
        for part in stays:
            part.properties.pop("managedBy", None)
            if "diskState" in part.properties:
                part.properties["diskState"] = "Unattached"
    definition = resource.path.parent
    gallery = world.store.find(definition.parent.key) if definition and definition.parent else None
    if resource.path.kind == versions.KIND and gallery is not None and galleries.soft_deletes(gallery) and not bypass:
        world.store.retain(resource.path.key, galleries.retention_days(gallery) * 86_400)


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
    if services.held(world, path):
        message = f"The resource '{path.id}' contains soft-deleted image versions: purge or restore them first."
        raise ArmError(409, "OperationNotAllowed", message)


def _begin(
    world: World, request: ArmRequest, resource: Resource, kind: Kind, *, seconds: float | None = None
) -> Operation:
    """Start the operation, decide how it will end, and start the clocks of new regions."""
    path, of_type = resource.path, TYPES[resource.path.kind]
    lasts = of_type.lasts(world.durations, kind) if seconds is None else seconds
    at_once = sources.verdict(world, resource) if kind is Kind.CREATE and path.kind == versions.KIND else None
    fault, region = request.fault(FailOperation), _failing(request, resource)
    failure = at_once
    if at_once is not None:
        lasts = 0
    elif fault is not None:
        failure = Failure(fault.code, fault.message)
        lasts = lasts if fault.after is None else fault.after
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
        ends=world.now + timedelta(seconds=lasts),
        api_version=request.api_version,
        failure=failure,
        retry_after=of_type.retry_after,
    )
    world.store.start(resource, operation)
    if path.kind == versions.KIND and kind is not Kind.DELETE:
        resource.replicas = replicate(world, resource, operation, region, broken=failure is not None and region is None)
    return operation


def _failing(request: ArmRequest, resource: Resource) -> FailRegion | None:
    """Give the fault of a region that this request adds: one that is there already, or not asked for, cannot fail."""
    fault = request.fault(FailRegion)
    if fault is None or resource.path.kind != versions.KIND:
        return None
    targets = section(resource.properties, "publishingProfile")["targetRegions"]
    wanted = {short_name(target["name"]) for target in targets}
    return fault if short_name(fault.region) in wanted - resource.replicas.keys() else None


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
