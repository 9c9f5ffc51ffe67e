"""A candidate whose event loop stands still once it holds the Lease: `python holder.py NAMESPACE SECONDS`."""

import asyncio
import sys
import time

from imageferry import logs
from imageferry.kube.election import Election
from imageferry.kube.lease import LeaseTiming
from imageferry.logs import LogFormat

STANDSTILL = 3600.0


async def main(namespace: str, seconds: int) -> None:
    """Hold the loop as a relist would, but for ever."""
    async with Election(namespace=namespace, timing=LeaseTiming.of(seconds)) as election:
        await election.acquired()
        time.sleep(STANDSTILL)  # noqa: ASYNC251 - this is what it is for


if __name__ == "__main__":
    logs.configure(LogFormat.JSON, "INFO")
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
