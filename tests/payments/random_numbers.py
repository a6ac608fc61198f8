"""Adds up what the random runs of a test printed: `python -m tests.payments.random_numbers`."""

from __future__ import annotations

import json
import sys
from collections import Counter

BEGINNING = "numbers of random runs: "


def shown(numbers: Counter[str]) -> str:
    return BEGINNING + json.dumps(dict(sorted(numbers.items())))


def main() -> None:
    total: Counter[str] = Counter()
    for line in sys.stdin:
        if line.startswith(BEGINNING):
            total.update(json.loads(line.removeprefix(BEGINNING)))
    for name, count in sorted(total.items()):
        sys.stdout.write(f"{count:7} {name}\n")


if __name__ == "__main__":
    main()
