"""The operator as users run it: a process of its own, with the service account's token and rights.

It is given a control plane and a simulator and nothing else; tests and the demo see what
users see: the API server, the ARM ledger and the log.
"""

import json
import os
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import lease
from tests.controlplane import ControlPlane, ports, process, until

NAMESPACE, ACCOUNT = "imageferry-system", "imageferry"
COMMAND = Path(sys.executable).with_name("imageferry")
START_SECONDS = 60.0
CLIENT_ID, REAPER_ID = "operator-client", "reaper-client"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator under test is told."""

    kubeconfig: Path
    arm: str
    ca_file: Path
    speed: float = 1.0
    settle_seconds: float = 600.0
    lease_seconds: int = 15
    launcher: tuple[str, ...] = (str(COMMAND),)
    compare_seconds: float = 600.0
    tenant: str = "72f988bf-0000-0000-0000-000000000001"
    deletion_enabled: bool = True
    deletion_max_per_hour: int = 60
    deletion_identity: str = "Same"
    scopes: str = '{"*": {"source": ["*"], "gallery": ["*"]}}'
    liveness_port: int = field(default_factory=ports.free)

    @property
    def liveness(self) -> str:
        """Where the operator tells how it is."""
        return f"http://{ports.LOOPBACK}:{self.liveness_port}/healthz"

    def environment(self) -> dict[str, str]:
        """Return the operator's environment."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "IMAGEFERRY_"))
        }
        given = {
            "ARM_ENDPOINT": self.arm,
            "AUTHORITY": self.arm,
            "AUTHORITY_DISCOVERY": "false",
            "CA_BUNDLE": str(self.ca_file),
            "CREDENTIAL": "client-secret",
            "TENANT_ID": self.tenant,
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": "of-the-simulator",
            "SPEED": str(self.speed),
            "SETTLE_SECONDS": str(self.settle_seconds),
            "DELETION_ENABLED": str(self.deletion_enabled).lower(),
            "DELETION_MAX_PER_HOUR": str(self.deletion_max_per_hour),
            "SCOPES": self.scopes,
            "DELETION_IDENTITY": self.deletion_identity,
            "COMPARE_SECONDS": str(self.compare_seconds),
            "LIVENESS": self.liveness,
            "LEASE_SECONDS": str(self.lease_seconds),
        }
        if self.deletion_identity == "Separate":
            given |= {"DELETION_CLIENT_ID": REAPER_ID, "DELETION_CLIENT_SECRET": "of-the-simulator"}
        ours = {f"IMAGEFERRY_{name}": value for name, value in given.items()}
        return {**inherited, **ours, "KUBECONFIG": str(self.kubeconfig), "PYTHONUNBUFFERED": "1"}


class OperatorProcess:
    """One operator; it may be killed and started again, and others may run beside it.

    With the real timing of the Lease, so that no busy machine makes it lose it. What a killed one held is taken
    from it when the next is started: an admin who knows that the holder is dead may do that.
    """

    def __init__(self, settings: Settings, *, log: Path, plane: ControlPlane) -> None:
        self.settings = settings
        self.log = log
        self._plane = plane
        self._process: process.Minded | None = None
        self._ending = threading.Lock()

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and not self._process.ended

    @property
    def pid(self) -> int:
        """The operator's own, not that of its minder; LookupError when it does not run."""
        if not self._process:
            raise LookupError("the operator was not started")
        return self._process.pids()[0]

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.exit_code if self._process else None

    @property
    def leads(self) -> bool:
        """Whether the running process holds the Lease."""
        return self.running and lease.holder(self._plane) == self.identity

    @property
    def identity(self) -> str | None:
        """What its latest process calls itself in the Lease; None before it has said so."""
        return next(reversed(self._identities()), None)

    @property
    def minder(self) -> int:
        """The process id of the minder, whose only child the operator is."""
        if self._process is None:
            raise AssertionError("the operator was not started")
        return self._process.minder.pid

    def health(self) -> int:
        """Ask the liveness endpoint as a kubelet would; return the HTTP status, 0 for no answer."""
        try:
            with urllib.request.urlopen(self.settings.liveness, timeout=5) as answer:  # noqa: S310 - our own endpoint
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def start(self, *, wait: bool = True) -> None:
        """Start it; with `wait`, return once it holds the Lease and has read all migrations."""
        self.bury()
        began = len(self.entries("listed"))
        self._process = process.start(
            [*self.settings.launcher, "operator"], name="operator", log=self.log, env=self.settings.environment()
        )
        if wait:
            until(lambda: self._listed(began), what=f"the operator's first list ({self.log})", within=START_SECONDS)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process:
            with self._ending:
                self._process.stop()

    def kill(self) -> None:
        """SIGKILL, at once; from any thread."""
        if self._process:
            with self._ending:
                self._process.kill()

    def bury(self) -> None:
        """Take the Lease from a process of this operator that is dead."""
        if self._process and not self.running:
            self.kill()  # which closes what led to it
            lease.take_from(self._plane, self._identities())

    def pause(self) -> None:
        """SIGSTOP: it stands still and knows nothing of it."""
        if self._process:
            self._process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        if self._process:
            self._process.signal(signal.SIGCONT)

    def entries(self, event: str) -> list[Mapping[str, Any]]:
        """Return the log lines of one event."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        found = (json.loads(line) for line in lines if line.startswith("{") and line.endswith("}"))
        return [line for line in found if line.get("event") == event]

    def _identities(self) -> list[str]:
        return [str(entry["identity"]) for entry in self.entries("candidate")]

    def _listed(self, began: int) -> bool:
        if self._process and self._process.ended:
            raise AssertionError(f"the operator ended at its start:\n{self._process.tail(30)}")
        return len(self.entries("listed")) > began


def service_account_kubeconfig(plane: ControlPlane, *, server: str | None = None, name: str = ACCOUNT) -> Path:
    """Write the kubeconfig of the operator's service account; `deploy/` must have been applied."""
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    return plane.kubeconfig_for(token=token, name=name, namespace=NAMESPACE, server=server)
