"""Reads the fields that the screen of approvals sends."""

from __future__ import annotations

from django.http import HttpRequest

from b24app.errors import BadInput
from b24app.identity.forms import positive_id
from payments.approvals.lines import Decision
from payments.models import Kind


def read_kind(request: HttpRequest) -> Kind:
    """Returns what the approval is for; paying, unless the form says otherwise."""
    kind = request.POST.get("kind", Kind.PAY.value)
    if kind not in (Kind.PAY, Kind.MARK):
        raise BadInput("neither to pay nor to mark as paid")
    return Kind(kind)


def read_decision(request: HttpRequest) -> tuple[int, Decision]:
    """Returns the approval's id and the decision on it."""
    decided = request.POST.get("decision", "")
    if decided not in Decision.values:
        raise BadInput("no decision")
    return positive_id(request.POST.get("approval", "")), Decision(decided)
