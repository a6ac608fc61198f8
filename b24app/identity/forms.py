"""Parses and checks what a portal posts when it opens the app in a frame."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils import timezone

from b24app.errors import BadInput
from b24app.tokens.oauth import ACCESS_TOKEN_SECONDS, MAX_ACCESS_TOKEN_SECONDS, MAX_TOKEN, TokenPair

MAX_OPTIONS = 16 * 1024
# 18 digits: Bitrix24's ids have 32 bits and our columns 63.
_POSITIVE_ID = re.compile(r"[1-9][0-9]{0,17}")
_LANGUAGE = re.compile(r"[a-z]{2}(?:[_-][a-zA-Z]{2,4})?")


def positive_id(value: object) -> int:
    """Returns an id that a portal sent as a number or text. Raises BadInput for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadInput("an id is neither a number nor text")
    if not _POSITIVE_ID.fullmatch(str(value)):
        raise BadInput("an id is not a positive number")
    return int(value)


class OptionalText(forms.RegexField):
    """A field that is not needed: "" if it is absent or does not match `regex`."""

    def __init__(self, regex: str, *, max_length: int) -> None:
        super().__init__(regex, max_length=max_length, required=False, strip=False)

    def clean(self, value: Any) -> str:
        try:
            return str(super().clean(value))
        except forms.ValidationError:
            return ""


_OPAQUE = r"\A[\x21-\x7e]+\Z"


def opaque(*, required: bool = True) -> forms.RegexField:
    """Returns a field for a token or a code: printable ASCII without spaces."""
    return forms.RegexField(_OPAQUE, max_length=MAX_TOKEN, required=required, strip=False)


def optional_token() -> OptionalText:
    """Returns a field for a token that may be missing; "" for an invalid one too."""
    return OptionalText(_OPAQUE, max_length=MAX_TOKEN)


def member() -> forms.RegexField:
    """Returns a field for member_id, the portal's permanent id: so far an MD5 in hex."""
    return forms.RegexField(r"\A[0-9A-Za-z]{1,64}\Z")


def endpoint() -> forms.RegexField:
    """Returns a field for the address of an OAuth server; `oauth.py` decides whether to call it."""
    return OptionalText(_OPAQUE, max_length=255)


class FrameForm(forms.Form):
    """The fields that a portal posts when it opens the app.

    https://apidocs.bitrix24.com/settings/oauth/simple-way.html
    """

    AUTH_ID = opaque()
    REFRESH_ID = opaque()
    AUTH_EXPIRES = OptionalText(r"\A[0-9]+\Z", max_length=10)
    member_id = member()
    status = OptionalText(r"\A[A-Z]\Z", max_length=1)
    PLACEMENT = OptionalText(r"\A[A-Z0-9_]+\Z", max_length=100)
    PLACEMENT_OPTIONS = OptionalText(r"(?s).*", max_length=MAX_OPTIONS)
    APPLICATION_TOKEN = optional_token()
    SERVER_ENDPOINT = endpoint()

    def clean_AUTH_EXPIRES(self) -> int:  # noqa: N802 - Django's name for it
        """Returns seconds; an hour if the portal sends no valid number."""
        seconds = int(self.cleaned_data["AUTH_EXPIRES"] or ACCESS_TOKEN_SECONDS)
        return seconds if 0 < seconds <= MAX_ACCESS_TOKEN_SECONDS else ACCESS_TOKEN_SECONDS

    def clean_PLACEMENT_OPTIONS(self) -> dict[str, Any]:  # noqa: N802 - Django's name for it
        """Returns the JSON object; an empty one for anything else.

        A screen that needs a value of it checks for the value.
        """
        try:
            options = json.loads(self.cleaned_data["PLACEMENT_OPTIONS"] or "{}")
            # JSON can contain half a surrogate pair, which can be neither shown nor stored.
            json.dumps(options, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return {}
        return options if isinstance(options, dict) else {}


@dataclass(frozen=True)
class Posted:
    """The fields of an opening, unproved. DOMAIN is ignored, because nothing proves it."""

    member_id: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_in: int
    application_token: str = field(repr=False)
    server_endpoint: str | None
    status: str
    placement: str
    options: dict[str, Any]
    language: str

    def pair(self, *, user_id: int, client_endpoint: str) -> TokenPair:
        """Returns the posted tokens as a pair to store. The caller must have proved the user."""
        return TokenPair(
            access=self.access,
            refresh=self.refresh,
            expires_at=timezone.now() + timedelta(seconds=self.expires_in),
            member_id=self.member_id,
            user_id=user_id,
            client_endpoint=client_endpoint,
        )


def read_posted(request: HttpRequest) -> Posted:
    """Returns the fields of an opening or an installation. Calls no server. Raises BadInput."""
    form = FrameForm(request.POST)
    if not form.is_valid():
        raise BadInput(f"bad fields: {', '.join(sorted(form.errors))}")
    fields = form.cleaned_data
    language = request.GET.get("LANG", "")
    return Posted(
        member_id=fields["member_id"],
        access=fields["AUTH_ID"],
        refresh=fields["REFRESH_ID"],
        expires_in=fields["AUTH_EXPIRES"],
        application_token=fields["APPLICATION_TOKEN"],
        server_endpoint=fields["SERVER_ENDPOINT"] or None,
        status=fields["status"],
        placement=fields["PLACEMENT"] or "DEFAULT",
        options=fields["PLACEMENT_OPTIONS"],
        language=language if _LANGUAGE.fullmatch(language) else "en",
    )


class CallbackForm(forms.Form):
    """The parameters with which Bitrix24 sends a person back after the sign-in.

    https://apidocs.bitrix24.com/settings/oauth/index.html
    """

    code = opaque()
    state = opaque()
