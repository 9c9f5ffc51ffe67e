"""Recorded traffic against the simulator: `python -m tests.simulator.replay FILE`, FILE like arm-traces.jsonl.

Every recorded request about galleries, definitions, versions and managed images is sent again, in order, at the
recorded pace; status, headers that clients act on, and bodies (keys, order, values, casing, layout) must be as
recorded. What may differ is listed in `deviations`, each with its reason, and in docs/simulator.md.

The recordings hold no requests about machines, disks and snapshots: what a request refers to and no earlier
request made is put in before, with the disks that the recorded answers show.
"""

import argparse
import asyncio
import json
import ssl
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from imageferry.simulator import SimulatorServer
from tests.simulator.conftest import Arm, Reply
from tests.simulator.deviations import DEVIATIONS, Difference, accepted
from tests.simulator.recordings import Row, read
from tests.simulator.replayed import differences, prepare, set_pace


@dataclass(slots=True)
class Outcome:
    """What a replay showed."""

    replayed: int = 0
    agreed: int = 0
    differing: list[str] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row, found: Sequence[Difference]) -> None:
        """Count one request; it agrees when every difference is an accepted one."""
        self.replayed += 1
        left = []
        for each in found:
            kind = accepted(row, each)
            if kind is None:
                left.append(each)
            else:
                self.excused[kind.name] += 1
        self.agreed += not left
        where = f"{row.recording}#{row.seq} {row.method} {row.path}"
        self.differing += [f"{where}\n    {each}" for each in left]

    def lines(self) -> Iterator[str]:
        """Give the report."""
        yield from self.differing
        for kind in DEVIATIONS:
            if self.excused[kind.name]:
                yield f"accepted {self.excused[kind.name]:4} x {kind.name}: {kind.reason}"
        yield f"replayed {self.replayed}, agreed {self.agreed}"


async def replay(sequences: dict[str, list[Row]], outcome: Outcome) -> None:
    """Replay each sequence against a fresh cloud."""
    for rows in sequences.values():
        with SimulatorServer() as azure:
            azure.clock.freeze()
            prepare(azure.cloud, rows)
            context = ssl.create_default_context(cafile=str(azure.ca_file))
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
                arm = Arm(session, azure.url, azure.tokens.issue(azure.tenant, "operator")[0])
                await _sequence(azure, arm, rows, outcome)


async def _sequence(azure: SimulatorServer, arm: Arm, rows: list[Row], outcome: Outcome) -> None:
    urls: dict[str, str] = {}
    for number, row in enumerate(rows):
        if number:
            azure.clock.advance(max(0.0, (row.when - max(each.when for each in rows[:number])).total_seconds()))
        azure.clock.advance(0.02)
        set_pace(azure.cloud, row, rows[number + 1 :])
        reply = await _send(arm, row, urls)
        if name := row.operation:
            urls[name] = reply.headers.get("Azure-AsyncOperation", "/missing")
            urls[f"{name}/monitor"] = reply.headers.get("Location", "/missing")
        outcome.add(row, list(differences(row, reply)))


async def _send(arm: Arm, row: Row, urls: dict[str, str]) -> Reply:
    name = row.path.rpartition("/")[2] + ("/monitor" if "monitor=true" in row.query else "")
    target = urls.get(name, f"{row.path}?{row.query}")
    return await arm(row.method, target, json.loads(row.request_body) if row.request_body else None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay a file; 1 when anything differs, 2 when nothing was replayed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator.replay", description=(__doc__ or "").split(":")[0])
    parser.add_argument("file", type=Path, help="recorded traffic, one JSON object a line")
    parser.add_argument("--only", default="", help="recordings whose name holds this")
    given = parser.parse_args(arguments)
    sequences = {name: rows for name, rows in read(given.file).items() if given.only in name}
    outcome = Outcome()
    asyncio.run(replay(sequences, outcome))
    sys.stdout.write("\n".join([*outcome.lines(), ""]))
    return 2 if not outcome.replayed else int(outcome.replayed != outcome.agreed)


if __name__ == "__main__":
    sys.exit(main())
