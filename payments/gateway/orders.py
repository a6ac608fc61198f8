"""The orders of one deal or invoice, each with its payments."""

from __future__ import annotations

from functools import partial

from b24app.rest.client import Query
from b24app.rest.commands import ResultOf
from payments.gateway import parsing, records
from payments.gateway.payments import UNCOUNTED, BindingsPage, bindings_page
from payments.gateway.types import OrderWithPayments, Owner


def bindings_of(owner: Owner) -> Query[BindingsPage]:
    """The orders of one object, the newest first.

    https://apidocs.bitrix24.com/api-reference/crm/universal/order-entity/crm-order-entity-list.html
    """
    return Query(
        "crm.orderentity.list",
        partial(bindings_page, start=0),
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
    ids = parsing.rows(
        row.get("payments") or [], lambda payment: parsing.integer(payment.get("id"))
    )
    return OrderWithPayments(records.order(row), frozenset(ids.read))
