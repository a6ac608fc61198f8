"""Each known error code of Bitrix24 becomes one message for a person."""

from __future__ import annotations

import pytest

from b24app import errors
from b24app.errors import B24Error, OutcomeUnknown, Refused, error_from_answer

# Code, description and status as the portal sends them (the newest build).
OF_THE_PORTAL = [
    ("NO_AUTH_FOUND", "Wrong authorization data", 401),
    ("expired_token", "The access token provided has expired", 401),
    ("invalid_token", "Unable to get application by token", 401),
    ("insufficient_scope", "The request requires higher privileges", 401),
    ("INVALID_CREDENTIALS", "Invalid request credentials", 401),
    ("user_access_error", "The user does not have access to the application.", 401),
    ("authorization_error", "Unable to authorize user", 401),
    ("APPLICATION_NOT_FOUND", "Application not found", 401),
    ("ERROR_OAUTH", "Application not installed", 401),
    ("PAYMENT_REQUIRED", "Subscription has been ended", 401),
    ("METHOD_CONFIRM_WAITING", "Waiting for confirmation", 401),
    ("METHOD_CONFIRM_DENIED", "", 403),
    ("ACCESS_DENIED", "REST is available only on commercial plans.", 401),
    ("ACCESS_DENIED", "REST is available only by subscription.", 401),
    ("ACCESS_DENIED", "Access denied!", 403),
    ("WRONG_AUTH_TYPE", "Current authorization type is denied for this method", 403),
    ("ALLOWED_ONLY_INTRANET_USER", "", 403),
    ("INVALID_REQUEST", "Https required.", 401),
    ("ERROR_METHOD_NOT_FOUND", "Method not found!", 404),
    ("ERROR_MANIFEST_IS_NOT_AVAILABLE", "Manifest is not available", 404),
    ("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage", 200),
    ("ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded", 200),
    ("OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit.", 429),
    ("QUERY_LIMIT_EXCEEDED", "Too many requests", 503),
    ("OVERLOAD_LIMIT", "REST API is blocked due to overload.", 401),
    ("INTERNAL_SERVER_ERROR", "Internal server error", 500),
    ("ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response", 500),
    ("PORTAL_DELETED", "Portal was deleted", 403),
    ("CONNECTION_ERROR", "", 401),
    ("ERROR_CORE", "Unable to set placement handler: Handler already binded", 400),
    ("ERROR_ARGUMENT", "Argument 'id' is null or empty", 400),
]
OF_PAY_PAYMENT = [
    ("ACCESS_DENIED", "Access denied!", 403),
    ("ERROR_CHECK_FAILURE", "Pay system not found", 400),
    ("ERROR_PROCESS_REQUEST_RESULT", "Order #163 canceled", 400),
]
OF_THE_OAUTH_SERVER = [
    ("wrong_client", "Wrong client", 200),
    ("invalid_client", "Invalid client credentials", 400),
    ("invalid_grant", "Invalid refresh token", 400),
    ("invalid_request", 'No "refresh_token" parameter found', 400),
    ("NOT_INSTALLED", "Application not installed", 401),
    ("INVALID_SCOPE", "Invalid scope", 403),
    ("invalid_scope", "", 400),
    ("insufficient_scope", "", 403),
    ("PAYMENT_REQUIRED", "Payment required", 401),
]
OF_SALE_AND_CRM: list[tuple[str | int, str, int]] = [
    (200640400001, "payment is not exists", 400),
    (200540400001, "order is not exists", 400),
    (200040300010, "Access Denied", 400),
    (200040300020, "Access Denied", 400),
    (100, "Could not find value for parameter {id}", 400),
    (0, "Insufficient permissions", 400),
    ("ACCESS_DENIED", "Access denied", 400),
    (0, "Payment has not been found", 400),
]
KNOWN = [*OF_THE_PORTAL, *OF_PAY_PAYMENT, *OF_THE_OAUTH_SERVER, *OF_SALE_AND_CRM]


@pytest.mark.parametrize(("code", "description", "status"), KNOWN)
def test_a_known_code_is_told_in_a_sentence_without_the_code(
    code: str | int, description: str, status: int
) -> None:
    sentence = str(error_from_answer(code, description, status).sentence)

    assert sentence.endswith(".")
    assert "with the code" not in sentence
    if str(code) not in ("0", "100"):
        assert str(code).lower() not in sentence.lower()


@pytest.mark.parametrize("code", ["SOMETHING_NEW", 987654, 0, ""])
def test_an_unknown_code_is_told_with_the_code(code: str | int) -> None:
    error = error_from_answer(code, "Etwas ist schiefgegangen", 400)

    assert type(error) is Refused
    assert f"with the code {code or '-'}" in str(error.sentence) or code == 0
    assert "schiefgegangen" not in str(error.sentence)


@pytest.mark.parametrize(
    ("code", "description", "status", "kind"),
    [
        ("expired_token", "", 401, errors.TokenExpired),
        ("EXPIRED_TOKEN", "", 403, errors.TokenExpired),
        ("invalid_token", "", 401, errors.TokenRejected),
        ("authorization_error", "", 401, errors.TokenRejected),
        ("user_access_error", "", 403, errors.TokenRejected),
        ("invalid_grant", "", 400, errors.ChainBroken),
        ("NOT_INSTALLED", "", 401, errors.ChainBroken),
        ("PAYMENT_REQUIRED", "", 401, errors.ChainBroken),
        ("wrong_client", "", 200, Refused),
        ("invalid_client", "", 400, Refused),
        ("insufficient_scope", "", 401, errors.ScopeMissing),
        ("insufficient_scope", "", 403, errors.ScopeMissing),
        ("ACCESS_DENIED", "Access denied!", 403, errors.AccessDenied),
        ("ACCESS_DENIED", "Access denied", 400, errors.AccessDenied),
        (0, "Insufficient permissions", 400, errors.AccessDenied),
        (0, "Access denied.", 400, errors.AccessDenied),
        (200040300010, "Access Denied", 400, errors.AccessDenied),
        (0, "Payment has not been found", 400, errors.NotFound),
        (200640400001, "payment is not exists", 400, errors.NotFound),
        (0, "Required fields: paySystemId", 400, Refused),
        ("QUERY_LIMIT_EXCEEDED", "", 503, errors.QueryLimit),
        ("OVERLOAD_LIMIT", "", 503, Refused),
        ("PORTAL_DELETED", "", 500, Refused),
        ("ERROR_BATCH_METHOD_NOT_ALLOWED", "", 405, errors.BatchRefused),
        ("ERROR_CORE", "", 400, Refused),
        ("ERROR_CORE", "", 500, OutcomeUnknown),
        ("INTERNAL_SERVER_ERROR", "", 500, OutcomeUnknown),
        ("INTERNAL_SERVER_ERROR", "", 200, OutcomeUnknown),
        ("SOMETHING_NEW", "", 502, OutcomeUnknown),
        (0, "", 500, OutcomeUnknown),
    ],
)
def test_the_code_decides_what_is_known_of_the_outcome(
    code: str | int, description: str, status: int, kind: type[B24Error]
) -> None:
    assert type(error_from_answer(code, description, status)) is kind


@pytest.mark.parametrize(
    ("description", "word"),
    [
        ("Access denied!", "permission"),
        ("REST is available only on commercial plans.", "plans"),
        ("REST is available only by subscription.", "plans"),
    ],
)
def test_one_code_with_two_meanings_has_two_sentences(description: str, word: str) -> None:
    assert word in str(error_from_answer("ACCESS_DENIED", description, 401).sentence)


def test_a_guest_is_not_told_to_ask_for_order_rights() -> None:
    guest = error_from_answer("ALLOWED_ONLY_INTRANET_USER", "", 403)

    assert "guest" in str(guest.sentence)


def test_a_number_is_kept_as_text() -> None:
    error = error_from_answer(0, "Empty fields", 400)

    assert isinstance(error, Refused)
    assert (error.code, error.description, error.http_status) == ("0", "Empty fields", 400)
    assert str(error) == "0 (HTTP 400): Empty fields"


def test_every_error_has_an_error_status_and_a_message() -> None:
    found = [B24Error]
    for kind in found:
        found.extend(kind.__subclasses__())
        assert 400 <= kind.status < 600
    assert len(found) > 15
    for kind in found:
        error = kind("X") if issubclass(kind, Refused) else kind()
        assert str(error.sentence)
