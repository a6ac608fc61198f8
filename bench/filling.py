"""Fills tables with millions of rows, generated inside PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.models import Model

from b24app.models import Portal, UserToken
from payments.models import Attempt, Entry

# The values do not matter, only that rows of one day lie beside those of the next.
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
# The measured portal has the first thousand rows and every hundredth.
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
"""  # noqa: S608 - constants of this module
# With gaps between the numbers, for entries that the measured commands append.
_ENTRIES = f"""
INSERT INTO payments_entry (portal_id, number, at, event, attempt_id, actor_id, facts,
  texts_digest, previous, hash)
SELECT {_WHOSE}, i * 1000, {_WHEN}, 'paid', i, 1 + i %% 7, '{{}}', '', '', md5(i::text)
FROM generate_series(%(first)s, %(last)s) AS i
"""  # noqa: S608 - constants of this module


def relax() -> None:
    """Turns off durability: this server is temporary."""
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
    _analyze(Portal, UserToken)


def attempts(first: int, last: int, *, portal_id: int) -> None:
    with _without_indexes(Attempt):
        _insert(_ATTEMPTS, first, last, portal_id)
    _analyze(Attempt)


def entries(first: int, last: int, *, portal_id: int) -> None:
    with _without_indexes(Entry):
        _insert(_ENTRIES, first, last, portal_id)
    _analyze(Entry)


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
    """Drops the indexes and creates them again after the block, which is much faster."""
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


def _analyze(*models: type[Model]) -> None:
    """Vacuums and analyzes, as autovacuum does some time after so many rows."""
    with connection.cursor() as cursor:
        for model in models:
            cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")
