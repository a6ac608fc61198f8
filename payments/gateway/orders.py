"""The orders of one deal or invoice, each with its payments."""

from __future__ import annotations

from b24app.client import Query
from b24app.commands import ResultOf
from payments.gateway import parsing
from payments.gateway.reads import UNCOUNTED, BindingsPage, bindings_page, parse_order
from payments.gateway.shapes import OrderWithPayments, Owner


def bindings_of(owner: Owner) -> Query[BindingsPage]:
    """The orders of one object, the newest first.

    https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
    """
    return Query(
        "crm.orderentity.list",
        bindings_page,
        {
            "filter": {"=ownerId": owner.id, "=ownerTypeId": owner.type_id},
            "order": {"orderId": "desc"},
            "start": UNCOUNTED,
        },
    )


def order_bound(bindings: Query[BindingsPage], place: int) -> Query[OrderWithPayments]:
    """The order in this place of that answer, asked for in the same batch. Where there is none, the
    portal refuses, or shows another order: the caller compares its id.

    https://apidocs.bitrix24.com/api-reference/sale/order/sale-order-get.html
    """
    return Query(
        "sale.order.get",
        lambda answer: _with_payments(parsing.inside(answer.result, "order")),
        {"id": ResultOf(f"[orderEntity][{place}][orderId]")},
        follows=bindings,
    )


def _with_payments(row: parsing.Row) -> OrderWithPayments:
    """`payments` is left out where there are none."""
    payments = parsing.listed(row.get("payments") or [])
    ids = frozenset(parsing.integer(payment.get("id")) for payment in payments)
    return OrderWithPayments(parse_order(row), ids)
