"""In which cloud the operator asks for tokens and calls Resource Manager, as seen from outside: by host and by scope.

All its connections go through a proxy that leads every host to one simulator, whose certificate has their names.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from imageferry.azure import Azure
from imageferry.migration.facts import Found
from imageferry.settings import Settings
from imageferry.simulator import SimulatorServer

CLOUDS = [
    pytest.param(
        "AzureCloud",
        "management.azure.com",
        "https://management.azure.com/.default",
        "login.microsoftonline.com",
        id="public",
    ),
    pytest.param(
        "AzureChinaCloud",
        "management.chinacloudapi.cn",
        "https://management.chinacloudapi.cn/.default",
        "login.chinacloudapi.cn",
        id="china",
    ),
    pytest.param(
        "AzureUSGovernment",
        "management.usgovcloudapi.net",
        "https://management.core.usgovcloudapi.net/.default",
        "login.microsoftonline.us",
        id="us-government",
    ),
]


@asynccontextmanager
async def leading_to(port: int) -> AsyncIterator[tuple[str, set[str]]]:
    """Run a proxy; give its address, and the hosts that are asked for."""
    asked: set[str] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.add(head.split()[1].partition(":")[0])
        answers, sends = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with suppress(OSError):
            await asyncio.gather(_pipe(reader, sends), _pipe(answers, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
    writer.close()


async def ask(azure: SimulatorServer, monkeypatch: pytest.MonkeyPatch, **settings: str) -> set[str]:
    """Look at an image with these settings; return the hosts that were asked."""
    common = {"CREDENTIAL": "client-secret", "TENANT_ID": azure.tenant, "CLIENT_ID": "c", "CLIENT_SECRET": "s"}
    for name, value in {"CA_BUNDLE": str(azure.ca_file), **common, **settings}.items():
        monkeypatch.setenv(f"IMAGEFERRY_{name}", value)
    image = azure.cloud.put_image("web", group="legacy")
    async with leading_to(int(azure.url.rpartition(":")[2])) as (proxy, asked):
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with Azure(Settings().azure, may_write=lambda: False) as client:
            assert isinstance(await client.image(image), Found)
    return asked


@pytest.mark.parametrize(("cloud", "arm", "scope", "authority"), CLOUDS)
async def test_one_setting_chooses_endpoint_audience_and_authority(
    monkeypatch: pytest.MonkeyPatch, cloud: str, arm: str, scope: str, authority: str
) -> None:
    """A token for the cloud's own Resource Manager, from the cloud's own authority; nobody else is asked."""
    with SimulatorServer(names=(arm, authority)) as azure:
        hosts = await ask(azure, monkeypatch, CLOUD=cloud)
        asked = list(azure.tokens.asked)
    assert hosts == {arm, authority}
    assert asked == [(authority, scope)]


async def test_endpoints_that_are_given_win_over_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one: a private endpoint of Resource Manager keeps the cloud's audience and authority."""
    with SimulatorServer(names=("arm.example", "login.chinacloudapi.cn")) as azure:
        hosts = await ask(azure, monkeypatch, CLOUD="AzureChinaCloud", ARM_ENDPOINT="https://arm.example/")
        asked = list(azure.tokens.asked)
    assert hosts == {"arm.example", "login.chinacloudapi.cn"}
    assert asked == [("login.chinacloudapi.cn", "https://management.chinacloudapi.cn/.default")]
