"""What the demo runs: a control plane, a simulated Azure as a process of its own, and the operator."""

import json
import ssl
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.controlplane import ControlPlane, process, until
from tests.operator_process import COMMAND, OperatorProcess, Settings, service_account_kubeconfig

ROOT = Path(__file__).parents[2]
SPEED = 60.0
"""Azure's minutes pass as seconds; the operator's waits are divided alike."""
NAMESPACE, VERIFIER = "platform", "reviewer"
GROUPS = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups"
SCOPE = {"source": [f"{GROUPS}/legacy"], "gallery": [f"{GROUPS}/images"]}


class Stage:
    """All processes, inside the `with` block; they end with it."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.folder = plane.home / "demo"
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Start Azure and apply `deploy/`; the operator is started by `start_operator`."""
        self.folder.mkdir()
        self._start_simulator()
        self.plane.kubectl("apply", f"--kustomize={ROOT / 'deploy'}")
        self.plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop operator and Azure."""
        self._cleanup.close()

    def start_operator(self) -> OperatorProcess:
        """Start the operator with the rights of its service account, and nothing more."""
        settings = Settings(
            kubeconfig=service_account_kubeconfig(self.plane),
            arm=self.azure,
            ca_file=self.ca_file,
            speed=SPEED,
            scopes=json.dumps({NAMESPACE: SCOPE}),
            lease_seconds=3,  # nobody held the Lease before: it is taken when it has been missing for so long
        )
        operator = OperatorProcess(settings, log=self.folder / "operator.log", plane=self.plane)
        operator.start()
        self._cleanup.callback(operator.stop)
        return operator

    def reviewer(self) -> Path:
        """Return the kubeconfig of a user who may verify in the namespace and do nothing else."""
        self.plane.kubectl("create", "serviceaccount", VERIFIER, f"--namespace={NAMESPACE}")
        self.plane.kubectl(
            "create", "rolebinding", VERIFIER, f"--namespace={NAMESPACE}",
            "--clusterrole=imageferry-verifier", f"--serviceaccount={NAMESPACE}:{VERIFIER}",
        )  # fmt: skip
        token = self.plane.service_account_token(NAMESPACE, VERIFIER)
        return self.plane.kubeconfig_for(token=token, name=VERIFIER, namespace=NAMESPACE)

    def migrations(self) -> list[dict[str, Any]]:
        """Return the migrations of the demo, by name."""
        listed = self.plane.kubectl("get", "imagemigrations", f"--namespace={NAMESPACE}", "--output=json")
        items: list[dict[str, Any]] = json.loads(listed.stdout)["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    def ask_azure(self, path: str) -> Any:
        """Read from the simulator's control API."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with urllib.request.urlopen(f"{self.azure}/simulator/{path}", context=context, timeout=10) as answer:  # noqa: S310 - our own server, over https
            return json.load(answer)

    def shell(self, command: str, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
        """Run a command line as a user would paste it."""
        return subprocess.run(
            ["sh", "-c", command],
            env=self.plane.kubectl_environment(kubeconfig),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _start_simulator(self) -> None:
        log = self.folder / "simulator.log"
        seed = Path(__file__).with_name("azure.yaml")
        words = ["simulator", "--port=0", f"--seed={seed}", f"--speed={SPEED}", f"--directory={self.folder}"]
        running = process.start([str(COMMAND), *words], name="simulator", log=log)
        self._cleanup.callback(running.stop)
        line = until(lambda: _ready_line(log), what="the simulator", within=60)
        self.azure, self.ca_file = line.split()[2], Path(line.split("ca=")[1].strip())


def _ready_line(log: Path) -> str | None:
    lines = log.read_text().splitlines()
    return next((line for line in lines if line.startswith("simulator ready")), None)
