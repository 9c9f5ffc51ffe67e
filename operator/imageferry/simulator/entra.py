"""The token endpoint and the metadata that identity libraries read before they use it."""

from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import web

from imageferry.simulator.faults import Answer, HtmlPage
from imageferry.simulator.gateway import Services
from imageferry.simulator.tokens import AUDIENCE
from imageferry.simulator.wire import Json


class Entra:
    """Handlers of an authority that knows every tenant."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def token(self, request: web.Request) -> web.Response:
        """Issue a token for a client secret, a client certificate or a federated token."""
        form = await request.post()
        client_id = str(form.get("client_id", ""))
        if (fault := self._fault(client_id)) is not None:
            return fault
        if form.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", "AADSTS70003: The app requested an unsupported grant type.")
        secret, assertion = form.get("client_secret"), form.get("client_assertion")
        if not client_id or (not secret and not assertion):
            return _refused(
                401,
                "invalid_client",
                "AADSTS7000218: The request body must contain the following parameter: "
                "'client_assertion' or 'client_secret'.",
            )
        if not self._services.tokens.admits(client_id, str(secret) if secret else None):
            message = f"AADSTS7000215: Invalid client secret provided for app '{client_id}'."
            return _refused(401, "invalid_client", message)
        scope = str(form.get("scope", f"{AUDIENCE}/.default"))
        self._services.tokens.asked.append((request.host, scope))
        audience = scope.removesuffix("/.default")
        token, lifetime = self._services.tokens.issue(request.match_info["tenant"], client_id, audience)
        body = {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token}
        return web.json_response(body)

    async def metadata(self, request: web.Request) -> web.Response:
        """Describe the authority of a tenant."""
        return web.json_response(_metadata(f"https://{request.host}/{request.match_info['tenant']}"))

    async def discovery(self, request: web.Request) -> web.Response:
        """Describe this host as a cloud of its own."""
        host = request.host
        endpoint = f"https://{host}/common/v2.0/.well-known/openid-configuration"
        clouds = [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}]
        return web.json_response({"tenant_discovery_endpoint": endpoint, "api-version": "1.1", "metadata": clouds})

    def _fault(self, client_id: str) -> web.Response | None:
        for does in self._services.faults.draw("token", "", client_id):
            if isinstance(does, Answer):
                return _refused(does.status, does.code, does.message or "refused by a fault rule", dict(does.headers))
            if isinstance(does, HtmlPage):
                return web.Response(status=does.status, text="<html></html>", content_type="text/html")
        return None


def _metadata(authority: str) -> Json:
    return {
        "issuer": f"{authority}/v2.0",
        "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
        "token_endpoint": f"{authority}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{authority}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{authority}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code", "id_token", "token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def _refused(status: int, error: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    digits = message.removeprefix("AADSTS").partition(":")[0]
    body = {
        "error": error,
        "error_description": message,
        "error_codes": [int(digits)] if digits.isdigit() else [],
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
        "trace_id": str(uuid4()),
        "correlation_id": str(uuid4()),
    }
    return web.json_response(body, status=status, headers=headers)
