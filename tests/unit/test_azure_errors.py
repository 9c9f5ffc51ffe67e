"""Azure's exceptions, sorted by what follows from them."""

from datetime import timedelta
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ODataV4Format,
    ServiceRequestError,
    ServiceResponseError,
)

from imageferry.azure import errors
from imageferry.migration.errors import (
    AskUserError,
    BackOffError,
    DeniedError,
    GiveUpError,
    MigrationError,
    UnlistedError,
    WaitForStateError,
)


class Answer:
    """The part of a response that errors are made of."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.status_code = status
        self.reason = "Because"
        self.headers = headers or {}


def _answer(status: int) -> Any:
    return Answer(status, {})


def _raised(status: int, code: str | None = None, message: str = "text", **headers: str) -> HttpResponseError:
    """Return the exception that azure-core raises for an answer of ARM's."""
    answer: Any = Answer(status, {name.replace("_", "-"): value for name, value in headers.items()})
    raised = HttpResponseError(message, response=answer)
    raised.error = ODataV4Format({"code": code, "message": message}) if code else None
    return raised


CLASSES = [
    pytest.param(400, "InvalidParameter", GiveUpError, True, id="bad-request"),
    pytest.param(400, "QuotaExceeded", AskUserError, True, id="code-before-status"),
    pytest.param(401, "InvalidAuthenticationToken", DeniedError, True, id="unauthorized"),
    pytest.param(403, "AuthorizationFailed", DeniedError, True, id="forbidden"),
    pytest.param(403, "LinkedAuthorizationFailed", DeniedError, True, id="linked"),
    pytest.param(403, "RequestDisallowedByPolicy", AskUserError, True, id="policy"),
    pytest.param(404, "SubscriptionNotFound", AskUserError, True, id="subscription"),
    pytest.param(404, "SomethingElse", UnlistedError, True, id="not-found-of-another-kind"),
    pytest.param(408, "RequestTimeout", BackOffError, False, id="timeout"),
    pytest.param(409, "Conflict", WaitForStateError, True, id="conflict"),
    pytest.param(409, "ScopeLocked", AskUserError, True, id="lock"),
    pytest.param(409, "MissingSubscriptionRegistration", AskUserError, True, id="not-registered"),
    pytest.param(409, "PropertyChangeNotAllowed", GiveUpError, True, id="immutable"),
    pytest.param(412, "PreconditionFailed", UnlistedError, True, id="precondition"),
    pytest.param(429, "TooManyRequests", BackOffError, True, id="throttled"),
    pytest.param(500, "InternalServerError", BackOffError, False, id="server-error"),
    pytest.param(502, None, BackOffError, False, id="gateway-without-body"),
    pytest.param(503, "ServerTimeout", BackOffError, False, id="unavailable"),
    pytest.param(418, "Teapot", UnlistedError, True, id="unknown-client-error"),
]


@pytest.mark.parametrize(("status", "code", "kind", "definite"), CLASSES)
def test_a_class_follows_from_code_and_status(
    status: int, code: str | None, kind: type[MigrationError], *, definite: bool
) -> None:
    """The code first, since ARM uses one status for many things; only 4xx certainly had no effect."""
    error = errors.of_response(_raised(status, code))

    assert type(error) is kind
    assert error.definite is definite


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        pytest.param(429, {"Retry_After": "17"}, 17, id="as-azure-says"),
        pytest.param(429, {}, 60, id="throttled-without-a-word"),
        pytest.param(429, {"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, 60, id="throttled-with-a-date"),
        pytest.param(503, {"Retry_After": "5"}, 5, id="unavailable"),
        pytest.param(500, {}, None, id="nothing-said"),
        pytest.param(409, {"Retry_After": "30"}, 30, id="conflict"),
    ],
)
def test_retry_after_is_passed_on(status: int, headers: dict[str, str], seconds: int | None) -> None:
    """In seconds; a throttled call without it waits a minute."""
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert errors.of_response(_raised(status, "Code", **headers)).retry_after == expected


def test_a_failed_operation_has_an_unknown_outcome() -> None:
    """The SDK raises with status 200; only looking can tell what was done."""
    assert not errors.of_response(_raised(200, "Conflict")).definite


def test_the_message_is_azures_with_the_cure() -> None:
    """On one line; the code is kept apart."""
    error = errors.of_response(_raised(409, "ScopeLocked", "The scope\r\n  is locked."))

    assert error.code == "ScopeLocked"
    assert error.message == "Azure answered 409: The scope is locked.; remove the lock in Azure; it is tried again"


def test_an_answer_without_a_body_still_has_a_code() -> None:
    """Gateways answer without ARM's envelope."""
    error = errors.of_response(_raised(502))

    assert error.code == "Http502"
    assert "Because" in error.message


def test_the_correlation_id_is_kept() -> None:
    """Azure's support asks for it."""
    assert errors.of_response(_raised(500, "X", x_ms_correlation_request_id="c-1")).correlation_id == "c-1"


@pytest.mark.parametrize(
    ("raised", "kind", "code", "definite"),
    [
        pytest.param(_raised(409, "Conflict"), WaitForStateError, "Conflict", True, id="answer"),
        pytest.param(ServiceRequestError("refused"), BackOffError, "ConnectionFailed", False, id="not-sent"),
        pytest.param(ServiceResponseError("reset"), BackOffError, "ConnectionFailed", False, id="no-answer"),
        pytest.param(TimeoutError(), BackOffError, "ConnectionFailed", False, id="timeout"),
        pytest.param(HttpResponseError("x"), BackOffError, "ConnectionFailed", False, id="without-response"),
    ],
)
def test_every_exception_of_the_sdk_becomes_ours(
    raised: Exception, kind: type[MigrationError], code: str, *, definite: bool
) -> None:
    """With its cause; a lost answer leaves the outcome unknown."""
    with pytest.raises(MigrationError) as caught, errors.translated():
        raise raised

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.definite) == (code, definite)
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        pytest.param(ClientAuthenticationError("x"), DeniedError, id="no-answer-but-a-no"),
        pytest.param(ClientAuthenticationError("x", response=_answer(400)), DeniedError, id="wrong-secret"),
        pytest.param(ClientAuthenticationError("x", response=_answer(429)), BackOffError, id="throttled"),
        pytest.param(ClientAuthenticationError("x", response=_answer(503)), BackOffError, id="unavailable"),
        pytest.param(ServiceRequestError("refused"), BackOffError, id="not-reached"),
        pytest.param(TimeoutError(), BackOffError, id="timeout"),
    ],
)
def test_without_a_token_nothing_was_sent(raised: Exception, kind: type[MigrationError]) -> None:
    """A failed log-in certainly had no effect; only a refusal is a matter of rights."""
    with pytest.raises(MigrationError) as caught, errors.logging_in():
        raise raised

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.definite) == ("AuthenticationFailed", True)
    assert caught.value.__cause__ is raised


def test_a_failed_log_in_keeps_its_own_sentence() -> None:
    """Inside a call to ARM it is not taken for an answer of ARM's."""
    with pytest.raises(DeniedError, match="credential settings"), errors.translated(), errors.logging_in():
        raise ClientAuthenticationError("x")


def test_what_is_not_azures_comes_through() -> None:
    """A mistake of ours is not dressed up as a fault of Azure's."""
    with pytest.raises(ZeroDivisionError), errors.translated():
        raise ZeroDivisionError
