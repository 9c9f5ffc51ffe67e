"""Which of Azure's limits a call meets, and what an answer tells of them (fact sheet, section 10).

Limits count per subscription and region; the region is not known before the first answer,
so all regions of a subscription share what one has. The token bucket of images is taken
for a window of a minute, which it never exceeds.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol
from urllib.parse import urlsplit

from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy

from imageferry.azure import errors
from imageferry.migration.calls import UNANSWERED, Answer, Call, Limit, Verb

VERBS = {"GET": Verb.READS, "HEAD": Verb.READS, "DELETE": Verb.DELETES}
GALLERIES = {
    "GetGallery": (350, 2500),
    "CreateUpdateGallery": (50, 300),
    "DeleteGallery": (50, 300),
    "GetGalleryImage": (600, 3000),
    "CreateUpdateGalleryImage": (150, 750),
    "DeleteGalleryImage": (50, 300),
    "GetGalleryImageVersion": (2000, 10_000),
    "CreateUpdateGalleryImageVersion": (375, 1200),
    "DeleteGalleryImageVersion": (150, 1000),
    "ListGalleryInResourceGroup": (100, 1000),
    "ListGalleryImagesInGallery": (1500, 10_000),
    "ListGalleryImageVersionsInGalleryImage": (1500, 10_000),
}
IMAGES = {"GetImages": 360, "CreateImages": 60, "DeleteImages": 120, "HighCostGetImages": 90}
KINDS = {
    "images": "Images",
    "galleries": "Gallery",
    "galleries/images": "GalleryImage",
    "galleries/images/versions": "GalleryImageVersion",
}
LISTS = {
    "images": "HighCostGetImages",
    "galleries": "ListGalleryInResourceGroup",
    "galleries/images": "ListGalleryImagesInGallery",
    "galleries/images/versions": "ListGalleryImageVersionsInGalleryImage",
}
PREFIX, SUBSCRIPTION = "x-ms-ratelimit-remaining-resource", "x-ms-ratelimit-remaining-subscription-"
EVERYWHERE = frozenset({"SubscriptionRequestsThrottled", "ResourceRequestsThrottled"})
THROTTLED = 429
ONE_SOURCE = "too many requests on source"
"""In the text of a 429 that is about one image, and no limit of the subscription."""


class Spending(Protocol):
    """Who grants calls; the engine has it."""

    def turn(self, caller: str) -> AbstractContextManager[None]:
        """Let all calls inside be those of one caller, which keeps its place in the line while it is postponed."""

    async def expect(self, call: Call) -> None:
        """Look ahead: PostponedError when a call that will most likely be needed has no room for now."""

    async def admit(self, call: Call) -> None:
        """Keep leave for a call that this turn will take; PostponedError when there is none for now."""

    async def take(self, call: Call) -> Callable[[Answer], None]:
        """Get leave for a call that is sent at once, and what is to be told its answer; as `admit`."""


class Unlimited:
    """Grants everything."""

    def turn(self, caller: str) -> AbstractContextManager[None]:
        """Know nobody."""
        del caller
        return nullcontext()

    async def expect(self, call: Call) -> None:
        """Grant it."""

    async def admit(self, call: Call) -> None:
        """Grant it."""

    async def take(self, call: Call) -> Callable[[Answer], None]:
        """Grant it."""
        del call
        return lambda _: None


class SpendingPolicy(AsyncHTTPPolicy[Any, Any]):
    """Sends no request without leave; the last of the pipeline, so that what earlier policies repeat is counted too."""

    def __init__(self, spending: Spending) -> None:
        super().__init__()
        self._spending = spending

    async def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        """Send it once there is leave; PostponedError when there is none for now."""
        settle = await self._spending.take(call_of(request.http_request.method, request.http_request.url))
        answer = UNANSWERED
        try:
            response = await self.next.send(request)
            if response.http_response.status_code == THROTTLED:
                await response.http_response.read()  # the SDK asks for answers to writes as streams: no text before
            answer = read(response.http_response)
        finally:
            settle(answer)
        return response


def call_of(method: str, url: str) -> Call:
    """Return what a request counts as."""
    parts = urlsplit(url).path.strip("/").split("/")
    verb = VERBS.get(method, Verb.WRITES)
    folded = [part.casefold() for part in parts]
    subscription = folded[1] if folded[0] == "subscriptions" and len(parts) > 1 else ""
    types = folded[folded.index("providers") + 2 :: 2] if "providers" in folded else []
    named = "providers" in folded and len(folded[folded.index("providers") :]) % 2 == 0
    policy = _policy(verb, "/".join(types), named=named)
    return Call(subscription, verb, policy, _limits(policy))


def _policy(verb: Verb, kind: str, *, named: bool) -> str:
    if kind not in KINDS:
        return ""
    if not named:
        return LISTS[kind]
    writes = "Create" if kind == "images" else "CreateUpdate"
    return {Verb.READS: "Get", Verb.WRITES: writes, Verb.DELETES: "Delete"}[verb] + KINDS[kind]


def _limits(policy: str) -> tuple[Limit, ...]:
    if policy in IMAGES:
        return (Limit(f"{policy}SubscriptionMaximum", IMAGES[policy], 60.0),)
    spans = zip(("3Min", "30Min"), (180.0, 1800.0), GALLERIES.get(policy, ()), strict=False)
    return tuple(Limit(policy + name, calls, seconds) for name, seconds, calls in spans)


def read(response: Any) -> Answer:  # noqa: ANN401 - azure-core's response of any transport
    """Return what an answer tells of limits."""
    headers: Mapping[str, str] = response.headers
    left = {verb.value: headers.get(SUBSCRIPTION + verb, "") for verb in Verb}
    for part in headers.get(PREFIX, "").split(","):
        name, _, count = part.partition(";")
        left[name.strip().rpartition("/")[2]] = count.strip()
    known = {name: int(count) for name, count in left.items() if count.isdigit()}
    if response.status_code != THROTTLED or ONE_SOURCE in response.text().casefold():
        return Answer(known)
    wait = errors.retry_after(headers.get("Retry-After"), THROTTLED)
    everywhere = headers.get("x-ms-failure-cause") == "gateway" or any(code in response.text() for code in EVERYWHERE)
    return Answer(known, blocked=wait.total_seconds() if wait else 0.0, everywhere=everywhere)
