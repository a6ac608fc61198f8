"""What this package tells the others, which it does not know by name."""

from __future__ import annotations

from django.dispatch import Signal

# Sent inside the transaction that forgets the portal, so that everybody's part of it is done or
# none is. Receivers get `portal` and `clean`: whether the administrator asked for the app's data to
# be deleted as well.
portal_uninstalled = Signal()

# Sent when a portal is looked over. Receivers get `portal` and return lines of theirs: a list of
# `doctor.Line`.
portal_examined = Signal()
