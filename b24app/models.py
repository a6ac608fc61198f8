"""What we keep of a portal: where it answers, our standing in it, and its people's tokens."""

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
    """Text that is ciphertext in the database only; it cannot be searched for."""

    def from_db_value(
        self, value: str | None, expression: object, connection: BaseDatabaseWrapper
    ) -> str | None:
        return encryption.decrypt(value) if value else value

    def get_prep_value(self, value: Any) -> Any:
        text = super().get_prep_value(value)
        return encryption.encrypt(text) if text else text

    def get_lookup(self, lookup_name: str) -> None:
        # The same text never encrypts to the same value twice: a filter would find nothing.
        return None


# A portal can drop bindings without a word; a day is what one of its tabs may be missing for.
CHECK_BINDINGS_AFTER = timedelta(days=1)


class Portal(models.Model):
    """One Bitrix24 that this app was installed in."""

    # The one name of a portal that never changes: it survives renaming and moving.
    member_id = models.CharField(max_length=64, unique=True)
    # "https://host/rest/", as the OAuth server gave it; never as a request to us claimed.
    client_endpoint = models.CharField(max_length=255)
    domain = models.CharField(max_length=255)
    # What the portal's own `app.info` calls ID and CODE: kept at installation, then compared at
    # every opening.
    app_id = models.PositiveBigIntegerField(null=True, blank=True)
    app_code = models.CharField(max_length=255, blank=True)
    # Comma-separated, as Bitrix24 writes it.
    scope = models.CharField(max_length=1000, blank=True)
    # The only proof of an event; empty for portals too old to send one.
    application_token = EncryptedField(blank=True)
    status = models.CharField(max_length=1, blank=True)
    language = models.CharField(max_length=16, blank=True)
    installed_at = models.DateTimeField(null=True, blank=True)
    uninstalled_at = models.DateTimeField(null=True, blank=True)
    # Raised to end every frame session of this portal at once.
    session_generation = models.PositiveIntegerField(default=0)
    # Raised where what is cached of the portal is no longer so: the keys have this number in them,
    # so that every process asks anew.
    cache_generation = models.PositiveIntegerField(default=0)
    # Until then the questions that unproved events may cause are all given away; see vouching.py.
    next_question_at = models.DateTimeField(null=True, blank=True)
    # When the tabs and events were last found bound; empty when the portal may have dropped some.
    bindings_checked_at = models.DateTimeField(null=True, blank=True)
    # The zone of all times that people read: the administrator's choice, else what was found.
    # Names as `zones.find` takes them; empty where nothing was chosen or is known.
    time_zone = models.CharField(max_length=64, blank=True)
    time_zone_found = models.CharField(max_length=64, blank=True)
    # What the portal's answers showed last, in minutes east of UTC.
    utc_offset = models.SmallIntegerField(null=True, blank=True)

    def __str__(self) -> str:
        return self.domain

    @property
    def scopes(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.scope.split(",") if part.strip())

    @property
    def zone(self) -> tzinfo:
        """The administrator's choice, else what was found, else UTC."""
        return zones.find(self.time_zone) or zones.find(self.time_zone_found) or UTC

    @property
    def bindings_are_due(self) -> bool:
        """Whether somebody who may should look if our tabs and events are still bound."""
        checked_at = self.bindings_checked_at
        return checked_at is None or checked_at < timezone.now() - CHECK_BINDINGS_AFTER


class FailedProof(models.Model):
    """When a posted opening of this portal last failed its proof; see `failed_proofs.py`."""

    portal = models.OneToOneField(
        Portal, on_delete=models.CASCADE, primary_key=True, related_name="failed_proof"
    )
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"portal {self.portal_id}"


class QuestionPace(models.Model):
    """How fast one network may have the OAuth server asked about posted tokens."""

    # A keyed digest of the portal and the network: no address is kept.
    key = models.CharField(max_length=64, primary_key=True)
    # The moment at which all questions so far would be asked if they were evenly spaced.
    free_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class UserToken(models.Model):
    """A pair of OAuth tokens: a person's own, or the installer's that serves the whole portal.

    The installer may have both: they are separate chains, and each is renewed on its own.
    """

    portal = models.ForeignKey(Portal, on_delete=models.CASCADE, related_name="tokens")
    user_id = models.PositiveBigIntegerField()
    serves_portal = models.BooleanField(default=False)
    access = EncryptedField()
    refresh = EncryptedField()
    expires_at = models.DateTimeField()
    # When the refresh token was issued: it lives 180 days from then.
    refreshed_at = models.DateTimeField(default=timezone.now)
    # Bitrix24's code if this pair no longer does its work: the OAuth server does not renew it, or
    # the portal does not let its person do what the pair is kept for. See `broken.py`.
    broken_code = models.CharField(max_length=64, blank=True)
    broken_at = models.DateTimeField(null=True, blank=True)

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
            # Which portals have been idle for long, among many that have not.
            models.Index(
                fields=["refreshed_at", "id"],
                condition=models.Q(serves_portal=True),
                name="serving_pairs_by_age",
            ),
        ]

    def __str__(self) -> str:
        return f"user {self.user_id}"


class EventReceipt(models.Model):
    """An event that arrived: so that a second delivery does nothing, and to be worked later.

    Of a proved event neither the application_token nor an access token is kept.
    """

    portal = models.ForeignKey(Portal, on_delete=models.CASCADE, related_name="receipts")
    event = models.CharField(max_length=100)
    fingerprint = models.CharField(max_length=64, unique=True)
    received_at = models.DateTimeField(default=timezone.now)
    handled_at = models.DateTimeField(null=True, blank=True)
    # What it is about, by the portal's own names: {"ID": 7}.
    ids = models.JSONField(default=dict, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # Nobody takes it up before; empty once there is nothing left to do.
    next_try_at = models.DateTimeField(null=True, blank=True)
    # What stopped the last try; with nothing left to do and never handled, why it was given up.
    failure = models.CharField(max_length=64, blank=True)
    # An event whose application_token is not the stored one waits for the question about it, with
    # its tokens as JSON; the answer empties them.
    is_proved = models.BooleanField(default=True)
    proof = EncryptedField(blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=models.Q(next_try_at__isnull=False),
                name="events_waiting",
            ),
            models.Index(fields=["portal", "received_at"], name="events_of_a_portal"),
        ]

    def __str__(self) -> str:
        return self.event


class RemovalClaim(models.Model):
    """A posted event says that the app was removed from the portal; Bitrix24 is asked about it.

    Whoever opens the app can post such an event. One row a portal, so that repeated claims do not
    multiply the questions.
    """

    class State(models.TextChoices):
        OPEN = "open", "being asked about"
        REFUSED = "refused", "not true"
        REMOVED = "removed", "true; the data wait to be erased"

    portal = models.OneToOneField(Portal, on_delete=models.CASCADE, related_name="removal_claim")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    # Whether the portal's administrator asked for the app's data to be deleted, says the event.
    with_data = models.BooleanField(default=False)
    claimed_at = models.DateTimeField(default=timezone.now)
    # When this round of questions begins; the delays between them count from here.
    asked_from = models.DateTimeField(default=timezone.now)
    asks = models.PositiveSmallIntegerField(default=0)
    asked_at = models.DateTimeField(null=True, blank=True)
    # No worker asks before; empty once the claim is decided.
    next_ask_at = models.DateTimeField(null=True, blank=True)
    # The event came again during this round, so another round follows it.
    heard_again = models.BooleanField(default=False)
    # The last answers: values of PortalSays and ServerSays in removal_evidence.py.
    portal_said = models.CharField(max_length=20, blank=True)
    server_said = models.CharField(max_length=20, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)
    # The end of the grace time, in which an installation or an opening takes everything up again.
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


class RestCall(models.Model):
    """One call of ours and its answer, masked, kept for a few days to find out what happened."""

    portal = models.ForeignKey(
        Portal, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField(db_index=True)
    host = models.CharField(max_length=255)
    method = models.CharField(max_length=100)
    # The methods in a batch, parted by commas.
    commands = models.TextField(blank=True)
    # Whose request led to the call.
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
