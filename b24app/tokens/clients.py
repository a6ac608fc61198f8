"""Makes clients that call a portal with a stored pair of tokens."""

from __future__ import annotations

from b24app.models import Portal
from b24app.rest.client import Client
from b24app.tokens import store


def portal_client(portal: Portal) -> Client:
    """Returns a client with the token that serves the portal.

    Raises ChainBroken if no such token is kept, or it is known not to work. If the portal refuses
    the token's person, the client records it, and the next administrator who opens the app serves
    the portal instead.
    """
    credentials = store.portal_credentials(portal)
    return Client(portal.client_endpoint, credentials, on_refusal=credentials.record_refusal)


def user_client(portal: Portal, user_id: int) -> Client:
    """Returns a client with this person's own token. Raises ChainBroken if none is kept."""
    return Client(portal.client_endpoint, store.user_credentials(portal, user_id))
