"""Changing keys without downtime: `manage.py rotate_keys`, repeated, beside running renewals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection, connections
from pytest_django import Settings

from b24app import encryption, models
from b24app.tokens import key_rotation, store
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests.b24app.rows import installed, pair_of

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def row(sandbox: Sandbox, alpha: Portal, settings: Settings) -> models.UserToken:
    settings.B24_TOKEN_KEYS = [OLD]
    portal = installed(sandbox, alpha)
    portal.application_token = "an application token"
    portal.save()
    found = store.store_portal_pair(portal, pair_of(sandbox, alpha, seed.ADMIN))
    settings.B24_TOKEN_KEYS = [NEW, OLD]
    return found


def rotate_keys() -> str:
    output = StringIO()
    call_command("rotate_keys", stdout=output, stderr=output)
    return output.getvalue()


def columns() -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, access, refresh FROM b24app_usertoken")
        return {
            f"{pk} {name}": value
            for pk, *values in cursor.fetchall()
            for name, value in zip(("access", "refresh"), values, strict=True)
        }


def test_afterwards_the_old_key_is_not_needed(row: models.UserToken, settings: Settings) -> None:
    told = rotate_keys()

    assert "b24app.UserToken: 1 encrypted again, 0 were already." in told
    assert "b24app.Portal: 1 encrypted again, 0 were already." in told
    settings.B24_TOKEN_KEYS = [NEW]
    kept = models.UserToken.objects.select_related("portal").get()
    assert (kept.access, kept.refresh) == (row.access, row.refresh)
    assert kept.portal.application_token == "an application token"


def test_nothing_else_of_a_row_changes(row: models.UserToken) -> None:
    plain = [
        field.name
        for field in models.UserToken._meta.local_fields
        if not isinstance(field, models.EncryptedField)
    ]
    before = models.UserToken.objects.values(*plain).get()
    rotate_keys()
    assert models.UserToken.objects.values(*plain).get() == before


def test_a_second_run_writes_nothing(row: models.UserToken) -> None:
    rotate_keys()
    before = columns()
    assert "b24app.UserToken: 0 encrypted again, 1 were already." in rotate_keys()
    assert columns() == before


def test_a_run_that_was_stopped_goes_on_where_it_was(
    row: models.UserToken, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    models.UserToken.objects.bulk_create(
        models.UserToken(
            portal=row.portal, user_id=number, access="a", refresh="r", expires_at=row.expires_at
        )
        for number in range(100, 110)
    )
    settings.B24_TOKEN_KEYS = [LOST, NEW, OLD]
    monkeypatch.setattr(key_rotation, "CHUNK", 3)
    rotate_row: Callable[..., int] = key_rotation._rotate_row
    left = 6

    def until_stopped(*args: object) -> int:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        return rotate_row(*args)

    with monkeypatch.context() as stopped:
        stopped.setattr(key_rotation, "_rotate_row", until_stopped)
        with pytest.raises(KeyboardInterrupt):
            rotate_keys()

    assert "b24app.UserToken: 6 encrypted again, 5 were already." in rotate_keys()
    settings.B24_TOKEN_KEYS = [LOST]
    assert len([row.access for row in models.UserToken.objects.all()]) == 11


def test_a_value_that_no_key_opens_is_reported_and_left(
    row: models.UserToken, settings: Settings
) -> None:
    settings.B24_TOKEN_KEYS = [LOST]
    models.UserToken.objects.create(
        portal=row.portal, user_id=2, access="a", refresh="r", expires_at=row.expires_at
    )
    settings.B24_TOKEN_KEYS = [NEW, OLD]

    output = StringIO()
    with pytest.raises(CommandError, match="1 rows were not changed"):
        call_command("rotate_keys", stdout=output, stderr=output)
    assert "no key in B24_TOKEN_KEYS decrypts it" in output.getvalue()
    # The others were brought under the new key all the same.
    settings.B24_TOKEN_KEYS = [LOST, NEW]
    assert models.UserToken.objects.get(serves_portal=True).access == row.access


def test_a_renewal_waits_for_the_row_and_is_not_undone(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins when the old pair has been read and not yet been written back."""
    found: list[str] = []

    def renew() -> None:
        found.append(store.StoredCredentials(row).renew(row.access))
        connections.close_all()

    renewing = threading.Thread(target=renew)
    decrypt = encryption.decrypt

    def with_a_renewal_meanwhile(text: str) -> str:
        opened = decrypt(text)
        if opened == row.access and not renewing.ident:
            renewing.start()
            renewing.join(0.5)  # It ends only where nothing keeps it from the row.
            assert renewing.is_alive()
        return opened

    monkeypatch.setattr(encryption, "decrypt", with_a_renewal_meanwhile)
    rotate_keys()
    renewing.join()

    kept = models.UserToken.objects.get()
    assert kept.access == found[0] != row.access
    assert not sandbox.world.tokens[kept.access].refresh_spent
    assert all(map(encryption.is_under_first_key, columns().values()))


def test_a_row_renewed_between_reading_and_locking_keeps_the_new_pair(
    sandbox: Sandbox, row: models.UserToken, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_row: Callable[..., int] = key_rotation._rotate_row

    def after_a_renewal(model: type, *args: object) -> int:
        if model is models.UserToken:
            store.StoredCredentials(row).renew(row.access)
        return rotate_row(model, *args)

    monkeypatch.setattr(key_rotation, "_rotate_row", after_a_renewal)
    rotate_keys()

    kept = models.UserToken.objects.get()
    assert not sandbox.world.tokens[kept.access].refresh_spent
