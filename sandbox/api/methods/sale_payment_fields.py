"""Defines the columns of a payment in the sale controllers, with their types.

https://apidocs.bitrix24.com/api-reference/sale/payment/sale-payment-get-fields.html
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from sandbox.api.methods.listing import Field
from sandbox.wire.loose import flag, moment_text
from sandbox.world.world import Payment, PaySystem, Portal


class PaymentRow(NamedTuple):
    payment: Payment
    system: PaySystem | None


def payment_rows(portal: Portal) -> list[PaymentRow]:
    return [
        PaymentRow(payment, portal.pay_systems.get(payment.pay_system_id))
        for payment in portal.payments.values()
    ]


def payment_row(portal: Portal, payment: Payment) -> dict[str, Any]:
    """Returns one payment with all its columns, keys in alphabetical order."""
    row = PaymentRow(payment, portal.pay_systems.get(payment.pay_system_id))
    return {name: shown(PAYMENT_FIELDS[name].get(row)) for name in sorted(PAYMENT_FIELDS)}


def shown(value: Any) -> Any:
    return moment_text(value) if isinstance(value, datetime) else value


def _kept(name: str, empty: Any) -> Callable[[PaymentRow], Any]:
    """Returns a column's getter: the written value, or `empty`."""
    return lambda row: row.payment.provider_data.get(name, empty)


def _of_system(get: Callable[[PaySystem], Any]) -> Callable[[PaymentRow], Any]:
    return lambda row: None if row.system is None else get(row.system)


def _kept_field(name: str, kind: str, empty: Any) -> Field[PaymentRow]:
    return Field(kind, _kept(name, empty))


# Columns that the sandbox only stores, by type and initial value.
_KEPT: dict[str, tuple[str, Any]] = {
    "datePayBefore": ("datetime", None),
    "empMarkedId": ("integer", None),
    "empResponsibleId": ("integer", 1),
    "empReturnId": ("integer", None),
    "externalPayment": ("char", "N"),
    "id1c": ("string", ""),
    "isReturn": ("char", "N"),
    "marked": ("char", "N"),
    "payReturnComment": ("string", ""),
    "payReturnDate": ("datetime", None),
    "payReturnNum": ("string", ""),
    "payVoucherDate": ("datetime", None),
    "payVoucherNum": ("string", ""),
    "priceCod": ("double", "0.000000"),  # a string all the same
    "psCurrency": ("string", ""),
    "psInvoiceId": ("string", None),
    "psResponseDate": ("datetime", None),
    "psStatus": ("char", ""),
    "psStatusCode": ("string", ""),
    "psStatusDescription": ("string", ""),
    "psStatusMessage": ("string", ""),
    "psSum": ("double", None),
    "reasonMarked": ("string", ""),
    "responsibleId": ("integer", 1),
    "updated1c": ("char", "N"),
    "version1c": ("string", ""),
}
KEPT_FIELDS = frozenset(_KEPT)

PAYMENT_FIELDS: dict[str, Field[PaymentRow]] = {
    "id": Field("integer", lambda row: row.payment.id, read_only=True),
    "accountNumber": Field("string", lambda row: row.payment.account_number, read_only=True),
    "orderId": Field("integer", lambda row: row.payment.order_id, required=True, immutable=True),
    "paid": Field("char", lambda row: flag(row.payment.paid)),
    "datePaid": Field("datetime", lambda row: row.payment.date_paid),
    "empPaidId": Field("integer", lambda row: row.payment.emp_paid_id),
    "paySystemId": Field("integer", lambda row: row.payment.pay_system_id, required=True),
    "paySystemName": Field("string", _of_system(lambda system: system.name), read_only=True),
    "paySystemXmlId": Field("string", _of_system(lambda system: system.xml_id), read_only=True),
    "paySystemIsCash": Field("char", _of_system(lambda system: system.is_cash), read_only=True),
    "sum": Field("double", lambda row: row.payment.sum),
    "currency": Field("string", lambda row: row.payment.currency, read_only=True),
    "dateBill": Field("datetime", lambda row: row.payment.date_bill),
    "companyId": Field("integer", lambda row: row.payment.company_id),
    "comments": Field("string", lambda row: row.payment.comments),
    "xmlId": Field("string", lambda row: f"bx_{row.payment.id}"),
    "dateMarked": Field("datetime", lambda row: None, read_only=True),
    "dateResponsibleId": Field("datetime", lambda row: row.payment.date_bill, read_only=True),
    **{name: _kept_field(name, kind, empty) for name, (kind, empty) in _KEPT.items()},
}
