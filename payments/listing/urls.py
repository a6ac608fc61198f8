"""Addresses of the tab and of the unpaid payments: pay, mark as paid, undo, check."""

from __future__ import annotations

from django.urls import path

from payments.listing import mark_views, pay_views, unpaid_views

urlpatterns = [
    path("", unpaid_views.listing, name="list"),
    path("unpaid/", unpaid_views.unpaid, name="unpaid"),
    path("question/", pay_views.question, name="question"),
    path("pay/", pay_views.pay, name="pay"),
    path("mark/question/", mark_views.mark_question, name="mark-question"),
    path("mark/", mark_views.mark, name="mark"),
    path("undo/question/", mark_views.undo_question, name="undo-question"),
    path("undo/", mark_views.undo, name="undo"),
    path("check/", pay_views.check, name="check"),
]
