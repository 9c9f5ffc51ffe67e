"""The Lease as an admin sees it, with kubectl."""

import json
from collections.abc import Container
from typing import Any

from tests.controlplane import ControlPlane

NAMESPACE, NAME = "imageferry-system", "imageferry"


def read(plane: ControlPlane) -> dict[str, Any]:
    """Return the Lease; empty when it is not there."""
    found = plane.kubectl("get", "lease", NAME, f"--namespace={NAMESPACE}", "--output=json", "--ignore-not-found")
    body: dict[str, Any] = json.loads(found.stdout) if found.stdout else {}
    return body


def holder(plane: ControlPlane) -> str:
    """Return who holds it; empty when nobody does."""
    return holder_of(read(plane))


def offer(plane: ControlPlane) -> None:
    """Create it without a holder: a Lease that is not there is taken only after its whole duration."""
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}, "spec": {}}
    plane.kubectl("create", f"--namespace={NAMESPACE}", "--filename=-", input=json.dumps(body))


def take_from(plane: ControlPlane, holders: Container[str]) -> None:
    """Leave it without a holder, if one of these holds it, who must be dead."""
    body = read(plane)
    if not (found := holder_of(body)) or found not in holders:
        return
    patch = {"metadata": {"resourceVersion": body["metadata"]["resourceVersion"]}, "spec": {"holderIdentity": ""}}
    words = ("patch", "lease", NAME, f"--namespace={NAMESPACE}", "--type=merge", f"--patch={json.dumps(patch)}")
    plane.kubectl(*words)


def holder_of(body: dict[str, Any]) -> str:
    """Return who holds a Lease; empty when nobody does."""
    return str(body.get("spec", {}).get("holderIdentity", ""))
