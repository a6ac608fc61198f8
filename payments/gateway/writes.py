"""The calls that change something in Bitrix24. Each is sent once, as the person who acts.

Returning means that the portal answered `true`, which proves nothing: the payment has to be read
back. All of them raise NeverSent, Refused, or OutcomeUnknown where it may have been carried out.
"""

from __future__ import annotations

from b24app.rest.client import Client
from payments.gateway import parsing


def pay_payment(client: Client, *, payment_id: int, pay_system_id: int) -> None:
    """Ask the portal to pay through the pay system that the payment is bound to.

    https://apidocs.bitrix24.com/api-reference/pay-system/sale-pay-system-pay-payment.html
    """
    parsing.expect_true(
        client.write(
            "sale.paysystem.pay.payment",
            {"PAYMENT_ID": payment_id, "PAY_SYSTEM_ID": pay_system_id},
        )
    )


def mark_payment(client: Client, *, payment_id: int) -> None:
    """Mark it as paid, whatever its pay system: no handler is asked, and no money moves by it.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-pay.html
    """
    parsing.expect_true(client.write("crm.item.payment.pay", {"id": payment_id}))


def unpay_payment(client: Client, *, payment_id: int) -> None:
    """Mark it as not paid; when and by whom it was paid stays on it.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-unpay.html
    """
    parsing.expect_true(client.write("crm.item.payment.unpay", {"id": payment_id}))


def change_pay_system(client: Client, *, payment_id: int, pay_system_id: int) -> None:
    """Bind the payment to another pay system; it stays unpaid.

    https://apidocs.bitrix24.com/api-reference/crm/universal/payment/crm-item-payment-update.html
    """
    parsing.expect_true(
        client.write(
            "crm.item.payment.update",
            {"id": payment_id, "fields": {"paySystemId": pay_system_id}},
        )
    )
