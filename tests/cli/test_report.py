"""`report` and `receipt`: what was done, for those who were not there."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Plugin, Put
from tests.manifests import Json, image_id

EVIL = "<script>alert(1)</script>"
RECEIPT: Json = {
    "outcome": "Deleted",
    "resource": image_id("web"),
    "at": "2040-05-03T00:00:00Z",
    "digest": f"v1:sha256:{'ab' * 32}",
    "source": {"id": image_id("web"), "location": "westeurope", "sizeGB": 191, "fingerprint": "v1:sha256:f"},
    "version": {"id": "/v", "publishedDate": "2026-05-01T08:00:00.1234567+00:00"},
    "verification": {"by": "vera", "at": "2040-05-02T00:00:00Z", "method": "Person", "evidence": "=cmd()"},
    "identity": {"tenantId": "t", "clientId": "c", "objectId": "o"},
    "requestedAt": "2040-05-02T23:59:00Z",
    "correlationId": "11111111-2222-3333-4444-555555555555",
}
GUARDS = [{"name": "PolicyAllows", "passed": True, "message": "sourceDeletion.policy is Delete"}]


@pytest.fixture
def two(put: Put) -> list[Json]:
    """Put one that is completed, and one that is stalled with markup in its message."""
    done = {"phase": "Completed", "deletion": {"receipt": RECEIPT, "guards": GUARDS}}
    ready = {"type": "Ready", "status": "False", "reason": "RegionFailed", "message": EVIL}
    return [
        put("web", done, labels={"wave": "1"}),
        put("db", {"phase": "Stalled", "conditions": [ready], "replication": {"summary": "1/2"}}),
    ]


def test_a_receipt_is_printed_as_it_is_kept(two: list[Json], plugin: Plugin, namespace: str) -> None:
    """With the names of the migration and the guards as they were; JSON unless YAML is asked for."""
    migration = {"namespace": namespace, "name": "web", "uid": two[0]["metadata"]["uid"]}
    wanted = {"migration": migration, **RECEIPT, "guards": GUARDS}
    assert json.loads(plugin("receipt", "web").stdout) == wanted
    assert yaml.safe_load(plugin("receipt", "web", "-o", "yaml").stdout) == wanted


def test_without_a_receipt_the_phase_is_told(two: list[Json], plugin: Plugin) -> None:
    """An error, since there is nothing to archive."""
    del two
    done = plugin("receipt", "db")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no receipt, as its managed image is not known to be gone; its phase is Stalled" in done.stderr


def test_csv_goes_to_standard_output(two: list[Json], plugin: Plugin) -> None:
    """One row each, without a formula, from what the API server has."""
    rows = list(csv.DictReader(io.StringIO(plugin("report", "--format", "csv").stdout)))
    assert [(row["name"], row["phase"]) for row in rows] == [("db", "Stalled"), ("web", "Completed")]
    assert rows[0]["says"] == f"RegionFailed: {EVIL}"
    assert rows[1]["created"] == two[0]["metadata"]["creationTimestamp"]
    assert (rows[1]["deleted"], rows[1]["verifiedBy"], rows[1]["evidence"]) == (RECEIPT["at"], "vera", "'=cmd()")


def test_markdown_is_the_default(two: list[Json], plugin: Plugin) -> None:
    """A table; labels select."""
    del two
    lines = plugin("report").stdout.splitlines()
    assert len(lines) == 4
    assert r"RegionFailed: \<script\>alert\(1\)\</script\>" in lines[2]
    assert [line.split(" | ")[1] for line in plugin("report", "-l", "wave=1").stdout.splitlines()[2:]] == ["web"]


def test_html_goes_into_a_file(two: list[Json], plugin: Plugin, tmp_path: Path, namespace: str) -> None:
    """Text of a message stays text; the file is whole, and standard error says how many are in it."""
    del two
    path = tmp_path / "report.html"
    done = plugin("report", "--format", "html", "--output", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"{path}: 2 migrations\n")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>\n<html")
    assert text.rstrip().endswith("</html>")
    assert EVIL not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert f"Migrations of namespace {namespace}" in text


def test_all_namespaces(two: list[Json], plugin: Plugin, namespace: str) -> None:
    """-A has those of the others, too."""
    del two
    rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(plugin("report", "-A", "--format", "csv").stdout)))
    assert {row["name"] for row in rows if row["namespace"] == namespace} == {"web", "db"}


def test_a_file_that_cannot_be_written_is_named(two: list[Json], plugin: Plugin, tmp_path: Path) -> None:
    """One line, exit code 1."""
    del two
    path = tmp_path / "none" / "report.html"
    done = plugin("report", "--format", "html", "--output", str(path))
    assert done.returncode == 1
    assert done.stderr == f"error: --output {path}: No such file or directory; choose another file\n"
