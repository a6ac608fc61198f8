"""The comment on a deal's timeline after Paid: owed by the payment, posted off its way, once.

Bitrix24 knows no key by which a second sending would be the same comment. So each carries a mark of
its attempt, and where it is not sure that the last sending failed, the timeline is read for it
before anything is sent again.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F, QuerySet
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from b24app.due_work import PortalTurns
from b24app.errors import B24Error, NeverSent, OutcomeUnknown, Refused
from b24app.localization import languages
from b24app.models import Portal
from b24app.rest.client import Client
from b24app.tokens.clients import portal_client, user_client
from payments import gateway
from payments.gateway import Owner
from payments.models import Attempt, Comment, Kind, State
from payments.money import money
from payments.policy.rules import policy_of

logger = logging.getLogger(__name__)

# News of a payment is none after this.
OWED_FOR = timedelta(days=7)
# Comments that one pass begins to owe, which takes no call. Far more than it posts, so that a
# portal with many payments does not keep the comments of others waiting.
_TAKEN_UP = 1_000
# Of one payment that was saved: it was paid and undone no more often than this in OWED_FOR.
_AT_ONCE = 20
# Whoever took one up and did not finish within this is gone: longer than a renewal, three reads
# with their retries and two writes of 70 seconds can take.
LEASE = timedelta(minutes=10)
# The delays add up to a day: a portal that is down longer has an administrator on it. The first is
# longer than a portal can take to carry out a request whose connection is gone.
MAX_TRIES = 9
FIRST_DELAY = timedelta(minutes=3)
LONGEST_DELAY = timedelta(hours=6)
# A timeline with more comments than this since the payment is read by nobody.
_PAGES_READ = 20
# A slow portal may take half a minute for each of them.
_SECONDS_READ = 60.0
# Looked up at once, claimed one by one.
_PAGE = 20
# Our clock and the portal's may differ by less than this.
_CLOCKS_DIFFER = timedelta(days=1)


def post_due(now: datetime | None = None, limit: int = 100) -> int:
    """Post what is due, at most `limit` comments; waits for the portals. Answers how many stand on
    their timelines now. Any number of processes may do this at once."""
    now = now or timezone.now()
    present = Attempt.objects.filter(portal__uninstalled_at=None)
    _take_up(present, now, max(limit, _TAKEN_UP))
    return _post_all(_due(now), limit)


def post_of(portal: Portal, payment_id: int) -> int:
    """The same for one payment, of which the portal has told us that it was saved."""
    now = timezone.now()
    _take_up(Attempt.objects.on(payment_id, portal_id=portal.pk), now, _AT_ONCE)
    due = _due(now).filter(attempt__portal=portal, attempt__payment_id=payment_id)
    return _post_all(due, _AT_ONCE)


def _take_up(attempts: QuerySet[Attempt], now: datetime, limit: int | None) -> None:
    """A payment that was made here and has no comment yet is what owes one: whoever pays writes
    nothing down for it, and waits for nothing."""
    owing = attempts.filter(
        state=State.PAID,
        kind__in=(Kind.PAY, Kind.MARK),
        reason="",
        owner_id__isnull=False,
        settled_at__range=(now - OWED_FOR, now),
        comment=None,
    ).order_by("settled_at")[:limit]
    # Somebody else may be taking up the same ones.
    comments = [Comment(attempt=attempt, due_at=now) for attempt in owing]
    if comments:
        Comment.objects.bulk_create(comments, ignore_conflicts=True)


def drop(portal: Portal) -> None:
    """The app is gone from the portal, and nobody may comment there any more; what it owed is no
    news when it comes back."""
    _take_up(Attempt.objects.filter(portal=portal), timezone.now(), None)
    owed = Comment.objects.filter(attempt__portal=portal, due_at__isnull=False)
    owed.update(due_at=None, given_up=True)


def _due(now: datetime) -> QuerySet[Comment]:
    """Those of a portal that removed the app wait, in case it is taken up again."""
    due = Comment.objects.filter(due_at__lte=now, attempt__portal__uninstalled_at=None)
    return due.select_related("attempt__portal")


def _post_all(due: QuerySet[Comment], limit: int) -> int:
    """A portal that does not answer, or slowly, must not hold up the comments of the others."""
    posted, turns = 0, PortalTurns()
    while limit > 0:
        rows = due.exclude(attempt__portal_id__in=turns.skipped()).order_by("due_at", "pk")
        page = list(rows[: min(_PAGE, limit)])
        if not page:
            break
        for comment in page:
            with turns.take(comment.attempt.portal_id) as may:
                if may and _claim(comment):
                    limit -= 1
                    posted += _post_one(comment, turns)
    return posted


def _post_one(comment: Comment, turns: PortalTurns) -> bool:
    try:
        return _post(comment)
    except NeverSent as error:
        turns.skip(comment.attempt.portal_id)
        _try_again(comment, error)
    except B24Error as error:
        _try_again(comment, error)
    except Exception as error:  # A bug in one comment must not stop the rest.
        logger.exception("%s was not posted", comment)
        _try_again(comment, error)
    return False


def _claim(comment: Comment) -> bool:
    """Every claim counts up `tries`, so of two that saw the same number one comes too late."""
    lease = timezone.now() + LEASE
    if not _ours(comment).update(tries=F("tries") + 1, due_at=lease):
        return False
    comment.tries += 1
    return True


def _ours(comment: Comment) -> QuerySet[Comment]:
    """The row, unless somebody else has taken it up since, after our time was over."""
    return Comment.objects.filter(pk=comment.pk, tries=comment.tries, due_at__isnull=False)


def _post(comment: Comment) -> bool:
    """Whether it stands there now, by us or from before. Raises a B24Error where that is not known,
    or where it could not be posted."""
    attempt = comment.attempt
    if not _is_wanted(attempt):
        _ours(comment).update(due_at=None)
        return False
    refusal: Refused | None = None
    for client_of in _clients(attempt):
        try:
            client = client_of()
            if comment.sent_at is None or not _stands(client, attempt):
                if not _mark_sent(comment):
                    return False
                gateway.add_comment(client, _owner(attempt), text_of(attempt))
        except Refused as error:
            # Even after a refusal the other one looks first: `sent_at` stays.
            refusal = error
        else:
            return bool(_ours(comment).update(due_at=None, done_at=timezone.now()))
    raise refusal or OutcomeUnknown("nobody could post a comment")


def _is_wanted(attempt: Attempt) -> bool:
    if attempt.portal.uninstalled_at is not None or attempt.owner_id is None:
        return False
    if attempt.undoings.filter(state=State.UNDONE).exists():
        return False
    return policy_of(attempt.portal).timeline_comment


def _clients(attempt: Attempt) -> tuple[Callable[[], Client], ...]:
    """First whoever paid, so that the comment bears their name as one written by hand would. They
    may have lost the right to the deal since, or left: then whoever serves the portal."""
    portal = attempt.portal
    return (lambda: user_client(portal, attempt.user_id), lambda: portal_client(portal))


def _mark_sent(comment: Comment) -> bool:
    """Committed before it leaves us: without it, nothing was ever sent."""
    now = timezone.now()
    if not _ours(comment).update(sent_at=now):
        return False
    comment.sent_at = now
    return True


def _stands(client: Client, attempt: Attempt) -> bool:
    """Whether the timeline has it already. Raises OutcomeUnknown where that is too much to read."""
    oldest = (attempt.sent_at or attempt.created_at) - _CLOCKS_DIFFER
    start: int | None = 0
    read_until = time.monotonic() + _SECONDS_READ
    for _page in range(_PAGES_READ):
        if time.monotonic() > read_until:
            break
        page = client.read(gateway.comments_of(_owner(attempt), start=start or 0))
        if any(is_marked(comment.text, attempt) for comment in page.comments):
            return True
        if not page.is_whole:
            raise OutcomeUnknown("a comment that cannot be read may be the one")
        start = page.next
        last = page.comments[-1].created_at if page.comments else None
        if start is None or (last is not None and last < oldest):
            return False
    raise OutcomeUnknown("more comments than can be read")


def _owner(attempt: Attempt) -> Owner:
    owner = Owner.of(attempt.owner_type, attempt.owner_id)
    if owner is None:
        raise RuntimeError(f"{attempt} has no owner")
    return owner


def reference(attempt: Attempt) -> str:
    """Names the attempt, and no other one of its portal."""
    return f"{attempt.payment_id}-{attempt.pk}"


def is_marked(text: str, attempt: Attempt) -> bool:
    return re.search(rf"(?<![\d-]){reference(attempt)}(?![\d-])", text) is not None


def text_of(attempt: Attempt) -> str:
    """What is said, in the portal's language and time zone."""
    portal = attempt.portal
    with (
        translation.override(languages.of_portal(portal.language)),
        timezone.override(portal.zone),
    ):
        words = {
            "sum": money(attempt.sum, attempt.currency),
            "system": _without_markup(attempt.pay_system_name) or str(attempt.pay_system_id),
            "number": _without_markup(attempt.account_number),
        }
        if attempt.kind == Kind.MARK:
            told = _(
                "Marked as paid by hand: %(sum)s, %(system)s, payment %(number)s. "
                "No money was moved by it. Marked in the app Pay for Bitrix24."
            )
        else:
            told = _(
                "Paid: %(sum)s by %(system)s, payment %(number)s. Paid in the app Pay for Bitrix24."
            )
        return f"{told % words}\n№ {words['number']} · {reference(attempt)}"


def _without_markup(text: str) -> str:
    """A timeline takes square brackets for markup, which could name and notify people."""
    return text.replace("[", "(").replace("]", ")")


def _try_again(comment: Comment, error: Exception) -> None:
    member_id = comment.attempt.portal.member_id
    if comment.tries >= MAX_TRIES:
        logger.error("%s of %s was given up: %s", comment, member_id, type(error).__name__)
        _ours(comment).update(due_at=None, given_up=True)
        return
    logger.warning(
        "%s of %s: %s, try %s of %s",
        comment,
        member_id,
        type(error).__name__,
        comment.tries,
        MAX_TRIES,
    )
    delay = min(FIRST_DELAY * int(3 ** (comment.tries - 1)), LONGEST_DELAY)
    _ours(comment).update(due_at=timezone.now() + delay)
