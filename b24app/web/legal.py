"""Chooses the language of the licence agreement and the privacy policy."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation.trans_real import parse_accept_lang_header

from b24app.localization import languages

LICENSE, PRIVACY = "license", "privacy"
TITLES = {LICENSE: _("Licence agreement"), PRIVACY: _("Privacy policy")}


@dataclass(frozen=True)
class Publisher:
    name: str
    address: str
    email: str


def publisher() -> Publisher:
    return Publisher(settings.PUBLISHER_NAME, settings.PUBLISHER_ADDRESS, settings.PUBLISHER_EMAIL)


def language_for(*, asked: str = "", accepted: str = "") -> str:
    """Returns the language with the code `asked`, else the first known one in `accepted` (the value
    of Accept-Language), else English."""
    wanted = [asked, *(code for code, _quality in parse_accept_lang_header(accepted))]
    found = (languages.known(code) for code in wanted)
    return next(filter(None, found), settings.LANGUAGE_CODE)
