"""Checks the set-up of the app in a portal: what works, what does not, and who can fix it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from b24app.errors import B24Error, ChainBroken, OutcomeUnknown
from b24app.install import bindings
from b24app.install.installation import NEEDED_SCOPES, SCOPE
from b24app.install.repairs import Repair
from b24app.localization import zones
from b24app.models import Portal, RemovalClaim, UserToken
from b24app.removal import claims
from b24app.rest.client import Answer, Client, Pending, Query
from b24app.rest.clock import CLOCKS_DIFFER, CLOCKS_TOO_FAR_APART, parsed_moment
from b24app.signals import portal_examined
from b24app.tokens.clients import portal_client
from b24app.tokens.proof import PROFILE
from b24app.work import jobs

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

# A refresh token lives 180 days, and `keep_tokens`, run daily, renews it before this age.
TOKEN_IS_OLD = timedelta(days=178)


@dataclass(frozen=True)
class Line:
    """The result of one check."""

    name: StrOrPromise
    is_ok: bool
    found: StrOrPromise
    advice: StrOrPromise = ""  # what to do; "" if all is well
    repair: Repair | None = None  # what the app can do itself


@dataclass(frozen=True)
class _App:
    is_installed: bool
    is_unpaid: bool


def _app(answer: Answer) -> _App:
    match answer.result:
        case {"INSTALLED": bool() as installed, **rest}:
            return _App(installed, rest.get("PAYMENT_EXPIRED") == "Y")
    raise OutcomeUnknown("app.info: an unknown shape")


def _moment(answer: Answer) -> datetime:
    moment = parsed_moment(answer.result)
    if moment is None:
        raise OutcomeUnknown("server.time: no time with its offset")
    return moment


# https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
_APP_INFO = Query("app.info", _app)
# https://apidocs.bitrix24.com/api-reference/common/system/server-time.html
_SERVER_TIME = Query("server.time", _moment)


def examine(portal: Portal, *, administrator: Client | None = None) -> list[Line]:
    """Returns a line for each check, in the order in which the parts depend on each other.

    Waits for the portal; an error of the portal becomes a line. Calls it with `administrator` if
    given, else with the token that serves the portal; without a working token few checks can run.
    """
    if portal.uninstalled_at is not None:
        return [
            Line(
                _("Installation"),
                False,
                _("The app was removed from this Bitrix24."),
                _("An administrator can install it again."),
            )
        ]
    claimed = claims.open_claim(portal)
    serving = portal.tokens.filter(serves_portal=True).first()
    client = administrator or _client_of(portal)
    lines = [*_lines_from(portal, client)] if client else [_finished(portal)]
    lines.append(_serving(portal, serving))
    if claimed is not None:
        lines.append(_claimed(claimed))
    lines.append(_background())
    for _receiver, more in portal_examined.send(sender=Portal, portal=portal):
        lines.extend(cast(list[Line], more))
    return lines


def _client_of(portal: Portal) -> Client | None:
    try:
        return portal_client(portal)
    except ChainBroken:
        return None


def _lines_from(portal: Portal, client: Client) -> Iterator[Line]:
    """Yields the lines for which the portal is asked.

    https://apidocs.bitrix24.com/api-reference/common/system/app-info.html
    https://apidocs.bitrix24.com/api-reference/common/system/scope.html
    https://apidocs.bitrix24.com/api-reference/common/system/server-time.html
    """
    batch = client.batch()
    app, scopes = batch.add(_APP_INFO), batch.add(SCOPE)
    clock = batch.add(_SERVER_TIME)
    began = timezone.now()
    batch.run()
    middle = began + (timezone.now() - began) / 2
    yield _installed(portal, app)
    yield _permissions(scopes)
    yield _bindings(client)
    yield _clock(clock, middle)
    yield _time_zone(portal, clock)


def _finished(portal: Portal) -> Line:
    if portal.installed_at is not None:
        return Line(_("Installation"), True, _("Finished."))
    return Line(
        _("Installation"),
        False,
        _("It was begun and not finished."),
        _("An administrator opens the app once more and waits until it says that it is done."),
    )


def _installed(portal: Portal, asked: Pending[_App]) -> Line:
    name = _("Installation")
    try:
        app = asked.get()
    except B24Error as error:
        return Line(name, False, error.sentence)
    if app.is_unpaid:
        return Line(
            name,
            False,
            _("The app's subscription in this portal has ended."),
            _("An administrator can renew it in Bitrix24."),
        )
    if not app.is_installed:
        return Line(
            name,
            False,
            _("Bitrix24 says that the app is not installed, so its tabs stay empty."),
            _("An administrator installs the app again, and waits until it says that it is done."),
        )
    return _finished(portal)


def _permissions(asked: Pending[frozenset[str]]) -> Line:
    name = _("Permissions")
    try:
        granted = asked.get()
    except B24Error as error:
        return Line(name, False, error.sentence)
    missing = [scope for scope in NEEDED_SCOPES if scope not in granted]
    if missing:
        return Line(
            name,
            False,
            _("Missing: %(names)s.") % {"names": ", ".join(missing)},
            _("Add them in the app's settings in Bitrix24, then install it again."),
        )
    return Line(name, True, ", ".join(NEEDED_SCOPES))


def _bindings(client: Client) -> Line:
    name = _("Tabs and events")
    try:
        missing, old = bindings.compare(client)
    except B24Error as error:
        return Line(name, False, error.sentence)
    if missing:
        names = ", ".join(sorted(binding.code for binding in missing))
        return Line(
            name,
            False,
            _("Not in their places: %(names)s.") % {"names": names},
            _("The app can put them back."),
            Repair.BIND,
        )
    if old:
        names = ", ".join(sorted(binding.code for binding in old))
        return Line(
            name,
            False,
            _("Also bound to an old address of this app: %(names)s.") % {"names": names},
            _("The app can take the old ones away."),
            Repair.BIND,
        )
    return Line(name, True, _("All in their places."))


def _serving(portal: Portal, row: UserToken | None) -> Line:
    name = _("The administrator's sign-in that serves this portal")
    advice = _("An administrator opens the app: their own sign-in can take over.")

    def problem(found: StrOrPromise) -> Line:
        return Line(name, False, found, advice, Repair.SERVE)

    if row is None:
        return problem(
            _(
                "No administrator's sign-in is stored, so the app cannot read payment systems and "
                "orders."
            )
        )
    if row.failure_code:
        code = {"code": row.failure_code, "user": row.user_id}
        return problem(
            _("Bitrix24 no longer renews the sign-in of user %(user)s (code %(code)s).") % code
        )
    try:
        profile = portal_client(portal).read(PROFILE)
    except B24Error as error:
        return problem(error.sentence)
    if not profile.is_admin:
        found = _("User %(user)s is no administrator any more.") % {"user": row.user_id}
        return problem(found)
    # The read above may have renewed the pair, and another repair may have replaced it.
    row = portal.tokens.filter(serves_portal=True).first() or row
    age = timezone.now() - row.refreshed_at
    words: dict[str, Any] = {"user": row.user_id, "days": age.days}
    if age > TOKEN_IS_OLD:
        return Line(
            name,
            False,
            ngettext_lazy(
                "It was last renewed %(days)s day ago. It is valid for 180 days.",
                "It was last renewed %(days)s days ago. It is valid for 180 days.",
                "days",
            )
            % words,
            _("The people who run the app have to run keep_tokens every day."),
        )
    renewed = ngettext_lazy(
        "User %(user)s; renewed %(days)s day ago.",
        "User %(user)s; renewed %(days)s days ago.",
        "days",
    )
    return Line(name, True, renewed % words)


def _background() -> Line:
    name, missed = _("Background work"), jobs.missed()
    if not missed:
        return Line(name, True, _("Done lately."))
    found = _("Not done lately: %(names)s. Payments that are not confirmed wait for Check now.")
    advice = _("The people who run the app have to start manage.py work.")
    return Line(name, False, found % {"names": ", ".join(missed)}, advice)


def _claimed(claim: RemovalClaim) -> Line:
    found = ngettext_lazy(
        "An event says that the app was removed. Bitrix24 was asked %(count)s time; "
        "nothing changes until it confirms that.",
        "An event says that the app was removed. Bitrix24 was asked %(count)s times; "
        "nothing changes until it confirms that.",
        "count",
    )
    advice = _("If the app was not removed, a person of this Bitrix24 opens it once.")
    return Line(_("Removal"), False, found % {"count": claim.asks}, advice)


def _clock(asked: Pending[datetime], ours: datetime) -> Line:
    name = _("Clocks")
    try:
        theirs = asked.get()
    except B24Error as error:
        return Line(name, False, error.sentence)
    seconds = round((theirs - ours).total_seconds())
    words = {"seconds": abs(seconds)}
    if abs(seconds) <= CLOCKS_DIFFER.total_seconds():
        apart = ngettext_lazy("%(seconds)s second apart.", "%(seconds)s seconds apart.", "seconds")
        return Line(name, True, apart % words)
    found = (
        ngettext_lazy(
            "Bitrix24's clock is %(seconds)s second ahead of the app's.",
            "Bitrix24's clock is %(seconds)s seconds ahead of the app's.",
            "seconds",
        )
        if seconds > 0
        else ngettext_lazy(
            "Bitrix24's clock is %(seconds)s second behind the app's.",
            "Bitrix24's clock is %(seconds)s seconds behind the app's.",
            "seconds",
        )
    )
    advice = _("The people who run the app set the clock of its server by NTP.")
    if abs(seconds) > CLOCKS_TOO_FAR_APART.total_seconds():
        advice = _(
            "Nothing can be paid until the people who run the app set the clock of its server "
            "by NTP."
        )
    return Line(name, False, found % words, advice)


def _time_zone(portal: Portal, asked: Pending[datetime]) -> Line:
    """Compares the portal's time zone with the offset in its answers.

    The server may be in another zone than the company, so a zone that an administrator chose is
    always in order; a zone that the app found must have the server's offset.
    """
    name = _("Time zone")
    try:
        seen = asked.get().utcoffset()
    except B24Error as error:
        return Line(name, False, error.sentence)
    words = {
        "zone": zones.words(portal.zone),
        "offset": zones.offset_words(seen or timedelta(0)),
    }
    if not portal.time_zone and not portal.time_zone_found:
        found = _("Not known until a person opens the app; until then, times are in UTC.")
        return Line(name, True, found)
    if zones.offset_of(portal.zone) == seen:
        return Line(name, True, _("Times are those of %(zone)s.") % words)
    found = _("Times are those of %(zone)s; the answers of Bitrix24 show %(offset)s.")
    advice = _(
        "If people see other times in Bitrix24 than in the app, "
        "an administrator chooses the time zone in Rules."
    )
    return Line(name, bool(portal.time_zone), found % words, advice)
