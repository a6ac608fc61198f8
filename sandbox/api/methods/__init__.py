"""The REST methods; importing this package fills `sandbox.api.registry.METHODS`."""

from __future__ import annotations

from sandbox.api.methods import (
    application,
    crm_item,
    crm_orderentity,
    crm_payment,
    crm_timeline,
    event,
    options,
    paying,
    paysystem,
    paysystem_handler,
    paysystem_list,
    paysystem_settings,
    person_type,
    placement,
    sale_order,
    sale_payment,
    user,
)

__all__ = [
    "application",
    "crm_item",
    "crm_orderentity",
    "crm_payment",
    "crm_timeline",
    "event",
    "options",
    "paying",
    "paysystem",
    "paysystem_handler",
    "paysystem_list",
    "paysystem_settings",
    "person_type",
    "placement",
    "sale_order",
    "sale_payment",
    "user",
]
