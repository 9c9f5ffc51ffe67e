"""Azure as the engine sees it: looks, and one way to act.

One aiohttp connector with one SSLContext serves all clients and the credential: with a CA
path azure-core would build a context for every request and never give its memory back
(fact sheet, section 2.8). Two sessions share it: Resource Manager's is fenced (see `fence`), a
request for a token, a POST as well, is not. The pipeline is our own short one: no retries, no
redirects and no silent registration of providers, because whatever changes Azure is announced first.
"""

import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import CustomHookPolicy, HeadersPolicy, RequestIdPolicy, UserAgentPolicy
from azure.core.pipeline.transport import AioHttpTransport, AsyncHttpTransport
from azure.mgmt.compute.aio import ComputeManagementClient
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

from imageferry.api.status import ActionName, AzureIdentity
from imageferry.azure import consumers, credentials, errors, ids, wire
from imageferry.azure.credentials import CredentialConfig
from imageferry.azure.fence import READS, fenced
from imageferry.azure.limits import Spending, SpendingPolicy, Unlimited, call_of
from imageferry.azure.shared import Shared
from imageferry.azure.surroundings import Surveyor
from imageferry.migration.calls import Call
from imageferry.migration.consumers import Snapshot
from imageferry.migration.errors import AskUserError, BackOffError, PostponedError
from imageferry.migration.facts import (
    MISSING,
    Fact,
    Found,
    Gallery,
    GalleryDefinition,
    GalleryVersion,
    ManagedImage,
    Surroundings,
)
from imageferry.migration.inquiry import Inquiry
from imageferry.migration.requests import Action

T = TypeVar("T")

CONNECTIONS = 50
CONNECT_SECONDS = 10
READ_SECONDS = 60
UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """Where Azure is and how to log in."""

    endpoint: str = "https://management.azure.com"
    audience: str = "https://management.azure.com"
    ca_bundle: Path | None = None
    credential: CredentialConfig = field(default_factory=CredentialConfig)
    reaper: CredentialConfig | None = None
    """Who deletes managed images, and does nothing else; None: the same identity."""
    user_agent: str = "imageferry"
    shared_seconds: float = 30.0
    """How long an answer about a subscription serves all its migrations."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a write: it sends PUT and DELETE once more when a connection breaks.

    One announcement is one request. The plain class of the error is one that aiohttp does not repeat on.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectionError as exc:
        if request.method in READS:
            raise
        raise aiohttp.ClientConnectionError(f"{request.method} {request.url.path}: {exc!r}") from exc


class Azure:
    """Reads and writes in any subscription that the identity may use, inside the `async with` block.

    A mutation is sent only if `may_write` says yes at the very moment that its bytes are written. Where a `transport`
    is given no session is opened, and its owner closes it and fences it.
    """

    def __init__(
        self,
        config: CloudConfig,
        spending: Spending | None = None,
        *,
        may_write: Callable[[], bool],
        transport: AsyncHttpTransport[Any, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spending: Spending = spending or Unlimited()
        self._config = config
        self._may_write = may_write
        self._given = transport
        self._sessions: list[aiohttp.ClientSession] = []
        self._clients: dict[tuple[str, bool], ComputeManagementClient] = {}
        self._surveyor = Surveyor(self.compute, self.answered, Shared(config.shared_seconds, clock))

    async def __aenter__(self) -> Self:
        """Open the session. OSError or ssl.SSLError when the CA bundle cannot be read."""
        if self._given:
            self._transport = self._login_transport = self._given
        else:
            self._connect()
        self._log_in()
        return self

    def _connect(self) -> None:
        context = ssl.create_default_context(cafile=self._config.ca_bundle)
        connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS)
        fenced_session = aiohttp.ClientSession(
            connector=connector, trust_env=True, middlewares=(_send_once,), request_class=fenced(self._may_write)
        )
        login_session = aiohttp.ClientSession(connector=connector, connector_owner=False, trust_env=True)
        self._sessions = [login_session, fenced_session]
        self._transport = AioHttpTransport(session=fenced_session, session_owner=False)
        self._login_transport = AioHttpTransport(session=login_session, session_owner=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session; clients and credential own nothing else."""
        for session in self._sessions:
            await session.close()

    @property
    def identity(self) -> AzureIdentity | None:
        """Who deletes images; None before its first call where it does more than that, and where no token says."""
        reaper = self._config.reaper
        known = self._reaper.identity
        return known or (AzureIdentity(tenant_id=reaper.tenant_id, client_id=reaper.client_id) if reaper else None)

    async def image(self, resource: str) -> Fact[ManagedImage]:
        """Look at a managed image."""
        at = ids.parse(resource)
        return await self._get(wire.managed_image, self._client(at).images.get(at.group, *at.names))

    async def gallery(self, resource: str) -> Fact[Gallery]:
        """Look at a gallery."""
        at = ids.parse(resource)
        return await self._get(wire.gallery, self._client(at).galleries.get(at.group, *at.names))

    async def definition(self, resource: str) -> Fact[GalleryDefinition]:
        """Look at an image definition."""
        at = ids.parse(resource)
        return await self._get(wire.definition, self._client(at).gallery_images.get(at.group, *at.names))

    async def version(self, resource: str) -> Fact[GalleryVersion]:
        """Look at an image version and its replication status."""
        at = ids.parse(resource)
        call = self._client(at).gallery_image_versions.get(at.group, *at.names, expand="ReplicationStatus")
        return await self._get(wire.version, call)

    async def surroundings(self, asked: Inquiry) -> Surroundings:
        """Look around before the first write; what may not be read is said so and raises nothing."""
        return await self._surveyor.look(asked)

    async def consumers(self, subscription: str) -> Snapshot:
        """Look at what uses the managed images of a subscription."""
        return await consumers.snapshot(self.compute(subscription), self.answered)

    def turn(self, caller: str) -> AbstractContextManager[None]:
        """Let all calls inside be those of one caller, which keeps its place in the line while it is postponed."""
        return self._spending.turn(caller)

    async def expect(self, action: Action) -> None:
        """Look ahead: PostponedError when a mutation that will most likely be needed has no room for now."""
        await self._spending.expect(_call(action))

    async def admit(self, action: Action) -> None:
        """Get leave to send one mutation in this turn, before it is announced; PostponedError when there is none."""
        await self._spending.admit(_call(action))

    async def perform(self, action: Action) -> str | None:
        """Send one mutation and return ARM's correlation id; its outcome is seen by looking, not by polling."""
        seen: dict[str, str | None] = {}

        def remember(response: Any) -> None:  # noqa: ANN401 - azure-core's PipelineResponse of any transport
            seen["id"] = response.http_response.headers.get("x-ms-correlation-request-id")

        with self.answered():
            try:
                await self._send(action, raw_response_hook=remember)
            except ResourceNotFoundError as exc:
                if action.body is not None or errors.code_of(exc) not in errors.GONE:
                    raise
            except PostponedError as exc:  # only when it was refused for its token and was to be sent once more
                raise BackOffError("Postponed", str(exc), definite=True, retry_after=exc.after) from exc
        return seen.get("id")

    def _send(self, action: Action, **options: Any) -> Awaitable[Any]:  # noqa: ANN401 - per-call options of azure-core
        at = ids.parse(action.resource)
        client = self.compute(at.subscription, reaping=action.name is ActionName.DELETE_IMAGE)
        methods: dict[ActionName, Callable[..., Awaitable[Any]]] = {
            ActionName.CREATE_GALLERY: client.galleries.begin_create_or_update,
            ActionName.CREATE_DEFINITION: client.gallery_images.begin_create_or_update,
            ActionName.UPDATE_DEFINITION: client.gallery_images.begin_create_or_update,
            ActionName.CREATE_VERSION: client.gallery_image_versions.begin_create_or_update,
            ActionName.UPDATE_VERSION: client.gallery_image_versions.begin_create_or_update,
            ActionName.REMOVE_REGIONS: client.gallery_image_versions.begin_create_or_update,
            # a version that is kept for a while comes back with the old bits when its number is built again
            ActionName.DELETE_VERSION: partial(client.gallery_image_versions.begin_delete, bypass_soft_delete=True),
            ActionName.DELETE_IMAGE: client.images.begin_delete,
        }
        body = () if action.body is None else (dict(action.body),)
        return methods[action.name](at.group, *at.names, *body, polling=False, **options)

    async def _get(self, read: Callable[[wire.Json], T], call: Awaitable[Any]) -> Fact[T]:
        with self.answered():
            try:
                body = (await call).as_dict()
            except ResourceNotFoundError as exc:
                if errors.code_of(exc) in errors.GONE:
                    return MISSING
                raise
        try:
            return Found(read(body))
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            message = f"Azure's answer could not be read: {exc!r}; please report it with the body of this resource"
            raise AskUserError("UnreadableAnswer", message) from exc

    @contextmanager
    def answered(self) -> Iterator[None]:
        """Translate errors; after a 401 the next call asks for a new token, whatever the cached one says of itself."""
        with errors.translated():
            try:
                yield
            except HttpResponseError as exc:
                if exc.status_code == UNAUTHORIZED:
                    self._log_in()
                raise

    def _log_in(self) -> None:
        """Start with a new credential and no token: at the start, and when ARM refused the one we had."""
        self._credential = credentials.create(self._config.credential, transport=self._login_transport)
        reaper = self._config.reaper
        self._reaper = credentials.create(reaper, transport=self._login_transport) if reaper else self._credential
        self._clients = {}

    def _client(self, at: ids.ResourceId) -> ComputeManagementClient:
        return self.compute(at.subscription)

    def compute(self, subscription: str, *, reaping: bool = False) -> ComputeManagementClient:
        """Return the SDK's client of a subscription; its calls belong inside `errors.translated()`."""
        key = (subscription.casefold(), reaping)
        if key not in self._clients:
            credential = self._reaper if reaping else self._credential
            self._clients[key] = ComputeManagementClient(
                credential,
                key[0],
                base_url=self._config.endpoint,
                credential_scopes=[f"{self._config.audience}/.default"],
                transport=self._transport,
                policies=self._policies(credential),
                retry_total=0,
                connection_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
            )
        return self._clients[key]

    def _policies(self, credential: credentials.Login) -> list[Any]:
        return [
            RequestIdPolicy(),
            HeadersPolicy(),
            UserAgentPolicy(base_user_agent=self._config.user_agent),
            CustomHookPolicy(),
            AsyncARMChallengeAuthenticationPolicy(credential, f"{self._config.audience}/.default"),
            SpendingPolicy(self._spending),
        ]


def _call(action: Action) -> Call:
    return call_of("DELETE" if action.body is None else "PUT", action.resource)
