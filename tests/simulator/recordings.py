"""Recorded traffic as rows, in the order in which it was recorded."""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

SERVED = re.compile(
    r"/subscriptions/[^/]+(/resourceGroups/[^/]+)?/providers/Microsoft\.Compute/"
    r"(images(/[^/]+)?|galleries(/[^/]+(/share|/images(/[^/]+(/versions(/[^/]+)?)?)?)?)?"
    r"|locations/[^/]+/(caps)?operations/[^/]+)",
    re.IGNORECASE,
)
"""What the replay is about: galleries, definitions, versions, managed images, and their operations."""


@dataclass(frozen=True)
class Row:
    """One recorded request with its answer."""

    recording: str
    seq: int
    method: str
    path: str
    query: str
    request_body: str | None
    status: int
    headers: dict[str, str]
    text: str
    when: datetime

    @property
    def operation(self) -> str:
        """Name of the operation that the answer speaks of; empty when it speaks of none."""
        return self.headers.get("azure-asyncoperation", "").partition("?")[0].rpartition("/")[2]

    @property
    def body(self) -> Any:
        """The decoded answer; None when it is empty."""
        return json.loads(self.text) if self.text else None

    @property
    def sent(self) -> Any:
        """The decoded request; empty when there was none."""
        return json.loads(self.request_body) if self.request_body else {}


def read(file: Path) -> dict[str, list[Row]]:
    """Give the rows by recording; those about other things, and polls of their operations, are left out."""
    sequences: dict[str, list[Row]] = {}
    with file.open(encoding="utf-8") as lines:
        for row in map(_row, map(json.loads, lines)):
            sequences.setdefault(row.recording, []).append(row)
    return {name: kept for name, rows in sequences.items() if (kept := _ours(rows))}


def _ours(rows: list[Row]) -> list[Row]:
    served = [row for row in rows if SERVED.fullmatch(row.path)]
    known = {row.operation for row in served if row.operation}
    return [row for row in served if "perations/" not in row.path or row.path.rpartition("/")[2] in known]


def _row(found: dict[str, Any]) -> Row:
    return Row(
        recording=found["source_recording"].partition(":")[2].removesuffix(".yaml"),
        seq=found["seq"],
        method=found["method"],
        path=found["path"],
        query=found["query"],
        request_body=found["request_body"],
        status=found["status"],
        headers=found["response_headers"],
        text=found["response_body"] or "",
        when=parsedate_to_datetime(found["date"]),
    )
