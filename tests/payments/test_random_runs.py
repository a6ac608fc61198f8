"""Runs that go wrong at random, the same ones each time: money never lies.

`make test` makes the first quarter of them, `make soak` all thousand. Numbers of all runs: `pytest
tests/payments/test_random_runs.py -rP | python -m tests.payments.random_numbers`. One run alone:
`RANDOM_RUN=<its number> pytest …`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from payments.ledger.verify import verify
from tests.payments.killing import Processes, app_processes, attempts_on, scene
from tests.payments.random_numbers import shown
from tests.payments.random_run import Run, draw
from tests.soak import SOAK

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.processes,
    pytest.mark.timeout(300),
]

FIRST = 20260101
CHUNKS, MOST_IN_A_CHUNK = 10, 100
RUNS_A_CHUNK = MOST_IN_A_CHUNK if SOAK else MOST_IN_A_CHUNK // 4
ONE = os.environ.get("RANDOM_RUN")


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with app_processes() as started:
        yield started


def chunks() -> list[list[int]]:
    if ONE is not None:
        return [[int(ONE)]]
    return [
        [FIRST + chunk * MOST_IN_A_CHUNK + place for place in range(RUNS_A_CHUNK)]
        for chunk in range(CHUNKS)
    ]


@pytest.mark.parametrize("numbers", chunks(), ids=lambda numbers: f"from {numbers[0]}")
def test_no_run_pays_twice_or_lies(processes: Processes, numbers: list[int]) -> None:
    counted: Counter[str] = Counter()
    with scene(processes) as built:
        for number in numbers:
            run = Run(built, draw(number), counted)
            try:
                run.carry_out()
            except AssertionError as error:
                raise AssertionError(
                    f"RANDOM_RUN={number}: {error}\n{run.plan}\n{run.due}\n"
                    + "\n".join(str(vars(attempt)) for attempt in attempts_on(run.due))
                ) from error
        findings: list[str] = []
        report = verify(built.row, tell=findings.append)
        assert not findings
        counted["entries verified"] += report.count
        logged = processes.logged()
        for token in built.sandbox.world.tokens.values():
            assert token.access not in logged
            assert token.refresh not in logged
    print(shown(counted))  # noqa: T201
