"""The simulator as a server in a thread of its own, so that a test's loop and the server's never wait for each other.

The CA is made anew at every start: nothing that trusts a simulator can be made to trust another one.
"""

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from aiohttp import web

from imageferry.simulator.clock import SimClock
from imageferry.simulator.cloud import Cloud
from imageferry.simulator.control import Control
from imageferry.simulator.entra import Entra
from imageferry.simulator.faults import Faults
from imageferry.simulator.gateway import Gateway, Services
from imageferry.simulator.hooks import Hook
from imageferry.simulator.ledger import Ledger
from imageferry.simulator.limits import Limits
from imageferry.simulator.metadata import Metadata
from imageferry.simulator.seed import Seed
from imageferry.simulator.tokens import Tokens

TENANT = "72f988bf-0000-0000-0000-000000000001"
_START_SECONDS = 30


class SimulatorServer:
    """A simulated Azure; use it as a context manager, or `start` and `stop` it.

    `seed` is a Seed, a file, or a mapping; SeedError when it cannot be used. `directory` is where `ca.pem` is written;
    by default a temporary one that goes with the server. `port` 0 takes a free one.
    `names` are further host names by which clients reach it: its certificate covers them.
    """

    def __init__(  # noqa: PLR0913 -- each is an independent choice with a default
        self,
        seed: Seed | Path | str | Mapping[str, Any] | None = None,
        *,
        speed: float = 1.0,
        port: int = 0,
        host: str = "127.0.0.1",
        page_size: int = 50,
        directory: Path | None = None,
        names: Sequence[str] = (),
    ) -> None:
        wanted = seed if isinstance(seed, Seed) else Seed.read({} if seed is None else seed)
        self._host, self._port, self._names = host, port, tuple(names)
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="imageferry-simulator-")
        self._directory = directory or Path(self._temporary.name if self._temporary else ".")
        self.clock, self.faults, self.ledger, self.tokens = SimClock(speed=speed), Faults(), Ledger(), Tokens()
        self.cloud = Cloud(self.clock.now)
        self.tenant = self.cloud.tenant = wanted.tenant or TENANT
        self._services = Services(
            clock=self.clock,
            cloud=self.cloud,
            faults=self.faults,
            ledger=self.ledger,
            tokens=self.tokens,
            tenant=self.tenant,
            limits=Limits(self.clock.now),
            page_size=wanted.page_size or page_size,
        )
        wanted.apply(self.cloud, self.faults, self.tokens)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def hooks(self) -> list[Hook]:
        """Functions that see every ARM request before and after its effect."""
        return self._services.hooks

    @property
    def url(self) -> str:
        """Base URL of Resource Manager."""
        return f"https://{self._host}:{self._port}"

    @property
    def authority(self) -> str:
        """Host of the token endpoint, as azure-identity takes it."""
        return f"{self._host}:{self._port}"

    @property
    def ca_file(self) -> Path:
        """Certificate of the CA that clients must trust."""
        return self._directory / "ca.pem"

    def start(self) -> Self:
        """Serve; returns when requests are answered. OSError when the port is taken."""
        ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="simulator", daemon=True)
        self._thread.start()
        self._port = ready.result(_START_SECONDS)
        return self

    def stop(self) -> None:
        """End; open connections are closed."""
        if self._loop is not None and self._stopping is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_START_SECONDS)
            self._loop = self._stopping = self._thread = None
        self._services.pool.shutdown(wait=False, cancel_futures=True)
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, ready: Future[int]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)

    async def _serve(self, ready: Future[int]) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        authority = trustme.CA()
        self._directory.mkdir(parents=True, exist_ok=True)
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1", self._host, *self._names).configure_cert(context)
        application = _application(self._services, authority.cert_pem.bytes())
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=context)
            await site.start()
            ready.set_result(int(runner.addresses[0][1]))
            await self._stopping.wait()
        finally:
            await runner.cleanup()


def _application(services: Services, ca: bytes) -> web.Application:
    application, entra = web.Application(), Entra(services)
    application.add_routes(Control(services, ca).routes())
    application.add_routes(Metadata(services).routes())
    application.router.add_post("/{tenant}/oauth2/v2.0/token", entra.token)
    application.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", entra.metadata)
    application.router.add_get("/common/discovery/instance", entra.discovery)
    application.router.add_route("*", "/{tail:.*}", Gateway(services).handle)
    return application
