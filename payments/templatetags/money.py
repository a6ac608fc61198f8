"""Sums as people read them: 12 500.00 EUR, with spaces that never break."""

from __future__ import annotations

from decimal import Decimal

from django import template

register = template.Library()

NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"
LEAST_DECIMALS = 2


@register.filter
def figures(amount: Decimal) -> str:
    """The number alone: thousands apart, at least two decimals and no more than it has."""
    if not isinstance(amount, Decimal):
        raise TypeError(f"{amount!r} is not a Decimal, and money is nothing else")
    exponent = amount.normalize().as_tuple().exponent
    decimals = max(LEAST_DECIMALS, -exponent) if isinstance(exponent, int) else LEAST_DECIMALS
    return f"{amount:,.{decimals}f}".replace(",", NO_BREAK_SPACE)


@register.filter
def money(amount: Decimal, currency: str) -> str:
    """The sum with its currency, for a sentence."""
    return f"{figures(amount)}{NO_BREAK_SPACE}{currency}"
