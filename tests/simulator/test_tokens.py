"""Tokens: who gets one, what it is good for, and how it ends."""

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity import ClientSecretCredential as BlockingCredential
from azure.identity.aio import WorkloadIdentityCredential

from imageferry.simulator import Answer, Fault, SimulatorServer
from imageferry.simulator.metadata import IDENTITY_HEADER
from imageferry.simulator.tokens import Bearer
from tests.simulator.conftest import IMAGE, Arm, ClientFor, arm_error

SCOPE = "https://management.azure.com/.default"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        pytest.param("", "AuthenticationFailed", id="none"),
        pytest.param("forged.token.here", "InvalidAuthenticationToken", id="unknown"),
    ],
)
async def test_a_call_without_a_good_token(arm: Arm, token: str, code: str) -> None:
    """401 with a challenge, and no effect."""
    refused = await Arm(arm.session, arm.url, token)("DELETE", IMAGE)
    assert (refused.status, refused.code) == (401, code)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


async def test_all_tokens_may_end_at_once(azure: SimulatorServer, arm: Arm) -> None:
    """An old token is 401 ExpiredAuthenticationToken, a new one works."""
    azure.cloud.put_image("web", group="legacy")
    azure.tokens.expire()
    assert (await arm("GET", IMAGE)).code == "ExpiredAuthenticationToken"
    assert (await Arm(arm.session, arm.url, azure.tokens.issue("t", "x")[0])("GET", IMAGE)).status == 200


async def test_a_client_keeps_its_token_until_it_meets_401(azure: SimulatorServer, client_for: ClientFor) -> None:
    """One token serves many calls; once ended in the cloud, the SDK raises its class for 401."""
    azure.cloud.put_image("web", group="legacy")
    client = client_for()
    for _ in range(3):
        await client.images.get("legacy", "web")
    assert azure.tokens.issued == 1
    azure.tokens.expire()
    with pytest.raises(ClientAuthenticationError) as refused:
        await client.images.get("legacy", "web")
    assert arm_error(refused.value).code == "ExpiredAuthenticationToken"


async def test_the_lifetime_of_tokens_is_a_setting(
    azure: SimulatorServer, session: aiohttp.ClientSession, client_for: ClientFor
) -> None:
    """`lifetime` reaches the token and its answer; a token of no life is refused."""
    azure.tokens.lifetime = 60
    url = f"{azure.url}/{azure.tenant}/oauth2/v2.0/token"
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}
    async with session.post(url, data=form) as answer:
        body = await answer.json()
    claims = json.loads(base64.urlsafe_b64decode(body["access_token"].split(".")[1] + "=="))
    assert (body["expires_in"], claims["exp"] - claims["iat"], claims["appid"]) == (60, 60, "a")
    azure.tokens.lifetime = 0
    with pytest.raises(ClientAuthenticationError):
        await client_for().images.get("legacy", "web")


async def test_declared_identities_shut_others_out() -> None:
    """A wrong secret is refused with Entra's code."""
    seed = {"identities": [{"clientId": "migrator", "clientSecret": "right"}]}
    with SimulatorServer(seed) as azure:
        context = ssl.create_default_context(cafile=str(azure.ca_file))
        url = f"{azure.url}/{azure.tenant}/oauth2/v2.0/token"
        form = {"grant_type": "client_credentials", "client_id": "migrator", "scope": SCOPE}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            async with session.post(url, data=form | {"client_secret": "wrong"}) as refused:
                assert refused.status == 401
                assert (await refused.json())["error_codes"] == [7000215]
            async with session.post(url, data=form | {"client_secret": "right"}) as given:
                assert given.status == 200
            async with session.post(url, data=form | {"grant_type": "password"}) as refused:
                assert (await refused.json())["error"] == "unsupported_grant_type"
            async with session.post(url, data=form) as refused:
                assert (await refused.json())["error_codes"] == [7000218]


async def test_workload_identity(azure: SimulatorServer, session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """A federated token from a file is exchanged; the call belongs to that client id."""
    file = tmp_path / "token"
    file.write_text("header.claims.signature", encoding="utf-8")
    transport = AioHttpTransport(session=session, session_owner=False)
    options: Any = {"disable_instance_discovery": True, "transport": transport, "authority": azure.authority}
    credential = WorkloadIdentityCredential(
        tenant_id=azure.tenant, client_id="workload", token_file_path=str(file), **options
    )
    token = (await credential.get_token(SCOPE)).token
    azure.cloud.put_image("web", group="legacy")
    assert (await Arm(session, azure.url, token)("GET", IMAGE)).status == 200
    assert azure.ledger.entries()[-1].identity == "workload"


async def test_the_blocking_credential(azure: SimulatorServer) -> None:
    """The library that reads the authority's metadata first is served too."""
    with BlockingCredential(
        azure.tenant,
        "operator",
        "any",
        authority=azure.authority,
        disable_instance_discovery=True,
        connection_verify=str(azure.ca_file),
    ) as credential:
        assert credential.get_token(SCOPE).token.count(".") == 2


async def test_the_token_endpoint_may_fail(azure: SimulatorServer, client_for: ClientFor) -> None:
    """By a fault on `token`, for one identity."""
    azure.faults.add(Fault("token", Answer(400, "unauthorized_client", "AADSTS700016: not found"), identity="gone"))
    with pytest.raises(ClientAuthenticationError, match="AADSTS700016"):
        await client_for("gone").images.get("legacy", "web")
    assert azure.ledger.entries() == []


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        pytest.param("/msi/token?resource=r&", {"X-IDENTITY-HEADER": IDENTITY_HEADER}, 200, id="app service"),
        pytest.param("/msi/token?resource=r&", {"X-IDENTITY-HEADER": "wrong"}, 401, id="wrong secret"),
        pytest.param("/metadata/identity/oauth2/token?resource=r&", {"Metadata": "true"}, 200, id="instance metadata"),
        pytest.param("/metadata/identity/oauth2/token?resource=r&", {}, 400, id="no header"),
        pytest.param("/metadata/identity/oauth2/token?", {"Metadata": "true"}, 400, id="no resource"),
    ],
)
async def test_managed_identities(
    azure: SimulatorServer, session: aiohttp.ClientSession, target: str, headers: dict[str, str], status: int
) -> None:
    """Both forms give a token to who sends their header; it is that of the identity that was named."""
    async with session.get(f"{azure.url}{target}client_id=own", headers=headers) as answer:
        assert answer.status == status
        body = await answer.json()
    if status == 200:
        bearer = azure.tokens.bearer(f"Bearer {body['access_token']}")
        assert isinstance(bearer, Bearer)
        assert bearer.client_id == body["client_id"] == "own"


async def test_the_cloud_describes_itself(azure: SimulatorServer, session: aiohttp.ClientSession) -> None:
    """A list of clouds, and from 2022-09-01 on this one alone; without a token, since it says where to get one."""
    async with session.get(f"{azure.url}/metadata/endpoints?api-version=2019-05-01") as answer:
        (listed,) = await answer.json()
    async with session.get(f"{azure.url}/metadata/endpoints?api-version=2022-09-01") as answer:
        assert await answer.json() == listed
    assert listed["resourceManager"] == listed["authentication"]["loginEndpoint"] == azure.url
