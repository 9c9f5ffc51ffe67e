"""`kubectl imageferry discover`: a manifest for every managed image of a subscription or group.

It reads Azure and writes text; neither Azure nor the cluster is changed or even asked for
leave. Manifests go to standard output or, one a file, into a folder; all else goes to
standard error.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from imageferry.api import rules
from imageferry.api.status import Severity
from imageferry.migration import discovery
from imageferry.migration.discovery import Discovered
from imageferry.migration.errors import DeniedError
from imageferry.migration.facts import ManagedImage
from imageferry.plugin import output
from imageferry.plugin.options import Format
from imageferry.plugin.output import FailedError
from imageferry.plugin.patience import Patience

LISTING = "listing managed images"
SHADES = {Severity.BLOCKS: "red", Severity.WARNS: "yellow", Severity.NOTES: "cyan"}


def _checked(check: Callable[[str], str]) -> Callable[[str | None], str | None]:
    """Return a check of one option; what it refuses is an error of usage."""

    def callback(value: str | None) -> str | None:
        try:
            return check(value) if value is not None else None
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    return callback


def _each_checked(values: list[str] | None) -> list[str]:
    return [_checked(rules.check_region_name)(value) or "" for value in values or ()]


SUBSCRIPTION = rules.Pattern(
    r"(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "must be the GUID of a subscription (`az account list`)"
)
NAMESPACE = rules.Pattern(
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "must be a namespace: lower-case letters, digits and hyphens"
)


Subscription = Annotated[
    str, typer.Option(help="Subscription (GUID) of the images.", callback=_checked(SUBSCRIPTION.check))
]
Gallery = Annotated[
    str,
    typer.Option(
        help="Id of the gallery that receives them.",
        callback=_checked(rules.both(rules.GALLERY_ID, rules.GALLERY_NAME)),
    ),
]
ResourceGroup = Annotated[str | None, typer.Option(help="Only the images of this resource group.")]
Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        help="Namespace in the manifests. Default: none, so `kubectl apply -n` decides.",
        callback=_checked(NAMESPACE.check),
    ),
]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        help="Region that gets a copy, besides each image's own; may be repeated.",
        show_default=False,
        callback=_each_checked,
    ),
]
Publisher = Annotated[
    str | None,
    typer.Option(
        help="Publisher of new definitions. Default: the namespace.", callback=_checked(rules.IDENTIFIER.check)
    ),
]
DeleteSources = Annotated[
    bool, typer.Option("--delete-sources", help="Write sourceDeletion.policy Delete instead of Retain.")
]
Plan = Annotated[bool, typer.Option("--plan", help="Write all with mode Plan; else only those that are blocked.")]
OutputDir = Annotated[Path | None, typer.Option(help="Write one file an image into this folder.", file_okay=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that differ.")]
Form = Annotated[Format, typer.Option("--output", "-o", help="Form of the manifests.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most, in all, while Azure throttles the list.", min=0)]
Credential = Annotated[
    str | None,
    typer.Option(help="How to log in to Azure. Default: IMAGEFERRY_CREDENTIAL, else azure-cli.", show_default=False),
]


def discover(  # noqa: PLR0913 - one parameter an option
    *,
    subscription: Subscription,
    gallery: Gallery,
    resource_group: ResourceGroup = None,
    namespace: Namespace = None,
    region: Regions = None,
    publisher: Publisher = None,
    delete_sources: DeleteSources = False,
    plan: Plan = False,
    output_dir: OutputDir = None,
    overwrite: Overwrite = False,
    form: Form = Format.YAML,
    timeout: Timeout = 600,
    credential: Credential = None,
) -> None:
    """Write a manifest for every managed image of a subscription, and say what would block each.

    Blocked images are written with mode Plan. Azure is found and logged in to as the operator does it, by the
    environment variables IMAGEFERRY_… (docs/settings.md), but with your `az login`.
    """
    target = discovery.Target(
        gallery=gallery,
        namespace=namespace,
        regions=tuple(region or ()),
        publisher=publisher,
        delete_sources=delete_sources,
        plan=plan,
    )
    images = _list(subscription, resource_group, credential, timeout)
    found = discovery.discover(images, target, now=datetime.now(UTC))
    texts = {f"{each.name}.{form}": _text(each, form) for each in found}
    if output_dir:
        _write(texts, output_dir, overwrite=overwrite)
    elif form is Format.JSON:
        output.show(output.listed([each.manifest for each in found]), form)
    else:
        sys.stdout.write("---\n".join(texts.values()))
    _summarize(found, output_dir)


def _list(subscription: str, group: str | None, credential: str | None, timeout: float) -> Sequence[ManagedImage]:
    # here, because Azure's SDK takes longer to load than all other commands take to answer
    from imageferry.azure import Azure, inventory  # noqa: PLC0415
    from imageferry.plugin.login import config  # noqa: PLC0415

    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it warns of becomes our one line of error

    async def collect() -> Sequence[ManagedImage]:
        found: list[ManagedImage] = []
        async with Azure(config(credential), may_write=lambda: False) as azure:
            console = output.console(sys.stderr)
            columns = (SpinnerColumn(), TextColumn("{task.description}"))
            with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
                task = progress.add_task(LISTING)

                def tell(waits: str) -> None:
                    line = f"{LISTING}: {len(found):,}; {waits}"
                    progress.update(task, description=line)
                    if not console.is_terminal:
                        console.print(line)

                patience = Patience(timeout, tell, live=console.is_terminal)
                listed = inventory.images(azure, held_up=patience, subscription=subscription, group=group)
                async for image in listed:
                    patience.reset()
                    found.append(image)
                    progress.update(task, description=f"{LISTING}: {len(found):,}")
        return found

    try:
        return asyncio.run(collect())
    except DeniedError as error:
        raise FailedError(_denied(error)) from error
    except (OSError, ValueError) as error:
        raise FailedError(str(error)) from error


def _denied(error: DeniedError) -> str:
    """Put the cure for a person in the place of the operator's, which ends the message."""
    found = error.message.rpartition("; ")[0] or error.message
    return f"{error.code}: {found}; log in with `az login` (or see --credential), with Microsoft.Compute/images/read"


def _text(found: Discovered, form: Format) -> str:
    if form is Format.JSON:
        return output.text(found.manifest, form)
    return "".join(f"# {line}\n" for line in found.comments) + output.text(found.manifest, form)


def _write(texts: Mapping[str, str], folder: Path, *, overwrite: bool) -> None:
    """Write all files or, when one that differs is there, none: somebody may have edited it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name in texts}
        differing = [name for name, text in old.items() if text != texts[name]]
        if differing and not overwrite:
            raise FailedError(
                f"--output-dir: {folder / min(differing)} differs from what would be written ({len(differing)} files "
                "do); nothing was written. Choose another folder, or give --overwrite to lose what is in them"
            )
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise FailedError(f"--output-dir: {error}") from error


def _summarize(found: Sequence[Discovered], folder: Path | None) -> None:
    console = output.console(sys.stderr)
    rows = [(each, finding) for each in found for finding in each.findings]
    if rows:
        output.draw(_table(rows), to=console)
        console.print()
    kinds = Counter("blocked" if each.blocked else "warned" if each.findings else "ready" for each in found)
    where = f" in {folder}" if folder else ""
    counts = f"{kinds['ready']:,} ready, {kinds['warned']:,} with warnings, {kinds['blocked']:,} blocked (mode Plan)"
    console.print(f"{len(found):,} {'manifest' if len(found) == 1 else 'manifests'}{where}: {counts}")


def _table(rows: Sequence[tuple[Discovered, Any]]) -> Table:
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="")
    drawn.add_column("NAME", no_wrap=True)
    drawn.add_column("GROUP", no_wrap=True)
    drawn.add_column("FINDING", no_wrap=True)
    drawn.add_column("", overflow="fold")
    for each, finding in rows:
        drawn.add_row(
            each.name,
            each.group,
            f"{finding.severity} {finding.reason}",
            finding.message,
            style=SHADES[finding.severity],
        )
    return drawn
