"""`python -m imageferry.simulator`."""

import typer

from imageferry.simulator.command import simulator

if __name__ == "__main__":
    typer.run(simulator)
