"""Which payments a person may see: the reading behind the screens.

A reading is made in three steps, so that one round trip serves several needs: make it, run its
`batches` together (an opening adds its proof to `user_batch` first), ask it for its `listing`.
"""

from __future__ import annotations

from payments.visibility.choices import Choice, choice_of
from payments.visibility.main_reading import MainReading
from payments.visibility.order_reading import OrderReading
from payments.visibility.rows import Listing, Row
from payments.visibility.tab_reading import TabReading

__all__ = ["Choice", "Listing", "MainReading", "OrderReading", "Row", "TabReading", "choice_of"]
