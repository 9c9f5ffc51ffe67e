"""Where benchmarks leave their figures."""

import json
from pathlib import Path
from typing import Any

LATEST = Path(__file__).with_name("out") / "latest.json"


def merge(key: str, figures: dict[str, Any]) -> None:
    """Put a benchmark's figures into the file beside those of the others."""
    LATEST.parent.mkdir(exist_ok=True)
    present = json.loads(LATEST.read_text()) if LATEST.exists() else {}
    LATEST.write_text(json.dumps(present | {key: figures}, indent=1, sort_keys=True) + "\n")
