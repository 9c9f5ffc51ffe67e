"""The status says of a version only what Azure showed last, on every way through a pass (promise 3); found by walks."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from imageferry.api.status import ActionName, Status
from imageferry.migration.facts import MISSING
from imageferry.migration.steps import Wait
from tests.unit import build
from tests.unit.build import NOW, TIMING, Json

SAID: Json = {
    "conditions": [{"type": kind, "status": "True"} for kind in ("VersionReady", "Replicated")],
    "replication": {"summary": "1/1", "progress": 100, "regions": [{"name": "westeurope", "state": "Completed"}]},
}
LARGE = replace(build.image().os_disk, size_gb=4096)
WITHOUT_VERSION = [
    pytest.param({}, id="builds-again"),
    pytest.param({"image": MISSING}, id="no-image"),
    pytest.param({"image": build.image(provisioning_state="Updating")}, id="image-busy"),
    pytest.param({"image": build.image(provisioning_state="Failed")}, id="image-failed"),
    pytest.param({"image": build.image(os_disk=LARGE)}, id="image-too-large"),
    pytest.param({"definition": MISSING}, id="no-definition"),
    pytest.param({"definition": MISSING, "gallery": MISSING}, id="no-gallery"),
    pytest.param({"definition": build.definition(os_type="Linux")}, id="definition-does-not-fit"),
]


@pytest.mark.parametrize("change", WITHOUT_VERSION)
@pytest.mark.parametrize("mode", ["Migrate", "Plan"])
def test_no_region_is_completed_without_a_version(change: dict[str, Any], mode: str) -> None:
    """The pass that sees the 404 takes back what was said of regions and readiness, whatever else it finds."""
    subject = build.migration({"mode": mode}, SAID)
    step, _ = build.settle(subject, build.facts(version=MISSING, **change))

    assert _said(step.status) == {"VersionReady": "False", "Replicated": "False"}
    assert step.status.replication is None


def test_no_region_is_completed_when_the_build_budget_is_used_up() -> None:
    """The stall for a version that keeps vanishing does not show regions of one that was there before."""
    status = SAID | {"version": {"id": build.VERSION_ID, "attempts": 3}}
    step = build.wait(build.migration(status=status), build.facts(version=MISSING))

    assert step.status.replication is None


def test_the_regions_of_another_sources_version_are_not_ours() -> None:
    """A version that others built under our number does not keep the regions of the one that was there before."""
    other = build.version(source_id=build.OTHER_IMAGE_ID)
    step = build.wait(build.migration(status=SAID), build.facts(version=other))

    assert step.status.replication is None


@pytest.mark.parametrize("version", [pytest.param(MISSING, id="gone"), pytest.param(build.replicating(), id="lagging")])
def test_replicated_is_taken_back_while_a_deletion_is_awaited(version: Any) -> None:
    """A sibling of the same image trusts what stands there, also while our deletion does not show yet."""
    status = SAID | build.announced(ActionName.DELETE_IMAGE)
    subject = build.migration(status=status)
    step, _ = build.settle(subject, build.facts(version=version), replace(build.context(), operation_since=NOW))

    assert build.reason(step.status, "SourceDeleted") == "Deleting"
    assert _said(step.status)["Replicated"] == "False"
    assert step.status.operation == subject.status.operation


def test_an_image_that_was_replaced_is_seen_for_the_first_time() -> None:
    """What a process remembers of the old image does not stand in the status: a restart would have to write (5)."""
    made_anew = build.image(created_at="2026-04-30T00:00:00Z")
    seen = build.facts(image=made_anew)
    remembers = build.context(completion=build.completed(build.version(), since=NOW - TIMING.settle))
    after = build.wait(build.migration(), seen, remembers)
    restarted = build.wait(build.migration(), seen, build.context())

    assert after.status == restarted.status


def test_an_image_that_was_replaced_has_to_settle_anew() -> None:
    """An image made anew is not deleted on the strength of what was seen of the one before it."""
    untagged = build.version(tags={})
    made_anew = build.image(created_at="2026-03-01T00:00:00Z")  # clocks may lie: the guards before this one pass
    subject = build.migration(status=build.verified(untagged, source=made_anew, at=NOW - timedelta(days=1)))
    remembers = build.context(completion=build.completed(untagged))
    step, _ = build.settle(subject, build.facts(image=made_anew, version=untagged), remembers)

    assert isinstance(step, Wait)


def _said(status: Status) -> dict[str, str]:
    return {kind: build.states(status).get(kind, "") for kind in ("VersionReady", "Replicated")}
