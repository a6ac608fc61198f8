"""Lists the people and pay systems that the history can be searched by."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from b24app.models import Portal
from payments.history.names import system_name

# How long the lists of the form are. The rest can be found by an order's or payment's number.
MOST_PEOPLE = 500
MOST_SYSTEMS = 100

# A DISTINCT would read every row of the portal. This steps from each value to the next larger one
# in an index, however many rows have the same value.
_PEOPLE = """
WITH RECURSIVE found(id) AS (
    SELECT MIN(user_id) FROM payments_attempt WHERE portal_id = %(portal)s
    UNION ALL
    SELECT (SELECT MIN(user_id) FROM payments_attempt
            WHERE portal_id = %(portal)s AND user_id > found.id)
    FROM found WHERE found.id IS NOT NULL
)
SELECT id FROM found WHERE id IS NOT NULL LIMIT %(most)s
"""
_LAST_NAME = """
    (SELECT pay_system_name FROM payments_attempt
     WHERE portal_id = %(portal)s AND pay_system_id = found.id
     ORDER BY created_at DESC, id DESC LIMIT 1)
"""
_SYSTEMS = f"""
WITH RECURSIVE found(id) AS (
    SELECT MIN(pay_system_id) FROM payments_attempt WHERE portal_id = %(portal)s
    UNION ALL
    SELECT (SELECT MIN(pay_system_id) FROM payments_attempt
            WHERE portal_id = %(portal)s AND pay_system_id > found.id)
    FROM found WHERE found.id IS NOT NULL
)
SELECT id, {_LAST_NAME} FROM found WHERE id IS NOT NULL LIMIT %(most)s
"""  # noqa: S608 - put together from this module's own words
_SYSTEMS_OF_A_PERSON = f"""
WITH RECURSIVE found(id) AS (
    SELECT MIN(pay_system_id) FROM payments_attempt
    WHERE portal_id = %(portal)s AND user_id = %(user)s
    UNION ALL
    SELECT (SELECT MIN(pay_system_id) FROM payments_attempt
            WHERE portal_id = %(portal)s AND user_id = %(user)s AND pay_system_id > found.id)
    FROM found WHERE found.id IS NOT NULL
)
SELECT id, {_LAST_NAME} FROM found WHERE id IS NOT NULL LIMIT %(most)s
"""  # noqa: S608 - put together from this module's own words


@dataclass(frozen=True)
class Choices:
    people: tuple[int, ...]  # User ids; empty for a person who sees only their own attempts.
    systems: dict[int, str]  # The last known name of each pay system by its id.


def choices(portal: Portal, user_id: int, *, is_admin: bool) -> Choices:
    """Returns what the attempts have that this person may see."""
    if is_admin:
        return Choices(people_of(portal), _systems(_SYSTEMS, portal, user_id))
    return Choices((), _systems(_SYSTEMS_OF_A_PERSON, portal, user_id))


def people_of(portal: Portal) -> tuple[int, ...]:
    """Returns the ids of the people who have attempts in this portal."""
    with connection.cursor() as cursor:
        cursor.execute(_PEOPLE, {"portal": portal.pk, "most": MOST_PEOPLE})
        return tuple(user_id for (user_id,) in cursor.fetchall())


def _systems(statement: str, portal: Portal, user_id: int) -> dict[int, str]:
    parameters = {"portal": portal.pk, "user": user_id, "most": MOST_SYSTEMS}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return {
            system_id: system_name(system_id, name or "") for system_id, name in cursor.fetchall()
        }
