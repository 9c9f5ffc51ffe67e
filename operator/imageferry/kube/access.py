"""The way to the API server, for our own client and for kopf alike.

By KUBECONFIG where it is set, else as the pod's service account, else by ~/.kube/config.
A pod's token lives an hour and is replaced in its file: whoever keeps the one that it
started with is locked out in the end, so credentials are read again and again.
"""

import os
import time

import structlog
import yaml
from kubernetes.aio import client, config

from imageferry.engine.ports import UnreachableError

log = structlog.get_logger()

REFRESH_SECONDS = 5.0
"""A pod's token is replaced minutes before it expires; one that is revoked must not cost the Lease, which has 10 s."""


async def read() -> client.Configuration:
    """Return address and credentials as they are now; UnreachableError when there are none."""
    settings = client.Configuration()
    settings.retries = None
    try:
        await _load(settings)
    except config.ConfigException as exc:
        raise UnreachableError(f"no way to the API server: {exc}") from exc
    return settings


async def read_and_refresh() -> client.Configuration:
    """Return the same, with credentials that stay fresh while they are used."""
    settings = await read()
    settings.refresh_api_key_hook = _Refresh()
    return settings


async def _load(settings: client.Configuration) -> None:
    if not os.environ.get("KUBECONFIG") and os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(settings, try_refresh_token=False)
    else:
        await config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=settings, persist_config=False)


class _Refresh:
    """Reads the credentials again before a request; what cannot be read leaves the old ones."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()

    async def __call__(self, settings: client.Configuration) -> None:
        now = time.monotonic()
        if now - self._read_at < REFRESH_SECONDS:
            return
        self._read_at = now
        try:
            await _load(settings)
        # TypeError is what an empty kubeconfig gives: it may be half written just now
        except (config.ConfigException, OSError, yaml.YAMLError, TypeError) as error:
            log.warning("credentials", error=f"cannot be read again, the old ones are kept: {error}")
