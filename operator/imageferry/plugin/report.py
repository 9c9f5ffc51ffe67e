"""`kubectl imageferry report`: all migrations on one page, for those who do not use kubectl."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imageferry.plugin import options, page, tabular
from imageferry.plugin.journeys import Journey, journey
from imageferry.plugin.output import FailedError


class ReportFormat(StrEnum):
    """Form of a report."""

    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"


def report(  # noqa: PLR0913 - one parameter an option
    *,
    selector: options.Selector = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of every namespace.")] = False,
    form: Annotated[ReportFormat, typer.Option("--format", help="Form of the report.")] = ReportFormat.MARKDOWN,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write it into this file, instead of to standard output.", dir_okay=False, show_default=False
        ),
    ] = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Tell how far all migrations are, who verified, what was deleted, and how long each step took.

    HTML is one page that loads nothing else, with a timeline over all of them.
    """
    cluster, own = options.connect(kubeconfig, context, namespace)
    bodies = cluster.list(None if all_namespaces else own, selector=selector or "")
    where = "every namespace" if all_namespaces else f"namespace {own}"
    scope = f"Migrations of {where}{f', labels {selector}' if selector else ''}"
    text = _text([journey(body) for body in bodies], form, scope=scope)
    if output is None:
        sys.stdout.write(text)
        return
    try:
        output.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FailedError(f"--output {output}: {error.strerror}; choose another file") from error
    sys.stderr.write(f"{output}: {len(bodies)} migrations\n")


def _text(journeys: Sequence[Journey], form: ReportFormat, *, scope: str) -> str:
    if form is ReportFormat.CSV:
        return tabular.as_csv(journeys)
    if form is ReportFormat.MARKDOWN:
        return tabular.as_markdown(journeys)
    return page.page(journeys, datetime.now(UTC), scope=scope)
