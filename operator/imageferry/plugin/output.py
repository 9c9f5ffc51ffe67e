"""Where output goes: results to standard output, all else to standard error."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import yaml
from rich.console import Console, RenderableType

from imageferry.plugin.options import Format

UNBROKEN = 10_000


class FailedError(Exception):
    """What ends a command with exit code 1: one line with the finding and the cure."""


def console(stream: TextIO | None = None) -> Console:
    """Return a console; what is not a terminal gets lines that are not broken, for grep and the like."""
    to = stream or sys.stdout
    width = None if to.isatty() or "COLUMNS" in os.environ else UNBROKEN
    return Console(file=to, width=width, highlight=False, markup=False, emoji=False)


def draw(drawing: RenderableType, *, to: Console | None = None) -> None:
    """Print a drawing; outside a terminal without the spaces that fill up its lines."""
    on = to or console()
    if on.is_terminal:
        on.print(drawing)
        return
    with on.capture() as captured:
        on.print(drawing)
    on.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def plain(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a resource without its managedFields, which kubectl leaves out, too."""
    return {**body, "metadata": {name: value for name, value in body["metadata"].items() if name != "managedFields"}}


def listed(items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return several resources as one, as kubectl prints them."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {"resourceVersion": ""},
        "items": [plain(each) for each in items],
    }


def text(value: Any, form: Format) -> str:  # noqa: ANN401 - any JSON
    """Return a value as JSON or YAML, with a newline at its end."""
    if form is Format.JSON:
        return json.dumps(value, indent=4, ensure_ascii=False) + "\n"
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=UNBROKEN)


def show(value: Any, form: Format) -> None:  # noqa: ANN401 - any JSON
    """Print a value for programs."""
    sys.stdout.write(text(value, form))
