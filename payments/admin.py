"""The ledger, for the publisher to read."""

from __future__ import annotations

from django.contrib import admin

from b24app.admin import ReadOnly, site
from payments.models import Attempt


@admin.register(Attempt, site=site)
class AttemptAdmin(ReadOnly):
    list_display = (
        "created_at",
        "portal",
        "account_number",
        "sum",
        "currency",
        "kind",
        "state",
        "reason",
        "user_id",
    )
    list_filter = ("kind", "state", "reason", "currency", "created_at")
    search_fields = ("=payment_id", "=order_id", "account_number", "portal__domain")
    list_select_related = ("portal",)
    ordering = ("-pk",)
    fields = (
        "portal",
        "payment_id",
        "account_number",
        "order_id",
        "owner_type",
        "owner_id",
        "sum",
        "currency",
        "pay_system_id",
        "pay_system_name",
        "bound_pay_system_id",
        "user_id",
        "kind",
        "undoes",
        "state",
        "reason",
        "note",
        "created_at",
        "sent_at",
        "settled_at",
        "due_at",
        "looks",
        "handed_over_at",
        "evidence",
    )
