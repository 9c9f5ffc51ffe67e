"""`kubectl imageferry plan`: what the operator would do in Azure, before it may.

The operator makes the plan (spec.mode: Plan) and stores it in the status; this command
waits until it is that of the latest spec, and draws it. It changes nothing.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from imageferry.kube.user import Body
from imageferry.plugin import draw, options, output
from imageferry.plugin.change import wait_for
from imageferry.plugin.output import FailedError

UNFINISHED = ("Pending", "Checking")
MARKS = {
    "Create": ("+", "green"),
    "Update": ("~", "yellow"),
    "Delete": ("-", "red"),
}
SEVERITIES = {"Blocks": ("✘", "red"), "Warns": ("!", "yellow"), "Notes": ("·", "dim")}


def plan(  # noqa: PLR0913 - one parameter an option
    name: options.Name,
    *,
    timeout: options.Timeout = 60,
    namespace: options.Namespace = None,
    form: options.Output = None,
    context: options.Context = None,
    kubeconfig: options.Kubeconfig = None,
) -> None:
    """Show what a migration in mode Plan would change in Azure, and what stands in its way."""
    cluster, where = options.connect(kubeconfig, context, namespace)
    _check_mode(cluster.get(where, name))
    deadline = time.monotonic() + timeout
    body, done = wait_for(cluster, where, name, reached=_planned, deadline=deadline)
    _check_mode(body)
    if not done:
        raise FailedError(_late(body))
    if form:
        output.show(_for_programs(body), form)
    else:
        output.draw(drawn(body))


def drawn(body: Body) -> RenderableType:
    """Draw plan and findings."""
    status, metadata = draw.status_of(body), body["metadata"]
    calls, findings = status.get("plan") or [], status.get("findings") or []
    title = Text.assemble(
        (metadata["name"], "bold"), "  ", draw.phase(body), "  ", (f"in {metadata['namespace']}", "dim")
    )
    parts: list[RenderableType] = [title, Text(), *(_call(call) for call in calls)]
    if findings:
        parts += [_findings(findings), Text()]
    return Group(*parts, _verdict(body, calls, findings))


def _check_mode(body: Body) -> None:
    mode, metadata = body["spec"].get("mode") or "Migrate", body["metadata"]
    if mode != "Plan":
        switch = f"kubectl patch imig {metadata['name']} -n {metadata['namespace']} --type=merge -p "
        raise FailedError(
            f"imagemigration {metadata['namespace']}/{metadata['name']}: spec.mode is {mode}, and plans are made in "
            f'mode Plan; to switch: {switch}\'{{"spec":{{"mode":"Plan"}}}}\''
        )


def _planned(body: Body) -> bool:
    status = draw.status_of(body)
    seen = status.get("observedGeneration") == body["metadata"]["generation"]
    return bool(seen and status.get("phase") not in (None, *UNFINISHED))


def _late(body: Body) -> str:
    key = f"imagemigration {body['metadata']['namespace']}/{body['metadata']['name']}"
    if draw.status_of(body).get("observedGeneration") != body["metadata"]["generation"]:
        return (
            f"{key}: the operator has not seen generation {body['metadata']['generation']} in time; see whether it "
            "runs (`kubectl get pods -n imageferry-system`), or give --timeout more seconds"
        )
    message = draw.condition(body, "Ready").get("message") or "nothing was said yet"
    return f"{key}: not planned in time: {message}; give --timeout more seconds"


def _for_programs(body: Body) -> Mapping[str, Any]:
    status, metadata = draw.status_of(body), body["metadata"]
    return {
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "generation": metadata["generation"],
        "phase": status.get("phase"),
        "plan": status.get("plan") or [],
        "findings": status.get("findings") or [],
    }


def _call(call: Body) -> RenderableType:
    action = str(call["action"])
    mark, shade = next((shown for verb, shown in MARKS.items() if action.startswith(verb)), ("·", ""))
    head = Text.assemble((f"{mark} {action}", shade), *([f"  {call['when']}"] if call.get("when") else []))
    changes = call.get("changes") or []
    under = Group(Text(draw.short_id(call["resource"]), style="dim"), *([_changes(changes)] if changes else []))
    return Group(head, Padding(under, (0, 0, 0, 4)), Text())


def _changes(changes: Sequence[Body]) -> Table:
    drawn_table = Table.grid(padding=(0, 2, 0, 0))
    drawn_table.add_column(no_wrap=True)
    drawn_table.add_column(overflow="fold")
    for change in changes:
        drawn_table.add_row(change["field"], _difference(change))
    return drawn_table


def _difference(change: Body) -> Text:
    if "from" not in change:
        return Text(str(change.get("to", "")), style="green")
    if "to" not in change:
        return Text.assemble((str(change["from"]), "red"), " is removed")
    return Text.assemble((str(change["from"]), "red"), " → ", (str(change["to"]), "green"))


def _findings(findings: Sequence[Body]) -> Table:
    drawn_table = Table.grid(padding=(0, 2, 0, 0))
    for fold in (False, False, True):
        drawn_table.add_column(no_wrap=not fold, overflow="fold" if fold else "ellipsis")
    for severity, (mark, shade) in SEVERITIES.items():
        for finding in findings:
            if finding["severity"] == severity:
                shown = Text(f"{mark} {severity}", style=shade)
                drawn_table.add_row(shown, finding["reason"], finding.get("message", ""))
    return drawn_table


def _verdict(body: Body, calls: Sequence[Body], findings: Sequence[Body]) -> Text:
    blocks = sum(finding["severity"] == "Blocks" for finding in findings)
    if blocks:
        return Text(
            f"Plan: {blocks} {'finding blocks' if blocks == 1 else 'findings block'} the migration.", style="red"
        )
    phase = draw.phase(body).plain
    if phase != "Planned":
        message = draw.condition(body, "Ready").get("message") or "nothing was said"
        return Text(f"{phase}: {message}")
    if not calls:
        return Text("Plan: nothing to do; Azure is as the spec wants it.", style="green")
    start = f"kubectl patch imig {body['metadata']['name']} -n {body['metadata']['namespace']} --type=merge -p "
    count = f"{len(calls)} {'change' if len(calls) == 1 else 'changes'}"
    patch = '{"spec":{"mode":"Migrate"}}'
    return Text(f"Plan: {count} in Azure. Nothing was changed yet; to start:\n  {start}'{patch}'")
