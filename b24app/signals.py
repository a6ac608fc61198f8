"""Signals to other packages, which this package does not import."""

from __future__ import annotations

from datetime import datetime

from django.dispatch import Signal

# Sent inside the transaction that erases the portal, so the work of all receivers is committed or
# none of it. Receivers get `portal` and `clean`: whether the administrator asked to delete the
# app's data too.
portal_uninstalled = Signal()

# Sent inside the transaction that erases what names a person. Receivers get `portal` and `user_id`,
# and return a sentence for the operator that says what was erased.
person_forgotten = Signal()

# Sent after a payment of the portal was saved for any reason: Bitrix24 has no event for "paid".
# Sent by a worker, outside any transaction. Receivers get `portal` and `payment_id`. A receiver
# raises Later to get the signal again at a moment; after any other error the worker retries with a
# growing delay.
payment_saved = Signal()

# Sent by `manage.py prune`: each receiver deletes what it need not keep any longer. Receivers get
# `now`, and return a sentence for the operator that says what was deleted.
pruning = Signal()

# Sent by the transport after every call, with `exchange`: the request and its answer or error. The
# caller waits for the receivers, so they must return at once.
exchanged = Signal()

# Sent by the doctor when it checks a portal. Receivers get `portal` and return a list of
# `doctor.Line`.
portal_examined = Signal()


class Later(Exception):
    """It is too early to act on this signal; send it again at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"not before {until}")
        self.until = until
