"""Nothing is left in the temporary folder, also when a process had no time to clean up."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.controlplane import until

ROOT = Path(__file__).parents[2]
MAKES_FILES = """
import subprocess, sys, tempfile, time
from tests import temporary
with temporary.contained("trial"):
    tempfile.mkstemp()
    tempfile.mkdtemp(prefix="imageferry-simulator-")
    child = subprocess.run([sys.executable, "-c", "import tempfile; tempfile.mkstemp()"], check=True)
    print("made", flush=True)
    if sys.argv[1] == "stay":
        time.sleep(60)
"""


@pytest.mark.parametrize(("words", "code"), [(["end"], 0), (["stay"], -signal.SIGKILL)])
def test_what_a_process_and_its_children_make_goes_with_it(tmp_path: Path, words: list[str], code: int) -> None:
    """Whether it ends or is killed."""
    command = [sys.executable, "-c", MAKES_FILES, *words]
    with subprocess.Popen(
        command, cwd=ROOT, env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}, stdout=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stdout.readline() == b"made\n"
        if code:
            (folder,) = tmp_path.iterdir()
            assert len(list(folder.iterdir())) == 4, "the log of its minder, and what was made"
            running.send_signal(signal.SIGKILL)
        assert running.wait(30) == code
    until(lambda: not list(tmp_path.iterdir()), what="an empty folder")
