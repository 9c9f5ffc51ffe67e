"""All recorded traffic, request by request, against the simulator; and that the comparison can fail."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.conftest import Reply
from tests.simulator.deviations import DEVIATIONS, Difference, accepted
from tests.simulator.recordings import Row, read
from tests.simulator.replay import Outcome, main, replay
from tests.simulator.replayed import differences

TRACES = Path("shared/reference/arm-traces")
MANUAL = Path(__file__).parents[2] / "docs" / "simulator.md"


def recorded(name: str = "arm-traces.jsonl") -> Path:
    """Give the file of recordings; skips where it is not at hand."""
    given = os.environ.get("IMAGEFERRY_ARM_TRACES")
    path = (Path(given).parent if given else Path(__file__).parents[3] / TRACES) / name
    if not path.is_file():
        pytest.skip("recorded Azure traffic is not here; set IMAGEFERRY_ARM_TRACES to arm-traces.jsonl")
    return path


async def test_every_recorded_sequence() -> None:
    """All recorded requests about galleries, definitions, versions and images get the recorded answers."""
    outcome = Outcome()
    await replay(read(recorded()), outcome)
    assert not outcome.differing, "\n".join(outcome.differing)
    assert (outcome.replayed, outcome.agreed) == (711, 711)
    assert set(outcome.excused) == {kind.name for kind in DEVIATIONS}, "a kind that excuses nothing"


def test_the_command_says_how_many_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """`make replay` ends with the count, and 0."""
    assert main([str(recorded()), "--only", "test_gallery_e2e"]) == 0
    assert capsys.readouterr().out.endswith("replayed 40, agreed 40\n")


def test_the_command_fails_on_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording that says otherwise is listed, and the exit code is 1."""
    rows = [json.loads(line) for line in recorded().read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if "test_architecture" in row["source_recording"]]
    rows[-1]["response_body"] = rows[-1]["response_body"].replace('"architecture": "', '"architecture": "not-')
    changed = tmp_path / "changed.jsonl"
    changed.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main([str(changed)]) == 1
    out = capsys.readouterr().out
    assert "body.properties.architecture: 'x64', recorded 'not-x64'" in out
    assert out.endswith("replayed 6, agreed 5\n")


def test_the_command_refuses_an_empty_replay(tmp_path: Path) -> None:
    """A file in which nothing is replayed is no success."""
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    assert main([str(tmp_path / "empty.jsonl")]) == 2


ROW = Row(
    recording="r",
    seq=1,
    method="GET",
    path="/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/a",
    query="api-version=2024-03-03",
    request_body=None,
    status=200,
    headers={"content-type": "application/json; charset=utf-8"},
    text='{\r\n  "name": "a",\r\n  "location": "westus"\r\n}',
    when=None,  # type: ignore[arg-type]  # no comparison looks at it
)


@pytest.mark.parametrize(
    ("where", "status", "headers", "text"),
    [
        pytest.param("status", 404, {}, "{}", id="status"),
        pytest.param("headers.location", 200, {"Location": "https://x/subscriptions/s/y"}, ROW.text, id="header"),
        pytest.param("body.(keys)", 200, {}, '{\r\n  "location": "westus",\r\n  "name": "a"\r\n}', id="order"),
        pytest.param("body.location", 200, {}, ROW.text.replace("westus", "West US"), id="value"),
        pytest.param("layout", 200, {}, '{"name": "a", "location": "westus"}', id="layout"),
        pytest.param("body", 200, {}, "", id="empty"),
    ],
)
def test_the_comparison_sees(where: str, status: int, headers: dict[str, str], text: str) -> None:
    """Status, headers, order, values, casing and layout are compared."""
    reply = Reply(status, {"Content-Type": "application/json; charset=utf-8", **headers}, text)
    assert [each.where for each in differences(ROW, reply)] == [where]


@pytest.mark.parametrize(
    ("where", "there", "found"),
    [
        pytest.param("body.name", "a", "b", id="another value"),
        pytest.param("body.identifier.uniqueName", "x-Y", "", id="no unique name"),
        pytest.param("body.value.0.id", "/resourceGroups/G/a", "/resourceGroups/g/b", id="another resource"),
        pytest.param(
            "headers.x-ms-ratelimit-remaining-resource", ["Microsoft.Compute/GetGallery3Min"], [""], id="limit"
        ),
        pytest.param("headers.location", "subscriptions/*/a?api-version", "subscriptions/*/b?api-version", id="url"),
    ],
)
def test_no_deviation_covers(where: str, there: Any, found: Any) -> None:
    """What is accepted is narrow."""
    assert accepted(replace(ROW, path=f"{ROW.path}s"), Difference(where, there, found)) is None


def test_the_manual_lists_every_deviation() -> None:
    """Each accepted kind stands in docs/simulator.md, and there are at most twenty."""
    manual = MANUAL.read_text(encoding="utf-8")
    assert [kind.name for kind in DEVIATIONS if f"| {kind.name} |" not in manual] == []
    assert len(DEVIATIONS) <= 20
