"""The options that commands share, named and meant as kubectl's are."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from imageferry.kube.user import Cluster


class Format(StrEnum):
    """Output for programs."""

    JSON = "json"
    YAML = "yaml"


class ChangeFormat(StrEnum):
    """Output for programs of what changes resources."""

    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class DryRun(StrEnum):
    """Who tells what would be done, instead of doing it."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


Kubeconfig = Annotated[
    Path | None, typer.Option(help="Kubeconfig file, instead of KUBECONFIG or ~/.kube/config.", show_default=False)
]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.", show_default=False)]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace. Default: that of the context.", show_default=False)
]
Output = Annotated[
    Format | None, typer.Option("--output", "-o", help="Print for programs instead.", show_default=False)
]
ChangeOutput = Annotated[
    ChangeFormat | None, typer.Option("--output", "-o", help="Print for programs instead.", show_default=False)
]
AllNamespaces = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="With -l: those of every namespace.", show_default=False)
]
Dry = Annotated[
    DryRun,
    typer.Option(
        "--dry-run", help="Write nothing: print what would be written (client), or let the API server check it, too."
    ),
]
Name = Annotated[str, typer.Argument(help="Name of the ImageMigration.", show_default=False)]
Names = Annotated[list[str] | None, typer.Argument(help="Names of ImageMigrations.", show_default=False)]
Selector = Annotated[
    str | None, typer.Option("--selector", "-l", help="Labels to select by, instead of names.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="All of the namespace, instead of names.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)]


def connect(kubeconfig: Path | None, context: str | None, namespace: str | None) -> tuple[Cluster, str]:
    """Return the cluster and the namespace that is meant."""
    cluster = Cluster(kubeconfig=kubeconfig, context=context)
    return cluster, namespace or cluster.namespace
