"""A replication costs few reads of Azure, however long it takes; how soon it is seen `bench.detection` says."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests import looks, manifests
from tests.cluster.world import World

HOUR = 3600.0
FIVE = ("westeurope", "northeurope", "uksouth", "francecentral", "eastus")
SIX_HOURS = {region: (hours + 1) * HOUR for region, hours in zip(FIVE, (0, 1, 2, 3, 5), strict=True)}


@pytest.mark.parametrize(
    ("regions", "delays", "speed", "most"),
    [
        pytest.param(FIVE[:1], {}, 60.0, 15, id="one-region-seven-minutes"),
        pytest.param(FIVE, SIX_HOURS, 1500.0, 60, id="five-regions-six-hours"),
    ],
)
def test_a_replication_costs_few_reads(  # noqa: PLR0917 - a table of four and two fixtures
    world: World, tmp_path: Path, regions: tuple[str, ...], delays: dict[str, float], speed: float, most: int
) -> None:
    """From nothing to Replicated, all looks of all passes; those that migrations could share are counted too."""
    world.azure.clock.set_speed(speed)
    world.azure.cloud.durations = replace(world.azure.cloud.durations, regions=delays)
    world.azure.cloud.put_image("followed", group="legacy")
    operator = world.make_operator(tmp_path / "followed.log", speed=speed)
    operator.start()
    world.apply(manifests.migration("followed", regions=list(regions)))
    world.until_phase("followed", "AwaitingVerification", within=60)
    assert looks.of(world.azure, "followed", regions).reads < most
