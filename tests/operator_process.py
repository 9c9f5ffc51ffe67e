"""The operator as users run it: a process of its own, with the service account's token and rights.

It is given a control plane and a simulator and nothing else; tests and the demo see what
users see: the API server, the ARM ledger and the log.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.controlplane import ControlPlane, ports, process, until

NAMESPACE, ACCOUNT = "imageferry-system", "imageferry"
COMMAND = Path(sys.executable).with_name("imageferry")
START_SECONDS = 60.0
CLIENT_ID = "operator-client"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator under test is told."""

    kubeconfig: Path
    arm: str
    ca_file: Path
    speed: float = 1.0
    settle_seconds: float = 600.0
    compare_seconds: float = 600.0
    tenant: str = "72f988bf-0000-0000-0000-000000000001"
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
            "COMPARE_SECONDS": str(self.compare_seconds),
            "LIVENESS": self.liveness,
        }
        ours = {f"IMAGEFERRY_{name}": value for name, value in given.items()}
        return {**inherited, **ours, "KUBECONFIG": str(self.kubeconfig), "PYTHONUNBUFFERED": "1"}


class OperatorProcess:
    """One operator; it may be killed and started again."""

    def __init__(self, settings: Settings, *, log: Path) -> None:
        self.settings = settings
        self.log = log
        self._process: process.Minded | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and not self._process.ended

    @property
    def exit_code(self) -> int | None:
        """What the process ended with; None while it runs."""
        return self._process.minder.poll() if self._process else None

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
        """Start it; with `wait`, return once it has read all migrations."""
        began = len(self.entries("listed"))
        self._process = process.start(
            [str(COMMAND), "operator"], name="operator", log=self.log, env=self.settings.environment()
        )
        if wait:
            until(lambda: self._listed(began), what=f"the operator's first list ({self.log})", within=START_SECONDS)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self._process:
            self._process.stop()

    def kill(self) -> None:
        """SIGKILL, at once."""
        if self._process:
            self._process.kill()

    def entries(self, event: str) -> list[Mapping[str, Any]]:
        """Return the log lines of one event."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        found = (json.loads(line) for line in lines if line.startswith("{") and line.endswith("}"))
        return [line for line in found if line.get("event") == event]

    def _listed(self, began: int) -> bool:
        if self._process and self._process.ended:
            raise AssertionError(f"the operator ended at its start:\n{self._process.tail(30)}")
        return len(self.entries("listed")) > began


def service_account_kubeconfig(plane: ControlPlane, *, server: str | None = None, name: str = ACCOUNT) -> Path:
    """Write the kubeconfig of the operator's service account; `deploy/` must have been applied."""
    token = plane.service_account_token(NAMESPACE, ACCOUNT)
    return plane.kubeconfig_for(token=token, name=name, namespace=NAMESPACE, server=server)
