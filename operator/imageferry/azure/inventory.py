"""All managed images of a subscription or of one of its groups, page by page, read and never changed."""

from collections.abc import AsyncIterator

from imageferry.azure import errors, wire
from imageferry.azure.cloud import Azure
from imageferry.migration.facts import ManagedImage


async def images(azure: Azure, *, subscription: str, group: str | None = None) -> AsyncIterator[ManagedImage]:
    """Yield the images as Azure lists them; MigrationError when it does not, or not to the end."""
    operations = azure.compute(subscription).images
    listed = operations.list_by_resource_group(group) if group else operations.list()
    with errors.translated():
        async for image in listed:
            yield wire.managed_image(image.as_dict())
