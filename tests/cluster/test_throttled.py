"""With Azure's limits enforced, and low enough to be met, no call is refused and everything gets done."""

import json
from dataclasses import replace
from pathlib import Path

from imageferry.simulator import Answer, Fault, Rules
from tests import manifests
from tests.cluster.world import World

NAMES = [f"limited-{number}" for number in range(6)]
DEFINE, BUILD = "galleryImages.createOrUpdate", "galleryImageVersions.createOrUpdate"
LIMITS = {
    "CreateUpdateGalleryImage3Min": 2,
    "CreateUpdateGalleryImageVersion3Min": 2,
    "GetImagesSubscriptionMaximum": 6,
    "GetGallery3Min": 8,
}
ROUNDING = 0.01
SLOWER = 60.0
"""Three minutes are three seconds: longer than a call waits in its pass."""


def start(world: World, folder: Path, rules: Rules) -> None:
    """Start an operator in a world that is slower than others, but builds at once."""
    world.azure.clock.set_speed(SLOWER)
    world.azure.cloud.durations = replace(world.azure.cloud.durations, version_create=30, home_region=10)
    world.azure.cloud.rules = rules
    world.operator = world.make_operator(folder / "slower.log", speed=SLOWER)
    world.operator.start()


def replicated(world: World) -> set[str]:
    """Return the names of those that are Replicated."""
    items = json.loads(world.kubectl("get", "imig", "--output=json").stdout)["items"]
    told = {item["metadata"]["name"]: item.get("status", {}).get("conditions", []) for item in items}
    return {
        name for name, all_ in told.items() if any(c["type"] == "Replicated" and c["status"] == "True" for c in all_)
    }


def apply(world: World, *names: str) -> None:
    """Apply migrations at once."""
    for name in names:
        world.azure.cloud.put_image(name, group="legacy")
    world.kubectl("apply", "--filename=-", input="\n---\n".join(manifests.text(manifests.migration(n)) for n in names))


def test_limits_that_are_met_refuse_nothing(world: World, tmp_path: Path) -> None:
    """Six migrations and room for two at a time: they wait for it, in turns, and Azure never has to say no."""
    start(world, tmp_path, Rules(throttling=True, limits=LIMITS))
    apply(world, *NAMES)
    world.wait(lambda: replicated(world) == set(NAMES), what="all replicated")
    assert [entry for entry in world.azure.ledger.entries() if entry.status == 429] == []
    assert world.operator.entries("postponed")
    for operation in (DEFINE, BUILD):
        times = [entry.time for entry in world.azure.ledger.entries(operation)]
        assert len(times) == len(NAMES)
        gaps = [(later - earlier).total_seconds() for earlier, later in zip(times, times[2:], strict=False)]
        assert min(gaps) > 180 - ROUNDING


def test_a_postponed_mutation_is_not_announced(world: World, tmp_path: Path) -> None:
    """A wait for room writes nothing: one announcement a mutation, however long it waited."""
    start(world, tmp_path, Rules(throttling=True, limits={"CreateUpdateGalleryImage3Min": 1}))
    apply(world, *NAMES[:3])
    world.wait(lambda: replicated(world) == set(NAMES[:3]), what="all replicated")
    for name in NAMES[:3]:
        told = [(entry.response or {}).get("status", {}).get("operation") or {} for entry in world.writes(name)]
        assert len({each["id"] for each in told if each.get("action") == "CreateDefinition"}) == 1
        assert all("error" not in (entry.request or {}).get("status", {}) for entry in world.writes(name))


def test_a_block_is_left_alone_to_the_second(world: World, tmp_path: Path) -> None:
    """After a 429 of the front door no call of any migration is sent before Retry-After has passed."""
    seconds = 15
    refused = Answer(429, "SubscriptionRequestsThrottled", headers={"Retry-After": str(seconds)})
    start(world, tmp_path, Rules())
    world.azure.faults.add(Fault("images.get", refused, times=1))
    apply(world, *NAMES[:4])
    world.wait(lambda: replicated(world) == set(NAMES[:4]), what="all replicated")
    entries = world.azure.ledger.entries()
    first = next(n for n, entry in enumerate(entries) if entry.status == 429)
    begun = entries[first].time
    within = [entry for entry in entries[first + 1 :] if (entry.time - begun).total_seconds() < seconds]
    assert len([entry for entry in entries if entry.status == 429]) == 1
    assert len(within) <= 8, "only what was under way when the refusal came, one call a worker"
