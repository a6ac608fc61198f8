"""The app as it is, but that it trusts the certificates that the bench made for its portals."""

from __future__ import annotations

import os

import certifi

_authority = os.environ.get("BENCH_AUTHORITY", "")
if _authority:
    # The app takes no such thing from its environment, for good reasons of its own.
    certifi.where = lambda: _authority
    import requests.adapters

    requests.adapters.DEFAULT_CA_BUNDLE_PATH = _authority

from b24app.wsgi import application  # noqa: E402

__all__ = ["application"]
