"""A validating webhook that sees a status write while the API server holds it.

It is the only place where a test stands exactly before a write takes effect. Killing the
writer there and allowing the write is "it took effect and the writer never knew"; killing
it and refusing is "it never took effect". Real API servers call real webhooks, so nothing
is simulated.
"""

import base64
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import trustme

from tests.controlplane import ControlPlane, ports

Decide = Callable[[dict[str, Any]], bool]
"""Takes the AdmissionRequest, returns whether the write may happen."""


class StatusWrites:
    """Calls `decide` for each of one user's status writes in a namespace, inside the `with` block."""

    def __init__(self, plane: ControlPlane, *, namespace: str, user: str, decide: Decide) -> None:
        self._plane = plane
        self._namespace = namespace
        self._user = user
        self._decide = decide
        self._name = f"{namespace}.status-writes.imageferry.test"

    def __enter__(self) -> Self:
        """Serve, and have the API server ask us."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", ports.LOOPBACK).configure_cert(context)
        self._server = ThreadingHTTPServer((ports.LOOPBACK, 0), _handler(self._decide))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, name="webhook", daemon=True).start()
        bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
        self._plane.kubectl("apply", "--filename=-", input=json.dumps(self._configuration(bundle)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the API server alone."""
        self._plane.kubectl("delete", "validatingwebhookconfiguration", self._name)
        self._server.shutdown()
        self._server.server_close()

    def _configuration(self, bundle: str) -> dict[str, Any]:
        rule = {
            "apiGroups": ["imageferry.dev"],
            "apiVersions": ["*"],
            "operations": ["UPDATE"],
            "resources": ["imagemigrations/status"],
        }
        webhook = {
            "name": self._name,
            "clientConfig": {"url": f"https://{ports.LOOPBACK}:{self._server.server_port}/", "caBundle": bundle},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
            "matchConditions": [{"name": "writer", "expression": f"request.userInfo.username == '{self._user}'"}],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 20,
        }
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self._name},
            "webhooks": [webhook],
        }


def _handler(decide: Decide) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            request = review["request"]
            response: dict[str, Any] = {"uid": request["uid"], "allowed": decide(request)}
            answer = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": response})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Say nothing."""

    return Handler
