"""What the engine needs of the world, said by the engine; `azure/` and `kube/` fit these shapes."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from imageferry.api.status import AzureIdentity
from imageferry.migration.consumers import Snapshot
from imageferry.migration.facts import Fact, Gallery, GalleryDefinition, GalleryVersion, ManagedImage, Surroundings
from imageferry.migration.inquiry import Inquiry
from imageferry.migration.requests import Action
from imageferry.migration.transitions import Notice

Body = Mapping[str, Any]
"""A resource as the API server gave it."""


class ConflictError(Exception):
    """The resource has changed since it was read: look again."""


class GoneError(Exception):
    """The resource is not there any more."""


class UnreachableError(Exception):
    """The API server did not answer, or not with sense; whether a write took effect is not known."""


class LeaseLostError(Exception):
    """The Lease is not held any more: nothing is written and nothing sent."""


class Leadership(Protocol):
    """Who may act; one process of all at a time."""

    @property
    def held(self) -> bool:
        """Whether it is this process, this very moment."""

    async def acquired(self) -> None:
        """Wait until it is this process."""

    def trouble(self) -> str | None:
        """Return why it never will be any more; None while it may."""


class AzureApi(Protocol):
    """Azure: looks, and one way to act. All raise MigrationError, and PostponedError when limits leave no room."""

    @property
    def identity(self) -> AzureIdentity | None:
        """Who deletes images; None before its first call where it does more than that, and where no token says."""

    def turn(self, caller: str) -> AbstractContextManager[None]:
        """Let all calls inside be those of one caller, which keeps its place in the line while it is postponed."""

    async def expect(self, action: Action) -> None:
        """Look ahead: PostponedError when a mutation that will most likely be needed has no room for now."""

    async def admit(self, action: Action) -> None:
        """Get leave to send one mutation in this turn; before it is announced, so that an announced one is sent."""

    async def image(self, resource: str) -> Fact[ManagedImage]:
        """Look at a managed image."""

    async def gallery(self, resource: str) -> Fact[Gallery]:
        """Look at a gallery."""

    async def definition(self, resource: str) -> Fact[GalleryDefinition]:
        """Look at an image definition."""

    async def version(self, resource: str) -> Fact[GalleryVersion]:
        """Look at an image version and its replication status."""

    async def surroundings(self, asked: Inquiry) -> Surroundings:
        """Look around before the first write; what may not be read is said so and raises nothing."""

    async def consumers(self, subscription: str) -> Snapshot:
        """Look at what uses the managed images of a subscription."""

    async def perform(self, action: Action) -> str | None:
        """Send one mutation; return ARM's correlation id."""


class KubernetesApi(Protocol):
    """Kubernetes: what the engine reads and writes there. All raise UnreachableError."""

    async def list(self) -> Sequence[Body]:
        """Return all migrations of the cluster, read from storage and not from a cache."""

    async def list_metadata(self) -> Sequence[Body]:
        """Return the metadata of all migrations of the cluster, read from storage too."""

    async def get(self, body: Body) -> Body:
        """Return the resource as it is now; GoneError when it is gone or has another uid."""

    async def patch_status(self, body: Body, patch: Mapping[str, Any]) -> Body:
        """Merge into the status of the very version of the resource that `body` is; return it as it then is.

        ConflictError when it has changed since, GoneError when it is gone.
        """

    async def notify(self, body: Body, notice: Notice) -> None:
        """Write a Kubernetes Event; never raises, since nothing depends on it."""
