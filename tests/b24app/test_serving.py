"""The person whose token serves the portal leaves: who notices, what people read, who takes
over."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from b24app import models
from b24app.errors import ChainBroken
from b24app.models import UserToken
from b24app.tokens.clients import portal_client
from b24app.tokens.failures import TRIED_AGAIN_AFTER
from b24app.tokens.proof import PROFILE
from sandbox.api.faults import Fault
from sandbox.server.app import Sandbox
from sandbox.world import seed
from sandbox.world.world import Portal, Role, User
from tests.b24app.portal_posts import install, opening_fields, post

pytestmark = pytest.mark.django_db(transaction=True)

SECOND_ADMIN = 90
ADVICE = "administrator can correct this by opening the app."


@pytest.fixture
def portal(client: Client, sandbox: Sandbox, alpha: Portal) -> models.Portal:
    """Installed by ADMIN; there is another administrator, who has never opened the app."""
    alpha.users[SECOND_ADMIN] = User(SECOND_ADMIN, "Second", "Admin", Role.PORTAL_ADMIN)
    found = install(client, sandbox, alpha)
    cache.clear()  # as if the pay systems had not been read lately
    return found


def serving() -> UserToken:
    return UserToken.objects.get(serves_portal=True)


def dismiss(alpha: Portal) -> None:
    alpha.users[seed.ADMIN].role = Role.DISMISSED


def limit(alpha: Portal) -> None:
    alpha.users[seed.ADMIN].role = Role.MANAGER
    others = frozenset(alpha.users) - {seed.ADMIN}
    alpha.installations[seed.OUR_CLIENT_ID].allowed_users = others


def demote(alpha: Portal) -> None:
    alpha.users[seed.ADMIN].role = Role.MANAGER


WAYS = pytest.mark.parametrize(
    ("way", "code"),
    [
        (dismiss, "AUTHORIZATION_ERROR"),
        (limit, "USER_ACCESS_ERROR"),
        (demote, "ACCESS_DENIED"),
    ],
    ids=["dismissed", "access limited", "no administrator any more"],
)


@WAYS
def test_managers_work_on_and_read_who_can_fix_it(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, way: object, code: str
) -> None:
    assert callable(way)
    way(alpha)
    for _ in range(2):
        page = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
        assert page.status_code == 200
        assert page.context["lines"]
        assert ADVICE in page.content.decode()
        assert any(line.status.can_pay for line in page.context["lines"])

    assert serving().failure_code == code
    # A manager's opening does not make them serve the portal.
    assert serving().user_id == seed.ADMIN


@WAYS
def test_the_next_administrator_takes_over_by_opening_the_app(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, way: object, code: str
) -> None:
    assert callable(way)
    way(alpha)
    # The first opening since: it notices the broken pair and replaces it.
    page = post(client, "/", opening_fields(sandbox, alpha, SECOND_ADMIN))
    assert page.status_code == 200
    assert page.context["listing"].systems_known
    assert ADVICE not in page.content.decode()

    assert (serving().user_id, serving().failure_code) == (SECOND_ADMIN, "")
    cache.clear()
    page = post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert page.context["listing"].systems_known
    assert ADVICE not in page.content.decode()


def test_a_known_refusal_is_not_asked_for_again_within_the_hour(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    dismiss(alpha)
    with pytest.raises(Exception, match="authorization_error"):
        portal_client(portal).read(PROFILE)
    sandbox.log.clear()
    with pytest.raises(ChainBroken):
        portal_client(portal)
    assert sandbox.log == []

    # A person who has come back serves again, without any action.
    alpha.users[seed.ADMIN].role = Role.PORTAL_ADMIN
    UserToken.objects.update(failed_at=timezone.now() - TRIED_AGAIN_AFTER)
    assert portal_client(portal).read(PROFILE).user_id == seed.ADMIN


def test_a_former_administrator_still_reads_what_they_may(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    demote(alpha)
    post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert serving().failure_code == "ACCESS_DENIED"
    assert portal_client(portal).read(PROFILE).user_id == seed.ADMIN


@pytest.mark.parametrize("plan", [True, False])
def test_a_refusal_that_is_not_the_persons_changes_nothing(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal, plan: bool
) -> None:
    if plan:
        alpha.commercial_plan = False
    else:
        sandbox.faults.add(Fault("operation_limit", "sale.paysystem.list", times=None))
    post(client, "/", opening_fields(sandbox, alpha, seed.MANAGER))
    assert serving().failure_code == ""


def test_a_late_refusal_does_not_break_the_pair_that_took_over(
    client: Client, sandbox: Sandbox, alpha: Portal, portal: models.Portal
) -> None:
    """A call with the old pair is still on its way while an administrator opens the app."""
    late = portal_client(portal)
    dismiss(alpha)
    UserToken.objects.update(failure_code="AUTHORIZATION_ERROR", failed_at=timezone.now())
    post(client, "/session/", opening_fields(sandbox, alpha, SECOND_ADMIN))

    with pytest.raises(Exception, match="authorization_error"):
        late.read(PROFILE)
    assert (serving().user_id, serving().failure_code) == (SECOND_ADMIN, "")


def test_many_refusals_are_noted_once(
    sandbox: Sandbox, alpha: Portal, portal: models.Portal, caplog: pytest.LogCaptureFixture
) -> None:
    clients = [portal_client(portal) for _ in range(3)]
    dismiss(alpha)
    for one in clients:
        with pytest.raises(Exception, match="authorization_error"):
            one.read(PROFILE)
    noted = [record for record in caplog.records if "serves no longer" in record.message]
    assert len(noted) == 1
