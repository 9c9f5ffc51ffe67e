"""Who a token speaks for, read from the token itself, so that no call has to ask.

Nobody is trusted by it: Azure checks the token. It is told in receipts alone.
"""

import base64
import json
from typing import Any

from imageferry.api.status import AzureIdentity

LONGEST = 64


def identity(token: str) -> AzureIdentity | None:
    """Return the identity of a JSON Web Token (RFC 7519); None when it is none, or names nobody."""
    claims = _claims(token)
    named = AzureIdentity(
        tenant_id=_text(claims, "tid"),
        client_id=_text(claims, "appid") or _text(claims, "azp"),  # version 1 and version 2 of Entra's tokens
        object_id=_text(claims, "oid"),
    )
    return named if named.client_id or named.object_id else None


def _claims(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST else None
