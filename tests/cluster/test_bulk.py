"""Hundreds of migrations are approved in one go: the images leave no faster than the operator's rate allows."""

import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests import manifests
from tests.cluster import shared
from tests.cluster.shared import statuses, until_phases
from tests.cluster.test_brake import WINDOW, deletions, guard
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.manifests import Json, gallery_id
from tests.operator_process import COMMAND
from tests.soak import trials

MOST = trials(12, 60)
"""Deletions an hour."""
NAMES = [f"bulk-{n:03}" for n in range(trials(100, 500))]
SPEED = trials(90, 20)
"""An hour passes in 40 s, and in three minutes where sixty images are to be deleted in it."""
LABEL = {"batch": "spring"}
CHUNK = 50
WITHIN = trials(120, 900)
HOUR = timedelta(hours=1)


def adopted(world: World, name: str) -> Json:
    """Let an image and a younger version of it exist already; return its migration."""
    image = world.azure.cloud.put_image(name, group="legacy", created_at=world.azure.clock.now() - HOUR)
    definition = world.azure.cloud.put_definition(name, gallery=gallery_id())
    world.azure.cloud.put_version("1.0.0", definition=definition, source=image)
    return manifests.merged(manifests.migration(name), {"metadata": {"labels": LABEL}})


def approve(world: World) -> None:
    """Verify all that carry the label, as one person does it with one command."""
    environment = {**os.environ, "KUBECONFIG": str(world.plane.admin_kubeconfig)}
    words = [str(COMMAND.with_name("kubectl-imageferry")), "verify", "-l", "batch=spring", "--yes", "-n"]
    subprocess.run([*words, world.namespace], env=environment, check=True, capture_output=True, timeout=WITHIN)


@pytest.fixture(scope="module")
def bulk(deployed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Let all of them be approved at once."""
    folder, settings = tmp_path_factory.mktemp("bulk"), {"speed": SPEED, "deletion_max_per_hour": MOST}
    with shared.running_world(deployed, folder, **settings) as world:
        wanted = [adopted(world, name) for name in NAMES]
        for first in range(0, len(wanted), CHUNK):
            shared.apply_all(world, wanted[first : first + CHUNK])
        until_phases(world, NAMES, "AwaitingVerification", within=WITHIN)
        approve(world)
        yield world


def through(told: dict[str, Json]) -> list[str]:
    """Return those whose image is deleted."""
    return [name for name, status in told.items() if status["phase"] == "Completed"]


def wait(told: dict[str, Json]) -> list[str]:
    """Return those that say that they wait for the rate alone."""
    said = f"deletion.maxPerHour is {MOST}, and {MOST} images were deleted lately"
    found = []
    for name, status in told.items():
        if status["phase"] == "Deleting" and not (rate := guard(status, "WithinRate"))["passed"]:
            assert rate["message"] in (said, "looked at once all others hold")
            found += [name] if rate["message"] == said else []
    return found


@pytest.mark.timeout(trials(300, 2400))
def test_a_bulk_approval_deletes_as_many_in_an_hour_as_the_rate_allows(bulk: World) -> None:
    """As many as it allows go in the first hour, all others say what they wait for, and go on when it is over."""
    told: dict[str, Json] = {}

    def stands() -> bool:
        nonlocal told
        told = statuses(bulk)
        return len(through(told)) + len(wait(told)) == len(NAMES)

    bulk.wait(lambda: len(deletions(bulk)) >= MOST, what="as many deletions as an hour allows", within=WITHIN)
    bulk.wait(stands, what="all others told to wait", within=WITHIN)
    bulk.wait(lambda: len(deletions(bulk)) > MOST, what="the next hour's first", within=WITHIN)
    gone = deletions(bulk)
    times = [entry.time for entry in gone]

    assert len(through(told)) == MOST
    assert times[MOST - 1] - times[0] < HOUR
    assert [now for now, then in zip(times[MOST:], times, strict=False) if now - then <= WINDOW] == []
    assert len({entry.resource_id.casefold() for entry in gone}) == len(gone)
