"""A real etcd and kube-apiserver for the demo and the tests.

What the operator promises about lost events, conflicts and rights is a promise
about the real API server, so nothing here stands in for one. No kubelet and no
controllers run: pods do not start, and a deleted namespace keeps its content.
"""

from tests.controlplane.audit import AuditEntry
from tests.controlplane.build import Binaries, locate
from tests.controlplane.errors import BuildError, ControlPlaneError, KubectlError, NoControlPlaneError
from tests.controlplane.server import SERVICE_ACCOUNT, ControlPlane, Kubectl
from tests.controlplane.waiting import until

__all__ = [
    "SERVICE_ACCOUNT",
    "AuditEntry",
    "Binaries",
    "BuildError",
    "ControlPlane",
    "ControlPlaneError",
    "Kubectl",
    "KubectlError",
    "NoControlPlaneError",
    "locate",
    "until",
]
