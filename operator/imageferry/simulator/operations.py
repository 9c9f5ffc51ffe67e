"""Asynchronous operations: their life, and the signed URLs at which they are read.

An operation's state is a function of its start, its end and now. Its URL is about 3 KB and signed: a client that
stores or rebuilds only a part of it gets an error, as it would from ARM.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from imageferry.simulator.regions import url_name
from imageferry.simulator.wire import Json, timestamp


class Kind(Enum):
    """What an operation does; the value is the provisioningState while it runs."""

    CREATE = "Creating"
    UPDATE = "Updating"
    DELETE = "Deleting"


@dataclass(frozen=True, slots=True)
class Failure:
    """The error that an operation ends with."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation on one resource. `retry_after` is 0 where Azure sends no such header."""

    name: str
    subscription: str
    location: str
    family: str
    resource_key: str
    kind: Kind
    started: datetime
    ends: datetime
    api_version: str
    failure: Failure | None = None
    retry_after: int = 0
    result: Json | None = None
    """What a GET of `Location` answers at the end; nothing for most."""

    def running(self, now: datetime) -> bool:
        """Say whether it is under way."""
        return now < self.ends

    def status(self, now: datetime) -> str:
        """`InProgress`, `Succeeded` or `Failed`."""
        if self.running(now):
            return "InProgress"
        return "Failed" if self.failure else "Succeeded"

    def state(self, now: datetime) -> str:
        """ProvisioningState of the resource as far as this operation goes."""
        return self.kind.value if self.running(now) else self.status(now)

    def body(self, now: datetime) -> Json:
        """Render what a poll answers."""
        body: Json = {"startTime": timestamp(self.started)}
        if not self.running(now):
            body["endTime"] = timestamp(self.ends)
        body["status"] = self.status(now)
        if not self.running(now) and self.failure:
            body["error"] = {"code": self.failure.code, "message": self.failure.message}
        return body | {"name": self.name}


def _base64url(data: bytes, length: int) -> str:
    return base64.urlsafe_b64encode(data).decode().replace("=", "")[:length]


class Signer:
    """Makes operation URLs and recognises its own."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._certificate = "MIIHhzCCBm-gAwIBAgITfAWQ0hCH" + _base64url(secrets.token_bytes(1_940), 2_500)

    def target(self, operation: Operation, *, monitor: bool = False) -> str:
        """Give path and query of the operation's URL; with `monitor`, that of the Location header."""
        path = (
            f"/subscriptions/{operation.subscription}/providers/Microsoft.Compute/locations"
            f"/{url_name(operation.location)}/{operation.family}/{operation.name}"
        )
        query = f"api-version={operation.api_version}&t={_ticks(operation.started)}&c={self._certificate}"
        if monitor:
            query = f"monitor=true&{query}"
        if operation.family == "operations":
            query = f"p={_partition(operation.subscription)}&{query}"
        return f"{path}?{query}{self._signature(path + query)}"

    def genuine(self, target: str) -> bool:
        """Say whether path and query are, to the letter, one that was handed out."""
        path, _, query = target.partition("?")
        unsigned = query.partition("&s=")[0]
        return hmac.compare_digest(target.encode(), f"{path}?{unsigned}{self._signature(path + unsigned)}".encode())

    def _signature(self, signed: str) -> str:
        digest = hmac.new(self._secret, signed.encode(), hashlib.sha512).digest()
        return f"&s={_base64url(digest * 4, 342)}&h={_base64url(digest[::-1], 43)}"


def _ticks(instant: datetime) -> int:
    since = instant - datetime(1, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 10_000_000 + since.microseconds * 10


def _partition(subscription: str) -> str:
    digest = hashlib.sha256(subscription.casefold().encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
