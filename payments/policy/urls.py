"""The address of the portal's rules."""

from __future__ import annotations

from django.urls import path

from payments.policy import views

urlpatterns = [path("", views.policy, name="policy")]
