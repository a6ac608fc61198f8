from __future__ import annotations

from django.urls import include, path

from payments.views import home, listing, marks, pay

payments = (
    [
        path("", listing.listing, name="list"),
        path("unpaid/", listing.unpaid, name="unpaid"),
        path("question/", pay.question, name="question"),
        path("pay/", pay.pay, name="pay"),
        path("mark/question/", marks.mark_question, name="mark-question"),
        path("mark/", marks.mark, name="mark"),
        path("undo/question/", marks.undo_question, name="undo-question"),
        path("undo/", marks.undo, name="undo"),
        path("check/", pay.check, name="check"),
    ],
    "payments",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("payments/", include(payments)),
]
