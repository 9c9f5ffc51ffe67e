"""A replication that does not move is said to be stuck, looked at as before, and recovers by itself."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imageferry.api.resource import ImageMigration
from imageferry.migration import changes, stuck
from imageferry.migration.facts import GalleryVersion, RegionReplication
from imageferry.migration.steps import Wait
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

BOTH = build.in_regions("westeurope", "northeurope")
SMALL: Json = {"source": {"id": build.IMAGE_ID, "sizeGB": 0}}
PATIENCE = stuck.patience(TIMING, size_gb=0, regions=2)


def moving(percent: int, **changes: Any) -> GalleryVersion:
    """Return a version whose second region is on its way."""
    there = build.version("westeurope", "northeurope", **changes)
    shown = {**there.replication, "northeurope": RegionReplication("Replicating", percent)}
    return replace(there, replication=shown)


def looked(subject: ImageMigration, there: GalleryVersion, at: datetime) -> tuple[ImageMigration, Wait]:
    """Look at the version then, and write what is found."""
    step = build.wait(subject, build.facts(version=there), build.context(at))
    return build.stored(subject, step), step


@pytest.mark.parametrize(
    ("size_gb", "regions", "hours"),
    [
        pytest.param(0, 1, 6, id="small"),
        pytest.param(1024, 1, 12, id="a-tebibyte"),
        pytest.param(0, 11, 12, id="eleven-regions"),
        pytest.param(2048, 11, 24, id="large-and-many"),
    ],
)
def test_patience_grows_with_size_and_regions(size_gb: int, regions: int, hours: int) -> None:
    """Never below six hours by default (fact sheet, section 6)."""
    assert stuck.patience(TIMING, size_gb=size_gb, regions=regions) == timedelta(hours=hours)


@pytest.mark.parametrize("final", [{}, build.receipt()], ids=["source", "source-deleted"])
def test_it_is_said_after_its_time_and_over_with_the_next_percent(final: Json) -> None:
    """With the names, the state and since when; before and after the source is deleted."""
    subject, _ = looked(build.migration(BOTH, SMALL | final), moving(40), NOW)
    subject, step = looked(subject, moving(40), NOW + PATIENCE - timedelta(seconds=1))
    assert build.states(step.status)["Reconciling"] == "True"

    subject, step = looked(subject, moving(40), NOW + PATIENCE)
    assert build.reason(step.status, "Stalled") == "ReplicationStuck"
    assert step.status.phase == "Stalled"
    message = build.message(step.status, "Stalled")
    assert "no region has moved since 2026-05-01T12:00:00Z: northeurope (Replicating, 40 %)" in message
    assert build.message(step.status, "Replicated") == "not Completed: northeurope"

    subject, step = looked(subject, moving(41), NOW + PATIENCE * 2)
    assert build.states(step.status)["Reconciling"] == "True"
    assert build.condition(step.status, "Stalled") is None


def test_it_is_looked_at_as_before() -> None:
    """At least every half hour, and not ever more rarely as what a person has to cure."""
    subject, _ = looked(build.migration(BOTH, SMALL), moving(40), NOW)
    for day in range(1, 5):
        subject, step = looked(subject, moving(40), NOW + timedelta(days=day))
        assert isinstance(step.after, timedelta)
        assert step.after <= TIMING.building_most


@pytest.mark.parametrize(
    "there",
    [
        pytest.param(moving(41), id="percent"),
        pytest.param(build.version("westeurope", "northeurope"), id="completed"),
        pytest.param(moving(40, provisioning_state="Succeeded"), id="none-of-it-yet"),
    ],
)
def test_progress_of_any_region_counts(there: GalleryVersion) -> None:
    """One that moves is enough, however long another one stands still."""
    three = build.in_regions("westeurope", "northeurope", "uksouth")
    subject, _ = looked(build.migration(three, SMALL), _three(moving(40)), NOW)
    subject, _ = looked(subject, _three(there), NOW + PATIENCE / 2)
    _, step = looked(subject, _three(there), NOW + PATIENCE * 1.1)
    moved = there != moving(40)
    assert bool(build.condition(step.status, "Stalled")) is not moved


def _three(there: GalleryVersion) -> GalleryVersion:
    return replace(
        there,
        target_regions=(*there.target_regions, {"name": "uksouth"}),
        replication={**there.replication, "uksouth": RegionReplication("Replicating", 5)},
    )


def test_a_region_that_never_begins_is_stuck_too() -> None:
    """Azure may show no state at all for it."""
    subject, _ = looked(
        build.migration(status=SMALL), build.version(provisioning_state="Creating", replication={}), NOW
    )
    there = build.version(provisioning_state="Creating", replication={})
    _, step = looked(subject, there, NOW + timedelta(hours=7))
    assert "westeurope (Pending, 0 %)" in build.message(step.status, "Stalled")


@pytest.mark.parametrize("state", ["Succeeded", "Updating"])
def test_what_is_completed_is_not_stuck_for_lack_of_progress(state: str) -> None:
    """A version that stands for months, and is changed then."""
    complete = build.version("westeurope", "northeurope")
    subject, _ = looked(build.migration(BOTH, SMALL), complete, NOW)
    later = replace(complete, provisioning_state=state)
    _, step = looked(subject, later, NOW + timedelta(days=90))
    assert build.condition(step.status, "Stalled") is None


def test_a_region_added_late_has_its_own_time() -> None:
    """It does not count from the day on which the others were Completed."""
    subject, _ = looked(build.migration(status=SMALL), build.version(), NOW)
    edited = build.migration(BOTH, subject.status.wire())
    _, step = looked(edited, moving(0, provisioning_state="Updating"), NOW + timedelta(days=90))
    assert build.condition(step.status, "Stalled") is None


def test_the_message_stands_still_too() -> None:
    """Another look, and another process, find nothing to write (promise 5)."""
    subject, _ = looked(build.migration(BOTH, SMALL), moving(40), NOW)
    subject, _ = looked(subject, moving(40), NOW + timedelta(hours=8))
    _, step = looked(subject, moving(40), NOW + timedelta(hours=9))
    assert changes.merge_patch(subject.status, step.status) == {}


def test_nothing_is_repaired_for_it() -> None:
    """However long it lasts, and whatever else would allow it."""
    tags = {**build.version().tags, "imageferry-added": "northeurope"}
    subject, _ = looked(build.migration(BOTH, SMALL), moving(40, tags=tags), NOW)
    step, seen = build.settle(
        subject, build.facts(version=moving(40, tags=tags)), build.context(NOW + timedelta(days=30))
    )
    assert isinstance(step, Wait)
    assert [what.value for what in seen] == ["version"]


def test_forged_times_change_a_message_only() -> None:
    """A time long ago hastens it, one that is ahead delays it; nothing is sent."""
    for at in ("2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z"):
        region = {"name": "northeurope", "state": "Replicating", "progress": 40, "lastProgressTime": at, "since": at}
        home = {"name": "westeurope", "state": "Completed", "progress": 100, "since": "2001-01-01T00:00:00Z"}
        status = SMALL | {"replication": {"summary": "1/2", "regions": [home, region]}}
        step, _ = build.settle(build.migration(BOTH, status), build.facts(version=moving(40)))
        assert isinstance(step, Wait)
        assert bool(build.condition(step.status, "Stalled")) is at.startswith("2001")
