"""Addresses of the runs that pay several payments."""

from __future__ import annotations

from django.urls import path

from payments.bulk import views

urlpatterns = [
    path("", views.bulk, name="bulk"),
    path("new/", views.dry_run, name="bulk_dry_run"),
    path("<int:run_id>/", views.shown, name="bulk_run"),
    path("<int:run_id>/start/", views.start, name="bulk_start"),
    path("<int:run_id>/step/", views.step, name="bulk_step"),
    path("<int:run_id>/pause/", views.pause, name="bulk_pause"),
    path("<int:run_id>/resume/", views.resume, name="bulk_resume"),
    path("<int:run_id>/stop/", views.stop, name="bulk_stop"),
]
