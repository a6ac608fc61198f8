"""Every screen and file shows times and days in the portal's time zone."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import dateformat, timezone

from b24app import models
from payments.models import Approval, Attempt, Entry, Policy, Run
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal
from tests import clocks
from tests.clocks import Clock, at_any_hour
from tests.payments import attempts, runs, stage
from tests.payments.frames import Frame, offer_in, row_in, rows_in, text_of, words

pytestmark = pytest.mark.django_db

HISTORY, EXPORT, PRINT = (f"/payments/history/{end}" for end in ("", "export/", "print/"))
SECOND = timedelta(seconds=1)
# The tests wait for nothing; a busy machine may take this long for some pages.
A_WHILE = timedelta(minutes=2)


def times_in(html: str) -> list[tuple[datetime, str]]:
    """Returns each <time>: its machine-readable moment and its text."""
    found = re.findall(r'<time[^>]* datetime="([^"]+)">(.*?)</time>', html, re.DOTALL)
    return [(datetime.fromisoformat(moment), words(said).strip()) for moment, said in found]


def moment_words(at: datetime, clock: Clock) -> str:
    local = at.astimezone(clock.zone)
    return f"{day_words(local)}, {local:%H:%M}"


def midnight(clock: Clock) -> datetime:
    """Returns the start of the portal's present day, computed without the app."""
    local = datetime.now(UTC).astimezone(clock.zone)
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def day_words(day: date) -> str:
    return dateformat.format(day, "N j, Y")


def today_words(clock: Clock) -> str:
    return day_words(date.fromisoformat(clock.today()))


def paid_row(frame: Frame) -> str:
    return row_in(frame.tab(), "payment", seed.PAYMENT)


def paid(frame: Frame) -> str:
    offer = offer_in(frame.tab())
    return frame.send("/payments/pay/", offer=offer, pay_system_id=seed.ACME_PAY)


# ---- rows, dialogs


@at_any_hour
def test_a_payment_keeps_its_day_when_the_page_is_opened_again(
    clock: Clock, frame: Frame, admin_frame: Frame
) -> None:
    ((at, said),) = times_in(paid(frame))
    assert said == today_words(clock)
    assert abs(at - datetime.now(UTC)) < A_WHILE
    for one in (frame, admin_frame):
        assert times_in(paid_row(one)) == [(at, said)]


@pytest.mark.parametrize(
    "clock",
    [Clock(datetime(2026, 11, 30, 20, 59, 59, 900_000, tzinfo=UTC), clocks.EAST)],
    indirect=True,
    ids=str,
)
def test_the_row_after_paying_has_the_portals_moment_and_not_that_of_our_settling(
    frame: Frame, alpha: Portal
) -> None:
    """Paid in the last second of a day, and settled in the next one."""
    html = paid(frame)
    attempt = Attempt.objects.get()
    paid_at = alpha.payments[seed.PAYMENT].date_paid
    assert paid_at is not None
    attempt.settled_at = paid_at + timedelta(minutes=1)
    attempt.save()
    assert times_in(html) == times_in(paid_row(frame))
    assert attempt.done_at == paid_at


@at_any_hour
def test_the_undo_question_says_until_when_by_the_portals_clock(clock: Clock, frame: Frame) -> None:
    sealed = re.search(r'name="offer" value="([^"]+)"', paid(frame))
    assert sealed
    html = frame.send("/payments/undo/question/", offer=sealed[1])
    settled_at = Attempt.objects.get().settled_at
    assert settled_at is not None
    until = settled_at + timedelta(hours=24)
    ((at, said),) = times_in(html)
    assert abs(at - until) < SECOND
    assert at.utcoffset() == until.astimezone(clock.zone).utcoffset()
    assert said == f"It can be undone until {moment_words(until, clock)}."


@at_any_hour
def test_a_payment_set_back_earlier_is_shown_with_the_portals_day(
    clock: Clock, frame: Frame, alpha: Portal
) -> None:
    paid(frame)
    alpha.payments[seed.PAYMENT].paid = False
    assert f"It was paid on {today_words(clock)} and has been set back" in words(paid_row(frame))


def test_a_date_without_a_time_does_not_move_to_another_day(
    portal: models.Portal, alpha: Portal, frame: Frame
) -> None:
    """The company is in New York, and its server writes dates by Moscow's clock."""
    models.Portal.objects.update(time_zone="America/New_York")
    as_date, as_moment = alpha.payments[seed.PAYMENT], alpha.payments[seed.CASH_PAYMENT]
    as_date.date_bill = datetime(2026, 11, 20, tzinfo=clocks.EAST)
    as_moment.date_bill = datetime(2026, 11, 20, 0, 30, tzinfo=clocks.EAST)
    html = text_of(frame.opened())
    assert "Nov. 20, 2026" in row_in(html, "payment", seed.PAYMENT)
    assert "Nov. 19, 2026" in row_in(html, "payment", seed.CASH_PAYMENT)


# ---- the history


def exported(frame: Frame, **fields: str) -> list[dict[str, str]]:
    answer: Any = frame.client.post(EXPORT, {"frame_session": frame.session, **fields})
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert timezone.get_current_timezone_name() == "UTC"
    return list(csv.DictReader(io.StringIO(content, newline="")))


@at_any_hour
def test_the_history_goes_by_the_portals_days(
    clock: Clock, portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    begins = midnight(clock)
    ends = begins + timedelta(days=1)  # By the wall clock: 23, 24 or 25 hours later.
    first, last = (at.astimezone(UTC) for at in (begins, ends))
    keep = [
        attempts.keep(portal, created_at=at, settled_at=at)
        for at in (first - SECOND, first, last - SECOND, last)
    ]
    yesterday, today, tomorrow = (begins.date() + timedelta(days=n) for n in (-1, 0, 1))
    asked = {"from": today.isoformat(), "to": today.isoformat()}
    pages = [one.look(f"{HISTORY}found/", **asked) for one in (frame, admin_frame)]
    pages.append(admin_frame.send(PRINT, **asked))
    for html in pages:
        assert rows_in(html, "attempt") == [keep[2].pk, keep[1].pk]
        assert [said[: -len(" 00:00")] for _, said in times_in(html)] == [day_words(today)] * 2
        assert f"{day_words(today)} 2 25 000.00" in words(html)
        assert f"From {day_words(today)} to {day_words(today)}" in words(html)
    html = admin_frame.look(HISTORY)
    numbers = words(html.split('<table class="numbers">')[1].split("</table>")[0])
    for day, count in ((yesterday, 1), (today, 2), (tomorrow, 1)):
        assert f"{day_words(day)} {count} " in numbers
    rows = exported(admin_frame, **asked)
    assert [begun for row in rows for name, begun in row.items() if "Begun" in name] == [
        f"{(last - SECOND).astimezone(clock.zone):%Y-%m-%d %H:%M:%S}",
        f"{first.astimezone(clock.zone):%Y-%m-%d %H:%M:%S}",
    ]
    assert [row["Settled"][:10] for row in rows] == [today.isoformat()] * 2
    assert exported(frame, **asked) == rows


@at_any_hour
def test_paper_and_file_bear_the_portals_day(
    clock: Clock, portal: models.Portal, admin_frame: Frame
) -> None:
    attempts.keep(portal)
    html = words(admin_frame.send(PRINT))
    assert f"on {today_words(clock)}, " in html
    answer = admin_frame.client.post(EXPORT, {"frame_session": admin_frame.session})
    answer.close()
    assert f"_{clock.today()}.csv" in answer["Content-Disposition"]


def test_evidence_from_each_source_is_in_the_portals_time(
    portal: models.Portal, admin_frame: Frame
) -> None:
    attempts.keep(
        portal,
        evidence={"datePaid": "2026-11-20T23:30:00+12:00", "paidBefore": "2026-11-20T10:00:00Z"},
    )
    html = words(admin_frame.look(HISTORY))
    assert "Paid on Nov. 20, 2026, 14:30:00 UTC+3" in html
    assert "paidBefore Nov. 20, 2026, 13:00:00 UTC+3" in html
    assert "+12:00" not in html
    (row,) = exported(admin_frame)
    assert row["Paid on"] == "2026-11-20 14:30:00"


# ---- approvals, rules, runs


@at_any_hour
def test_approvals_rules_and_runs_go_by_the_portals_clock(
    clock: Clock, portal: models.Portal, sandbox: Sandbox, frame: Frame, admin_frame: Frame
) -> None:
    Policy.objects.create(portal=portal, limits={"EUR": "1"}, changed_by=seed.ADMIN, version=1)
    offer = offer_in(frame.tab())
    frame.send("/payments/approvals/ask/", offer=offer, pay_system_id=seed.ACME_PAY)
    approval = Approval.objects.get()
    for one in (frame, admin_frame):
        html = one.look("/payments/approvals/")
        ((at, said),) = times_in(html)
        assert said == moment_words(approval.requested_at, clock)
        assert abs(at - approval.requested_at) < SECOND
    decided = {"approval": approval.pk, "decision": "approve"}
    admin_frame.send("/payments/approvals/decide/", **decided)
    approval.refresh_from_db()
    assert approval.decided_at is not None
    on = f"on {day_words(approval.decided_at.astimezone(clock.zone))}."
    assert on in words(frame.look("/payments/approvals/"))
    assert on in words(paid_row(frame))

    changed_at = Policy.objects.get().changed_at
    assert moment_words(changed_at, clock) in words(admin_frame.look("/payments/rules/"))

    Policy.objects.all().delete()
    person = stage.person(sandbox, portal, seed.MANAGER)
    run = runs.worked(person, runs.started(person, seed.PLAIN_PAYMENTS[0]))
    html = frame.look(f"/payments/runs/{run.pk}/")
    assert [said for _, said in times_in(html)] == [today_words(clock)]
    started_at = Run.objects.get().started_at
    assert started_at is not None
    runs.worked(person, runs.started(person, seed.PLAIN_PAYMENTS[1]))
    assert moment_words(started_at, clock) in words(frame.look("/payments/runs/"))


# ---- chosen and named

SCREENS = [f"/payments/{name}/" for name in ("unpaid", "history", "approvals", "rules", "runs")]


@pytest.mark.parametrize(
    ("chosen", "found", "named"),
    [
        ("", "UTC+03:00", "UTC+3"),
        ("Asia/Kolkata", "UTC+03:00", "Asia/Kolkata (UTC+5:30)"),
        ("", "", "UTC"),
        # A name that this machine's zones no longer have.
        ("Mars/Olympus", "Asia/Tokyo", "Asia/Tokyo (UTC+9)"),
    ],
)
def test_each_screen_names_the_zone_once(
    portal: models.Portal, frame: Frame, admin_frame: Frame, chosen: str, found: str, named: str
) -> None:
    attempts.keep(portal)
    models.Portal.objects.update(time_zone=chosen, time_zone_found=found)
    sentence = f"Times are those of {named}."
    pages = [admin_frame.look(path) for path in SCREENS]
    pages.append(admin_frame.send(PRINT))
    if found:  # An opening finds it out.
        pages += [frame.tab(), text_of(frame.opened())]
    for html in pages:
        assert words(html).count(sentence) == 1
        assert words(html).count("Times are those of") == 1


def rules(admin_frame: Frame, version: int = 0, status: int = 200, **fields: str) -> str:
    posted = {
        "version": version, "which_systems": "all", "undo_hours": 24, "undo_by": "everybody",
        "bulk_by": "everybody", **fields,
    }  # fmt: skip
    return admin_frame.send("/payments/rules/", status, **posted)


def test_an_administrator_chooses_the_zone_and_everybody_sees_its_days(
    sandbox: Sandbox, beta: Portal, portal: models.Portal, frame: Frame, admin_frame: Frame
) -> None:
    elsewhere = stage.install(sandbox, beta)
    attempts.keep(portal, created_at=datetime(2026, 11, 20, 22, 30, tzinfo=UTC))
    html = admin_frame.look("/payments/rules/")
    assert '<option value="" selected>Automatic: UTC+3</option>' in html
    html = rules(admin_frame, time_zone="America/New_York")
    elsewhere.refresh_from_db()
    assert elsewhere.time_zone == ""
    assert "Saved." in html
    assert "Times are those of America/New_York (UTC-" in html
    assert re.search(r'<option value="America/New_York" selected>', html)
    for one in (frame, admin_frame):
        assert [said for _, said in times_in(one.look(HISTORY))] == ["Nov. 20, 2026 17:30"]
    rules(admin_frame, version=1, time_zone="")
    assert [said for _, said in times_in(frame.look(HISTORY))] == ["Nov. 21, 2026 01:30"]
    portal.refresh_from_db()
    assert portal.time_zone == ""


def test_the_choice_is_in_the_ledger_and_a_page_without_the_field_leaves_it(
    portal: models.Portal, admin_frame: Frame
) -> None:
    rules(admin_frame, time_zone="Asia/Tokyo")
    facts = Entry.objects.get(event="policy").facts
    assert (facts["before"]["time_zone"], facts["after"]["time_zone"]) == ("", "Asia/Tokyo")
    rules(admin_frame, version=1)
    portal.refresh_from_db()
    assert portal.time_zone == "Asia/Tokyo"
    rules(admin_frame, version=1, status=409, time_zone="Europe/Rome")
    portal.refresh_from_db()
    assert portal.time_zone == "Asia/Tokyo"


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "../../etc/passwd", "UTC+99:00", "x" * 65, "a\x00b", "localtime"]
)
def test_a_zone_that_is_none_is_refused_beside_the_field(
    portal: models.Portal, admin_frame: Frame, name: str
) -> None:
    html = rules(admin_frame, time_zone=name)
    assert "Choose a time zone from the list." in html
    assert "Nothing was saved" in html
    assert not Policy.objects.exists()
    portal.refresh_from_db()
    assert portal.time_zone == ""


def test_two_portals_in_one_thread_keep_their_own_clocks(
    client: Client, sandbox: Sandbox, alpha: Portal, beta: Portal, portal: models.Portal
) -> None:
    beta.zone = clocks.FAR_EAST
    there = stage.install(sandbox, beta)
    for row in (portal, there):
        attempts.keep(row, created_at=datetime(2026, 11, 20, 12, 30, tzinfo=UTC))
    frames = [Frame(client, sandbox, one, seed.ADMIN) for one in (alpha, beta, alpha)]
    said = [times_in(frame.look(HISTORY))[0][1] for frame in frames]
    assert said == ["Nov. 20, 2026 15:30", "Nov. 21, 2026 00:30", "Nov. 20, 2026 15:30"]
    # The next person has none of the filters.
    assert timezone.get_current_timezone_name() == "UTC"
