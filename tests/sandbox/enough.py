"""The parameters that each method needs to succeed, and no more."""

from __future__ import annotations

from typing import Any

from sandbox.world import seed
from tests.sandbox.wire import APP_URL, THE_PAYMENT

DEAL = {"entityTypeId": 2, "entityId": seed.DEAL}
EVENT = {"event": "OnAppUninstall", "handler": f"{APP_URL}/event/"}
COMMENT = {"ENTITY_ID": seed.DEAL, "ENTITY_TYPE": "deal", "COMMENT": "Called"}
TAB = {"PLACEMENT": "CRM_DEAL_DETAIL_TAB", "HANDLER": f"{APP_URL}/"}
HANDLER = {
    "NAME": "Made up",
    "CODE": "madeup",
    "SETTINGS": {"CODES": {}, "FORM_DATA": {"ACTION_URI": "https://pay.example.com/form/"}},
}
SYSTEM = {
    "NAME": "New one",
    "BX_REST_HANDLER": seed.ACME_HANDLER,
    "PERSON_TYPE_ID": 1,
    "ENTITY_REGISTRY_TYPE": "ORDER",
}
PAYMENT = {"orderId": seed.ORDER, "paySystemId": seed.ACME_PAY}
ENOUGH: dict[str, dict[str, Any]] = {
    "crm.item.get": {"entityTypeId": 2, "id": seed.DEAL},
    "crm.item.list": {"entityTypeId": 2},
    "crm.item.payment.add": DEAL,
    "crm.item.payment.delete": {"id": seed.PAYMENT},
    "crm.item.payment.get": {"id": seed.PAYMENT},
    "crm.item.payment.list": DEAL,
    "crm.item.payment.pay": {"id": seed.PAYMENT},
    "crm.item.payment.unpay": {"id": seed.PAID_PAYMENT},
    "crm.item.payment.update": {"id": seed.PAYMENT, "fields": {"paySystemId": seed.CASH}},
    "crm.orderentity.list": {},
    "crm.timeline.comment.add": {"fields": COMMENT},
    "crm.timeline.comment.list": {"filter": {"ENTITY_ID": seed.DEAL, "ENTITY_TYPE": "deal"}},
    "event.bind": EVENT,
    "event.unbind": EVENT,
    "method.get": {"name": "profile"},
    "placement.get": {},
    "placement.list": {},
    "placement.unbind": {"PLACEMENT": TAB["PLACEMENT"]},
    "sale.order.get": {"id": seed.ORDER},
    "sale.order.getfields": {},
    "sale.order.list": {},
    "sale.payment.add": {"fields": PAYMENT},
    "sale.payment.delete": {"id": seed.PAYMENT},
    "sale.payment.get": {"id": seed.PAYMENT},
    "sale.payment.getfields": {},
    "sale.payment.list": {},
    "sale.payment.update": {"id": seed.PAYMENT, "fields": PAYMENT},
    "sale.paysystem.add": SYSTEM,
    "sale.paysystem.delete": {"ID": seed.INACTIVE_PAY},
    "sale.paysystem.handler.add": HANDLER,
    "sale.paysystem.handler.delete": {"ID": 4},
    "sale.paysystem.handler.update": {"ID": 1, "FIELDS": {"NAME": "Another"}},
    "sale.paysystem.list": {},
    "sale.paysystem.pay.invoice": {"INVOICE_ID": 1, "PAY_SYSTEM_ID": seed.ACME_PAY},
    "sale.paysystem.pay.payment": THE_PAYMENT,
    "sale.paysystem.settings.get": {"ID": seed.ACME_PAY, "PERSON_TYPE_ID": 0},
    "sale.paysystem.settings.payment.get": THE_PAYMENT,
    "sale.paysystem.settings.update": {
        "ID": seed.ACME_PAY,
        "SETTINGS": {"SHOP_ID": {"TYPE": "VALUE", "VALUE": "7"}},
    },
    "sale.paysystem.update": {"ID": seed.ACME_PAY, "FIELDS": {"NAME": "Another"}},
    "sale.persontype.list": {},
    "user.get": {},
}
