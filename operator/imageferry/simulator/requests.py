"""One ARM request that passed the gateway's checks, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from imageferry.simulator.faults import Does
from imageferry.simulator.ledger import Effect
from imageferry.simulator.operations import Operation, Signer
from imageferry.simulator.routes import Route
from imageferry.simulator.wire import Answered, Json

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRequest:
    """A request; `target` is path and query to the letter."""

    method: str
    path: Route
    target: str
    query: Mapping[str, str]
    api_version: str
    body: Json | None = None
    base_url: str = ""
    page_size: int = 50
    does: Sequence[Does] = ()
    identity: str = ""
    object_id: str = ""

    def fault(self, kind: type[_T]) -> _T | None:
        """Give the first fault of that kind that meets this request."""
        return next((each for each in self.does if isinstance(each, kind)), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer and what the request changed."""

    answered: Answered
    effect: Effect = field(default=Effect.READ)


def operation_headers(signer: Signer, request: ArmRequest, operation: Operation) -> dict[str, str]:
    """Give the headers that lead to an operation; DELETE and POST have a Location too (fact sheet, section 3.1)."""
    headers = {"Azure-AsyncOperation": request.base_url + signer.target(operation)}
    if request.method in ("DELETE", "POST"):
        headers["Location"] = request.base_url + signer.target(operation, monitor=True)
    if operation.retry_after:
        headers["Retry-After"] = str(operation.retry_after)
    return headers
