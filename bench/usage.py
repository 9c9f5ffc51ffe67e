"""What a process has used, as the kernel tells."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

KIB = 1024
NANOSECONDS = 1e9
SAMPLE_SECONDS = 1.0
BUSY = 0.9
"""The part of a second from which on a thread counts as busy."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Peak of the resident memory in MiB, and processor time in seconds."""

    peak_mib: float
    cpu_seconds: float


class Busy:
    """For how many seconds one of some processes had a thread that ran or waited for a processor all the time.

    A faster machine would have been further by then; while all of them are idle, no machine would.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="busy", daemon=True)
        self.seconds = dict.fromkeys(pids, 0.0)
        """By the name of the process."""
        self.any = 0.0
        """In which at least one of them was busy."""

    def __enter__(self) -> Self:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        before = {name: _threads(pid) for name, pid in self._pids.items()}
        while not self._ended.wait(SAMPLE_SECONDS):
            now = {name: _threads(pid) for name, pid in self._pids.items()}
            busy = {
                name
                for name, threads in now.items()
                if any(used - before[name].get(tid, used) >= BUSY * SAMPLE_SECONDS for tid, used in threads.items())
            }
            for name in busy:
                self.seconds[name] += SAMPLE_SECONDS
            self.any += SAMPLE_SECONDS * bool(busy)
            before = now


def _threads(pid: int) -> dict[str, float]:
    """Return the seconds that each thread of a process ran or waited for a processor."""
    found = {}
    for path in (Path("/proc") / str(pid) / "task").glob("*/schedstat"):
        try:
            ran, waited, _ = path.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found[path.parent.name] = (int(ran) + int(waited)) / NANOSECONDS
    return found


def of_child(parent: int) -> Usage:
    """Return what the child of a process (a minder has one) has used so far."""
    child = next(int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == parent)
    return of(child)


def of(pid: int) -> Usage:
    """Return what a process has used so far."""
    status = (Path("/proc") / str(pid) / "status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    user, system = _fields(Path("/proc") / str(pid) / "stat")[11:13]
    return Usage(round(peak / KIB, 1), (int(user) + int(system)) / os.sysconf("SC_CLK_TCK"))


def _parent(stat: Path) -> int:
    try:
        return int(_fields(stat)[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _fields(stat: Path) -> list[str]:
    """Return the fields behind the name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()
