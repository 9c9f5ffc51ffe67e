"""Migrations as people look at them: a tree for one, a table for many, a line for a log.

Resources are read as plain JSON and every field may be absent: the cluster may hold what an
older or newer operator wrote, and a drawing never fails for it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

Body = Mapping[str, Any]

BAR = 24
SHORT_BAR = 10
SHADES = {"Completed": "green", "Replicating": "yellow", "Failed": "red"}
PHASE_SHADES = {
    "Completed": "green",
    "Planned": "green",
    "AwaitingVerification": "yellow",
    "DeletionBlocked": "yellow",
    "Suspended": "yellow",
    "Stalled": "red",
}
MESSAGE = 72
"""What a table shows of a message; the tree shows all of it."""


def bar(percent: int, width: int = BAR) -> str:
    """Draw progress: full blocks for what is done."""
    done = round(percent * width / 100)
    return "█" * done + "░" * (width - done)


def tree(body: Body, now: datetime) -> RenderableType:
    """Draw one migration with all that is known of it, but `message`."""
    status, spec = status_of(body), body["spec"]
    root = Tree(_title(body), guide_style="dim")
    _branch(root, "source", _source(spec, status))
    _branch(root, "definition", _found(spec["definition"]["name"], status.get("definition")))
    _branch(root, "version", _found(spec["version"]["name"], status.get("version")))
    if regions := _regions(body):
        replication = status["replication"]
        summary = f"{replication.get('summary', '')} Completed, {replication.get('progress', 0)} %"
        _branch(root, "regions", Text(summary), _region_table(regions, now))
    deletion = status.get("deletion") or {}
    if guards := deletion.get("guards"):
        held = sum(bool(guard["passed"]) for guard in guards)
        _branch(root, "guards", Text(f"{held} of {len(guards)} hold"), _guard_table(guards))
    if operation := status.get("operation"):
        _branch(root, "operation", _operation(operation, now))
    if receipt := deletion.get("receipt"):
        _branch(root, "receipt", _receipt(receipt))
    if error := status.get("error"):
        _branch(root, "error", _error(error))
    _branch(root, "ready", _ready(body))
    return root


def message(body: Body) -> str:
    """Return what Ready says; it may hold a command to copy, so it belongs on lines that nothing breaks."""
    return str(condition(body, "Ready").get("message") or "")


def table(bodies: Sequence[Body], now: datetime, *, namespaces: bool = False) -> Table:
    """Draw many migrations, one a row, in kubectl's manner."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    for heading in [*(["NAMESPACE"] if namespaces else []), "NAME", "PHASE"]:
        drawn.add_column(heading, no_wrap=True)
    for heading in ("REGIONS", "", "VERIFIED", "AGE"):
        drawn.add_column(heading, no_wrap=True)
    drawn.add_column("WAITS FOR")  # the only one that gives way on a narrow terminal
    for body in bodies:
        metadata, replication = body["metadata"], status_of(body).get("replication") or {}
        shade = "green" if replication.get("progress") == 100 else "yellow"  # noqa: PLR2004 - percent
        drawn.add_row(
            *([metadata["namespace"]] if namespaces else []),
            metadata["name"],
            phase(body),
            Text(bar(replication["progress"], SHORT_BAR) if "progress" in replication else "", style=shade),
            replication.get("summary", ""),
            condition(body, "Verified").get("status", ""),
            age(metadata.get("creationTimestamp"), now),
            Text(_short(body), no_wrap=True, overflow="ellipsis"),
        )
    return drawn


def line(body: Body) -> str:
    """Write how a migration stands on one line, without what changes by time alone."""
    regions = [f"{each['name']} {bar(each.get('progress', 0), SHORT_BAR)} {each['state']}" for each in _regions(body)]
    ready = condition(body, "Ready")
    waits = [] if ready.get("status") == "True" or regions else [ready.get("reason", "")]
    return "  ".join([f"{body['metadata']['name']:12}", f"{phase(body).plain:12}", *regions, *waits]).rstrip()


def phase(body: Body) -> Text:
    """Return the phase in its color."""
    said = status_of(body).get("phase") or "Pending"
    return Text(said, style=PHASE_SHADES.get(said, "cyan"))


def status_of(body: Body) -> Body:
    """Return the status; empty when there is none."""
    return body.get("status") or {}


def condition(body: Body, kind: str) -> Body:
    """Return a condition; empty when there is none. Its type may be in any letter case."""
    conditions = status_of(body).get("conditions") or []
    return next((each for each in conditions if each["type"].casefold() == kind.casefold()), {})


def age(since: str | None, now: datetime) -> str:
    """Return how long ago that was, in kubectl's manner; empty when unknown."""
    then = time(since)
    if then is None:
        return ""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size, until in (("s", 1, 120), ("m", 60, 7200), ("h", 3600, 172_800)):
        if seconds < until:
            return f"{seconds // size}{unit}"
    return f"{seconds // 86_400}d"


def short_id(arm_id: str) -> str:
    """Return an ARM id as people say it: `images/web in legacy`; what is none stays as it is."""
    parts = arm_id.split("/")
    return f"{'/'.join(parts[7:])} in {parts[4]}" if len(parts) > 8 else arm_id  # noqa: PLR2004 - as ARM builds ids


def _title(body: Body) -> Text:
    metadata = body["metadata"]
    title = Text.assemble((metadata["name"], "bold"), "  ", phase(body), "  ", (f"in {metadata['namespace']}", "dim"))
    if body["spec"].get("suspend") and phase(body).plain != "Suspended":
        title.append("  suspended", style="yellow")
    if status_of(body).get("observedGeneration") != metadata.get("generation"):
        title.append("  the operator has not seen the latest change yet", style="yellow")
    return title


def _branch(root: Tree, label: str, first: Text, *rest: RenderableType) -> None:
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(width=11, style="dim")
    row.add_column(overflow="fold")
    row.add_row(label, first)
    root.add(Group(row, *(Padding(each, (0, 0, 0, 2)) for each in rest)))


def _source(spec: Body, status: Body) -> Text:
    source = status.get("source") or {}
    shown = Text(short_id(source.get("id") or spec["source"]["managedImageId"]))
    disks = source.get("dataDisks")
    facts = [
        " ".join(filter(None, (source.get("osType"), source.get("hyperVGeneration")))),
        source.get("location"),
        f"{source['sizeGB']} GB" if source.get("sizeGB") else None,
        f"{disks} data {'disk' if disks == 1 else 'disks'}" if disks else None,
    ]
    if any(facts):
        shown.append("\n" + ", ".join(filter(None, facts)), style="dim")
    return shown


def _found(name: str, found: Body | None) -> Text:
    """Return a definition or version: its name, and what is known of it."""
    shown = Text(name)
    known = [found[field] for field in ("outcome", "provisioningState") if found.get(field)] if found else ["not there"]
    if known:
        shown.append("  " + ", ".join(known), style="dim")
    return shown


def _region_table(regions: Sequence[Body], now: datetime) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(4):
        drawn.add_column(no_wrap=True)
    drawn.add_column(justify="right", no_wrap=True, style="dim")
    drawn.add_column(overflow="fold")
    for region in regions:
        percent, state = region.get("progress", 0), region["state"]
        shade = SHADES.get(state, "")
        since = age(region.get("since"), now)
        drawn.add_row(
            region["name"],
            Text(bar(percent), style=shade),
            f"{percent:3} %",
            Text(state, style=shade),
            since,
            region.get("details", ""),
        )
    return drawn


def _guard_table(guards: Sequence[Body]) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for guard in guards:
        mark = Text("✔", style="green") if guard["passed"] else Text("✘", style="red")
        drawn.add_row(mark, guard["name"], guard.get("message", ""))
    return drawn


def _operation(operation: Body, now: datetime) -> Text:
    since, attempt = age(operation.get("requestedAt"), now), operation.get("attempt", 1)
    shown = Text(f"{operation['action']}, announced {since} ago")
    if attempt > 1:
        shown.append(f", attempt {attempt}")
    return shown.append(f"\n{short_id(operation['resource'])}", style="dim")


def _receipt(receipt: Body) -> Text:
    words = "the image was deleted" if receipt["outcome"] == "Deleted" else "the image was gone already"
    shown = Text(f"{words}, seen at {receipt['at']}", style="green")
    if digest := receipt.get("digest"):
        shown.append(f"\nunder the proof {digest}", style="dim")
    if by := (receipt.get("verification") or {}).get("by"):
        shown.append(f"\nverified by {by}", style="dim")
    return shown


def _error(error: Body) -> Text:
    shown = Text.assemble((f"{error['code']}: ", "red"), error["message"])
    if at := error.get("retryTime"):
        shown.append(f"\ntried again at {at}", style="dim")
    return shown


def _ready(body: Body) -> Text:
    ready = condition(body, "Ready")
    said = ready.get("status", "Unknown")
    shown = Text(said, style={"True": "green", "False": "yellow"}.get(said, ""))
    return shown.append(f"  {ready.get('reason', 'nothing was said yet')}", style="default")


def _short(body: Body) -> str:
    ready = condition(body, "Ready")
    if phase(body).plain in ("Completed", "Planned"):
        return ""
    text = ": ".join(filter(None, (ready.get("reason"), ready.get("message"))))
    return text if len(text) <= MESSAGE else f"{text[: MESSAGE - 1].rstrip()}…"


def _regions(body: Body) -> Sequence[Body]:
    return (status_of(body).get("replication") or {}).get("regions") or []


def time(text: str | None) -> datetime | None:
    """Return a time of a status; None where there is none."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if text else None
    except ValueError:
        return None
