"""Addresses of the approvals."""

from __future__ import annotations

from django.urls import path

from payments.approvals import views

urlpatterns = [
    path("", views.approvals, name="approvals"),
    path("waiting/", views.waiting, name="approvals-waiting"),
    path("question/", views.question, name="approval-question"),
    path("ask/", views.ask, name="approval-ask"),
    path("decision/", views.decision, name="approval-decision"),
    path("decide/", views.decide, name="approval-decide"),
]
