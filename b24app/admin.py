"""The publisher's admin: read-only pages about portals, events, removals and logged calls.

Each page lists its columns one by one, and none that holds a secret. Tokens have no page.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.forms import UsernameField
from django.core.exceptions import BadRequest
from django.db import DataError, NotSupportedError, OperationalError, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from b24app.models import EventReceipt, Portal, RemovalClaim, RestCall

ROWS_ON_A_PAGE = 50
# The errors that a filter typed into the address can raise; SQLite has no `contains` for JSON.
_WRONG_FILTER = (
    DataError,
    NotSupportedError,
    OperationalError,
    OverflowError,
    TypeError,
    ValueError,
)
_LOOKUPS_REFUSED = frozenset({"regex", "iregex"})


class SignIn(AdminAuthenticationForm):
    """Limits the name's length, as the table of wrong passwords does; Django's form does not."""

    username = UsernameField(max_length=150)


class PublisherSite(admin.AdminSite):
    site_title = "Pay for Bitrix24"
    site_header = "Pay for Bitrix24 (times in UTC)"
    login_form = SignIn

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Refuses a request with NUL in its address or headers.

        A wrong password is stored with both, and PostgreSQL cannot store NUL.
        """
        kept = (request.get_full_path(), *request.headers.values())
        if any("\x00" in unquote(text) for text in kept):
            raise BadRequest("NUL in an address or a header")
        return super().login(request, extra_context)

    index_title = "What the app keeps"
    site_url = None  # The app's own pages open in a portal only.


site = PublisherSite()


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """A table that can be viewed and not changed."""

    list_per_page = ROWS_ON_A_PAGE
    show_full_result_count = False
    actions = None

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Refuses regular expressions, which can keep the database busy, and columns that no
        filter beside the list uses."""
        if lookup.rpartition("__")[2] in _LOOKUPS_REFUSED:
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Runs the query here, so that a value that the database refuses is shown as a wrong
        filter."""
        try:
            with transaction.atomic():
                found = super().get_changelist_instance(request)
                len(found.result_list)
        except _WRONG_FILTER as error:
            raise IncorrectLookupParameters(error) from error
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Portal, site=site)
class PortalAdmin(ReadOnly):
    list_display = ("domain", "member_id", "status", "installed_at", "uninstalled_at")
    list_filter = ("status", "language", "installed_at", "uninstalled_at")
    search_fields = ("domain", "member_id")
    ordering = ("domain",)
    fields = (
        "domain",
        "member_id",
        "client_endpoint",
        "app_id",
        "app_code",
        "scope",
        "status",
        "language",
        "time_zone",
        "time_zone_found",
        "installed_at",
        "uninstalled_at",
        "session_generation",
        "renewals",
    )

    @admin.display(description="Tokens")
    def renewals(self, portal: Portal) -> str:
        """Lists the people whose tokens are kept, and whether these can still be renewed."""
        rows = portal.tokens.order_by("-serves_portal", "user_id").values_list(
            "user_id", "serves_portal", "refreshed_at", "failure_code"
        )
        return "\n".join(_token_line(*row) for row in rows[:ROWS_ON_A_PAGE]) or "-"


def _token_line(user_id: int, serves_portal: bool, refreshed_at: Any, failure_code: str) -> str:
    what = "serves the portal" if serves_portal else "their own"
    state = f"failed: {failure_code}" if failure_code else f"renewed {refreshed_at:%Y-%m-%d %H:%M}"
    return f"user {user_id}, {what}, {state}"


@admin.register(EventReceipt, site=site)
class EventReceiptAdmin(ReadOnly):
    list_display = ("event", "portal", "received_at", "handled_at")
    list_filter = (("handled_at", admin.EmptyFieldListFilter), "event", "received_at")
    search_fields = ("event", "portal__domain", "portal__member_id")
    list_select_related = ("portal",)
    ordering = ("-pk",)
    fields = ("event", "portal", "received_at", "handled_at")


@admin.register(RemovalClaim, site=site)
class RemovalClaimAdmin(ReadOnly):
    list_display = ("portal", "state", "claimed_at", "asks", "next_ask_at", "erase_after")
    list_filter = ("state", "with_data", "claimed_at")
    search_fields = ("portal__domain", "portal__member_id")
    list_select_related = ("portal",)
    ordering = ("-claimed_at",)


@admin.register(RestCall, site=site)
class RestCallAdmin(ReadOnly):
    list_display = ("at", "portal", "method", "status", "code", "milliseconds", "user_id")
    list_filter = ("status", "method", "at")
    search_fields = ("=request_id", "host", "method", "commands", "code", "portal__member_id")
    list_select_related = ("portal",)
    ordering = ("-pk",)
    fields = (
        "at",
        "portal",
        "host",
        "method",
        "commands",
        "status",
        "code",
        "milliseconds",
        "user_id",
        "request_id",
        "asked",
        "answered",
    )
