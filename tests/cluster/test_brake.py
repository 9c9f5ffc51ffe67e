"""The operator's global brake: it may be set to delete nothing, or so many an hour, whatever else holds."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from imageferry.simulator import Entry
from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import conditions, statuses, until_phases
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, image_id

MOST = 4
MANY = [f"many-{n}" for n in range(12)]
WINDOW = timedelta(hours=1) * 0.99
"""Of simulated time; the clocks of the operator and of the simulator are two."""


def awaiting(world: World, names: list[str]) -> None:
    """Let these be migrated until they can be verified."""
    for name in names:
        world.azure.cloud.put_image(name, group="legacy")
    shared.apply_all(world, [manifests.migration(name) for name in names])
    until_phases(world, names, "AwaitingVerification")


def guard(status: Json, name: str) -> Json:
    """Return what a guard says."""
    found: Json = next(each for each in status["deletion"]["guards"] if each["name"] == name)
    return found


def test_nothing_is_deleted_while_deletion_is_disabled(deployed: ControlPlane, tmp_path: Path) -> None:
    """The guard names the setting; an operator that may delete goes on with what was verified before."""
    with shared.running_world(deployed, tmp_path, deletion_enabled=False) as world:
        awaiting(world, ["held"])
        world.verify("held")
        status = world.until_phase("held", "DeletionBlocked")
        said = guard(status, "DeletionEnabled")
        assert not said["passed"]
        assert said["message"] == "the operator's setting deletion.enabled (IMAGEFERRY_DELETION_ENABLED) is false"
        assert said["message"] in conditions(status)["SourceDeleted"]["message"]
        assert (conditions(status)["Ready"]["status"], "Stalled" in conditions(status)) == ("True", False)
        shared.look_again(world, "held")
        assert world.azure.ledger.count("images.delete") == 0

        world.operator.stop()
        world.settings["deletion_enabled"] = True
        world.operator = world.make_operator(tmp_path / "enabled.log")
        world.operator.start()
        world.until_phase("held", "Completed")
        assert world.azure.ledger.count("images.delete", effect="accepted") == 1


@pytest.fixture(scope="module")
def braked(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Let twelve verified migrations meet a limit of four an hour; the first resources that are through are deleted."""
    with shared.running_world(deployed, tmp_path_factory.mktemp("brake"), deletion_max_per_hour=MOST) as world:
        awaiting(world, MANY)
        shared.verify_all(world, MANY)
        world.wait(lambda: len(deletions(world)) >= MOST, what="the first deletions")
        shared.until_all(
            world, MANY, lambda s: s.get("phase") == "Completed" or waits(s), what="the others told to wait"
        )
        through = [name for name, status in statuses(world).items() if status["phase"] == "Completed"]
        assert through
        world.kubectl("delete", "imig", *through)
        left = [name for name in MANY if name not in through]
        until_phases(world, left, "Completed", within=120)
        yield world


def waits(status: Json) -> bool:
    """Whether a status says that it waits for room."""
    message = str(conditions(status).get("SourceDeleted", {}).get("message"))
    return f"deletion.maxPerHour is {MOST}, and {MOST} images were deleted lately" in message


def deletions(world: World) -> list[Entry]:
    """Return the deletions that took effect."""
    return world.azure.ledger.mutations("images.delete")


def test_no_hour_sees_more_deletions_than_allowed(braked: World) -> None:
    """Also when the resources of the first ones were deleted meanwhile: they count all the same."""
    times = [entry.time for entry in deletions(braked)]

    assert len(times) == len(MANY)
    for first, beyond in zip(times, times[MOST:], strict=False):
        assert beyond - first > WINDOW


def test_all_are_deleted_in_the_end_once_each(braked: World) -> None:
    """The brake delays, and loses nothing."""
    assert [braked.azure.cloud.get(image_id(name)) for name in MANY] == [None] * len(MANY)
    assert len({entry.resource_id.casefold() for entry in deletions(braked)}) == len(MANY)
    assert braked.azure.ledger.count("images.delete") == len(MANY)
