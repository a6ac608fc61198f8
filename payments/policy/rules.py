"""Reads, checks and changes a portal's rules. They are never cached: each check reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from b24app.errors import FrameError
from b24app.identity.opening import PROFILE
from b24app.identity.session import Caller
from b24app.models import Portal
from payments import reasons
from payments.ledger import chain
from payments.models import Approval, Attempt, Policy
from payments.offer import Offer
from payments.reasons import Stopped


class ChangedMeanwhile(FrameError):
    """Raised if another person saved rules after this person opened them."""

    status = 409
    sentence_by_default = reasons.RULES_CHANGED


def policy_of(portal: Portal) -> Policy:
    """Returns the portal's rules, or the defaults if it has none; one SELECT."""
    return next(iter(Policy.objects.filter(portal=portal)), None) or Policy(portal=portal)


def allows(person: Caller, may: Callable[[bool], bool]) -> bool:
    """Returns `may(is_admin)` for this person.

    Asks Bitrix24 whether they are an administrator only if that can change the result. Raises the
    B24Error of that call.
    """
    if may(False):
        return True
    return may(True) and person.client.read(PROFILE).is_admin


def apply(
    person: Caller,
    offer: Offer,
    attempt: Attempt,
    extra_rule: Callable[[Policy], None] | None = None,
) -> None:
    """Checks an attempt by the rules before it is sent, and stores the rules and the approval on
    it: `mark_sent` sends it only if the rules are still the same.

    `extra_rule` is one more check by the same rules. Raises Stopped if the rules forbid the
    attempt.
    """
    attempt.rules_read = policy_of(person.portal)
    if extra_rule is not None:
        extra_rule(attempt.rules_read)
    attempt.approval = check(
        person,
        offer,
        pay_system_id=attempt.pay_system_id,
        kind=attempt.kind,
        rules=attempt.rules_read,
    )


def check(
    person: Caller, offer: Offer, *, pay_system_id: int, kind: str, rules: Policy | None = None
) -> Approval | None:
    """Checks by the rules whether this person may pay what was offered through this pay system.

    Returns the approval that allows the payment, or None if it needs no approval. Raises Stopped if
    the rules forbid it.
    """
    policy = rules or policy_of(person.portal)
    if not policy.allows_system(pay_system_id):
        raise Stopped(reasons.POLICY_SYSTEM)
    if not policy.needs_approval(offer.sum, offer.currency):
        return None
    approval = Approval.objects.of_requester(
        person.user_id,
        portal_id=offer.portal_id,
        payment_ids=[offer.payment_id],
        now=timezone.now(),
    ).first()
    if approval is None:
        raise Stopped(reasons.NEEDS_APPROVAL)
    if approval.is_waiting:
        raise Stopped(reasons.APPROVAL_WAITS)
    if not approval.matches(
        sum=offer.sum, currency=offer.currency, pay_system_id=pay_system_id, kind=kind
    ):
        raise Stopped(reasons.APPROVED_OTHERWISE)
    return approval


def change(
    portal: Portal,
    *,
    actor_id: int,
    version: int,
    values: dict[str, Any],
    time_zone: str | None = None,
) -> Policy:
    """Stores new rules, and records the old and the new ones in the ledger.

    `values` are fields of Policy. `time_zone` is the portal's time zone, "" for the detected one,
    None to leave it unchanged. Raises ChangedMeanwhile, and stores nothing, if `version` is not the
    stored version.
    """
    with transaction.atomic():
        before = policy_of(portal)
        if before.version != version:
            raise ChangedMeanwhile(f"version {before.version} is stored, {version} was shown")
        is_first = before._state.adding
        zone_before = portal.time_zone
        zone_after = zone_before if time_zone is None else time_zone
        after = Policy(
            pk=before.pk,
            portal=portal,
            version=version + 1,
            changed_by=actor_id,
            changed_at=timezone.now(),
            **values,
        )
        _store(after, is_first=is_first, shown_version=version)
        Portal.objects.filter(pk=portal.pk).update(time_zone=zone_after)
        chain.record(
            portal,
            "policy",
            actor_id=actor_id,
            facts={
                "before": {**before.as_facts(), "time_zone": zone_before},
                "after": {**after.as_facts(), "time_zone": zone_after},
            },
        )
    portal.time_zone = zone_after
    return after


def _store(policy: Policy, *, is_first: bool, shown_version: int) -> None:
    """Stores the rules if the stored version is still the shown one; the database compares, since
    two requests may have read the same version."""
    if is_first:
        try:
            with transaction.atomic():
                policy.save(force_insert=True)
        except IntegrityError as error:
            raise ChangedMeanwhile("the first rules were stored just now") from error
        return
    fields = [field for field in Policy._meta.concrete_fields if field.name not in ("id", "portal")]
    values = {field.name: getattr(policy, field.attname) for field in fields}
    if not Policy.objects.filter(pk=policy.pk, version=shown_version).update(**values):
        raise ChangedMeanwhile("other rules were stored just now")
