"""The kopf shell: logs in, watches, and hands every event to the engine.

One `on.event` and a queue of our own instead of kopf's create, update and timer handlers:
those keep their progress in annotations, which would be a write for each step, and cannot
be fenced (docs/adr/0001). This module alone imports kopf.
"""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import kopf

from imageferry.api.resource import GROUP, PLURAL, VERSION
from imageferry.engine.engine import Engine
from imageferry.engine.ports import UnreachableError
from imageferry.kube import access

STOP_SECONDS = 20.0
"""What passes that have begun get at SIGTERM; the Deployment's grace period is longer."""
RELOGIN_SECONDS = 5.0
BACKOFFS = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0)
"""Seconds between kopf's tries; the last one again and again."""


class EndedError(Exception):
    """Kopf has ended by itself, and the process has to."""


class _NoDiffBase(kopf.DiffBaseStorage):
    """Remembers no earlier state of a resource."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:  # noqa: ANN401 - as kopf has it
        """Take nothing of it: kopf would copy every body of every event for this."""
        del body, extra_fields
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> None:
        """Know nothing."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: Any) -> None:  # noqa: ANN401 - kopf's BodyEssence
        """Write nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Remembers no progress of handlers."""

    def fetch(self, *, key: str, body: kopf.Body) -> None:
        """Know nothing."""

    def store(self, *, key: str, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:  # noqa: ANN401 - as above
        """Write nothing."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Write nothing."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Write nothing."""

    def clear(self, *, essence: Any) -> Any:  # noqa: ANN401 - as above
        """Leave the essence as it is."""
        return essence


class _Backoffs:
    """How kopf waits for an API server: without this it dies of a minute of 429, 403 or 5xx."""

    def __iter__(self) -> Iterator[float]:
        """Give a pause for every try, however many."""
        return itertools.chain(BACKOFFS, itertools.repeat(BACKOFFS[-1]))


class _Login:
    """Logs kopf in, at the start and after every 401."""

    def __init__(self) -> None:
        self._times = 0

    async def info(self) -> kopf.ConnectionInfo:
        """Read the credentials as they are now."""
        if self._times:
            await asyncio.sleep(RELOGIN_SECONDS)
        self._times += 1
        try:
            settings = await access.read()
        except (UnreachableError, OSError) as exc:
            raise kopf.TemporaryError(str(exc), delay=RELOGIN_SECONDS) from exc
        scheme, _, token = (await settings.get_api_key_with_prefix("BearerToken") or "").partition(" ")
        return kopf.ConnectionInfo(
            server=settings.host,
            ca_path=settings.ssl_ca_cert,
            insecure=not settings.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=settings.cert_file,
            private_key_path=settings.key_file,
            proxy_url=settings.proxy,
            # kopf ends rather than use again what was refused once; but an API server that starts
            # refuses good tokens for a moment, and so each login has to look like a new one
            priority=self._times,
        )


async def run(engine: Engine, *, liveness: str) -> None:
    """Watch all namespaces until SIGTERM or SIGINT; EndedError when kopf ends before. `liveness` is the endpoint's URL.

    Kopf ends at what it does not understand in a watch, such as an ERROR event that is not 410.
    """
    try:
        await kopf.operator(
            registry=_registry(engine),
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            liveness_endpoint=liveness,
        )
    except Exception as exc:
        raise EndedError(f"kopf has ended, by {type(exc).__name__}: {exc}") from exc


def _registry(engine: Engine) -> kopf.OperatorRegistry:
    registry, logins = kopf.OperatorRegistry(), _Login()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - kopf passes what it has
        return await logins.info()

    @kopf.on.startup(registry=registry)
    async def startup(**_: Any) -> None:  # noqa: ANN401 - as above
        engine.start()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:  # noqa: ANN401 - as above
        await engine.stop(STOP_SECONDS)

    # without PERMANENT a probe that raises is merely retried and never fails
    @kopf.on.probe(id="engine", errors=kopf.ErrorsMode.PERMANENT, registry=registry)
    async def probe(**_: Any) -> str:  # noqa: ANN401 - as above
        if trouble := engine.trouble():
            raise kopf.PermanentError(trouble)
        return "well"

    # async, although it awaits nothing: kopf runs plain functions in threads, and the engine lives in this loop
    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def event(event: Mapping[str, Any], **_: Any) -> None:  # noqa: ANN401 - as above
        engine.observe(event["type"], event["object"])

    return registry


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.queueing.idle_timeout = 0.5
    settings.watching.server_timeout = 240
    settings.watching.client_timeout = 250
    settings.networking.request_timeout = 15
    settings.networking.error_backoffs = _Backoffs()
    return settings
