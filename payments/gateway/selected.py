"""Payments by their ids or by their order, whether they are paid or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from payments.gateway.payments import PaymentsQuery, unpaid_payments


def payments_with_ids(payment_ids: Iterable[int]) -> PaymentsQuery:
    """At most a page of ids; whoever asks compares, for a filter that was not understood brings
    everybody's.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """
    query = unpaid_payments(before=None)
    return replace(query, params={**query.params, "filter": {"@id": list(payment_ids)}})


def payments_of_order(order_id: int) -> PaymentsQuery:
    """The newest page of them; whoever asks compares each row's order.

    https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html
    """
    query = unpaid_payments(before=None)
    return replace(query, params={**query.params, "filter": {"=orderId": order_id}})
