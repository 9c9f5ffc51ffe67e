"""An API server in memory, as far as ImageMigrations need one.

Kept: uid, resourceVersion that only rises, generation that rises with the spec and with
a deletion, a status of its own, merge patches with a precondition, finalizers. Watch
events go to listeners, who may deliver, delay or lose them. `accept` stands for CEL.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from imageferry.engine.ports import Body, ConflictError, GoneError, UnreachableError
from imageferry.migration.transitions import Notice
from tests.unit.build import patched
from tests.walks.line import Line

Json = dict[str, Any]
Event = tuple[str, Json]
NAMESPACE = "platform"


@dataclass(slots=True)
class ApiServer:
    """The store."""

    accept: Callable[[Json], object]
    """Raises when a body is none that the API server would store."""
    now: Callable[[], str]
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    _objects: dict[str, Json] = field(default_factory=dict)
    _version: int = 100
    _made: int = 0

    def names(self) -> list[str]:
        """Return the names of all resources."""
        return sorted(self._objects)

    def find(self, name: str) -> Json | None:
        """Return a copy of a resource."""
        return _copy(self._objects[name]) if name in self._objects else None

    def by_uid(self, uid: str) -> Json | None:
        """Return a copy of the resource of that uid."""
        return next((_copy(each) for each in self._objects.values() if each["metadata"]["uid"] == uid), None)

    def all(self) -> list[Json]:
        """Return copies of all resources."""
        return [_copy(self._objects[name]) for name in self.names()]

    def create(self, manifest: Mapping[str, Any], *, finalizer: bool = False) -> Json:
        """Store a new resource; its status is empty."""
        self._made += 1
        metadata = dict(manifest["metadata"]) | {
            "namespace": NAMESPACE,
            "uid": str(UUID(int=self._made)),
            "generation": 1,
            "creationTimestamp": self.now(),
            **({"finalizers": ["others.dev/wait"]} if finalizer else {}),
        }
        return self._store("ADDED", {**manifest, "metadata": metadata, "status": {"observedGeneration": -1}})

    def edit(self, name: str, spec: Mapping[str, Any]) -> Json:
        """Merge into the spec."""
        body = self._objects[name]
        wanted = patched(body["spec"], dict(spec))
        if wanted == body["spec"]:
            return _copy(body)
        metadata = {**body["metadata"], "generation": body["metadata"]["generation"] + 1}
        return self._store("MODIFIED", {**body, "metadata": metadata, "spec": wanted})

    def set_status(self, name: str, status: Json) -> Json:
        """Replace the status, as one who has read the newest does."""
        return self._store("MODIFIED", {**self._objects[name], "status": status})

    def delete(self, name: str) -> None:
        """Delete; with a finalizer it is only marked."""
        body = self._objects[name]
        if not body["metadata"].get("finalizers"):
            self._remove(name)
        elif "deletionTimestamp" not in body["metadata"]:
            generation = body["metadata"]["generation"] + 1
            marked = {**body["metadata"], "deletionTimestamp": self.now(), "generation": generation}
            self._store("MODIFIED", {**body, "metadata": marked})

    def release(self, name: str) -> None:
        """Take the finalizers away."""
        body = self._objects[name]
        metadata = {key: value for key, value in body["metadata"].items() if key != "finalizers"}
        self._store("MODIFIED", {**body, "metadata": metadata})
        if "deletionTimestamp" in metadata:
            self._remove(name)

    def patch_status(self, body: Body, patch: Mapping[str, Any]) -> Json:
        """Merge into the status of just this version of a resource."""
        stored = self._objects.get(body["metadata"]["name"])
        if stored is None:
            raise GoneError("404")
        if stored["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            raise ConflictError("409")
        changed = {**stored, "status": patched(stored.get("status", {}), _copy(dict(patch)))}
        return _copy(stored) if changed == stored else self._store("MODIFIED", changed)

    def _remove(self, name: str) -> None:
        self._version += 1
        body = self._objects.pop(name)
        body["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", body)

    def _store(self, kind: str, body: Json) -> Json:
        self._version += 1
        body = _copy(body)
        body["metadata"]["resourceVersion"] = str(self._version)
        self.accept(body)
        self._objects[body["metadata"]["name"]] = body
        self._tell(kind, body)
        return _copy(body)

    def _tell(self, kind: str, body: Json) -> None:
        for listener in self.listeners:
            listener((kind, _copy(body)))


Cut = Literal["before", "after"]
Written = Callable[[Json, Json], None]
"""Called with a resource before and after a status write."""


class Connection:
    """The API server as one operator process reaches it; calls are cut as `cuts` says, one after the other."""

    def __init__(self, server: ApiServer, line: Line, written: Written, listed: Callable[[], None]) -> None:
        self._server, self._line, self._written, self._listed = server, line, written, listed
        self.cuts: list[Cut] = []
        self.notices: list[Notice] = []
        self.refused = False
        """Whether a status write was refused or cut; whoever wants to know resets it."""

    async def list(self) -> Sequence[Body]:
        """Return all resources."""
        self._line.tick()
        cut = self._cut()
        found = self._server.all()
        self._listed()
        self._line.tick()
        if cut:
            raise UnreachableError("list: cut")
        return found

    async def list_metadata(self) -> Sequence[Body]:
        """Return the metadata of all resources."""
        return [{"metadata": each["metadata"]} for each in await self.list()]

    async def get(self, body: Body) -> Body:
        """Return the resource as it is now."""
        self._line.tick()
        cut = self._cut()
        found = self._server.find(body["metadata"]["name"])
        self._line.tick()
        if cut:
            raise UnreachableError("get: cut")
        if found is None or found["metadata"]["uid"] != body["metadata"]["uid"]:
            raise GoneError("404")
        return found

    async def patch_status(self, body: Body, patch: Mapping[str, Any]) -> Body:
        """Merge into the status of just this version."""
        if patch.get("operation"):
            self._line.announce()
        else:
            self._line.tick()
        cut, self.refused = self._cut(), True
        if cut == "before":
            raise UnreachableError("patch: cut before")
        before = self._server.find(body["metadata"]["name"])
        after = self._server.patch_status(body, patch)
        self.refused = cut is not None
        self._written(before or {}, after)
        self._line.tick()
        if cut == "after":
            raise UnreachableError("patch: cut after")
        return after

    async def notify(self, body: Body, notice: Notice) -> None:
        """Keep an Event."""
        del body
        self._line.tick()
        self.notices.append(notice)

    def _cut(self) -> Cut | None:
        return self.cuts.pop(0) if self.cuts else None


def _copy(value: Json) -> Json:
    copied: Json = json.loads(json.dumps(value))
    return copied
