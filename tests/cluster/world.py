"""What a test sees of the whole: resources through kubectl, Azure through the simulator's ledger and state."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from imageferry.simulator import SimulatorServer
from tests import manifests
from tests.controlplane import AuditEntry, ControlPlane, Kubectl, until
from tests.controlplane.audit import OPERATOR_USER
from tests.manifests import Json
from tests.operator_process import OperatorProcess, Settings, service_account_kubeconfig

SPEED = 600.0
"""A version is built in 0.7 s; the operator's waits are divided alike."""
SETTLE_SECONDS = 60.0
WITHIN = 60.0
AS_OPERATOR = (f"--as={OPERATOR_USER}", "--as-group=system:masters")
"""Words for kubectl, so that the admission policies let a status be forged; the audit log has it as admin's."""


class World:
    """One test's Azure, namespace and operator."""

    def __init__(
        self,
        plane: ControlPlane,
        azure: SimulatorServer,
        *,
        namespace: str,
        kubectl: Kubectl,
        folder: Path,
        speed: float = SPEED,
        **settings: Any,
    ) -> None:
        self.plane = plane
        self.speed = speed
        self.azure = azure
        self.namespace = namespace
        self.kubectl = kubectl
        self.began = datetime.now(UTC)
        self._operators: list[OperatorProcess] = []
        self.settings = settings
        """Of the operator, beside those that every world has."""
        self.operator = self.make_operator(folder / "operator.log")
        azure.cloud.put_group("legacy")
        azure.cloud.put_gallery("prod", group="gallery")

    def make_operator(self, log: Path, *, server: str | None = None, speed: float | None = None) -> OperatorProcess:
        """Return an operator for this world, not started; `server` is another way to the API server."""
        name = f"operator-{self.namespace}-{len(self._operators)}"
        settings = Settings(
            kubeconfig=service_account_kubeconfig(self.plane, server=server, name=name),
            arm=self.azure.url,
            ca_file=self.azure.ca_file,
            speed=speed or self.speed,
            settle_seconds=SETTLE_SECONDS,
            tenant=self.azure.tenant,
            **self.settings,
        )
        self._operators.append(OperatorProcess(settings, log=log, plane=self.plane))
        return self._operators[-1]

    def close(self) -> None:
        """Stop the operators and take the migrations away."""
        for operator in self._operators:
            operator.kill()
            operator.bury()
        self.kubectl("delete", "imagemigrations", "--all", "--wait=false")

    def apply(self, manifest: Json) -> None:
        """Apply a manifest as admin."""
        self.kubectl("apply", "--filename=-", input=manifests.text(manifest))

    def refused(self, manifest: Json) -> str:
        """Apply a manifest that the API server must refuse; return what it said."""
        done = self.kubectl("apply", "--filename=-", input=manifests.text(manifest), check=False)
        assert done.returncode, f"was accepted: {done.stdout}"
        return done.stderr

    def get(self, name: str) -> Json:
        """Return the resource."""
        body: Json = json.loads(self.kubectl("get", "imig", name, "--output=json").stdout)
        return body

    def status(self, name: str) -> Json:
        """Return the resource's status."""
        status: Json = self.get(name).get("status", {})
        return status

    def condition(self, name: str, kind: str) -> Json:
        """Return one condition; empty when it is not there."""
        found = [each for each in self.status(name).get("conditions", []) if each["type"] == kind]
        return found[0] if found else {}

    def verify(self, name: str) -> subprocess.CompletedProcess[str]:
        """Verify by the very command that the resource's message tells."""
        return self.shell(manifests.command_of(self.condition(name, "Ready")["message"]))

    def verify_what_waits(self) -> dict[str, str]:
        """Verify all that waits for it, with what their messages tell, in one go; return all phases by name."""
        items = json.loads(self.kubectl("get", "imig", "--output=json").stdout)["items"]
        waiting = [told for item in items if (told := _told(item.get("status", {})))]
        if waiting:
            words = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "--filename=-")
            self.kubectl(*words, input="\n---\n".join(waiting))
        return {item["metadata"]["name"]: item.get("status", {}).get("phase", "") for item in items}

    def shell(self, command: str, *, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command line as a user would paste it."""
        return subprocess.run(
            ["sh", "-c", command],
            env=self.plane.kubectl_environment(kubeconfig),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    def server_side_status(self, name: str, status: Json) -> None:
        """Apply a part of the status, whatever it says, in the way of the command in the resource's message."""
        part = {"apiVersion": "imageferry.dev/v1alpha1", "kind": "ImageMigration", "metadata": {"name": name}}
        words = ("apply", "--server-side", "--force-conflicts", "--subresource=status", "--filename=-")
        self.kubectl(*words, *AS_OPERATOR, input=json.dumps(part | {"status": status}))

    def patch_status(self, name: str, status: Json) -> None:
        """Write a status, whatever it says, as only one who may impersonate the operator can."""
        patch = json.dumps({"status": status})
        self.kubectl("patch", "imig", name, "--subresource=status", "--type=merge", f"--patch={patch}", *AS_OPERATOR)

    def until(self, name: str, look: Callable[[Json], Any], *, what: str, within: float = WITHIN) -> Json:
        """Wait until a look at the status is true; return that status."""
        seen: Json = {}

        def found() -> bool:
            nonlocal seen
            seen = self.status(name)
            return bool(look(seen))

        try:
            until(found, what=what, within=within, every=0.1)
        except TimeoutError as error:
            log = self.operator.log.read_text(errors="replace")[-3000:] if self.operator.log.exists() else ""
            raise AssertionError(f"{error}\nstatus: {json.dumps(seen, indent=1)}\noperator: {log}") from error
        return seen

    def until_phase(self, name: str, phase: str, *, within: float = WITHIN) -> Json:
        """Wait for a phase."""
        return self.until(name, lambda status: status.get("phase") == phase, what=f"{name} {phase}", within=within)

    def phases(self) -> dict[str, str]:
        """Return the phase of every migration of this world, by name."""
        items = json.loads(self.kubectl("get", "imig", "--output=json").stdout)["items"]
        return {item["metadata"]["name"]: item.get("status", {}).get("phase", "") for item in items}

    def wait(self, look: Callable[[], Any], *, what: str, within: float = WITHIN) -> None:
        """Wait until a look is true; AssertionError with the operator's last words when it never is."""
        try:
            until(look, what=what, within=within, every=0.1)
        except TimeoutError as error:
            log = self.operator.log.read_text(errors="replace")[-3000:] if self.operator.log.exists() else ""
            raise AssertionError(f"{error}\nphases: {self.phases()}\noperator: {log}") from error

    def writes(self, name: str) -> list[AuditEntry]:
        """Return the operator's writes to one migration that took effect, as the API server logged them."""
        return [
            entry
            for entry in self.plane.audit(since=self.began)
            if entry.is_write
            and entry.user == OPERATOR_USER
            and entry.resource == "imagemigrations"
            and (entry.namespace, entry.name) == (self.namespace, name)
            and entry.code < 400
        ]

    def only_progress(self, write: AuditEntry) -> bool:
        """Whether a write reported nothing but how far a replication is."""
        return bool(write.request) and set((write.request or {}).get("status", {})) == {"replication"}


@contextmanager
def opened(
    plane: ControlPlane, folder: Path, *, namespace: str | None = None, speed: float = SPEED, **settings: Any
) -> Iterator[World]:
    """Give a world whose operator is not started yet; it takes its migrations with it when the block ends."""
    namespace = namespace or plane.create_namespace()
    kubectl = partial(plane.kubectl, f"--namespace={namespace}")
    with SimulatorServer(speed=speed) as azure:
        world = World(plane, azure, namespace=namespace, kubectl=kubectl, folder=folder, speed=speed, **settings)
        try:
            yield world
        finally:
            world.close()


def _told(status: Json) -> str | None:
    """Return what a waiting migration's message says is to be applied."""
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    if status.get("phase") != "AwaitingVerification" or "Verified" in conditions:
        return None
    return manifests.told(str(conditions["Ready"]["message"]))
