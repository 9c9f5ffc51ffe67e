"""Without the Lease no mutation reaches the wire: the check stands where the bytes are written."""

from collections.abc import Callable, Iterator

import pytest

from imageferry.api.status import ActionName
from imageferry.azure import Azure
from imageferry.migration.errors import BackOffError
from imageferry.migration.facts import Found
from imageferry.migration.requests import Action
from imageferry.simulator import SimulatorServer
from tests import adapter
from tests.manifests import gallery_id, image_id

BODY = {"location": "westeurope", "properties": {"osType": "Linux"}}
DELETE = Action(ActionName.DELETE_IMAGE, image_id("web"))
PUT = Action(ActionName.CREATE_DEFINITION, f"{gallery_id()}/images/web", BODY)
MUTATIONS = [pytest.param(DELETE, id="without-body"), pytest.param(PUT, id="with-body")]


@pytest.fixture
def simulator() -> Iterator[SimulatorServer]:
    """Give an Azure with an image and a gallery."""
    with SimulatorServer() as server:
        server.cloud.put_group("legacy")
        server.cloud.put_gallery("prod", group="gallery")
        server.cloud.put_image("web", group="legacy")
        yield server


def azure(simulator: SimulatorServer, may_write: Callable[[], bool]) -> Azure:
    """Return our client of it."""
    return Azure(adapter.config(simulator), may_write=may_write)


@pytest.mark.parametrize("action", MUTATIONS)
async def test_a_mutation_is_not_sent(simulator: SimulatorServer, action: Action) -> None:
    """It certainly had no effect, and the error says so; the simulator has not heard of it."""
    async with azure(simulator, lambda: False) as client:
        with pytest.raises(BackOffError) as refused:
            await client.perform(action)
    assert (refused.value.code, refused.value.definite) == ("LeaseLost", True)
    assert simulator.ledger.entries() == []


async def test_a_lease_lost_between_request_and_body_stops_it(simulator: SimulatorServer) -> None:
    """Aiohttp writes a body from a task of its own; the loop may stand still in between."""
    answers = iter([True, False])
    async with azure(simulator, lambda: next(answers)) as client:
        with pytest.raises(BackOffError) as refused:
            await client.perform(PUT)
    assert (refused.value.code, refused.value.definite) == ("LeaseLost", True)
    assert simulator.ledger.entries() == []


async def test_looks_and_tokens_pass(simulator: SimulatorServer) -> None:
    """A standby may look, and a request for a token, a POST, changes nothing."""
    async with azure(simulator, lambda: False) as client:
        assert isinstance(await client.image(image_id("web")), Found)


@pytest.mark.parametrize("action", MUTATIONS)
async def test_with_the_lease_it_is_sent(simulator: SimulatorServer, action: Action) -> None:
    """Once, on a connection that has just refused to carry it."""
    held = False
    async with azure(simulator, lambda: held) as client:
        with pytest.raises(BackOffError):
            await client.perform(action)
        held = True
        if action is DELETE:
            await client.perform(action)
        else:
            with pytest.raises(Exception, match="Azure answered 400"):  # what is sent is not a whole definition
                await client.perform(action)
    assert simulator.ledger.count() == 1
