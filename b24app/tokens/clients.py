"""Makes clients that call a portal with a stored token pair."""

from __future__ import annotations

from b24app.models import Portal
from b24app.rest.client import Client
from b24app.tokens import store


def portal_client(portal: Portal) -> Client:
    """The portal with the installer's token. Raises ChainBroken if there is none that works.

    Once the portal refuses its person, that is kept: the next administrator who opens the app
    serves the portal instead.
    """
    credentials = store.portal_credentials(portal)
    return Client(portal.client_endpoint, credentials, on_refusal=credentials.note_refusal)


def user_client(portal: Portal, user_id: int) -> Client:
    """The portal with this person's own token. Raises ChainBroken if there is none."""
    return Client(portal.client_endpoint, store.user_credentials(portal, user_id))
