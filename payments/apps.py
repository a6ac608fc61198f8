"""The payments application: what we do with the payments of a portal."""

from __future__ import annotations

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from payments import receivers  # noqa: F401 - connecting is its whole effect
        from payments.bulk import pacing, retention  # noqa: F401 - as above
        from payments.listing import places  # noqa: F401 - adds them to the bindings
