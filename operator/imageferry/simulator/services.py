"""What is served beside resources: catalogues of the subscription, locks, sharing, soft-deleted versions, actions."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

from imageferry.simulator import catalogue, galleries, machines, runcommands
from imageferry.simulator.faults import FailOperation
from imageferry.simulator.governance import Lock
from imageferry.simulator.ledger import Effect
from imageferry.simulator.operations import Failure, Kind, Operation, Signer
from imageferry.simulator.paths import ArmPath
from imageferry.simulator.requests import ArmRequest, Outcome, operation_headers
from imageferry.simulator.routes import ServicePath
from imageferry.simulator.store import Resource
from imageferry.simulator.wire import Answered, ArmError, Json, conflict, missing, timestamp
from imageferry.simulator.world import World, check_one_of, section

_Handler = Callable[[World, Signer, ArmRequest, ServicePath], Outcome]


def answer(world: World, signer: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    """Carry out a call that is about no resource of its own."""
    return _HANDLERS[path.service.name](world, signer, request, path)


def _gateway(body: Json) -> Outcome:
    return Outcome(Answered(200, body, gateway=True))


def _subscriptions(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    if path.scope:
        return _gateway(catalogue.subscription(world.store.tenant, path.subscription))
    seen = [s for s in sorted(world.store.subscriptions) if world.governance.sees(request.identity, s, world.now)]
    value = [catalogue.subscription(world.store.tenant, each) for each in seen]
    return _gateway({"value": value, "count": {"type": "Total", "value": len(value)}})


def _tenants(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request, path
    return _gateway({"value": [catalogue.tenant(world.store.tenant)]})


def _locations(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request
    return _gateway({"value": catalogue.locations(path.subscription, world.rules)})


def _groups(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request
    below = f"{path.scope.casefold()}/"
    return _gateway({"value": [body for key, body in sorted(world.store.groups.items()) if key.startswith(below)]})


def _provider(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    effect = Effect.READ
    if request.method == "POST":
        known = world.store.registration(path.subscription, path.name, world.now) == "Registered"
        effect = Effect.NONE if known else Effect.UPDATED
        world.store.register(path.subscription, path.name, world.now + timedelta(seconds=world.durations.registration))
    state = world.store.registration(path.subscription, path.name, world.now)
    body = catalogue.provider(path.subscription, path.name, state, world.rules)
    return Outcome(Answered(200, body, gateway=True), effect)


def _usages(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request
    value = catalogue.usages(world.store, path.subscription, path.name, world.rules)
    return Outcome(Answered(200, {"value": value}))


def _skus(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del world, path
    return Outcome(Answered(200, {"value": catalogue.skus(request.query.get("$filter", ""))}))


def _locks(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    governance = world.governance
    found = governance.locks_on(path.scope)
    if "atscope()" not in request.query.get("$filter", "").casefold():
        found += governance.locks_below(path.scope)
    return _gateway({"value": [_lock_form(lock) for lock in found]})


def _lock(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    locks, key = world.governance.locks, path.id.casefold()
    present = locks.get(key)
    if present is not None and present.removed is not None:
        present = None
    if request.method == "PUT":
        sent = section(request.body or {}, "properties")
        check_one_of(sent.get("level"), ("CanNotDelete", "ReadOnly"), "properties.level")
        locks[key] = Lock(path.name, path.scope, sent["level"], str(sent.get("notes", "")))
        status, effect = (201, Effect.CREATED) if present is None else (200, Effect.UPDATED)
        return Outcome(Answered(status, _lock_form(locks[key]), gateway=True), effect)
    if present is None:
        if request.method == "DELETE":
            return Outcome(Answered(204, None, gateway=True), Effect.NONE)
        raise ArmError(404, "LockNotFound", f"The lock '{path.name}' could not be found.", gateway=True)
    if request.method == "DELETE":
        world.governance.remove_lock(path.id, world.now)
        return Outcome(Answered(200, None, gateway=True), Effect.ACCEPTED)
    return _gateway(_lock_form(present))


def _lock_form(lock: Lock) -> Json:
    notes = {"notes": lock.notes} if lock.notes else {}
    properties = {"level": lock.level, **notes}
    return {"properties": properties, "id": lock.id, "type": "Microsoft.Authorization/locks", "name": lock.name}


def _resource(world: World, path: ServicePath) -> Resource:
    about = path.about
    if about is None or (found := world.store.find(about.key)) is None:
        tail, group = (about.tail, about.group) if about else (path.scope, "")
        raise missing(tail, group)
    return found


def begin(world: World, request: ArmRequest, resource: Resource, **about: Any) -> Operation:  # noqa: ANN401 -- fields
    """Give an operation on a resource that changes no state of it; it runs from now on."""
    seconds, fault = about.pop("seconds"), request.fault(FailOperation)
    if fault is not None and fault.after is not None:
        seconds = fault.after
    operation = Operation(
        name=str(uuid4()),
        subscription=resource.path.subscription,
        location=resource.body["location"],
        resource_key=resource.path.key,
        kind=Kind.UPDATE,
        started=world.now,
        ends=world.now + timedelta(seconds=seconds),
        api_version=request.api_version,
        failure=Failure(fault.code, fault.message) if fault else None,
        **about,
    )
    world.store.record(operation)
    return operation


def _share(world: World, signer: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    gallery = _resource(world, path)
    if gallery.busy(world.now):
        raise conflict(f"The resource '{gallery.path.id}' is busy: another operation is in progress.")
    galleries.share(gallery, request.body or {})
    operation = begin(world, request, gallery, family="capsOperations", seconds=world.durations.gallery_share)
    headers = operation_headers(signer, request, operation)
    return Outcome(Answered(202, None, headers=headers), Effect.UPDATED)


def _soft_deleted(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request
    gallery = _resource(world, path)
    value = []
    for each in world.store.soft_deleted_below(f"{gallery.path.key}/images/{path.name.casefold()}/"):
        version = each.resource.path
        home = f"{gallery.path.id}/softDeletedArtifactTypes/Images/artifacts/{path.name}/versions/{version.name}"
        properties = {
            "resourceArmId": version.id,
            "softDeletedArtifactType": "Images",
            "softDeletedTime": timestamp(each.deleted),
        }
        value.append(
            {
                "name": version.name,
                "id": home,
                "type": "Microsoft.Compute/galleries/softDeletedArtifactTypes/artifacts/versions",
                "location": each.resource.body["location"],
                "properties": properties,
            }
        )
    return Outcome(Answered(200, {"value": value}))


def _instance_view(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request
    return Outcome(Answered(200, machines.instance_view(world, _resource(world, path))))


def _run_command(world: World, signer: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    machine = _resource(world, path)
    running = world.store.operation(machine.running_command)
    if running is not None and running.running(world.now):
        message = (
            "Run command extension execution is in progress. Please wait for completion before invoking a run command."
        )
        raise conflict(message)
    result = runcommands.action_result(machine, request.body or {})
    operation = begin(world, request, machine, family="operations", seconds=world.durations.run_command, result=result)
    machine.running_command = operation.name
    return Outcome(Answered(202, None, headers=operation_headers(signer, request, operation)), Effect.UPDATED)


def _generalize(world: World, _: Signer, request: ArmRequest, path: ServicePath) -> Outcome:
    del request
    _resource(world, path)
    return Outcome(Answered(200, None), Effect.UPDATED)


_HANDLERS: dict[str, _Handler] = {
    "tenants": _tenants,
    "subscriptions": _subscriptions,
    "subscription": _subscriptions,
    "locations": _locations,
    "groups": _groups,
    "provider": _provider,
    "register": _provider,
    "usages": _usages,
    "skus": _skus,
    "locks": _locks,
    "lock": _lock,
    "share": _share,
    "softDeleted": _soft_deleted,
    "instanceView": _instance_view,
    "runCommand": _run_command,
    "generalize": _generalize,
}


def held(world: World, path: ArmPath) -> bool:
    """Say whether soft-deleted versions lie below a gallery or definition."""
    return bool(world.store.soft_deleted_below(f"{path.key}/"))
