"""Fixtures: the plugin as a process, and migrations whose status is what a test says."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests import manifests
from tests.cluster.world import AS_OPERATOR
from tests.controlplane import SERVICE_ACCOUNT, ControlPlane, Kubectl
from tests.manifests import Json

COMMAND = Path(sys.executable).with_name("kubectl-imageferry")
SECONDS = 90.0


class Plugin(Protocol):
    """Runs `kubectl imageferry …` in the test's namespace; `options` are environment variables."""

    def __call__(self, *words: str, kubeconfig: Path | str | None = None, **options: str) -> Any:
        """Give the finished process, whatever its exit code."""


Put = Callable[..., Json]


@pytest.fixture
def kubeconfig(control_plane: ControlPlane, namespace: str) -> Path:
    """Write the kubeconfig of an admin whose context has the test's namespace."""
    token = json.loads(control_plane.admin_kubeconfig.read_text())["users"][0]["user"]["token"]
    return control_plane.kubeconfig_for(token=token, name=f"admin-{namespace}", namespace=namespace)


@pytest.fixture
def environment(control_plane: ControlPlane, kubeconfig: Path) -> Mapping[str, str]:
    """Give the environment of a user: kubectl and the plugin are on the PATH."""
    inherited = control_plane.kubectl_environment(kubeconfig)
    return {name: value for name, value in inherited.items() if name != "COLUMNS"} | {
        "PATH": f"{COMMAND.parent}:{inherited['PATH']}"
    }


@pytest.fixture
def plugin(crd: Path, environment: Mapping[str, str]) -> Plugin:
    """Give the plugin."""
    del crd

    def run(*words: str, kubeconfig: Path | str | None = None, **options: str) -> subprocess.CompletedProcess[str]:
        given = {"KUBECONFIG": str(kubeconfig)} if kubeconfig else {}
        return subprocess.run(
            [str(COMMAND), *words],
            env={**environment, **given, **options},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def put(crd: Path, kubectl: Kubectl) -> Put:
    """Give a function that creates a migration and writes its status; generation 1 is seen unless it says other."""
    del crd

    def create(name: str, status: Json | None = None, *, labels: Json | None = None, **spec: Any) -> Json:
        manifest = manifests.migration(name, **spec)
        manifest["metadata"]["labels"] = labels or {}
        kubectl("create", "--filename=-", input=manifests.text(manifest))
        if status is not None:
            write(kubectl, name, {"observedGeneration": 1, **status})
        found: Json = json.loads(kubectl("get", "imig", name, "--output=json").stdout)
        return found

    return create


def write(kubectl: Kubectl, name: str, status: Json) -> None:
    """Merge into a status, as the operator does."""
    patch = json.dumps({"status": status})
    kubectl("patch", "imig", name, "--subresource=status", "--type=merge", f"--patch={patch}", *AS_OPERATOR)


@pytest.fixture
def reader(control_plane: ControlPlane, namespace: str, kubectl: Kubectl) -> Path:
    """Give the kubeconfig of a service account that may get migrations and do nothing else."""
    kubectl("create", "role", "reader", "--verb=get", "--resource=imagemigrations.imageferry.dev")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}")
    token = control_plane.service_account_token(namespace, SERVICE_ACCOUNT)
    return control_plane.kubeconfig_for(token=token, name=f"reader-{namespace}", namespace=namespace)
