"""What a process has used, as the kernel tells."""

import os
from dataclasses import dataclass
from pathlib import Path

KIB = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Peak of the resident memory in MiB, and processor time in seconds."""

    peak_mib: float
    cpu_seconds: float


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
