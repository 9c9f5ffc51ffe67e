"""`imageferry simulator`: the simulator as a process.

It prints one line when it answers requests, and nothing else on its standard output, so that a script can wait for it.
"""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from imageferry.simulator.seed import SeedError
from imageferry.simulator.server import SimulatorServer


def simulator(  # noqa: PLR0913 -- one parameter an option
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8443,
    directory: Annotated[
        Path | None, typer.Option(help="Where ca.pem is written; by default a temporary directory.", show_default=False)
    ] = None,
    seed: Annotated[Path | None, typer.Option(help="YAML file: what exists at the start.", show_default=False)] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="Simulated seconds per second.")] = 1.0,
    name: Annotated[
        list[str] | None, typer.Option(help="Further host name of the certificate; repeatable.", show_default=False)
    ] = None,
    page_size: Annotated[int, typer.Option(min=1, help="Items per page of a list.")] = 50,
) -> None:
    """Simulate Azure Compute: Resource Manager, a token endpoint and a control API over HTTPS."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        server = SimulatorServer(
            seed, speed=speed, port=port, host=host, page_size=page_size, directory=directory, names=name or ()
        ).start()
    except SeedError as error:
        raise typer.BadParameter(str(error), param_hint="--seed") from error
    except OSError as error:
        typer.echo(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another --port, or 0 for a free one", err=True
        )
        raise typer.Exit(1) from error
    typer.echo(f"simulator ready: {server.url} ca={server.ca_file}")
    stopping.wait()
    server.stop()
