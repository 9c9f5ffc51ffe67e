"""`imageferry`: the operator, the simulator and the CRDs, each a command."""

import typer

from imageferry.cli.crds import crds
from imageferry.cli.errors import errors, findings
from imageferry.cli.operator import operator
from imageferry.simulator.command import simulator

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Moves Azure managed images into a gallery.")
app.command()(operator)
app.command()(simulator)
app.command()(crds)
app.command()(errors)
app.command()(findings)


def main() -> None:
    """Run the command line."""
    app()
