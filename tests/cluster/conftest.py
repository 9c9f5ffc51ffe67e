"""A world of its own for each test: a simulated Azure, a namespace, and the operator as a process."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from imageferry.simulator import SimulatorServer
from tests.cluster.world import SPEED, World
from tests.controlplane import ControlPlane, Kubectl

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="session")
def deployed(control_plane: ControlPlane) -> ControlPlane:
    """Apply `deploy/` as a user would."""
    control_plane.kubectl("apply", f"--kustomize={DEPLOY}")
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
    return control_plane


@pytest.fixture
def world(deployed: ControlPlane, namespace: str, kubectl: Kubectl, tmp_path: Path) -> Iterator[World]:
    """Give a world whose operator is not started yet; it takes its migrations with it when the test ends."""
    with ExitStack() as stack:
        azure = stack.enter_context(SimulatorServer(speed=SPEED))
        made = World(deployed, azure, namespace=namespace, kubectl=kubectl, folder=tmp_path)
        stack.callback(made.close)
        yield made
