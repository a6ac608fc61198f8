"""What we ask Bitrix24 and how its answers become our shapes.

Unknown filter fields are dropped in silence by the sale.* methods, and then everybody's payments
come back; whoever asks compares each row with what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from b24app.errors import AccessDenied, NotFound, OutcomeUnknown, Refused
from b24app.rest.client import Answer, Query
from b24app.untrusted.numbers import whole
from payments.gateway import parsing, records
from payments.gateway.types import (
    COMPANY,
    CONTACT,
    NAME_LENGTH,
    TITLE_LENGTH,
    Binding,
    CrmCard,
    Order,
    Owner,
    Payment,
    PaySystem,
    Rows,
)

T = TypeVar("T")

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


def may_read_order_of(payment_id: int) -> Query[bool]:
    """May this person read the order of this payment? Whoever may not cannot change it either.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-get.html
    """

    def parse_refusal(refusal: Refused) -> bool:
        if isinstance(refusal, AccessDenied) and not refusal.is_about_plan:
            return False
        raise refusal

    return Query("crm.item.payment.get", lambda answer: True, {"id": payment_id}, parse_refusal)


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


def unpaid_payments_numbered(
    numbers: Sequence[str], *, before: int | None
) -> tuple[PaymentsQuery, ...]:
    """Payments that have one of these numbers, then those of an order with one of them: a payment
    is numbered after its order, 163/1.

    The answers can hold more than that, so the caller compares. Whether the portal's database
    tells upper from lower case is not known, so equality is asked for both.
    """
    conditions = _unpaid(before)
    cases = {form for number in numbers for form in (number, number.upper(), number.lower())}
    beginnings = [f"{_without_wildcards(number)}{NUMBER_SEPARATOR}%" for number in numbers]
    return (
        _payments({**conditions, "@accountNumber": sorted(cases)}),
        *(_payments({**conditions, "=%accountNumber": text}) for text in beginnings),
    )


def _without_wildcards(number: str) -> str:
    """Replaces LIKE's own signs by `_`, which stands for any one character: no way to escape them
    is documented."""
    return re.sub(r"[%\\]", "_", number)


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
    return Query(
        "crm.orderentity.list",
        lambda answer: bindings_page(answer, start=start),
        {"filter": {"@orderId": list(order_ids)}, "order": {"orderId": "asc"}, "start": start},
    )


def bindings_page(answer: Answer, *, start: int) -> BindingsPage:
    found = parsing.rows(answer.result, records.binding, key="orderEntity")
    next_ = parsing.next_page(answer, start=start, page=PAGE)
    return BindingsPage(found.read, next_, is_whole=not found.unreadable)


def readable_items(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """Of these objects, at most a page, those that the person may read, with their titles. One
    whose id cannot be read is left out; one whose title cannot has none.

    https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html
    """
    return _items(type_id, ids, ["id", "title"], _titled)


def _items(
    type_id: int, ids: Iterable[int], select: list[str], parse_row: Callable[[int, parsing.Row], T]
) -> Query[tuple[T, ...]]:
    def parse_refusal(refusal: Refused) -> tuple[T, ...]:
        # No right to objects of this kind, or a kind that no longer exists: none is readable.
        if isinstance(refusal, AccessDenied | NotFound) or refusal.code.upper() == "NOT_FOUND":
            return ()
        raise refusal

    return Query(
        "crm.item.list",
        lambda answer: parsing.rows(answer.result, partial(parse_row, type_id), key="items").read,
        {
            "entityTypeId": type_id,
            "select": select,
            "filter": {"@id": list(ids)},
            "start": UNCOUNTED,
        },
        parse_refusal,
    )


def _titled(type_id: int, row: parsing.Row) -> Owner:
    title = parsing.text_if_known(row.get("title"), TITLE_LENGTH)
    return Owner(type_id, parsing.integer(row.get("id")), title)


def cards(type_id: int, ids: Iterable[int]) -> Query[tuple[CrmCard, ...]]:
    """As `readable_items`, with the customer of each."""
    return _items(type_id, ids, ["id", "title", "companyId", "contactId"], _card)


def customers(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """Of these companies or contacts, at most a page, those that the person may read.

    A company's name is its title; a contact has a name and a last name.
    """
    return _items(type_id, ids, ["id", "title", "name", "lastName"], _customer)


def _card(type_id: int, row: parsing.Row) -> CrmCard:
    company = whole(row.get("companyId"), least=1)
    contact = whole(row.get("contactId"), least=1)
    return CrmCard(_titled(type_id, row), Owner.of(COMPANY, company) or Owner.of(CONTACT, contact))


def _customer(type_id: int, row: parsing.Row) -> Owner:
    title = parsing.text_if_known(row.get("title"), TITLE_LENGTH)
    parts = [parsing.text_if_known(row.get(name), NAME_LENGTH) for name in ("name", "lastName")]
    name = title or " ".join(filter(None, parts))
    return Owner(type_id, parsing.integer(row.get("id")), name)


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
