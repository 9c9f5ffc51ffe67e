"""A temporary folder for this process and all that it starts, which goes when this process ends, however it ends.

What is killed cannot clean up: an operator leaves the certificate and key of its kubeconfig (the Kubernetes client
writes them to files), a simulator in a test's process its CA. A minder outlives us for as long as removing them takes.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane import process


@contextmanager
def contained(name: str) -> Iterator[Path]:
    """Have the folder made and used inside the block."""
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    folder = Path(tempfile.mkdtemp(prefix=f"imageferry-{name}-"))
    minded = process.start(["sleep", "infinity"], name="temporary", log=folder / "minder.log", remove=folder)
    _use(None, str(folder))
    try:
        yield folder
    finally:
        _use(*before)
        minded.kill()


def _use(folder: str | None, variable: str | None) -> None:
    tempfile.tempdir = folder
    if variable is None:
        os.environ.pop("TMPDIR", None)
    else:
        os.environ["TMPDIR"] = variable
