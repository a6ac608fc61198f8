from __future__ import annotations

from django.urls import include, path

from payments.views import approvals, bulk, history, home, listing, marks, pay, policy, waiting

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
        path("approvals/", approvals.approvals, name="approvals"),
        path("approvals/waiting/", approvals.waiting, name="approvals-waiting"),
        path("approvals/question/", approvals.question, name="approval-question"),
        path("approvals/ask/", approvals.ask, name="approval-ask"),
        path("approvals/decision/", approvals.decision, name="approval-decision"),
        path("approvals/decide/", approvals.decide, name="approval-decide"),
        path("rules/", policy.policy, name="policy"),
        path("history/", history.history, name="history"),
        path("history/found/", history.found, name="history-found"),
        path("history/more/", history.more, name="history-more"),
        path("history/export/", history.export, name="history-export"),
        path("history/print/", history.printed, name="history-print"),
        path("history/waiting/", waiting.waiting, name="waiting"),
        path("history/waiting/check/", waiting.check, name="waiting-check"),
        path("history/waiting/close/", waiting.close, name="waiting-close"),
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
