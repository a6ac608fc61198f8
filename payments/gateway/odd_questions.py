"""Asks what no screen asks: how a portal writes its answers, for `manage.py portal_check`."""

from __future__ import annotations

from typing import Any

from b24app.rest.client import Client
from payments.gateway.parsing import UNCOUNTED

# No payment has this id: it is the largest that a 32-bit column of the portal can hold.
NO_PAYMENT = 2**31 - 1


def missing_payment(client: Client) -> dict[str, Any]:
    """https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-get.html"""
    return client.whole_answer("sale.payment.get", {"id": NO_PAYMENT})


def payments_by_unknown_filter(client: Client) -> dict[str, Any]:
    """https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-list.html"""
    params = {"filter": {"=noSuchField": NO_PAYMENT}, "select": ["id"], "start": UNCOUNTED}
    return client.whole_answer("sale.payment.list", params)
