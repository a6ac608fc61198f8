"""Encryption of tokens: what is in the database, and what happens when keys change."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import FieldError
from django.db import connection
from pytest_django import Settings

from b24app import encryption
from b24app.models import Portal

OLD_KEY, NEW_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_what_is_encrypted_can_be_read_again() -> None:
    sealed = encryption.encrypt("a secret, Ж")

    assert "secret" not in sealed
    assert encryption.decrypt(sealed) == "a secret, Ж"


def test_the_same_text_is_never_the_same_ciphertext() -> None:
    assert encryption.encrypt("a secret") != encryption.encrypt("a secret")


def test_a_new_key_in_front_encrypts_and_the_old_one_still_decrypts(
    settings: Settings,
) -> None:
    settings.B24_TOKEN_KEYS = [OLD_KEY]
    before = encryption.encrypt("a secret")
    settings.B24_TOKEN_KEYS = [NEW_KEY, OLD_KEY]
    after = encryption.encrypt("a secret")

    assert encryption.decrypt(before) == "a secret"
    settings.B24_TOKEN_KEYS = [NEW_KEY]
    assert encryption.decrypt(after) == "a secret"
    with pytest.raises(encryption.WrongKey):
        encryption.decrypt(before)


@pytest.mark.parametrize("text", ["", "not a ciphertext", "Ж"])
def test_what_no_key_has_encrypted_is_an_error(text: str) -> None:
    with pytest.raises(encryption.WrongKey):
        encryption.decrypt(text)


@pytest.mark.django_db
def test_a_column_holds_ciphertext_only() -> None:
    portal = Portal.objects.create(member_id="m", application_token="a secret")

    with connection.cursor() as cursor:
        cursor.execute("SELECT application_token FROM b24app_portal")
        (stored,) = cursor.fetchone()
    assert "secret" not in stored
    assert encryption.decrypt(stored) == "a secret"
    portal.refresh_from_db()
    assert portal.application_token == "a secret"


@pytest.mark.django_db
def test_a_column_that_cannot_be_decrypted_is_an_error(settings: Settings) -> None:
    Portal.objects.create(member_id="m", application_token="a secret")
    settings.B24_TOKEN_KEYS = [NEW_KEY]

    with pytest.raises(encryption.WrongKey):
        Portal.objects.get()


@pytest.mark.django_db
def test_an_encrypted_column_cannot_be_searched() -> None:
    with pytest.raises(FieldError):
        Portal.objects.filter(application_token="a secret")
