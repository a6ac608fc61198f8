"""Each reason in the ledger has whole sentences for the person."""

from __future__ import annotations

from payments import reasons
from payments.models import Attempt, State

CODES = [
    value
    for name, value in vars(reasons).items()
    if name.isupper() and isinstance(value, str) and value.islower()
]


def test_every_code_has_its_sentence_and_fits_its_column() -> None:
    assert len(CODES) > 15
    assert set(CODES) - set(reasons.SENTENCES) == {reasons.REFUSED_BY_BITRIX24}
    column = Attempt._meta.get_field("reason")
    assert all(len(code) <= (column.max_length or 0) for code in CODES)


def test_a_plain_success_needs_no_sentence() -> None:
    assert Attempt(state=State.PAID).sentences == []


def test_what_bitrix24_refused_is_told_by_its_code() -> None:
    error = {"code": "OPERATION_TIME_LIMIT", "description": "", "status": 429}
    attempt = Attempt(
        state=State.REFUSED, reason=reasons.REFUSED_BY_BITRIX24, evidence={"error": error}
    )
    (sentence,) = attempt.sentences
    assert "ten minutes" in str(sentence)


def test_a_code_nobody_knows_is_shown() -> None:
    error = {"code": "SOMETHING_NEW", "description": "Etwas Neues", "status": 400}
    attempt = Attempt(
        state=State.REFUSED, reason=reasons.REFUSED_BY_BITRIX24, evidence={"error": error}
    )
    (sentence,) = attempt.sentences
    assert "SOMETHING_NEW" in str(sentence)
    assert "Etwas Neues" not in str(sentence)


def test_a_changed_pay_system_is_told_beside_the_reason_only_where_nothing_was_paid() -> None:
    refused = Attempt(
        state=State.REFUSED, reason=reasons.TRUE_WITHOUT_PAYMENT, evidence={"rebound": True}
    )
    assert refused.sentences == [reasons.SENTENCES[refused.reason], reasons.REBOUND]
    paid = Attempt(state=State.PAID, evidence={"rebound": True})
    assert paid.sentences == []
