"""Shows attempts, ledger entries, approvals, rules and erasures to the publisher, read-only."""

from __future__ import annotations

from django.contrib import admin

from b24app.admin import ReadOnly, site
from payments.models import Approval, Attempt, Entry, Erasure, Policy


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


@admin.register(Entry, site=site)
class EntryAdmin(ReadOnly):
    list_display = ("at", "portal", "number", "event", "attempt_id", "actor_id")
    list_filter = ("event", "at")
    search_fields = ("=attempt_id", "=actor_id", "=hash", "portal__domain", "portal__member_id")
    list_select_related = ("portal",)
    ordering = ("-pk",)
    fields = (
        "portal",
        "number",
        "at",
        "event",
        "attempt_id",
        "actor_id",
        "facts",
        "texts",
        "texts_digest",
        "previous",
        "hash",
    )


@admin.register(Approval, site=site)
class ApprovalAdmin(ReadOnly):
    list_display = (
        "requested_at",
        "portal",
        "account_number",
        "sum",
        "currency",
        "state",
        "requested_by",
        "decided_by",
    )
    list_filter = ("state", "kind", "currency", "requested_at")
    search_fields = ("=payment_id", "account_number", "portal__domain")
    list_select_related = ("portal",)
    ordering = ("-pk",)


@admin.register(Policy, site=site)
class PolicyAdmin(ReadOnly):
    list_display = ("portal", "version", "changed_by", "changed_at")
    search_fields = ("portal__domain",)
    list_select_related = ("portal",)
    ordering = ("-changed_at",)


@admin.register(Erasure, site=site)
class ErasureAdmin(ReadOnly):
    list_display = ("at", "member_id", "what", "attempts", "open_attempts", "entries")
    list_filter = ("what", "at")
    search_fields = ("member_id", "=last_hash")
    ordering = ("-pk",)
