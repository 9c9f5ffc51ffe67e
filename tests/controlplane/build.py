"""Finds the control plane's programs, building them once where they are not there.

First that is there: the folder that KUBEBUILDER_ASSETS names; the cached build; a Go
toolchain that builds it. The cache lies outside the checkout, one folder for each
content of the module and its flags, so a result is never stale and `git clean` costs
nothing. Two builds that start at once compile once: the second waits for the first.
A binary under its final name is whole, because it is renamed there when it is done.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.controlplane.errors import BuildError, NoControlPlaneError
from tests.controlplane.progress import Progress
from tests.controlplane.waiting import until

MODULE = Path(__file__).parent
SOURCES = ("go.mod", "go.sum", "main.go")
ASSETS = "KUBEBUILDER_ASSETS"
PARTS = ("etcd", "kube-apiserver", "kubectl")
BUILD_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}
BUILD_LIMIT_SECONDS = 3600.0

THREE_WAYS = f"""\
No Kubernetes control plane to test against. Any of these cures it:
  1. set {ASSETS} to a folder that holds {", ".join(PARTS)};
  2. keep or copy a build made elsewhere at {{cached}};
  3. put Go {{go}} or newer on the PATH: it builds one from published modules, once, in 6 to 10 minutes."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """How to call each part: the words that come before its own arguments."""

    origin: str
    etcd: tuple[str, ...]
    kube_apiserver: tuple[str, ...]
    kubectl: tuple[str, ...]


def locate(progress: Progress | None = None) -> Binaries:
    """Find the programs, building them if that is the way left; NoControlPlaneError, BuildError."""
    if assets := os.environ.get(ASSETS):
        return _from_assets(Path(assets))
    cached = cached_binary()
    if not cached.exists():
        _build_once(cached, progress or Progress())
    return _from_build(cached)


def cached_binary() -> Path:
    """Path at which the build of the present sources lies, or will."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(given) if given.startswith("/") else Path.home() / ".cache"
    return cache / "imageferry" / "controlplane" / _key() / "controlplane"


def _from_assets(folder: Path) -> Binaries:
    absent = [part for part in PARTS if not os.access(folder / part, os.X_OK)]
    if absent:
        raise NoControlPlaneError(
            f"{ASSETS} is {folder}, which has no executable {', '.join(absent)}; "
            f"name a folder that has all of {', '.join(PARTS)}, or unset it"
        )
    etcd, apiserver, kubectl = ((str(folder.resolve() / part),) for part in PARTS)
    return Binaries(f"{ASSETS}={folder}", etcd, apiserver, kubectl)


def _from_build(binary: Path) -> Binaries:
    etcd, apiserver, kubectl = ((str(binary), part) for part in PARTS)
    return Binaries(str(binary), etcd, apiserver, kubectl)


def _key() -> str:
    digest = hashlib.sha256(f"{platform.system()}/{platform.machine()} {_flags()}".encode())
    for name in SOURCES:
        content = (MODULE / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _flags() -> list[str]:
    # without its version the server calls itself v0.0.0-master, and clients complain
    version = _pinned(r"k8s\.io/kubernetes v(\S+)")
    major, minor, _ = version.split(".")
    fields = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
    stamps = [f"-X k8s.io/component-base/version.{field}={value}" for field, value in fields.items()]
    return ["-trimpath", "-buildvcs=false", "-ldflags", " ".join(["-s", "-w", *stamps])]


def _pinned(pattern: str) -> str:
    found = re.search(pattern, (MODULE / "go.mod").read_text())
    if not found:
        raise BuildError(f"{MODULE / 'go.mod'} has no line that reads `{pattern}`; restore the file")
    return found[1]


def _build_once(target: Path, progress: Progress) -> None:
    go = shutil.which("go")
    if not go:
        raise NoControlPlaneError(THREE_WAYS.format(cached=target, go=_pinned(r"\ngo (\S+)")))
    _check_toolchain(go)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(target.with_name("lock"), progress):
        if not target.exists():
            _build(go, target, progress)


@contextmanager
def _only_one(lock: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock file; the kernel lets it go when the holder dies."""
    with lock.open("w") as held:
        if not _taken(held):
            progress.say(f"another process builds the control plane; waiting for its end (it holds {lock})")
            with progress.phase(lambda: "waiting"):
                until(lambda: _taken(held), what="the other build's end", within=BUILD_LIMIT_SECONDS, every=0.2)
        yield


def _taken(held: IO[str]) -> bool:
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _build(go: str, target: Path, progress: Progress) -> None:
    progress.say("building the control plane for demo and tests (once; 6 to 10 minutes with empty caches)")
    for abandoned in target.parent.glob("partial-*"):  # by a build that was killed: its lock is ours now
        shutil.rmtree(abandoned, ignore_errors=True)
    packages = _download(go, progress)
    with tempfile.TemporaryDirectory(prefix="partial-", dir=target.parent) as folder:
        partial = Path(folder) / target.name
        _compile(go, partial, packages, progress)
        partial.replace(target)
    progress.say(f"built {target}")


def _download(go: str, progress: Progress) -> int:
    """Fetch the modules; return how many packages the program is made of."""
    modules: list[str] = []
    packages: list[str] = []
    with progress.phase(lambda: f"downloading modules: {len(modules)} new"):
        for line in _go(go, "list", "-deps", "."):
            (modules if line.startswith("go: downloading ") else packages).append(line)
    return len(packages)


def _compile(go: str, output: Path, packages: int, progress: Progress) -> None:
    seen: list[str] = []
    main = _pinned(r"module (\S+)")

    def describe() -> str:
        # packages that Go's own cache holds are not named, so the total is a bound
        step = "linking" if main in seen[-1:] else "compiling, then linking"
        return f"{step}: {len(seen)} of at most {packages} packages"

    with progress.phase(describe):
        seen.extend(_go(go, "build", "-v", *_flags(), "-o", str(output), "."))


def _go(go: str, *arguments: str) -> Iterator[str]:
    """Run Go in the module with the machine's settings; yield its lines, BuildError with the last ones."""
    environment = {**os.environ, **BUILD_ENVIRONMENT}
    last: list[str] = []
    with subprocess.Popen(
        [go, *arguments],
        cwd=MODULE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                last = [*last[-19:], line.rstrip()]
                yield line.rstrip()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise BuildError(f"`go {arguments[0]}` in {MODULE} ended with {process.returncode}:\n" + "\n".join(last))


def _check_toolchain(go: str) -> None:
    wanted = _pinned(r"\ngo (\S+)")
    found = " ".join(_go(go, "env", "GOVERSION"))
    if _release(found) < _release(wanted):
        raise BuildError(
            f"{go} is {found}; the control plane needs Go {wanted} or newer: "
            f"install it, allow GOTOOLCHAIN=auto to fetch it, or set {ASSETS}"
        )


def _release(version: str) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in found.groups()) if found else ()
