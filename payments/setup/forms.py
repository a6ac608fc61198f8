"""Reads the fields that the screens of pay systems send by themselves."""

from __future__ import annotations

from collections.abc import Collection

from django.http import HttpRequest

from b24app.errors import BadInput
from b24app.identity.forms import positive_id


def read_switch(request: HttpRequest) -> bool:
    """Returns whether to switch the pay system on."""
    wanted = request.POST.get("on")
    if wanted not in ("yes", "no"):
        raise BadInput("neither on nor off")
    return wanted == "yes"


def read_payer(request: HttpRequest, payers: Collection[int]) -> int:
    """Returns the payer type, one of `payers`."""
    sent = request.POST if request.method == "POST" else request.GET
    text = sent.get("payer", "0")
    if not text.isascii() or not text.isdigit() or int(text) not in payers:
        raise BadInput("no such payer type")
    return int(text)


def read_payment_id(request: HttpRequest) -> int:
    return positive_id(request.POST.get("payment_id", ""))
