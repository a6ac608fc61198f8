from __future__ import annotations

from django.urls import include, path

from payments.views import bulk, home, listing, pay

payments = (
    [
        path("", listing.listing, name="list"),
        path("unpaid/", listing.unpaid, name="unpaid"),
        path("question/", pay.question, name="question"),
        path("pay/", pay.pay, name="pay"),
        path("check/", pay.check, name="check"),
        path("runs/", bulk.bulk, name="bulk"),
        path("runs/new/", bulk.dry_run, name="bulk_dry_run"),
        path("runs/<int:run_id>/", bulk.shown, name="bulk_run"),
        path("runs/<int:run_id>/start/", bulk.start, name="bulk_start"),
        path("runs/<int:run_id>/step/", bulk.step, name="bulk_step"),
        path("runs/<int:run_id>/pause/", bulk.pause, name="bulk_pause"),
        path("runs/<int:run_id>/resume/", bulk.resume, name="bulk_resume"),
        path("runs/<int:run_id>/stop/", bulk.stop, name="bulk_stop"),
    ],
    "payments",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("payments/", include(payments)),
]
