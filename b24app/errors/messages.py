"""Maps Bitrix24's error codes to sentences: what happened, and who can fix it.

https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-pay-payment.html
https://apidocs.bitrix24.com/settings/oauth/error-codes.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_REOPEN = _("Bitrix24 no longer accepts this sign-in. Close the app and open it again.")
_NOT_INSTALLED = _(
    "The app is not installed in this portal. Ask the portal's administrator to install it."
)
_FAULT = _("Bitrix24 had an internal error. Look before you try again.")
_ARGUMENT = _("Bitrix24 did not accept the request. Reload the page and try again.")
_CONFIRM = _(
    "The portal's administrator has to allow this action of the app first. "
    "Ask them to confirm it in Bitrix24."
)
_PERMISSION = _(
    "You do not have permission to do this in Bitrix24. "
    "Ask the portal's administrator for the right to create and edit orders."
)
_SCOPE = _(
    "The app was installed without a permission it needs. "
    "Ask the portal's administrator to install it again."
)
_PUBLISHER = _(
    "This app is not set up correctly with Bitrix24. The people who run the app can correct it."
)

# By the code in capitals: Bitrix24 sends some in small letters, and its SDK compares capitals too.
SENTENCES: dict[str, StrOrPromise] = {
    "NO_AUTH_FOUND": _REOPEN,
    "EXPIRED_TOKEN": _REOPEN,
    "INVALID_TOKEN": _REOPEN,
    "INVALID_CREDENTIALS": _(
        "The incoming webhook is wrong or switched off. The person who made it in "
        "Bitrix24 can correct it."
    ),
    "INVALID_GRANT": _REOPEN,
    "AUTHORIZATION_ERROR": _(
        "Bitrix24 does not let this person in: they may have been dismissed. The portal's "
        "administrator can correct this by opening the app."
    ),
    "USER_ACCESS_ERROR": _(
        "The portal's administrator has limited this app to certain people. "
        "Ask them to add you in the app's access settings."
    ),
    "APPLICATION_NOT_FOUND": _NOT_INSTALLED,
    "ERROR_OAUTH": _NOT_INSTALLED,
    "NOT_INSTALLED": _NOT_INSTALLED,
    "PAYMENT_REQUIRED": _(
        "The app's subscription in this portal has ended. The portal's administrator can renew it."
    ),
    "METHOD_CONFIRM_WAITING": _CONFIRM,
    "METHOD_CONFIRM_DENIED": _CONFIRM,
    "INSUFFICIENT_SCOPE": _SCOPE,
    "INVALID_SCOPE": _SCOPE,
    "ACCESS_DENIED": _PERMISSION,
    "200040300010": _PERMISSION,
    "200040300020": _PERMISSION,
    "WRONG_AUTH_TYPE": _("Bitrix24 allows this only to an installed app, not to a webhook."),
    "ALLOWED_ONLY_INTRANET_USER": _(
        "This is for the company's own employees; your account in Bitrix24 is a guest's. "
        "Ask the portal's administrator."
    ),
    # A portal sends it for plain HTTP, the OAuth server for a missing parameter.
    "INVALID_REQUEST": _(
        "Bitrix24 did not accept the app's request. The people who run the app can correct it."
    ),
    "ERROR_METHOD_NOT_FOUND": _(
        "This portal's Bitrix24 does not know the action: it may be too old. "
        "The portal's administrator can update it."
    ),
    "ERROR_MANIFEST_IS_NOT_AVAILABLE": _ARGUMENT,
    "ERROR_BATCH_METHOD_NOT_ALLOWED": _ARGUMENT,
    "ERROR_BATCH_LENGTH_EXCEEDED": _ARGUMENT,
    "OPERATION_TIME_LIMIT": _(
        "Bitrix24 has stopped this action for some minutes because it was used too much. "
        "Nothing was done. Try again in ten minutes."
    ),
    "QUERY_LIMIT_EXCEEDED": _(
        "Too many requests reached the portal at once. Nothing was done. Try again in a minute."
    ),
    "OVERLOAD_LIMIT": _(
        "Bitrix24 has blocked this portal's apps because of overload. Nothing was done. "
        "The portal's administrator can ask Bitrix24's support to lift it."
    ),
    "INTERNAL_SERVER_ERROR": _FAULT,
    "ERROR_UNEXPECTED_ANSWER": _FAULT,
    "ERROR_CORE": _FAULT,
    "CONNECTION_ERROR": _FAULT,
    "PORTAL_DELETED": _("This portal no longer exists in Bitrix24."),
    "WRONG_CLIENT": _PUBLISHER,
    "INVALID_CLIENT": _PUBLISHER,
    "ERROR_ARGUMENT": _ARGUMENT,
    "100": _ARGUMENT,
    "ERROR_CHECK_FAILURE": _(
        "Bitrix24 found no such payment with this payment system: one of them may have "
        "been changed or deleted meanwhile. Nothing was paid. Reload the page to see the "
        "current state."
    ),
    "ERROR_PROCESS_REQUEST_RESULT": _(
        "The payment system refused: it cannot be paid from outside, or the order is cancelled. "
        "Choose another payment system, or ask the portal's administrator."
    ),
    "ERROR_INTERNAL_ORDER_NOT_FOUND": _("The order no longer exists in Bitrix24."),
    "200640400001": _("The payment no longer exists in Bitrix24."),
    "200540400001": _("The order no longer exists in Bitrix24."),
}
