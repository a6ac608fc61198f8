"""What can go wrong between us and Bitrix24, and what a person reads about it.

    B24Error
    ├── NeverSent             nothing left us: safe to try again
    │   ├── AddressForbidden  an address that this app never calls
    │   └── PortalBusy        too many requests wait for this portal already
    │       └── OAuthBusy     too many wait for the OAuth server
    ├── Refused               the server answered with an error: it did not do it
    │   ├── TokenExpired      refresh once, then go on
    │   ├── TokenRejected     this token is no good; a new opening brings another
    │   ├── ChainBroken       the refresh token is spent, or the app is gone: only an opening helps
    │   ├── AccessDenied      this person may not
    │   ├── ScopeMissing      the app may not
    │   ├── NotFound          no such payment, order or item
    │   ├── QueryLimit        too many requests; not carried out
    │   └── BatchRefused      not inside a batch; call it alone
    ├── OutcomeUnknown        it may have been carried out: read back, never repeat a write
    │   └── PortalMoved       302: the portal answers elsewhere now
    └── FrameError            the request to us is at fault; Bitrix24 was not asked to do anything
        ├── BadInput          400
        ├── SessionExpired    401, the tab was open too long
        ├── OpeningRefused    403, the opening is not proved
        │   └── AddressNotUnderstood  403, the portal's address has a form that no portal has
        ├── TooManyOpenings   429, too many openings from one network could not be confirmed
        ├── EventRefused      403, the event is not proved
        └── Missing           404, not in what this person was shown

`middleware.py` turns each into a page, a fragment or JSON, with `status` and `sentence`. A sentence
says what happened and who can mend it; those for the server's codes are in `sentences.py`. The
server's own description goes to the log only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

from b24app.errors.messages import SENTENCES
from b24app.untrusted.text import cut

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


# What is kept of an error: more than any documented code has, and less than the columns for codes.
CODE_LENGTH = 60
# Payment systems put whole messages of their own into a description.
DESCRIPTION_LENGTH = 2000


class B24Error(Exception):
    """Anything that stopped us; subclasses say what is known about the outcome."""

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
    """The address is not one this app calls: not HTTPS, or inside a private network."""

    sentence_by_default = _(
        "This portal's address cannot be called from here. Whoever runs this app can allow it."
    )


class PortalBusy(NeverSent):
    """The portal is slow, and as many requests wait for it as this process lets one portal have."""

    # Seconds, for the Retry-After header.
    retry_after: ClassVar[int] = 5
    sentence_by_default = _(
        "Your Bitrix24 is slow at the moment, and other requests wait for its answers already. "
        "Nothing was sent, so nothing was paid or changed. Try again in a few seconds."
    )


class OAuthBusy(PortalBusy):
    """The OAuth server is slow, and as many calls wait for it as this process lets wait."""

    sentence_by_default = _(
        "The sign-in server of Bitrix24 is slow at the moment. "
        "Nothing was sent, so nothing was paid or changed. Try again in a few seconds."
    )


class ExportBusy(PortalBusy):
    """A file of this portal is being made in this process; each one holds a thread for minutes."""

    retry_after: ClassVar[int] = 60
    sentence_by_default = _(
        "Another file of this portal's history is being made. Nothing was done. "
        "Try again when it is finished."
    )


class Refused(B24Error):
    """The server answered with an error: what was asked has not been done.

    `code` is always text, also where the server sent a number (0 included); `http_status` is the
    answer's; `description` is not for people: it can be empty, localized, or in the wrong language.
    """

    status = 409

    def __init__(self, code: str, description: str = "", http_status: int = 0) -> None:
        super().__init__(code, description, http_status)
        self.code = code
        self.description = description
        self.http_status = http_status

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
    """The access token's hour is over."""

    status = 401


class TokenRejected(Refused):
    """The token is unknown, its user is dismissed, or the user may not use the app."""

    status = 401


class ChainBroken(Refused):
    """The OAuth server will not renew this pair: it is spent, or the app is removed or unpaid."""

    status = 401


class AccessDenied(Refused):
    """The person's own rights in Bitrix24 do not allow it."""

    status = 403

    @property
    def is_about_plan(self) -> bool:
        """Nobody may, on this tariff plan; only the description tells it apart."""
        return "plan" in self.description.lower()

    @property
    def sentence(self) -> StrOrPromise:
        if self.is_about_plan:
            return _(
                "Apps work only on Bitrix24's commercial plans. "
                "The portal's administrator can change the plan."
            )
        # The same refusal also comes as the number 0, which has no sentence of its own.
        return SENTENCES.get(self.code.upper(), SENTENCES["ACCESS_DENIED"])


class ScopeMissing(Refused):
    """The app was installed without a permission it needs."""

    status = 403


class NotFound(Refused):
    """The portal knows no such thing, or hides it from this person."""

    status = 404

    @property
    def sentence(self) -> StrOrPromise:
        # crm.item.payment.* says it with the number 0.
        return SENTENCES.get(self.code.upper(), SENTENCES["200640400001"])


class QueryLimit(Refused):
    """The bucket of requests is empty; the request was turned away unread."""

    status = 429


class BatchRefused(Refused):
    """This method does not run inside `batch` on this portal."""


class OutcomeUnknown(B24Error):
    """The request left us and no clear answer came back: it may have been carried out.

    Never repeat a write on this. Record the attempt as unknown and read back.
    """

    status = 504
    sentence_by_default = _("Bitrix24 did not answer clearly. Look before you try again.")


class PortalMoved(OutcomeUnknown):
    """The portal answered with a redirect. Its new address comes from the OAuth server alone."""

    sentence_by_default = _(
        "This portal has moved to another address. Close the app and open it again from Bitrix24."
    )


class FrameError(B24Error):
    """The request that reached us is at fault."""

    status = 400


class BadInput(FrameError):
    sentence_by_default = _("This request is not complete. Nothing was done. Reload the page.")


class SessionExpired(FrameError):
    """The signed session is over, missing or not ours."""

    status = 401
    sentence_by_default = _("This tab was open for too long, so nothing was sent. Reopen it here.")


class OpeningRefused(FrameError):
    """The opening's token does not prove this app, this portal and this person."""

    status = 403
    sentence_by_default = _(
        "Bitrix24 did not confirm that you opened this app from your portal. "
        "Open it from the menu of your Bitrix24, or ask its administrator to install it."
    )


class AddressNotUnderstood(OpeningRefused):
    """The address of a portal is not scheme://host[:port]/path/; the text says what is wrong."""

    sentence_by_default = _(
        "The address of this Bitrix24 is not understood, so it was not called. "
        "Nothing was changed. Show this page to the people who run this app."
    )


class TooManyOpenings(FrameError):
    """Openings of one portal from one network keep failing; this one was not looked at."""

    status = 429
    sentence_by_default = _(
        "Too many openings of the app from your network could not be confirmed. "
        "Nothing was done. Try again in a minute."
    )


class EventRefused(FrameError):
    """The event's application_token is not the one of this installation."""

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

# crm.item.payment.* says these two with the number 0, which elsewhere means anything at all.
_DESCRIPTIONS_OF_ZERO: dict[str, type[Refused]] = {
    "insufficient permissions": AccessDenied,
    "access denied": AccessDenied,
    "payment has not been found": NotFound,
}

# The server broke while it worked, so it may have done part of it or all. ERROR_CORE is such a one
# with status 500, where the database failed; with 400 it is a plain refusal.
_OUTCOME_UNKNOWN = {"INTERNAL_SERVER_ERROR", "ERROR_UNEXPECTED_ANSWER"}


def error_from_answer(code: str | int, description: str, http_status: int) -> B24Error:
    """The exception for an error answer; by its code, since statuses differ between builds.

    An unknown code with a 5xx status leaves the outcome unknown: only a server that still knew
    what it was doing sends one of its own codes.
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
