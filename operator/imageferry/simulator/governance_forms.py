"""YAML and JSON forms of roles, locks and policies, as the seed file and the control API take them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel

from imageferry.simulator.cloud import SUBSCRIPTION, Cloud
from imageferry.simulator.forms import FormError
from imageferry.simulator.governance import Policy
from imageferry.simulator.regions import short_name


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, frozen=True)


class RoleAssignment(_Form):
    """A role of a client id (or `*`) at a scope; `role` is a definition, or the file of one beside the seed file."""

    identity: str
    scope: str = f"/subscriptions/{SUBSCRIPTION}"
    role: dict[str, Any]

    @field_validator("role", mode="before")
    @classmethod
    def _read_file(cls, role: object, info: ValidationInfo) -> object:
        if not isinstance(role, str):
            return role
        folder = Path((info.context or {}).get("folder", "."))
        try:
            return json.loads((folder / role).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"the role definition {role!r} cannot be read: {error}") from error

    def apply(self, cloud: Cloud) -> None:
        """Put the assignment in force."""
        cloud.assign(self.identity, self.role, scope=self.scope)


class LockForm(_Form):
    """A lock on a subscription, group or resource."""

    name: str
    scope: str
    level: Literal["CanNotDelete", "ReadOnly"] = "CanNotDelete"
    notes: str = ""

    def apply(self, cloud: Cloud) -> None:
        """Put the lock in."""
        cloud.put_lock(self.name, scope=self.scope, level=self.level, notes=self.notes)


class PolicyForm(_Form):
    """A policy that denies writes: of these types, outside these regions or without these tags."""

    name: str
    scope: str = "/"
    types: list[str] = ["*"]
    allowed_locations: list[str] = []
    required_tags: list[str] = []

    def apply(self, cloud: Cloud) -> None:
        """Put the policy in force."""
        cloud.put_policy(
            Policy(
                name=self.name,
                scope=self.scope,
                types=tuple(self.types),
                allowed_locations=tuple(short_name(each) for each in self.allowed_locations),
                required_tags=tuple(self.required_tags),
            )
        )


Governing = RoleAssignment | LockForm | PolicyForm
FORMS: Mapping[str, type[Governing]] = {
    "roleAssignments": RoleAssignment,
    "locks": LockForm,
    "policies": PolicyForm,
}


def apply(name: str, form: object, cloud: Cloud) -> None:
    """Read one form of `FORMS` and put it in force; FormError names the field that cannot be read."""
    try:
        FORMS[name].model_validate(form).apply(cloud)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join([name, *(str(part) for part in first["loc"])])
        raise FormError(f"{at}: {first['msg']}, found {first['input']!r}") from error
