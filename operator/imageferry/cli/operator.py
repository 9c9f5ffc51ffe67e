"""`imageferry operator`: everything put together."""

import asyncio
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import structlog
import typer
from pydantic import ValidationError

from imageferry import logs
from imageferry.azure import Azure, DeletionIdentity
from imageferry.engine.budget import Budget
from imageferry.engine.engine import Engine
from imageferry.engine.intake import Intake
from imageferry.engine.passes import Passes, Terms
from imageferry.engine.ports import ConflictError, GoneError, UnreachableError
from imageferry.engine.spending import Spending
from imageferry.kube import shell
from imageferry.kube.client import Kubernetes
from imageferry.kube.election import Election
from imageferry.kube.policies import Policies
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
    election = Election(namespace=settings.lease_namespace, timing=settings.lease_timing)
    spending = Spending(Budget(), clock=time.monotonic, chance=random.random, speed=settings.speed)
    azure, kubernetes = Azure(settings.azure, spending, may_write=lambda: election.held), Kubernetes()
    async with azure, kubernetes:
        cluster = settings.cluster_id or await kubernetes.cluster_id()
        log.info("starting", version=version("imageferry"), cluster=cluster, arm=settings.azure.endpoint)
        policies = Policies(kubernetes)
        await policies.look()
        if settings.deletion_identity is DeletionIdentity.SAME:
            log.warning("one identity migrates and deletes", cure="IMAGEFERRY_DELETION_IDENTITY (docs/azure.md)")
        intake = Intake()
        passes = Passes(
            azure,
            kubernetes,
            intake,
            leadership=election,
            terms=Terms(cluster, settings.timing, settings.brake, settings.allowed),
            clock=steady_clock(),
            chance=random.random,
            gap=lambda: policies.gap,
        )
        engine = Engine(passes, kubernetes, intake, leadership=election, workers=settings.workers)
        async with election, policies.looked_at(settings.timing.compare):
            await shell.run(engine, liveness=settings.liveness)
        log.info("stopped")


def steady_clock() -> Callable[[], datetime]:
    """Return a clock that starts at the wall's time and then never jumps, whatever happens to the wall's."""
    started, at = datetime.now(UTC), time.monotonic()
    return lambda: started + timedelta(seconds=time.monotonic() - at)
