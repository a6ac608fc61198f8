"""Renders the sandbox's panel: makes the next payment fail, lists the last calls."""

from __future__ import annotations

import time
from typing import Any

from sandbox.api.faults import AFTER, BEFORE, Fault, Kind
from sandbox.api.log import LoggedCall
from sandbox.host.rendering import Html, join, render
from sandbox.host.visit import Visit
from sandbox.wire.http import Response, json_response

PAY_METHOD = "sale.paysystem.pay.payment"
CALLS_SHOWN = 20
DELAY_SECONDS = 5.0  # long enough to notice, short enough to wait for

# Faults for a person at the demo; only a test can release a held call.
_OFFERED = {
    Kind.TRUE_WITHOUT_PAYMENT: "Return true, pay nothing",
    Kind.DROP: "Cut the connection",
    Kind.DELAY: f"Wait {DELAY_SECONDS:.0f} seconds",
    Kind.CUT: "Cut off after 60 seconds, paid",
    Kind.STATUS500: "500 Internal server error",
    Kind.HTML502: "502 with a page of HTML",
    Kind.QUERY_LIMIT: "503 Too many requests",
    Kind.OPERATION_LIMIT: "429 Operation time limit",
    Kind.EXPIRED_TOKEN: "401 Expired token",
    Kind.REDIRECT: "302 to another address",
    Kind.BROKEN_JSON: "Broken JSON",
}


def panel(visit: Visit) -> Html:
    kinds = join(render("option", value=kind, text=text) for kind, text in _OFFERED.items())
    return render("panel", kinds=kinds)


def panel_json(visit: Visit) -> Response:
    waiting = visit.sandbox.faults.waiting()
    latest = visit.sandbox.log[: -CALLS_SHOWN - 1 : -1]
    return json_response(
        {
            "faults": [
                {"kind": _OFFERED.get(Kind(f.kind), f.kind), "when": f.when} for f in waiting
            ],
            "calls": [_shown(visit, call) for call in latest],
        }
    )


def arm(visit: Visit) -> Response:
    """Makes the chosen fault hit the next payment on this portal."""
    form = visit.request.form
    kind, when = str(form.get("kind", "")), str(form.get("when", ""))
    if kind not in _OFFERED or when not in (BEFORE, AFTER):
        return json_response({"error": "no such fault"}, 400)
    fault = Fault(kind, PAY_METHOD, when, host=visit.request.host)
    if kind == Kind.DELAY:
        fault.seconds = DELAY_SECONDS
    visit.sandbox.faults.add(fault)
    return panel_json(visit)


def disarm(visit: Visit) -> Response:
    visit.sandbox.faults.clear()
    return panel_json(visit)


def _shown(visit: Visit, call: LoggedCall) -> dict[str, Any]:
    world = visit.sandbox.world
    portal = world.portals.get(call.member_id)
    person = portal.users.get(call.user_id) if portal and call.user_id else None
    method = f"batch: {', '.join(call.batch)}" if call.batch else call.method
    return {
        "time": time.strftime("%H:%M:%S", time.localtime(call.at)),
        "method": method,
        "who": person.name if person else "",
        "status": call.status,
    }
