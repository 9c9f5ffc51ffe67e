"""Lets people try things on ImageMigrations at a real API server, with real rights, and hears the answers."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import Any

import urllib3

from tests import manifests
from tests.cluster import attempts
from tests.cluster.attempts import ALLOWED, ELSEWHERE, NAMESPACE, REFUSED, WITHOUT_EFFECT, Attempt, Outcome
from tests.controlplane import ControlPlane, until
from tests.manifests import Json

API = "/apis/imageferry.dev/v1alpha1"
RESOURCES = {"apiGroups": ["imageferry.dev"], "resources": ["imagemigrations"]}
STATUS = {"apiGroups": ["imageferry.dev"], "resources": ["imagemigrations/status"]}
ROLES = {
    "status-writer": [{**STATUS, "verbs": ["get", "patch", "update"]}],
    "least-verifier": [{**RESOURCES, "verbs": ["verify"]}, {**STATUS, "verbs": ["patch"]}],
    "verb-alone": [{**RESOURCES, "verbs": ["verify"]}],
}
"""Roles that only these tests have."""
UNTOUCHED = {"observedGeneration": -1}
"""The status of a resource that the operator has not seen."""
EDITOR, VERIFIER = "imageferry-editor", "imageferry-verifier"
BOUND = {
    "ed": [EDITOR],
    "sam": [EDITOR, "status-writer"],
    "vera": [VERIFIER],
    "victor": [VERIFIER],
    "rita": [VERIFIER, "status-writer"],
    "mini": ["least-verifier"],
    "max": [EDITOR, VERIFIER],
    "wanda": ["status-writer"],
    "flux": [EDITOR],
    "argo": [EDITOR, VERIFIER],
    "impostor": ["status-writer"],
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said, and whether anything is other than before."""

    code: int
    message: str
    outcome: Outcome


class Court:
    """The API server, with the namespaces, roles and people of the attempts."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._names = count(1)
        self._http = urllib3.PoolManager(ca_certs=str(plane.ca_file))
        config = json.loads(plane.admin_kubeconfig.read_text())
        self._admin = config["users"][0]["user"]["token"]
        plane.kubectl("apply", "--filename=-", input="\n---\n".join(json.dumps(each) for each in _objects()))
        self._tokens = {name: plane.service_account_token(_home(name), _account(name)) for name in attempts.ACCOUNTS}
        self._tokens["operator"] = plane.service_account_token("imageferry-system", "imageferry")

    def until_in_force(self) -> None:
        """Wait until the policies are enforced, which takes the API server a moment, and the roles are known."""
        forged = attempts.merge_status(phase="Completed")
        trial = Attempt("root", "", forged, REFUSED, attempts.FRESH)
        until(lambda: self.hear(trial).outcome is REFUSED, what="the policies enforced")

    def hear(self, attempt: Attempt) -> Answer:
        """Let one try what it tries on a migration of its own, which is gone afterwards."""
        stored = self._prepared(attempt)
        try:
            return self._answer(attempt, stored)
        finally:
            for name in (stored["metadata"]["name"], f"{stored['metadata']['name']}-new"):
                self._as_root("DELETE", name)

    def _answer(self, attempt: Attempt, stored: Json) -> Answer:
        request = attempt.request
        name, sent = stored["metadata"]["name"], request.body(stored)
        place = "" if request.method == "POST" else f"/{name}/{request.subresource}".rstrip("/")
        code, body = self.send(
            request.method,
            f"{API}/namespaces/{NAMESPACE}/imagemigrations{place}{request.query}",
            sent,
            content_type=request.content_type,
            headers=self._headers(attempt.who, request.impersonate),
        )
        if code >= HTTPStatus.BAD_REQUEST:
            assert self._as_root("GET", name) == stored, f"refused with {code}, and changed all the same"
            return Answer(code, tidy(body["message"], name), REFUSED)
        if isinstance(sent, dict) and request.method == "POST" and "status" in sent:
            changed = body["status"] != UNTOUCHED
        else:
            changed = body["metadata"].get("resourceVersion") != stored["metadata"]["resourceVersion"]
        return Answer(code, "", ALLOWED if changed else WITHOUT_EFFECT)

    def send(
        self, method: str, path: str, body: Any, *, content_type: str, headers: Mapping[str, str]
    ) -> tuple[int, Json]:
        """Send one request; return status and body."""
        answer = self._http.request(
            method,
            self._plane.url + path,
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type, **headers},
            retries=False,
        )
        return answer.status, answer.json()

    def _prepared(self, attempt: Attempt) -> Json:
        """Create a migration and bring it to where the attempt wants it, as an author and the operator would."""
        manifest = manifests.migration("web", **attempt.state.spec)
        name = manifest["metadata"]["name"] = f"web-{next(self._names)}"
        path = f"{API}/namespaces/{NAMESPACE}/imagemigrations"
        code, body = self.send("POST", path, manifest, content_type=attempts.PLAIN, headers=self._headers("root"))
        assert code == HTTPStatus.CREATED, body
        if attempt.state.status is not None:
            status = {"status": attempt.state.status}
            headers = self._headers("operator")
            code, body = self.send(
                "PATCH", f"{path}/{name}/status", status, content_type=attempts.MERGE, headers=headers
            )
            assert code == HTTPStatus.OK, body
        return self._as_root("GET", name)

    def _as_root(self, method: str, name: str) -> Json:
        path = f"{API}/namespaces/{NAMESPACE}/imagemigrations/{name}"
        return self.send(method, path, None, content_type=attempts.PLAIN, headers=self._headers("root"))[1]

    def _headers(self, who: str, impersonate: str = "") -> dict[str, str]:
        if who in self._tokens:
            headers = {"Authorization": f"Bearer {self._tokens[who]}"}
            return headers | ({"Impersonate-User": impersonate} if impersonate else {})
        headers = {"Authorization": f"Bearer {self._admin}"}
        return headers if who == "root" else headers | {"Impersonate-User": who}


def tidy(message: str, name: str) -> str:
    """Return an answer without what is the same in all, or is said otherwise by other releases of Kubernetes."""
    message = re.sub(rf"{name}(-new)?", "web", message).replace("\n", " ")
    message = re.sub(
        r"^.*ValidatingAdmissionPolicy '([a-z-]+)' with binding '[a-z-]+' denied request: ", r"\1: ", message
    )
    message = re.sub(r'^.* is forbidden: User "[^"]+" cannot impersonate.*$', "RBAC: may not impersonate", message)
    message = re.sub(
        r'^.* is forbidden: User "[^"]+" cannot (\w+) resource "([^"]+)".*$', r"RBAC: may not \1 \2", message
    )
    for digest in (attempts.PROOF, attempts.OLD, attempts.MADE_UP):
        message = message.replace(digest, f"{digest[:12]}…")
    return message


def _home(name: str) -> str:
    return attempts.ACCOUNTS[name]


def _account(name: str) -> str:
    return "imageferry" if name == "impostor" else name


def _objects() -> list[Json]:
    """Return namespaces, accounts, roles and bindings."""
    core, rbac = {"apiVersion": "v1"}, {"apiVersion": "rbac.authorization.k8s.io/v1"}
    spaces = [{**core, "kind": "Namespace", "metadata": {"name": name}} for name in (NAMESPACE, ELSEWHERE)]
    accounts = [
        {**core, "kind": "ServiceAccount", "metadata": {"name": _account(name), "namespace": space}}
        for name, space in attempts.ACCOUNTS.items()
    ]
    roles = [
        {**rbac, "kind": "ClusterRole", "metadata": {"name": f"test-{name}"}, "rules": rules}
        for name, rules in ROLES.items()
    ]
    bound = [(who, role, NAMESPACE) for who, names in BOUND.items() for role in names]
    bindings = [_binding(who, role, space) for who, role, space in (*bound, ("wanda", "verb-alone", ELSEWHERE))]
    admin = {**_binding("clara", "cluster-admin", ""), "kind": "ClusterRoleBinding"}
    return [*spaces, *accounts, *roles, *bindings, admin]


def _binding(who: str, role: str, space: str) -> Json:
    name = f"test-{role}" if role in ROLES else role
    metadata = {"name": f"{who}-{name}"} | ({"namespace": space} if space else {})
    if who in attempts.ACCOUNTS:
        subject = {"kind": "ServiceAccount", "name": _account(who), "namespace": _home(who)}
    else:
        subject = {"kind": "User", "name": who, "apiGroup": "rbac.authorization.k8s.io"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [subject],
    }
