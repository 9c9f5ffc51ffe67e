"""`kubectl imageferry suspend`, `resume` and `retry`: the small changes that people make by hand.

Each changes one field of the resource; Azure is the operator's business alone.
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from imageferry.api.resource import GROUP, RECONCILE_AT, SINGULAR
from imageferry.kube.user import Body, Cluster, ClusterError
from imageferry.plugin import draw, options, output
from imageferry.plugin.output import FailedError

POLL_SECONDS = 0.5


def suspend(  # noqa: PLR0913 - one parameter an option
    names: options.Names = None,
    *,
    selector: options.Selector = None,
    everything: options.All = False,
    namespace: options.Namespace = None,
    form: options.Output = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Stop before the next change in Azure (spec.suspend: true). What runs in Azure already goes on there."""
    cluster, where = options.connect(kubeconfig, context, namespace)
    chosen = _chosen(cluster, where, names=names, selector=selector, everything=everything)
    _change(chosen, lambda name: cluster.merge(where, name, {"spec": {"suspend": True}}), "suspended", form=form)


def resume(  # noqa: PLR0913 - as above
    names: options.Names = None,
    *,
    selector: options.Selector = None,
    everything: options.All = False,
    namespace: options.Namespace = None,
    form: options.Output = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Go on with what was suspended (spec.suspend: false)."""
    cluster, where = options.connect(kubeconfig, context, namespace)
    chosen = _chosen(cluster, where, names=names, selector=selector, everything=everything)
    _change(chosen, lambda name: cluster.merge(where, name, {"spec": {"suspend": False}}), "resumed", form=form)


def retry(  # noqa: PLR0913 - as above
    names: options.Names = None,
    *,
    selector: options.Selector = None,
    everything: options.All = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the operator has looked again.")] = False,
    timeout: options.Timeout = 60,
    namespace: options.Namespace = None,
    form: options.Output = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Let the operator look again now, instead of when its waiting time ends."""
    cluster, where = options.connect(kubeconfig, context, namespace)
    chosen = _chosen(cluster, where, names=names, selector=selector, everything=everything)
    token = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    patch = {"metadata": {"annotations": {RECONCILE_AT: token}}}
    if not wait:
        _change(chosen, lambda name: cluster.merge(where, name, patch), "is looked at again", form=form)
        return
    deadline = time.monotonic() + timeout
    for name in chosen:  # all first, so that the operator works on them while we wait for one after the other
        cluster.merge(where, name, patch)
    _change(chosen, lambda name: _echoed(cluster, where, name, token=token, deadline=deadline), "looked at", form=form)


def wait_for(
    cluster: Cluster, namespace: str, name: str, *, reached: Callable[[Body], bool], deadline: float
) -> tuple[Body, bool]:
    """Look until it is reached or the (monotonic) deadline is over; return what was seen last and whether."""
    while True:
        body = cluster.get(namespace, name)
        if reached(body):
            return body, True
        if time.monotonic() >= deadline:
            return body, False
        time.sleep(POLL_SECONDS)


def _echoed(cluster: Cluster, namespace: str, name: str, *, token: str, deadline: float) -> Body:
    def reached(body: Body) -> bool:
        return draw.status_of(body).get("lastHandledReconcileAt") == token

    body, done = wait_for(cluster, namespace, name, reached=reached, deadline=deadline)
    if not done:
        raise FailedError(
            f"imagemigration {namespace}/{name}: the operator has not looked at it in time; "
            "see whether it runs (`kubectl get pods -n imageferry-system`), or give --timeout more seconds"
        )
    return body


def _chosen(
    cluster: Cluster, namespace: str, *, names: Sequence[str] | None, selector: str | None, everything: bool
) -> Sequence[str]:
    if sum((bool(names), bool(selector), everything)) != 1:
        raise typer.BadParameter("say which: names, or -l with a selector, or --all")
    if names:
        return names
    found = [body["metadata"]["name"] for body in cluster.list(namespace, selector=selector or "")]
    if not found:
        sys.stderr.write(f"No resources found in {namespace} namespace.\n")
    return found


def _change(names: Sequence[str], change: Callable[[str], Body], said: str, *, form: options.Format | None) -> None:
    """Change one after the other; what fails for one does not hold up the others, as with kubectl."""
    changed, failed = [], False
    for name in names:
        try:
            changed.append(change(name))
        except (ClusterError, FailedError) as error:
            failed = True
            sys.stderr.write(f"error: {error}\n")
            continue
        if not form:
            sys.stdout.write(f"{SINGULAR}.{GROUP}/{name} {said}\n")
    if form and changed:
        output.show(output.plain(changed[0]) if len(names) == 1 else output.listed(changed), form)
    if failed:
        raise typer.Exit(1)
