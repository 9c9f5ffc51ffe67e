"""The front door: HTTP in, checks that ARM makes before a provider is asked, faults, hooks, ledger, HTTP out.

Order, on which tests rely: hook "before", effect, ledger entry, hook "after", delay, then answer or reset.
"""

import asyncio
import json
import re
import socket
import struct
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web

from imageferry.simulator import hooks as hook_calls
from imageferry.simulator.clock import SimClock
from imageferry.simulator.cloud import Cloud
from imageferry.simulator.faults import Answer, Does, Faults, HtmlPage, Reset, Slow
from imageferry.simulator.hooks import Call, Hook
from imageferry.simulator.ledger import Effect, Entry, Ledger
from imageferry.simulator.limits import Limits
from imageferry.simulator.paths import ArmPath, OperationPath
from imageferry.simulator.requests import ArmRequest, Outcome
from imageferry.simulator.routes import Route, operation_name, route
from imageferry.simulator.tokens import Bearer, Tokens
from imageferry.simulator.wire import Answered, ArmError, Json

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-\w+)?")
_MUTATIONS = frozenset({"PUT", "PATCH", "DELETE", "POST"})
_HTML = (
    "<!DOCTYPE html><html><head><title>AzureResourceManager</title></head><body><div id='content'><div id='message'>"
    "<h2>Our services aren't available right now</h2><p>We're working to restore all services as soon as possible. "
    "Please check back soon.</p></div></div></body></html>"
)


@dataclass(slots=True)
class Services:
    """What the front door works with; shared with the test that runs the server."""

    clock: SimClock
    cloud: Cloud
    faults: Faults
    ledger: Ledger
    tokens: Tokens
    tenant: str
    page_size: int
    limits: Limits
    hooks: list[Hook] = field(default_factory=list)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32, "simulator-hook"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came; `target` is path and query to the letter, `headers` are read in any case."""

    method: str
    path: str
    target: str
    host: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer as it leaves."""

    status: int
    headers: Mapping[str, str]
    content: bytes = b""


@dataclass(slots=True)
class _Visit:
    """One ARM request on its way through."""

    seq: int
    method: str
    path: Route | None
    operation: str
    resource_id: str
    identity: str
    api_version: str
    correlation_id: str
    object_id: str = ""
    body: Json | None = None
    refusal: ArmError | None = None
    does: Sequence[Does] = ()
    left: dict[str, str] = field(default_factory=dict)
    """Headers that tell how much is left of the limits that the request has met."""

    def fault(self, kind: type[Answer | HtmlPage | Reset | Slow]) -> Does | None:
        return next((each for each in self.does if isinstance(each, kind)), None)

    def resets(self, when: str) -> bool:
        return any(isinstance(each, Reset) and each.when == when for each in self.does)


class Gateway:
    """Handler of every request below `/subscriptions`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one ARM request that came over HTTP."""
        sent = await self.serve(
            Received(
                method=request.method,
                path=request.path,
                target=request.raw_path,
                host=request.host,
                query=request.query,
                headers=request.headers,
                content=await request.read(),
            )
        )
        return (
            _reset(request)
            if sent is None
            else web.Response(status=sent.status, body=sent.content or None, headers=sent.headers)
        )

    async def serve(self, request: Received) -> Sent | None:
        """Serve one ARM request; None when the connection is to be cut instead of an answer."""
        visit = self._receive(request)
        if await self._hooks(visit, "before") or visit.resets("before"):
            self._record(visit, 0, _without_effect(visit), answered=False)
            return None
        answered, effect = self._carry_out(visit, request)
        cut = visit.resets("after")
        self._record(visit, answered.status, effect, answered=not cut)
        cut = await self._hooks(visit, "after", status=answered.status, effect=effect) or cut
        await asyncio.sleep(sum(each.seconds for each in visit.does if isinstance(each, Slow)))
        return None if cut else self._respond(visit, answered)

    def _receive(self, request: Received) -> _Visit:
        """Identify the caller, make the gateway's checks and draw the faults."""
        path, headers = route(request.path), request.headers
        operation = operation_name(request.method, path) if path else None
        bearer = self._services.tokens.bearer(headers.get("Authorization", ""))
        visit = _Visit(
            seq=self._services.ledger.next_seq(),
            method=request.method,
            path=path,
            operation=operation or "unknown",
            resource_id=path.id if isinstance(path, ArmPath) else request.path,
            identity=bearer.client_id if isinstance(bearer, Bearer) else "",
            api_version=request.query.get("api-version", ""),
            correlation_id=headers.get("x-ms-correlation-request-id", str(uuid4())),
            object_id=bearer.object_id if isinstance(bearer, Bearer) else "",
        )
        try:
            _check_bearer(bearer, self._services.tenant, request.host)
            _check_served(visit)
            visit.body = _json_body(request)
            self._pass_gateway(visit)
        except ArmError as refusal:
            visit.refusal = refusal
            return visit
        visit.does = self._services.faults.draw(visit.operation, visit.resource_id, visit.identity)
        return visit

    def _pass_gateway(self, visit: _Visit) -> None:
        if visit.path is not None:
            services = self._services
            visit.left = services.limits.enter(
                visit.method, visit.path.subscription, visit.identity, services.cloud.rules
            )

    def _reach_provider(self, visit: _Visit) -> None:
        if visit.path is not None:
            services, operation = self._services, _limited(visit.path, visit.operation)
            region = services.cloud.region(visit.path, visit.body)
            visit.left |= services.limits.provide(operation, visit.path.subscription, region, services.cloud.rules)

    def _carry_out(self, visit: _Visit, request: Received) -> tuple[Answered | HtmlPage, Effect]:
        if (page := visit.fault(HtmlPage)) is not None and isinstance(page, HtmlPage):
            return page, Effect.REFUSED
        try:
            outcome = self._effect(visit, request)
        except ArmError as refusal:
            missed = visit.method not in _MUTATIONS and refusal.status == 404
            return refusal.answer(), Effect.READ if missed else Effect.REFUSED
        return outcome.answered, outcome.effect

    def _effect(self, visit: _Visit, request: Received) -> Outcome:
        if visit.refusal is not None:
            raise visit.refusal
        self._reach_provider(visit)
        fault = visit.fault(Answer)
        if isinstance(fault, Answer):
            message = fault.message or _message(fault.code, visit)
            raise ArmError(fault.status, fault.code, message, gateway=not fault.provider, headers=fault.headers)
        if visit.path is None:
            raise TypeError("a request without a path was not refused")
        arm_request = ArmRequest(
            method=visit.method,
            path=visit.path,
            target=request.target,
            query=dict(request.query),
            api_version=visit.api_version,
            body=visit.body,
            base_url=f"https://{request.host}",
            page_size=self._services.page_size,
            does=visit.does,
            identity=visit.identity,
            object_id=visit.object_id,
        )
        return self._services.cloud.carry_out(arm_request)

    def _record(self, visit: _Visit, status: int, effect: Effect, *, answered: bool) -> None:
        self._services.ledger.add(
            Entry(
                seq=visit.seq,
                time=self._services.clock.now(),
                identity=visit.identity,
                method=visit.method,
                operation=visit.operation,
                resource_id=visit.resource_id,
                api_version=visit.api_version,
                status=status,
                effect=effect,
                correlation_id=visit.correlation_id,
                body=visit.body,
                answered=answered,
            )
        )

    async def _hooks(self, visit: _Visit, when: str, *, status: int | None = None, effect: str | None = None) -> bool:
        """Let the hooks see the call, in a thread, so that other requests go on; gives whether to cut."""
        hooks = tuple(self._services.hooks)
        if not hooks:
            return False
        call = Call(
            seq=visit.seq,
            operation=visit.operation,
            method=visit.method,
            resource_id=visit.resource_id,
            identity=visit.identity,
            when="before" if when == "before" else "after",
            status=status,
            effect=effect,
        )
        return await asyncio.get_running_loop().run_in_executor(self._services.pool, hook_calls.run, hooks, call)

    def _respond(self, visit: _Visit, answered: Answered | HtmlPage) -> Sent:
        ids = {"x-ms-request-id": str(uuid4()), "x-ms-correlation-request-id": visit.correlation_id}
        if isinstance(answered, HtmlPage):
            return Sent(answered.status, {**ids, "Content-Type": "text/html; charset=utf-8"}, _HTML.encode())
        headers = {**ids, "Cache-Control": "no-cache", **answered.headers}
        if answered.status != 429:
            hidden = "x-ms-ratelimit-remaining-resource" if answered.gateway else None
            headers |= {name: value for name, value in visit.left.items() if name != hidden}
        if answered.body is None:
            return Sent(answered.status, headers)
        headers["Content-Type"] = "application/json; charset=utf-8"
        return Sent(answered.status, headers, answered.text().encode())


def _limited(path: Route, operation: str) -> str:
    return "capsOperations.get" if isinstance(path, OperationPath) and path.family == "capsOperations" else operation


def _without_effect(visit: _Visit) -> Effect:
    return Effect.NONE if visit.method in _MUTATIONS else Effect.READ


def _check_bearer(bearer: Bearer | str, tenant: str, host: str) -> None:
    if isinstance(bearer, Bearer):
        return
    now = datetime.now(UTC).isoformat()
    code, message = {
        "missing": ("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."),
        "unknown": ("InvalidAuthenticationToken", "The access token is invalid."),
        "expired": ("ExpiredAuthenticationToken", f"The access token expired. The current UTC time is '{now}'."),
    }[bearer]
    challenge = (
        f'Bearer authorization_uri="https://{host}/{tenant}", error="invalid_token", error_description="{message}"'
    )
    raise ArmError(401, code, message, gateway=True, headers={"WWW-Authenticate": challenge})


def _check_served(visit: _Visit) -> None:
    if not visit.api_version:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message, gateway=True)
    if not _API_VERSION.fullmatch(visit.api_version):
        message = f"The api-version '{visit.api_version}' is invalid. The expected format is yyyy-MM-dd."
        raise ArmError(400, "InvalidApiVersionParameter", message, gateway=True)
    if visit.path is None:
        namespace = visit.resource_id.rpartition("/providers/")[2].partition("/")[0]
        message = (
            f"The resource type could not be found in the namespace '{namespace}' "
            f"for api version '{visit.api_version}'."
        )
        raise ArmError(404, "InvalidResourceType", message, gateway=True)
    if visit.operation == "unknown":
        message = f"The http method '{visit.method}' is not supported for this resource."
        raise ArmError(405, "HttpMethodNotSupported", message, gateway=True)


def _json_body(request: Received) -> Json | None:
    if request.method not in ("PUT", "PATCH", "POST"):
        return None
    if not request.content and request.method == "POST":
        return None
    try:
        body = json.loads(request.content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        message = "The request content was invalid and could not be deserialized: 'a JSON object is expected'."
        raise ArmError(400, "InvalidRequestContent", message, gateway=True)
    return body


def _message(code: str, visit: _Visit) -> str:
    if code == "AuthorizationFailed":
        verb = {"GET": "read", "DELETE": "delete"}.get(visit.method, "write")
        kind = visit.path.kind if isinstance(visit.path, ArmPath) else "locations/capsOperations"
        return (
            f"The client '{visit.identity}' with object id '{visit.identity}' does not have authorization to perform "
            f"action 'Microsoft.Compute/{kind}/{verb}' over scope '{visit.resource_id}' or the scope is invalid. "
            "If access was recently granted, please refresh your credentials."
        )
    if code == "ScopeLocked":
        return (
            f"The scope '{visit.resource_id}' cannot perform {visit.method.lower()} operation because following "
            f"scope(s) are locked: '{visit.resource_id}'. Please remove the lock and try again."
        )
    return f"The request was refused by a fault rule of the simulator: {code}."


def _reset(request: web.Request) -> web.Response:
    """Cut the connection with a TCP reset; the response that is given back goes nowhere."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)
