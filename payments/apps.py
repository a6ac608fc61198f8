"""Configures the payments application and connects its signal receivers."""

from __future__ import annotations

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"

    def ready(self) -> None:
        from payments import jobs, receivers  # noqa: F401 - the imports connect them
        from payments.bulk import pacing, retention  # noqa: F401 - the import connects them
        from payments.listing import places  # noqa: F401 - the import adds them to the bindings
