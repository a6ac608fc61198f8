"""What we ask Bitrix24 and how its answers become our shapes.

Unknown filter fields are dropped in silence by the sale.* methods, and then everybody's payments
come back; whoever asks compares each row with what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from b24app.client import Answer, Query
from b24app.errors import AccessDenied, NotFound, OutcomeUnknown, Refused
from payments.gateway import parsing, records
from payments.gateway.shapes import (
    NAME_LENGTH,
    TITLE_LENGTH,
    Binding,
    Order,
    Owner,
    Payment,
    PaySystem,
    Rows,
)

# The server's own page; it cannot be changed.
PAGE = 50

# Asked for, the server neither counts the rows nor says where the next page begins: cheaper.
UNCOUNTED = -1

_PAYMENT_FIELDS = [
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
_ORDER_FIELDS = ["id", "accountNumber", "canceled", "personTypeId"]
_PAY_SYSTEM_FIELDS = [
    "ID",
    "NAME",
    "ACTIVE",
    "ENTITY_REGISTRY_TYPE",
    "PERSON_TYPE_ID",
    "ACTION_FILE",
    "IS_CASH",
    "SORT",
]


# Between an order's number and that of its payment within it.
NUMBER_SEPARATOR = "/"

PaymentsQuery = Query[Rows[Payment]]


@dataclass(frozen=True)
class BindingsPage:
    """`is_whole` is false where a row could not be read, so that an order may have more owners."""

    bindings: tuple[Binding, ...]
    next: int | None
    is_whole: bool = True


def order_right() -> Query[bool]:
    """May this person create or edit orders at all? Asked by the same check that paying makes.

    A call without parameters gets no further than that check, so it has no effect.
    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-settings-payment-get.html
    """

    def parse(answer: Answer) -> bool:
        raise OutcomeUnknown("an empty question about a payment was answered")

    def parse_refusal(refusal: Refused) -> bool:
        if refusal.code == "ERROR_CHECK_FAILURE":
            return True
        # The tariff plan's refusal has the same code; only its text differs.
        if refusal.code == "ACCESS_DENIED" and "plan" not in refusal.description.lower():
            return False
        raise refusal

    return Query("sale.paysystem.settings.payment.get", parse, {}, parse_refusal)


def payments_of_item(owner: Owner) -> PaymentsQuery:
    """Needs the right to read this one deal or invoice: the answer proves it.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-list.html
    """
    return Query(
        "crm.item.payment.list",
        lambda answer: records.payments(answer.result),
        {"entityTypeId": owner.type_id, "entityId": owner.id, "order": {"id": "desc"}},
    )


def unpaid_payments(*, before: int | None, start: int = UNCOUNTED) -> PaymentsQuery:
    """A page of the portal's unpaid payments, newest first, those with an id under `before`.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """
    return _payments(_unpaid(before), start=start)


def unpaid_payments_numbered(number: str, *, before: int | None) -> tuple[PaymentsQuery, ...]:
    """Those of one order by its number, and the one that has the number itself: a payment is
    numbered after its order, 163/1. The second asks with LIKE, so the caller compares."""
    conditions = _unpaid(before)
    return (
        _payments({**conditions, "=accountNumber": number}),
        _payments({**conditions, "=%accountNumber": f"{number}{NUMBER_SEPARATOR}%"}),
    )


def _unpaid(before: int | None) -> dict[str, object]:
    return {"=paid": "N"} if before is None else {"=paid": "N", "<id": before}


def _payments(conditions: dict[str, object], *, start: int = UNCOUNTED) -> PaymentsQuery:
    return Query(
        "sale.payment.list",
        lambda answer: records.payments(answer.result, key="payments"),
        {
            "select": _PAYMENT_FIELDS,
            "filter": conditions,
            "order": {"id": "desc"},
            "start": start,
        },
    )


def payment(payment_id: int) -> Query[Payment]:
    """https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-get.html"""
    return Query(
        "sale.payment.get",
        lambda answer: records.payment(parsing.inside(answer.result, "payment")),
        {"id": payment_id},
    )


def order(order_id: int) -> Query[Order]:
    """https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-get.html"""
    return Query(
        "sale.order.get",
        lambda answer: records.order(parsing.inside(answer.result, "order")),
        {"id": order_id},
    )


def orders(order_ids: Iterable[int]) -> Query[tuple[Order, ...]]:
    """At most a page of ids. An order that cannot be read is left out.

    https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-list.html
    """
    return _orders({"@id": list(order_ids)})


def orders_numbered(number: str) -> Query[tuple[Order, ...]]:
    return _orders({"=accountNumber": number})


def _orders(conditions: dict[str, object]) -> Query[tuple[Order, ...]]:
    return Query(
        "sale.order.list",
        lambda answer: parsing.rows(answer.result, records.order, key="orders").read,
        {"select": _ORDER_FIELDS, "filter": conditions, "start": UNCOUNTED},
    )


def bindings(order_ids: Iterable[int], *, start: int = 0) -> Query[BindingsPage]:
    """What orders belong to. An order may belong to several objects, so a page can be too short.

    https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
    """

    def parse(answer: Answer) -> BindingsPage:
        found = parsing.rows(answer.result, records.binding, key="orderEntity")
        next_ = parsing.next_page(answer, start=start, page=PAGE)
        return BindingsPage(found.read, next_, is_whole=not found.unreadable)

    return Query(
        "crm.orderentity.list",
        parse,
        {"filter": {"@orderId": list(order_ids)}, "order": {"orderId": "asc"}, "start": start},
    )


def readable_items(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """Of these objects, at most a page, those that the person may read, with their titles. One
    whose id cannot be read is left out; one whose title cannot has none.

    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """

    def parse_row(row: parsing.Row) -> Owner:
        title = parsing.text_if_known(row.get("title"), TITLE_LENGTH)
        return Owner(type_id, parsing.integer(row.get("id")), title)

    def parse_refusal(refusal: Refused) -> tuple[Owner, ...]:
        # No right to objects of this kind, or a kind that no longer exists: none is readable.
        if isinstance(refusal, AccessDenied | NotFound) or refusal.code.upper() == "NOT_FOUND":
            return ()
        raise refusal

    return Query(
        "crm.item.list",
        lambda answer: parsing.rows(answer.result, parse_row, key="items").read,
        {
            "entityTypeId": type_id,
            "select": ["id", "title"],
            "filter": {"@id": list(ids)},
            "start": UNCOUNTED,
        },
        parse_refusal,
    )


def pay_systems() -> Query[Rows[PaySystem]]:
    """All of the portal; needs the right to change CRM settings. The newest build ignores the
    operators of its filter, so nothing is filtered there.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html
    """
    return Query(
        "sale.paysystem.list",
        lambda answer: records.pay_systems(answer.result),
        {"SELECT": _PAY_SYSTEM_FIELDS, "ORDER": {"SORT": "ASC"}},
        administrators_only=True,
    )


def rest_handlers() -> Query[frozenset[str]]:
    """The codes of the REST handlers of all apps: only their pay systems can be paid by a call.
    Raises OutcomeUnknown where one of them cannot be read: a pay system of it would look built in.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """

    def parse(answer: Answer) -> frozenset[str]:
        found = parsing.rows(answer.result, lambda row: parsing.text(row.get("CODE"), NAME_LENGTH))
        if found.unreadable:
            raise OutcomeUnknown("a handler without a readable code")
        return frozenset(found.read)

    return Query("sale.paysystem.handler.list", parse)
