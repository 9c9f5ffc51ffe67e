"""The engine's reads and writes of Kubernetes, over connections of their own (kopf has others).

Every call has a short time limit: a half-open connection must not hold an announcement,
and what is behind it, for minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import aiohttp
import structlog
from kubernetes.aio import client

from imageferry.api.resource import API_VERSION, GROUP, KIND, PLURAL, VERSION
from imageferry.engine.ports import Body, ConflictError, GoneError, UnreachableError
from imageferry.kube import access
from imageferry.migration.transitions import Notice

log = structlog.get_logger()

SECONDS = 10.0
PAGE = 500
COMPONENT = "imageferry"
EVENT_TEXT = 1024
FORBIDDEN, NOT_FOUND, CONFLICT = 403, 404, 409


class NoRightError(UnreachableError):
    """The operator's account has no right to this."""


class Kubernetes:
    """An API server, inside the `async with` block."""

    async def __aenter__(self) -> Self:
        """Find the way to it (see `access`)."""
        self._api = client.ApiClient(await access.read_and_refresh())
        self._resources = client.CustomObjectsApi(self._api)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._api.close()

    async def cluster_id(self) -> str:
        """Return the uid of the namespace kube-system, which no two clusters share."""
        with translated("namespace kube-system"):
            namespace = await self._call("GET", "/api/v1/namespaces/kube-system")
        return str(namespace["metadata"]["uid"])

    async def find(self, path: str) -> Body | None:
        """Return an object that no namespace holds, by its path in the API; None when it is not there.

        NoRightError when it may not be read.
        """
        try:
            with translated(path):
                found: Body = await self._call("GET", path)
        except GoneError:
            return None
        return found

    async def list(self) -> Sequence[Body]:
        """Return all migrations of the cluster; without a resourceVersion the answer comes from storage."""
        return await self._pages("application/json")

    async def list_metadata(self) -> Sequence[Body]:
        """Return the metadata of all migrations: a quarter of the bytes."""
        return await self._pages("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")

    async def _pages(self, accept: str) -> Sequence[Body]:
        bodies: list[Body] = []
        token: str | None = None
        while True:
            with translated("list of imagemigrations"):
                page = await self._resources.list_cluster_custom_object(
                    GROUP,
                    VERSION,
                    PLURAL,
                    limit=PAGE,
                    _continue=token,
                    _headers={"Accept": accept},
                    _request_timeout=SECONDS * 2,
                )
                bodies += _sensible(page)["items"]
            token = page["metadata"].get("continue")
            if not token:
                return bodies

    async def get(self, body: Body) -> Body:
        """Return the resource as it is now; GoneError when it is gone or has been made anew."""
        metadata = body["metadata"]
        with translated(_name(body)):
            answer = await self._resources.get_namespaced_custom_object(
                GROUP, VERSION, metadata["namespace"], PLURAL, metadata["name"], _request_timeout=SECONDS
            )
            found = _sensible(answer)
        if found["metadata"]["uid"] != metadata["uid"]:
            raise GoneError(f"{_name(body)} has been made anew")
        return found

    async def patch_status(self, body: Body, patch: Mapping[str, Any]) -> Body:
        """Merge into the status of just this version of the resource (see `engine.ports`)."""
        metadata = body["metadata"]
        merge = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": dict(patch)}
        with translated(_name(body)):
            patched = await self._resources.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                metadata["namespace"],
                PLURAL,
                metadata["name"],
                merge,
                field_manager=COMPONENT,
                _content_type="application/merge-patch+json",
                _request_timeout=SECONDS,
            )
            return _sensible(patched)

    async def notify(self, body: Body, notice: Notice) -> None:
        """Write an Event; when that fails it is logged and forgotten."""
        try:
            with translated(f"event for {_name(body)}"):
                namespace = body["metadata"]["namespace"]
                await self._call("POST", f"/api/v1/namespaces/{namespace}/events", _event(body, notice))
        except (GoneError, ConflictError, UnreachableError) as error:
            log.warning("event", migration=_name(body), reason=notice.reason, error=str(error))

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Call the core API without its generated class, which takes 24 MiB for its models."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        request = await self._api.param_serialize(
            method=method, resource_path=path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = await self._api.call_api(*request, _request_timeout=SECONDS)
        await answer.read()
        return self._api.response_deserialize(answer, {"200": "object", "201": "object"}).data


def _event(body: Body, notice: Notice) -> dict[str, Any]:
    metadata = body["metadata"]
    stamp = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    involved = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "resourceVersion": metadata["resourceVersion"],
        **{field: metadata[field] for field in ("namespace", "name", "uid")},
    }
    return {
        "metadata": {"generateName": f"{metadata['name'][:200]}.", "namespace": metadata["namespace"]},
        "involvedObject": involved,
        "type": notice.type,
        "reason": notice.reason[:128],
        "message": notice.message[:EVENT_TEXT],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise the engine's errors for whatever the client raises inside."""
    try:
        yield
    except client.ApiException as exc:
        kind = {FORBIDDEN: NoRightError, NOT_FOUND: GoneError, CONFLICT: ConflictError}.get(
            exc.status, UnreachableError
        )
        raise kind(f"{what}: the API server answered {exc.status} {exc.reason}") from exc
    except (aiohttp.ClientError, TimeoutError, OSError) as exc:
        raise UnreachableError(f"{what}: no answer from the API server: {exc!r}") from exc
    except ValueError as exc:
        raise UnreachableError(f"{what}: what answered makes no sense, is it the API server? {exc}") from exc


def _sensible(answer: Any) -> Body:  # noqa: ANN401 - a gateway may answer with any content
    """Return an answer that is a resource or a list of them; ValueError for anything else."""
    if not isinstance(answer, dict) or "metadata" not in answer:
        raise ValueError(f"found {str(answer)[:80]!r}")
    return answer


def _name(body: Body) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"
