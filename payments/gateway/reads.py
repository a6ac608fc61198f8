"""What we ask Bitrix24 and how its answers become our shapes.

Unknown filter fields are dropped in silence by the sale.* methods, and then everybody's payments
come back; whoever asks compares each row with what was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from b24app.client import Answer, Query
from b24app.errors import AccessDenied, NotFound, OutcomeUnknown, Refused
from payments.gateway import parsing
from payments.gateway.shapes import (
    COMPANY,
    CONTACT,
    Binding,
    CrmCard,
    Order,
    Owner,
    Payment,
    PaySystem,
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

PaymentsQuery = Query[tuple[Payment, ...]]


@dataclass(frozen=True)
class BindingsPage:
    bindings: tuple[Binding, ...]
    next: int | None


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
        lambda answer: tuple(_payment(row) for row in parsing.listed(answer.result)),
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
        lambda answer: tuple(_payment(row) for row in parsing.listed(answer.result, "payments")),
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
        lambda answer: _payment(parsing.inside(answer.result, "payment")),
        {"id": payment_id},
    )


def order(order_id: int) -> Query[Order]:
    """https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-get.html"""
    return Query(
        "sale.order.get",
        lambda answer: parse_order(parsing.inside(answer.result, "order")),
        {"id": order_id},
    )


def orders(order_ids: Iterable[int]) -> Query[tuple[Order, ...]]:
    """At most a page of ids.

    https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-list.html
    """
    return _orders({"@id": list(order_ids)})


def orders_numbered(number: str) -> Query[tuple[Order, ...]]:
    return _orders({"=accountNumber": number})


def _orders(conditions: dict[str, object]) -> Query[tuple[Order, ...]]:
    return Query(
        "sale.order.list",
        lambda answer: tuple(parse_order(row) for row in parsing.listed(answer.result, "orders")),
        {"select": _ORDER_FIELDS, "filter": conditions, "start": UNCOUNTED},
    )


def bindings(order_ids: Iterable[int], *, start: int = 0) -> Query[BindingsPage]:
    """What orders belong to. An order may belong to several objects, so a page can be too short.

    https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
    """
    return Query(
        "crm.orderentity.list",
        bindings_page,
        {"filter": {"@orderId": list(order_ids)}, "order": {"orderId": "asc"}, "start": start},
    )


def bindings_page(answer: Answer) -> BindingsPage:
    rows = parsing.listed(answer.result, "orderEntity")
    return BindingsPage(tuple(parse_binding(row) for row in rows), answer.next)


def readable_items(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """Of these objects, at most a page, those that the person may read, with their titles.

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
        lambda answer: tuple(
            parse_row(type_id, row) for row in parsing.listed(answer.result, "items")
        ),
        {
            "entityTypeId": type_id,
            "select": select,
            "filter": {"@id": list(ids)},
            "start": UNCOUNTED,
        },
        parse_refusal,
    )


def _titled(type_id: int, row: parsing.Row) -> Owner:
    return Owner(type_id, parsing.integer(row.get("id")), parsing.text(row.get("title")))


def cards(type_id: int, ids: Iterable[int]) -> Query[tuple[CrmCard, ...]]:
    """As `readable_items`, with the customer of each."""
    return _items(type_id, ids, ["id", "title", "companyId", "contactId"], _card)


def customers(type_id: int, ids: Iterable[int]) -> Query[tuple[Owner, ...]]:
    """Of these companies or contacts, at most a page, those that the person may read.

    A company's name is its title; a contact has a name and a last name.
    """
    return _items(type_id, ids, ["id", "title", "name", "lastName"], _customer)


def _card(type_id: int, row: parsing.Row) -> CrmCard:
    company = parsing.identifier(row.get("companyId"))
    contact = parsing.identifier(row.get("contactId"))
    return CrmCard(
        _titled(type_id, row),
        Owner.of(COMPANY, company) or Owner.of(CONTACT, contact),
    )


def _customer(type_id: int, row: parsing.Row) -> Owner:
    parts = [parsing.text(row.get(name)) for name in ("name", "lastName")]
    name = parsing.text(row.get("title")) or " ".join(filter(None, parts))
    return Owner(type_id, parsing.integer(row.get("id")), name)


def pay_systems() -> Query[tuple[PaySystem, ...]]:
    """All of the portal; needs the right to change CRM settings. The newest build ignores the
    operators of its filter, so nothing is filtered there.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-list.html
    """
    return Query(
        "sale.paysystem.list",
        lambda answer: tuple(_pay_system(row) for row in parsing.listed(answer.result)),
        {"SELECT": _PAY_SYSTEM_FIELDS, "ORDER": {"SORT": "ASC"}},
        administrators_only=True,
    )


def rest_handlers() -> Query[frozenset[str]]:
    """The codes of the REST handlers of all apps: only their pay systems can be paid by a call.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-handler-list.html
    """
    return Query(
        "sale.paysystem.handler.list",
        lambda answer: frozenset(
            parsing.text(row.get("CODE")) for row in parsing.listed(answer.result)
        ),
    )


def _payment(row: parsing.Row) -> Payment:
    return Payment(
        id=parsing.integer(row.get("id")),
        account_number=parsing.text(row.get("accountNumber")),
        sum=parsing.money(row.get("sum")),
        currency=parsing.text(row.get("currency")),
        paid=parsing.flag(row.get("paid")),
        pay_system_id=parsing.identifier(row.get("paySystemId")) or 0,
        pay_system_name=parsing.text(row.get("paySystemName")),
        order_id=parsing.identifier(row.get("orderId")),
        date_bill=parsing.moment(row.get("dateBill")),
        date_paid=parsing.moment(row.get("datePaid")),
        emp_paid_id=parsing.identifier(row.get("empPaidId")),
        response_at=parsing.moment_if_known(row.get("psResponseDate")),
    )


def parse_order(row: parsing.Row) -> Order:
    return Order(
        id=parsing.integer(row.get("id")),
        account_number=parsing.text(row.get("accountNumber")),
        canceled=parsing.flag(row.get("canceled")),
        person_type_id=parsing.identifier(row.get("personTypeId")),
    )


def parse_binding(row: parsing.Row) -> Binding:
    return Binding(
        parsing.integer(row.get("orderId")),
        Owner(parsing.integer(row.get("ownerTypeId")), parsing.integer(row.get("ownerId"))),
    )


def _pay_system(row: parsing.Row) -> PaySystem:
    return PaySystem(
        id=parsing.integer(row.get("ID")),
        name=parsing.text(row.get("NAME")),
        active=row.get("ACTIVE") == "Y",
        registry=parsing.text(row.get("ENTITY_REGISTRY_TYPE")),
        person_type_id=parsing.identifier(row.get("PERSON_TYPE_ID")),
        action_file=parsing.text(row.get("ACTION_FILE")),
        is_cash=row.get("IS_CASH") == "Y",
        sort=parsing.identifier(row.get("SORT")) or 0,
    )
