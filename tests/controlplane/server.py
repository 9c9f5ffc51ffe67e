"""One control plane, from start to nothing left behind.

Invariants: all it writes lies in one folder, which goes with it; its ports are its own for
as long as it lives, over restarts of the API server too; clients verify its certificate;
and its processes end with this one however this one ends (see `minder`). kube-apiserver
stops before etcd: the other way round it hangs for 40 s.
"""

import base64
import http.client
import json
import os
import shlex
import ssl
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tests.controlplane import audit, pki, ports, process
from tests.controlplane.build import Binaries, locate
from tests.controlplane.errors import ControlPlaneError, KubectlError
from tests.controlplane.waiting import until

READY_SECONDS = 90.0
"""Ready after 3 to 4 s on two idle cores; the bound is for a machine that builds beside."""
KUBECTL_SECONDS = 90.0
SERVICE_ACCOUNT = "operator"
"""The service account that each namespace made here has. No right comes with it."""


class Kubectl(Protocol):
    """Runs kubectl; KubectlError with its standard error when `check` holds and it fails."""

    def __call__(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        kubeconfig: Path | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl with these words."""


class ControlPlane:
    """etcd and kube-apiserver, running inside the `with` block."""

    def __init__(self, binaries: Binaries | None = None) -> None:
        self._binaries = binaries
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        """Start both and wait until the API server says that it is ready."""
        with ExitStack() as cleanup:
            self._start(cleanup)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop both and remove the folder."""
        self._cleanup.close()

    @property
    def url(self) -> str:
        """Address of the API server."""
        return f"https://{ports.LOOPBACK}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """Certificate of the authority that signed the API server's."""
        return self._credentials.ca_file

    @property
    def admin_kubeconfig(self) -> Path:
        """Kubeconfig of a user in system:masters."""
        return self.home / "admin.kubeconfig"

    def start_api_server(self) -> None:
        """Start kube-apiserver on its port and wait until it is ready."""
        self._api_server = process.start(
            self._api_server_command(), name="kube-apiserver", log=self.home / "kube-apiserver.log"
        )
        try:
            until(self._ready, what="kube-apiserver's readiness", within=READY_SECONDS)
        except TimeoutError as exc:
            raise ControlPlaneError(f"{exc}; its log ends:\n{self._api_server.tail()}") from exc

    def stop_api_server(self) -> None:
        """Stop kube-apiserver; etcd keeps what was stored."""
        self._api_server.stop()

    def kill_api_server(self) -> None:
        """SIGKILL kube-apiserver."""
        self._api_server.kill()

    def restart_api_server(self) -> None:
        """Stop kube-apiserver and start it again on the same port, with the same keys."""
        self.stop_api_server()
        self.start_api_server()

    def audit(self, since: datetime | None = None) -> list[audit.AuditEntry]:
        """Return the finished requests, oldest first (see `audit` for what is logged)."""
        return audit.read(self.home / "audit.log", since=since)

    def kubeconfig_for(self, *, token: str, name: str, namespace: str = "default", server: str | None = None) -> Path:
        """Write a kubeconfig for a bearer token; `server` is another way to us, such as a proxy."""
        authority = base64.b64encode(self.ca_file.read_bytes()).decode()
        cluster = {"server": server or self.url, "certificate-authority-data": authority}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
        }
        path = self.home / f"{name}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config, indent=1))
        return path

    def service_account_token(self, namespace: str, name: str, *, duration: timedelta = timedelta(hours=1)) -> str:
        """Ask the API server for a token (TokenRequest); it grants 10 minutes or more."""
        seconds = f"--duration={int(duration.total_seconds())}s"
        return self.kubectl("create", "token", name, f"--namespace={namespace}", seconds).stdout.strip()

    def create_namespace(self, prefix: str = "test") -> str:
        """Create a namespace with a name of its own and the service account in it."""
        namespace = f"{prefix}-{uuid.uuid4().hex[:8]}"
        account = {"name": SERVICE_ACCOUNT, "namespace": namespace}
        wanted = (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        )
        self.kubectl("create", "--filename=-", input="\n---\n".join(json.dumps(one) for one in wanted))
        return namespace

    def apply(self, yaml_text: str) -> str:
        """`kubectl apply` as admin; returns what it prints."""
        return self.kubectl("apply", "--filename=-", input=yaml_text).stdout

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - as subprocess.run calls it
        kubeconfig: Path | None = None,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl, as admin unless a kubeconfig is given (see `Kubectl`)."""
        done = subprocess.run(
            [*self.binaries.kubectl, *args],
            input=input,
            env=self.kubectl_environment(kubeconfig),
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise KubectlError(f"`kubectl {shlex.join(args)}` ended with {done.returncode}: {done.stderr.strip()}")
        return done

    def kubectl_environment(self, kubeconfig: Path | None = None) -> Mapping[str, str]:
        """Environment in which a plain `kubectl …` reaches this control plane."""
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(self.bin_dir), os.environ.get("PATH", os.defpath)]),
            "KUBECONFIG": str(kubeconfig or self.admin_kubeconfig),
            # by default kubectl keeps what it found at host:port for hours, and ports come back
            "KUBECACHEDIR": str(self.home / "kubectl-cache"),
        }

    def _start(self, cleanup: ExitStack) -> None:
        self.binaries = self._binaries or locate()
        self.home = Path(tempfile.mkdtemp(prefix="imageferry-controlplane-"))
        self._etcd_port, self._peer_port, self.port = (self._reserve(cleanup) for _ in range(3))
        etcd = process.start(self._etcd_command(), name="etcd", log=self.home / "etcd.log", remove=self.home)
        cleanup.callback(etcd.stop)
        self._credentials = pki.create(self.home)
        audit.write_policy(self.home / "audit-policy.json")
        self._write_kubectl()
        self.kubeconfig_for(token=self._credentials.admin_token, name="admin")
        cleanup.callback(self.stop_api_server)
        self.start_api_server()

    def _reserve(self, cleanup: ExitStack) -> int:
        return ports.number(cleanup.enter_context(ports.reserve()))

    def _write_kubectl(self) -> None:
        self.bin_dir = self.home / "bin"
        self.bin_dir.mkdir()
        command = self.bin_dir / "kubectl"
        command.write_text(f'#!/bin/sh\nexec {shlex.join(self.binaries.kubectl)} "$@"\n')
        command.chmod(0o755)

    def _ready(self) -> bool:
        if self._api_server.ended:
            raise ControlPlaneError(f"kube-apiserver ended at its start; its log ends:\n{self._api_server.tail()}")
        context = ssl.create_default_context(cafile=str(self.ca_file))
        connection = http.client.HTTPSConnection(ports.LOOPBACK, self.port, context=context, timeout=5)
        try:
            connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {self._credentials.admin_token}"})
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _etcd_command(self) -> list[str]:
        client, peer = (f"http://{ports.LOOPBACK}:{port}" for port in (self._etcd_port, self._peer_port))
        return [
            *self.binaries.etcd,
            "--name=only",
            f"--data-dir={self.home / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=only={peer}",
            "--socket-reuse-port",  # see `ports`
            "--unsafe-no-fsync",  # what a crash would lose goes with the folder anyway
            "--log-level=warn",
        ]

    def _api_server_command(self) -> list[str]:
        files = self._credentials
        return [
            *self.binaries.kube_apiserver,
            f"--etcd-servers=http://{ports.LOOPBACK}:{self._etcd_port}",
            f"--bind-address={ports.LOOPBACK}",
            f"--secure-port={self.port}",
            "--permit-port-sharing",  # see `ports`
            # without these two it looks for a default route, which an offline machine has not
            f"--advertise-address={ports.LOOPBACK}",
            "--endpoint-reconciler-type=none",
            f"--tls-cert-file={files.serving_certificate}",
            f"--tls-private-key-file={files.serving_key}",
            f"--token-auth-file={files.tokens}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={files.service_account_key}",
            f"--service-account-signing-key-file={files.service_account_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # it waits for token secrets that only a controller would make
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={self.home / 'audit-policy.json'}",
            f"--audit-log-path={self.home / 'audit.log'}",
            "--audit-log-maxsize=10240",  # MB; never rotated away under a test that counts
            "--shutdown-delay-duration=0",
            "--profiling=false",
        ]
