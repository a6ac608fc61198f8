"""Serves the floor: a bare Django view with the app's REST calls, queries and rows.

It has no rights, no sealed offers and no security headers; it keeps its connections. Gunicorn
serves it like the app, with `bench.floor_settings`.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import requests
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from b24app.models import UserToken
from payments.models import Attempt, Policy

# As many as the app calls for the same tab; tests/bench/test_counts.py compares.
COMMANDS = {
    "q0": "sale.paysystem.settings.payment.get?",
    "q1": "crm.item.payment.list?entityTypeId=2&entityId={deal}&order%5Bid%5D=desc",
    "q2": "app.info?",
    "q3": "profile?",
}
SYSTEMS = {"q0": "sale.paysystem.list?", "q1": "sale.paysystem.handler.list?"}
SYSTEMS_SECONDS = 300
TIMEOUT = 30

_kept = threading.local()
_template = engines["django"].from_string(
    """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Payments</title></head>
<body><h1>Payments</h1><table><tbody>{% for row in rows %}<tr data-payment="{{ row.id }}">
<th scope="row">{{ row.accountNumber }}</th><td>{{ row.sum }} {{ row.currency }}</td>
<td>{{ row.paySystemName }}</td><td><form><input type="hidden" name="offer" value="{{ row.id }}">
<select name="pay_system_id">{% for system in systems %}
<option value="{{ system.ID }}">{{ system.NAME }}</option>{% endfor %}</select>
<button>Pay</button></form></td></tr>{% endfor %}</tbody></table></body></html>"""
)


def _ask(endpoint: str, token: str, commands: dict[str, str]) -> dict[str, Any]:
    session: requests.Session | None = getattr(_kept, "session", None)
    if session is None:
        session = _kept.session = requests.Session()
        session.trust_env = False
    answer = session.post(
        f"{endpoint}batch", json={"halt": 0, "cmd": commands, "auth": token}, timeout=TIMEOUT
    )
    found: dict[str, Any] = answer.json()["result"]["result"]
    return found


@csrf_exempt
def tab(request: HttpRequest) -> HttpResponse:
    fields = request.POST
    deal = json.loads(fields["PLACEMENT_OPTIONS"])["ID"]
    serving = UserToken.objects.filter(serves_portal=True, portal__member_id=fields["member_id"])
    pk, endpoint = serving.values_list("portal_id", "portal__client_endpoint").get()
    token, tokens = fields["AUTH_ID"], UserToken.objects.filter(portal_id=pk)
    systems = cache.get(f"floor.{pk}")
    if systems is None:
        # Only the portal's token may list them.
        systems = _ask(endpoint, tokens.get(serves_portal=True).access, SYSTEMS)["q0"]
        cache.set(f"floor.{pk}", systems, SYSTEMS_SECONDS)
    commands = {key: line.format(deal=deal) for key, line in COMMANDS.items()}
    answers = _ask(endpoint, token, commands)
    rows = answers["q1"]
    user_id = int(answers["q3"]["ID"])
    tokens.filter(user_id=user_id, serves_portal=False).update(failure_code="")
    list(Policy.objects.filter(portal_id=pk).values_list("pk", "limits"))
    payment_ids = [row["id"] for row in rows]
    list(
        Attempt.objects.filter(portal_id=pk, payment_id__in=payment_ids).values_list("pk", "state")
    )
    return HttpResponse(_template.render({"rows": rows, "systems": systems}))


def health(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [path("", tab), path("healthz/", health)]
