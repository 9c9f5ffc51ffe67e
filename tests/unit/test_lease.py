"""When a Lease may be taken: judged by our own clock alone, whatever the record says of time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageferry.kube import lease
from imageferry.kube.lease import LeaseTiming, Sight

ME, OTHER = "me", "other"
TIMING = LeaseTiming()
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def record(version: int = 1, *, uid: str = "u", **spec: Any) -> dict[str, Any]:
    """Return a Lease as the API server gives it."""
    metadata = {"name": "imageferry", "uid": uid, "resourceVersion": str(version), "labels": {"kept": "yes"}}
    return {"metadata": metadata, "spec": spec}


HELD: dict[str, Any] = {"holderIdentity": OTHER, "leaseDurationSeconds": 15}


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        pytest.param(record(**HELD), 15, id="held"),
        pytest.param(record(holderIdentity=OTHER, leaseDurationSeconds=60), 60, id="held-longer"),
        pytest.param(record(holderIdentity=OTHER), 15, id="held-and-silent-about-its-duration"),
        pytest.param(record(**HELD, renewTime="2099-01-01T00:00:00.000000Z"), 15, id="renewed-in-the-far-future"),
        pytest.param(record(**HELD, renewTime="1999-01-01T00:00:00.000000Z"), 15, id="renewed-in-the-far-past"),
        pytest.param(record(holderIdentity="", leaseDurationSeconds=1), 0, id="given-up"),
        pytest.param(record(holderIdentity=None), 0, id="without-holder"),
        pytest.param({"metadata": {"uid": "u", "resourceVersion": "1"}}, 0, id="never-held"),
        pytest.param(record(holderIdentity=ME, leaseDurationSeconds=15), 0, id="ours"),
        pytest.param(None, 15, id="missing: it may have been deleted under its holder"),
    ],
)
def test_how_long_a_record_has_to_stay_as_it_is(found: dict[str, Any] | None, seconds: float) -> None:
    """Counted from when this process first saw it so."""
    seen = lease.sight(None, found, 100.0)
    assert lease.takeable_at(seen, ME, TIMING) == 100.0 + seconds


def test_a_record_that_stays_keeps_its_time() -> None:
    """Looking again does not start its time anew."""
    first = lease.sight(None, record(1, **HELD), 100.0)
    assert lease.sight(first, record(1, **HELD), 109.0) is first


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(record(1, **HELD), record(2, **HELD), id="renewed"),
        pytest.param(record(1, **HELD), record(1, uid="v", **HELD), id="made-anew"),
        pytest.param(record(1, **HELD), None, id="deleted"),
        pytest.param(None, record(1, **HELD), id="created"),
    ],
)
def test_any_change_starts_its_time_anew(before: dict[str, Any] | None, after: dict[str, Any] | None) -> None:
    """Whoever wrote it may believe in it from now on."""
    assert lease.sight(lease.sight(None, before, 100.0), after, 109.0) == Sight(after, 109.0)


@given(
    sent=st.floats(0, 1e6),
    answered=st.floats(0, 9),
    looked=st.floats(0, 1e4),
    duration=st.integers(3, 300),
)
def test_nobody_may_take_it_while_its_holder_believes_in_it(
    sent: float, answered: float, looked: float, duration: int
) -> None:
    """The holder counts from before its request, others from after they saw its effect."""
    timing = LeaseTiming.of(duration)
    renewed = lease.taken(record(1), OTHER, timing, NOW)
    seen = lease.sight(None, renewed, sent + answered + looked)
    assert lease.takeable_at(seen, ME, timing) > sent + timing.renew


def test_the_first_holder_of_all() -> None:
    """A Lease that was missing is created, with no transition yet."""
    made = lease.taken(None, ME, TIMING, NOW)
    stamp = "2026-05-01T12:00:00.000000Z"
    assert made["metadata"] == {"name": "imageferry"}
    assert made["spec"] == {
        "holderIdentity": ME,
        "leaseDurationSeconds": 15,
        "acquireTime": stamp,
        "renewTime": stamp,
        "leaseTransitions": 0,
    }


def test_the_next_holder_counts_a_transition_and_keeps_what_others_wrote() -> None:
    """Labels and the resourceVersion, which is what compares and swaps."""
    before = record(7, **HELD, leaseTransitions=4, acquireTime="then", strategy="OldestEmulationVersion")
    after = lease.taken(before, ME, TIMING, NOW)
    assert after["metadata"] == before["metadata"]
    assert after["spec"]["leaseTransitions"] == 5
    assert after["spec"]["acquireTime"] != "then"
    assert after["spec"]["strategy"] == "OldestEmulationVersion"


def test_a_renewal_moves_its_time_alone() -> None:
    """Who holds it, and since when, stays."""
    first = lease.taken(record(7, **HELD), ME, TIMING, NOW)
    again = lease.taken(first, ME, TIMING, NOW + timedelta(seconds=2))
    assert again["spec"] == first["spec"] | {"renewTime": "2026-05-01T12:00:02.000000Z"}


def test_what_was_given_up_may_be_taken_at_once() -> None:
    """It has no holder; the transition is counted by the next one."""
    left = lease.given_up(lease.taken(record(7, **HELD), OTHER, TIMING, NOW))
    assert left["spec"]["leaseDurationSeconds"] == 1
    assert lease.takeable_at(lease.sight(None, left, 100.0), ME, TIMING) == 100.0


@pytest.mark.parametrize("seconds", [3, 15, 300])
def test_a_holder_stops_before_others_may_begin(seconds: int) -> None:
    """And tries several times before that."""
    timing = LeaseTiming.of(seconds)
    assert timing.retry + timing.request < timing.renew < timing.lease


def test_fifteen_seconds_are_the_default() -> None:
    """The setting's default and the class's are the same timing."""
    assert LeaseTiming.of(15) == LeaseTiming()
