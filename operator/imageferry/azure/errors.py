"""Azure's exceptions become ours here and nowhere else.

What follows from a code is in `migration.catalogue`. Codes come before statuses, since ARM
uses one status for many things; where an outer code says nothing, its details may.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

from imageferry.migration import catalogue
from imageferry.migration.catalogue import Entry
from imageferry.migration.errors import BackOffError, DeniedError, MigrationError, UnlistedError

GONE = frozenset({"ResourceNotFound", "ParentResourceNotFound", "NotFound", "ResourceGroupNotFound"})
"""Codes of a 404 that say that the resource is not there; another 404 is an error."""

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
    text = _one_line(exc.error.message if exc.error and exc.error.message else exc.reason or "no details")
    entry = catalogue.find(code, status=status, message=text) or _in_details(exc, status)
    kind = entry.kind if entry else _by_status(status)
    headers: Mapping[str, str] = getattr(exc.response, "headers", {})
    return kind(
        code,
        f"Azure answered {status}: {text}" + (f"; {entry.cure}" if entry and entry.cure else ""),
        definite=400 <= status < 500 and status not in UNKNOWN_OUTCOME,  # noqa: PLR2004 - the class of client errors
        retry_after=retry_after(headers.get("Retry-After"), status),
        correlation_id=headers.get("x-ms-correlation-request-id"),
    )


def _by_status(status: int) -> type[MigrationError]:
    """Return what follows from an answer whose code we do not know."""
    if status in (401, 403):
        return DeniedError
    plain = status >= 500 or status in (408, 429)  # noqa: PLR2004 - statuses that say all that there is to say
    return BackOffError if plain else UnlistedError


def _in_details(exc: HttpResponseError, status: int) -> Entry | None:
    """Return the entry of the first detail that is listed: some outer codes say nothing."""
    details = exc.error.details if exc.error and exc.error.details else ()
    found = (catalogue.find(str(each.code), status=status, message=str(each.message)) for each in details if each.code)
    return next((entry for entry in found if entry), None)


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
