"""Formats sums in the reader's language: 12 500.00 EUR or 12.500,00 EUR, with no-break spaces."""

from __future__ import annotations

from decimal import Decimal

from babel.numbers import format_decimal, get_currency_precision
from django.utils.translation import get_language, to_locale

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
LEAST_DECIMALS = 2
# People whose language the app does not have see English. A comma separates thousands for some of
# them and decimals for others, so English sums have no comma.
_INTERNATIONAL = "en"


def figures(amount: Decimal, currency: str = "") -> str:
    """Returns the number without its currency, with separated thousands and all decimals of the
    amount, but at least as many as the currency has. Nothing is rounded.

    Raises TypeError if the amount is not a Decimal.
    """
    if not isinstance(amount, Decimal):
        raise TypeError(f"{amount!r} is not a Decimal")
    amount = amount or abs(amount)  # never "-0.00"
    exponent = amount.normalize().as_tuple().exponent
    least = get_currency_precision(currency) if currency else LEAST_DECIMALS
    decimals = max(least, -exponent) if isinstance(exponent, int) else least
    language = get_language() or _INTERNATIONAL
    if language == _INTERNATIONAL:
        return f"{amount:,.{decimals}f}".replace(",", NO_BREAK_SPACE)
    pattern = f"#,##0.{'0' * decimals}" if decimals else "#,##0"
    # Without quantization: it would round to the precision of the decimal context.
    return format_decimal(
        amount, format=pattern, locale=to_locale(language), decimal_quantization=False
    )


def money(amount: Decimal, currency: str) -> str:
    """Returns the sum and its currency's code, for a sentence.

    Several currencies have the same symbol, so the code is used. It comes after the sum in every
    language, as in the lists.
    """
    return f"{figures(amount, currency)}{NO_BREAK_SPACE}{currency}"
