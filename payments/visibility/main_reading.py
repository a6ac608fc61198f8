"""The unpaid payments of a portal, newest first, that one person may see."""

from __future__ import annotations

from django.utils import timezone

from b24app.errors import B24Error
from b24app.identity.opening import PROFILE, Profile
from b24app.identity.session import Person
from b24app.models import Portal
from b24app.rest.client import Client, Pending
from payments import gateway
from payments.gateway import setup_reads
from payments.lookups.pay_systems import SystemsReading
from payments.lookups.reader import Reader
from payments.number_search import ANY_NUMBER, NumberSearch
from payments.visibility.pages import AskedPages, Page
from payments.visibility.permitted import PermittedPayments, seen_of
from payments.visibility.rows import Listing, listing


class MainReading:
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
        """`client` speaks for the person. `number` searches for an order or a payment by its
        number; `before` is the `next_before` of the page above. Without an opening `ask_profile`
        has to ask whether the person is portal admin."""
        self._portal, self._client, self._number = portal, client, number
        self._made_at = timezone.now()
        self.user_batch = client.batch()
        self._right = self.user_batch.add(gateway.order_right())
        self._profile: Pending[Profile] | None = None
        self._may_set_up: Pending[bool] | None = None
        if ask_profile:
            self._profile = self.user_batch.add(PROFILE)
        else:
            self._may_set_up = self.user_batch.add(setup_reads.may_set_up())
        self._systems = SystemsReading(portal)
        self.batches = [self.user_batch]
        self._source = Reader(portal, client, self.user_batch)
        if self._source.is_portals:
            self.batches.append(self._source.batch)
            self._systems.ask(self._source.batch)
        self._before = before
        self._first = AskedPages(self._source.batch, before=before, number=number)

    def listing(self, person: Person, *, is_admin: bool | None = None) -> Listing:
        """Once `run_batches(*reading.batches)` has run; waits for the portal again. `is_admin` is
        what an opening found out; None takes the answer to `ask_profile`.

        Raises the B24Error of what could not be read.
        """
        may_pay = self._right.get()
        if is_admin is None:
            is_admin = self.is_admin
        page = self._source.read(self._first.get, again=self._first_page)
        permitted = self._seen(page, is_admin=is_admin)
        if permitted.is_empty and page.next_before is not None and not self._number:
            page = self._pages_ahead(page.next_before)
            permitted = self._seen(page, is_admin=is_admin)
        systems = self._systems
        return listing(
            person,
            permitted.seen,
            may_pay=may_pay,
            systems=systems.result_for_admin(self._client) if is_admin else systems.result(),
            made_at=self._made_at,
            next_before=page.next_before,
            is_admin=is_admin,
            unreadable=permitted.unreadable,
        )

    @property
    def is_admin(self) -> bool:
        """The answer to `ask_profile`."""
        if self._profile is None:
            raise RuntimeError("whether this is an administrator was neither told nor asked")
        return self._profile.get().is_admin

    @property
    def may_set_up(self) -> bool:
        """May this person set up pay systems? Found out at an opening, only for a link there: where
        it is not known, there is none."""
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

    def _seen(self, page: Page, *, is_admin: bool) -> PermittedPayments:
        return seen_of(
            page.rows,
            portal=self._portal,
            source=self._source.client,
            person_client=self._client,
            is_admin=is_admin,
        )
