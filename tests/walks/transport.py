"""Azure's SDK and the simulator in one process: requests are handed over as values, and no socket is opened."""

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import HttpRequest
from azure.core.rest._http_response_impl_async import AsyncHttpResponseImpl
from azure.core.utils import case_insensitive_dict

from imageferry.simulator.gateway import Gateway, Received, Sent
from imageferry.simulator.tokens import Tokens
from tests.walks.line import Line

IDENTITY = "11111111-2222-3333-4444-555555555555"
HOST = "arm.test"


class _Closed:
    async def close(self) -> None:
        """Have nothing to close."""


def _response(request: HttpRequest, sent: Sent) -> AsyncHttpResponseImpl:
    headers = case_insensitive_dict(dict(sent.headers))
    response = AsyncHttpResponseImpl(
        request=request,
        internal_response=_Closed(),
        status_code=sent.status,
        reason=HTTPStatus(sent.status).phrase,
        content_type=headers.get("Content-Type", ""),
        headers=headers,
        block_size=65_536,
        stream_download_generator=None,
    )
    response._content = sent.content  # noqa: SLF001 - what `read` would do with a connection
    return response


class InProcessTransport(AsyncHttpTransport[HttpRequest, AsyncHttpResponseImpl]):
    """Carries the requests of one operator process; `before` and `after` see each around its effect."""

    def __init__(
        self,
        gateway: Gateway,
        tokens: Tokens,
        line: Line,
        *,
        before: Callable[[Received], None],
        after: Callable[[Received, Sent | None], None],
    ) -> None:
        self._gateway, self._tokens, self._line = gateway, tokens, line
        self._before, self._after = before, after

    async def send(self, request: HttpRequest, **_: Any) -> AsyncHttpResponseImpl:
        """Let the simulator answer."""
        parts = urlsplit(request.url)
        if parts.path.endswith("/oauth2/v2.0/token"):
            return _response(request, self._token())
        received = Received(
            method=request.method,
            path=parts.path,
            target=f"{parts.path}?{parts.query}",
            host=HOST,
            query=dict(parse_qsl(parts.query)),
            headers=request.headers,
            content=_bytes(request.content),
        )
        self._line.tick()
        self._before(received)
        sent = await self._gateway.serve(received)
        self._after(received, sent)
        self._line.tick()
        if sent is None:
            raise ServiceResponseError("the connection was reset")
        return _response(request, sent)

    async def open(self) -> None:
        """Have nothing to open."""

    async def close(self) -> None:
        """Have nothing to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Have nothing to close."""

    def _token(self) -> Sent:
        token, lifetime = self._tokens.issue("tenant", IDENTITY)
        body = {"token_type": "Bearer", "access_token": token, "expires_in": lifetime}
        return Sent(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def _bytes(content: Any) -> bytes:
    if content is None:
        return b""
    return content.encode() if isinstance(content, str) else bytes(content)
