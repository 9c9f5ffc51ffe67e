"""JSON and YAML forms of faults and settings, as the seed file and the control API take them.

Names are camelCase there. Everything is checked against the frozen values that they become; a mistake is a
`FormError` that names the field.
"""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from imageferry.simulator.faults import (
    Answer,
    Does,
    FailOperation,
    FailRegion,
    Fault,
    HtmlPage,
    Reset,
    Slow,
    Stale,
)
from imageferry.simulator.settings import Durations, Rules
from imageferry.simulator.wire import Json

_KINDS: dict[str, type[Does]] = {
    "answer": Answer,
    "htmlPage": HtmlPage,
    "reset": Reset,
    "slow": Slow,
    "failOperation": FailOperation,
    "failRegion": FailRegion,
    "stale": Stale,
}
_T = TypeVar("_T")
_Settings = TypeVar("_Settings", Durations, Rules)


class FormError(ValueError):
    """A field that cannot be read; the message names it, what was found and what is allowed."""


def fault(form: object, where: str = "fault") -> Fault:
    """Read `{operation, does: {kind, …}, resource, identity, skip, times, probability}`."""
    given = _object(form, where)
    does = _object(given.get("does"), f"{where}.does")
    kind = does.pop("kind", None)
    if kind not in _KINDS:
        raise FormError(f"{where}.does.kind: {kind!r} is none of {', '.join(_KINDS)}")
    given["does"] = _read(_KINDS[str(kind)], does, f"{where}.does")
    return _read(Fault, {"operation": "*", **given}, where)


def fault_form(number: int, rule: Fault, fired: int) -> Json:
    """Write a fault as `fault` reads it, with its number and how often it fired."""
    kind = next(name for name, of in _KINDS.items() if isinstance(rule.does, of))
    plain = {each.name: getattr(rule, each.name) for each in fields(rule) if each.name != "does"}
    does = {each.name: getattr(rule.does, each.name) for each in fields(rule.does)}
    does = {name: dict(value) if isinstance(value, Mapping) else value for name, value in does.items()}
    return {"number": number, "fired": fired, **plain, "does": {"kind": kind, **does}}


def settings(present: _Settings, form: object, where: str) -> _Settings:
    """Change the named settings: `{versionCreate: 30, regions: {northeurope: 600}}`."""
    given = {_snake(name): value for name, value in _object(form, where).items()}
    known = {each.name: getattr(present, each.name) for each in fields(present)}
    if unknown := sorted(given.keys() - known.keys()):
        allowed = ", ".join(camel(name) for name in known)
        raise FormError(f"{where}.{camel(unknown[0])}: no such setting; there are {allowed}")
    read = _read(type(present), given, where)
    return replace(present, **{name: getattr(read, name) for name in given})


def _read(of: type[_T], given: Json, where: str) -> _T:
    known = {each.name for each in fields(of)}  # type: ignore[arg-type]  # every caller passes a dataclass
    if unknown := sorted(given.keys() - known):
        raise FormError(f"{where}.{unknown[0]}: no such field; there are {', '.join(sorted(known))}")
    try:
        return TypeAdapter(of).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join([where, *(camel(str(part)) for part in first["loc"])])
        raise FormError(f"{at}: {first['msg']}, found {first['input']!r}") from error


def _object(form: object, where: str) -> dict[str, Any]:
    if not isinstance(form, Mapping):
        raise FormError(f"{where}: an object is expected, found {form!r}")
    return {str(name): value for name, value in form.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def camel(name: str) -> str:
    """Write a field's name as JSON and YAML have it."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
