"""Sums as people read them in their language: 12 500.00 EUR, 12.500,00 EUR, never broken."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_decimal, get_currency_precision
from django.utils.translation import get_language, to_locale

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
LEAST_DECIMALS = 2
# English is also what everybody reads whose language the app does not speak: a comma in a sum would
# be thousands to some of them and decimals to others, so there is none.
_INTERNATIONAL = "en"


def figures(amount: Decimal, currency: str = "") -> str:
    """The number alone: thousands apart, no fewer decimals than the currency has, and no fewer than
    the amount has: nothing is rounded."""
    if not isinstance(amount, Decimal):
        raise TypeError(f"{amount!r} is not a Decimal, and money is nothing else")
    amount = amount or abs(amount)  # never "-0.00"
    exponent = amount.normalize().as_tuple().exponent
    least = get_currency_precision(currency) if currency else LEAST_DECIMALS
    decimals = max(least, -exponent) if isinstance(exponent, int) else least
    language = get_language() or _INTERNATIONAL
    if language == _INTERNATIONAL:
        return f"{amount:,.{decimals}f}".replace(",", NO_BREAK_SPACE)
    pattern = f"#,##0.{'0' * decimals}" if decimals else "#,##0"
    # The amount goes as text does: as it is, whatever the precision of the arithmetic.
    return format_decimal(
        amount, format=pattern, locale=to_locale(language), decimal_quantization=False
    )


def money(amount: Decimal, currency: str) -> str:
    """The sum with its currency's code, for a sentence: a symbol can be that of several, and the
    code stands behind the sum in every language, as it does in the lists."""
    return f"{figures(amount, currency)}{NO_BREAK_SPACE}{currency}"
