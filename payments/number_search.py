"""Finds payments by a number as a person types it: an order's number or a payment's."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from payments.gateway import NUMBER_SEPARATOR
from payments.models import folded

# ACCOUNT_NUMBER has 100 characters in Bitrix24, in a pattern that each portal chooses for itself.
LONGEST = 100
# People write these before a number. A portal's own numbers can begin with them as well, so both
# spellings are searched for.
_NUMBER_SIGN = re.compile(r"(?:№|#|n[°º])\s*", re.IGNORECASE)
# Control characters, lone surrogates and unassigned code points.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Cn"})


class BadOrderNumber(BadInput):
    """The search is too long or has unprintable characters."""

    sentence_by_default = _(
        "An order or payment number has at most 100 characters, on one line. "
        "Nothing was searched for."
    )


@dataclass(frozen=True)
class NumberSearch:
    """`text` is as typed, without outer spaces; the empty text finds every payment."""

    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def spellings(self) -> tuple[str, ...]:
        """The numbers that the person may mean: `№ 163/` is `163` as well."""
        found = _NUMBER_SIGN.match(self.text)
        plain = self.text[found.end() :] if found else self.text
        candidates = [self.text, plain, plain.rstrip(NUMBER_SEPARATOR).rstrip()]
        return tuple(dict.fromkeys(text for text in candidates if text))

    def matches(self, account_number: str) -> bool:
        """Whether a payment has this number, or its order has: a payment is numbered after its
        order, 163/1."""
        number = folded(account_number)
        keys = [folded(spelling) for spelling in self.spellings]
        return any(number == key or number.startswith(key + NUMBER_SEPARATOR) for key in keys)

    def conditions(self) -> Q:
        """The same as `matches`, for attempts in the database."""
        found = Q()
        for spelling in self.spellings:
            key = folded(spelling)
            found |= Q(number_key=key) | Q(number_key__startswith=key + NUMBER_SEPARATOR)
        return found


ANY_NUMBER = NumberSearch()


def read_number_search(text: str) -> NumberSearch:
    """Raises BadOrderNumber."""
    number = text.strip()
    if len(number) > LONGEST or _UNPRINTABLE & {unicodedata.category(sign) for sign in number}:
        raise BadOrderNumber("not an order number")
    return NumberSearch(number)
