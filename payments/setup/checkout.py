"""Checks the checkout requests of Manual settlement and seals the page that the buyer is sent to.

Bitrix24 posts BX_SYSTEM_PARAMS and the fields that the app's handler names, unsigned. One field is
a key that only the portal's own settings hold. The app reads the payment and compares it with the
request. It pays, marks and stores nothing.
https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-add.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _

from b24app.errors import B24Error, BadInput, Missing, OutcomeUnknown
from b24app.identity.forms import positive_id
from b24app.models import Portal
from b24app.tokens.clients import portal_client
from payments import gateway
from payments.gateway import Payment, parsing

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

_SALT = "payments.checkout"
# A buyer can open the page again for as long as a bill is usually open.
MAX_AGE_SECONDS = 90 * 24 * 3600
# The page's address contains them; browsers and proxies limit addresses to 2,000 characters.
INSTRUCTIONS_LENGTH = 500
_NUMBER_LENGTH = 100
_MEMBER_ID_LENGTH = 64

NOT_OURS = _("This payment system was not set up by this app. Ask the seller how to pay.")
NOT_TO_PAY = _("This payment cannot be paid any more: it is paid or was deleted. Ask the seller.")
CHANGED = _("The payment has changed meanwhile. Open its page again.")
NOT_CHECKED = _("The payment could not be checked just now. Try again in a minute.")


class CheckoutRefused(Exception):
    """The buyer gets no page. They read `sentence` instead."""

    def __init__(self, sentence: StrOrPromise) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


@dataclass(frozen=True)
class Request:
    """The fields of a checkout request, not checked yet."""

    member_id: str
    proof: str
    payment_id: int
    pay_system_id: int
    sum: Decimal
    currency: str
    instructions: str


@dataclass(frozen=True)
class Bill:
    """The content of the buyer's page."""

    number: str
    sum: Decimal
    currency: str
    instructions: str


def proof_of(portal: Portal) -> str:
    """Returns the key that the portal's settings hold and that each of its checkouts sends."""
    return salted_hmac("payments.checkout.proof", portal.member_id, algorithm="sha256").hexdigest()


def read_request(tree: Mapping[str, Any]) -> Request:
    """Reads the posted fields. Raises BadInput for a request that no portal sends."""
    system = tree.get("BX_SYSTEM_PARAMS")
    if not isinstance(system, Mapping):
        raise BadInput("no BX_SYSTEM_PARAMS")
    try:
        sum_ = parsing.money(system.get("SUM"))
    except OutcomeUnknown as error:
        raise BadInput("no sum") from error
    return Request(
        member_id=_text(tree, "portal", _MEMBER_ID_LENGTH),
        proof=_text(tree, "proof", _MEMBER_ID_LENGTH),
        payment_id=positive_id(system.get("PAYMENT_ID")),
        pay_system_id=positive_id(system.get("PAYSYSTEM_ID")),
        sum=sum_,
        currency=_text(system, "CURRENCY", 10),
        instructions=_text(tree, "instructions", INSTRUCTIONS_LENGTH, cut=True),
    )


def check(request: Request) -> tuple[Payment, str]:
    """Returns the payment as the portal has it, and the sealed Bill for its buyer.

    Waits for the portal. Raises CheckoutRefused.
    """
    portal = Portal.objects.filter(
        member_id=request.member_id, installed_at__isnull=False, uninstalled_at=None
    ).first()
    if portal is None or not constant_time_compare(request.proof, proof_of(portal)):
        raise CheckoutRefused(NOT_OURS)
    try:
        payment = portal_client(portal).read(gateway.payment(request.payment_id))
    except B24Error as error:
        sentence = NOT_TO_PAY if error.status == Missing.status else NOT_CHECKED
        raise CheckoutRefused(sentence) from error
    if payment.paid:
        raise CheckoutRefused(NOT_TO_PAY)
    posted = (request.pay_system_id, request.sum, request.currency)
    if posted != (payment.pay_system_id, payment.sum, payment.currency) or payment.sum <= 0:
        raise CheckoutRefused(CHANGED)
    bill = Bill(payment.account_number, payment.sum, payment.currency, request.instructions)
    return payment, _seal(bill)


def open_bill(sealed: str) -> Bill:
    """Raises NoSuchBill if the app did not seal it, or sealed it too long ago."""
    try:
        number, sum_, currency, instructions = signing.loads(
            sealed, salt=_SALT, max_age=MAX_AGE_SECONDS
        )
    except signing.BadSignature as error:
        raise NoSuchBill("forged or too old") from error
    return Bill(number, Decimal(sum_), currency, instructions)


class NoSuchBill(Missing):
    sentence_by_default = _(
        "This page does not exist, or no longer exists. Open the payment again from the "
        "seller's message."
    )


def _seal(bill: Bill) -> str:
    content = [bill.number[:_NUMBER_LENGTH], str(bill.sum), bill.currency, bill.instructions]
    return signing.dumps(content, salt=_SALT, compress=True)


def _text(tree: Mapping[str, Any], name: str, length: int, *, cut: bool = False) -> str:
    value = tree.get(name, "")
    if not isinstance(value, str) or "\0" in value or (len(value) > length and not cut):
        raise BadInput(f"{name} is no text, or too long")
    return value[:length]
