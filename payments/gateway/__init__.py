"""The only package that knows Bitrix24's sale.* and crm.* methods, and what their answers mean.

Reads are Query values, to be put together into one request; writes take the Client of the person
who acts. Nothing here sees the database or an HttpRequest.
"""

from __future__ import annotations

from payments.gateway.items import deals_of
from payments.gateway.orders import bindings_of, order_bound
from payments.gateway.payments import (
    NUMBER_SEPARATOR,
    PAGE,
    BindingsPage,
    bindings,
    cards,
    customers,
    may_read_order_of,
    order,
    order_right,
    orders,
    orders_numbered,
    pay_systems,
    payment,
    payments_of_item,
    readable_items,
    rest_handlers,
    unpaid_payments,
    unpaid_payments_numbered,
)
from payments.gateway.selected import payments_of_order, payments_with_ids
from payments.gateway.timeline import CommentsPage, TimelineComment, add_comment, comments_of
from payments.gateway.types import (
    COMPANY,
    CONTACT,
    DEAL,
    SMART_INVOICE,
    Binding,
    CrmCard,
    Order,
    OrderWithPayments,
    Owner,
    Payment,
    PaySystem,
    Rows,
    UnreadableRow,
)
from payments.gateway.users import people
from payments.gateway.writes import (
    change_pay_system,
    mark_payment,
    pay_payment,
    unpay_payment,
)

__all__ = [
    "COMPANY",
    "CONTACT",
    "DEAL",
    "NUMBER_SEPARATOR",
    "PAGE",
    "SMART_INVOICE",
    "Binding",
    "BindingsPage",
    "CommentsPage",
    "CrmCard",
    "Order",
    "OrderWithPayments",
    "Owner",
    "PaySystem",
    "Payment",
    "Rows",
    "TimelineComment",
    "UnreadableRow",
    "add_comment",
    "bindings",
    "bindings_of",
    "cards",
    "change_pay_system",
    "comments_of",
    "customers",
    "deals_of",
    "mark_payment",
    "may_read_order_of",
    "order",
    "order_bound",
    "order_right",
    "orders",
    "orders_numbered",
    "pay_payment",
    "pay_systems",
    "payment",
    "payments_of_item",
    "payments_of_order",
    "payments_with_ids",
    "people",
    "readable_items",
    "rest_handlers",
    "unpaid_payments",
    "unpaid_payments_numbered",
    "unpay_payment",
]
