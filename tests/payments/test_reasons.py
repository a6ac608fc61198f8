"""Each reason in the ledger has complete messages for the person."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.utils import translation

from payments import reasons
from payments.attempts.messages import after_trying, messages_of, why_not
from payments.attempts.outcome_messages import AFTER_SENDING
from payments.attempts.reason_messages import _NOTHING_DONE, BEFORE_SENDING
from payments.models import Attempt, Kind, State

CODES = [
    value
    for name, value in vars(reasons).items()
    if name.isupper() and isinstance(value, str) and value.islower()
]


def test_every_code_has_its_sentence_and_fits_its_column() -> None:
    assert len(CODES) > 15
    assert set(CODES) - {*BEFORE_SENDING, *AFTER_SENDING} == {reasons.REFUSED_BY_BITRIX24}
    column = Attempt._meta.get_field("reason")
    assert all(len(code) <= (column.max_length or 0) for code in CODES)


@pytest.mark.parametrize("language", [code for code, _ in settings.LANGUAGES])
@pytest.mark.parametrize("code", sorted(BEFORE_SENDING))
def test_before_anyone_has_tried_nothing_is_claimed_about_money(code: str, language: str) -> None:
    with translation.override(language):
        before = str(why_not(code))
        for kind in Kind:
            after = str(after_trying(code, kind=kind))
            assert after
            assert after != before or kind == Kind.UNDO
        assert str(_NOTHING_DONE[Kind.PAY]) not in before
        if language == "en":
            assert "Nothing was" not in before


@pytest.mark.parametrize("kind", Kind)
def test_after_trying_the_person_reads_what_became_of_it(kind: Kind) -> None:
    words = {Kind.PAY: "Nothing was paid", Kind.MARK: "marked", Kind.UNDO: "Nothing was undone"}
    for code in (reasons.READ_FAILED, reasons.SUM_CHANGED, reasons.NOT_READABLE):
        assert words[kind] in str(after_trying(code, kind=kind))


@pytest.mark.parametrize("code", sorted(AFTER_SENDING))
def test_what_is_known_only_after_trying_is_never_told_before(code: str) -> None:
    with pytest.raises(KeyError):
        why_not(code)


def test_a_plain_success_needs_no_sentence() -> None:
    assert messages_of(Attempt(state=State.PAID)) == []


def test_what_bitrix24_refused_is_told_by_its_code() -> None:
    error = {"code": "OPERATION_TIME_LIMIT", "description": "", "status": 429}
    attempt = Attempt(
        state=State.REFUSED, reason=reasons.REFUSED_BY_BITRIX24, evidence={"error": error}
    )
    (sentence,) = messages_of(attempt)
    assert "ten minutes" in str(sentence)


def test_an_unknown_code_is_shown() -> None:
    error = {"code": "SOMETHING_NEW", "description": "Etwas Neues", "status": 400}
    attempt = Attempt(
        state=State.REFUSED, reason=reasons.REFUSED_BY_BITRIX24, evidence={"error": error}
    )
    (sentence,) = messages_of(attempt)
    assert "SOMETHING_NEW" in str(sentence)
    assert "Etwas Neues" not in str(sentence)


def test_a_changed_pay_system_is_told_beside_the_reason_only_where_nothing_was_paid() -> None:
    refused = Attempt(
        state=State.REFUSED, reason=reasons.TRUE_WITHOUT_PAYMENT, evidence={"rebound": True}
    )
    assert messages_of(refused) == [after_trying(refused.reason, kind=Kind.PAY), reasons.REBOUND]
    paid = Attempt(state=State.PAID, evidence={"rebound": True})
    assert messages_of(paid) == []
