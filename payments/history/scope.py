"""How far somebody may look into the history, asked from the portal each time they look."""

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
    """`names` are those that were asked for so far."""

    person: Person
    is_admin: bool
    names: dict[int, str] = field(default_factory=dict)

    @property
    def attempts(self) -> AttemptQuerySet:
        return visible_to(self.person.portal, self.person.user_id, is_admin=self.is_admin)

    def name(self, ids: Iterable[int]) -> dict[int, str]:
        """Names of these too; waits for the portal where they are not known yet."""
        unknown = set(ids) - self.names.keys()
        if unknown:
            self.names.update(users.names(self.person, unknown))
        return self.names


def scope_of(person: Person) -> Scope:
    """Ask with the person's own token whether they are the portal's administrator now, and in the
    same request what they are called. Raises the B24Error of the first; who is not known to be an
    administrator is shown nothing."""
    batch = person.client.batch()
    profile = batch.add(PROFILE)
    own_name = NamesReading(person.portal, [person.user_id], asker_id=person.user_id)
    own_name.ask(batch)
    batch.run()
    return Scope(person, profile.get().is_admin, own_name.result())
