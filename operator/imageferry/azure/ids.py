"""ARM resource ids taken apart; every segment is case-insensitive."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResourceId:
    """Subscription, resource group, and the names along the path: gallery, definition, version."""

    subscription: str
    group: str
    names: tuple[str, ...]


def parse(text: str) -> ResourceId:
    """Read `/subscriptions/S/resourceGroups/G/providers/N/type/name[/type/name…]`; ValueError when it is not that."""
    parts = text.strip("/").split("/")
    fixed = [part.casefold() for part in parts[:5:2]]
    if len(parts) < 8 or len(parts) % 2 or fixed != ["subscriptions", "resourcegroups", "providers"]:  # noqa: PLR2004
        raise ValueError(f"not an ARM resource id: {text!r}")
    return ResourceId(parts[1], parts[3], tuple(parts[7::2]))
