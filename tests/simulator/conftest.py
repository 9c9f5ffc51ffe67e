"""A fresh simulator per test, with a clock that only the test moves, and real Azure clients for it."""

import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ClientSecretCredential
from azure.mgmt.compute.aio import ComputeManagementClient
from yarl import URL

from imageferry.simulator import SUBSCRIPTION, SimulatorServer

ClientFor = Callable[..., ComputeManagementClient]

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
COMPUTE = "providers/Microsoft.Compute"
IMAGE = f"{GROUP}/legacy/{COMPUTE}/images/web"
GALLERY = f"{GROUP}/images/{COMPUTE}/galleries/prod"
DEFINITION = f"{GALLERY}/images/web"
VERSION = f"{DEFINITION}/versions/1.0.0"
API = "2024-03-03"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The decoded JSON."""
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """ARM's error code."""
        return str(self.body["error"]["code"])


@dataclass(frozen=True, slots=True)
class Arm:
    """Plain HTTP calls of one identity, for what an SDK hides."""

    session: aiohttp.ClientSession
    url: str
    token: str

    async def __call__(self, method: str, target: str, body: object = None, *, api: str = API) -> Reply:
        """Call a path, or follow an absolute URL verbatim."""
        url = target if target.startswith("https://") else f"{self.url}{target}"
        if "api-version=" not in url and api:
            url = f"{url}{'&' if '?' in url else '?'}api-version={api}"
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(method, URL(url, encoded=True), json=body, headers=headers) as answer:
            return Reply(answer.status, dict(answer.headers.items()), await answer.text())

    async def version(self, target: str = VERSION, *, api: str = API, **changes: Any) -> Reply:
        """PUT a version of the image `web` into West Europe; `changes` go into its publishing profile."""
        return await self("PUT", target, version_body(**changes), api=api)


def version_body(source: str | None = IMAGE, **profile: Any) -> Any:
    """Give the body of a version; without a source as an update sends it."""
    storage = {"source": {"id": source}} if source else {}
    publishing = {"targetRegions": [{"name": "westeurope"}], **profile}
    return {"location": "westeurope", "properties": {"publishingProfile": publishing, "storageProfile": storage}}


def definition_body(**properties: Any) -> Any:
    """Give the body of a definition that fits the image `web`."""
    identifier = {"publisher": "contoso", "offer": "web", "sku": "2019"}
    fitting = {"osType": "Linux", "osState": "Generalized", "hyperVGeneration": "V2", "identifier": identifier}
    return {"location": "westeurope", "properties": {**fitting, **properties}}


def arm_error(raised: HttpResponseError) -> Any:
    """Give the error of ARM's envelope as the SDK read it: code, message, target."""
    assert raised.error is not None
    return raised.error


@pytest.fixture
def azure() -> Iterator[SimulatorServer]:
    """Serve an empty cloud with the groups `legacy` and `images`; time stands still."""
    with SimulatorServer() as server:
        server.clock.freeze()
        server.cloud.put_group("legacy")
        server.cloud.put_group("images")
        yield server


@pytest_asyncio.fixture
async def session(azure: SimulatorServer) -> AsyncIterator[aiohttp.ClientSession]:
    """Give one HTTP session that trusts the simulator's CA."""
    context = ssl.create_default_context(cafile=str(azure.ca_file))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as opened:
        yield opened


@pytest.fixture
def client_for(azure: SimulatorServer, session: aiohttp.ClientSession) -> ClientFor:
    """Make SDK clients: `client_for("client-id", subscription=…)`; they share the session, which alone is closed."""

    def make(client_id: str = "operator", *, subscription: str = SUBSCRIPTION) -> ComputeManagementClient:
        transport = AioHttpTransport(session=session, session_owner=False)
        credential = ClientSecretCredential(
            azure.tenant,
            client_id,
            "any secret",
            authority=azure.authority,
            disable_instance_discovery=True,
            transport=transport,
            retry_total=0,
        )
        return ComputeManagementClient(
            credential, subscription, base_url=azure.url, transport=transport, retry_total=0, polling_interval=0
        )

    return make


@pytest.fixture
def client(client_for: ClientFor) -> ComputeManagementClient:
    """Give an SDK client of the identity `operator`."""
    return client_for()


@pytest.fixture
def arm(azure: SimulatorServer, session: aiohttp.ClientSession) -> Arm:
    """Give plain calls of the identity `operator`."""
    return Arm(session, azure.url, azure.tokens.issue(azure.tenant, "operator")[0])


@pytest.fixture
def gallery(azure: SimulatorServer) -> str:
    """Let the image `web`, a gallery and a definition that fits exist; gives the definition's id."""
    azure.cloud.put_image("web", group="legacy", data_disks=(10,))
    return azure.cloud.put_definition("web", gallery=azure.cloud.put_gallery("prod", group="images"))
