"""Pays by a handler in checkout mode: asks the provider for a page to send the buyer to.

`sale/lib/paysystem/resthandler.php`: BX_SYSTEM_PARAMS and the handler's fields are posted to its
ACTION_URI as a form; the reply is JSON with PAYMENT_URL and PAYMENT_ID, or PAYMENT_ERRORS.
"""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from sandbox.api.methods.paysystem_access import handler_of
from sandbox.api.methods.paysystem_settings import setting_value, settings_for
from sandbox.wire.loose import mapping, to_text
from sandbox.world.events import form_body, is_loopback
from sandbox.world.world import Payment, Portal

PROVIDER_SECONDS = 20  # timeout for the provider
# The portal's own text for a reply that it cannot parse.
FAILED = "Error registering order in payment system"


def request_fields(portal: Portal, payment: Payment) -> tuple[str, dict[str, Any]] | None:
    """Returns the provider's address and the fields to POST; None if there is no checkout."""
    system = portal.pay_systems.get(payment.pay_system_id)
    handler = handler_of(portal, system.action_file) if system else None
    checkout = mapping(handler.settings.get("CHECKOUT_DATA")) if handler else {}
    if system is None or not checkout:
        return None
    order = portal.orders[payment.order_id]
    settings = settings_for(system, order.person_type_id)
    fields: dict[str, Any] = {
        "BX_SYSTEM_PARAMS": {
            "RETURN_URL": f"{portal.url}/pay/{payment.id}/",
            "PAYSYSTEM_ID": to_text(system.id),
            "PAYMENT_ID": to_text(payment.id),
            "SUM": to_text(payment.sum),
            "CURRENCY": payment.currency,
            "EXTERNAL_PAYMENT_ID": to_text(payment.provider_data.get("psInvoiceId")),
        }
    }
    for name, about in mapping(checkout.get("FIELDS")).items():
        code = mapping(about).get("CODE")
        if isinstance(code, str) and code in settings:
            fields[name] = to_text(setting_value(settings[code], payment, order))
    return to_text(checkout.get("ACTION_URI")), fields


def ask_provider(address: str, fields: dict[str, Any]) -> tuple[str, list[str]]:
    """Returns the page for the buyer and the error messages; calls only this machine.

    The caller must not hold the lock: the provider may call the portal before it replies.
    """
    parts = urlsplit(address)
    if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
        return "", [f"{address} is not on this machine"]
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=PROVIDER_SECONDS
    )
    try:
        connection.request(
            "POST",
            parts.path or "/",
            form_body(fields),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = mapping(json.loads(connection.getresponse().read()))
    except (OSError, http.client.HTTPException, ValueError):
        return "", [FAILED]
    finally:
        connection.close()
    page = to_text(answer.get("PAYMENT_URL"))
    errors = [to_text(one) for one in mapping(answer.get("PAYMENT_ERRORS")).values()]
    return page, errors or ([] if page else [FAILED])
