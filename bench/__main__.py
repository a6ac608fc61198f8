"""Measures row by row, prints the table and writes bench/RESULTS.md."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable

from bench import report
from bench.rows import browser, bulk, connections, crowd, growth, neighbour, own_cost, round_trips
from bench.stage import Stage, built

ROWS: dict[int, Callable[[Stage], report.Row]] = {
    1: round_trips.measure,
    2: connections.measure,
    3: own_cost.measure,
    4: crowd.measure,
    5: growth.measure,
    6: browser.measure,
    7: bulk.measure,
    8: neighbour.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", default="", help="only these rows, by number: 1,3")
    parser.add_argument("--quick", action="store_true", help="check only that the bench runs")
    asked = parser.parse_args()
    numbers = [int(number) for number in asked.rows.split(",") if number] or list(ROWS)
    # Exit normally on SIGTERM, so that the database server is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.monotonic()
    rows, failed = [], False
    with built(quick=asked.quick) as stage:
        for number in numbers:
            started = time.monotonic()
            try:
                row = ROWS[number](stage)
            except Exception as error:  # noqa: BLE001 - the other rows are still measured
                failed = True
                row = report.Row(number, "not measured")
                row.notes.append(f"{type(error).__name__}: {error}")
            row.seconds = time.monotonic() - started
            rows.append(row)
            print(report.text(row), flush=True)
    took = time.monotonic() - begun
    print(f"{took / 60:.1f} minutes on {report.machine()}, commit {report.commit()}")
    if not asked.rows and not asked.quick:
        report.RESULTS.write_text(report.markdown(rows, took=took), encoding="utf-8")
        print(f"Written to {report.RESULTS.relative_to(report.ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
