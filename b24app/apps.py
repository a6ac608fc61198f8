"""Django's configuration of this package."""

from __future__ import annotations

from django.apps import AppConfig


class B24AppConfig(AppConfig):
    name = "b24app"
    verbose_name = "Bitrix24"

    def ready(self) -> None:
        from b24app.monitoring import sentry, spans

        spans.start()
        sentry.start()
        from django.utils.module_loading import autodiscover_modules

        autodiscover_modules("admin")
        # Imported because they register checks and jobs, and connect receivers of signals.
        from b24app import checks  # noqa: F401
        from b24app.events import queue  # noqa: F401
        from b24app.identity import failed_proofs  # noqa: F401
        from b24app.monitoring import metrics, rest_log  # noqa: F401
        from b24app.removal import erasing  # noqa: F401
        from b24app.tokens import keep_alive  # noqa: F401
        from b24app.work import prune  # noqa: F401
