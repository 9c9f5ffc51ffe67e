"""`imageferry operator`: everything put together."""

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import structlog
import typer
from pydantic import ValidationError

from imageferry import logs
from imageferry.azure import Azure
from imageferry.engine.engine import Engine
from imageferry.engine.intake import Intake
from imageferry.engine.passes import Passes, Terms
from imageferry.engine.ports import ConflictError, GoneError, UnreachableError
from imageferry.kube import shell
from imageferry.kube.client import Kubernetes
from imageferry.settings import Settings

log = structlog.get_logger()

USAGE_ERROR = 2


def operator() -> None:
    """Run the operator. Settings are environment variables IMAGEFERRY_… (docs/settings.md)."""
    try:
        settings = Settings()
        logs.configure(settings.log_format, settings.log_level)
    except ValidationError as error:
        for each in error.errors():
            name = "_".join(str(part) for part in each["loc"]).upper()
            sys.stderr.write(f"IMAGEFERRY_{name}: {each['msg']}; found {each['input']!r}\n")
        raise typer.Exit(USAGE_ERROR) from error
    try:
        asyncio.run(_run(settings))
    except (OSError, ValueError, UnreachableError, GoneError, ConflictError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400 - the text says it all, a trace would hide it
        raise typer.Exit(1) from error
    except shell.EndedError as error:
        log.error("ended", error=str(error))  # noqa: TRY400 - kopf has logged the trace
        raise typer.Exit(1) from error


async def _run(settings: Settings) -> None:
    async with Azure(settings.cloud) as azure, Kubernetes() as kubernetes:
        cluster = settings.cluster_id or await kubernetes.cluster_id()
        log.info("starting", version=version("imageferry"), cluster=cluster, arm=settings.arm_endpoint)
        intake = Intake()
        terms = Terms(cluster, settings.timing, settings.brake)
        passes = Passes(azure, kubernetes, intake, terms=terms, clock=steady_clock())
        engine = Engine(kubernetes, passes, intake=intake, timing=settings.timing, workers=settings.workers)
        await shell.run(engine, liveness=settings.liveness)
        log.info("stopped")


def steady_clock() -> Callable[[], datetime]:
    """Return a clock that starts at the wall's time and then never jumps, whatever happens to the wall's."""
    started, at = datetime.now(UTC), time.monotonic()
    return lambda: started + timedelta(seconds=time.monotonic() - at)
