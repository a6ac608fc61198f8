"""The form of the rules: shows the stored rules, and checks the posted ones."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.http import QueryDict
from django.utils.formats import get_format
from django.utils.translation import gettext_lazy as _

from b24app.localization import zones
from b24app.models import Portal
from payments.gateway import PaySystem
from payments.models import MAX_UNDO_HOURS, Policy, Who

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# Bitrix24 has dozens of currencies; no portal sells in more than this.
MAX_LIMITS = 30
# Empty rows below the stored limits; after saving there are new ones.
BLANK_ROWS = 2

_CURRENCY = re.compile(r"[A-Z]{3}")
# A comma or a point separates decimals. With three digits after it the sum is refused: 1,000 and
# 1.000 are a thousand in some countries and one in others.
_SUM = re.compile(r"[0-9]{1,15}(?:[.,](?:[0-9]{1,2}|[0-9]{4}))?")

_ZONE_LENGTH = 64  # of the column
_NO_SUCH_ZONE = _("Choose a time zone from the list.")

ALL, CHOSEN = "all", "chosen"


@dataclass(frozen=True)
class Option:
    id: int
    name: str
    is_chosen: bool


@dataclass(frozen=True)
class LimitRow:
    """One limit as it was typed, and its error message."""

    currency: str = ""
    sum: str = ""
    error: StrOrPromise = ""


class RulesForm(forms.Form):
    """The form of the rules, filled from the stored rules or from a POST.

    Stored pay systems and people stay in the choices even if the portal no longer lists them. If
    the portal's pay systems could not be read, the stored ones are kept.
    """

    version = forms.IntegerField(min_value=0)
    which_systems = forms.ChoiceField(choices=[(ALL, ALL), (CHOSEN, CHOSEN)])
    systems = forms.TypedMultipleChoiceField(coerce=int, required=False)
    undo_hours = forms.IntegerField(
        min_value=0,
        max_value=MAX_UNDO_HOURS,
        error_messages={
            "required": _("Say how many hours, 0 for never."),
            "invalid": _("Say how many hours, 0 for never."),
            "min_value": _("Say how many hours, from 0 to 720."),
            "max_value": _("Say how many hours, from 0 to 720."),
        },
    )
    undo_by = forms.ChoiceField(choices=Who.choices)
    undo_people = forms.TypedMultipleChoiceField(coerce=int, required=False)
    bulk_by = forms.ChoiceField(choices=Who.choices)
    bulk_people = forms.TypedMultipleChoiceField(coerce=int, required=False)
    timeline_comment = forms.BooleanField(required=False)
    # Empty: the app detects the time zone.
    time_zone = forms.CharField(
        required=False,
        max_length=_ZONE_LENGTH,
        error_messages={"max_length": _NO_SUCH_ZONE, "null_characters_not_allowed": _NO_SUCH_ZONE},
    )

    def __init__(
        self,
        stored: Policy,
        *,
        portal: Portal,
        systems: Sequence[PaySystem] | None,
        people: Mapping[int, str],
        posted: QueryDict | None = None,
    ) -> None:
        super().__init__(posted, initial={**_initial(stored), "time_zone": portal.time_zone})
        self._portal = portal
        self._stored = stored
        self.systems_known = systems is not None
        self._names = {one.id: one.name for one in systems or ()}
        for unlisted in stored.systems or ():
            self._names.setdefault(unlisted, f"{unlisted}")
        self._people = people
        self._field("systems").choices = list(self._names.items())
        for name in ("undo_people", "bulk_people"):
            self._field(name).choices = list(people.items())
        self.limit_rows = self._typed_rows(posted) if posted is not None else _stored_rows(stored)
        self.limit_rows += [LimitRow()] * BLANK_ROWS

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.systems_known:
            # The page had no choice of pay systems.
            self.errors.pop("which_systems", None)
        elif cleaned.get("which_systems") == CHOSEN and not cleaned.get("systems"):
            self._add_error_once("systems", _("Choose at least one payment system, or allow all."))
        for who, people in (("undo_by", "undo_people"), ("bulk_by", "bulk_people")):
            if cleaned.get(who) == Who.PEOPLE and not cleaned.get(people):
                self._add_error_once(people, _("Choose at least one person."))
        if any(row.error for row in self.limit_rows):
            self.add_error(None, "limits")
        return cleaned

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name and zones.find(name) is None:
            raise forms.ValidationError(_NO_SUCH_ZONE)
        # A page of an older version of the app does not send this field.
        return name if "time_zone" in self.data else self._portal.time_zone

    @property
    def time_zone_choices(self) -> list[tuple[str, StrOrPromise]]:
        found = zones.find(self._portal.time_zone_found) or UTC
        automatic = _("Automatic: %(zone)s") % {"zone": zones.words(found)}
        return [("", automatic), *zones.choices(self._portal.time_zone)]

    def values(self) -> dict[str, Any]:
        """Returns the values of Policy's fields; call it after the form is valid."""
        fields = self.cleaned_data
        systems = self._stored.systems
        if self.systems_known:
            systems = sorted(fields["systems"]) if fields["which_systems"] == CHOSEN else None
        return {
            "systems": systems,
            "limits": {
                row.currency: f"{_amount(row.sum):f}" for row in self.limit_rows if row.currency
            },
            "undo_hours": fields["undo_hours"],
            "undo_by": fields["undo_by"],
            "undo_people": sorted(fields["undo_people"]),
            "bulk_by": fields["bulk_by"],
            "bulk_people": sorted(fields["bulk_people"]),
            "timeline_comment": fields["timeline_comment"],
        }

    @property
    def system_options(self) -> list[Option]:
        return self._options("systems", self._names)

    @property
    def undo_options(self) -> list[Option]:
        return self._options("undo_people", self._people)

    @property
    def bulk_options(self) -> list[Option]:
        return self._options("bulk_people", self._people)

    def _options(self, name: str, names: Mapping[int, str]) -> list[Option]:
        chosen = {str(one) for one in self[name].value() or ()}
        return [Option(number, label, str(number) in chosen) for number, label in names.items()]

    def _field(self, name: str) -> forms.TypedMultipleChoiceField:
        field = self.fields[name]
        if not isinstance(field, forms.TypedMultipleChoiceField):
            raise TypeError(name)
        return field

    def _add_error_once(self, name: str, sentence: StrOrPromise) -> None:
        if name not in self.errors:
            self.add_error(name, str(sentence))

    def _typed_rows(self, posted: QueryDict) -> list[LimitRow]:
        currencies, sums = posted.getlist("limit_currency"), posted.getlist("limit_sum")
        typed = list(zip(currencies, sums, strict=False))[: MAX_LIMITS + BLANK_ROWS]
        rows: list[LimitRow] = []
        for currency, sum_ in typed:
            row = _checked_row(currency.strip().upper(), sum_, taken=[one.currency for one in rows])
            if row is not None:
                rows.append(row)
        return rows


def _checked_row(currency: str, typed: str, *, taken: Collection[str]) -> LimitRow | None:
    """Returns the row with its error, or None for an empty row."""
    sum_ = re.sub(r"\s", "", typed)
    if not currency and not sum_:
        return None
    error: StrOrPromise = ""
    if not _CURRENCY.fullmatch(currency):
        error = _("A currency is three letters, such as EUR.")
    elif currency in taken:
        error = _("This currency has a limit already.")
    elif not _SUM.fullmatch(sum_):
        error = _("Write the sum without thousands separators: 10000, 999.50 or 999,50.")
    elif _amount(sum_) <= 0:
        error = _("The sum must be more than zero.")
    elif len(taken) >= MAX_LIMITS:
        error = _("There are too many limits.")
    return LimitRow(currency, sum_, error)


def _stored_rows(stored: Policy) -> list[LimitRow]:
    return [LimitRow(limit.currency, _typed(limit.sum)) for limit in stored.limit_rows()]


def _amount(typed: str) -> Decimal:
    return Decimal(typed.replace(",", "."))


def _typed(amount: Decimal) -> str:
    """Returns a sum in the form that `_SUM` accepts, with the language's decimal sign."""
    plain = f"{amount:f}"
    if len(plain.rpartition(".")[2]) == 3 and "." in plain:
        plain = f"{amount:.4f}"
    return plain.replace(".", get_format("DECIMAL_SEPARATOR"))


def _initial(stored: Policy) -> dict[str, Any]:
    return {
        "version": stored.version,
        "which_systems": ALL if stored.systems is None else CHOSEN,
        **stored.as_facts(),
        "systems": stored.systems or [],
    }
