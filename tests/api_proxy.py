"""A gateway before the API server that spoils what it says, by order of a test.

It reads HTTP where `proxy` reads bytes: it can refuse one kind of request and pass the
others, keep silent on a watch that stays open, and say what a server only says on a bad day.
It also notes each request, with what the audit log does not tell: Accept, bytes, duration.
"""

import asyncio
import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import trustme
from aiohttp import web

from tests.controlplane import ControlPlane, ports

CALL_SECONDS = 10.0
FORWARDED = ("Authorization", "Accept", "Accept-Encoding", "Content-Type", "User-Agent")
RETURNED = ("Content-Type", "Content-Encoding", "Retry-After")
NO_LIMIT = aiohttp.ClientTimeout(total=None)


@dataclass(eq=False, slots=True)
class Request:
    """One request, and once it is over what became of it."""

    began: float
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    status: int = 0
    size: int = 0
    """Bytes of the answer's body as they went over the wire."""
    seconds: float = 0.0

    @property
    def is_watch(self) -> bool:
        """Whether it is a watch of migrations."""
        return self.query.get("watch") == "true" and self.path.endswith("/imagemigrations")

    @property
    def is_read_of_all(self) -> bool:
        """Whether it lists or watches migrations, in whatever form."""
        return self.method == "GET" and self.path.endswith("/imagemigrations")


Witness = Callable[[Request, bytes, str], bool]
"""Takes a request with its body, "before" it is forwarded or "after" it took effect; False: it goes no further."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is answered in the API server's place, and to which requests."""

    status: int
    to: Callable[[Request], bool]
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None

    def response(self) -> web.Response:
        """Return the answer as the API server forms it."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.status, "message": "refused"}
        text = json.dumps(status) if self.text is None else self.text
        return web.Response(status=self.status, headers=self.headers, text=text, content_type="application/json")


@dataclass(eq=False, slots=True)
class _Watch:
    request: web.Request
    response: web.StreamResponse
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class ApiProxy:
    """Forwards to a control plane, from a thread of its own, inside the `with` block."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.requests: list[Request] = []
        self.refusal: Refusal | None = None
        self.witness: Witness | None = None
        self.muted = False
        """While it holds, watches stay open and tell nothing."""
        self._plane = plane
        self._folder = folder
        self._watches: set[_Watch] = set()
        self._port = ports.free()
        self._authority = trustme.CA(organization_name="a gateway")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="api-proxy", daemon=True)

    def __enter__(self) -> Self:
        """Start forwarding."""
        self._thread.start()
        self._call(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all connections and the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    @property
    def watches(self) -> int:
        """How many watches of migrations are open."""
        return len(self._watches)

    def kubeconfig(self, given: Path) -> Path:
        """Write a kubeconfig with the same credentials that leads here."""
        config = json.loads(given.read_text())
        authority = base64.b64encode(self._authority.cert_pem.bytes()).decode()
        config["clusters"][0]["cluster"] = {
            "server": f"https://{ports.LOOPBACK}:{self._port}",
            "certificate-authority-data": authority,
        }
        path = self._folder / "through-the-proxy.kubeconfig"
        path.write_text(json.dumps(config))
        return path

    def say(self, words: bytes, *, reset: bool = False) -> None:
        """Say something on all open watches and end them: in good order, or with a reset."""
        self._call(self._say(words, reset=reset))

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    async def _open(self) -> None:
        context = ssl.create_default_context(cafile=str(self._plane.ca_file))
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            auto_decompress=False,
            timeout=NO_LIMIT,
            read_bufsize=2**22,
        )
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(ports.LOOPBACK).configure_cert(serving)
        await web.TCPSite(self._runner, ports.LOOPBACK, self._port, ssl_context=serving).start()

    async def _close(self) -> None:
        for watch in self._watches:
            watch.ended.set()
        await self._runner.cleanup()
        await self._session.close()
        await asyncio.sleep(0.1)  # transports close in a later turn of the loop

    async def _say(self, words: bytes, *, reset: bool) -> None:
        for watch in tuple(self._watches):
            if words:
                await watch.response.write(words)
            if reset and watch.request.transport:
                await asyncio.sleep(0.1)  # what was written goes out first
                if transport := watch.request.transport:  # unless the other side was faster
                    transport.abort()
            watch.ended.set()
            self._watches.discard(watch)

    async def _handle(self, given: web.Request) -> web.StreamResponse:
        request = Request(time.monotonic(), given.method, given.path, dict(given.query), dict(given.headers))
        self.requests.append(request)
        if self.refusal and self.refusal.to(request):
            request.status = self.refusal.status
            return self.refusal.response()
        sent = await given.read()
        if not await self._may_go_on(request, sent, "before"):
            return _lost()
        headers = {name: given.headers[name] for name in FORWARDED if name in given.headers}
        async with self._session.request(
            given.method, self._plane.url + given.path_qs, headers=headers, data=sent or None
        ) as answer:
            kept = {name: answer.headers[name] for name in RETURNED if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=kept)
            request.status = answer.status
            if not await self._may_go_on(request, sent, "after"):
                return _lost()
            await response.prepare(given)
            if request.is_watch:
                await self._watch(_Watch(given, response), answer)
            else:
                async for chunk in answer.content.iter_any():
                    request.size += len(chunk)
                    await response.write(chunk)
        request.seconds = time.monotonic() - request.began
        return response

    async def _may_go_on(self, request: Request, sent: bytes, when: str) -> bool:
        return self.witness is None or await asyncio.to_thread(self.witness, request, sent, when)

    async def _watch(self, watch: _Watch, answer: aiohttp.ClientResponse) -> None:
        self._watches.add(watch)
        tasks = {asyncio.create_task(self._tell(watch, answer)), asyncio.create_task(watch.ended.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watches.discard(watch)
            for task in tasks:
                task.cancel()

    async def _tell(self, watch: _Watch, answer: aiohttp.ClientResponse) -> None:
        async for line in answer.content:
            if not self.muted and not watch.ended.is_set():
                await watch.response.write(line)


def _lost() -> web.Response:
    """Answer whoever is not there any more."""
    return web.Response(status=503)
