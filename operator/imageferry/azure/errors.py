"""Azure's exceptions become ours here and nowhere else.

Classes by code first, since ARM uses one status for many things, then by status (fact
sheet, section 9). A message of Azure's is never matched, only passed on.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    WaitForStateError,
)

GONE = frozenset({"ResourceNotFound", "ParentResourceNotFound", "NotFound", "ResourceGroupNotFound"})
"""Codes of a 404 that say that the resource is not there; another 404 is an error."""

BY_CODE: dict[str, type[MigrationError]] = {
    "ExpiredAuthenticationToken": BackOffError,  # the next call logs in anew
    "AuthorizationFailed": DeniedError,
    "LinkedAuthorizationFailed": DeniedError,
    "RequestDisallowedByPolicy": AskUserError,
    "ScopeLocked": AskUserError,
    "MissingSubscriptionRegistration": AskUserError,
    "SubscriptionNotFound": AskUserError,
    "InvalidSubscriptionId": AskUserError,
    "QuotaExceeded": AskUserError,
    "GallerySourceResourceExceedsMaxSize": GiveUpError,
    "PropertyChangeNotAllowed": GiveUpError,
    "InvalidResourceLocation": GiveUpError,
}
BY_STATUS: dict[int, type[MigrationError]] = {
    400: GiveUpError,
    401: DeniedError,
    403: DeniedError,
    404: WaitForStateError,
    409: WaitForStateError,
    412: WaitForStateError,
    408: BackOffError,
    429: BackOffError,
}
CURES: dict[str, str] = {
    "AuthorizationFailed": "give the operator's identity the role (docs/azure.md), or wait until it has spread",
    "LinkedAuthorizationFailed": "give the operator's identity read access to the linked resource",
    "ScopeLocked": "remove the lock in Azure; it is tried again",
    "MissingSubscriptionRegistration": "register Microsoft.Compute in the subscription",
    "SubscriptionNotFound": "correct the subscription, or give the operator's identity access to it",
}
UNKNOWN_OUTCOME = frozenset({408})
THROTTLED_SECONDS = 60


@contextmanager
def translated() -> Iterator[None]:
    """Raise ours for whatever Azure's SDK raises inside."""
    try:
        yield
    except HttpResponseError as exc:
        raise (of_response(exc) if exc.response is not None else _unanswered(exc)) from exc
    except (AzureError, TimeoutError) as exc:
        raise _unanswered(exc) from exc


def _unanswered(exc: Exception) -> MigrationError:
    return BackOffError("ConnectionFailed", f"no answer from Azure: {_one_line(str(exc))}; it is tried again")


@contextmanager
def logging_in() -> Iterator[None]:
    """Raise ours for whatever azure-identity raises inside; all of it means that nothing was sent."""
    try:
        yield
    except (AzureError, TimeoutError) as exc:
        response = getattr(exc, "response", None)
        status = getattr(response, "status_code", 0)
        passing = status == 429 or status >= 500 or not isinstance(exc, ClientAuthenticationError)  # noqa: PLR2004 - HTTP
        kind = BackOffError if passing else DeniedError
        headers: Mapping[str, str] = getattr(response, "headers", {})
        message = f"no token for Azure: {_one_line(str(exc))}; check the operator's credential settings"
        wait = retry_after(headers.get("Retry-After"), status)
        raise kind("AuthenticationFailed", message, definite=True, retry_after=wait) from exc


def of_response(exc: HttpResponseError) -> MigrationError:
    """Return ours for an answer of 400 or more."""
    status = exc.status_code or 0
    code = code_of(exc)
    kind = BY_CODE.get(code) or BY_STATUS.get(status) or (BackOffError if status >= 500 else AskUserError)  # noqa: PLR2004
    cure = CURES.get(code)
    message = _one_line(exc.error.message if exc.error and exc.error.message else exc.reason or "no details")
    headers: Mapping[str, str] = getattr(exc.response, "headers", {})
    return kind(
        code,
        f"Azure answered {status}: {message}" + (f"; {cure}" if cure else ""),
        definite=400 <= status < 500 and status not in UNKNOWN_OUTCOME,  # noqa: PLR2004 - the class of client errors
        retry_after=retry_after(headers.get("Retry-After"), status),
        correlation_id=headers.get("x-ms-correlation-request-id"),
    )


def code_of(exc: HttpResponseError) -> str:
    """Return ARM's error code, or one made of the status."""
    if exc.error and exc.error.code:
        return str(exc.error.code)
    return f"Http{exc.status_code}"


def retry_after(value: str | None, status: int) -> timedelta | None:
    """Return how long Azure wants to be left alone; a 429 that does not say so means a minute."""
    if value and value.strip().isdigit():
        return timedelta(seconds=int(value))
    return timedelta(seconds=THROTTLED_SECONDS) if status == 429 else None  # noqa: PLR2004 - Too Many Requests


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]
