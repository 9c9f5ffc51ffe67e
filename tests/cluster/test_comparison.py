"""What a comparison costs: a LIST of metadata in pages, against the LIST of everything."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from imageferry.engine.ports import Body
from imageferry.kube.client import Kubernetes
from tests import manifests
from tests.api_proxy import ApiProxy, Request
from tests.cluster.world import World
from tests.controlplane import ControlPlane
from tests.controlplane.audit import OPERATOR_USER

COUNT = 1200
AT_ONCE = 16
AS_OPERATOR = {"Impersonate-User": OPERATOR_USER, "Impersonate-Group": "system:masters"}
"""For statuses that the admission policies leave to the operator."""


@contextmanager
def many(world: World, status: manifests.Json) -> Iterator[None]:
    """Have migrations with the status of one that is done, inside the block."""
    asyncio.run(_make(world, status))
    try:
        yield
    finally:
        path = f"/apis/imageferry.dev/v1alpha1/namespaces/{world.namespace}/imagemigrations"
        asyncio.run(_call(world.plane, [("DELETE", path, None)]))


async def _make(world: World, status: manifests.Json) -> None:
    path = f"/apis/imageferry.dev/v1alpha1/namespaces/{world.namespace}/imagemigrations"
    wanted = [manifests.migration(f"many-{number}", suspend=True) for number in range(COUNT)]
    await _call(world.plane, [("POST", path, each) for each in wanted])
    names = [each["metadata"]["name"] for each in wanted]
    await _call(world.plane, [("PATCH", f"{path}/{name}/status", {"status": status}) for name in names])


async def _call(plane: ControlPlane, calls: list[tuple[str, str, Any]]) -> None:
    """Send requests in the operator's name with all rights, some at once."""
    token = json.loads(plane.admin_kubeconfig.read_text())["users"][0]["user"]["token"]
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    gate = asyncio.Semaphore(AT_ONCE)

    async def send(method: str, path: str, body: Any) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        async with gate, session.request(method, plane.url + path, json=body, headers={"Content-Type": kind}) as answer:
            assert answer.status < 300, await answer.text()

    headers = {"Authorization": f"Bearer {token}"} | AS_OPERATOR
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers) as session:
        await asyncio.gather(*(send(*call) for call in calls))
    await asyncio.sleep(0.1)  # transports close in a later turn of the loop


@pytest.mark.timeout(300)
def test_a_comparison_reads_metadata_alone_and_in_pages(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three pages for 1,200 migrations, all of them in it, no spec and no status, and a fraction of the bytes."""
    world.azure.cloud.put_image("model", group="legacy")
    world.operator.start()
    world.apply(manifests.migration("model"))
    status = world.until_phase("model", "AwaitingVerification")
    world.operator.stop()
    with ApiProxy(world.plane, tmp_path) as proxy, many(world, status):
        monkeypatch.setenv("KUBECONFIG", str(proxy.kubeconfig(world.operator.settings.kubeconfig)))
        metadata, full = asyncio.run(_both())
        lists = [request for request in proxy.requests if request.is_read_of_all]
    small = [each for each in lists if "PartialObjectMetadataList" in each.headers["Accept"]]
    large = [each for each in lists if each not in small]

    assert {each["metadata"]["uid"] for each in metadata} == {each["metadata"]["uid"] for each in full}
    assert len(metadata) > COUNT
    assert not [each for each in metadata if "spec" in each or "status" in each]
    assert [each.query["limit"] for each in small] == ["500"] * 3
    assert sum(each.size for each in small) < sum(each.size for each in large) / 2
    with capsys.disabled():
        print(f"\n==> metadata: {_cost(small, metadata)}; full: {_cost(large, full)}")  # noqa: T201 - the measurement


def _cost(requests: list[Request], bodies: list[Body]) -> str:
    wire, plain = sum(each.size for each in requests), len(json.dumps(bodies))
    return f"{wire / 1024:.0f} KB on the wire, {plain / 1024:.0f} KB of JSON, {sum(r.seconds for r in requests):.2f} s"


async def _both() -> tuple[list[Body], list[Body]]:
    async with Kubernetes() as kubernetes:
        answers = list(await kubernetes.list_metadata()), list(await kubernetes.list())
    await asyncio.sleep(0.1)  # as above
    return answers
