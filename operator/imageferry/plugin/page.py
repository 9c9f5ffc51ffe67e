"""The report as one HTML page that needs nothing else: no script, no font, no picture, no request.

A content security policy in the page says the same to the browser. The page is built as a tree, so
that whatever a resource says is text.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from xml.etree import ElementTree as ET

from imageferry.plugin import timeline
from imageferry.plugin.draw import short_id
from imageferry.plugin.journeys import Journey, Standing, Step, duration, median, standing
from imageferry.plugin.timeline import element

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
WORDS = {
    Standing.COMPLETED: "completed",
    Standing.WAITING: "wait for a person",
    Standing.MOVING: "on their way",
    Standing.RESTING: "planned or suspended",
    Standing.TROUBLED: "need attention",
}
HEADINGS = (
    "Migration",
    "Source",
    "Version",
    "Phase",
    "Regions",
    "GB",
    "Verified",
    "Deleted",
    *(step.capitalize() for step in Step),
)
LEGEND = (
    (Step.REPLICATION, "replication: created to every region Completed"),
    (Step.VERIFICATION, "verification: waits for a person"),
    (Step.DELETION, "deletion: guards and grace"),
    ("troubled", "needs attention"),
    ("done", "completed"),
)


def page(journeys: Sequence[Journey], now: datetime, *, scope: str) -> str:
    """Return the page; `scope` says which migrations these are."""
    body = element("body", "", _head(now, scope), _tiles(journeys), _shares(journeys))
    if over := timeline.axis(journeys, now):
        body.append(
            _section(
                "Progress",
                timeline.progress(journeys, over),
                _keys([(kind, words) for kind, words, _ in timeline.STAGES]),
            )
        )
        body.append(_section("Timeline", timeline.ways(journeys, over, now), _keys(LEGEND)))
    troubled = [each for each in journeys if each.troubled]
    if troubled:
        body.append(_section(f"Need attention ({len(troubled)})", _troubles(troubled)))
    body.append(_section(f"All migrations ({len(journeys)})", _table(journeys)))
    html = element("html", "", _header(), body, lang="en")
    return f"<!doctype html>\n{ET.tostring(html, encoding='unicode', method='html')}\n"


def _header() -> ET.Element:
    style = resources.files("imageferry.plugin").joinpath("report.css").read_text(encoding="utf-8")
    policy = element("meta", content=POLICY)
    policy.set("http-equiv", "Content-Security-Policy")
    return element(
        "head",
        "",
        element("meta", charset="utf-8"),
        policy,
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", "Managed images into the gallery"),
        element("style", style),
    )


def _head(now: datetime, scope: str) -> ET.Element:
    made = f"{scope}; as of {now:%Y-%m-%d %H:%M} UTC; all times are UTC"
    return element("header", "", element("h1", "Managed images into the gallery"), element("p", made))


def _tiles(journeys: Sequence[Journey]) -> ET.Element:
    deleted = [each for each in journeys if each.outcome == "Deleted"]
    counts = Counter(standing(each) for each in journeys)
    tiles = [
        (f"{len(journeys):,}", "migrations", f"{_size(journeys)} of images"),
        (f"{counts[Standing.COMPLETED]:,}", "completed", _percent(counts[Standing.COMPLETED], len(journeys))),
        (f"{len(deleted):,}", "images deleted", f"{_size(deleted)} of legacy images gone"),
        (str(counts[Standing.WAITING]), "wait for a person", _half(journeys, Step.VERIFICATION)),
        (str(counts[Standing.MOVING]), "on their way", _half(journeys, Step.REPLICATION)),
        (str(counts[Standing.TROUBLED]), "need attention", "stalled, blocked or rejected"),
    ]
    drawn = [
        element("li", "", element("strong", number), element("span", words), element("small", more))
        for number, words, more in tiles
    ]
    return element("ul", "", *drawn, class_="tiles")


def _shares(journeys: Sequence[Journey]) -> ET.Element:
    counts = Counter(standing(each) for each in journeys)
    parts = [
        element("span", title=f"{counts[each]} {WORDS[each]}", class_=each.value, style=f"flex-grow:{counts[each]}")
        for each in WORDS
        if counts[each]
    ]
    return element("div", "", *parts, class_="shares")


def _keys(items: Sequence[tuple[str, str]]) -> ET.Element:
    return element("ul", "", *(element("li", words, class_=str(kind)) for kind, words in items), class_="legend")


def _section(title: str, *parts: ET.Element) -> ET.Element:
    return element("section", "", element("h2", title), *parts)


def _troubles(journeys: Sequence[Journey]) -> ET.Element:
    rows = [
        element("tr", "", _name(each), element("td", each.phase, class_=standing(each).value), element("td", each.says))
        for each in journeys
    ]
    return _rows(("Migration", "Phase", "What it says"), rows)


def _table(journeys: Sequence[Journey]) -> ET.Element:
    return _rows(HEADINGS, [_row(each) for each in journeys])


def _rows(headings: Sequence[str], rows: Sequence[ET.Element]) -> ET.Element:
    head = element("thead", "", element("tr", "", *(element("th", heading) for heading in headings)))
    table = element("table", "", head, element("tbody", "", *rows))
    return element("div", "", table, class_="scroll")


def _row(each: Journey) -> ET.Element:
    verified = element("td", each.verified_by, *_when(each.verified))
    if each.evidence:
        verified.append(element("small", each.evidence))
    return element(
        "tr",
        "",
        _name(each),
        element("td", short_id(each.source), title=each.source),
        element("td", each.version),
        element("td", "", element("span", each.phase, class_=f"badge {standing(each).value}")),
        element("td", each.regions, class_="number"),
        element("td", "" if each.size_gb is None else str(each.size_gb), class_="number"),
        verified,
        element("td", "gone already" if each.outcome == "AlreadyGone" else "", *_when(each.deleted)),
        *(element("td", duration(each.took(step)), class_="number") for step in Step),
    )


def _name(each: Journey) -> ET.Element:
    return element("td", "", element("b", each.name), element("small", each.namespace))


def _when(time: datetime | None) -> Sequence[ET.Element]:
    return [element("small", f"{time:%Y-%m-%d %H:%M}")] if time else []


def _size(journeys: Sequence[Journey]) -> str:
    total = sum(each.size_gb or 0 for each in journeys)
    return f"{total:,} GB" if total < 10_000 else f"{total / 1024:,.1f} TB"  # noqa: PLR2004 - five digits are enough


def _percent(part: int, whole: int) -> str:
    return f"{part * 100 // whole} %" if whole else ""


def _half(journeys: Sequence[Journey], step: Step) -> str:
    took = median(journeys, step)
    return f"{step}: {duration(took)} in the median" if took is not None else f"{step}: none is through yet"
