"""Setting up what a portal takes money with, by an administrator and with their own token."""

from __future__ import annotations
