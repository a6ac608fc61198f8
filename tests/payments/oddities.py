"""Every value that JSON allows in a field, and answers spoiled with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.core.cache import cache
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from sandbox.api.altering import Verbatim
from sandbox.api.faults import Fault
from tests.payments.frames import Frame, text_of
from tests.soak import SOAK

MISSING = object()
NESTED: Any = object()  # the value inside a list inside an object

_KNOWN: list[Any] = [
    *(None, True, False, 0, -1, 7, 163.5, 10**30, 2**63, 2**31),
    *(Verbatim("9" * 5000), Verbatim("1e400"), Verbatim("-0.0"), Verbatim("1e9999999999999999999")),
    *("", " ", "abc", "x" * 5000, "9" * 4400, "1e5", "-0.0", "NaN", "Infinity", "0x10", "١٢", "y"),
    *("\0", "a\0b", "\ud800", "a\udfffb", "\u202egnp.exe", "\x1b[2J", "a\r\nb", "\U0001f600" * 300),
    *("-0001-11-30T00:00:00+02:30", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"),
    *([], {}, [1], {"a": 1}, [[]], {"0": {}}, MISSING, NESTED),
]
_TEXTS = st.text(st.characters(exclude_characters="YN"), max_size=30)
ODD_VALUES = st.one_of(
    st.sampled_from(_KNOWN),
    st.sampled_from(_KNOWN),
    _TEXTS,
    st.integers(-(10**25), 10**25).filter(lambda number: not 0 < number < 100_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.recursive(
        st.none() | st.booleans() | _TEXTS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
        max_leaves=5,
    ),
)


def examples(number: int) -> settings:
    """Returns settings for the same examples each time, so that each run takes as long and finds
    the same. `make test` tries a quarter of them on each database."""
    if not SOAK:
        number //= 4
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        # The frame is made once; `undisturbed` takes back what an example has done.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def spoiled(row: Any, name: str, value: Any) -> Any:
    """The row with another value under this name."""
    if not isinstance(row, dict):
        return value
    rest = {key: kept for key, kept in row.items() if key != name}
    if value is MISSING:
        return rest
    return {**rest, name: {"a": [row.get(name)]} if value is NESTED else value}


class Spoiler:
    """Spoils one field of one row of each answer of a list; `name` "" is the row itself."""

    def __init__(self, place: int, name: str, value: Any) -> None:
        self._place, self._name, self._value = place, name, value
        self.rows: list[dict[str, Any]] = []  # as they were

    def __call__(self, envelope: Any) -> Any:
        rows = envelope.get("result")
        if isinstance(rows, dict):  # under one key
            (rows,) = rows.values()
        if not rows:
            return envelope
        place = self._place % len(rows)
        row = rows[place]
        self.rows.append(row)
        if self._name:
            rows[place] = spoiled(row, self._name, self._value)
        elif self._value is NESTED:
            rows[place] = [row]
        elif self._value is MISSING:
            del rows[place]
        else:
            rows[place] = self._value
        return envelope

    def were(self, name: str) -> set[Any]:
        """Returns what the spoiled rows said under this name."""
        return {row[name] for row in self.rows if name in row}


class SpoiledAnswer:
    """Spoils one field of the whole answer, with an error beside it or without; `name` "" is the
    answer itself."""

    def __init__(self, name: str, value: Any, has_error: bool) -> None:
        self._name, self._value = name, value
        error = {"error": "ERROR_ODD", "error_description": "odd"}
        self._error = error if has_error else {}

    def __call__(self, envelope: Any) -> Any:
        is_value = self._value not in (MISSING, NESTED)
        if not self._name:
            return self._value if is_value else []
        if self._value is MISSING and self._name not in envelope:
            return {**envelope, **self._error}
        return {**envelope, **self._error, self._name: self._value if is_value else None}


@contextmanager
def undisturbed(frame: Frame) -> Iterator[None]:
    """Rolls back what happens inside, in the database and in the sandbox."""
    portal = frame.portal
    kept = {
        number: replace(payment, provider_data={**payment.provider_data})
        for number, payment in portal.payments.items()
    }
    cache.clear()
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        frame.sandbox.faults.clear()
        frame.sandbox.log.clear()
        portal.payments.clear()
        portal.payments.update(kept)


@contextmanager
def altered(frame: Frame, method: str, alter: Callable[[Any], Any]) -> Iterator[None]:
    fault = frame.sandbox.faults.add(Fault("alter", method=method, times=None, alter=alter))
    yield
    fault.times = fault.hits  # Ends the fault.
    assert fault.hits, f"{method} was not asked"


def rows_in(html: str) -> dict[int, str]:
    """Returns each payment's row by its id, without the signed offer, which differs each time."""
    found = re.findall(r'<tr data-payment="(\d+)">(.*?)</tr>', html, re.DOTALL)
    return {int(number): re.sub(r'name="offer" value="[^"]*"', "", row) for number, row in found}


def can_be_paid(row: str) -> bool:
    """Returns whether it can be paid by the pay system it is set to."""
    return "/payments/question/" in row and "Choose another" not in row


def is_unclear(answer: Any) -> bool:
    """Returns whether the page says that Bitrix24 gave no clear answer."""
    return answer.status_code == 504 and "outcome_unknown" in answer.content.decode()


def paid_by_pressing(frame: Frame, html: str, payment_id: int) -> str:
    """Returns the response to Pay, pressed in the row of this payment."""
    row = html.split(f'<tr data-payment="{payment_id}">')[1].split("</tr>")[0]
    offer = re.search(r'name="offer" value="([^"]+)"', row)
    assert offer is not None
    pay_system_id = frame.portal.payments[payment_id].pay_system_id
    return text_of(frame.post("/payments/pay/", offer=offer[1], pay_system_id=pay_system_id))
