"""Every error is one line on standard error with the finding and the cure; nothing is on standard output."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, Plugin, Put
from tests.controlplane import ControlPlane, ports


def _failed(done: Any, *parts: str) -> None:
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    for part in parts:
        assert part in done.stderr


def test_a_missing_migration_is_named_with_its_namespace(plugin: Plugin, namespace: str) -> None:
    """The cure lists what is there."""
    _failed(plugin("status", "nobody"), '"nobody" not found in namespace', f"kubectl imageferry status -n {namespace}")


def test_a_watch_of_a_missing_migration_ends(plugin: Plugin) -> None:
    """It does not wait for one that may never come."""
    _failed(plugin("status", "nobody", "-w"), "not found")


@pytest.mark.parametrize(
    ("words", "verb"),
    [
        pytest.param(["suspend", "web"], "patch", id="patch"),
        pytest.param(["status"], "list", id="list"),
        pytest.param(["suspend", "--all"], "list", id="all"),
    ],
)
def test_a_right_that_is_missing_is_named(put: Put, plugin: Plugin, reader: Path, words: list[str], verb: str) -> None:
    """The message says who may not do what with which resource."""
    put("web")
    assert plugin("status", "web", kubeconfig=reader).returncode == 0
    done = plugin(*words, kubeconfig=reader)
    _failed(done, f'cannot {verb} resource "imagemigrations"', f"a role that may {verb} imagemigrations.imageferry.dev")


def test_a_cluster_that_does_not_answer(plugin: Plugin, kubeconfig: Path, tmp_path: Path) -> None:
    """The address is named."""
    server = f"https://127.0.0.1:{ports.free()}"
    config = json.loads(kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = server
    (tmp_path / "config").write_text(json.dumps(config))
    _failed(plugin("status", kubeconfig=tmp_path / "config"), f"no answer from {server}", "Connection refused")


def test_a_cluster_with_another_certificate(plugin: Plugin, kubeconfig: Path, tmp_path: Path) -> None:
    """An API server that cannot prove who it is gets no token."""
    config = json.loads(kubeconfig.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    (tmp_path / "config").write_text(json.dumps(config))
    _failed(plugin("status", kubeconfig=tmp_path / "config"), "certificate")


def test_a_login_that_is_not_accepted(plugin: Plugin, control_plane: ControlPlane, namespace: str) -> None:
    """401 is not an answer of the resource."""
    wrong = control_plane.kubeconfig_for(token="wrong", name=f"wrong-{namespace}")
    _failed(plugin("status", kubeconfig=wrong), "does not accept your login")


def test_a_cluster_without_the_crd() -> None:
    """The unknown resource is told from the missing one."""
    with ControlPlane() as bare:
        done = subprocess.run(
            [str(COMMAND), "status", "web"],
            env=dict(bare.kubectl_environment()),
            capture_output=True,
            text=True,
            check=False,
        )
    _failed(done, "the cluster does not know imagemigrations.imageferry.dev; install imageferry")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(None, "no kubeconfig: there is no", id="missing"),
        pytest.param("{}", "no current-context is set", id="no-context"),
        pytest.param("current-context: other\ncontexts: []", "Expected object with name other", id="unknown-context"),
        pytest.param("a: [", "kubectl config view", id="no-yaml"),
        pytest.param("- a", "kubectl config view", id="no-config"),
    ],
)
def test_a_kubeconfig_that_is_none(plugin: Plugin, tmp_path: Path, text: str | None, says: str) -> None:
    """Its path is named."""
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text)
    _failed(plugin("status", kubeconfig=path), says)


def test_kubeconfigs_are_merged_as_kubectl_does(put: Put, plugin: Plugin, kubeconfig: Path, tmp_path: Path) -> None:
    """The first current-context wins, files that are not there do not count, and --context and -n choose."""
    put("web", {"phase": "Pending"})
    other = tmp_path / "other"
    context = {"name": "other", "context": {"cluster": "none", "user": "none"}}
    other.write_text(json.dumps({"current-context": "other", "contexts": [context]}))
    both = os.pathsep.join([str(tmp_path / "none"), str(kubeconfig), str(other)])
    assert plugin("status", "web", kubeconfig=both).returncode == 0
    turned = os.pathsep.join([str(other), str(kubeconfig)])
    assert plugin("status", "web", kubeconfig=turned).returncode == 1
    own = json.loads(kubeconfig.read_text())["current-context"]
    assert plugin("status", "web", "--context", own, kubeconfig=turned).returncode == 0
    assert plugin("status", "web", "--kubeconfig", str(kubeconfig), kubeconfig=turned).returncode == 0
    assert plugin("status", "web", "-n", "default").returncode == 1
