"""CSV that no spreadsheet runs, and Markdown that shows what was written."""

import csv
import io
from dataclasses import replace

import pytest

from imageferry.plugin import tabular
from tests.unit import build
from tests.unit.journeys import EVIDENCE, read, stamp

DONE = read(replicated=10, verified=70, deleted=75, phase="Completed")


def test_csv_has_a_row_for_each_with_full_ids_and_seconds() -> None:
    """As a program reads it back."""
    (row,) = csv.DictReader(io.StringIO(tabular.as_csv([DONE])))
    assert row == {
        "namespace": "platform",
        "name": "web-2019",
        "source": build.IMAGE_ID,
        "version": "web 1.0.0",
        "phase": "Completed",
        "regions": "",
        "sizeGB": "191",
        "created": stamp(0),
        "replicated": stamp(10),
        "verified": stamp(70),
        "verifiedBy": "vera",
        "evidence": EVIDENCE,
        "deleted": stamp(75),
        "outcome": "Deleted",
        "replicationSeconds": "600",
        "verificationSeconds": "3600",
        "deletionSeconds": "300",
        "says": "",
    }


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", " ="])
def test_no_cell_is_a_formula(first: str) -> None:
    """A verifier's name and evidence are free text; the cell keeps it behind an apostrophe."""
    evil = f"{first}cmd|' /C calc'!A0"
    text = tabular.as_csv([replace(DONE, verified_by=evil, evidence=evil, says=evil)])
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert {row["verifiedBy"], row["evidence"], row["says"]} == {f"'{evil}"}


def test_quotes_and_lines_stay_in_their_cell() -> None:
    """What is in a cell never becomes a row or a column."""
    said = 'a "b", c\nd;e'
    (row,) = csv.DictReader(io.StringIO(tabular.as_csv([replace(DONE, says=said)]), newline=""))
    assert row["says"] == said


def test_markdown_is_a_table_whose_cells_are_plain() -> None:
    """Neither markup nor HTML nor a further column comes out of a message; what is finished says nothing."""
    evil = "<script>alert(1)</script> | [a](javascript:x) `b`\n# c"
    heading, rule, stalled, done = tabular.as_markdown(
        [replace(DONE, phase="Stalled", says=evil), replace(DONE, says=evil)]
    ).splitlines()
    columns = heading.count("|")
    assert rule.count("|") == columns
    assert stalled.replace("\\|", "").count("|") == columns
    assert stalled.endswith(r"\<script\>alert\(1\)\</script\> \| \[a\]\(javascript:x\) \`b\` \# c |")
    assert "alert" not in done
