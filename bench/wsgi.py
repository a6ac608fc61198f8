"""The app's WSGI application, which here trusts the certificates of the bench's portals."""

from __future__ import annotations

import os

import certifi

_authority = os.environ.get("BENCH_AUTHORITY", "")
if _authority:
    # The app itself reads no certificate authority from its environment, for security.
    certifi.where = lambda: _authority
    import requests.adapters

    requests.adapters.DEFAULT_CA_BUNDLE_PATH = _authority

from b24app.wsgi import application  # noqa: E402

__all__ = ["application"]
