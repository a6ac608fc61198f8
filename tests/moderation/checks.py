"""Checks the lines of docs/moderation.md that settings and documents decide, without a portal."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings

from b24app import settings as own_settings
from b24app.errors import AddressForbidden
from b24app.install.bindings import PLACEMENTS
from b24app.install.installation import NEEDED_SCOPES
from b24app.rest.addresses import check_url

# Scopes that give more about people than their names.
_MORE_THAN_NAMES = frozenset({"user", "user_basic", "user.userfield"})
_FORBIDDEN = (
    "http://pay.example.com/rest/",
    "https://127.0.0.1/rest/",
    "https://169.254.169.254/rest/",
    "https://name:secret@pay.example.com/rest/",
)
_SCOPE_ROW = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """`why` says what was tested, or what failed."""

    line: str
    title: str
    passed: bool
    why: str


class Failed(Exception):
    """A check of a line failed."""


def verdicts() -> list[Verdict]:
    return [_verdict(line, title, attempt) for line, title, attempt in _LINES]


def _verdict(line: str, title: str, attempt: Callable[[], str]) -> Verdict:
    try:
        return Verdict(line, title, True, attempt())
    except Failed as error:
        return Verdict(line, title, False, str(error))


def _only_https() -> str:
    with override_settings(B24_ALLOW_HTTP=False, B24_PRIVATE_NETWORKS=[]):
        for url in _FORBIDDEN:
            try:
                check_url(url)
            except AddressForbidden:
                continue
            raise Failed(f"{url} would be called")
    # Only the app's settings; Django's have passwords for e-mail.
    switches = [name for name in vars(own_settings) if re.search(r"VERIFY|INSECURE_TLS|CERT", name)]
    if switches:
        raise Failed(f"there is a switch: {', '.join(switches)}")
    serious = [message.msg for message in run_checks() if message.is_serious()]
    if serious:
        raise Failed(f"manage.py check: {'; '.join(serious)}")
    return f"{len(_FORBIDDEN)} addresses refused, manage.py check"


def _scopes() -> str:
    told = {
        name: frozenset(_SCOPE_ROW.findall((settings.BASE_DIR / name).read_text(encoding="utf-8")))
        for name in ("README.md", "docs/marketplace/README.md")
    }
    for name, scopes in told.items():
        if scopes != frozenset(NEEDED_SCOPES):
            raise Failed(f"{name} has {sorted(scopes)}, the installer asks for {NEEDED_SCOPES}")
    if _MORE_THAN_NAMES & frozenset(NEEDED_SCOPES):
        raise Failed("a scope tells more of people than their names")
    return f"the installer's list against {' and '.join(told)}"


def _widgets() -> str:
    listing = (settings.BASE_DIR / "docs/marketplace/README.md").read_text(encoding="utf-8")
    declared = frozenset(re.findall(r"`(CRM_[A-Z_]+_(?:TAB|MENU))`", listing))
    if declared != frozenset(PLACEMENTS):
        raise Failed(f"declared are {sorted(declared)}, bound would be {sorted(PLACEMENTS)}")
    return "the installer's list against the listing"


_LINES: tuple[tuple[str, str, Callable[[], str]], ...] = (
    ("D1.2", "https only outbound", _only_https),
    ("D3.1", "every scope is documented", _scopes),
    ("D3.2", "widgets declared are the placements bound", _widgets),
)
