"""`imageferry errors` and `imageferry findings`: pages of the docs that are made from data."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from imageferry.migration import catalogue
from imageferry.migration import findings as kinds

Write = Annotated[Path | None, typer.Option(help="Write the page into this file.")]
Check = Annotated[Path | None, typer.Option(help="Fail when this file differs.")]


def errors(write: Write = None, check: Check = None) -> None:
    """Print the catalogue of Azure's errors as Markdown, write it, or check that a written one is up to date."""
    _page(catalogue.to_markdown(), write, check)


def findings(write: Write = None, check: Check = None) -> None:
    """Print what is found before the first write as Markdown, write it, or check that a written page is up to date."""
    _page(kinds.to_markdown(), write, check)


def _page(page: str, write: Path | None, check: Path | None) -> None:
    if write:
        write.write_text(page, encoding="utf-8")
    elif check:
        if not check.exists() or check.read_text(encoding="utf-8") != page:
            sys.stderr.write(f"{check}: not what the catalogue says; run `make generate`\n")
            raise typer.Exit(1)
    else:
        sys.stdout.write(page)
