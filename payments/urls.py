from __future__ import annotations

from django.urls import include, path

from payments.views import history, home, listing, pay, waiting

payments = (
    [
        path("", listing.listing, name="list"),
        path("unpaid/", listing.unpaid, name="unpaid"),
        path("question/", pay.question, name="question"),
        path("pay/", pay.pay, name="pay"),
        path("check/", pay.check, name="check"),
        path("history/", history.history, name="history"),
        path("history/found/", history.found, name="history-found"),
        path("history/more/", history.more, name="history-more"),
        path("history/export/", history.export, name="history-export"),
        path("history/print/", history.printed, name="history-print"),
        path("history/waiting/", waiting.waiting, name="waiting"),
        path("history/waiting/check/", waiting.check, name="waiting-check"),
        path("history/waiting/close/", waiting.close, name="waiting-close"),
    ],
    "payments",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("payments/", include(payments)),
]
