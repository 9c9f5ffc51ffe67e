"""`make demo`: three managed images from apply to deleted, shown as it happens.

Every step's outcome is compared with what it has to be; anything else ends the demo with
the finding and exit code 1.
"""

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import manifests, temporary
from tests.controlplane import ControlPlane, ControlPlaneError
from tests.demo.show import View
from tests.demo.stage import NAMESPACE, ROOT, SPEED, VERIFIER, Stage

WITHIN = 120.0
EXPECTED_CALLS = {
    "galleryImages.createOrUpdate": 3,
    "galleryImageVersions.createOrUpdate": 3,
    "images.delete": 3,
}
SERVING = {"build-agent/versions/1.0.0": 1, "web/versions/1.0.0": 2, "firewall/versions/2.1.0": 3}


class DifferenceError(Exception):
    """Something is not as it has to be."""


class Story:
    """The demo's steps on a stage."""

    def __init__(self, stage: Stage, console: Console) -> None:
        self._stage = stage
        self._console = console
        self._view = View(console)

    def tell(self) -> None:
        """Run all steps; DifferenceError at the first finding."""
        self._say("The operator starts, with its service account's token and rights.")
        self._stage.start_operator()
        self._say(
            f"A user applies three migrations:  kubectl apply -k deploy/examples   (1 s here is {SPEED:.0f} s there)"
        )
        self._stage.plane.kubectl("apply", f"--kustomize={ROOT / 'deploy' / 'examples'}")
        self._watch(lambda m: _phase(m) == "AwaitingVerification", "every region Completed, waiting for a person")
        self._kubectl("get", "imig")
        self._verify()
        self._watch(lambda m: _phase(m) == "Completed", "completed")
        self._kubectl("get", "imig")
        self._check()

    def _verify(self) -> None:
        kubeconfig = self._stage.reviewer()
        self._say(f"{NAMESPACE}/{VERIFIER} may verify and nothing else. Each Ready message holds the command:")
        for migration in self._stage.migrations():
            command = _command(migration)
            self._console.print(f"    $ {command}\n", style="dim", highlight=False)
            done = self._stage.shell(command, kubeconfig)
            if done.returncode:
                raise DifferenceError(f"the command that verifies failed: {done.stderr}")

    def _check(self) -> None:
        resources = {each["id"].casefold(): each for each in self._stage.ask_azure("dump")["resources"]}
        images = [name for name in resources if "/images/" in name and "/galleries/" not in name]
        if images:
            raise DifferenceError(f"managed images that are still there: {images}")
        for suffix, regions in SERVING.items():
            _check_version(suffix, regions, resources)
        self._say(
            "In Azure: the managed images are gone, the versions serve in every region. The calls that were made:"
        )
        calls = self._stage.ask_azure("ledger")["entries"]
        self._console.print(_calls_table(calls))
        mutations = _count([call for call in calls if call["effect"] in ("created", "updated", "accepted")])
        if mutations != EXPECTED_CALLS:
            raise DifferenceError(f"mutations in Azure: {mutations}, expected {EXPECTED_CALLS}")

    def _watch(self, reached: Callable[[dict[str, Any]], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN
        with self._view.open():
            while True:
                migrations = self._stage.migrations()
                self._view.update(migrations)
                if migrations and all(reached(each) for each in migrations):
                    return
                if time.monotonic() > deadline:
                    phases = {each["metadata"]["name"]: _phase(each) for each in migrations}
                    raise DifferenceError(f"not {what} within {WITHIN:.0f} s: {phases}")
                time.sleep(0.25)

    def _kubectl(self, *words: str) -> None:
        done = self._stage.plane.kubectl(*words, f"--namespace={NAMESPACE}")
        self._console.print(f"\n    $ kubectl {shlex.join(words)}", style="dim")
        self._console.print(done.stdout.replace("\n", "\n    ").join(("    ", "")), highlight=False)

    def _say(self, text: str) -> None:
        self._console.print(f"==> {text}", highlight=False)


def main(words: Sequence[str]) -> int:
    """Run the demo; 0 when all was as it has to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave all running and print how to connect")
    keep = parser.parse_args(words).keep
    console = Console(soft_wrap=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    console.print(
        "==> This starts, on 127.0.0.1 alone and with all files in one temporary folder: etcd and kube-apiserver,\n"
        "    a simulated Azure, and the operator. Nothing else is touched, and all of it ends with the demo.",
        highlight=False,
    )
    try:
        with temporary.contained("demo"), ControlPlane() as plane, Stage(plane) as stage:
            Story(stage, console).tell()
            console.print("==> All as it has to be.", style="green")
            if keep:
                _keep(stage, console)
    except (DifferenceError, ControlPlaneError, TimeoutError, AssertionError) as error:
        console.print(f"==> Not as it has to be: {error}", style="red", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _keep(stage: Stage, console: Console) -> None:
    environment = stage.plane.kubectl_environment()
    lines = [
        f"export KUBECONFIG={environment['KUBECONFIG']} KUBECACHEDIR={environment['KUBECACHEDIR']}",
        f"{stage.plane.bin_dir / 'kubectl'} get imagemigrations --namespace {NAMESPACE}",
        f"curl --cacert {stage.ca_file} {stage.azure}/simulator/ledger",
        f"tail -f {stage.folder / 'operator.log'}",
    ]
    console.print("==> All keeps running until Ctrl-C. To connect:", highlight=False)
    for line in lines:
        console.print(f"    {line}", highlight=False)
    signal.pause()


def _check_version(suffix: str, regions: int, resources: dict[str, Any]) -> None:
    found = [body for name, body in resources.items() if name.endswith(suffix)]
    summary = found[0]["properties"]["replicationStatus"]["summary"] if found else []
    completed = [each for each in summary if each["state"] == "Completed"]
    if len(completed) != regions:
        raise DifferenceError(f"{suffix}: {len(completed)} regions Completed, expected {regions}")


def _calls_table(calls: Sequence[dict[str, Any]]) -> Table:
    table = Table("    ARM call", "times", "with effect", box=None, pad_edge=False, padding=(0, 3))
    effective = _count([call for call in calls if call["effect"] in ("created", "updated", "accepted")])
    for operation, times in sorted(_count(calls).items()):
        table.add_row(f"    {operation}", str(times), str(effective.get(operation, 0)))
    return table


def _count(calls: Sequence[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for call in calls:
        counts[call["operation"]] = counts.get(call["operation"], 0) + 1
    return counts


def _phase(migration: dict[str, Any]) -> str:
    return str(migration.get("status", {}).get("phase", ""))


def _command(migration: dict[str, Any]) -> str:
    conditions = {each["type"]: each for each in migration["status"]["conditions"]}
    return manifests.command_of(str(conditions["Ready"]["message"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
