"""The tables about portals: addresses, installations, tokens, events, removals and logged calls."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from b24app import encryption
from b24app.localization import zones

if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:  # Django's own class takes no type arguments.
    _Text = models.TextField


class EncryptedField(_Text):
    """Text that is encrypted in the database; it cannot be searched for."""

    def from_db_value(
        self, value: str | None, expression: object, connection: BaseDatabaseWrapper
    ) -> str | None:
        return encryption.decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encryption.encrypt(text) if text else text

    def get_lookup(self, lookup_name: str) -> None:
        # Encrypting the same text twice gives different values, so a filter would find nothing.
        return None


# A portal can drop bindings without telling the app; a tab may be missing for a day.
CHECK_BINDINGS_AFTER = timedelta(days=1)


class Portal(models.Model):
    """A Bitrix24 in which this app was installed."""

    # The portal's id at Bitrix24; it stays when the portal is renamed or moved.
    member_id = models.CharField(max_length=64, unique=True)
    # "https://host/rest/", as the OAuth server gave it; never taken from a request to the app.
    client_endpoint = models.CharField(max_length=255)
    domain = models.CharField(max_length=255)
    # ID and CODE in the portal's `app.info`: kept at installation, compared at every opening.
    app_id = models.PositiveBigIntegerField(null=True, blank=True)
    app_code = models.CharField(max_length=255, blank=True)
    # Comma-separated, as Bitrix24 writes it.
    scope = models.CharField(max_length=1000, blank=True)
    # Proves an event; empty for portals too old to send one.
    application_token = EncryptedField(blank=True)
    status = models.CharField(max_length=1, blank=True)
    language = models.CharField(max_length=16, blank=True)
    installed_at = models.DateTimeField(null=True, blank=True)
    uninstalled_at = models.DateTimeField(null=True, blank=True)
    # Raised to end every frame session of this portal at once.
    session_generation = models.PositiveIntegerField(default=0)
    # Raised when cached data of the portal are out of date: the cache keys contain this number, so
    # every process reads the data again.
    cache_generation = models.PositiveIntegerField(default=0)
    # The earliest free turn for a question about an unproved event; see removal/vouching.py.
    next_question_at = models.DateTimeField(null=True, blank=True)
    # When all tabs and events were last seen bound; empty if the portal may have dropped some.
    bindings_checked_at = models.DateTimeField(null=True, blank=True)
    # Names of time zones for `zones.find`: the administrator's choice, and the zone that the app
    # found. Empty if nothing was chosen or found.
    time_zone = models.CharField(max_length=64, blank=True)
    time_zone_found = models.CharField(max_length=64, blank=True)
    # The offset in the portal's last answers, in minutes east of UTC.
    utc_offset = models.SmallIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.domain

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.scope.split(",") if part.strip())

    @property
    def zone(self) -> tzinfo:
        """The zone of all times that people read: the chosen one, else the found one, else UTC."""
        return zones.find(self.time_zone) or zones.find(self.time_zone_found) or UTC

    @property
    def bindings_are_due(self) -> bool:
        """Whether an administrator's page should check that the tabs and events are still bound."""
        checked_at = self.bindings_checked_at
        return checked_at is None or checked_at < timezone.now() - CHECK_BINDINGS_AFTER


class FailedProof(models.Model):
    """When the proof of a posted opening of this portal last failed; see `failed_proofs.py`."""

    portal = models.OneToOneField(
        Portal, on_delete=models.CASCADE, primary_key=True, related_name="failed_proof"
    )
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"portal {self.portal_id}"


class QuestionPace(models.Model):
    """Limits how often one network causes questions to the OAuth server about posted tokens."""

    # A keyed digest of the portal and the network; the network's address is not stored.
    key = models.CharField(max_length=64, primary_key=True)
    # When the last question so far would be asked if all were evenly spaced.
    free_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class UserToken(models.Model):
    """A pair of OAuth tokens: a person's own, or an administrator's that serves the whole portal.

    The installer may have both. They are separate chains, and each is renewed by itself.
    """

    portal = models.ForeignKey(Portal, on_delete=models.CASCADE, related_name="tokens")
    user_id = models.PositiveBigIntegerField()
    serves_portal = models.BooleanField(default=False)
    access = EncryptedField()
    refresh = EncryptedField()
    expires_at = models.DateTimeField()
    # When the refresh token was issued; it lives 180 days.
    refreshed_at = models.DateTimeField(default=timezone.now)
    # Bitrix24's error code if this pair no longer works: the OAuth server does not renew it, or the
    # portal does not let its person do what the app needs. See `tokens/failures.py`.
    failure_code = models.CharField(max_length=64, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["portal"],
                condition=models.Q(serves_portal=True),
                name="one_serving_pair_a_portal",
            ),
            models.UniqueConstraint(
                fields=["portal", "user_id"],
                condition=models.Q(serves_portal=False),
                name="one_own_pair_a_person",
            ),
        ]
        indexes = [
            # Finds the few idle portals among many.
            models.Index(
                fields=["refreshed_at", "id"],
                condition=models.Q(serves_portal=True),
                name="serving_pairs_by_age",
            ),
        ]

    def __str__(self) -> str:
        return f"user {self.user_id}"


class EventReceipt(models.Model):
    """An event that arrived: a second delivery of it does nothing, and a worker handles it later.

    A proved event is kept without its application_token and access token.
    """

    portal = models.ForeignKey(Portal, on_delete=models.CASCADE, related_name="receipts")
    event = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64, unique=True)
    received_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True, blank=True)
    # The objects that the event is about, by the portal's names: {"ID": 7}.
    ids = models.JSONField(default=dict, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # No worker takes it before; empty after it was handled or given up.
    due_at = models.DateTimeField(null=True, blank=True)
    # The error that stopped the last try, or for which the event was given up.
    failure = models.CharField(max_length=64, blank=True)
    # An event whose application_token is not the stored one waits until Bitrix24 is asked about it.
    # `proof` holds its tokens as JSON until the answer.
    is_proved = models.BooleanField(default=True)
    proof = EncryptedField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="events_waiting",
            ),
            models.Index(fields=["portal", "received_at"], name="events_of_a_portal"),
        ]

    def __str__(self) -> str:
        return self.event


class RemovalClaim(models.Model):
    """A posted event claims that the app was removed from the portal; a worker asks Bitrix24.

    Each person who opens the app can post such an event. A portal has one row, so repeated events
    do not multiply the questions.
    """

    class State(models.TextChoices):
        OPEN = "open", "being checked"
        REFUSED = "refused", "not true"
        REMOVED = "removed", "true; the data will be erased"

    portal = models.OneToOneField(Portal, on_delete=models.CASCADE, related_name="removal_claim")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    # Whether, by the event, the portal's administrator asked to delete the app's data.
    with_data = models.BooleanField(default=False)
    claimed_at = models.DateTimeField(default=timezone.now)
    # When this round of questions begins; the delays between the questions count from then.
    asked_from = models.DateTimeField(default=timezone.now)
    asks = models.PositiveSmallIntegerField(default=0)
    asked_at = models.DateTimeField(null=True, blank=True)
    # No worker asks before; empty after the claim was decided.
    next_ask_at = models.DateTimeField(null=True, blank=True)
    # Whether the event came again during this round; then another round follows.
    heard_again = models.BooleanField(default=False)
    # The last answers: values of PortalSays and ServerSays in removal/evidence.py.
    portal_said = models.CharField(max_length=20, blank=True)
    server_said = models.CharField(max_length=20, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    # The end of the grace time, in which an installation or an opening restores the portal.
    erase_after = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_ask_at"],
                condition=models.Q(next_ask_at__isnull=False),
                name="removal_claims_to_ask",
            )
        ]

    def __str__(self) -> str:
        return f"removal of portal {self.portal_id}: {self.state}"


class JobRun(models.Model):
    """A background job: when it was last done, by any process; see `work/jobs.py`."""

    name = models.CharField(max_length=40, primary_key=True)
    # No worker starts it before; while one works, the end of its lease.
    due_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    # The class of the error that ended the last run; empty after a success.
    failure = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return self.name


class RestCall(models.Model):
    """A call to Bitrix24 and its answer, masked, kept for a few days to investigate problems."""

    portal = models.ForeignKey(
        Portal, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(db_index=True)
    host = models.CharField(max_length=255)
    method = models.CharField(max_length=100)
    # The methods in a batch, separated by commas.
    commands = models.TextField(blank=True)
    # The person whose request caused the call.
    user_id = models.PositiveBigIntegerField(null=True, blank=True)
    status = models.PositiveSmallIntegerField()  # 0 if no answer came
    code = models.CharField(max_length=100, blank=True)
    milliseconds = models.PositiveIntegerField()
    asked = models.JSONField()
    answered = models.JSONField()
    request_id = models.CharField(max_length=64, blank=True, db_index=True)

    class Meta:
        verbose_name = "REST call"

    def __str__(self) -> str:
        return f"{self.method} {self.status}"
