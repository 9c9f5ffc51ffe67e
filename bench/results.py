"""Where results are kept: one file with a part for each benchmark, the latest of each."""

import json
from pathlib import Path
from typing import Any

LATEST = Path(__file__).with_name("out") / "latest.json"


def keep(name: str, result: dict[str, Any]) -> None:
    """Replace one benchmark's part."""
    LATEST.parent.mkdir(exist_ok=True)
    known = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    LATEST.write_text(json.dumps(known | {name: result}, indent=1, sort_keys=True) + "\n")
