"""The main path's calls, each met by every answer of section 9; and what is documented of each meeting."""

from collections.abc import Iterator
from dataclasses import dataclass

from imageferry.simulator import SUBSCRIPTION
from tests import manifests
from tests.manifests import Json
from tests.section9 import ROWS, Follows, Row
from tests.soak import trials

PUT_GALLERY, PUT_DEFINITION, PUT_VERSION, DELETE_IMAGE = (
    "galleries.createOrUpdate",
    "galleryImages.createOrUpdate",
    "galleryImageVersions.createOrUpdate",
    "images.delete",
)
MOST, SLOWEST = 300.0, 3600.0
"""Seconds: the longest pauses while it waits, and while it is stalled."""
UNKNOWN = 300.0
"""Seconds for which nobody knows whether a mutation without an answer has had an effect."""


@dataclass(frozen=True)
class Call:
    """One call of the main path: its name in the ledger, and where the migration stands when it is made."""

    operation: str
    phases: tuple[str, ...]
    field: str
    after: str = ""
    """The mutation after whose effect the call is meant; empty for the first of its kind."""

    @property
    def is_look(self) -> bool:
        """Whether it changes nothing."""
        return self.operation.endswith(".get")


CALLS: dict[str, Call] = {
    "get-version": Call("galleryImageVersions.get", ("Checking",), "spec.version.name"),
    "get-image": Call("images.get", ("Checking",), "spec.source.managedImageId"),
    "get-definition": Call("galleryImages.get", ("Checking",), "spec.definition.name"),
    "get-gallery": Call("galleries.get", ("Checking",), "spec.gallery.id"),
    "put-gallery": Call(PUT_GALLERY, ("Defining",), "spec.gallery.create"),
    "put-definition": Call(PUT_DEFINITION, ("Defining",), "spec.definition"),
    "get-definition-again": Call("galleryImages.get", ("Defining",), "spec.definition.name", after=PUT_DEFINITION),
    "put-version": Call(PUT_VERSION, ("Creating",), "spec.version"),
    "get-version-building": Call("galleryImageVersions.get", ("Creating",), "spec.version.name", after=PUT_VERSION),
    "get-image-again": Call("images.get", ("Creating", "Replicating"), "spec.source.managedImageId", after=PUT_VERSION),
    "delete-image": Call(DELETE_IMAGE, ("Deleting",), "spec.source.managedImageId"),
}


@dataclass(frozen=True)
class Case:
    """One answer at one call, with names of its own: image, definition and gallery."""

    name: str
    number: int
    call: Call
    row: Row

    @property
    def deletes(self) -> bool:
        """Whether it takes the whole way, to the deleted image."""
        return self.call.operation == DELETE_IMAGE

    @property
    def subscription(self) -> str:
        """A throttled subscription is left alone as a whole, so each has one of its own."""
        return f"00000000-0000-0000-0000-{self.number:012d}" if self.row.status == 429 else SUBSCRIPTION

    @property
    def gallery(self) -> str:
        """The id of its gallery."""
        return manifests.gallery_id(f"g{self.number:04d}", subscription=self.subscription)

    @property
    def image(self) -> str:
        """The id of its image."""
        return manifests.image_id(self.name, subscription=self.subscription)

    @property
    def resource(self) -> str:
        """What the ids of the resource that the call is for have in common, and no other case's."""
        return self.gallery if self.call.operation.startswith("galleries.") else f"/images/{self.name}"

    @property
    def manifest(self) -> Json:
        """The migration."""
        gallery: Json = {"id": self.gallery}
        if self.call.operation == PUT_GALLERY:
            gallery["create"] = {"location": "westeurope"}
        policy = {"policy": "Delete" if self.deletes else "Retain"}
        return manifests.migration(self.name, image=self.image, gallery=gallery, sourceDeletion=policy)

    @property
    def outcome_unknown(self) -> bool:
        """Whether the answer leaves open what the mutation did."""
        return not self.call.is_look and not self.row.definite

    @property
    def stalls(self) -> bool:
        """Whether a person is needed in the end."""
        return self.row.follows.patience is not None

    def pauses(self, tries: int, *, speed: float) -> list[float]:
        """Return the least simulated seconds after each try; Retry-After is in real ones."""
        first, most = self.row.follows.first, SLOWEST if self.row.follows.patience == 0 else MOST
        least = max((self.row.retry_after or 0) * speed, UNKNOWN / 2 if self.outcome_unknown else 0)
        return [max(min(first * 2**n, most), least) for n in range(tries)]


def cases() -> Iterator[Case]:
    """Return every meeting that can be: a look that finds nothing is no error, and a DELETE of nothing neither.

    All five hundred with SOAK=1; else each answer at every eighth call and each call with every eighth answer.
    """
    stride = trials(8, 1)
    for m, (row_name, row) in enumerate(ROWS.items()):
        possible = [
            Case(f"{call_name}-{row_name}-{n:02d}{m:02d}", n * 100 + m, call, row)
            for n, (call_name, call) in enumerate(CALLS.items())
            if row.found or not (call.is_look or call.operation == DELETE_IMAGE)
        ]
        yield from possible[m % min(stride, len(possible)) :: stride]


CASES = {case.name: case for case in cases()}


def tries_wanted(case: Case) -> int:
    """Return how many tries tell the pace of a class: three of a stall take a quarter of an hour."""
    if case.row.follows.patience == 0 or case.outcome_unknown:
        return 3
    return {Follows.R: 6, Follows.W: 5}.get(case.row.follows, 4)
