"""Reads payments, and changes whether they are paid.

The sale.* methods drop unknown filter fields without an error and then return all payments of the
portal, so each caller compares the rows with what it asked for.

The functions that take a Client change something. Each sends its call once, as the acting person,
and returns when the portal answered `true`, which proves nothing: read the payment back. They raise
NeverSent, Refused, or OutcomeUnknown if the call may have been carried out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from b24app.errors import AccessDenied, OutcomeUnknown, Refused
from b24app.rest.client import Answer, Client, Query
from payments.gateway import parsing, records
from payments.gateway.parsing import UNCOUNTED
from payments.gateway.types import Owner, Payment, Rows

# Between an order's number and that of its payment: 163/1.
NUMBER_SEPARATOR = "/"

_FIELDS = [
    "id",
    "accountNumber",
    "orderId",
    "sum",
    "currency",
    "paid",
    "dateBill",
    "datePaid",
    "empPaidId",
    "paySystemId",
    "paySystemName",
]

PaymentsQuery = Query[Rows[Payment]]


def order_right() -> Query[bool]:
    """Whether this person may create or edit orders; Bitrix24 makes the same check before paying.

    A call without parameters gets no further than that check, so it has no effect.
    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-payment-get.html
    """

    def parse(answer: Answer) -> bool:
        raise OutcomeUnknown("a call without parameters was answered")

    def parse_refusal(refusal: Refused) -> bool:
        if refusal.code == "ERROR_CHECK_FAILURE":
            return True
        if isinstance(refusal, AccessDenied) and not refusal.is_about_plan:
            return False
        raise refusal

    return Query("sale.paysystem.settings.payment.get", parse, {}, parse_refusal)


def may_read_order_of(payment_id: int) -> Query[bool]:
    """Whether this person may read the payment's order. If not, they cannot change it either.

    The documentation requires the right to modify the order; the server checks that to read it.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-get.html
    """

    def parse_refusal(refusal: Refused) -> bool:
        if isinstance(refusal, AccessDenied) and not refusal.is_about_plan:
            return False
        raise refusal

    return Query("crm.item.payment.get", lambda answer: True, {"id": payment_id}, parse_refusal)


def payment(payment_id: int) -> Query[Payment]:
    """https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-get.html"""
    return Query(
        "sale.payment.get",
        lambda answer: records.payment(parsing.inside(answer.result, "payment")),
        {"id": payment_id},
    )


def payments_of_item(owner: Owner) -> PaymentsQuery:
    """The payments of one deal or invoice, newest first. An answer proves that the person may read
    that deal or invoice.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-list.html
    """
    return Query(
        "crm.item.payment.list",
        lambda answer: records.payments(answer.result),
        {"entityTypeId": owner.type_id, "entityId": owner.id, "order": {"id": "desc"}},
    )


def payments_of_order(order_id: int) -> PaymentsQuery:
    """The newest page of an order's payments; the caller compares the order of each row.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """
    return _payments({"=orderId": order_id})


def payments_with_ids(payment_ids: Iterable[int]) -> PaymentsQuery:
    """The payments with these ids, at most a page; the caller compares the id of each row.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """
    return _payments({"@id": list(payment_ids)})


def unpaid_payments(*, before: int | None, start: int = UNCOUNTED) -> PaymentsQuery:
    """A page of the portal's unpaid payments, newest first, those with an id under `before`.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """
    return _payments(_unpaid(before), start=start)


def unpaid_payments_numbered(
    numbers: Sequence[str], *, before: int | None
) -> tuple[PaymentsQuery, ...]:
    """Unpaid payments with one of these numbers, and those whose order has one of them: a payment's
    number begins with its order's, 163/1.

    The answers can hold other payments too, so the caller compares. Whether the portal's database
    compares without case is unknown, so both cases are asked for.
    """
    conditions = _unpaid(before)
    cases = {form for number in numbers for form in (number, number.upper(), number.lower())}
    beginnings = [f"{_without_wildcards(number)}{NUMBER_SEPARATOR}%" for number in numbers]
    return (
        _payments({**conditions, "@accountNumber": sorted(cases)}),
        *(_payments({**conditions, "=%accountNumber": text}) for text in beginnings),
    )


def pay_payment(client: Client, *, payment_id: int, pay_system_id: int) -> None:
    """Pays through the pay system that the payment has.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-pay-payment.html
    """
    parsing.expect_true(
        client.write(
            "sale.paysystem.pay.payment",
            {"PAYMENT_ID": payment_id, "PAY_SYSTEM_ID": pay_system_id},
        )
    )


def mark_payment(client: Client, *, payment_id: int) -> None:
    """Marks the payment as paid: Bitrix24 calls no pay system, and no money moves.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-pay.html
    """
    parsing.expect_true(client.write("crm.item.payment.pay", {"id": payment_id}))


def unpay_payment(client: Client, *, payment_id: int) -> None:
    """Marks the payment as not paid. The date and the person of the payment stay in it.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-unpay.html
    """
    parsing.expect_true(client.write("crm.item.payment.unpay", {"id": payment_id}))


def change_pay_system(client: Client, *, payment_id: int, pay_system_id: int) -> None:
    """Gives the payment another pay system; it stays unpaid.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-update.html
    """
    parsing.expect_true(
        client.write(
            "crm.item.payment.update",
            {"id": payment_id, "fields": {"paySystemId": pay_system_id}},
        )
    )


def _payments(conditions: dict[str, object], *, start: int = UNCOUNTED) -> PaymentsQuery:
    return Query(
        "sale.payment.list",
        lambda answer: records.payments(answer.result, key="payments"),
        {
            "select": _FIELDS,
            "filter": conditions,
            "order": {"id": "desc"},
            "start": start,
        },
    )


def _unpaid(before: int | None) -> dict[str, object]:
    return {"=paid": "N"} if before is None else {"=paid": "N", "<id": before}


def _without_wildcards(number: str) -> str:
    """Replaces the wildcards of LIKE by `_`, which matches any one character: no way to escape them
    is documented."""
    return re.sub(r"[%\\]", "_", number)
