"""Includes the addresses of each room, one line a room."""

from __future__ import annotations

from django.urls import include, path

from payments.listing import views
from payments.setup import checkout_views

_rooms = [
    path("", include("payments.listing.urls")),
    path("approvals/", include("payments.approvals.urls")),
    path("rules/", include("payments.policy.urls")),
    path("history/", include("payments.history.urls")),
    path("runs/", include("payments.bulk.urls")),
    path("", include("payments.setup.urls")),
]

urlpatterns = [
    path("", views.home, name="home"),
    path("payments/", include((_rooms, "payments"))),
    path("checkout/", checkout_views.checkout, name="checkout"),
    path("checkout/<str:sealed>/", checkout_views.bill, name="bill"),
]
