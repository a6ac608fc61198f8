"""The screen of the rules, for the portal's administrators."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from b24app.identity.session import Person, PortalRequest, identify, portal_required
from b24app.install import repairs
from b24app.rest.client import run_batches
from payments.gateway import PaySystem
from payments.lookups import users
from payments.lookups.pay_systems import SystemsReading
from payments.models import Policy
from payments.policy.forms import RulesForm
from payments.policy.rules import change, policy_of

# The choices of people: those who used the app last.
PEOPLE_SHOWN = 200


@require_http_methods(["GET", "POST"])
@portal_required
def policy(request: PortalRequest) -> HttpResponse:
    """Shows the rules; a POST stores them, or shows an error beside each wrong field."""
    person = request.person
    repairs.require_administrator(person)
    stored = policy_of(person.portal)
    systems, people = _systems(person), _people(person, stored)
    form = RulesForm(
        stored,
        portal=person.portal,
        systems=systems,
        people=people,
        posted=request.POST if request.method == "POST" else None,
    )
    is_saved = form.is_bound and form.is_valid()
    if is_saved:
        stored = change(
            person.portal,
            actor_id=person.user_id,
            version=form.cleaned_data["version"],
            values=form.values(),
            time_zone=form.cleaned_data["time_zone"],
        )
        identify(request, person)  # This response already uses the new time zone.
        form = RulesForm(stored, portal=person.portal, systems=systems, people=people)
    context = {"form": form, "stored": stored, "is_saved": is_saved}
    if stored.changed_by is not None:
        context["changed_by"] = people.get(stored.changed_by, "")
    return render(request, "payments/policy/policy.html", context)


def _systems(person: Person) -> list[PaySystem] | None:
    """Returns the active pay systems of orders, in the portal's order; None if they cannot be
    read."""
    reading = SystemsReading(person.portal)
    run_batches(*reading.own_batches())
    systems = reading.result_for_admin(person.client)
    if systems is None:
        return None
    usable = [one for one in systems.all if one.active and one.registry == "ORDER"]
    return sorted(usable, key=lambda one: (one.sort, one.id))


def _people(person: Person, stored: Policy) -> dict[int, str]:
    """Returns the names of people who opened the app, and of people in the rules, by their ids."""
    rows = person.portal.tokens.order_by("-refreshed_at").values_list("user_id", flat=True)
    ids = {*rows[:PEOPLE_SHOWN], *stored.undo_people, *stored.bulk_people}
    if stored.changed_by is not None:
        ids.add(stored.changed_by)
    names = users.names(person, ids)
    return dict(sorted(names.items(), key=lambda pair: (pair[1].casefold(), pair[0])))
