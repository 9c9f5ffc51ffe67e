"""Hooks stand between effect and answer; the ledger counts effects."""

import asyncio
import threading
from typing import Any

import aiohttp
import pytest

from imageferry.simulator import Call, DropConnection, SimulatorServer
from tests.simulator.conftest import IMAGE, Arm


@pytest.fixture(autouse=True)
def image(azure: SimulatorServer) -> str:
    """Let the image `web` exist."""
    return azure.cloud.put_image("web", group="legacy")


async def test_a_hook_sees_the_instant_before_and_after_the_effect(azure: SimulatorServer, arm: Arm) -> None:
    """Before, the image is untouched; after, it is being deleted and the ledger knows."""
    seen: list[tuple[Any, ...]] = []

    def watch(call: Call) -> None:
        state: Any = azure.cloud.get(call.resource_id)
        entries = azure.ledger.count("images.delete")
        seen.append(
            (call.when, call.operation, call.identity, call.effect, state["properties"]["provisioningState"], entries)
        )

    azure.hooks.append(watch)
    await arm("DELETE", IMAGE)
    assert seen == [
        ("before", "images.delete", "operator", None, "Succeeded", 0),
        ("after", "images.delete", "operator", "accepted", "Deleting", 1),
    ]


async def test_the_answer_waits_for_the_hook_and_others_do_not(azure: SimulatorServer, arm: Arm) -> None:
    """A hook may hold one call while the server serves the next."""
    entered, leave = threading.Event(), threading.Event()

    def hold(call: Call) -> None:
        if call.operation == "images.delete" and call.when == "after":
            entered.set()
            leave.wait(10)

    azure.hooks.append(hold)
    held = asyncio.create_task(arm("DELETE", IMAGE))
    assert await asyncio.to_thread(entered.wait, 10)
    assert (await arm("GET", IMAGE)).body["properties"]["provisioningState"] == "Deleting"
    assert not held.done()
    leave.set()
    assert (await held).status == 202


@pytest.mark.parametrize(("when", "effective"), [("before", 0), ("after", 1)])
async def test_a_hook_may_cut_the_connection(azure: SimulatorServer, arm: Arm, when: str, *, effective: int) -> None:
    """Before the effect it prevents it."""

    def cut(call: Call) -> None:
        if call.when == when:
            raise DropConnection

    azure.hooks.append(cut)
    with pytest.raises(aiohttp.ClientConnectionError):
        await arm("DELETE", IMAGE)
    assert len(azure.ledger.mutations()) == effective


async def test_a_hook_that_fails_harms_nobody(
    azure: SimulatorServer, arm: Arm, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the call goes on."""

    def fail(call: Call) -> None:
        raise RuntimeError(call.operation)

    azure.hooks.append(fail)
    assert (await arm("GET", IMAGE)).status == 200
    assert "a hook raised on before images.get" in caplog.text


async def test_the_ledger_finds_entries(azure: SimulatorServer, arm: Arm) -> None:
    """By pattern, effect, resource and mark; bodies and correlation ids are kept."""
    await arm("GET", IMAGE)
    mark = azure.ledger.mark()
    await arm("PATCH", IMAGE, {"tags": {"a": "b"}})
    await arm("DELETE", IMAGE)
    (patch,) = azure.ledger.entries("images.*", effect="updated", resource="IMAGES/web", since=mark)
    assert (patch.body, patch.method, patch.status) == ({"tags": {"a": "b"}}, "PATCH", 200)
    assert [entry.effect for entry in azure.ledger.entries(since=mark)] == ["updated", "refused"]
    assert azure.ledger.count("images.get") == 1
    azure.ledger.clear()
    assert azure.ledger.entries() == []
