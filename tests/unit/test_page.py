"""The page needs nothing else, shows every migration, and takes all that resources say for text."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from imageferry.plugin import page, timeline
from imageferry.plugin.journeys import Journey
from tests.unit.journeys import moment, read

EVIL = "<script>alert(1)</script>\"'><img src=https://evil.example/x onerror=alert(1)>&lt;"
DONE = read(replicated=10, verified=70, deleted=75, phase="Completed")
LOADING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "background"}
TAGS = {"html", "head", "meta", "title", "style", "body", "header", "section", "h1", "h2", "p", "ul", "li", "div"} | {
    *("span", "strong", "small", "b", "table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "g", "rect", "line", "path", "text"),
}


class Read(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember an element."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        """Remember text."""
        self.text += data


def _page(*journeys: Journey, scope: str = "Migrations of every namespace") -> str:
    return page.page(journeys, moment(200), scope=scope)


def _evil(**more: object) -> Journey:
    texts = ("namespace", "name", "source", "version", "phase", "regions", "verified_by", "evidence", "says")
    return replace(DONE, **dict.fromkeys(texts, EVIL), **more)  # type: ignore[arg-type]


def test_what_resources_say_is_text() -> None:
    """Every field that comes from a resource, in every place where it is shown."""
    read_ = Read(_page(_evil(), _evil(rejected=True), scope=EVIL))
    assert set(read_.tags) <= TAGS
    assert not [name for name, _ in read_.attributes if name.startswith("on")]
    assert read_.text.count(EVIL) >= 9  # heading, names, sources, versions, phases, verifiers, evidence, what is said


def test_nothing_is_loaded_and_the_page_forbids_it() -> None:
    """No script, no address that a browser would follow by itself, and a policy that lets none in."""
    text = _page(DONE, replace(DONE, phase="Stalled", deleted=None, outcome=""))
    read_ = Read(text)
    assert not LOADING & {name for name, _ in read_.attributes}
    assert "script" not in read_.tags
    assert "link" not in read_.tags
    assert "url(" not in text
    assert "@import" not in text
    policies = [value for name, value in read_.attributes if name == "content" and value and "default-src" in value]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_it_counts_and_names() -> None:
    """Tiles, those that need somebody with their message, and a row for each."""
    stalled = read(
        phase="Stalled", ready={"type": "Ready", "status": "False", "reason": "RegionFailed", "message": "no"}
    )
    text = Read(_page(DONE, replace(stalled, name="db"), replace(DONE, name="app"))).text
    for part in ("3migrations573 GB of images", "2images deleted382 GB", "Need attention (1)", "RegionFailed: no"):
        assert part in text
    assert text.count("web-2019") >= 2
    assert "1 h" in text


def test_without_migrations_there_is_a_page() -> None:
    """It says that there are none."""
    text = Read(_page()).text
    assert "0migrations" in text
    assert "All migrations (0)" in text


@pytest.mark.parametrize(("count", "named"), [(1, True), (60, True), (1000, False)])
def test_any_number_fits(count: int, *, named: bool) -> None:
    """Every way is drawn; many are thin lines on a drawing of bounded height, whose names are a tooltip."""
    journeys = [replace(read(replicated=n % 7 + 1), name=f"web-{n:04}") for n in range(count)]
    over = timeline.axis(journeys, moment(200))
    assert over
    drawn = timeline.ways(journeys, over, moment(200))
    ways = drawn.findall("g")
    assert len(ways) == count
    assert len({way.findtext("title") for way in ways}) == count
    assert bool(ways[0].findall("text")) is named
    assert float(drawn.attrib["viewBox"].split()[3]) <= 1450
    for rect in drawn.iter("rect"):
        assert timeline.LEFT - 1 <= float(rect.attrib["x"]) <= timeline.WIDTH - timeline.RIGHT + 1
    assert len(_page(*journeys)) < 2_000_000


@pytest.mark.parametrize("minutes", [0.05, 1, 90, 60 * 24, 60 * 24 * 45, 60 * 24 * 900])
def test_the_axis_has_few_ticks_at_any_span(minutes: float) -> None:
    """At most eight, all different and inside, over seconds as over years."""
    over = timeline.axis(
        [replace(DONE, created=moment(0), replicated=None, verified=None, deleted=moment(minutes))], moment(0)
    )
    assert over
    ticks = over.ticks()
    assert 1 <= len(ticks) <= 8
    assert len({words for _, words in ticks}) == len(ticks)
    assert all(timeline.LEFT <= x <= timeline.WIDTH for x, _ in ticks)
