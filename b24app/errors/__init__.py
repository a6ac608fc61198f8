"""The errors between this app and Bitrix24, each with an HTTP status and a sentence."""

#   B24Error
#   ├── NeverSent             nothing was sent: safe to retry
#   │   ├── AddressForbidden  an address that this app never calls
#   │   └── PortalBusy        too many requests already wait for this portal
#   │       ├── OAuthBusy     too many requests already wait for the OAuth server
#   │       └── ExportBusy    another file of this portal is being made
#   ├── Refused               the server answered with an error: it did not do it
#   │   ├── TokenExpired      renew the token once, then retry
#   │   ├── TokenRejected     the token is not valid; the next opening brings another
#   │   ├── ChainBroken       the refresh token is spent, or the app is removed; the next opening
#   │   │                     brings a new pair
#   │   ├── AccessDenied      this person has no right to do it
#   │   ├── ScopeMissing      the app has no permission to do it
#   │   ├── NotFound          no such payment, order or item
#   │   ├── QueryLimit        too many requests; not carried out
#   │   └── BatchRefused      not allowed inside a batch; call it alone
#   ├── OutcomeUnknown        it may have been carried out: read back, never repeat a write
#   │   └── PortalMoved       302: the portal has another address now
#   └── FrameError            the request to the app is at fault; nothing was asked of Bitrix24
#       ├── BadInput          400
#       ├── SessionExpired    401, the tab was open too long
#       ├── OpeningRefused    403, the opening is not proved
#       │   └── AddressNotUnderstood  403, the portal's address cannot be parsed
#       ├── TooManyOpenings   429, too many openings from one network could not be confirmed
#       ├── EventRefused      403, the event is not proved
#       └── Missing           404, not among the payments that this person may see
#
# `web/error_pages.py` turns each into a page, a fragment or JSON. Its sentence says what happened
# and who can fix it; `messages.py` has the sentences for the server's codes. The server's own
# description goes to the log only.

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

from b24app.errors.messages import SENTENCES
from b24app.untrusted.text import cut

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


# Longer than any documented code, and shorter than the columns for codes.
CODE_LENGTH = 60
# Payment systems put whole messages into a description.
DESCRIPTION_LENGTH = 2000


class B24Error(Exception):
    """The base of all errors; each subclass says what is known about the outcome."""

    status: ClassVar[int] = 503
    sentence_by_default: ClassVar[StrOrPromise] = _(
        "Something went wrong between this app and Bitrix24. Try again in a minute."
    )

    @property
    def sentence(self) -> StrOrPromise:
        return self.sentence_by_default


class NeverSent(B24Error):
    """No connection was made, so nothing was carried out."""

    sentence_by_default = _(
        "Bitrix24 could not be reached, so nothing was done. Try again in a minute."
    )


class AddressForbidden(NeverSent):
    """This app does not call the address: it is not HTTPS, or it is in a private network."""

    sentence_by_default = _(
        "This portal's address cannot be called from here. The people who run this app "
        "can allow it."
    )


class PortalBusy(NeverSent):
    """The portal is slow, and its share of this process's requests is taken (`rest/shares.py`)."""

    retry_after: ClassVar[int] = 5  # seconds, for the Retry-After header
    sentence_by_default = _(
        "Your Bitrix24 is slow at the moment, and other requests wait for its answers already. "
        "Nothing was sent, so nothing was paid or changed. Try again in a few seconds."
    )


class OAuthBusy(PortalBusy):
    """The OAuth server is slow, and its share of this process's requests is taken."""

    sentence_by_default = _(
        "The sign-in server of Bitrix24 is slow at the moment. "
        "Nothing was sent, so nothing was paid or changed. Try again in a few seconds."
    )


class ExportBusy(PortalBusy):
    """This process already makes a file for this portal; each file holds a thread for minutes."""

    retry_after: ClassVar[int] = 60
    sentence_by_default = _(
        "Another file of this portal's history is being made. Nothing was done. "
        "Try again when it is finished."
    )


class Refused(B24Error):
    """The server answered with an error: the request was not carried out."""

    status = 409

    def __init__(self, code: str, description: str = "", http_status: int = 0) -> None:
        super().__init__(code, description, http_status)
        self.code = code  # text, even if the server sent a number such as 0
        # For the log, not for people: it can be empty or in another language.
        self.description = description
        self.http_status = http_status  # of the answer

    def __str__(self) -> str:
        return f"{self.code} (HTTP {self.http_status}): {self.description}"

    @property
    def sentence(self) -> StrOrPromise:
        known = SENTENCES.get(self.code.upper())
        if known is not None:
            return known
        return _("Bitrix24 refused, with the code %(code)s. Nothing was done.") % {
            "code": self.code or "-"
        }


class TokenExpired(Refused):
    """The access token, which lives an hour, has expired."""

    status = 401


class TokenRejected(Refused):
    """The token is unknown, its user is dismissed, or the user may not use the app."""

    status = 401


class ChainBroken(Refused):
    """The OAuth server refuses to renew this pair: it is spent, or the app is removed or unpaid."""

    status = 401


class AccessDenied(Refused):
    """The person has no right in Bitrix24 to do it."""

    status = 403

    @property
    def is_about_plan(self) -> bool:
        """Whether the portal's tariff plan forbids it; only the description says so.

        "REST is available only on commercial plans", or "… only by subscription" to a webhook.
        """
        description = self.description.lower()
        return "plan" in description or "by subscription" in description

    @property
    def sentence(self) -> StrOrPromise:
        if self.is_about_plan:
            return _(
                "Apps work only on Bitrix24's commercial plans. "
                "The portal's administrator can change the plan."
            )
        # Bitrix24 also sends this refusal with the code 0, which has no sentence.
        return SENTENCES.get(self.code.upper(), SENTENCES["ACCESS_DENIED"])


class ScopeMissing(Refused):
    """The app was installed without a permission it needs."""

    status = 403


class NotFound(Refused):
    """The portal has no such object, or hides it from this person."""

    status = 404

    @property
    def sentence(self) -> StrOrPromise:
        # crm.item.payment.* sends it with the code 0.
        return SENTENCES.get(self.code.upper(), SENTENCES["200640400001"])


class QueryLimit(Refused):
    """The portal's bucket of requests is empty, so it refused the request without reading it."""

    status = 429


class BatchRefused(Refused):
    """This portal does not run the method inside `batch`."""


class OutcomeUnknown(B24Error):
    """The request was sent and no clear answer came back: it may have been carried out.

    Never repeat a write after this. Record the attempt as unknown and read back.
    """

    status = 504
    sentence_by_default = _("Bitrix24 did not answer clearly. Look before you try again.")


class PortalMoved(OutcomeUnknown):
    """The portal answered with a redirect. Only the OAuth server gives its new address."""

    sentence_by_default = _(
        "This portal has moved to another address. Close the app and open it again from Bitrix24."
    )


class FrameError(B24Error):
    """The request to the app is at fault."""

    status = 400


class BadInput(FrameError):
    sentence_by_default = _("This request is not complete. Nothing was done. Reload the page.")


class SessionExpired(FrameError):
    """The signed session is missing, expired, or not signed by this app."""

    status = 401
    sentence_by_default = _("This tab was open for too long, so nothing was sent. Reopen it here.")


class OpeningRefused(FrameError):
    """The token of the opening does not prove the app, the portal and the person."""

    status = 403
    sentence_by_default = _(
        "Bitrix24 did not confirm that you opened this app from your portal. "
        "Open it from the menu of your Bitrix24, or ask its administrator to install it."
    )


class AddressNotUnderstood(OpeningRefused):
    """The portal's address is not scheme://host[:port]/path/; the text says what is wrong."""

    sentence_by_default = _(
        "The address of this Bitrix24 is not understood, so it was not called. "
        "Nothing was changed. Show this page to the people who run this app."
    )


class TooManyOpenings(FrameError):
    """Openings of one portal from one network keep failing, so this one was not checked."""

    status = 429
    sentence_by_default = _(
        "Too many openings of the app from your network could not be confirmed. "
        "Nothing was done. Try again in a minute."
    )


class EventRefused(FrameError):
    """The event's application_token is not the token of this installation."""

    status = 403
    sentence_by_default = "invalid_application_token"


class Missing(FrameError):
    status = 404
    sentence_by_default = _("There is no such payment among those you may see. Nothing was done.")


_CLASSES: dict[str, type[Refused]] = {
    "EXPIRED_TOKEN": TokenExpired,
    "NO_AUTH_FOUND": TokenRejected,
    "INVALID_TOKEN": TokenRejected,
    "INVALID_CREDENTIALS": TokenRejected,
    "AUTHORIZATION_ERROR": TokenRejected,
    "USER_ACCESS_ERROR": TokenRejected,
    "APPLICATION_NOT_FOUND": TokenRejected,
    "ERROR_OAUTH": TokenRejected,
    "PAYMENT_REQUIRED": ChainBroken,
    "NOT_INSTALLED": ChainBroken,
    "INVALID_GRANT": ChainBroken,
    "ACCESS_DENIED": AccessDenied,
    "ALLOWED_ONLY_INTRANET_USER": AccessDenied,
    "200040300010": AccessDenied,
    "200040300020": AccessDenied,
    "INSUFFICIENT_SCOPE": ScopeMissing,
    "INVALID_SCOPE": ScopeMissing,
    "200640400001": NotFound,
    "200540400001": NotFound,
    "QUERY_LIMIT_EXCEEDED": QueryLimit,
    "ERROR_BATCH_METHOD_NOT_ALLOWED": BatchRefused,
}

# crm.item.payment.* sends these with the code 0, which other methods send for any error.
_DESCRIPTIONS_OF_ZERO: dict[str, type[Refused]] = {
    "insufficient permissions": AccessDenied,
    "access denied": AccessDenied,
    "payment has not been found": NotFound,
}

# The server failed while it worked, so it may have done part of it, or all. ERROR_CORE means the
# same with status 500, where the database failed; with status 400 it is a refusal.
_OUTCOME_UNKNOWN = {"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}


def error_from_answer(code: str | int, description: str, http_status: int) -> B24Error:
    """Returns the exception for an error answer, by its code: statuses differ between builds.

    An unknown code with a 5xx status means OutcomeUnknown: the server may have failed halfway.
    """
    code, description = cut(str(code), CODE_LENGTH), cut(description, DESCRIPTION_LENGTH)
    key = code.upper()
    if key in _OUTCOME_UNKNOWN or (key == "ERROR_CORE" and http_status >= 500):
        return OutcomeUnknown(f"{code} (HTTP {http_status})")
    found = _CLASSES.get(key)
    if found is None and key == "0":
        found = _DESCRIPTIONS_OF_ZERO.get(description.strip().rstrip(".!").lower())
    if found is None and http_status >= 500 and key not in SENTENCES:
        return OutcomeUnknown(f"{code} (HTTP {http_status})")
    return (found or Refused)(code, description, http_status)
