"""Builds the error replies that many methods share."""

from __future__ import annotations

from sandbox.api.registry import Call, RestError

FORBIDDEN = 403

MISSING_ARGUMENT = 100  # the controllers' code for a missing argument


def access_denied(detail: str = "") -> RestError:
    return RestError("ACCESS_DENIED", f"Access denied! {detail}".rstrip(), FORBIDDEN)


def check_failure(text: str) -> RestError:
    return RestError("ERROR_CHECK_FAILURE", text)


def empty_argument(name: str) -> RestError:
    return RestError("ERROR_ARGUMENT", f"Argument '{name}' is null or empty", argument=name)


def missing_argument(name: str) -> RestError:
    return RestError(MISSING_ARGUMENT, f"Could not find value for parameter {{{name}}}")


def wrong_argument(name: str, value: object, wanted: str) -> RestError:
    return RestError(
        MISSING_ARGUMENT,
        f"Invalid value {{{value}}} to match with parameter {{{name}}}."
        f" Should be value of type {{{wanted}}}.",
    )


def check_application(call: Call) -> None:
    """Refuses webhooks."""
    if call.installation is None:
        raise RestError(
            "WRONG_AUTH_TYPE",
            "Current authorization type is denied for this method Application context required",
            FORBIDDEN,
        )
