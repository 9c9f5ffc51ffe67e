"""What a person is shown before verifying: the proof, and what follows from it."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from imageferry.plugin import draw, verdict
from imageferry.plugin.draw import Body

SHORT = len("v1:sha256:") + 12


def one(body: Body, now: datetime) -> RenderableType:
    """Draw one migration: the tree as `status` shows it, then what is vouched for."""
    proof = draw.status_of(body)["proof"]
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    rows.add_row("image", body["spec"]["source"]["managedImageId"])
    rows.add_row("fingerprint", proof.get("sourceFingerprint", ""))
    rows.add_row("version", proof.get("versionId", ""))
    rows.add_row("published", proof.get("publishedDate", ""))
    rows.add_row("proof", Text(proof["digest"], style="bold"))
    rows.add_row("said so far", _said(body))
    rows.add_row("then", _then(body))
    return Group(draw.tree(body, now), Text(), rows)


def many(bodies: Sequence[Body]) -> RenderableType:
    """Draw many, one a row."""
    drawn = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="")
    for heading in ("NAMESPACE", "NAME", "VERSION", "REGIONS", "PROOF", "SAID SO FAR", "THEN"):
        drawn.add_column(heading, overflow="fold", no_wrap=heading not in ("SAID SO FAR", "THEN"))
    for body in bodies:
        status, metadata = draw.status_of(body), body["metadata"]
        drawn.add_row(
            metadata["namespace"],
            metadata["name"],
            f"{body['spec']['definition']['name']} {body['spec']['version']['name']}",
            (status.get("replication") or {}).get("summary", ""),
            status["proof"]["digest"][:SHORT],
            _said(body),
            _then(body),
        )
    return drawn


def _said(body: Body) -> Text:
    said = verdict.spoken(body)
    if not said:
        return Text("nothing")
    shade = "red" if verdict.rejected(body) else "yellow" if said["status"] == "Unknown" else "green"
    words = {"True": "verified", "False": "REJECTED", "Unknown": "void"}[said["status"]]
    return Text(": ".join(filter(None, (words, said.get("message")))), style=shade)


def _then(body: Body) -> Text:
    terms = body["spec"].get("sourceDeletion") or {}
    if terms.get("policy") == "Retain":
        return Text("the managed image stays (policy Retain)")
    grace = terms.get("graceSeconds")
    after = f"after {grace} s of grace, " if grace else ""
    return Text(f"{after}the managed image is deleted when every guard holds", style="bold")
