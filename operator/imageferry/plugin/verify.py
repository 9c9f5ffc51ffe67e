"""`kubectl imageferry verify` and `reject`: a person's word on whether the version may replace the image.

What is verified is shown first and confirmed; what is written is bound to just that proof. The
name is the one by which the API server knows whoever asks, and cannot be chosen.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.progress import Progress

from imageferry.api import rules
from imageferry.api.resource import GROUP, SINGULAR
from imageferry.kube.user import Body, ChangedError, Cluster, ClusterError
from imageferry.plugin import options, output, review, verdict
from imageferry.plugin.options import ChangeFormat, DryRun
from imageferry.plugin.output import FailedError
from imageferry.plugin.verdict import Verdict

TRIES = 5
MANY = 20
"""From so many on progress is shown."""
MESSAGE, EVIDENCE = 4096, 2048
"""Longest; the schema takes this and a name beside it."""


def _at_most(longest: int) -> Callable[[str | None], str | None]:
    def callback(value: str | None) -> str | None:
        if value is not None and not 0 < len(value) <= longest:
            raise typer.BadParameter(f"must have 1 to {longest} characters, has {len(value)}")
        return value

    return callback


def _digest(value: str | None) -> str | None:
    try:
        return rules.DIGEST.check(value) if value is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


Message = Annotated[
    str | None,
    typer.Option(help="A sentence for the condition.", show_default=False, callback=_at_most(MESSAGE)),
]
Evidence = Annotated[
    str | None,
    typer.Option(
        help="Link to a test run, a ticket or the like; the receipt keeps it.",
        show_default=False,
        callback=_at_most(EVIDENCE),
    ),
]


def verify(  # noqa: PLR0913 - one parameter an option
    names: options.Names = None,
    *,
    selector: options.Selector = None,
    all_namespaces: options.AllNamespaces = False,
    digest: Annotated[
        str | None,
        typer.Option(help="The proof that you tested: any other is refused.", show_default=False, callback=_digest),
    ] = None,
    evidence: Evidence = None,
    message: Message = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: options.Dry = DryRun.NONE,
    namespace: options.Namespace = None,
    form: options.ChangeOutput = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Say in your own name that a version was tested and may replace its managed image.

    With policy Delete the image is deleted once every guard holds. The proof is shown, and you are asked.
    """
    if digest and (selector or len(names or ()) != 1):
        raise typer.BadParameter("--digest: each migration has a digest of its own; give one NAME with it")
    cluster, own = options.connect(kubeconfig, context, namespace)
    work = _Work(cluster, dry_run, form, places=all_namespaces)
    chosen = list(_chosen(work, own, names=names, selector=selector, all_namespaces=all_namespaces))
    said = Verdict(True, cluster.user(), message, evidence)  # noqa: FBT003 - what is said
    ready = []
    for body in chosen:
        if hindered := verdict.hindrance(body, wanted=digest, named=bool(names)):
            work.fail(f"{verdict.key(body)}: {hindered}")
        elif verdict.stands(body) and not (message or evidence):
            work.done(body, "unchanged", "verified already for this proof")
        else:
            ready.append(body)
    if ready and not yes and dry_run is DryRun.NONE:
        _ask(ready, said)
    _write(work, ready, said)


def reject(  # noqa: PLR0913 - as above
    names: options.Names = None,
    *,
    selector: options.Selector = None,
    all_namespaces: options.AllNamespaces = False,
    evidence: Evidence = None,
    message: Message = None,
    dry_run: options.Dry = DryRun.NONE,
    namespace: options.Namespace = None,
    form: options.ChangeOutput = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Veto in your own name: the managed image stays until a person verifies. Nobody is asked, as nothing is lost."""
    cluster, own = options.connect(kubeconfig, context, namespace)
    work = _Work(cluster, dry_run, form, places=all_namespaces)
    chosen = list(_chosen(work, own, names=names, selector=selector, all_namespaces=all_namespaces))
    _write(work, chosen, Verdict(False, cluster.user(), message, evidence))  # noqa: FBT003 - what is said


@dataclass
class _Work:
    """What a run has done so far; what fails for one does not hold up the others, as with kubectl."""

    cluster: Cluster
    dry_run: DryRun
    form: ChangeFormat | None
    places: bool
    """Whether lines say the namespace."""
    changed: list[Body] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def fail(self, message: str) -> None:
        """Tell an error and go on."""
        self.counts["failed"] += 1
        sys.stderr.write(f"error: {message}\n")

    def done(self, body: Body, outcome: str, said: str) -> None:
        """Tell what became of one."""
        self.counts[outcome] += 1
        self.changed.append(body)
        name = f"{SINGULAR}.{GROUP}/{body['metadata']['name']}"
        if self.form is ChangeFormat.NAME:
            sys.stdout.write(f"{name}\n")
        elif self.form is None:
            where = f" in {body['metadata']['namespace']}" if self.places else ""
            sys.stdout.write(f"{name}{where} {said}\n")


def _chosen(
    work: _Work, namespace: str, *, names: Sequence[str] | None, selector: str | None, all_namespaces: bool
) -> Iterator[Body]:
    if bool(names) == bool(selector):
        raise typer.BadParameter("say which: names, or -l with a selector")
    if all_namespaces and not selector:
        raise typer.BadParameter("-A needs -l with a selector")
    if selector:
        found = work.cluster.list(None if all_namespaces else namespace, selector=selector)
        if not found:
            sys.stderr.write(f"No resources found{'' if all_namespaces else f' in {namespace} namespace'}.\n")
        yield from found
        return
    for name in dict.fromkeys(names or ()):
        try:
            yield work.cluster.get(namespace, name)
        except ClusterError as error:
            work.fail(str(error))


def _ask(bodies: Sequence[Body], said: Verdict) -> None:
    shown = review.one(bodies[0], datetime.now(UTC)) if len(bodies) == 1 else review.many(bodies)
    output.draw(shown, to=output.console(sys.stderr))
    which = "this" if len(bodies) == 1 else f"these {len(bodies)}"
    sys.stderr.write(f"\nVerify {which} as {said.by}? [y/N] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not sys.stdin.isatty():
        sys.stderr.write("\n")
    if answer.strip().casefold() not in ("y", "yes"):
        raise FailedError("nothing was written: it was not confirmed; where nobody can be asked, give --yes")


def _write(work: _Work, bodies: Sequence[Body], said: Verdict) -> None:
    console = output.console(sys.stderr)
    with Progress(console=console, transient=True, disable=not console.is_terminal or len(bodies) < MANY) as progress:
        for body in progress.track(bodies, description=f"{said.participle}"):
            try:
                written = _say(work, body, said)
            except (ClusterError, FailedError) as error:
                work.fail(str(error))
                continue
            work.done(written, said.participle, f"{said.participle}{_how(work, written)}")
    _close(work)


def _how(work: _Work, written: Body) -> str:
    digest = (written["status"].get("verification") or {}).get("digest")
    proof = f" for {digest}" if digest else ""
    dry = {DryRun.CLIENT: " (dry run)", DryRun.SERVER: " (server dry run)"}.get(work.dry_run, "")
    return f"{proof}{dry}{_would_write(written) if work.dry_run is DryRun.CLIENT else ''}"


def _would_write(written: Body) -> str:
    status = written["status"]
    part = {"status": {"conditions": [verdict.spoken(written)], "verification": status["verification"]}}
    return "\n" + output.text(part, options.Format.YAML).rstrip()


def _close(work: _Work) -> None:
    if work.form in (ChangeFormat.JSON, ChangeFormat.YAML) and work.changed:
        one = work.changed[0] if work.counts.total() == 1 else None
        shown = output.plain(one) if one else output.listed(work.changed)
        output.show(shown, options.Format(work.form.value))
    if work.counts.total() > 1:
        sys.stderr.write(", ".join(f"{count} {outcome}" for outcome, count in work.counts.items()) + "\n")
    if work.counts["failed"]:
        raise typer.Exit(1)


def _say(work: _Work, shown: Body, said: Verdict) -> Body:
    """Write the verdict; when the resource has changed but what was shown of it has not, write it again."""
    body, metadata = shown, shown["metadata"]
    if work.dry_run is DryRun.CLIENT:
        return verdict.patched(body, said, datetime.now(UTC))
    for _ in range(TRIES):
        operations, dry = verdict.patch(body, said, datetime.now(UTC)), work.dry_run is DryRun.SERVER
        place = metadata["namespace"], metadata["name"]
        try:
            return work.cluster.change_status(*place, operations, verb=said.verb, dry_run=dry)
        except ChangedError:
            body = work.cluster.get(*place)
        if said.verified and (changed := verdict.difference(shown, body)):
            raise FailedError(
                f"{verdict.key(shown)}: {changed} changed after it was shown, so nothing was written; "
                f"look at it again: `kubectl imageferry status {metadata['name']} -n {metadata['namespace']}`"
            )
    raise FailedError(f"{verdict.key(shown)}: it changes all the time, nothing was written; try again")
