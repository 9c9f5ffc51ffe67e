"""A background process that ends when it is told to, or when this process does.

Each runs under a minder (see there), which owns it, reaps it and outlives nobody.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MINDER = Path(__file__).with_name("minder.py")
STOP_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Minded:
    """One command under its minder, with its output in `log`."""

    name: str
    log: Path
    minder: subprocess.Popen[bytes]

    @property
    def ended(self) -> bool:
        """Whether the command is gone."""
        return self.minder.poll() is not None

    @property
    def exit_code(self) -> int | None:
        """The command's, once it is gone."""
        return self.minder.poll()

    def pids(self) -> list[int]:
        """Return the command's process id, alone in the list; nothing when it is gone."""
        if self.ended:
            return []
        children = Path(f"/proc/{self.minder.pid}/task/{self.minder.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command itself, its minder's one child; nothing when it is gone."""
        for pid in self.pids():
            os.kill(pid, number)

    def tail(self, lines: int = 15) -> str:
        """Return the end of the log, for an error message."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """Stop the command in good order and wait until it is gone."""
        self._end(b"t")

    def kill(self) -> None:
        """SIGKILL the command and wait until it is gone."""
        self._end(b"")

    def _end(self, order: bytes) -> None:
        try:
            self.minder.communicate(order, timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.minder.kill()
            self.minder.communicate()


def start(
    command: Sequence[str],
    *,
    name: str,
    log: Path,
    remove: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Minded:
    """Start a command; `remove` names a folder that goes when it has ended, `env` replaces the environment."""
    folder = ["--remove", str(remove)] if remove else []
    with log.open("ab") as output:
        minder = subprocess.Popen(
            [sys.executable, "-I", "-S", str(MINDER), *folder, *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=env,
            start_new_session=True,  # Ctrl-C is for us: it must not stop etcd before kube-apiserver
        )
    return Minded(name, log, minder)
