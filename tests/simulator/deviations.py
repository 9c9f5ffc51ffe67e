"""Accepted deviations from recorded traffic: each a kind with a name, a reason and a test of its own.

docs/simulator.md lists them; at most twenty.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.simulator.recordings import Row


@dataclass(frozen=True, slots=True)
class Difference:
    """One place in which an answer is not as recorded; `where` is like `body.properties.publishingProfile`."""

    where: str
    recorded: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.where}: {self.found!r}, recorded {self.recorded!r}"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A kind of difference that is accepted."""

    name: str
    reason: str
    covers: Callable[[Row, Difference], bool]


GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00")
_UNIQUE = re.compile(r"[0-9a-f-]{36}-[A-Z0-9_.]+")
_OLD_LIMIT = re.compile(r"Microsoft\.Compute/(HighCost)?(Create|Get|Delete)(Images|Operation)(3|30)Min")


def _form(value: Any) -> Any:
    return INSTANT.sub("(instant)", GUID.sub("(guid)", value)) if isinstance(value, str) else value


def _same_form(_: Row, difference: Difference) -> bool:
    return isinstance(difference.recorded, str) and _form(difference.recorded) == _form(difference.found)


def _masked(_: Row, difference: Difference) -> bool:
    recorded, found = str(difference.recorded), str(difference.found)
    if difference.where.endswith("identifier.uniqueName"):
        return bool(_UNIQUE.fullmatch(recorded) and _UNIQUE.fullmatch(found))
    capitals = r"/resourceGroups/CLI_?TEST[A-Z0-9_.]+/"
    return difference.where.endswith(".id") and re.sub(capitals, "/", recorded) == re.sub(capitals, "/", found)


def _capitals(row: Row, difference: Difference) -> bool:
    lists_images = row.path.endswith("/images") and "/galleries/" not in row.path
    return lists_images and difference.where.endswith(".id") and difference.recorded.lower() == difference.found.lower()


def _older_limits(_: Row, difference: Difference) -> bool:
    resource = difference.where == "headers.x-ms-ratelimit-remaining-resource"
    return resource and all(_OLD_LIMIT.fullmatch(name) for name in difference.recorded)


def _share_limit(row: Row, difference: Difference) -> bool:
    resource = difference.where == "headers.x-ms-ratelimit-remaining-resource"
    return resource and row.path.endswith("/share") and difference.found == [""]


def _url(value: object) -> tuple[str, str]:
    """Give path and parameter names of an operation URL, without signature and casing of the region."""
    path, _, names = str(value).partition("?")
    return path.casefold(), names.replace(",t,c,s,h", "")


def _operation_url(_: Row, difference: Difference) -> bool:
    url = difference.where in ("headers.azure-asyncoperation", "headers.location")
    return url and _url(difference.recorded) == _url(difference.found)


DEVIATIONS = (
    Deviation("instants and guids", "only their form can be equal", _same_form),
    Deviation(
        "masked names",
        "the recorder masks the subscription and generated names, but neither in uniqueName nor in capitals",
        _masked,
    ),
    Deviation(
        "capitals in lists of images",
        "recordings have the group in both casings; the simulator takes capitals, which clients must bear",
        _capitals,
    ),
    Deviation(
        "older rate limits",
        "until 2024 images and operations had two windows each; the simulator names today's limits",
        _older_limits,
    ),
    Deviation("limit of sharing", "PostShareGallery is not counted: nothing in a migration shares", _share_limit),
    Deviation(
        "older operation URLs",
        "until 2023 they were unsigned, and single regions came in mixed case; clients follow them verbatim anyway",
        _operation_url,
    ),
)


def accepted(row: Row, difference: Difference) -> Deviation | None:
    """Give the kind that covers this difference; None when none does."""
    return next((kind for kind in DEVIATIONS if kind.covers(row, difference)), None)
