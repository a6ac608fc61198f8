"""Posts a comment to the timeline of a deal or invoice after its payment was paid or marked.

Background workers do this, so that paying does not wait for it. Bitrix24 has no key that makes a
second call harmless. So each comment ends with a mark of its attempt, and unless the last call
surely failed, the timeline is searched for the mark before the comment is sent again.
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

from b24app.errors import B24Error, NeverSent, OutcomeUnknown, Refused
from b24app.localization import languages
from b24app.models import Portal
from b24app.rest.client import Client
from b24app.tokens.clients import portal_client, user_client
from b24app.work import due_rows
from b24app.work.due_rows import Delays, PortalTurns
from payments import gateway
from payments.gateway import Owner
from payments.models import Attempt, Comment, Kind, State
from payments.money import money
from payments.policy.rules import policy_of

logger = logging.getLogger(__name__)

# An older payment gets no comment any more.
COMMENT_WITHIN = timedelta(days=7)
# Comment rows that one pass creates, which takes no call. Far more than it posts, so that a portal
# with many payments does not delay the comments of others.
_MOST_CREATED = 1_000
# Of one saved payment: it is not paid and undone more often than this in COMMENT_WITHIN.
_MOST_OF_A_PAYMENT = 20
# A worker that claimed a comment and did not finish within this has died: a token renewal, three
# reads with their retries and two writes of 70 seconds take less.
LEASE = timedelta(minutes=10)
# The delays add up to a day; a portal that is down longer has a larger problem. The first delay is
# longer than a portal can take to carry out a request whose connection was lost.
MAX_TRIES = 9
DELAYS = Delays(first=timedelta(minutes=3), factor=3, longest=timedelta(hours=6))
# The search reads at most so many pages of a timeline, for at most so long: a slow portal may take
# half a minute a page.
_PAGES_READ = 20
_SECONDS_READ = 60.0
# Due rows that one query reads; each is claimed right before it is posted.
_PAGE = 20
# The portal's clock and this app's differ by less than this.
_CLOCKS_DIFFER = timedelta(days=1)


def post_due(
    now: datetime | None = None, limit: int = 100, stop: Callable[[], bool] = lambda: False
) -> int:
    """Posts due comments, at most `limit`, until `stop` returns True; waits for the portals.

    Returns how many comments are in their timelines now. Several processes may do this at the same
    time.
    """
    now = now or timezone.now()
    of_installed = Attempt.objects.filter(portal__uninstalled_at=None)
    _create_comments(of_installed, now, max(limit, _MOST_CREATED))
    return _post_all(_due(now), limit, stop)


def post_for(portal: Portal, payment_id: int) -> int:
    """Posts the due comments of one payment, after the portal's event that it was saved."""
    now = timezone.now()
    _create_comments(Attempt.objects.on(payment_id, portal_id=portal.pk), now, _MOST_OF_A_PAYMENT)
    due = _due(now).filter(attempt__portal=portal, attempt__payment_id=payment_id)
    return _post_all(due, _MOST_OF_A_PAYMENT)


def _create_comments(attempts: QuerySet[Attempt], now: datetime, limit: int | None) -> None:
    """Creates the comment rows of paid attempts that have none; paying itself creates no row."""
    without_comment = attempts.filter(
        state=State.PAID,
        kind__in=(Kind.PAY, Kind.MARK),
        reason="",
        owner_id__isnull=False,
        settled_at__range=(now - COMMENT_WITHIN, now),
        comment=None,
    ).order_by("settled_at")[:limit]
    comments = [Comment(attempt=attempt, due_at=now) for attempt in without_comment]
    if comments:
        # Another process may create the same rows at this moment.
        Comment.objects.bulk_create(comments, ignore_conflicts=True)


def drop(portal: Portal) -> None:
    """Gives up all comments of a portal that removed the app. If it installs the app again, they
    are too old."""
    _create_comments(Attempt.objects.filter(portal=portal), timezone.now(), None)
    pending = Comment.objects.filter(attempt__portal=portal, due_at__isnull=False)
    pending.update(due_at=None, given_up=True)


def _due(now: datetime) -> QuerySet[Comment]:
    """Returns the due comments of portals that have the app."""
    due = Comment.objects.filter(due_at__lte=now, attempt__portal__uninstalled_at=None)
    return due.select_related("attempt__portal")


def _post_all(due: QuerySet[Comment], limit: int, stop: Callable[[], bool] = lambda: False) -> int:
    """Posts due comments, at most `limit`; returns how many are in their timelines now."""
    turns, posted = PortalTurns(), 0

    def page(skipped: list[int]) -> list[Comment]:
        of_others = due.exclude(attempt__portal_id__in=skipped)
        return list(of_others.order_by("due_at", "pk")[:_PAGE])

    def work_on(comment: Comment) -> bool:
        nonlocal posted
        if not _claim(comment):
            return False
        posted += _post_one(comment, turns)
        return True

    due_rows.work_through(
        page,
        work_on,
        portal_id_of=lambda comment: comment.attempt.portal_id,
        turns=turns,
        limit=limit,
        stop=stop,
    )
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
    until = timezone.now() + LEASE
    if not due_rows.claim(Comment.objects.all(), comment, until=until, tries=F("tries") + 1):
        return False
    comment.tries += 1
    return True


def _claimed(comment: Comment) -> QuerySet[Comment]:
    return due_rows.claimed(Comment.objects.all(), comment)


def _post(comment: Comment) -> bool:
    """Posts the comment, unless the timeline has it. Returns whether the timeline has it now.

    Raises a B24Error if it could not be posted, or if that is unknown.
    """
    attempt = comment.attempt
    if not _is_wanted(attempt):
        _claimed(comment).update(due_at=None)
        return False
    refusal: Refused | None = None
    for client_of in _clients(attempt):
        try:
            client = client_of()
            if comment.sent_at is None or not _is_in_timeline(client, attempt):
                if not _mark_sent(comment):
                    return False
                gateway.add_comment(client, _owner(attempt), text_of(attempt))
        except Refused as error:
            # The next client searches the timeline even after a refusal: `sent_at` stays.
            refusal = error
        else:
            return bool(_claimed(comment).update(due_at=None, done_at=timezone.now()))
    raise refusal or OutcomeUnknown("no client could post a comment")


def _is_wanted(attempt: Attempt) -> bool:
    if attempt.portal.uninstalled_at is not None or attempt.owner_id is None:
        return False
    if attempt.undoings.filter(state=State.UNDONE).exists():
        return False
    return policy_of(attempt.portal).timeline_comment


def _clients(attempt: Attempt) -> tuple[Callable[[], Client], ...]:
    """Returns the clients to try: the person who paid, so that the comment has their name; then the
    portal's own token, if that person has left or lost the right to the deal."""
    portal = attempt.portal
    return (lambda: user_client(portal, attempt.user_id), lambda: portal_client(portal))


def _mark_sent(comment: Comment) -> bool:
    """Commits `sent_at` before the call: if it is null, nothing was sent. Returns False if another
    process has claimed the comment."""
    now = timezone.now()
    if not _claimed(comment).update(sent_at=now):
        return False
    comment.sent_at = now
    return True


def _is_in_timeline(client: Client, attempt: Attempt) -> bool:
    """Returns whether the timeline has the comment. Raises OutcomeUnknown if there are too many
    comments to read."""
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
            raise OutcomeUnknown("a comment that cannot be read may be this one")
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
    """Returns the mark of the attempt, unique in its portal."""
    return f"{attempt.payment_id}-{attempt.pk}"


def is_marked(text: str, attempt: Attempt) -> bool:
    return re.search(rf"(?<![\d-]){reference(attempt)}(?![\d-])", text) is not None


def text_of(attempt: Attempt) -> str:
    """Returns the comment's text in the portal's language."""
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
            text = _(
                "Marked as paid by hand: %(sum)s, %(system)s, payment %(number)s. "
                "No money was moved by it. Marked in the app Pay for Bitrix24."
            )
        else:
            text = _(
                "Paid: %(sum)s by %(system)s, payment %(number)s. Paid in the app Pay for Bitrix24."
            )
        return f"{text % words}\n№ {words['number']} · {reference(attempt)}"


def _without_markup(text: str) -> str:
    """Replaces square brackets: in a timeline they are markup that could notify people."""
    return text.replace("[", "(").replace("]", ")")


def _try_again(comment: Comment, error: Exception) -> None:
    member_id = comment.attempt.portal.member_id
    if comment.tries >= MAX_TRIES:
        logger.error("%s of %s was given up: %s", comment, member_id, type(error).__name__)
        _claimed(comment).update(due_at=None, given_up=True)
        return
    logger.warning(
        "%s of %s: %s, try %s of %s",
        comment,
        member_id,
        type(error).__name__,
        comment.tries,
        MAX_TRIES,
    )
    _claimed(comment).update(due_at=timezone.now() + DELAYS.after(comment.tries))
