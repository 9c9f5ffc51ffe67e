"""SIGKILL at every step: the next operator comes to the same end, and nothing happens twice.

Each migration of a test carries one moment at which the operator is killed, just before
or just after something took effect. They run side by side under one operator, so that
each is also disturbed by the kills of the others.
"""

import threading
from collections import Counter

import pytest

from imageferry.simulator import Call
from tests import manifests
from tests.chaos.admission import StatusWrites
from tests.cluster.world import World
from tests.controlplane.audit import OPERATOR_USER

LOOKS = [("galleryImageVersions.get", nth) for nth in (1, 2, 3, 4)]
LOOKS += [("images.get", nth) for nth in (1, 2, 3)]
LOOKS += [("galleryImages.get", nth) for nth in (1, 2)]
LOOKS += [("galleries.get", 1)]
MUTATIONS = [(f"{kind}.{verb}", 1) for kind, verb in (
    ("galleryImages", "createOrUpdate"), ("galleryImageVersions", "createOrUpdate"), ("images", "delete"),
)]  # fmt: skip
WHEN = ("before", "after")
WRITES = 7
SURE_WRITES = 5
"""A migration that is restarted late finds its version built already and has less to tell."""
KILLS_WITHIN = 500.0


class Moments:
    """Kills the operator once at each migration's own moment."""

    def __init__(self, world: World, wanted: dict[str, tuple[str, int, str]]) -> None:
        self._world = world
        self._wanted = wanted
        self._seen: Counter[tuple[str, str, str]] = Counter()
        self._lock = threading.Lock()
        self.fired: set[str] = set()

    def see(self, call: Call) -> None:
        """Look at a call, and kill at the right one."""
        name = _migration_of(call.resource_id)
        with self._lock:
            self._seen[name, call.operation, call.when] += 1
            moment = (call.operation, self._seen[name, call.operation, call.when], call.when)
            if self._wanted.get(name) == moment and name not in self.fired:
                self.fired.add(name)
                self._world.operator.kill()


def _migration_of(resource_id: str) -> str:
    """Return the migration that a resource belongs to; all its resources carry its name."""
    parts = resource_id.casefold().split("/")
    return parts[parts.index("images") + 1] if "images" in parts else "any"


@pytest.mark.timeout(600)
def test_killed_before_and_after_every_arm_call(world: World) -> None:
    """Whatever call was under way, there is one effective build and one effective delete, and the image is gone."""
    calls = [*LOOKS, *MUTATIONS]
    wanted = {
        ("any" if operation == "galleries.get" else f"k{number}{when}"): (operation, nth, when)
        for number, (operation, nth) in enumerate(calls)
        for when in WHEN
    }
    moments = Moments(world, wanted)
    names = sorted(wanted.keys() - {"any"})
    for name in names:
        world.azure.cloud.put_image(name, group="legacy")
        world.apply(manifests.migration(name))
    world.azure.hooks.append(moments.see)
    _restart_until(world, names)
    assert moments.fired == wanted.keys()
    _assert_once_each(world, names)


@pytest.mark.timeout(600)
def test_killed_around_every_status_write(world: World) -> None:
    """Whether the write took effect or not, the next operator goes on from what is stored."""
    wanted = {f"w{nth}{when}": (nth, when) for nth in range(1, WRITES + 1) for when in WHEN}
    seen: Counter[str] = Counter()
    fired: set[str] = set()
    lock = threading.Lock()

    def decide(request: dict[str, str]) -> bool:
        name = request["name"]
        with lock:
            seen[name] += 1
            if name in fired or wanted.get(name, (0, ""))[0] != seen[name]:
                return True
            fired.add(name)
            world.operator.kill()
            return wanted[name][1] == "after"

    for name in wanted:
        world.azure.cloud.put_image(name, group="legacy")
        world.apply(manifests.migration(name))
    with StatusWrites(world.plane, namespace=world.namespace, user=OPERATOR_USER, decide=decide):
        _restart_until(world, sorted(wanted))
    assert fired >= {name for name, (nth, _) in wanted.items() if nth <= SURE_WRITES}
    _assert_once_each(world, sorted(wanted))


def _restart_until(world: World, names: list[str]) -> None:
    """Keep an operator running and verify what waits for it, until all migrations are completed."""
    world.operator.start(wait=False)

    def look() -> bool:
        if not world.operator.running:
            world.operator.start(wait=False)
        return world.verify_what_waits() == dict.fromkeys(names, "Completed")

    world.wait(look, what=f"{len(names)} migrations completed over all kills", within=KILLS_WITHIN)


def _assert_once_each(world: World, names: list[str]) -> None:
    effects = Counter((entry.operation, _migration_of(entry.resource_id)) for entry in world.azure.ledger.mutations())
    once = {(operation, name): 1 for operation, _ in MUTATIONS for name in names}
    assert effects == once
    for name in names:
        assert world.status(name)["deletion"]["receipt"]["outcome"] == "Deleted"
        assert world.azure.cloud.get(manifests.image_id(name)) is None
