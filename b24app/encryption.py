"""Encrypts and decrypts the secrets in the database. No other module imports the cipher."""

from __future__ import annotations

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.signals import setting_changed


class WrongKey(Exception):
    """No key in B24_TOKEN_KEYS decrypts this text: a key was removed too early, or lost."""


def encrypt(text: str) -> str:
    """Returns the text encrypted with the first key of B24_TOKEN_KEYS."""
    return _cipher().encrypt(text.encode()).decode()


def decrypt(text: str) -> str:
    """Returns the text decrypted with the key that fits. Raises WrongKey if no key fits."""
    try:
        return _cipher().decrypt(text.encode()).decode()
    except InvalidToken as error:
        raise WrongKey("No key in B24_TOKEN_KEYS decrypts this value.") from error


def is_under_first_key(text: str) -> bool:
    """Whether the first key, which encrypts now, decrypts this text."""
    try:
        Fernet(settings.B24_TOKEN_KEYS[0]).decrypt(text.encode())
    except InvalidToken:
        return False
    return True


@cache
def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.B24_TOKEN_KEYS])


def _forget_keys(*, setting: str, **_: object) -> None:
    if setting == "B24_TOKEN_KEYS":
        _cipher.cache_clear()


setting_changed.connect(_forget_keys)
