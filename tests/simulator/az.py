"""The az CLI, unchanged, in a virtual environment of its own.

It is installed once, outside the checkout, from a lock file whose hash names the folder; a run that is cut leaves
no half installation, since the folder gets its name only when it is whole.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[2] / "requirements-az.lock"
SECONDS = 120
"""No call takes longer; each test lets the simulated work end at once."""


def installed() -> Path:
    """Give the interpreter that has az, after installing it where it is missing."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "imageferry" / f"az-{digest}"
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix="az-", dir=home.parent))
        try:
            _install(building)
            building.rename(home)
        except OSError:
            if not home.is_dir():
                raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    return home / "bin" / "python"


def _install(home: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, home], check=True)
    python = home / "bin" / "python"
    install: list[str | Path] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--require-hashes",
        "--compile-bytecode",
    ]
    subprocess.run([*install, "-r", LOCK], check=True)


class AzError(Exception):
    """az ended with an error; the text is what it said."""


@dataclass(frozen=True)
class Az:
    """az with a configuration of its own; `environment` has what leads it to the simulator."""

    python: Path
    home: Path
    ca_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Mapping[str, str]:
        """What leads az to the simulator and away from whoever runs the test."""
        return {
            "AZURE_CONFIG_DIR": str(self.home),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_INSTANCE_DISCOVERY": "false",
            "AZURE_CORE_ONLY_SHOW_ERRORS": "yes",
            "REQUESTS_CA_BUNDLE": str(self.ca_file),
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            **self.environment,
        }

    def __call__(self, *arguments: str, **environment: str) -> Any:
        """Run a command; gives its decoded output, None when there is none. AzError when it fails."""
        ran = subprocess.run(
            [self.python, "-Im", "azure.cli", *arguments, "--output", "json"],
            env={**self.settings, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if ran.returncode:
            raise AzError(ran.stderr)
        return json.loads(ran.stdout) if ran.stdout.strip() else None
