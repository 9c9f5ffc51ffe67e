"""Many migrations at once, with Azure's limits enforced: `python -m bench.bulk [--migrations N] [--speed F]`.

A real control plane, the simulator and the operator as processes of their own. All migrations are there when the
operator starts; the clock runs from its first list until all are Replicated. Beside what was measured stands what the
limits allow (see `allowed`), and where the rest went: a machine that is too slow for this speed is told apart from
an operator that does not use its budget.
"""

import argparse
import json
import ssl
import statistics
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import yaml

from bench import allowed, results, usage
from imageferry.simulator import Durations
from tests import manifests, temporary
from tests.controlplane import AuditEntry, ControlPlane, process, until
from tests.operator_process import ACCOUNT, COMMAND, NAMESPACE, OperatorProcess, Settings, service_account_kubeconfig

ROOT = Path(__file__).parents[1]
HOME, OTHERS = "westeurope", ("northeurope", "uksouth", "francecentral")
USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
MEMORY_MIB = 150
OVER = 1.10
"""What a run may take of the time that the limits allow."""
SLOW_WRITE = 1.0
"""In Azure's seconds, from which on a status write takes as long as a call to Azure would."""
NAMESPACE_USED = "bulk"
PATHS = "{range .items[*]}{.status.conditions[?(@.type=='Replicated')].status}{'\\n'}{end}"


class Bulk:
    """One run's processes, inside the `with` block."""

    def __init__(self, plane: ControlPlane, *, migrations: int, speed: float, regions: Sequence[str]) -> None:
        self._plane = plane
        self._migrations = migrations
        self._speed = speed
        self._regions = regions
        self._folder = plane.home / "bulk"
        self._folder.mkdir()
        self._cleanup = ExitStack()
        self._steps = _steps(regions)
        self._best = allowed.schedule(migrations, self._steps)

    def __enter__(self) -> Self:
        """Start Azure and apply everything."""
        plane = self._plane
        plane.kubectl("apply", f"--kustomize={ROOT / 'deploy'}")
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
        plane.kubectl("create", "namespace", NAMESPACE_USED)
        self._start_azure()
        for first in range(0, self._migrations, 100):
            self._create(range(first, min(first + 100, self._migrations)))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self._cleanup.close()

    def run(self) -> dict[str, Any]:
        """Run until all are Replicated; return the figures."""
        settings = Settings(
            kubeconfig=service_account_kubeconfig(self._plane), arm=self._azure, ca_file=self._ca, speed=self._speed
        )
        operator, began = (
            OperatorProcess(settings, log=self._folder / "operator.log", plane=self._plane),
            datetime.now(UTC),
        )
        operator.start()
        self._cleanup.callback(operator.stop)
        started = datetime.now(UTC)
        with usage.Busy({"operator": operator.pid, "simulator": self._simulator.pids()[0]}) as busy:
            until(self._all_replicated, what="all Replicated", within=7200 / self._speed + 1200, every=1.0)
        took = (datetime.now(UTC) - started).total_seconds()
        entries = self._ask("ledger")["entries"]
        used = usage.of_child(operator.minder)
        writes = self._writes(began)
        bound = {
            "lastCalls": self._last_calls(entries),
            "secondsBoundByProcessor": {**busy.seconds, "any": busy.any},
            **self._verdict(took, busy.any, writes),
        }
        return self._figures(took, used, entries, writes, postponed=len(operator.entries("postponed"))) | bound

    def _verdict(self, took: float, busy: float, writes: Sequence[AuditEntry]) -> dict[str, Any]:
        """Judge: what is over by more than this machine explains is the operator's own fault."""
        best = self._best[-1]
        ratio, without = took * self._speed / best, (took - busy) * self._speed / best
        write = statistics.median(entry.seconds for entry in writes) * self._speed
        slow = without <= OVER or write > SLOW_WRITE
        told = f"the machine is too slow for --speed {self._speed:g}: take a lower one"
        verdict = "within" if ratio <= OVER else told if slow else "the operator does not use its budget"
        return {
            "ratio": round(ratio, 3),
            "ratioWithoutBusySeconds": round(without, 3),
            "azureSecondsPerStatusWrite": round(write, 2),
            "verdict": verdict,
        }

    def _last_calls(self, entries: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
        """Return, in Azure's seconds since the first call, when the last PUTs were allowed and when they were sent."""
        sent: dict[str, datetime] = {}
        for entry in entries:
            sent[entry["operation"]] = datetime.fromisoformat(entry["time"])
        begin = datetime.fromisoformat(entries[0]["time"])
        return {
            step.operation: {"allowed": round(at), "sent": round((sent[step.operation] - begin).total_seconds())}
            for step, at in zip(self._steps, self._best, strict=True)
            if step.operation.endswith("createOrUpdate")
        }

    def _figures(
        self,
        took: float,
        used: usage.Usage,
        entries: Sequence[dict[str, Any]],
        writes: Sequence[AuditEntry],
        *,
        postponed: int,
    ) -> dict[str, Any]:
        calls = Counter(entry["operation"] for entry in entries)
        return {
            "migrations": self._migrations,
            "regions": len(self._regions),
            "speed": self._speed,
            "seconds": round(took, 1),
            "azureSeconds": round(took * self._speed),
            "azureSecondsAllowed": round(self._best[-1]),
            "armCalls": len(entries),
            "armCallsByOperation": dict(calls.most_common()),
            "refused": sum(entry["status"] == 429 for entry in entries),  # noqa: PLR2004 - HTTP
            "postponed": postponed,
            "statusWritesPerMigration": round(len(writes) / self._migrations, 2),
            "operatorPeakMiB": used.peak_mib,
            "operatorCpuSeconds": round(used.cpu_seconds, 1),
        }

    def _writes(self, began: datetime) -> list[AuditEntry]:
        time.sleep(1.0)  # the audit log lags behind answers by a moment
        written = [entry for entry in self._plane.audit(since=began) if entry.is_write and entry.user == USER]
        return [entry for entry in written if entry.target == "imagemigrations/status"]

    def _all_replicated(self) -> bool:
        told = self._plane.kubectl("get", "imig", f"--namespace={NAMESPACE_USED}", f"--output=jsonpath={PATHS}").stdout
        return told.split() == ["True"] * self._migrations

    def _create(self, numbers: range) -> None:
        wanted = [manifests.migration(_name(n), regions=[*self._regions]) for n in numbers]
        text = "\n---\n".join(manifests.text(each) for each in wanted)
        self._plane.kubectl("create", f"--namespace={NAMESPACE_USED}", "--filename=-", input=text)

    def _start_azure(self) -> None:
        seed = self._folder / "azure.yaml"
        images = [{"name": _name(n), "group": "legacy"} for n in range(self._migrations)]
        galleries = [{"name": "prod", "group": "gallery"}]
        seed.write_text(yaml.safe_dump({"images": images, "galleries": galleries, "rules": {"throttling": True}}))
        log = self._folder / "simulator.log"
        words = ["simulator", "--port=0", f"--seed={seed}", f"--speed={self._speed}", f"--directory={self._folder}"]
        self._simulator = process.start([str(COMMAND), *words], name="simulator", log=log)
        self._cleanup.callback(self._simulator.stop)
        line = until(lambda: _ready(log), what="the simulator", within=60)
        self._azure, self._ca = line.split()[2], Path(line.split("ca=")[1].strip())

    def _ask(self, path: str) -> Any:  # noqa: ANN401 - JSON
        context = ssl.create_default_context(cafile=str(self._ca))
        with urllib.request.urlopen(f"{self._azure}/simulator/{path}", context=context, timeout=120) as answer:  # noqa: S310 - our own server, over https
            return json.load(answer)


def _steps(regions: Sequence[str]) -> tuple[allowed.Step, ...]:
    durations = Durations()
    others = [region for region in regions if region != HOME]
    delays = [durations.region_delay(region, home=False, order=n) for n, region in enumerate(others, 1)]
    replicated = durations.version_create + max([durations.home_region, *delays])
    return allowed.migration(definition=durations.definition_write, replicated=replicated)


def _name(number: int) -> str:
    return f"image-{number:04d}"


def _ready(log: Path) -> str | None:
    return next((line for line in log.read_text().splitlines() if line.startswith("simulator ready")), None)


def main(words: Sequence[str]) -> int:
    """Run, print, and merge the figures; 1 when a call was refused, or it took too long or too much memory."""
    parser = argparse.ArgumentParser(prog="python -m bench.bulk", description=__doc__)
    parser.add_argument("--migrations", type=int, default=200)
    parser.add_argument("--speed", type=float, default=60.0, help="Azure's seconds per second; limits follow")
    parser.add_argument("--regions", type=int, default=1, choices=range(1, len(OTHERS) + 2))
    given = parser.parse_args(words)
    regions = (HOME, *OTHERS)[: given.regions]
    with (
        temporary.contained("bench"),
        ControlPlane() as plane,
        Bulk(plane, migrations=given.migrations, speed=given.speed, regions=regions) as bulk,
    ):
        figures = bulk.run()
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    results.merge(f"bulk-{given.migrations}-{given.regions}", figures)
    return int(figures["refused"] > 0 or figures["verdict"] != "within" or figures["operatorPeakMiB"] > MEMORY_MIB)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
