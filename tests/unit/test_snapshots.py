"""One look at a subscription serves all who ask within a minute."""

import asyncio
from datetime import datetime, timedelta

import pytest

from imageferry.engine.snapshots import Snapshots
from imageferry.migration.consumers import Snapshot
from imageferry.migration.errors import BackOffError
from imageferry.migration.facts import Consumer, Consumers
from tests.unit.build import IMAGE_ID, NOW, OTHER_IMAGE_ID

MOST = timedelta(seconds=60)
FLEET = Consumer("/fleet", "VirtualMachineScaleSet")
ELSEWHERE = IMAGE_ID.replace("-000000000001/", "-000000000002/")


class Looks:
    """What is seen, how often it was looked, and the time."""

    def __init__(self) -> None:
        self.seen = Snapshot({IMAGE_ID.casefold(): (FLEET,)})
        self.at: list[str] = []
        self.now = NOW
        self.broken = False

    async def take(self, subscription: str) -> Snapshot:
        """Look."""
        self.at.append(subscription)
        await asyncio.sleep(0)
        if self.broken:
            raise BackOffError("Busy", "later")
        return self.seen

    def time(self) -> datetime:
        """Tell the time."""
        return self.now


@pytest.fixture
def looks() -> Looks:
    """Give a world with one fleet."""
    return Looks()


@pytest.fixture
def snapshots(looks: Looks) -> Snapshots:
    """Give snapshots of it."""
    return Snapshots(looks.take, clock=looks.time, most=MOST)


async def test_many_who_ask_at_once_cost_one_look(looks: Looks, snapshots: Snapshots) -> None:
    """Each gets what concerns its image, letter case aside."""
    asked = (IMAGE_ID, IMAGE_ID.upper(), OTHER_IMAGE_ID)
    told = await asyncio.gather(*(snapshots.consumers_of(each) for each in asked))

    assert told == [Consumers((FLEET,)), Consumers((FLEET,)), Consumers()]
    assert len(looks.at) == 1


async def test_each_subscription_is_looked_at_for_itself(looks: Looks, snapshots: Snapshots) -> None:
    """What is known of one says nothing of another."""
    await snapshots.consumers_of(IMAGE_ID)

    assert await snapshots.consumers_of(ELSEWHERE) == Consumers()
    assert len(set(looks.at)) == 2


@pytest.mark.parametrize(("age", "looked"), [(60, 1), (61, 2)])
async def test_what_is_older_than_a_minute_is_looked_at_anew(
    looks: Looks, snapshots: Snapshots, age: int, looked: int
) -> None:
    """A scale set that came meanwhile is seen then."""
    looks.seen = Snapshot()
    await snapshots.consumers_of(IMAGE_ID)
    looks.seen = Snapshot({IMAGE_ID.casefold(): (FLEET,)})
    looks.now += timedelta(seconds=age)

    assert bool((await snapshots.consumers_of(IMAGE_ID)).found) is (looked == 2)
    assert len(looks.at) == looked


async def test_a_look_that_failed_is_not_kept(looks: Looks, snapshots: Snapshots) -> None:
    """Nobody takes it for "nothing is there", and the next one looks itself."""
    looks.broken = True
    with pytest.raises(BackOffError):
        await snapshots.consumers_of(IMAGE_ID)
    looks.broken = False

    assert (await snapshots.consumers_of(IMAGE_ID)).found == (FLEET,)
