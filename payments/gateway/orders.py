"""Reads orders, and the links between orders and the CRM items they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from b24app.rest.client import Answer, Query
from b24app.rest.commands import ResultOf
from payments.gateway import parsing, records
from payments.gateway.parsing import PAGE, UNCOUNTED
from payments.gateway.types import Order, OrderLink, OrderWithPayments, Owner

_FIELDS = ["id", "accountNumber", "canceled", "personTypeId"]


@dataclass(frozen=True)
class OrderLinksPage:
    """A page of links between orders and CRM items."""

    links: tuple[OrderLink, ...]
    next: int | None  # where the next page begins
    is_whole: bool = True  # False if a row could not be read: an order may have more items


def order(order_id: int) -> Query[Order]:
    """https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-get.html"""
    return Query(
        "sale.order.get",
        lambda answer: records.order(parsing.inside(answer.result, "order")),
        {"id": order_id},
    )


def orders(order_ids: Iterable[int]) -> Query[tuple[Order, ...]]:
    """The orders with these ids, at most a page, without those that cannot be read.

    https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-list.html
    """
    return _orders({"@id": list(order_ids)})


def orders_numbered(number: str) -> Query[tuple[Order, ...]]:
    """https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-list.html"""
    return _orders({"=accountNumber": number})


def order_links(order_ids: Iterable[int], *, start: int = 0) -> Query[OrderLinksPage]:
    """The CRM items of these orders. An order may belong to several, so there may be more pages.

    https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
    """
    return Query(
        "crm.orderentity.list",
        partial(_links_page, start=start),
        {"filter": {"@orderId": list(order_ids)}, "order": {"orderId": "asc"}, "start": start},
    )


def order_links_of(owner: Owner) -> Query[OrderLinksPage]:
    """The orders of one CRM item, newest first.

    https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
    """
    return Query(
        "crm.orderentity.list",
        partial(_links_page, start=0),
        {
            "filter": {"=ownerId": owner.id, "=ownerTypeId": owner.type_id},
            "order": {"orderId": "desc"},
            "start": UNCOUNTED,
        },
    )


def linked_order(links: Query[OrderLinksPage], place: int) -> Query[OrderWithPayments]:
    """The order at this place (from 0) of `links`, read in the same batch.

    If `links` is shorter, the portal refuses or returns another order: the caller compares its id.
    https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-get.html
    """
    return Query(
        "sale.order.get",
        lambda answer: _with_payments(parsing.inside(answer.result, "order")),
        {"id": ResultOf(f"[orderEntity][{place}][orderId]")},
        follows=links,
    )


def _orders(conditions: dict[str, object]) -> Query[tuple[Order, ...]]:
    return Query(
        "sale.order.list",
        lambda answer: parsing.rows(answer.result, records.order, key="orders").read,
        {"select": _FIELDS, "filter": conditions, "start": UNCOUNTED},
    )


def _links_page(answer: Answer, *, start: int) -> OrderLinksPage:
    found = parsing.rows(answer.result, records.order_link, key="orderEntity")
    next_ = parsing.next_page(answer, start=start, page=PAGE)
    return OrderLinksPage(found.read, next_, is_whole=not found.unreadable)


def _with_payments(row: parsing.Row) -> OrderWithPayments:
    # The server leaves `payments` out of an order without payments.
    ids = parsing.rows(
        row.get("payments") or [], lambda payment: parsing.integer(payment.get("id"))
    )
    return OrderWithPayments(records.order(row), frozenset(ids.read))
