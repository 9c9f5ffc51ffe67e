"""What all parts of the resource share: frozen models in the API's own spelling.

Unknown fields are ignored on reading and never written back (the status writer sends
only what differs), so a resource stored by a newer operator is read, not crashed on.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A part of the resource; attributes in snake_case, wire names in camelCase."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    def wire(self) -> dict[str, Any]:
        """Return the JSON form: wire names, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
