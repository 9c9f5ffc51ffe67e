"""Run one command that must not outlive the process that wanted it.

Run by path, as a process of its own: `python -I -S minder.py [--remove FOLDER] COMMAND…`.
Its standard input is a pipe that only the wanting process holds. A byte on it means: stop
in good order. Its end, which the kernel brings about even on SIGKILL, means: kill at once.

PR_SET_PDEATHSIG alone would not do in the wanting process: it fires when the *thread* that
forked ends, and pytest plugins and asyncio fork from threads. Here it is safe, because the
one thread that forks lives as long as the process; it covers a SIGKILL of the minder itself.

Standard library only, and no import of the project: it starts in 30 ms.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

GRACE_SECONDS = 5.0
"""A kube-apiserver whose etcd is gone would take 40 s; data is thrown away, so it may be killed."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def main(arguments: list[str]) -> int:
    """Run the command until it ends or is not wanted any more; return its exit code."""
    folder = Path(arguments[1]) if arguments[0] == "--remove" else None
    command = arguments[2:] if folder else arguments
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_die_with_minder,  # noqa: PLW1509 - no thread runs yet
    )
    threading.Thread(target=_stop_when_told, args=(child,), daemon=True).start()
    code = child.wait()
    if folder:
        _remove(folder)
    return code


def _die_with_minder() -> None:
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _stop_when_told(child: subprocess.Popen[bytes]) -> None:
    # os.read, not sys.stdin: a buffered reader that is blocked at exit aborts the interpreter
    if os.read(0, 1):
        _signal(child, signal.SIGTERM)
        try:
            child.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        else:
            return
    _signal(child, signal.SIGKILL)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if child.poll() is None:
        os.killpg(child.pid, number)


def _remove(folder: Path) -> None:
    """Remove the folder even while a sibling that is being killed still writes to it."""
    deadline = time.monotonic() + GRACE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
