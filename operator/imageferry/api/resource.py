"""The ImageMigration resource, read from what the API server stored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field, ValidationError

from imageferry.api.base import ApiModel
from imageferry.api.spec import Spec
from imageferry.api.status import TOKEN, Status

GROUP = "imageferry.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ImageMigration"
PLURAL = "imagemigrations"
SINGULAR = "imagemigration"
SHORT_NAME = "imig"
RECONCILE_AT = f"{GROUP}/reconcile-at"
"""Annotation that asks for a pass; its value is echoed in status.lastHandledReconcileAt."""


class InvalidResourceError(ValueError):
    """A stored resource that the models refuse; the text names each field."""


class Metadata(ApiModel):
    """The metadata that decisions need."""

    name: str
    namespace: str
    uid: str
    resource_version: str
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    annotations: dict[str, str] = Field(default_factory=dict)


class ImageMigration(ApiModel):
    """One managed image on its way into a gallery."""

    metadata: Metadata
    spec: Spec
    status: Status = Field(default_factory=Status)

    @property
    def asked_at(self) -> str | None:
        """The token of whoever asked for a pass."""
        token = self.metadata.annotations.get(RECONCILE_AT)
        return token[:TOKEN] if token else None

    @property
    def key(self) -> str:
        """Namespace and name, for people."""
        return f"{self.metadata.namespace}/{self.metadata.name}"


OUTPUT = frozenset(
    {"phase", "source", "definition", "version", "replication", "error", "observedGeneration", "plan", "findings"}
    | {"lastHandledReconcileAt"}
)
"""Fields of the status that nothing is decided by: what cannot be read of them is written anew."""


def parse(body: Mapping[str, Any]) -> ImageMigration:
    """Read a stored resource; InvalidResourceError names every field that is wrong."""
    try:
        return ImageMigration.model_validate(body)
    except ValidationError as error:
        unreadable = {each["loc"][1] for each in error.errors() if each["loc"][0] == "status" and len(each["loc"]) > 1}
        if unreadable and unreadable <= OUTPUT:
            status = {name: value for name, value in body["status"].items() if name not in unreadable}
            return parse({**body, "status": status})
        raise InvalidResourceError("; ".join(_explain(each) for each in error.errors())) from error


def _explain(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict of mixed values
    field = ".".join(str(part) for part in error["loc"])
    return f"{field}: {error['msg'].removeprefix('Value error, ')}"
