"""The token endpoint's book: who got which bearer token, and until when.

Tokens look like JWTs, since clients read `exp` from them, but are recognised by look-up: nobody can forge one.
Real time, because azure-identity refreshes by the wall clock.
"""

import base64
import json
import secrets
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

AUDIENCE = "https://management.azure.com"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token's owner; `client_id` is the identity that faults and the ledger speak of."""

    client_id: str
    object_id: str
    expires: float


class Tokens:
    """Issues and recognises bearer tokens; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bearers: dict[str, Bearer] = {}
        self.lifetime: float = 3599
        self.issued = 0
        self.secrets: dict[str, str] = {}
        self.asked: deque[tuple[str, str]] = deque(maxlen=1000)
        """At which host tokens were asked for, and for which scope; the latest."""

    def declare(self, identities: Mapping[str, str]) -> None:
        """From now on only these client ids get tokens; a non-empty secret must match."""
        self.secrets.update(identities)

    def admits(self, client_id: str, secret: str | None) -> bool:
        """Say whether the credential is right; without declared identities every one is."""
        if not self.secrets:
            return True
        wanted = self.secrets.get(client_id)
        return wanted is not None and (secret is None or wanted in ("", secret))

    def issue(self, tenant: str, client_id: str, audience: str = AUDIENCE) -> tuple[str, int]:
        """Give a new token and its lifetime in whole seconds."""
        now = time.time()
        lifetime = max(0, int(self.lifetime))
        object_id = str(uuid5(NAMESPACE_URL, client_id))
        claims = {
            "aud": audience,
            "iat": int(now),
            "exp": int(now) + lifetime,
            "tid": tenant,
            "oid": object_id,
            "appid": client_id,
        }
        token = ".".join([_encode({"typ": "JWT", "alg": "none"}), _encode(claims), secrets.token_urlsafe(24)])
        with self._lock:
            self._bearers[token] = Bearer(client_id, object_id, now + self.lifetime)
            self.issued += 1
        return token, lifetime

    def expire(self) -> None:
        """End every token issued so far at once."""
        with self._lock:
            self._bearers = {
                token: Bearer(bearer.client_id, bearer.object_id, 0.0) for token, bearer in self._bearers.items()
            }

    def bearer(self, authorization: str) -> Bearer | Literal["missing", "unknown", "expired"]:
        """Read an Authorization header."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "missing"
        with self._lock:
            found = self._bearers.get(token.strip())
        if found is None:
            return "unknown"
        return found if found.expires > time.time() else "expired"


def _encode(claims: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
