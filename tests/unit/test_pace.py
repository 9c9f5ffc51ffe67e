"""A long replication costs tens of looks, and each region's completion is seen within a minute all the same."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from imageferry.api.status import RegionStatus
from imageferry.migration import pace
from tests.unit.build import NOW, TIMING

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Run:
    """What following one replication took."""

    looks: int
    late: list[timedelta]
    """For each region, from its completion until it was seen."""


def follow(lengths: dict[str, timedelta], shape: Callable[[float], float] = lambda share: share) -> Run:
    """Look at regions that take these times until all are seen Completed; `shape` bends their progress."""
    begin, now, looks = NOW, NOW, 0
    seen: dict[str, datetime] = {}
    since = dict.fromkeys(lengths, begin)
    while len(seen) < len(lengths):
        looks += 1
        states = {
            name: 1.0 if now - begin >= length else min(shape((now - begin) / length), 0.999)
            for name, length in lengths.items()
        }
        for name, share in states.items():
            if share >= 1:
                seen.setdefault(name, now)
        shown = [
            RegionStatus(
                name=name,
                state="Completed" if share >= 1 else "Replicating",
                progress=int(share * 100),
                since=seen.get(name, since[name]),
            )
            for name, share in states.items()
        ]
        now += pace.next_look(shown, now, TIMING)
    return Run(looks, [seen[name] - begin - length for name, length in lengths.items()])


def test_a_short_build_takes_few_looks() -> None:
    """One region, seven minutes."""
    run = follow({"westeurope": 7 * MINUTE})

    assert run.looks <= 4
    assert max(run.late) <= MINUTE


def test_a_replication_of_six_hours_takes_tens_of_looks() -> None:
    """Five regions that end one after the other."""
    run = follow({f"r{hour}": timedelta(hours=hour) + 7 * MINUTE for hour in (1, 2, 3, 5, 6)})

    assert run.looks < 40
    assert max(run.late) <= MINUTE


@pytest.mark.parametrize("seed", range(20))
def test_completions_are_seen_within_a_minute_whatever_the_times(seed: int) -> None:
    """Nineteen of twenty, over many replications."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    late: list[timedelta] = []
    for _ in range(20):
        lengths = {f"r{n}": timedelta(minutes=chance.uniform(5, 360)) for n in range(chance.randint(1, 6))}
        late += follow(lengths).late

    assert sorted(late)[int(len(late) * 0.95)] <= MINUTE


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        pytest.param(lambda share: share**2, 80, id="slow-at-first"),
        pytest.param(lambda share: share**0.5, 80, id="slow-at-the-end"),
        pytest.param(lambda _: 0.0, 90, id="no-progress-is-told"),
    ],
)
def test_an_uneven_pace_costs_more_looks_but_not_hundreds(shape: Callable[[float], float], most: int) -> None:
    """Five regions, six hours; without any sign the looks come every five minutes at most."""
    run = follow({f"r{hour}": timedelta(hours=hour) for hour in (1, 2, 3, 5, 6)}, shape)

    assert run.looks < most


def test_no_region_is_looked_at_more_than_once_a_minute() -> None:
    """Azure asks for a poll a minute."""
    almost = RegionStatus(name="westeurope", state="Replicating", progress=99, since=NOW - MINUTE)

    assert pace.next_look([almost], NOW, TIMING) == TIMING.building


def test_what_may_be_done_soon_is_looked_at_when_it_should_be_done() -> None:
    """Not a minute before: a look that comes too early is followed by one that comes late."""
    near = RegionStatus(name="westeurope", state="Replicating", progress=80, since=NOW - 8 * MINUTE)

    assert pace.next_look([near], NOW, TIMING) == 2 * MINUTE


def test_what_takes_long_may_be_quicker_than_it_was_by_a_third() -> None:
    """And is seen within a minute all the same."""
    far = RegionStatus(name="westeurope", state="Replicating", progress=49, since=NOW - 30 * MINUTE)

    assert pace.next_look([far], NOW, TIMING) == 30 * MINUTE * pace.SHARE + MINUTE


def test_the_expected_time_is_that_of_the_slowest() -> None:
    """By its own pace; not known while one shows none."""
    half = RegionStatus(name="westeurope", state="Replicating", progress=50, since=NOW - 10 * MINUTE)
    fifth = RegionStatus(name="uksouth", state="Replicating", progress=20, since=NOW - 10 * MINUTE)
    silent = RegionStatus(name="eastus", state="Replicating", progress=0, since=NOW - 10 * MINUTE)

    assert pace.expected([half, fifth], NOW) == NOW + 40 * MINUTE
    assert pace.expected([half, fifth, silent], NOW) is None
