from __future__ import annotations

from django.urls import include, path

from payments.views import home, listing, pay

payments = (
    [
        path("", listing.listing, name="list"),
        path("unpaid/", listing.unpaid, name="unpaid"),
        path("question/", pay.question, name="question"),
        path("pay/", pay.pay, name="pay"),
        path("check/", pay.check, name="check"),
    ],
    "payments",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("payments/", include(payments)),
]
