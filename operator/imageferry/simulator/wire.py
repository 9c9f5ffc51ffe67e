"""The two hands that write ARM's answers: the gateway (compact JSON) and the resource provider (pretty, CRLF).

Which hand wrote an error is all that tells some of them apart, so each error knows its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

Json = dict[str, Any]
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class ArmError(Exception):
    """An error answer; `gateway` says which hand writes it."""

    def __init__(  # noqa: PLR0913 -- the parts of ARM's envelope
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        gateway: bool = False,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.target, self.gateway, self.headers = target, gateway, headers

    def answer(self) -> "Answered":
        """Render the envelope."""
        error: Json = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        headers = {**self.headers, **({"x-ms-failure-cause": "gateway"} if self.gateway else {})}
        return Answered(self.status, {"error": error}, headers=headers, gateway=self.gateway)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: a body of None is empty and has no content type."""

    status: int
    body: Json | None
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    gateway: bool = field(default=False, kw_only=True)

    def text(self) -> str:
        """Render the body as the hand that wrote it does."""
        if self.body is None:
            return ""
        if self.gateway:
            return json.dumps(self.body, separators=(",", ":"))
        return json.dumps(self.body, indent=2).replace("\n", "\r\n")


def timestamp(instant: datetime) -> str:
    """Write an instant as .NET's round-trip form does: fraction without trailing zeros, `+00:00`."""
    instant = instant.astimezone(UTC)
    fraction = f"{instant.microsecond:06d}".rstrip("0")
    return instant.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "+00:00"


def missing(resource: str, group: str) -> ArmError:
    """404 of a resource (`Microsoft.Compute/images/x`) in a group that exists."""
    message = (
        f"The Resource '{resource}' under resource group '{group}' was not found. "
        "For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    )
    return ArmError(404, "ResourceNotFound", message, gateway=True)


def invalid(target: str, message: str) -> ArmError:
    """400 of a field that breaks a rule."""
    return ArmError(400, "InvalidParameter", message, target=target)


def immutable(target: str) -> ArmError:
    """409 of a property that cannot change."""
    return ArmError(409, "PropertyChangeNotAllowed", f"Changing property '{target}' is not allowed.", target=target)


def conflict(message: str) -> ArmError:
    """409 of something that is busy."""
    return ArmError(409, "Conflict", message)
