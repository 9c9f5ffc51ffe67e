"""The control plane that every other test stands on: real rights, a real audit log, nothing left behind."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.controlplane import (
    SERVICE_ACCOUNT,
    AuditEntry,
    Binaries,
    ControlPlane,
    Kubectl,
    KubectlError,
    NoControlPlaneError,
    locate,
    until,
)
from tests.controlplane.build import PARTS
from tests.proxy import TcpProxy

ROOT = Path(__file__).parents[2]
GO = """\
#!/bin/sh
echo "$1" >> "$GO_CALLS"
case "$1" in
  env) echo "${GO_SAYS:-go99.0.0}" ;;
  list) printf 'go: downloading example.org/one v1.0.0\\nexample.org/one\\nexample.org/main\\n' ;;
  build)
    while [ -e "$GO_CALLS.hold" ]; do sleep 0.02; done
    while [ "$1" != -o ]; do shift; done
    echo built > "$2" && chmod +x "$2" ;;
esac
"""


def test_kubectl_speaks_to_the_api_server(kubectl: Kubectl, namespace: str) -> None:
    """What one command stores, the next reads, in the test's own namespace."""
    kubectl("create", "configmap", "noted", "--from-literal=a=b")

    stored = json.loads(kubectl("get", "configmap", "noted", "--output=json").stdout)

    assert (stored["metadata"]["namespace"], stored["data"]) == (namespace, {"a": "b"})


def test_a_failing_kubectl_says_why(kubectl: Kubectl) -> None:
    """The error holds kubectl's own words, unless the test asked to look itself."""
    with pytest.raises(KubectlError, match='configmaps "absent" not found'):
        kubectl("get", "configmap", "absent")

    assert kubectl("get", "configmap", "absent", check=False).returncode == 1


def test_a_plain_kubectl_on_the_path_reaches_it(control_plane: ControlPlane) -> None:
    """A command that a message tells to a user can be run as it stands."""
    shell = subprocess.run(
        ["sh", "-c", "kubectl get --raw /version"],
        env=control_plane.kubectl_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(shell.stdout)["gitVersion"].startswith("v1.")


def test_our_crds_are_served(crd: Path, kubectl: Kubectl) -> None:
    """The fixture leaves every CRD of the folder Established."""
    names = kubectl("get", f"--filename={crd}", "--output=name").stdout.split()

    assert "customresourcedefinition.apiextensions.k8s.io/imagemigrations.imageferry.dev" in names


def test_a_service_account_may_do_only_what_was_granted(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    """Its token is known, refused without a role, and accepted with one."""
    account = _service_account(control_plane, namespace)
    look = ("get", "configmaps", f"--namespace={namespace}")

    refused = control_plane.kubectl(*look, kubeconfig=account, check=False)
    _grant(kubectl, namespace, "--verb=get,list", "--resource=configmaps")

    assert f'User "system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}" cannot list' in refused.stderr
    until(lambda: not control_plane.kubectl(*look, kubeconfig=account, check=False).returncode, what="the grant")


def test_a_token_that_nobody_issued_is_unauthorized(control_plane: ControlPlane) -> None:
    """No request is let in without a token of this control plane."""
    stranger = control_plane.kubeconfig_for(token="forged", name="stranger")

    refused = control_plane.kubectl("get", "namespaces", kubeconfig=stranger, check=False)

    assert refused.returncode
    assert "Unauthorized" in refused.stderr or "must be logged in" in refused.stderr


def test_the_audit_log_names_the_writer_and_the_subresource(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str
) -> None:
    """A write of a subresource shows its user, its code, and no token."""
    begun = datetime.now(UTC)
    _service_account(control_plane, namespace)
    entry = until(
        lambda: _only(control_plane.audit(begun), namespace, "serviceaccounts/token"), what="the entry of the token"
    )

    kubectl("create", "configmap", "later")

    assert (entry.verb, entry.user, entry.code, entry.is_write) == ("create", "admin", 201, True)
    assert (entry.name, entry.request, entry.response) == (SERVICE_ACCOUNT, None, None)
    assert not _only(control_plane.audit(datetime.now(UTC)), namespace, "serviceaccounts/token")


def test_the_audit_log_holds_what_was_written_to_a_status(
    control_plane: ControlPlane, kubectl: Kubectl, namespace: str, migration: str
) -> None:
    """A status write by a service account shows the account, `imagemigrations/status` and the body."""
    account = _service_account(control_plane, namespace)
    _grant(kubectl, namespace, "--verb=get,patch,verify", "--resource=imagemigrations,imagemigrations/status")
    veto = {"status": {"conditions": [{"type": "Verified", "status": "False"}]}}
    patch = f"--patch={json.dumps(veto)}"
    wanted = ("patch", "imig", migration, "--subresource=status", "--type=merge", patch, f"--namespace={namespace}")
    begun = datetime.now(UTC)

    until(lambda: not control_plane.kubectl(*wanted, kubeconfig=account, check=False).returncode, what="the grant")

    entry = until(
        lambda: _only(control_plane.audit(begun), namespace, "imagemigrations/status"), what="the status write"
    )
    assert (entry.verb, entry.user) == ("patch", f"system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
    assert entry.request == veto


def test_the_api_server_restarts_at_the_same_address_with_its_data(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    """Clients need no new kubeconfig, and what was stored is still there."""
    kubectl("create", "configmap", "kept")
    before = control_plane.url

    control_plane.restart_api_server()

    assert control_plane.url == before
    assert kubectl("get", "configmap", "kept", "--output=name").stdout == "configmap/kept\n"


def test_assets_are_honoured_and_nothing_is_left_after_stop(
    tmp_path: Path, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control plane starts from KUBEBUILDER_ASSETS, beside another, and leaves no process and no folder."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(_assets(tmp_path, control_plane.binaries)))

    with ControlPlane() as second:
        assert str(tmp_path) in second.binaries.origin
        assert second.kubectl("get", "namespace", "default", "--output=name").stdout == "namespace/default\n"
        assert len(_processes_in(second.home)) > 1

    assert not _processes_in(second.home)
    assert not second.home.exists()


def test_nothing_is_left_after_sigkill(tmp_path: Path, control_plane: ControlPlane) -> None:
    """Even a process that is killed while it starts takes its control plane and the folder with it."""
    homes = tmp_path / "homes"
    homes.mkdir()
    assets = _assets(tmp_path, control_plane.binaries)
    command = [sys.executable, "-m", "tests.controlplane", "run"]
    environment = {**os.environ, "KUBEBUILDER_ASSETS": str(assets), "TMPDIR": str(homes)}

    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as runner:
        until(lambda: len(_processes_in(homes)) > 3, what="two minders with a child each")
        runner.send_signal(signal.SIGKILL)

    until(lambda: not _processes_in(homes) and not list(homes.iterdir()), what="the end of what was left")


def test_incomplete_assets_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the folder and what it lacks; the cached build is not used on the quiet."""
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))

    with pytest.raises(NoControlPlaneError, match="no executable etcd, kube-apiserver, kubectl"):
        locate()


def test_without_any_way_the_message_names_all_three(toolchain: "Toolchain") -> None:
    """No assets, no build, no Go: the reader learns the three cures."""
    (toolchain.folder / "go").unlink()

    with toolchain.build() as build:
        message = build.communicate()[1]

    assert build.returncode == 1
    assert all(way in message for way in ("KUBEBUILDER_ASSETS", "a build made elsewhere at", "on the PATH"))


def test_an_old_toolchain_is_named_as_such(toolchain: "Toolchain") -> None:
    """The message tells both releases and how to get on."""
    with toolchain.build(GO_SAYS="go1.21.3") as build:
        message = build.communicate()[1]

    assert build.returncode == 1
    assert "is go1.21.3; the control plane needs Go 1.26.0 or newer" in message
    assert "build" not in toolchain.calls()


def test_two_builds_that_start_at_once_compile_once(toolchain: "Toolchain") -> None:
    """The second says that it waits, and both end with the same binary."""
    hold = toolchain.log.with_name("calls.hold")
    hold.touch()
    with toolchain.build() as first:
        until(lambda: "build" in toolchain.calls(), what="the first build's start")
        with toolchain.build() as second:
            assert second.stderr
            said = second.stderr.readline()
            hold.unlink()
            ends = [first.communicate(), second.communicate()]

    assert (first.returncode, second.returncode) == (0, 0)
    assert ends[0][0] == ends[1][0]
    assert "another process builds" in said
    assert toolchain.calls().count("build") == 1


def test_a_half_open_connection_drops_bytes_and_tells_nobody(echo: int) -> None:
    """While cut, a connection stays up, passes nothing either way and takes no close; a new one too."""
    with TcpProxy("127.0.0.1", echo) as proxy, _connect(proxy) as client:
        assert _exchange(client, b"before") == b"before"
        proxy.cut()

        with _connect(proxy) as late:
            assert _hears_nothing(client, b"lost")
            assert _hears_nothing(late, b"lost too")
            assert proxy.connections == 2


def test_a_router_that_forgot_old_connections_passes_new_ones(echo: int) -> None:
    """With `only_established`, what is new gets through beside what is dead."""
    with TcpProxy("127.0.0.1", echo) as proxy, _connect(proxy) as client:
        assert _exchange(client, b"before") == b"before"
        proxy.cut(only_established=True)

        with _connect(proxy) as late:
            assert _exchange(late, b"through") == b"through"
        assert _hears_nothing(client, b"lost")


def test_restore_resets_what_was_cut_and_forwards_what_is_new(echo: int) -> None:
    """A stream with a hole is never continued."""
    with TcpProxy("127.0.0.1", echo) as proxy, _connect(proxy) as client:
        assert _exchange(client, b"before") == b"before"
        proxy.cut()
        client.sendall(b"lost")
        proxy.restore()

        with pytest.raises(ConnectionResetError):
            client.recv(16)
        with _connect(proxy) as late:
            assert _exchange(late, b"after") == b"after"


def test_refuse_resets_and_refuses_until_restored(echo: int) -> None:
    """A server that is gone refuses; its port is the same when it is back."""
    with TcpProxy("127.0.0.1", echo) as proxy, _connect(proxy) as client:
        assert _exchange(client, b"before") == b"before"
        proxy.refuse()

        with pytest.raises(ConnectionResetError):
            client.recv(16)
        with pytest.raises(ConnectionRefusedError):
            _connect(proxy)
        proxy.restore()
        with _connect(proxy) as late:
            assert _exchange(late, b"after") == b"after"


def test_kubectl_through_the_proxy_verifies_the_same_certificate(control_plane: ControlPlane, namespace: str) -> None:
    """A kubeconfig that names the proxy needs no other authority."""
    token = control_plane.service_account_token(namespace, SERVICE_ACCOUNT)
    with TcpProxy("127.0.0.1", control_plane.port) as proxy:
        server = f"https://127.0.0.1:{proxy.url_port}"
        through = control_plane.kubeconfig_for(token=token, name=f"{namespace}-proxied", server=server)

        answer = control_plane.kubectl("get", "--raw=/version", kubeconfig=through).stdout

    assert "gitVersion" in answer


@pytest.fixture
def migration(crd: Path, kubectl: Kubectl) -> str:
    """Create a migration with nothing but its required fields; gives its name."""
    group = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/images/providers/Microsoft.Compute"
    wanted = {
        "apiVersion": "imageferry.dev/v1alpha1",
        "kind": "ImageMigration",
        "metadata": {"name": "web-2019"},
        "spec": {
            "source": {"managedImageId": f"{group}/images/web-2019"},
            "gallery": {"id": f"{group}/galleries/prod"},
            "definition": {"name": "web"},
            "version": {"name": "1.0.0"},
        },
    }
    assert crd.is_file()
    kubectl("create", "--filename=-", input=json.dumps(wanted))
    return "web-2019"


@dataclass(frozen=True, slots=True)
class Toolchain:
    """A `go` that records its calls and compiles nothing: a stand-in for ten minutes of the real one."""

    folder: Path
    log: Path
    environment: dict[str, str]

    def build(self, **more: str) -> subprocess.Popen[str]:
        """Start the build command with this toolchain and an empty cache."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.controlplane", "build"],
            cwd=ROOT,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def calls(self) -> list[str]:
        """Return the first word of each call so far."""
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def toolchain(tmp_path: Path) -> Toolchain:
    """Put a recording `go` on a PATH that holds no other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "go").write_text(GO)
    (folder / "go").chmod(0o755)
    for tool in ("sh", "sleep", "chmod"):
        (folder / tool).symlink_to(shutil.which(tool) or tool)
    log = tmp_path / "calls"
    environment = {"PATH": str(folder), "XDG_CACHE_HOME": str(tmp_path / "cache"), "GO_CALLS": str(log)}
    return Toolchain(folder, log, environment)


@pytest.fixture
def echo() -> Iterator[int]:
    """Serve an echo on loopback; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_echo, args=(server.accept()[0],), daemon=True).start()


def _echo(client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        while data := client.recv(4096):
            client.sendall(data)


def _connect(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.url_port), timeout=5)


def _exchange(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return client.recv(4096)


def _hears_nothing(client: socket.socket, data: bytes) -> bool:
    """Whether the connection takes data and neither answers nor ends, for a while (an echo takes 1 ms)."""
    client.settimeout(0.2)
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)
    try:
        client.recv(4096)
    except TimeoutError:
        return True
    return False


def _service_account(control_plane: ControlPlane, namespace: str) -> Path:
    token = control_plane.service_account_token(namespace, SERVICE_ACCOUNT)
    return control_plane.kubeconfig_for(token=token, name=f"{namespace}-{SERVICE_ACCOUNT}", namespace=namespace)


def _grant(kubectl: Kubectl, namespace: str, *rules: str) -> None:
    kubectl("create", "role", "granted", *rules)
    kubectl("create", "rolebinding", "granted", "--role=granted", f"--serviceaccount={namespace}:{SERVICE_ACCOUNT}")


def _only(entries: list[AuditEntry], namespace: str, target: str) -> AuditEntry | None:
    """Pick the one write that was let through; None when there is none yet."""
    written = [one for one in entries if one.is_write and one.code < 300]
    found = [one for one in written if (one.namespace, one.target) == (namespace, target)]
    assert len(found) < 2
    return found[0] if found else None


def _assets(folder: Path, binaries: Binaries) -> Path:
    """Make a KUBEBUILDER_ASSETS folder out of whatever the session runs on."""
    for part, words in zip(PARTS, (binaries.etcd, binaries.kube_apiserver, binaries.kubectl), strict=True):
        (folder / part).write_text(f'#!/bin/sh\nexec {" ".join(words)} "$@"\n')
        (folder / part).chmod(0o755)
    return folder


def _processes_in(home: Path) -> list[int]:
    """Ids of the processes that have the folder on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it may end while we look
            if str(home) in entry.read_text():
                found.append(int(entry.parent.name))
    return found
