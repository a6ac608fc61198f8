"""Forms to edit a handler: its own fields, its settings, and the fields that it sends."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from payments.gateway.setup_types import Handler, Mode
from payments.setup.conflicts import fingerprint
from payments.setup.handler_settings import ASKED, FROM_CODE, codes_of, currencies_of, fields_of
from payments.setup.handlers import facts
from payments.setup.pay_system_settings import SOURCES

# More than any known provider needs, and few enough for a form that a person can read.
_ROWS = 50
_BLANK_ROWS = 1

_MODES = {
    Mode.FORM: _("Form: Bitrix24 shows a form and sends it to the address"),
    Mode.CHECKOUT: _("Checkout: the address makes a payment and returns its own page"),
    Mode.IFRAME: _("Iframe: the page at the address is shown within the page of the payment"),
}
_INPUTS = (("STRING", _("Text")), ("Y/N", _("Yes or no")), ("ENUM", _("List")))


class HandlerForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=255)
    code = forms.RegexField(
        r"^[A-Za-z0-9_-]+$",
        label=_("Code"),
        max_length=50,
        help_text=_(
            "Latin letters, digits, _ and - only; no other handler of the portal may have the "
            "same code."
        ),
    )
    mode = forms.ChoiceField(
        label=_("How the buyer pays"),
        choices=[(mode.value, words) for mode, words in _MODES.items()],
        widget=forms.RadioSelect,
    )
    action_uri = forms.URLField(
        label=_("Address of the provider"), max_length=1000, assume_scheme="https"
    )
    method = forms.ChoiceField(
        label=_("How a form is sent"),
        choices=[("POST", "POST"), ("GET", "GET")],
        required=False,
        help_text=_("For the mode Form only."),
    )
    client_type = forms.ChoiceField(
        label=_("Buyers"), choices=[("b2c", _("Individuals")), ("b2b", _("Legal entities"))]
    )
    currencies = forms.RegexField(
        r"^\s*([A-Za-z]{3}(\s*,\s*[A-Za-z]{3})*)?\s*$",
        label=_("Currencies"),
        max_length=400,
        required=False,
        help_text=_("Three letters each, separated by commas; empty for all."),
    )
    sort = forms.IntegerField(label=_("Place in the list"), min_value=0, max_value=100_000)
    shown = forms.CharField(max_length=128, required=False, widget=forms.HiddenInput)

    def clean_action_uri(self) -> str:
        address: str = self.cleaned_data["action_uri"]
        if not address.startswith("https://"):
            raise forms.ValidationError(_("The address has to begin with https://."))
        return address


class CodeForm(forms.Form):
    """A setting that each pay system of this handler has."""

    code = forms.RegexField(r"^[A-Za-z][A-Za-z0-9_]*$", label=_("Code"), max_length=50)
    name = forms.CharField(label=_("Name"), max_length=255)
    description = forms.CharField(label=_("Description"), max_length=500, required=False)
    input = forms.ChoiceField(label=_("Kind of value"), choices=_INPUTS, required=False)
    options = forms.CharField(
        label=_("Choices of a list, as code=words, one a line"),
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    source = forms.ChoiceField(
        label=_("Value to begin with"), choices=[("", _("None")), *SOURCES.items()], required=False
    )
    value = forms.CharField(label=_("Which"), max_length=255, required=False)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if values.get("source") and not values.get("value"):
            self.add_error("value", _("Say which value, or choose None."))
        lines = [line for line in values.get("options", "").splitlines() if line.strip()]
        if values.get("input") == "ENUM" and not lines:
            self.add_error("options", _("A list needs its choices."))
        if any("=" not in line for line in lines):
            self.add_error("options", _("Write each choice as code=words."))
        return values


class FieldForm(forms.Form):
    """A field that is sent to the provider: the value of a setting, or what the buyer is asked."""

    field = forms.RegexField(r"^[A-Za-z][A-Za-z0-9_\[\]-]*$", label=_("Field"), max_length=100)
    source = forms.ChoiceField(
        label=_("What is sent"),
        choices=[(FROM_CODE, _("The setting with this code")), (ASKED, _("What the buyer writes"))],
    )
    about = forms.CharField(label=_("Code, or question to the buyer"), max_length=255)
    input = forms.ChoiceField(label=_("Kind of answer"), choices=_INPUTS[:2], required=False)
    visible = forms.BooleanField(label=_("Shown to the buyer"), required=False)


CodeFormSet = forms.formset_factory(CodeForm, extra=_BLANK_ROWS, max_num=_ROWS, absolute_max=_ROWS)
FieldFormSet = forms.formset_factory(
    FieldForm, extra=_BLANK_ROWS, max_num=_ROWS, absolute_max=_ROWS
)


class HandlerForms:
    """The handler's form and both formsets, validated as one form."""

    def __init__(self, handler: Handler | None, data: Any = None) -> None:
        settings = handler.settings if handler else {}
        self.main = HandlerForm(data, initial=_initial(handler))
        self.codes = CodeFormSet(data, prefix="codes", initial=codes_of(settings))
        self.fields = FieldFormSet(data, prefix="fields", initial=fields_of(settings))

    def is_valid(self) -> bool:
        each = [self.main.is_valid(), self.codes.is_valid(), self.fields.is_valid()]
        return all(each) and self._is_consistent()

    @property
    def values(self) -> dict[str, Any]:
        return {
            **self.main.cleaned_data,
            "codes": _filled(self.codes),
            "fields": _filled(self.fields),
        }

    def _is_consistent(self) -> bool:
        """Adds an error to each code that is there twice and each field without its setting."""
        codes = [row["code"] for row in _filled(self.codes)]
        fits = True
        for form in self.codes:
            if codes.count(form.cleaned_data.get("code")) > 1:
                form.add_error("code", _("This code is there twice."))
                fits = False
        for row in self.fields:
            values = row.cleaned_data
            if values.get("source") == FROM_CODE and values["about"] not in codes:
                row.add_error("about", _("There is no setting with this code."))
                fits = False
        return fits


def with_another_row(data: QueryDict, prefix: str) -> QueryDict:
    """Returns the posted form with one more row; `prefix` is "codes" or "fields"."""
    name = f"{prefix}-TOTAL_FORMS"
    count = data.get(name, "")
    changed = data.copy()
    if prefix in ("codes", "fields") and count.isascii() and count.isdigit():
        changed[name] = str(min(int(count) + 1, _ROWS))
    return changed


def _filled(rows: Any) -> list[dict[str, Any]]:
    """Returns the values of the rows that are not empty."""
    return [form.cleaned_data for form in rows if form.cleaned_data]


def _initial(handler: Handler | None) -> dict[str, Any]:
    if handler is None:
        return {"mode": Mode.CHECKOUT.value, "method": "POST", "client_type": "b2c", "sort": 100}
    data = handler.settings.get(handler.mode or "", {})
    return {
        "name": handler.name,
        "code": handler.code,
        "mode": (handler.mode or Mode.CHECKOUT).value,
        "action_uri": handler.action_uri,
        "method": str(data.get("METHOD") or "GET").upper(),
        "client_type": handler.settings.get("CLIENT_TYPE") or "b2c",
        "currencies": ", ".join(currencies_of(handler.settings)),
        "sort": handler.sort,
        "shown": fingerprint(*facts(handler)),
    }
