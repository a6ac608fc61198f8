"""Addresses of the history and of the attempts that wait for a decision."""

from __future__ import annotations

from django.urls import path

from payments.history import views, waiting_views

urlpatterns = [
    path("", views.history, name="history"),
    path("found/", views.found, name="history-found"),
    path("more/", views.more, name="history-more"),
    path("export/", views.export, name="history-export"),
    path("print/", views.printed, name="history-print"),
    path("waiting/", waiting_views.waiting, name="waiting"),
    path("waiting/check/", waiting_views.check, name="waiting-check"),
    path("waiting/close/", waiting_views.close, name="waiting-close"),
]
