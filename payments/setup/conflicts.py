"""Turns what fails when an administrator saves a form into messages beside its fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext_lazy as _

from b24app.errors import AccessDenied, Refused

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# The server names the parameter that is missing or wrong: SETTINGS[FORM_DATA][ACTION_URI].
_PARAMETER = re.compile(r"Parameter(?: value)? ([A-Z_]+(?:\[[A-Z_]+\])*)")

CHANGED_MEANWHILE = _(
    "Another person changed this meanwhile, so nothing was saved. The saved value is "
    "shown below a field where it differs from yours. Save again to replace it with "
    "yours."
)
NOT_THERE = _("Bitrix24 did not answer clearly, and nothing was saved. Try again.")
TAKEN_AWAY = _("It was deleted meanwhile, so nothing was saved.")
OUT_OF_REACH = _(
    "Bitrix24 lets only the app that made it change it, and built-in ones only in its own "
    "settings. Nothing was saved."
)
HANDLER_TAKEN = _(
    "A handler with this code is there already, perhaps another app's. Choose another."
)
HANDLER_GONE = _("This handler is not there any more. Choose another one.")
PAYER_UNFIT = _("This payer type does not belong to the chosen kind of document. Choose another.")

_SENTENCES: dict[str, StrOrPromise] = {
    "ERROR_HANDLER_ALREADY_EXIST": HANDLER_TAKEN,
    "ERROR_HANDLER_NOT_FOUND": HANDLER_GONE,
    "ERROR_PERSON_TYPE_NOT_FOUND": PAYER_UNFIT,
    "ERROR_PAY_SYSTEM_NOT_FOUND": TAKEN_AWAY,
}


class NotSaved(Exception):
    """Nothing was saved."""

    def __init__(self, sentence: StrOrPromise, *, field: str | None = None) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence
        self.field = field  # The form's field that it is about; None for the whole form.


class ChangedMeanwhile(NotSaved):
    """Another person changed it after the form was rendered."""

    def __init__(self) -> None:
        super().__init__(CHANGED_MEANWHILE)


@contextmanager
def refusals_as_not_saved(fields: Mapping[str, str]) -> Iterator[None]:
    """Raises NotSaved where the block raises AccessDenied or Refused.

    `fields` has the form's field for each error code, and for each parameter that the server may
    name in an error, such as {"NAME": "name"}. A refusal about anything else is raised as it is.
    """
    try:
        yield
    except AccessDenied as error:
        if error.is_about_plan:
            raise
        raise NotSaved(OUT_OF_REACH) from error
    except Refused as error:
        code = error.code.upper()
        found = _PARAMETER.search(error.description)
        parameter = found[1] if found else ""
        field = fields.get(code) or fields.get(parameter)
        if code in _SENTENCES:
            raise NotSaved(_SENTENCES[code], field=field) from error
        if field is not None:
            raise NotSaved(
                _("Bitrix24 requires a value here, or another value."), field=field
            ) from error
        raise


def allow_overwriting(form: forms.Form, current: forms.Form) -> dict[str, StrOrPromise]:
    """After ChangedMeanwhile: makes the form valid for another try, which overwrites the change.

    Returns, for each field that differs from what was typed, the stored value in words.
    """
    data = {name: form.data[name] for name in form.data}
    form.data = data | {form.add_prefix("shown"): current["shown"].value()}
    stored: dict[str, StrOrPromise] = {}
    for bound in form.visible_fields():
        value = current[bound.name].value()
        if _as_text(bound.value()) != _as_text(value):
            words = _words(bound.field, value)
            stored[bound.name] = _("Now it says: %(value)s") % {"value": words}
    return stored


def _as_text(value: object) -> str:
    return "" if value in (None, False) else str(value)


def _words(field: forms.Field, value: object) -> str:
    """Returns the label of a choice, yes or no for a checkbox, else the value itself."""
    if isinstance(field, forms.BooleanField):
        return str(_("yes") if value else _("no"))
    for choice, words in _flat(getattr(field, "choices", ())):
        if str(choice) == str(value):
            return str(words)
    return str(value)


def _flat(choices: Any) -> Iterator[tuple[Any, Any]]:
    for choice, words in choices:
        if isinstance(words, list | tuple):
            yield from _flat(words)
        else:
            yield choice, words


def fingerprint(*values: Any) -> str:
    """Returns a hash of what a form shows, to detect later changes by other people.

    It is keyed, because there may be secrets among the values.
    """
    return salted_hmac("payments.administration", repr(values), algorithm="sha256").hexdigest()


def check_unchanged(shown: str, *values: Any) -> None:
    """Raises ChangedMeanwhile if these are not the values that the form showed."""
    if not constant_time_compare(shown, fingerprint(*values)):
        raise ChangedMeanwhile
