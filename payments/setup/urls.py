"""Addresses of pay systems, of their handlers and of manual settlement."""

from __future__ import annotations

from django.urls import path

from payments.setup import handler_views, manual_settlement_views, settings_views, views

urlpatterns = [
    path("systems/", views.systems, name="systems"),
    path("systems/new/", views.system, name="system-new"),
    path("systems/<int:pay_system_id>/", views.system, name="system"),
    path("systems/<int:pay_system_id>/switch/", views.switch, name="system-switch"),
    path("systems/<int:pay_system_id>/delete/", views.delete, name="system-delete"),
    path("systems/<int:pay_system_id>/settings/", settings_views.settings, name="system-settings"),
    path("systems/<int:pay_system_id>/effective/", settings_views.effective, name="effective"),
    path("provider/create/", manual_settlement_views.create, name="provider-create"),
    path("provider/ask-removal/", manual_settlement_views.ask_removal, name="provider-ask-removal"),
    path("provider/remove/", manual_settlement_views.remove, name="provider-remove"),
    path("handlers/new/", handler_views.handler, name="handler-new"),
    path("handlers/<int:handler_id>/", handler_views.handler, name="handler"),
    path("handlers/<int:handler_id>/delete/", handler_views.delete, name="handler-delete"),
]
