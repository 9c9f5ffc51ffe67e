"""The live view: one block a migration, one bar a region; on a log file a line for each change."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from imageferry.plugin.draw import SHADES, bar

Migration = dict[str, Any]


class View:
    """Shows migrations as they move."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._said: dict[str, str] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Show until the block ends."""
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, refresh_per_second=8) as self._live:
            yield

    def update(self, migrations: Sequence[Migration]) -> None:
        """Show how they stand."""
        if self._live:
            self._live.update(Group(*(_block(each) for each in migrations)))
            return
        for each in migrations:
            line = _line(each)
            name = each["metadata"]["name"]
            if self._said.get(name) != line:
                self._said[name] = line
                self._console.print(line, highlight=False)


def _block(migration: Migration) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(migration["metadata"]["name"], style="bold"), Text(_phase(migration), style="cyan"), "", "")
    for region in _regions(migration):
        shade = SHADES.get(region["state"], "white")
        table.add_row(f"  {region['name']}", Text(bar(region.get("progress", 0)), style=shade), region["state"], "")
    return table


def _line(migration: Migration) -> str:
    name, phase = migration["metadata"]["name"], _phase(migration)
    regions = " ".join(
        f"{region['name']} {bar(region.get('progress', 0), 10)} {region['state']}" for region in _regions(migration)
    )
    return f"    {name:12} {phase:20} {regions}".rstrip()


def _phase(migration: Migration) -> str:
    return str(migration.get("status", {}).get("phase", "Pending"))


def _regions(migration: Migration) -> list[dict[str, Any]]:
    regions: list[dict[str, Any]] = migration.get("status", {}).get("replication", {}).get("regions", [])
    return regions
