"""Rules that hold for single values, each said once for the API server and for us.

The API server refuses a bad value with the rule's own message (CEL); the models refuse
it with the same pattern and message, for resources that were stored before a rule was
there. Names and ranges are Azure's (fact sheet, sections 4.1 and 4.3).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SUBSCRIPTION = r"/subscriptions/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
GROUP = r"/resourceGroups/[\p{L}\p{N}_.()-]{0,89}[\p{L}\p{N}_()-]"
COMPUTE = r"/providers/Microsoft\.Compute"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression in RE2 syntax, and what to say when a value does not match."""

    regex: str
    message: str
    hint: str = ""
    """CEL expression giving a text to put before the message; it may use `self`."""

    def rule(self) -> dict[str, str]:
        """Return the CEL rule."""
        check = {"rule": f"self.matches(r'{self.regex}')"}
        if self.hint:
            return check | {"messageExpression": f"{self.hint} + {_quoted(self.message)}"}
        return check | {"message": self.message}

    def check(self, value: str) -> str:
        """Return the value; ValueError with the message when it does not match."""
        # RE2's letters and digits, and its $, which does not match before a final newline
        if not re.search(self.regex.replace(r"\p{L}\p{N}_", r"\w").removesuffix("$") + r"\Z", value):
            raise ValueError(f"{self.message}; found {value!r}")
        return value


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_ID_HINT = (
    "(self.startsWith('http') ? 'this is a link; ' : self.matches('[/ ]$') ? 'remove the last character; ' "
    ": !self.matches('(?i)^/subscriptions/') ? 'the id is not complete; ' "
    ": !self.matches('(?i)^/subscriptions/[0-9a-f-]{36}/') ? 'the subscription must be a GUID; ' : '')"
)
_IMAGE_HINT = (
    "(self.matches('(?i)/galleries/') ? 'this image is in a gallery already; ' "
    ": self.matches('(?i)/(snapshots|disks|virtualMachines)/') ? 'only managed images can be migrated; ' "
    f": {_ID_HINT})"
)

MANAGED_IMAGE_ID = Pattern(
    rf"(?i)^{SUBSCRIPTION}{GROUP}{COMPUTE}/images/[a-z0-9_]([a-z0-9_.-]{{0,78}}[a-z0-9_])?$",
    "must be the id of a managed image: "
    "/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.Compute/images/<name>",
    hint=_IMAGE_HINT,
)
GALLERY_ID = Pattern(
    rf"(?i)^{SUBSCRIPTION}{GROUP}{COMPUTE}/galleries/[^/]+$",
    "must be the id of a gallery: "
    "/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.Compute/galleries/<name>",
    hint=_ID_HINT,
)
GALLERY_NAME = Pattern(
    r"(?i)(^|/galleries/)([a-z0-9]([a-z0-9_.]{0,78}[a-z0-9])?)$",
    "a gallery name has 1 to 80 letters, digits, '.' and '_' (no hyphen) and starts and ends with a letter or digit",
)
DEFINITION_NAME = Pattern(
    r"^[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?$",
    "must be 1 to 80 letters, digits, '-', '_' and '.', starting with a letter or digit and not ending in '-' or '.'",
)
IDENTIFIER = Pattern(
    r"^[A-Za-z0-9_.-]*[A-Za-z0-9_-]$",
    "must be letters, digits, '-', '_' and '.', at least one of them, and must not end in '.'",
)
VERSION_NAME = Pattern(
    r"^(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,9})$",
    "must be three numbers without leading zeros, such as 1.0.0",
)
VERSION_PART_MAX = 2147483647
VERSION_RANGE = {
    "rule": f"!self.matches(r'{VERSION_NAME.regex}') || self.split('.').all(n, int(n) <= {VERSION_PART_MAX})",
    "message": f"each of the three numbers must be at most {VERSION_PART_MAX}",
}
REGION_NAME = {
    "rule": "self.matches('^[a-z][a-z0-9]+$')",
    "messageExpression": "'must be the short name of an Azure region, such as ' + "
    "(self.matches('^[A-Za-z][A-Za-z0-9 ]*$') ? self.lowerAscii().replace(' ', '') : 'westeurope')",
}
DIGEST = Pattern(
    r"^v[0-9]+:sha256:[0-9a-f]{64}$",
    "must be a digest as in status.proof.digest: v1:sha256: and 64 lower-case hexadecimal digits",
)
REASON = Pattern(r"\S", "must say why")
DISK_ENCRYPTION_SET_ID = Pattern(
    rf"(?i)^{SUBSCRIPTION}{GROUP}{COMPUTE}/diskEncryptionSets/[a-z0-9_-]{{1,80}}$",
    "must be the id of a disk encryption set: "
    "/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.Compute/diskEncryptionSets/<name>",
    hint=_ID_HINT,
)
DATE = Pattern(
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,7})?(Z|[+-][0-9]{2}:[0-9]{2}))?$",
    "must be a date such as 2028-01-01, or a time such as 2028-01-01T00:00:00Z",
)
FEATURE_NAME = Pattern(r"^[A-Za-z][A-Za-z0-9]*$", "must be the name of a feature, such as DiskControllerTypes")
NO_SECURITY_FEATURE = {
    "rule": "self.all(each, each.name.lowerAscii() != 'securitytype')",
    "message": "SecurityType has a field of its own: definition.securityType",
}
TAG_NAME = {
    "rule": "self.all(name, name.matches('^[^<>%&?/]{1,512}$') && !name.contains('\\\\')"
    " && !name.matches('(?i)^(imageferry-|microsoft|azure|windows)'))",
    "message": "a tag's name has 1 to 512 characters without < > % & \\ ? / and does not start with imageferry-, "
    "microsoft, azure or windows, which are reserved",
}


def check_tag_names(tags: dict[str, str]) -> dict[str, str]:
    """Return the tags; ValueError names the first that Azure would not take, or that is ours."""
    for name in tags:
        if not re.fullmatch(r"[^<>%&?/\\]{1,512}", name) or re.match(r"(?i)imageferry-|microsoft|azure|windows", name):
            raise ValueError(f"{TAG_NAME['message']}; found {name!r}")
    return tags


def check_version_range(value: str) -> str:
    """Return the version name; ValueError when one of its numbers is beyond ARM's 32 bits."""
    if any(int(part) > VERSION_PART_MAX for part in value.split(".")):
        raise ValueError(f"{VERSION_RANGE['message']}; found {value!r}")
    return value


def check_region_name(value: str) -> str:
    """Return the region name; ValueError when it is not a short name."""
    if not re.fullmatch(r"[a-z][a-z0-9]+", value):
        short = value.casefold().replace(" ", "")
        example = short if short.isalnum() else "westeurope"
        raise ValueError(f"must be the short name of an Azure region, such as {example}; found {value!r}")
    return value


def immutable(what: str, *, any_case: bool = False) -> dict[str, str]:
    """Return the rule that a value never changes; `what` to do instead ends the message."""
    same = "self.lowerAscii() == oldSelf.lowerAscii()" if any_case else "self == oldSelf"
    return {"rule": same, "messageExpression": f"'is immutable (was ' + oldSelf + '); {what}'"}


def validations(*rules: dict[str, str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON schema keywords
    """Return schema keywords: the rules and whatever else is given."""
    return {"x-kubernetes-validations": list(rules), **more}


def both(*patterns: Pattern) -> Callable[[str], str]:
    """Return a validator that checks all patterns in turn."""

    def check(value: str) -> str:
        for pattern in patterns:
            pattern.check(value)
        return value

    return check
