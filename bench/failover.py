"""How long nobody leads after a leader's end, and what a standby costs: `python -m bench.failover`.

With the real timing of the Lease, on a real API server, with the operator as a process of its own.
A fail-over is measured from the signal to the successor's first list, from when on it works.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import results
from imageferry.simulator import SimulatorServer
from tests import lease, manifests, temporary
from tests.controlplane import ControlPlane, until
from tests.operator_process import OperatorProcess, Settings, service_account_kubeconfig

DEPLOY = Path(__file__).parents[1] / "deploy"
NAMESPACE = "bench"
KNOWN = 1000
SETTLED = 5.0
"""Seconds after which a standby has read its first list of the watch and seen the Lease more than once."""
WITHIN = 60.0
TICKS = os.sysconf("SC_CLK_TCK")


class Place:
    """A control plane, an Azure with nothing in it, and as many operators as are asked for."""

    def __init__(self, plane: ControlPlane, azure: SimulatorServer, folder: Path) -> None:
        self.plane = plane
        self._azure = azure
        self._folder = folder
        self._made: list[OperatorProcess] = []

    def operator(self) -> OperatorProcess:
        """Make one more, not started."""
        number = len(self._made)
        settings = Settings(
            kubeconfig=service_account_kubeconfig(self.plane, name=f"operator-{number}"),
            arm=self._azure.url,
            ca_file=self._azure.ca_file,
            tenant=self._azure.tenant,
        )
        self._made.append(OperatorProcess(settings, log=self._folder / f"{number}.log", plane=self.plane))
        return self._made[-1]

    def close(self) -> None:
        """End all."""
        for each in self._made:
            each.kill()


@contextmanager
def place() -> Iterator[Place]:
    """Start all that is needed."""
    with ExitStack() as stack:
        folder = stack.enter_context(temporary.contained("bench"))
        plane = stack.enter_context(ControlPlane())
        azure = stack.enter_context(SimulatorServer())
        plane.kubectl("apply", f"--kustomize={DEPLOY}")
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
        plane.kubectl("create", "namespace", NAMESPACE)
        lease.offer(plane)
        made = Place(plane, azure, folder)
        stack.callback(made.close)
        yield made


def failovers(where: Place, end: Callable[[OperatorProcess], None], trials: int) -> list[float]:
    """End the leader again and again; return the seconds until its standby has begun to work."""
    leader, standby = where.operator(), where.operator()
    leader.start()
    seconds = []
    for _ in range(trials):
        _start_standby(standby)
        began, more = time.monotonic(), _more(standby, "listed")
        end(leader)
        until(more, what="the take-over", within=WITHIN)
        seconds.append(time.monotonic() - began)
        leader, standby = standby, leader
    leader.stop()
    return seconds


def standby_cost(where: Place, known: int, seconds: float) -> dict[str, float]:
    """Return a standby's memory and processor time, with as many migrations in the cluster."""
    leader, standby = where.operator(), where.operator()
    leader.start()
    _start_standby(standby)
    time.sleep(SETTLED)
    before = _cpu(standby.pid)
    time.sleep(seconds)
    used = _cpu(standby.pid) - before
    cost = {"known": known, "rss_mb": _rss_mb(standby.pid), "cpu_seconds_per_minute": used / seconds * 60}
    standby.stop()
    leader.stop()
    return cost


def _start_standby(standby: OperatorProcess) -> None:
    more = _more(standby, "candidate")
    standby.start(wait=False)
    until(more, what="the standby", within=WITHIN)
    time.sleep(SETTLED)


def _more(operator: OperatorProcess, event: str) -> Callable[[], bool]:
    """Return whether an event was logged since now."""
    so_far = len(operator.entries(event))
    return lambda: len(operator.entries(event)) > so_far


def create(plane: ControlPlane, many: int) -> None:
    """Create migrations that are suspended: a leader has nothing to do for them."""
    bodies = [manifests.migration(f"m{number}", suspend=True) for number in range(many)]
    listed = {"apiVersion": "v1", "kind": "List", "items": bodies}
    plane.kubectl("create", f"--namespace={NAMESPACE}", "--filename=-", input=json.dumps(listed))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def _summary(seconds: list[float]) -> dict[str, float]:
    return {"min": min(seconds), "median": statistics.median(seconds), "max": max(seconds), "trials": len(seconds)}


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(prog="python -m bench.failover", description=__doc__)
    parser.add_argument("--trials", type=int, default=5, help="fail-overs of each kind")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long a standby's processor time is counted")
    options = parser.parse_args()
    with place() as where:
        killed = _summary(failovers(where, OperatorProcess.kill, options.trials))
        told = _summary(failovers(where, OperatorProcess.stop, options.trials))
        idle = [standby_cost(where, 0, options.seconds)]
        create(where.plane, KNOWN)
        idle.append(standby_cost(where, KNOWN, options.seconds))
    for name, figures in (("SIGKILL", killed), ("SIGTERM", told)):
        print(
            "{}: nobody led for {min:.1f} / {median:.1f} / {max:.1f} s (min, median, max of {trials})".format(
                name, **figures
            )
        )
    for each in idle:
        print(
            "standby, {known} migrations: {rss_mb:.0f} MB, {cpu_seconds_per_minute:.2f} CPU seconds a minute".format(
                **each
            )
        )
    results.merge("failover", {"sigkill_seconds": killed, "sigterm_seconds": told, "standby": idle})


if __name__ == "__main__":
    main()
