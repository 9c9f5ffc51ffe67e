"""What lies beside Resource Manager: the description of the cloud, and the two managed-identity endpoints.

No request here carries a token: the first tells where to get one, the others hand it out to the machine that asks
(App Service's form needs its secret header, the instance metadata service's form needs `Metadata: true`).
"""

import time
from uuid import uuid4

from aiohttp import web

from imageferry.simulator.faults import Answer
from imageferry.simulator.gateway import Services
from imageferry.simulator.wire import Json

IDENTITY_HEADER = "simulated-identity-header"
"""What a client sends as X-IDENTITY-HEADER; give it as IDENTITY_HEADER."""
SYSTEM_ASSIGNED = "system-assigned"
"""Client id of the identity that is meant when a request names none."""


class Metadata:
    """Handlers without authentication."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[web.RouteDef]:
        """Give the routes."""
        return [
            web.get("/metadata/endpoints", self._endpoints),
            web.get("/msi/token", self._app_service),
            web.get("/metadata/identity/oauth2/token", self._instance),
        ]

    async def _endpoints(self, request: web.Request) -> web.Response:
        described = cloud(f"https://{request.host}", self._services.tenant)
        alone = request.query.get("api-version", "") >= "2022-09-01"
        return web.json_response(described if alone else [described])

    async def _app_service(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
            return _refused(401, "unauthorized", "The X-IDENTITY-HEADER is missing or wrong.")
        return self._token(request)

    async def _instance(self, request: web.Request) -> web.Response:
        if request.headers.get("Metadata", "").lower() != "true":
            return _refused(400, "invalid_request", "Required metadata header not specified")
        return self._token(request)

    def _token(self, request: web.Request) -> web.Response:
        query, tokens = request.query, self._services.tokens
        client_id = query.get("client_id") or query.get("clientid") or SYSTEM_ASSIGNED
        for does in self._services.faults.draw("token", "", client_id):
            if isinstance(does, Answer):
                return _refused(does.status, does.code, does.message or "refused by a fault rule")
        if not query.get("resource"):
            return _refused(400, "invalid_request", "Required query variable 'resource' is missing")
        if not tokens.admits(client_id, None):
            return _refused(400, "invalid_request", "Identity not found")
        token, lifetime = tokens.issue(self._services.tenant, client_id)
        now = int(time.time())
        body = {
            "access_token": token,
            "client_id": client_id,
            "expires_in": str(lifetime),
            "expires_on": str(now + lifetime),
            "not_before": str(now),
            "resource": query["resource"],
            "token_type": "Bearer",
        }
        return web.json_response(body)


def cloud(url: str, tenant: str) -> Json:
    """Describe this server as a cloud, as `GET /metadata/endpoints` does."""
    return {
        "name": "ImageferrySimulator",
        "portal": url,
        "authentication": {
            "loginEndpoint": url,
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": tenant,
            "identityProvider": "AAD",
        },
        "resourceManager": url,
        "graph": url,
        "graphAudience": url,
        "media": url,
        "batch": url,
        "gallery": url,
        "sqlManagement": url,
        "activeDirectoryDataLake": url,
        "vmImageAliasDoc": url,
        "suffixes": {"storage": "core.simulator", "keyVaultDns": "vault.simulator", "acrLoginServer": "acr.simulator"},
    }


def _refused(status: int, error: str, message: str) -> web.Response:
    return web.json_response(
        {"error": error, "error_description": message, "correlation_id": str(uuid4())}, status=status
    )
