"""Stores portals in the app's database: `python -m bench.prepare` reads them as JSON from stdin."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402

from b24app import models  # noqa: E402
from b24app.tokens import store  # noqa: E402
from b24app.tokens.oauth import TokenPair  # noqa: E402


def portal(given: dict[str, Any], *, scheme: str, port: int) -> models.Portal:
    """Stores a portal and its tokens, as the app's installer does."""
    host = f"{given['domain'].partition(':')[0]}:{port}"
    row, _ = models.Portal.objects.update_or_create(
        member_id=given["member_id"],
        defaults={
            "client_endpoint": f"{scheme}://{host}/rest/",
            "domain": host,
            "app_id": given["app_id"],
            "app_code": given["app_code"],
            "installed_at": timezone.now(),
        },
    )
    pair = given["pair"]
    store.store_portal_pair(
        row,
        TokenPair(
            access=pair["access"],
            refresh=pair["refresh"],
            expires_at=datetime.fromtimestamp(pair["expires"], UTC),
            member_id=given["member_id"],
            user_id=pair["user_id"],
            client_endpoint=row.client_endpoint,
            scope=(),
            server_endpoint="",
            status="L",
        ),
    )
    return row


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    for each in asked["portals"]:
        portal(each, scheme=asked["scheme"], port=asked["port"])
