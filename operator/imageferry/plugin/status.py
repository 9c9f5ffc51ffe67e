"""`kubectl imageferry status`: one migration as a tree, all as a table, once or as they move."""

import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from imageferry.kube.user import Body, Cluster
from imageferry.plugin import draw, options, output
from imageferry.plugin.output import FailedError

FINAL = ("Completed", "Planned")

Snapshot = Sequence[Body]
Draw = Callable[[Snapshot], RenderableType]


def status(  # noqa: PLR0913 - one parameter an option
    name: Annotated[str | None, typer.Argument(help="Name of the ImageMigration. Default: all.")] = None,
    *,
    namespace: options.Namespace = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of every namespace.")] = False,
    selector: options.Selector = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing changes, until Ctrl-C.")] = False,
    exit_when_complete: Annotated[
        bool, typer.Option("--exit-when-complete", help="Watch, and end with 0 once Completed (or Planned).")
    ] = False,
    form: options.Output = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show how a migration stands and what it waits for; without NAME, all of the namespace."""
    following = watch or exit_when_complete
    if form and following:
        raise typer.BadParameter("--watch draws for people: leave -o out, or use `kubectl get imig -w -o json`")
    if name and (all_namespaces or selector):
        raise typer.BadParameter("a NAME already says which: leave out -A and -l")
    cluster, own = options.connect(kubeconfig, context, namespace)
    where = None if all_namespaces else own
    if following:
        snapshots = cluster.watch(where, name=name or "", selector=selector or "")
        _follow(_present(snapshots, name, own), _drawing(name, where), named=bool(name), until_final=exit_when_complete)
    else:
        _once(cluster, where, name=name, selector=selector or "", form=form)


def _once(cluster: Cluster, where: str | None, *, name: str | None, selector: str, form: options.Format | None) -> None:
    if name and where:
        found: Snapshot = [cluster.get(where, name)]
    else:
        found = cluster.list(where, selector=selector)
    if form:
        output.show(output.plain(found[0]) if name else output.listed(found), form)
    elif found:
        output.draw(_drawing(name, where)(found))
        if name and (message := draw.message(found[0])):
            sys.stdout.write(f"\n{message}\n")
    else:
        sys.stderr.write(f"No resources found{f' in {where} namespace' if where else ''}.\n")


def _drawing(name: str | None, where: str | None) -> Draw:
    def draw_all(bodies: Snapshot) -> RenderableType:
        now = datetime.now(UTC)
        return draw.tree(bodies[0], now) if name else draw.table(bodies, now, namespaces=where is None)

    return draw_all


def _present(snapshots: Iterator[Snapshot], name: str | None, namespace: str) -> Iterator[Snapshot]:
    """Pass on what is seen; a migration that is named has to be there."""
    seen = False
    for bodies in snapshots:
        if name and not bodies:
            what = (
                "was deleted meanwhile" if seen else f"not found; `kubectl imageferry status -n {namespace}` lists all"
            )
            raise FailedError(f"imagemigration {namespace}/{name}: {what}")
        seen = True
        yield bodies


def _follow(snapshots: Iterator[Snapshot], drawing: Draw, *, named: bool, until_final: bool) -> None:
    console = output.console()
    if not console.is_terminal:
        _report(snapshots, until_final=until_final)
        return
    with Live(console=console, auto_refresh=False) as live:
        for bodies in snapshots:
            messages = [Text(f"\n{draw.message(bodies[0])}")] if named else []
            live.update(Group(drawing(bodies), *messages), refresh=True)
            if until_final and _final(bodies):
                return


def _report(snapshots: Iterator[Snapshot], *, until_final: bool) -> None:
    """Print a line for each change that a person would see."""
    said: dict[str, str] = {}
    for bodies in snapshots:
        for body in bodies:
            line, key = draw.line(body), body["metadata"]["uid"]
            if said.get(key) != line:
                said[key] = line
                sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if until_final and _final(bodies):
            return


def _final(bodies: Snapshot) -> bool:
    return bool(bodies) and all(draw.phase(body).plain in FINAL for body in bodies)
