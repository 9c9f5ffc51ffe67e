"""Kubernetes for a person at a terminal: the kubeconfig as kubectl reads it, and errors that say what to do.

Synchronous, unlike the engine's side: a command asks, prints and ends. Of a status only a
person's verdict is written, and nothing writes to the kubeconfig.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes import client, config, watch
from kubernetes.config import kube_config

from imageferry.api.resource import GROUP, PLURAL, SINGULAR, VERSION

Body = Mapping[str, Any]

CONNECT_SECONDS = 10
READ_SECONDS = 60
WATCH_SECONDS = 240
PAUSE_SECONDS = 1
PAGE = 500
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, GONE = 401, 403, 404, 409, 410
POLICY = "ValidatingAdmissionPolicy"
RESOURCE = f"{PLURAL}.{GROUP}"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class ClusterError(Exception):
    """What a person is told: one line with the finding and the cure."""


class MissingError(ClusterError):
    """There is no such migration."""


class ChangedError(ClusterError):
    """The resource has changed since it was read; nothing was written."""


class Cluster:
    """The cluster of a context; `namespace` is the context's own."""

    def __init__(self, *, kubeconfig: Path | None = None, context: str | None = None) -> None:
        settings = client.Configuration()
        self.namespace = _configure(settings, kubeconfig, context)
        settings.retries = False  # a person sees the first error, not the fourth
        self._host = settings.host
        api = client.ApiClient(settings)
        self._resources = client.CustomObjectsApi(api)
        self._authentication = client.AuthenticationV1Api(api)

    def user(self) -> str:
        """Return the name by which the API server knows whoever asks."""
        with self._translated("create", None, resource="selfsubjectreviews.authentication.k8s.io"):
            timeout = (CONNECT_SECONDS, READ_SECONDS)
            review = self._authentication.create_self_subject_review({}, _request_timeout=timeout)
        return str(review.status.user_info.username)

    def get(self, namespace: str, name: str) -> Body:
        """Return one migration."""
        with self._translated("get", namespace, name):
            found: Body = self._resources.get_namespaced_custom_object(
                GROUP, VERSION, namespace, PLURAL, name, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
        return found

    def list(self, namespace: str | None, *, selector: str = "") -> Sequence[Body]:
        """Return all migrations of a namespace, or of the cluster, sorted as the API server does."""
        return self._list(namespace, label_selector=selector)[0]

    def merge(self, namespace: str, name: str, patch: Body) -> Body:
        """Change one migration with a merge patch and return it as it is then."""
        with self._translated("patch", namespace, name):
            send = self._resources.patch_namespaced_custom_object
            return _sent(send, namespace, name, dict(patch), form="merge-patch")

    def change_status(
        self, namespace: str, name: str, operations: Sequence[Body], *, verb: str, dry_run: bool = False
    ) -> Body:
        """Change the status with a JSON patch (RFC 6902) and return the resource as it then is.

        `verb` says in errors what was meant. ChangedError when the patch sets another resourceVersion than it has now.
        """
        with self._translated(verb, namespace, name):
            send = self._resources.patch_namespaced_custom_object_status
            options = {"dry_run": "All"} if dry_run else {}
            return _sent(send, namespace, name, list(operations), form="json-patch", **options)

    def watch(self, namespace: str | None, *, name: str = "", selector: str = "") -> Iterator[Sequence[Body]]:
        """Yield all that match, again after each change, without end; ClusterError when the cluster is lost."""
        options = {"label_selector": selector} | ({"field_selector": f"metadata.name={name}"} if name else {})
        while True:
            listed, version = self._list(namespace, **options)
            bodies = {_key(body): body for body in listed}
            yield list(bodies.values())
            for event in self._changes(namespace, version, options):
                if event["type"] == "DELETED":
                    bodies.pop(_key(event["object"]), None)
                else:
                    bodies[_key(event["object"])] = event["object"]
                yield [bodies[key] for key in sorted(bodies)]

    def _changes(self, namespace: str | None, version: str, options: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Yield events until the API server ends the watch or no longer knows this version."""
        call, place = self._listing(namespace)
        options = {**options, "resource_version": version}
        timeout = (CONNECT_SECONDS, WATCH_SECONDS + READ_SECONDS)
        events = watch.Watch().stream(call, *place, **options, timeout_seconds=WATCH_SECONDS, _request_timeout=timeout)
        with self._translated("watch", namespace):
            try:
                yield from events
            except client.ApiException as exc:
                if exc.status != GONE:
                    raise
            except urllib3.exceptions.HTTPError:  # cut on its way; whether the cluster is there, the next list tells
                time.sleep(PAUSE_SECONDS)

    def _list(self, namespace: str | None, **options: str) -> tuple[Sequence[Body], str]:
        call, place = self._listing(namespace)
        bodies: list[Body] = []
        token: str | None = None
        while True:
            with self._translated("list", namespace):
                timeout = (CONNECT_SECONDS, READ_SECONDS)
                page = call(*place, limit=PAGE, _continue=token, _request_timeout=timeout, **options)
            bodies += page["items"]
            token = page["metadata"].get("continue")
            if not token:
                return bodies, page["metadata"]["resourceVersion"]

    def _listing(self, namespace: str | None) -> tuple[Any, tuple[str, ...]]:
        if namespace is None:
            return self._resources.list_cluster_custom_object, (GROUP, VERSION, PLURAL)
        return self._resources.list_namespaced_custom_object, (GROUP, VERSION, namespace, PLURAL)

    @contextmanager
    def _translated(
        self, verb: str, namespace: str | None, name: str = "", *, resource: str = RESOURCE
    ) -> Iterator[None]:
        try:
            yield
        except client.ApiException as exc:
            raise _of_answer(exc, verb, namespace, name=name, resource=resource) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            message = f"no answer from {self._host}: {_cause(exc)}; check the cluster and the context (--context)"
            raise ClusterError(message) from exc


def _configure(settings: client.Configuration, kubeconfig: Path | None, context: str | None) -> str:
    """Fill in how to reach the cluster; return the namespace. As kubectl: the pod's account where no file is there."""
    given = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or "~/.kube/config"
    files = [path for path in (Path(part).expanduser() for part in given.split(os.pathsep) if part) if path.exists()]
    try:
        if not files and not kubeconfig and SERVICE_ACCOUNT_NAMESPACE.exists():
            config.load_incluster_config(settings)
            return SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
        if not files:
            raise ClusterError(f"no kubeconfig: there is no {given}; name one with --kubeconfig or KUBECONFIG")
        name = context or _current_context(files)
        merged = kube_config.KubeConfigMerger(os.pathsep.join(map(str, files))).config
        loader = kube_config.KubeConfigLoader(config_dict=merged, config_base_path=None, active_context=name)
        loader.load_and_set(settings)
        return str(loader.current_context["context"].get("namespace") or "default")
    except (config.ConfigException, yaml.YAMLError, OSError, TypeError, AttributeError) as exc:
        raise ClusterError(f"kubeconfig {given}: {_one_line(str(exc))}; `kubectl config view` shows it") from exc


def _current_context(files: Sequence[Path]) -> str:
    """Return the first file's that says one, as kubectl does; the library takes the last one's."""
    for path in files:
        if current := (yaml.safe_load(path.read_text()) or {}).get("current-context"):
            return str(current)
    raise ClusterError(
        "kubeconfig: no current-context is set; choose one with --context or `kubectl config use-context`"
    )


def _of_answer(exc: client.ApiException, verb: str, namespace: str | None, *, name: str, resource: str) -> ClusterError:
    status = _status(exc)
    message = _one_line(status.get("message") or f"the API server answered {exc.status} {exc.reason}")
    if exc.status == NOT_FOUND and status.get("details", {}).get("name"):
        where = f"-n {namespace}"
        return MissingError(
            f'{RESOURCE} "{name}" not found in namespace {namespace}; `kubectl imageferry status {where}` lists all'
        )
    if exc.status == NOT_FOUND:
        return ClusterError(
            f"the cluster does not know {resource}; install imageferry in it, or choose another --context"
        )
    if exc.status == CONFLICT:
        return ChangedError(f"cannot {verb} {SINGULAR} {name}: it has changed meanwhile; look at it again")
    if exc.status == FORBIDDEN and POLICY not in message:  # a policy's own message says what is missing
        return ClusterError(f"{message}; ask an administrator for a role that may {verb} {resource}")
    if exc.status == UNAUTHORIZED:
        return ClusterError(
            "the API server does not accept your login (401); log in again, or choose another --context"
        )
    return ClusterError(f"cannot {verb} {SINGULAR} {name}: {message}")


def _status(exc: client.ApiException) -> dict[str, Any]:
    """Return the Status object of an answer; empty when it is something else, as for an unknown path."""
    try:
        found = json.loads(exc.body or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _cause(exc: BaseException) -> str:
    return _one_line(str(exc).rpartition(": ")[2] or repr(exc))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _sent(send: Callable[..., Any], namespace: str, name: str, change: Any, *, form: str, **options: str) -> Body:  # noqa: ANN401 - any JSON value
    """Send a patch of one migration; `form` is merge-patch or json-patch."""
    patched: Body = send(
        GROUP,
        VERSION,
        namespace,
        PLURAL,
        name,
        change,
        field_manager="kubectl-imageferry",
        _content_type=f"application/{form}+json",
        _request_timeout=(CONNECT_SECONDS, READ_SECONDS),
        **options,
    )
    return patched


def _key(body: Body) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]
