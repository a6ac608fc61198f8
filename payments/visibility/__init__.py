"""Finds out which payments a person may see, and what they may do with each."""

from __future__ import annotations

from payments.visibility.choices import Choice, choice_of
from payments.visibility.customer_reading import CustomerReading
from payments.visibility.main_reading import MainReading
from payments.visibility.order_reading import OrderReading
from payments.visibility.reading import Reading
from payments.visibility.rows import Listing, Row
from payments.visibility.tab_reading import TabReading

__all__ = [
    "Choice",
    "CustomerReading",
    "Listing",
    "MainReading",
    "OrderReading",
    "Reading",
    "Row",
    "TabReading",
    "choice_of",
]
