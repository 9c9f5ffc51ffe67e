"""The kopf shell: logs in, watches, and hands every event to the engine.

One `on.event` and a queue of our own instead of kopf's create, update and timer handlers:
those keep their progress in annotations, which would be a write for each step, and cannot
be fenced (docs/adr/0001). This module alone imports kopf.
"""

import os
from collections.abc import Mapping
from typing import Any

import kopf

from imageferry.api.resource import GROUP, PLURAL, VERSION
from imageferry.engine.engine import Engine

STOP_SECONDS = 20.0
"""What passes that have begun get at SIGTERM; the Deployment's grace period is longer."""


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


async def run(engine: Engine, *, liveness: str) -> None:
    """Watch all namespaces until SIGTERM or SIGINT; `liveness` is the endpoint's URL."""
    await kopf.operator(
        registry=_registry(engine), settings=_settings(), clusterwide=True, standalone=True, liveness_endpoint=liveness
    )


def _registry(engine: Engine) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401 - kopf passes what it has
        if os.environ.get("KUBECONFIG"):
            return kopf.login_with_kubeconfig(**kwargs)
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

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
    return settings
