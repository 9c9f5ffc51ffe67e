"""A report tells milestones that the status keeps, and says nothing where it keeps none."""

from datetime import timedelta
from typing import Any

import pytest

from imageferry.plugin import journeys
from imageferry.plugin.journeys import Standing, Step, journey
from tests.unit import build
from tests.unit.journeys import EVIDENCE, MINUTE, body, moment, read, stamp

WHOLE: dict[str, Any] = {"replicated": 10, "verified": 70, "deleted": 75, "phase": "Completed"}


def test_a_whole_way_has_four_milestones_and_three_steps() -> None:
    """Created, replicated, verified, deleted; each step ends where the next begins."""
    each = read(**WHOLE)
    assert (each.created, each.replicated, each.verified, each.deleted) == tuple(map(moment, (0, 10, 70, 75)))
    assert [each.took(step) for step in Step] == [10 * MINUTE, 60 * MINUTE, 5 * MINUTE]
    assert [(span.step, span.took, span.open) for span in each.spans(moment(1000))] == [
        (Step.REPLICATION, 10 * MINUTE, False),
        (Step.VERIFICATION, 60 * MINUTE, False),
        (Step.DELETION, 5 * MINUTE, False),
    ]
    assert (each.verified_by, each.evidence, each.outcome, each.size_gb) == ("vera", EVIDENCE, "Deleted", 191)


def test_the_receipt_says_who_verified_and_not_what_was_said_later() -> None:
    """Whoever speaks after the deletion is not the one on whose word it was deleted."""
    late: dict[str, Any] = {"verification": {"by": "mallory", "at": "2027-01-01T00:00:00Z"}}
    each = journey(body(**WHOLE, **late))
    assert (each.verified_by, each.verified) == ("vera", moment(70))


@pytest.mark.parametrize(
    ("given", "spans"),
    [
        pytest.param({}, [(Step.REPLICATION, 30, True)], id="replicating"),
        pytest.param({"replicated": 10}, [(Step.REPLICATION, 10, False), (Step.VERIFICATION, 20, True)], id="waiting"),
        pytest.param(
            {"replicated": 10, "verified": 20, "phase": "Completed"},
            [(Step.REPLICATION, 10, False), (Step.VERIFICATION, 10, False)],
            id="retained",
        ),
        pytest.param(
            {"replicated": 10, "deleted": 15, "outcome": "AlreadyGone", "phase": "Completed"},
            [(Step.REPLICATION, 10, False), (Step.DELETION, 5, False)],
            id="gone-without-us",
        ),
        pytest.param(
            {"replicated": 25, "verified": 20, "deleted": 22, "phase": "Completed"},
            [(Step.VERIFICATION, 20, False), (Step.DELETION, 2, False)],
            id="region-added-after-the-end",
        ),
    ],
)
def test_steps_are_drawn_as_far_as_they_are_known(given: dict[str, Any], spans: list[tuple[Step, int, bool]]) -> None:
    """The last one is open while it is not over; none goes backwards."""
    found = [(span.step, span.took / MINUTE, span.open) for span in read(**given).spans(moment(30))]
    assert found == spans


def test_a_region_that_was_added_later_does_not_make_a_milestone() -> None:
    """Replicated became True again after the image was deleted: how long the first replication took is not known."""
    each = read(replicated=500, verified=70, deleted=75, phase="Completed")
    assert each.replicated is None
    assert (each.took(Step.REPLICATION), each.took(Step.VERIFICATION), each.took(Step.DELETION)) == (
        None,
        None,
        5 * MINUTE,
    )


def test_a_verification_and_a_receipt_within_one_second_are_in_order() -> None:
    """The one is written with microseconds and the other in whole seconds, which would put it before."""
    given = body(**WHOLE | {"verified": 75})
    for holder in (given["status"], given["status"]["deletion"]["receipt"]):
        holder["verification"]["at"] = stamp(75).replace("Z", ".194655Z")
    each = journey(given)
    assert (each.verified, each.deleted) == (moment(75), moment(75))


def test_a_resource_that_is_younger_than_its_status_keeps_its_age() -> None:
    """A backup that was restored with its status: no step takes less than no time, and none is drawn backwards."""
    each = read(replicated=-30, verified=-20, deleted=-10, phase="Completed")
    assert each.created == moment(0)
    assert each.took(Step.REPLICATION) is None
    assert [span.step for span in each.spans(moment(30))] == []


def test_a_migration_without_any_status_is_told() -> None:
    """Nothing but its names and the time of its creation."""
    each = journey(build.body())
    assert (each.phase, each.created, each.size_gb, each.says) == ("Pending", None, None, "")
    assert each.spans(moment(30)) == []


VETO = [{"type": "vErIfIeD", "status": "False", "message": "no boot"}]


@pytest.mark.parametrize(
    ("given", "standing"),
    [
        pytest.param({"phase": "Completed"}, Standing.COMPLETED, id="completed"),
        pytest.param({"phase": "AwaitingVerification"}, Standing.WAITING, id="waiting"),
        pytest.param({"phase": "AwaitingVerification", "conditions": VETO}, Standing.TROUBLED, id="rejected"),
        pytest.param({"phase": "Stalled"}, Standing.TROUBLED, id="stalled"),
        pytest.param({"phase": "DeletionBlocked"}, Standing.TROUBLED, id="blocked"),
        pytest.param({"phase": "Planned"}, Standing.RESTING, id="planned"),
        pytest.param({"phase": "Suspended"}, Standing.RESTING, id="suspended"),
        pytest.param({"phase": "Deleting"}, Standing.MOVING, id="deleting"),
        pytest.param({"phase": "SomethingNewer"}, Standing.MOVING, id="phase-of-a-newer-operator"),
    ],
)
def test_each_stands_in_one_of_five_ways(given: dict[str, Any], standing: Standing) -> None:
    """A veto needs somebody, whatever the phase is."""
    assert journeys.standing(read(**given)) is standing


@pytest.mark.parametrize(
    ("took", "words"),
    [
        (None, ""),
        (timedelta(), "0 s"),
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=3, seconds=5), "3 m 5 s"),
        (timedelta(hours=2, seconds=9), "2 h"),
        (timedelta(days=3, hours=4, minutes=5), "3 d 4 h"),
    ],
)
def test_durations_have_two_units(took: timedelta | None, words: str) -> None:
    """The largest two; a clock that went back is no time at all."""
    assert journeys.duration(took) == words
