"""The calls of one deletion, as they pass: what is found in an undisturbed run is where others are killed.

Nobody lists the calls. A call is known by its name and by the last step of the deletion that was taken before it, so
that the look before the delete and the one after it are two. Of those that come again at the same step the first
counts.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imageferry.simulator import Call, DropConnection
from tests.api_proxy import Request

BEFORE, AFTER = "before", "after"
VERIFIED, ANNOUNCED, DELETED, RECEIPT = "verified", "announced", "deleted", "receipt"
DELETE, PATCH, LIST, RENEW = "images.delete", "PATCH imagemigrations/status", "LIST imagemigrations", "PUT leases"


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A call at a step of a deletion."""

    since: str
    call: str


class Calls:
    """Sees the calls that concern one migration, and kills their sender at one of them.

    What is killed before a call does not make it; what is killed after it never hears the answer.
    """

    def __init__(self, name: str, kill: Callable[[], None], *, at: Moment | None = None, when: str = "") -> None:
        self._name = name
        self._kill = kill
        self._wanted = (at, when)
        self._step = VERIFIED
        self._begun: dict[str, str] = {}
        self._lock = threading.Lock()
        self.seen: dict[Moment, None] = {}
        self.fired = threading.Event()

    def azure(self, call: Call) -> None:
        """See a call to ARM."""
        own = self._name in call.resource_id or call.operation.endswith("s.list")
        step = DELETED if call.operation == DELETE else None
        if own and not self._see(call.operation, call.when, step):
            raise DropConnection

    def kubernetes(self, request: Request, sent: bytes, when: str) -> bool:
        """See a call to the API server."""
        body = json.loads(sent) if sent else {}
        return not (call := self._call(request, body)) or self._see(call, when, _step(body))

    def _call(self, request: Request, body: dict[str, Any]) -> str | None:
        """Return what a request is called; None when it does not concern the migration."""
        if request.path.endswith("/leases/imageferry"):
            return f"{request.method} leases" if self._step == DELETED else None
        if request.is_read_of_all:
            return None if request.is_watch or "PartialObject" in request.headers["Accept"] else LIST
        if self._name not in request.path + json.dumps(body):
            return None
        if request.path.endswith("/status"):
            return PATCH
        return f"{request.method} {request.path.rpartition('/')[2]} {body.get('reason', '')}".strip()

    def _see(self, call: str, when: str, step: str | None) -> bool:
        with self._lock:
            if self.fired.is_set():
                return True
            if when == BEFORE:
                self._begun[call] = self._step
            moment = Moment(self._begun.get(call, self._step), call)
            self.seen[moment] = None
            if when == AFTER and step:
                self._step = step
            if self._wanted != (moment, when):
                return True
            self._kill()
            self.fired.set()
            return False


def _step(body: dict[str, Any]) -> str | None:
    """Return the step that a status write takes."""
    status = body.get("status") or {}
    if (status.get("operation") or {}).get("action") == "DeleteImage":
        return ANNOUNCED
    return RECEIPT if (status.get("deletion") or {}).get("receipt") else None
