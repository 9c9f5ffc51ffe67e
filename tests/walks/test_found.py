"""Walks that once broke a promise, kept as they were."""

from collections.abc import Iterator

import pytest

from imageferry.simulator import Answer, Fault
from tests import manifests
from tests.manifests import gallery_id, image_id
from tests.walks.world import World

HOUR, MINUTE = 3600, 60
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


def test_a_cache_that_denies_what_it_has_shown_costs_no_second_build(world: World) -> None:
    """A read may be older than the one before it."""
    world.server.create(manifests.migration("db", image=image_id("db"), definition={"name": "db"}))
    world.run_for(2 * MINUTE)
    built = world.oracle.created.total()
    world.estate.stale = 3
    for _ in range(3):
        world.pass_all()
        world.advance(10)
    world.run_for(HOUR)

    assert not world.estate.stale
    assert world.oracle.created.total() == built
    assert "Replicated" in world.said("db")


def test_each_sight_of_a_version_begins_the_patience_with_404_anew(world: World) -> None:
    """It was denied once, shown again, and is dropped later: the first denial does not count any more."""
    world.server.create(manifests.migration("db", image=image_id("db"), definition={"name": "db"}))
    world.run_for(2 * MINUTE)
    world.estate.stale = 1
    world.pass_all()
    world.run_for(HOUR)
    built = world.oracle.created.total()
    world.estate.drop(f"{gallery_id()}/images/db/versions/1.0.0")
    world.pass_all()
    world.run_for(4 * MINUTE)

    assert world.oracle.created.total() == built
    world.run_for(2 * MINUTE)
    assert world.oracle.created.total() == built + 1


def test_a_definition_that_was_seen_in_the_making_is_not_created_twice() -> None:
    """It was shown as Creating, and the next read denies it."""
    made = World()
    made.server.create(manifests.migration("web", image=image_id("web")))
    made.work()
    made.pass_all()
    made.estate.stale = 3
    made.pass_all()
    made.run_for(HOUR)
    made.close()

    assert not made.oracle.broken, "\n".join(made.oracle.trace)


def test_a_cache_that_denies_what_was_built_again_costs_no_third_build(world: World) -> None:
    """The five minutes of 404 before it was built again do not count for what is there now."""
    world.estate.drop(VERSION)
    world.pass_all()
    world.estate.stale = 2
    world.run_for(HOUR)

    assert not world.estate.stale
    assert world.oracle.created.total() == 2


def test_a_restart_beside_a_version_that_is_gone_for_good_writes_nothing(world: World) -> None:
    """Its absence is believed: the next process does not begin to doubt it."""
    world.estate.drop(VERSION)
    world.estate.drop(image_id("web"))
    world.run_for(HOUR)
    writes = world.writes
    world.restart()
    world.work()

    assert world.writes == writes
