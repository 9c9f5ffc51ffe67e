"""`imageferry crds`: the CustomResourceDefinition that this release reads."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from imageferry.api import crd


def crds(
    write: Annotated[Path | None, typer.Option(help="Write the generated files into this folder.")] = None,
    check: Annotated[Path | None, typer.Option(help="Fail when the files in this folder differ.")] = None,
) -> None:
    """Print the CRD, write it, or check that a written one is up to date."""
    if write:
        for name, text in crd.files().items():
            (write / name).write_text(text, encoding="utf-8")
    elif check:
        _check(check)
    else:
        sys.stdout.write(crd.to_yaml())


def _check(folder: Path) -> None:
    differing = [folder / name for name, text in crd.files().items() if not _holds(folder / name, text)]
    if differing:
        names = ", ".join(str(path) for path in differing)
        sys.stderr.write(f"{names}: not what the models say; run `make generate`\n")
        raise typer.Exit(1)


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text
