from __future__ import annotations

from django.urls import include, path

from payments.approvals import views
from payments.bulk import views as bulk
from payments.history import views as history
from payments.history import waiting_views
from payments.listing import mark_views, pay_views, unpaid_views
from payments.listing import views as home
from payments.policy import views as policy
from payments.setup import (
    checkout_views,
    handler_views,
    manual_settlement_views,
    settings_views,
)
from payments.setup import (
    views as systems,
)

payments = (
    [
        path("", unpaid_views.listing, name="list"),
        path("unpaid/", unpaid_views.unpaid, name="unpaid"),
        path("question/", pay_views.question, name="question"),
        path("pay/", pay_views.pay, name="pay"),
        path("mark/question/", mark_views.mark_question, name="mark-question"),
        path("mark/", mark_views.mark, name="mark"),
        path("undo/question/", mark_views.undo_question, name="undo-question"),
        path("undo/", mark_views.undo, name="undo"),
        path("check/", pay_views.check, name="check"),
        path("approvals/", views.approvals, name="approvals"),
        path("approvals/waiting/", views.waiting, name="approvals-waiting"),
        path("approvals/question/", views.question, name="approval-question"),
        path("approvals/ask/", views.ask, name="approval-ask"),
        path("approvals/decision/", views.decision, name="approval-decision"),
        path("approvals/decide/", views.decide, name="approval-decide"),
        path("rules/", policy.policy, name="policy"),
        path("history/", history.history, name="history"),
        path("history/found/", history.found, name="history-found"),
        path("history/more/", history.more, name="history-more"),
        path("history/export/", history.export, name="history-export"),
        path("history/print/", history.printed, name="history-print"),
        path("history/waiting/", waiting_views.waiting, name="waiting"),
        path("history/waiting/check/", waiting_views.check, name="waiting-check"),
        path("history/waiting/close/", waiting_views.close, name="waiting-close"),
        path("runs/", bulk.bulk, name="bulk"),
        path("runs/new/", bulk.dry_run, name="bulk_dry_run"),
        path("runs/<int:run_id>/", bulk.shown, name="bulk_run"),
        path("runs/<int:run_id>/start/", bulk.start, name="bulk_start"),
        path("runs/<int:run_id>/step/", bulk.step, name="bulk_step"),
        path("runs/<int:run_id>/pause/", bulk.pause, name="bulk_pause"),
        path("runs/<int:run_id>/resume/", bulk.resume, name="bulk_resume"),
        path("runs/<int:run_id>/stop/", bulk.stop, name="bulk_stop"),
        path("systems/", systems.systems, name="systems"),
        path("systems/new/", systems.system, name="system-new"),
        path("systems/<int:pay_system_id>/", systems.system, name="system"),
        path("systems/<int:pay_system_id>/switch/", systems.switch, name="system-switch"),
        path("systems/<int:pay_system_id>/delete/", systems.delete, name="system-delete"),
        path(
            "systems/<int:pay_system_id>/settings/", settings_views.settings, name="system-settings"
        ),
        path("provider/create/", manual_settlement_views.create, name="provider-create"),
        path(
            "provider/ask-removal/",
            manual_settlement_views.ask_removal,
            name="provider-ask-removal",
        ),
        path("provider/remove/", manual_settlement_views.remove, name="provider-remove"),
        path("handlers/new/", handler_views.handler, name="handler-new"),
        path("handlers/<int:handler_id>/", handler_views.handler, name="handler"),
        path("handlers/<int:handler_id>/delete/", handler_views.delete, name="handler-delete"),
        path("systems/<int:pay_system_id>/effective/", settings_views.effective, name="effective"),
    ],
    "payments",
)

urlpatterns = [
    path("", home.home, name="home"),
    path("payments/", include(payments)),
    path("checkout/", checkout_views.checkout, name="checkout"),
    path("checkout/<str:sealed>/", checkout_views.bill, name="bill"),
]
