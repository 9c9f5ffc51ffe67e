"""The report as CSV, for spreadsheets, and as Markdown, for tickets and pull requests.

What a cell says comes from resources that others write: none of it may become a formula of
a spreadsheet, or markup of a page.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime

from imageferry.plugin.draw import short_id
from imageferry.plugin.journeys import Journey, Step, duration

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$])")
SAID = 160


def as_csv(journeys: Sequence[Journey]) -> str:
    """Return all with full ids, times in UTC, and seconds for what each step took."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)  # with RFC 4180's CRLF, since only then both CR and LF are quoted in a cell
    writer.writerow(
        ["namespace", "name", "source", "version", "phase", "regions", "sizeGB", "created", "replicated"]
        + ["verified", "verifiedBy", "evidence", "deleted", "outcome"]
        + [f"{step}Seconds" for step in Step]
        + ["says"]
    )
    writer.writerows([_harmless(cell) for cell in _cells(each)] for each in journeys)
    return out.getvalue()


def as_markdown(journeys: Sequence[Journey]) -> str:
    """Return a table that people can read in its source, too."""
    headings = ["Namespace", "Name", "Source", "Version", "Phase", "Regions", "GB"]
    headings += ["Verified by", "Verified", "Deleted", *(step.capitalize() for step in Step), "Says"]
    rows = [[_plain(cell) for cell in _short_cells(each)] for each in journeys]
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def moment(time: datetime | None) -> str:
    """Write a time as Kubernetes does."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ") if time else ""


def _cells(each: Journey) -> Sequence[str]:
    took = [each.took(step) for step in Step]
    return [
        *(each.namespace, each.name, each.source, each.version, each.phase, each.regions),
        "" if each.size_gb is None else str(each.size_gb),
        *(moment(each.created), moment(each.replicated), moment(each.verified)),
        *(each.verified_by, each.evidence, moment(each.deleted), each.outcome),
        *("" if took_ is None else str(int(took_.total_seconds())) for took_ in took),
        each.says,
    ]


def _short_cells(each: Journey) -> Sequence[str]:
    said = "" if each.finished else each.says
    return [
        *(each.namespace, each.name, short_id(each.source), each.version, each.phase, each.regions),
        "" if each.size_gb is None else str(each.size_gb),
        *(each.verified_by, moment(each.verified), moment(each.deleted)),
        *(duration(each.took(step)) for step in Step),
        said if len(said) <= SAID else f"{said[:SAID]}…",
    ]


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell


def _plain(cell: str) -> str:
    """Return a cell that Markdown shows as it is."""
    return MARKUP.sub(r"\\\1", " ".join(cell.split()))
