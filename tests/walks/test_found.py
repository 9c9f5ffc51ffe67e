"""Walks that once broke a promise, kept as they were."""

from collections.abc import Iterator

import pytest

from imageferry.simulator import Answer, Fault
from tests import manifests
from tests.manifests import gallery_id, image_id
from tests.walks.world import World

HOUR = 3600
VERSION = f"{gallery_id()}/images/web/versions/1.0.0"
REFUSED = Fault("galleryImageVersions.createOrUpdate", Answer(409, "ScopeLocked"), times=1)


@pytest.fixture
def world() -> Iterator[World]:
    """Give a world with one migration that is through to where somebody has to verify."""
    made = World()
    made.server.create(manifests.migration("web", image=image_id("web")))
    made.run_for(HOUR)
    yield made
    made.close()
    assert not made.oracle.broken, "\n".join(made.oracle.trace)


def test_a_build_after_a_refused_update_takes_back_what_was_said(world: World) -> None:
    """Only a mutation that is tried again keeps the status as it stands; another one says what it found."""
    world.estate.faults.add(REFUSED)
    world.server.edit("web", {"version": {"replicaCount": 2}})
    world.work()
    world.estate.drop(VERSION)
    world.pass_all()

    assert "Replicated" not in world.said("web")
    world.run_for(HOUR)
    assert world.oracle.created.total() == 2


def test_a_version_that_is_gone_is_not_replicated_while_its_image_cannot_be_read(world: World) -> None:
    """What the pass saw before it met an error stands in the status too."""
    world.estate.faults.add(Fault("images.get", Answer(409, "ScopeLocked")))
    world.estate.drop(VERSION)
    world.pass_all()

    assert "Replicated" not in world.said("web")
