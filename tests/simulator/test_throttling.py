"""With `throttling` the limits that the headers tell are enforced, as recordings and reports show."""

import json
from dataclasses import replace

from imageferry.simulator import SUBSCRIPTION, Rules, SimulatorServer
from tests.simulator.conftest import COMPUTE, DEFINITION, GALLERY, GROUP, IMAGE, Arm, Reply, definition_body

GALLERY_BODY = {"location": "westeurope"}


def limited(azure: SimulatorServer, **limits: int) -> None:
    """Enforce limits, some of them other than Azure's."""
    azure.cloud.rules = Rules(throttling=True, limits={name.replace("_", "-"): size for name, size in limits.items()})


async def statuses(arm: Arm, times: int, method: str, target: str, body: object = None) -> list[int]:
    """Call so often; gives the statuses."""
    return [(await arm(method, target, body)).status for _ in range(times)]


def retry_after(reply: Reply) -> int:
    """Give the seconds of the block."""
    assert reply.status == 429
    return int(reply.headers["Retry-After"])


async def test_without_throttling_nothing_is_refused(azure: SimulatorServer, arm: Arm) -> None:
    """The numbers go down to 0 and stay there."""
    azure.cloud.rules = Rules(limits={"GetImagesSubscriptionMaximum": 2})
    azure.cloud.put_image("web", group="legacy")
    assert await statuses(arm, 4, "GET", IMAGE) == [200] * 4
    assert (await arm("GET", IMAGE)).headers["x-ms-ratelimit-remaining-resource"].endswith(";0")


async def test_a_window_slides(azure: SimulatorServer, arm: Arm) -> None:
    """A call leaves the window three minutes after it was made, not when a minute begins."""
    limited(azure, CreateUpdateGallery3Min=2)
    await arm("PUT", GALLERY, GALLERY_BODY)
    azure.clock.advance(100)
    await arm("PUT", GALLERY, GALLERY_BODY)
    assert retry_after(await arm("PUT", GALLERY, GALLERY_BODY)) == 80
    azure.clock.advance(80)
    assert await statuses(arm, 2, "PUT", GALLERY, GALLERY_BODY) == [200, 429]


async def test_the_longer_window_binds_too(azure: SimulatorServer, arm: Arm) -> None:
    """Half an hour has its own limit."""
    limited(azure, CreateUpdateGallery30Min=1)
    await arm("PUT", GALLERY, GALLERY_BODY)
    refused = await arm("PUT", GALLERY, GALLERY_BODY)
    assert retry_after(refused) == 1800
    assert refused.body["error"]["details"][0]["target"] == "CreateUpdateGallery30Min"


async def test_compute_names_the_limit_in_its_details(azure: SimulatorServer, arm: Arm) -> None:
    """The outer code is OperationNotAllowed; which limit it was stands in a JSON text within."""
    limited(azure, CreateUpdateGallery3Min=1)
    await arm("PUT", GALLERY, GALLERY_BODY)
    error = (await arm("PUT", GALLERY, GALLERY_BODY)).body["error"]
    assert error["code"] == "OperationNotAllowed"
    assert error["innererror"] == {"internalErrorCode": "TooManyRequestsReceived"}
    detail = json.loads(error["details"][0]["message"])
    assert error["details"][0]["code"] == "TooManyRequests"
    assert (detail["operationGroup"], detail["allowedRequestCount"]) == ("CreateUpdateGallery3Min", 1)


async def test_a_call_within_a_block_is_refused_and_extends_it(azure: SimulatorServer, arm: Arm) -> None:
    """Whoever asks again too early waits longer."""
    limited(azure, CreateUpdateGallery3Min=1)
    await arm("PUT", GALLERY, GALLERY_BODY)
    first = retry_after(await arm("PUT", GALLERY, GALLERY_BODY))
    assert retry_after(await arm("PUT", GALLERY, GALLERY_BODY)) == first + 1
    azure.clock.advance(first)
    assert retry_after(await arm("PUT", GALLERY, GALLERY_BODY)) == 2
    azure.clock.advance(2)
    assert (await arm("PUT", GALLERY, GALLERY_BODY)).status == 200


async def test_a_refused_call_has_no_effect_and_stands_in_the_ledger(azure: SimulatorServer, arm: Arm) -> None:
    """As refused, with its status."""
    limited(azure, CreateUpdateGalleryImage3Min=0)
    azure.cloud.put_gallery("prod", group="images")
    await arm("PUT", DEFINITION, definition_body())
    assert azure.cloud.get(DEFINITION) is None
    entry = azure.ledger.entries("galleryImages.createOrUpdate")[-1]
    assert (entry.status, entry.effect) == (429, "refused")


async def test_images_refill_within_the_minute(azure: SimulatorServer, arm: Arm) -> None:
    """60 a minute is one a second."""
    limited(azure, GetImagesSubscriptionMaximum=1)
    azure.cloud.put_image("web", group="legacy")
    assert await statuses(arm, 2, "GET", IMAGE) == [200, 429]
    azure.clock.advance(1)
    assert (await arm("GET", IMAGE)).status == 200


async def test_the_gateway_refuses_in_its_own_form(azure: SimulatorServer, arm: Arm) -> None:
    """Compact, named as the gateway's, and for every kind of resource."""
    limited(azure, reads=1)
    await arm("GET", GALLERY)
    refused = await arm("GET", IMAGE)
    assert (refused.status, refused.code) == (429, "SubscriptionRequestsThrottled")
    assert refused.headers["x-ms-failure-cause"] == "gateway"
    assert retry_after(refused) == 1
    assert "x-ms-ratelimit-remaining-resource" not in refused.headers
    assert (await arm("PUT", GALLERY, GALLERY_BODY)).status == 201


async def test_other_callers_have_their_own_bucket_and_share_the_large_one(azure: SimulatorServer, arm: Arm) -> None:
    """Per principal, and per subscription over all principals."""
    other = replace(arm, token=azure.tokens.issue(azure.tenant, "other")[0])
    limited(azure, reads=1)
    assert [(await each("GET", GALLERY)).status for each in (arm, other)] == [404, 404]
    limited(azure, global_reads=1)
    azure.clock.advance(60)
    assert [(await each("GET", GALLERY)).status for each in (arm, other)] == [404, 429]


async def test_regions_count_apart(azure: SimulatorServer, arm: Arm) -> None:
    """A gallery elsewhere has limits of its own."""
    limited(azure, CreateUpdateGallery3Min=1)
    there = f"{GROUP}/images/{COMPUTE}/galleries/north"
    assert (await arm("PUT", GALLERY, GALLERY_BODY)).status == 201
    assert (await arm("PUT", there, {"location": "northeurope"})).status == 201
    assert (await arm("PUT", there, {"location": "northeurope"})).status == 429


async def test_limits_may_follow_real_time(azure: SimulatorServer, arm: Arm) -> None:
    """Then a clock that moves fast gives nothing back."""
    limited(azure, CreateUpdateGallery3Min=1)
    azure.cloud.rules = replace(azure.cloud.rules, limits_follow_clock=False)
    await arm("PUT", GALLERY, GALLERY_BODY)
    azure.clock.advance(1000)
    assert (await arm("PUT", GALLERY, GALLERY_BODY)).status == 429


async def test_a_seed_switches_it_on() -> None:
    """As users of the process do."""
    seed = {"rules": {"throttling": True, "limitsFollowClock": False, "limits": {"reads": 7}}}
    with SimulatorServer(seed) as azure:
        assert azure.cloud.rules == Rules(throttling=True, limits_follow_clock=False, limits={"reads": 7})
        assert SUBSCRIPTION in azure.cloud.dump()["subscriptions"]
