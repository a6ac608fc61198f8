"""What this package tells the others, which it does not know by name."""

from __future__ import annotations

from django.dispatch import Signal

# Sent inside the transaction that forgets the portal, so that everybody's part of it is done or
# none is. Receivers get `portal` and `clean`: whether the administrator asked for the app's data to
# be deleted as well.
portal_uninstalled = Signal()

# Sent by `manage.py prune` for everybody to delete what is past its time. Receivers get `now`, and
# return a sentence for whoever runs the command: what was deleted.
pruning = Signal()

# Sent by the transport after every call, with `exchange`: what was asked, and what came of it.
# Receivers are in the way of whoever waits for the answer, so they take note and return.
exchanged = Signal()
