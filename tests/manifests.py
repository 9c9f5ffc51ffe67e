"""ImageMigrations for tests, as a user would write them."""

import json
from typing import Any

from imageferry.simulator import SUBSCRIPTION

Json = dict[str, Any]


def image_id(name: str, *, group: str = "legacy", subscription: str = SUBSCRIPTION) -> str:
    """Return the id of a managed image."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/images/{name}"


def gallery_id(name: str = "prod", *, group: str = "gallery", subscription: str = SUBSCRIPTION) -> str:
    """Return the id of a gallery."""
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute/galleries/{name}"


def migration(name: str, *, image: str | None = None, regions: list[str] | None = None, **changes: Any) -> Json:
    """Return a manifest; `changes` are merged into the spec, part by part."""
    version: Json = {"name": "1.0.0"}
    if regions:
        version["targetRegions"] = [{"name": region} for region in regions]
    spec: Json = {
        "source": {"managedImageId": image or image_id(name)},
        "gallery": {"id": gallery_id()},
        "definition": {"name": name},
        "version": version,
    }
    return {
        "apiVersion": "imageferry.dev/v1alpha1",
        "kind": "ImageMigration",
        "metadata": {"name": name},
        "spec": merged(spec, changes),
    }


def merged(base: Json, changes: Json) -> Json:
    """Return the base with the changes laid over it, nested objects part by part."""
    out = dict(base)
    for key, value in changes.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return out


def command_of(message: str) -> str:
    """Return the command that the message of Ready tells to whom may verify."""
    return message[message.index("kubectl auth whoami") :]


def told(message: str, *, by: str = "admin") -> str:
    """Return what that command applies when this user runs it."""
    template = message[message.index("'") + 1 : message.rindex("'")]
    return template.replace('{{printf "%q" .status.userInfo.username}}', json.dumps(by))


def text(manifest: Json) -> str:
    """Return a manifest as kubectl reads it."""
    return json.dumps(manifest)
