"""How soon a region's completion is seen, and at what cost: `python -m bench.detection [--migrations N] [--speed F]`.

Migrations of one region that is built in seven minutes, and of five regions that take up to six hours, over the
simulator. The time of calls and of this machine counts as many times as the clock is fast: with a lower speed less.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import results
from tests import lease, looks, manifests, temporary
from tests.cluster.world import opened
from tests.controlplane import ControlPlane

DEPLOY = Path(__file__).parents[1] / "deploy"
HOUR = 3600.0
FIVE = ("westeurope", "northeurope", "uksouth", "francecentral", "eastus")
HOURS = {region: (hours + 1) * HOUR for region, hours in zip(FIVE, (0, 1, 2, 3, 5), strict=True)}
CASES: Mapping[str, tuple[tuple[str, ...], Mapping[str, float], float, int]] = {
    "one-region-seven-minutes": (FIVE[:1], {}, 1.0, 15),
    "five-regions-six-hours": (FIVE, HOURS, 3.0, 60),
}
"""Regions, seconds until each is Completed where not as usual, how much faster than asked for, reads at most."""
LATE_SECONDS = 60.0


def follow(plane: ControlPlane, folder: Path, case: str, *, migrations: int, speed: float) -> dict[str, Any]:
    """Run one case and return its figures."""
    regions, delays, faster, most = CASES[case]
    names = [f"followed-{number}" for number in range(migrations)]
    with opened(plane, folder) as world:
        cloud = world.azure.cloud
        world.azure.clock.set_speed(speed * faster)
        cloud.durations = replace(cloud.durations, regions=delays)
        for name in names:
            cloud.put_image(name, group="legacy")
        operator = world.make_operator(folder / f"{case}.log", speed=speed * faster)
        operator.start()
        wanted = [manifests.text(manifests.migration(name, regions=list(regions))) for name in names]
        world.kubectl("apply", "--filename=-", input="\n---\n".join(wanted))
        done = {"AwaitingVerification"}
        world.wait(lambda: set(world.phases().values()) == done, what="all Replicated", within=600)
        operator.stop()
        followed = [looks.of(world.azure, name, regions) for name in names]
    late = sorted(seconds for each in followed for seconds in each.late)
    reads = sorted(each.reads for each in followed)
    return {
        "migrations": migrations,
        "speed": speed * faster,
        "lateSecondsMedian": round(late[len(late) // 2], 1),
        "lateSecondsP95": round(late[int(len(late) * 0.95)], 1),
        "lateSecondsMost": round(late[-1], 1),
        "readsMedian": reads[len(reads) // 2],
        "readsMost": reads[-1],
        "readsAllowed": most,
    }


def main(words: Sequence[str]) -> int:
    """Run both, print, and merge the figures; 1 when completions are seen too late or cost too much."""
    parser = argparse.ArgumentParser(prog="python -m bench.detection", description=__doc__)
    parser.add_argument("--migrations", type=int, default=20)
    parser.add_argument("--speed", type=float, default=30.0, help="Azure's seconds per second; six hours run faster")
    given = parser.parse_args(words)
    with temporary.contained("bench") as folder, ControlPlane() as plane:
        plane.kubectl("apply", f"--kustomize={DEPLOY}")
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
        lease.offer(plane)
        figures = {case: follow(plane, folder, case, migrations=given.migrations, speed=given.speed) for case in CASES}
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    results.merge("detection", figures)
    return int(any(f["lateSecondsP95"] > LATE_SECONDS or f["readsMost"] >= f["readsAllowed"] for f in figures.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
