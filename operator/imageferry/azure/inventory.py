"""All managed images of a subscription or of one of its groups, page by page, read and never changed."""

from collections.abc import AsyncIterator, Awaitable, Callable

from imageferry.azure import errors, wire
from imageferry.azure.cloud import Azure
from imageferry.migration.errors import BackOffError, DeniedError, UnlistedError
from imageferry.migration.facts import ManagedImage


async def images(
    azure: Azure, *, held_up: Callable[[BackOffError], Awaitable[None]], subscription: str, group: str | None = None
) -> AsyncIterator[ManagedImage]:
    """Yield the images as Azure lists them; MigrationError when it does not, or not to the end.

    At a passing fault, such as a throttled page, `held_up` waits, after which that page is asked for again, or raises.
    """
    operations = azure.compute(subscription).images
    pages = (operations.list_by_resource_group(group) if group else operations.list()).by_page()
    while True:
        try:
            with errors.translated():
                page = await anext(pages, None)
        except (DeniedError, UnlistedError):
            raise
        except BackOffError as error:
            await held_up(error)
            continue
        if page is None:
            return
        async for image in page:
            yield wire.managed_image(image.as_dict())
