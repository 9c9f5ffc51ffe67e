"""Which limit a request meets, and what an answer says of it; names and numbers are those of the recordings."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.rest import HttpRequest

from imageferry.azure.limits import SpendingPolicy, Unlimited, call_of, read
from imageferry.migration.calls import Answer, Verb

BASE = "https://management.azure.com/subscriptions/ABC/resourceGroups/g/providers/Microsoft.Compute"


@dataclass
class Response:
    """What is looked at of a response."""

    status_code: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "{}"

    def text(self) -> str:
        """Return the body."""
        return self.body


@pytest.mark.parametrize(
    ("method", "path", "limits"),
    [
        pytest.param("GET", "/images/i", {"GetImagesSubscriptionMaximum": 360}, id="image"),
        pytest.param("GET", "/images", {"HighCostGetImagesSubscriptionMaximum": 90}, id="images"),
        pytest.param("DELETE", "/images/i", {"DeleteImagesSubscriptionMaximum": 120}, id="delete-image"),
        pytest.param("GET", "/galleries/x", {"GetGallery3Min": 350, "GetGallery30Min": 2500}, id="gallery"),
        pytest.param(
            "PUT",
            "/galleries/x/images/d",
            {"CreateUpdateGalleryImage3Min": 150, "CreateUpdateGalleryImage30Min": 750},
            id="define",
        ),
        pytest.param(
            "GET",
            "/galleries/x/images/d/versions/1.0.0?api-version=1&$expand=ReplicationStatus",
            {"GetGalleryImageVersion3Min": 2000, "GetGalleryImageVersion30Min": 10_000},
            id="version",
        ),
        pytest.param(
            "PUT",
            "/GALLERIES/x/Images/d/Versions/1.0.0",
            {"CreateUpdateGalleryImageVersion3Min": 375, "CreateUpdateGalleryImageVersion30Min": 1200},
            id="build-in-any-case",
        ),
        pytest.param("GET", "/virtualMachines/vm", {}, id="unknown"),
    ],
)
def test_a_request_meets_the_limits_of_its_policy(method: str, path: str, limits: dict[str, int]) -> None:
    """By method and kind of resource; what is not known has the front door's alone."""
    call = call_of(method, BASE + path)
    assert {limit.name: limit.calls for limit in call.limits} == limits
    assert call.subscription == "abc"


def test_verbs_are_those_of_the_front_door() -> None:
    """Reads, writes and deletes have buckets of their own."""
    verbs = [call_of(method, f"{BASE}/images/i").verb for method in ("GET", "PUT", "DELETE")]
    assert verbs == [Verb.READS, Verb.WRITES, Verb.DELETES]


def test_an_announced_action_is_the_same_call_as_its_request() -> None:
    """Leave is kept under the action's id and taken under the SDK's URL."""
    assert call_of("PUT", f"{BASE}/galleries/x/images/d?api-version=1") == call_of(
        "PUT", "/subscriptions/abc/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/other"
    )


def test_an_answer_tells_what_is_left() -> None:
    """Of the provider's windows and of the front door's bucket."""
    windows = ("Microsoft.Compute/GetGallery3Min;349", "Microsoft.Compute/GetGallery30Min;2499")
    headers = {
        "x-ms-ratelimit-remaining-resource": ",".join(windows),
        "x-ms-ratelimit-remaining-subscription-reads": "249",
        "x-ms-ratelimit-remaining-subscription-global-reads": "3749",
    }
    assert read(Response(200, headers)) == Answer({"GetGallery3Min": 349, "GetGallery30Min": 2499, "reads": 249})


@pytest.mark.parametrize(
    ("headers", "body", "blocked", "everywhere"),
    [
        pytest.param({"Retry-After": "17"}, "OperationNotAllowed", 17, False, id="provider"),
        pytest.param({"Retry-After": "6", "x-ms-failure-cause": "gateway"}, "", 6, True, id="front-door"),
        pytest.param({}, "SubscriptionRequestsThrottled", 60, True, id="front-door-without-headers"),
        pytest.param({"Retry-After": "17"}, "Too many requests on source 'x'", 0, False, id="one-source-alone"),
    ],
)
def test_a_refusal_tells_how_long_and_for_what(headers: Any, body: str, blocked: float, everywhere: bool) -> None:  # noqa: FBT001 - a column of the table
    """The provider speaks for one policy, the front door for the subscription; without Retry-After it is a minute."""
    assert read(Response(429, headers, body)) == Answer({}, blocked, everywhere)


@dataclass
class Streamed(Response):
    """An answer to a write: the SDK asks for it as a stream, whose text is there only once it was read."""

    was_read: bool = False

    async def read(self) -> None:
        """Read it."""
        self.was_read = True

    def text(self) -> str:
        """Return the body."""
        assert self.was_read
        return self.body


async def test_a_write_that_is_throttled_is_an_answer() -> None:
    """It tells the budget how long, and is not taken for a connection that broke."""
    told: list[Answer] = []

    class Granting(Unlimited):
        async def take(self, call: Any) -> Any:
            del call
            return told.append

    class Next:
        async def send(self, request: Any) -> Any:
            del request
            return PipelineResponse(None, Streamed(429, {"Retry-After": "17"}, "TooManyRequests"), None)  # type: ignore[arg-type]

    policy = SpendingPolicy(Granting())
    policy.next = Next()  # type: ignore[assignment]
    await policy.send(PipelineRequest(HttpRequest("PUT", f"{BASE}/galleries/x"), None))  # type: ignore[arg-type]

    assert told == [Answer({}, 17.0, everywhere=False)]
