"""Searches payments by a number that a person typed: an order's number or a payment's."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from b24app.errors import BadInput
from payments.gateway import NUMBER_SEPARATOR
from payments.models import folded

# The length of ACCOUNT_NUMBER in Bitrix24; each portal chooses its own pattern of numbers.
LONGEST = 100
# People write these before a number. A portal's numbers can begin with them too, so the search uses
# both spellings.
_NUMBER_SIGN = re.compile(r"(?:№|#|n[°º])\s*", re.IGNORECASE)
# Control characters, lone surrogates and unassigned code points.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Cn"})


class BadOrderNumber(BadInput):
    """Raised for a search that is too long or has unprintable characters."""

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
        """Returns the numbers that the person may mean: `№ 163/` may also mean `163`."""
        found = _NUMBER_SIGN.match(self.text)
        plain = self.text[found.end() :] if found else self.text
        candidates = [self.text, plain, plain.rstrip(NUMBER_SEPARATOR).rstrip()]
        return tuple(dict.fromkeys(text for text in candidates if text))

    def matches(self, account_number: str) -> bool:
        """Returns whether the payment or its order has this number. A payment's number begins with
        its order's: 163/1."""
        number = folded(account_number)
        keys = [folded(spelling) for spelling in self.spellings]
        return any(number == key or number.startswith(key + NUMBER_SEPARATOR) for key in keys)

    def conditions(self) -> Q:
        """Returns the condition of `matches` for attempts in the database."""
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
