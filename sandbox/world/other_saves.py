"""Describes another person's save of an order that begins before a call and ends after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class LoadedPayment:
    """A payment as that person loaded it."""

    id: int
    sum: Decimal
    pay_system_id: int
    paid: bool
    date_paid: datetime | None
    emp_paid_id: int | None
    provider_data: dict[str, Any]


@dataclass(frozen=True, eq=False)
class OtherSave:
    order_id: int
    user_id: int
    payments: tuple[LoadedPayment, ...]
    # False: a form that posts the paid flags it was filled with; dates follow the flags. True: the
    # whole rows of the payments, so that nothing shows what was between.
    whole_rows: bool = False
    ends_after_next: bool = False  # right after the next save of the order by REST
