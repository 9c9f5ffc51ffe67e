"""`python -m tests.controlplane build` and `… run`: the control plane without pytest."""

import shlex
import signal
import sys
from contextlib import suppress

from tests.controlplane.build import locate
from tests.controlplane.errors import ControlPlaneError
from tests.controlplane.server import ControlPlane

USAGE = """\
usage: python -m tests.controlplane COMMAND

  build   find or build the programs and print where they are
  run     run a control plane until Ctrl-C and print how to reach it
"""


def main(words: list[str]) -> int:
    """Run the command; 0 done, 1 it failed, 2 it was not understood, 130 it was interrupted."""
    command = {"build": build, "run": run}.get(" ".join(words))
    if not command:
        sys.stderr.write(USAGE)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
        signal.signal(number, signal.default_int_handler)
    try:
        command()
    except ControlPlaneError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def build() -> None:
    """Find the programs, building them where needed."""
    _print(f"control plane: {locate().origin}")


def run() -> None:
    """Run a control plane in the foreground."""
    with suppress(KeyboardInterrupt), ControlPlane() as plane:
        _print(f"control plane: {plane.url}, everything it writes lies in {plane.home}")
        for name in ("KUBECONFIG", "KUBECACHEDIR"):
            _print(f"export {name}={shlex.quote(plane.kubectl_environment()[name])}")
        _print(f"{shlex.quote(str(plane.bin_dir / 'kubectl'))} get namespaces")
        _print("Ctrl-C stops it and removes its folder")
        signal.pause()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
