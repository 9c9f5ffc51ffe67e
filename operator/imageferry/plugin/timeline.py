"""Two drawings of many migrations over one axis of time: how many have come how far, and each one's way.

SVG that takes its colors from the page. Any number fits: rows get thinner, and lose their names, as they
get more. Elements are built as a tree, so that no text of a resource can become markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from imageferry.plugin.journeys import Journey, Standing, duration, standing

WIDTH, LEFT, RIGHT, AXIS = 1200, 150, 12, 26
HEIGHT = 220
TALLEST, THINNEST, ROOM = 20.0, 1.4, 900.0
NAMED = 11.0
"""Rows of this height carry their names."""
LETTERS = 20
TICKS = 7
STEPS = [timedelta(seconds=s) for s in (1, 5, 15, 60, 300, 900, 3600, 10_800, 21_600, 43_200)]
STEPS += [timedelta(days=d) for d in (1, 2, 7, 14, 28, 91, 182, 364)]
STAGES: Sequence[tuple[str, str, Callable[[Journey], datetime | None]]] = (
    ("replication", "in replication", lambda each: each.created),
    ("verification", "wait for a person", lambda each: each.replicated or each.verified or each.deleted),
    ("deletion", "verified", lambda each: each.verified or each.deleted),
    ("done", "image gone", lambda each: each.deleted),
)
"""Class, words and beginning of what the areas show, each drawn over the one before."""


def element(tag: str, text: str = "", *children: ET.Element, **attributes: str | float) -> ET.Element:
    """Return an element; a trailing underscore keeps an attribute's name from being Python's."""
    made = ET.Element(tag, {_name(name): _written(value) for name, value in attributes.items()})
    made.text = text or None
    made.extend(children)
    return made


@dataclass(frozen=True, slots=True)
class Axis:
    """Time from left to right."""

    begin: datetime
    end: datetime

    def at(self, time: datetime) -> float:
        """Return where a time is."""
        share = (time - self.begin) / (self.end - self.begin)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> Sequence[tuple[float, str]]:
        """Return places and words of the ticks: round times in UTC."""
        step = next((each for each in STEPS if (self.end - self.begin) / each <= TICKS), STEPS[-1])
        form = (
            "%Y-%m-%d" if step >= timedelta(days=1) else "%m-%d %H:%M" if step >= timedelta(minutes=1) else "%H:%M:%S"
        )
        epoch = datetime(2001, 1, 1, tzinfo=UTC)  # a Monday
        tick, found = epoch + ((self.begin - epoch) // step + 1) * step, list[tuple[float, str]]()
        while tick < self.end:
            found.append((self.at(tick), tick.strftime(form)))
            tick += step
        return found


def axis(journeys: Sequence[Journey], now: datetime) -> Axis | None:
    """Return an axis over all milestones, to now while something is open; None when there is nothing to draw."""
    times = [time for each in journeys for time in (each.created, each.replicated, each.verified, each.deleted) if time]
    if not times:
        return None
    open_ = any(not each.finished for each in journeys)
    begin, end = min(times), max([*times, *([now] if open_ else [])])
    return Axis(begin, max(end, begin + timedelta(seconds=10)))


def progress(journeys: Sequence[Journey], over: Axis) -> ET.Element:
    """Draw how many had reached each milestone at any time."""
    most = len(journeys)
    drawn = _svg("progress", HEIGHT + AXIS, "How many migrations had come how far, over time")
    _grid(drawn, over, HEIGHT)
    for count in sorted({0, most // 2, most}):
        y = _height(count, most)
        drawn.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        drawn.append(element("text", str(count), x=LEFT - 8, y=y + 4, class_="end"))
    for kind, words, milestone in STAGES:
        times = sorted(time for each in journeys if (time := milestone(each)))
        path = _steps(times, over, most)
        area = element("path", d=path, class_=kind)
        area.append(element("title", f"{words}, or further: {len(times)} of {most}"))
        drawn.append(area)
    return drawn


def ways(journeys: Sequence[Journey], over: Axis, now: datetime) -> ET.Element:
    """Draw a row for each, in the order of their creation."""
    row = min(max(ROOM / max(len(journeys), 1), THINNEST), TALLEST)
    height = row * len(journeys)
    drawn = _svg("ways", height + AXIS, "The way of each migration, over time")
    _grid(drawn, over, height)
    for number, each in enumerate(sorted(journeys, key=lambda each: (each.created or over.begin, each.name))):
        drawn.append(_way(each, over, now, top=number * row, row=row))
    return drawn


def _way(each: Journey, over: Axis, now: datetime, *, top: float, row: float) -> ET.Element:
    group, spans = element("g", class_="way"), each.spans(now)
    told = "; ".join(f"{span.step} {duration(span.took)}{' so far' if span.open else ''}" for span in spans)
    group.append(element("title", f"{each.namespace}/{each.name}, {each.phase}. {told}"))
    if row >= NAMED:
        name = each.name if len(each.name) <= LETTERS else f"{each.name[: LETTERS - 1]}…"
        group.append(element("text", name, x=LEFT - 8, y=top + row / 2 + 4, class_="end"))
    thick = row * (0.62 if row >= NAMED else 1.0)
    for span in spans:
        begin, end = over.at(span.begin), over.at(span.end)
        trouble = span.open and standing(each) is Standing.TROUBLED
        kind = f"{'troubled' if trouble else span.step}{' open' if span.open else ''}"
        y, width = top + (row - thick) / 2, max(end - begin, 0.8)
        group.append(element("rect", x=begin, y=y, width=width, height=thick, class_=kind))
    if each.finished and spans:
        group.append(element("rect", x=over.at(spans[-1].end) - 1, y=top, width=2, height=row, class_="done"))
    return group


def _grid(drawn: ET.Element, over: Axis, height: float) -> None:
    for x, words in over.ticks():
        drawn.append(element("line", x1=x, x2=x, y1=0, y2=height, class_="grid"))
        drawn.append(element("text", words, x=x, y=height + 17, class_="middle"))


def _steps(times: Sequence[datetime], over: Axis, most: int) -> str:
    bottom = _height(0, most)
    path = [f"M{LEFT} {bottom:g}"]
    for count, time in enumerate(times, start=1):
        path.append(f"H{over.at(time):.1f}V{_height(count, most):.1f}")
    return "".join([*path, f"H{WIDTH - RIGHT}V{bottom:g}Z"])


def _height(count: int, most: int) -> float:
    return 10 + (HEIGHT - 10) * (1 - count / max(most, 1))


def _svg(kind: str, height: float, label: str) -> ET.Element:
    return element("svg", viewBox=f"0 0 {WIDTH} {height:.0f}", class_=kind, role="img", aria_label=label)


def _name(attribute: str) -> str:
    return attribute.rstrip("_").replace("_", "-")


def _written(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
