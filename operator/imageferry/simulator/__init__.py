"""An Azure Compute for tests, demos and the CI of those who use the operator.

It answers as the recorded Resource Manager does (status codes, headers, casing, error
envelopes, timing) and enforces what Azure enforces. It imports nothing else of imageferry:
shared code would share mistakes.

    with SimulatorServer(speed=60) as azure:
        image = azure.cloud.put_image("web", group="legacy")
        azure.cloud.put_group("images")
        ...                                   # a client: azure.url, azure.authority, azure.ca_file
        azure.clock.advance(600)              # time moves by hand, by factor, or stands still
        assert azure.ledger.count("images.delete", effect="accepted") == 0

What a test may use:

`SimulatorServer(seed=None, *, speed=1.0, port=0, host="127.0.0.1", page_size=50, directory=None,
    names=())`
    Context manager (`start()`, `stop()`) around a thread with a loop of its own. `seed` is a `Seed`, the path of a seed
    file, or a mapping of the same shape. Attributes: `url`, `authority` (host for azure-identity, used with
    `disable_instance_discovery=True`), `ca_file`, `tenant`, `clock`, `cloud`, `faults`, `hooks`, `ledger`, `tokens`.

`SimClock`  `now()`, `advance(seconds)`, `freeze()`, `resume()`, `set_speed(factor)`, `speed`, `frozen`.
    Resources follow it, and limits (`cloud.rules.limits_follow_clock`); token expiry follows real time.

`Cloud`  thread-safe; a change takes effect at once, with no operation and no ledger entry:
    `put_subscription(id)`, `put_group(name, *, subscription=SUBSCRIPTION, location="westeurope") -> id`,
    `put_image(name, *, group, ...) -> id`, `put_gallery(name, *, group, ...) -> id`,
    `put_definition(name, *, gallery=<id>, ...) -> id`, `put_version(name, *, definition=<id>, source=<image id>,
    regions=(), ...) -> id`, `put(resource_id, body) -> id`, `get(resource_id) -> dict | None` (newest api, with
    replicationStatus), `remove(resource_id) -> bool`, `ids(kind="") -> list[str]`, `dump() -> dict`,
    `fail_region(version_id, region, details)`, `complete_region(version_id, region)`,
    `put_lock(name, *, scope, level="CanNotDelete")`, `remove_lock(lock_id)`, `assign(client_id, role, *, scope)`,
    `revoke(client_id)`, `put_policy(Policy(…))`, `remove_policy(name)`, `unregister(subscription, namespace)`.
    Rights hold from the first `assign` on; `role` may be a role definition such as deploy/azure/migrator.json.
    Settings are frozen values: `cloud.durations = replace(cloud.durations, version_create=30)`, `cloud.rules`.

`Faults`  `add(fault) -> int`, `remove(number)`, `clear()`, `fired(number) -> int`, `items()`.
    A fault is a rule and what it does:
        `Fault("images.delete", Reset("after"), times=1)`
        `Fault("*.get", Answer(429, "TooManyRequests", headers={"Retry-After": "17"}), skip=2, identity="client-id")`
    Operations: `images`, `galleries`, `galleryImages`, `galleryImageVersions`, `virtualMachines`,
    `virtualMachineRunCommands`, `virtualMachineScaleSets`, `disks`, `snapshots`, `diskEncryptionSets`,
    `networkInterfaces`, `virtualNetworks` with `.get`, `.createOrUpdate`, `.update`, `.delete`, `.list`;
    `resourceGroups` with `.get`, `.list`, `.createOrUpdate`, `.checkExistence`; `operations.get`; `token`;
    `galleries.share`, `virtualMachines.instanceView`, `.runCommand`, `.generalize`; `locks.*`, `usages.list`,
    `resourceSkus.list`, `subscriptions.*`, `providers.*`, `softDeletedResource.list` (the table is in `routes.py`).
    What it does: `Answer`, `HtmlPage`, `Reset`, `Slow`, `FailOperation`, `FailRegion`, `Stale`; on `token` only the
    first two. A call that is refused for another reason counts as met all the same.

`hooks: list[Callable[[Call], None]]`  called for every ARM request before and after its effect, always before its
    answer; the call waits for the hook, other calls go on. A hook that raises `DropConnection` cuts the connection
    there (before: no effect); any other exception is logged and ignored. `resource_id` has the caller's casing, and is
    the path of the operation for `operations.get`.

`Ledger`  `entries(operation="*", *, effect=None, identity=None, resource="", since=0) -> list[Entry]`,
    `mutations(operation="*", *, resource="", since=0)` (what changed something), `count(operation="*", *,
    effect=None, resource="", since=0)`, `mark() -> int` (for `since`), `clear()`.

`Tokens`  `lifetime` (seconds, settable), `expire()` (all tokens at once), `issued` (how many so far), `asked` (pairs of
    the host and the scope that tokens were asked for).
"""

from imageferry.simulator.clock import SimClock
from imageferry.simulator.cloud import SUBSCRIPTION, Cloud
from imageferry.simulator.faults import (
    Answer,
    FailOperation,
    FailRegion,
    Fault,
    Faults,
    HtmlPage,
    Reset,
    Slow,
    Stale,
)
from imageferry.simulator.governance import Policy, Role
from imageferry.simulator.hooks import Call, DropConnection
from imageferry.simulator.ledger import Effect, Entry, Ledger
from imageferry.simulator.seed import Seed, SeedError
from imageferry.simulator.server import SimulatorServer
from imageferry.simulator.settings import Durations, Rules
from imageferry.simulator.tokens import Tokens

__all__ = [
    "SUBSCRIPTION",
    "Answer",
    "Call",
    "Cloud",
    "DropConnection",
    "Durations",
    "Effect",
    "Entry",
    "FailOperation",
    "FailRegion",
    "Fault",
    "Faults",
    "HtmlPage",
    "Ledger",
    "Policy",
    "Reset",
    "Role",
    "Rules",
    "Seed",
    "SeedError",
    "SimClock",
    "SimulatorServer",
    "Slow",
    "Stale",
    "Tokens",
]
