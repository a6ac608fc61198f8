"""Every address of the app."""

from __future__ import annotations

from django.urls import include, path

from b24app import admin
from b24app.views import doctor, event, health, install, legal, metrics, oauth, session

urlpatterns = [
    path("", include("payments.urls")),
    path("install/", install.page, name="install"),
    path("install/finish/", install.finish, name="install-finish"),
    path("bindings/", install.bindings, name="bindings"),
    path("session/", session.reopen, name="session"),
    path("doctor/", doctor.page, name="doctor"),
    path("doctor/repair/", doctor.repair, name="doctor-repair"),
    path("event/", event.receive, name="event"),
    path("oauth/start/", oauth.start, name="oauth-start"),
    path("oauth/callback/", oauth.callback, name="oauth-callback"),
    path("legal/<str:kind>/", legal.page, name="legal"),
    path("healthz/", health.alive, name="healthz"),
    path("readyz/", health.ready, name="readyz"),
    path("admin/", admin.site.urls),
    path("metrics", metrics.figures, name="metrics"),
]

handler400 = "b24app.error_pages.bad_request"
handler403 = "b24app.error_pages.forbidden"
handler404 = "b24app.error_pages.not_found"
handler500 = "b24app.error_pages.server_error"
