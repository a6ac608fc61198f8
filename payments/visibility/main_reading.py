"""Reads the unpaid payments of a portal, newest first, that one person may see."""

from __future__ import annotations

from dataclasses import replace

from b24app.errors import B24Error
from b24app.identity.opening import PROFILE, Profile
from b24app.models import Portal
from b24app.rest.client import Client, Pending
from payments.gateway import setup_reads
from payments.number_search import ANY_NUMBER, NumberSearch
from payments.visibility.pages import AskedPages, Page
from payments.visibility.permitted import PermittedPayments
from payments.visibility.reading import PortalReading


class MainReading(PortalReading):
    """Three requests deep: payments, their orders' deals, titles of the deals that this person may
    read. Two where the orders' deals are cached."""

    def __init__(
        self,
        portal: Portal,
        client: Client,
        *,
        number: NumberSearch = ANY_NUMBER,
        before: int | None = None,
        ask_profile: bool = False,
    ) -> None:
        """`number` searches for an order or a payment by its number; `before` is the `next_before`
        of the page above. Without an opening, `ask_profile` asks whether the person is portal
        admin."""
        super().__init__(portal, client)
        self._number, self._before = number, before
        self._profile: Pending[Profile] | None = None
        self._may_set_up: Pending[bool] | None = None
        if ask_profile:
            self._profile = self.user_batch.add(PROFILE)
        else:
            self._may_set_up = self.user_batch.add(setup_reads.may_set_up())
        self._first = AskedPages(self._source.batch, before=before, number=number)

    def _permitted(self, *, is_admin: bool) -> PermittedPayments:
        page = self._source.read(self._first.get, again=self._first_page)
        permitted = self._seen(page.rows, is_admin=is_admin)
        if permitted.is_empty and page.next_before is not None and not self._number:
            page = self._pages_ahead(page.next_before)
            permitted = self._seen(page.rows, is_admin=is_admin)
        return replace(permitted, next_before=page.next_before)

    @property
    def is_admin(self) -> bool:
        """The answer to `ask_profile`."""
        if self._profile is None:
            raise RuntimeError("whether this is an administrator was not asked")
        return self._profile.get().is_admin

    @property
    def may_set_up(self) -> bool:
        """Whether this person may set up pay systems. Asked at an opening, for a link alone: there
        is no link where the portal gave no answer."""
        try:
            return self._may_set_up is not None and self._may_set_up.get()
        except B24Error:
            return False

    def _first_page(self, client: Client) -> Page:
        batch = client.batch()
        asked = AskedPages(batch, before=self._before, number=self._number)
        batch.run()
        return asked.get()

    def _pages_ahead(self, before: int) -> Page:
        batch = self._source.client.batch()
        asked = AskedPages(batch, before=before, ahead=True)
        batch.run()
        return asked.get()
