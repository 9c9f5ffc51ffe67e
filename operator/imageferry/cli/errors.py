"""`imageferry errors`: what Azure may answer, and what follows."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from imageferry.migration import catalogue


def errors(
    write: Annotated[Path | None, typer.Option(help="Write the page into this file.")] = None,
    check: Annotated[Path | None, typer.Option(help="Fail when this file differs.")] = None,
) -> None:
    """Print the catalogue of Azure's errors as Markdown, write it, or check that a written one is up to date."""
    page = catalogue.to_markdown()
    if write:
        write.write_text(page, encoding="utf-8")
    elif check:
        if not check.exists() or check.read_text(encoding="utf-8") != page:
            sys.stderr.write(f"{check}: not what the catalogue says; run `make generate`\n")
            raise typer.Exit(1)
    else:
        sys.stdout.write(page)
