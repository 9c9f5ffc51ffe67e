"""Fixtures around one real control plane per session.

Each test has a namespace of its own, so tests see nothing of each other. Without a
control plane on the machine the tests that need one fail with the cure; none is skipped.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

import pytest

from tests import lease, temporary
from tests.cluster.world import World, opened
from tests.controlplane import ControlPlane, ControlPlaneError, Kubectl, locate
from tests.controlplane.progress import Progress

ROOT = Path(__file__).parents[1]
CRD, DEPLOY = ROOT / "crds" / "imagemigrations.imageferry.dev.yaml", ROOT / "deploy"


def pytest_configure(config: pytest.Config) -> None:
    """Let nothing that tests start or kill leave files behind; what they are given (`tmp_path`) stays to be read."""
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    stack = ExitStack()
    stack.enter_context(temporary.contained("tests"))
    config.add_cleanup(stack.close)


@pytest.fixture(scope="session")
def control_plane(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """Run one etcd and kube-apiserver for the session."""
    with ExitStack() as stack:
        try:
            plane = stack.enter_context(ControlPlane())
        except ControlPlaneError as error:
            pytest.fail(str(error), pytrace=False)
        with _uncaptured(request.config):
            Progress().say(f"control plane: {plane.url}, logs in {plane.home}")
        yield plane


@pytest.fixture(scope="session")
def crd(control_plane: ControlPlane) -> Path:
    """Apply our CRD and wait until it is served; gives its file."""
    control_plane.kubectl("apply", f"--filename={CRD}")
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
    return CRD


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """Create a namespace that no other test knows, with the service account `operator` in it.

    Its migrations go with the test: an operator watches all namespaces, and would work for them in the next one.
    """
    made = control_plane.create_namespace()
    yield made
    words = ("delete", "imagemigrations", "--all", f"--namespace={made}", "--wait=false", "--ignore-not-found")
    control_plane.kubectl(*words, check=False)  # there may be no CRD


@pytest.fixture
def kubectl(control_plane: ControlPlane, namespace: str) -> Kubectl:
    """Give kubectl as admin in the test's namespace."""
    return partial(control_plane.kubectl, f"--namespace={namespace}")


@pytest.fixture(scope="session")
def deployed(control_plane: ControlPlane) -> ControlPlane:
    """Apply `deploy/` as a user would."""
    control_plane.kubectl("apply", f"--kustomize={DEPLOY}")
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/imagemigrations.imageferry.dev")
    lease.offer(control_plane)
    return control_plane


@pytest.fixture
def world(deployed: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    """Give the test's world; its operator is not started yet."""
    with opened(deployed, tmp_path, namespace=namespace) as made:
        yield made


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build a missing control plane here: it takes minutes, and the bound of a test would end it."""
    if session.config.option.collectonly or not any("control_plane" in _fixtures(item) for item in session.items):
        return
    with suppress(ControlPlaneError), _uncaptured(session.config):  # the fixture says what failed, where it belongs
        locate()


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


@contextmanager
def _uncaptured(config: pytest.Config) -> Iterator[None]:
    """Let what is written reach the terminal."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        yield
