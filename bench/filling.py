"""Fills tables with millions of rows in bounded time: PostgreSQL makes them itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.models import Model

from b24app.models import Portal, UserToken
from payments.models import Attempt, Entry

# What is in it is of no consequence; that a day's worth lies beside the next one's is.
_PORTALS = """
INSERT INTO b24app_portal (member_id, client_endpoint, domain, app_id, app_code, scope,
  application_token, status, language, installed_at, session_generation, cache_generation)
SELECT 'filled' || i, 'https://p' || i || '.example.com/rest/', 'p' || i || '.example.com', 1,
  'local.bench', '', '', 'L', 'en', now(), 0, 0
FROM generate_series(%(first)s, %(last)s) AS i
"""
_TOKENS = """
INSERT INTO b24app_usertoken (portal_id, user_id, serves_portal, access, refresh, expires_at,
  refreshed_at, failure_code)
SELECT id, 1, true, '', '', now(), now() - (id %% 160) * interval '1 day', ''
FROM b24app_portal WHERE member_id LIKE 'filled%%'
ON CONFLICT DO NOTHING
"""
# Every hundredth is of the portal that is looked at, and its first thousand.
_WHOSE = """CASE WHEN i <= 1000 OR i %% 100 = 0 THEN %(portal)s
  ELSE %(lowest)s + i %% %(portals)s END"""
_WHEN = "now() - (i %% 1095) * interval '1 day' - (i %% 86399) * interval '1 second'"
_ATTEMPTS = f"""
INSERT INTO payments_attempt (portal_id, kind, payment_id, account_number, number_key,
  order_id, owner_type, owner_id, pay_system_id, pay_system_name, bound_pay_system_id, sum,
  currency, user_id, state, created_at, sent_at, settled_at, looks, note, reason, evidence)
SELECT {_WHOSE}, 'pay', 1000000 + i, (100000 + i) || '/1', (100000 + i) || '/1',
  100000 + i, 2, 100000 + i,
  11 + i %% 3, 'Acme Pay', 11 + i %% 3, 100 + i %% 900, 'EUR', 1 + i %% 7,
  CASE WHEN i %% 20 = 0 THEN 'refused' ELSE 'paid' END, {_WHEN}, {_WHEN}, {_WHEN}, 0, '', '',
  '{{}}'
FROM generate_series(%(first)s, %(last)s) AS i
"""  # noqa: S608 - this module's own words
# With room between the numbers, for those that passes append meanwhile.
_ENTRIES = f"""
INSERT INTO payments_entry (portal_id, number, at, event, attempt_id, actor_id, facts,
  texts_digest, previous, hash)
SELECT {_WHOSE}, i * 1000, {_WHEN}, 'paid', i, 1 + i %% 7, '{{}}', '', '', md5(i::text)
FROM generate_series(%(first)s, %(last)s) AS i
"""  # noqa: S608 - this module's own words


def relax() -> None:
    """A server of our own, thrown away afterwards: nothing has to outlive a crash of it."""
    with connection.cursor() as cursor:
        for setting in ("fsync = off", "full_page_writes = off", "max_wal_size = '8GB'"):
            cursor.execute(f"ALTER SYSTEM SET {setting}")
        cursor.execute("SELECT pg_reload_conf()")
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute("SET max_parallel_maintenance_workers = 1")


def portals(first: int, last: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_PORTALS, {"first": first, "last": last})
        cursor.execute(_TOKENS, {})
    _look_over(Portal, UserToken)


def attempts(first: int, last: int, *, portal_id: int) -> None:
    with _without_indexes(Attempt):
        _insert(_ATTEMPTS, first, last, portal_id)
    _look_over(Attempt)


def entries(first: int, last: int, *, portal_id: int) -> None:
    with _without_indexes(Entry):
        _insert(_ENTRIES, first, last, portal_id)
    _look_over(Entry)


def _insert(statement: str, first: int, last: int, portal_id: int) -> None:
    filled = Portal.objects.filter(member_id__startswith="filled")
    lowest = filled.order_by("pk").values_list("pk", flat=True).first() or portal_id
    values = {
        "first": first,
        "last": last,
        "portal": portal_id,
        "lowest": lowest,
        "portals": filled.count() or 1,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def _without_indexes(model: type[Model]) -> Iterator[None]:
    """Made anew once the rows are in, which takes a fraction of the time. Foreign keys stay."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s "
            "AND indexname NOT IN (SELECT conname FROM pg_constraint)",
            [table],
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"')
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")
            for _, definition in indexes:
                cursor.execute(definition)


def _look_over(*models: type[Model]) -> None:
    """As autovacuum does a while after so many rows."""
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
