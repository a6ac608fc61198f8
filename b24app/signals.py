"""What this package tells the others, which it does not know by name."""

from __future__ import annotations

from datetime import datetime

from django.dispatch import Signal

# Sent inside the transaction that forgets the portal, so that everybody's part of it is done or
# none is. Receivers get `portal` and `clean`: whether the administrator asked for the app's data to
# be deleted as well.
portal_uninstalled = Signal()

# A payment of the portal was saved, by whomever and for whatever reason: Bitrix24 has no event for
# "paid". Sent by a worker, outside any transaction. Receivers get `portal` and `payment_id`; they
# raise Later to be told again, and any other error is another try as well, after a growing delay.
payment_saved = Signal()

# Sent by `manage.py prune` for everybody to delete what is past its time. Receivers get `now`, and
# return a sentence for whoever runs the command: what was deleted.
pruning = Signal()

# Sent by the transport after every call, with `exchange`: what was asked, and what came of it.
# Receivers are in the way of whoever waits for the answer, so they take note and return.
exchanged = Signal()

# Sent when a portal is looked over. Receivers get `portal` and return lines of theirs: a list of
# `doctor.Line`.
portal_examined = Signal()


class Later(Exception):
    """It is too early to act on this; say it again at `until`."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"not before {until}")
        self.until = until
