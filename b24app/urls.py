"""The addresses of the app, and the views of its error pages."""

from __future__ import annotations

from django.urls import include, path

from b24app import admin
from b24app.events import views
from b24app.identity import sign_in
from b24app.identity import views as session
from b24app.install import doctor_views
from b24app.install import views as install
from b24app.monitoring import metrics_views
from b24app.monitoring import views as health
from b24app.web import legal_views

urlpatterns = [
    path("", include("payments.urls")),
    path("install/", install.page, name="install"),
    path("install/finish/", install.finish, name="install-finish"),
    path("bindings/", install.bindings, name="bindings"),
    path("session/", session.reopen, name="session"),
    path("doctor/", doctor_views.page, name="doctor"),
    path("doctor/repair/", doctor_views.repair, name="doctor-repair"),
    path("event/", views.receive, name="event"),
    path("oauth/start/", sign_in.start, name="oauth-start"),
    path("oauth/callback/", sign_in.callback, name="oauth-callback"),
    path("legal/<str:kind>/", legal_views.page, name="legal"),
    path(".well-known/security.txt", legal_views.security_txt, name="security-txt"),
    path("healthz/", health.alive, name="healthz"),
    path("readyz/", health.ready, name="readyz"),
    path("admin/", admin.site.urls),
    path("metrics", metrics_views.figures, name="metrics"),
]

handler400 = "b24app.web.error_pages.bad_request"
handler403 = "b24app.web.error_pages.forbidden"
handler404 = "b24app.web.error_pages.not_found"
handler500 = "b24app.web.error_pages.server_error"
