"""The rules of a portal."""

from __future__ import annotations

from dataclasses import dataclass

from b24app.models import Portal


@dataclass(frozen=True)
class Policy:
    timeline_comment: bool = True


def policy_of(portal: Portal) -> Policy:
    """The portal's rules, the defaults where it has none."""
    return Policy()
