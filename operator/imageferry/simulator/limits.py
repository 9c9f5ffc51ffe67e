"""Rate-limit headers: how much is left, in real time.

Informational: nothing is throttled by them (a fault rule does that), but a client that learns from them sees the
numbers that the recordings show.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

_BOTH_WINDOWS = {
    "galleries.get": ("GetGallery", 350, 2500),
    "galleries.createOrUpdate": ("CreateUpdateGallery", 50, 300),
    "galleries.update": ("CreateUpdateGallery", 50, 300),
    "galleries.delete": ("DeleteGallery", 50, 300),
    "galleries.list": ("ListGalleryInResourceGroup", 100, 1000),
    "galleryImages.get": ("GetGalleryImage", 600, 3000),
    "galleryImages.createOrUpdate": ("CreateUpdateGalleryImage", 150, 750),
    "galleryImages.update": ("CreateUpdateGalleryImage", 150, 750),
    "galleryImages.delete": ("DeleteGalleryImage", 50, 300),
    "galleryImages.list": ("ListGalleryImagesInGallery", 1500, 10_000),
    "galleryImageVersions.get": ("GetGalleryImageVersion", 2000, 10_000),
    "galleryImageVersions.createOrUpdate": ("CreateUpdateGalleryImageVersion", 375, 1200),
    "galleryImageVersions.update": ("CreateUpdateGalleryImageVersion", 375, 1200),
    "galleryImageVersions.delete": ("DeleteGalleryImageVersion", 150, 1000),
    "galleryImageVersions.list": ("ListGalleryImageVersionsInGalleryImage", 1500, 10_000),
    "capsOperations.get": ("GetOperationStatus", 5000, 15_000),
}
_BUCKETS = {
    "images.get": (("GetImagesSubscriptionMaximum", 360),),
    "images.createOrUpdate": (("CreateImagesSubscriptionMaximum", 60),),
    "images.update": (("CreateImagesSubscriptionMaximum", 60),),
    "images.delete": (("DeleteImagesSubscriptionMaximum", 120),),
    "images.list": (("HighCostGetImagesSubscriptionMaximum", 90),),
    "operations.get": (("GetOperationResource", 60), ("GetOperationSubscriptionMaximum", 15_000)),
}
_GATEWAY = {"reads": (250, 25), "writes": (200, 10), "deletes": (200, 10)}
_GLOBAL_FACTOR = 15


@dataclass(slots=True)
class _Window:
    began: float
    used: int = 0


class Limits:
    """Counts calls per subscription; thread-safe."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._monotonic = monotonic
        self._windows: dict[tuple[str, str, int], _Window] = {}
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def headers(self, operation: str, method: str, subscription: str, identity: str) -> dict[str, str]:
        """Count one call and give what is left after it; the provider's header only for calls that reach it."""
        with self._lock:
            headers = self._gateway(method, subscription, identity)
            if policies := self._policies(operation, subscription):
                headers["x-ms-ratelimit-remaining-resource"] = ",".join(policies)
            return headers

    def _policies(self, operation: str, subscription: str) -> list[str]:
        if operation in _BOTH_WINDOWS:
            name, short, long = _BOTH_WINDOWS[operation]
            parts = [(f"{name}3Min", short, 180), (f"{name}30Min", long, 1800)]
        else:
            parts = [(name, limit, 60) for name, limit in _BUCKETS.get(operation, ())]
        return [
            f"Microsoft.Compute/{name};{self._left(subscription, name, limit, span)}" for name, limit, span in parts
        ]

    def _left(self, subscription: str, name: str, limit: int, span: int) -> int:
        now = self._monotonic()
        window = self._windows.setdefault((subscription, name, span), _Window(now))
        if now - window.began >= span:
            window.began, window.used = now, 0
        window.used += 1
        return max(0, limit - window.used)

    def _gateway(self, method: str, subscription: str, identity: str) -> dict[str, str]:
        verb = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")
        capacity, refill = _GATEWAY[verb]
        own = self._take((verb, f"{subscription}/{identity}"), capacity, refill)
        shared = self._take((verb, subscription), capacity * _GLOBAL_FACTOR, refill * _GLOBAL_FACTOR)
        prefix = "x-ms-ratelimit-remaining-subscription"
        return {f"{prefix}-{verb}": str(own), f"{prefix}-global-{verb}": str(shared)}

    def _take(self, key: tuple[str, str], capacity: int, refill: int) -> int:
        now = self._monotonic()
        left, at = self._buckets.get(key, (float(capacity), now))
        left = max(0.0, min(float(capacity), left + (now - at) * refill) - 1)
        self._buckets[key] = (left, now)
        return int(left)
