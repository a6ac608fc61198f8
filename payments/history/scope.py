"""Asks the portal, at each request, whether a person may see all attempts or only their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from b24app.identity.session import Person
from b24app.tokens.proof import PROFILE
from payments.history.query import visible_to
from payments.lookups import users
from payments.lookups.users import NamesReading
from payments.models import AttemptQuerySet


@dataclass
class Scope:
    person: Person
    is_admin: bool
    names: dict[int, str] = field(default_factory=dict)  # Names by user id that were read so far.

    @property
    def attempts(self) -> AttemptQuerySet:
        return visible_to(self.person.portal, self.person.user_id, is_admin=self.is_admin)

    def name(self, ids: Iterable[int]) -> dict[int, str]:
        """Reads the names of these people, if they are not known yet; returns all known names."""
        unknown = set(ids) - self.names.keys()
        if unknown:
            self.names.update(users.names(self.person, unknown))
        return self.names


def scope_of(person: Person) -> Scope:
    """Asks with the person's own token whether they are the portal's administrator now.

    Reads their name in the same request. Raises the B24Error of the first question: without an
    answer to it the app does not know what it may show.
    """
    batch = person.client.batch()
    profile = batch.add(PROFILE)
    own_name = NamesReading(person.portal, [person.user_id], asker_id=person.user_id)
    own_name.ask(batch)
    batch.run()
    return Scope(person, profile.get().is_admin, own_name.result())
