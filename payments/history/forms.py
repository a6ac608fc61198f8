"""Reads the fields that the history sends beside its search form."""

from __future__ import annotations

from django.http import HttpRequest

from b24app.identity.forms import positive_id


def read_attempt_id(request: HttpRequest) -> int:
    return positive_id(request.POST.get("attempt", ""))


def read_before(request: HttpRequest) -> int:
    """Returns the id of the last attempt of the page before."""
    return positive_id(request.GET.get("before", ""))


def read_ending(request: HttpRequest) -> str:
    """Returns the ending of the file to make: "xlsx" if the form asks for it, else "csv"."""
    return "xlsx" if request.POST.get("format") == "xlsx" else "csv"
