"""Starts two portals and an OAuth server on ports; with --app, the app as well."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from types import FrameType

from sandbox.api.faults import PLAIN_KINDS, Fault, Kind
from sandbox.host.panel import PAY_METHOD
from sandbox.tools.app_process import AppFailed
from sandbox.tools.demo import APP_PORT, Stage, on_stage
from sandbox.world import seed

POLL_SECONDS = 0.5  # how soon the portals stop after the app has ended


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    try:
        with on_stage(
            port=options.port,
            portal_ports=options.portals,
            app_port=options.app,
            payments=options.payments,
            say=print,
        ) as stage:
            for kind in options.fault:
                stage.sandbox.faults.add(Fault(kind, PAY_METHOD))
            _print_instructions(stage)
            return _wait(stage)
    except AppFailed as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
        return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8100, help="port of the OAuth server")
    parser.add_argument(
        "--portals", type=_two_ports, default=(8101, 8102), help="ports of the two portals"
    )
    parser.add_argument(
        "--app", type=int, nargs="?", const=APP_PORT, help="start the app too, on this port"
    )
    parser.add_argument("--payments", type=int, default=0, help="extra payments on each portal")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        choices=[str(kind) for kind in PLAIN_KINDS if kind is not Kind.HOLD],
        help="make the next payment fail in this way; may be repeated",
    )
    return parser.parse_args()


def _two_ports(text: str) -> tuple[int, int]:
    first, second = text.split(",")
    return int(first), int(second)


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _print_instructions(stage: Stage) -> None:
    alpha = stage.alpha
    application = stage.sandbox.world.applications[seed.OUR_CLIENT_ID]
    admin, manager, reader = (
        alpha.users[number].name for number in (seed.ADMIN, seed.MANAGER, seed.READER)
    )
    deal = next(item for item in alpha.items.values() if item.id == seed.DEAL)
    print(f"\nOpen  {stage.portal_urls[0]}/\n")
    print(f"  1. Sign in as {admin}: in Marketplace, install {application.title}.")
    print(f"  2. Sign in as {manager}: open the deal {deal.title!r}, the app's tab, press Pay.")
    print(f"  3. Sign in as {reader}: the same deal, without the right to pay.")
    print("  The yellow panel at the bottom makes the next payment fail.\n")
    print(f"A second portal is at {stage.portal_urls[1]}/, the OAuth server at {stage.oauth_url}.")
    if stage.app is None:
        print(f"The app is expected at {stage.app_url}; --app starts it.")
    else:
        print(f"The app is at {stage.app_url}, its log in {stage.app.log}.")
    print("Ctrl-C stops everything.", flush=True)


def _wait(stage: Stage) -> int:
    """Waits for an interrupt, or for the app to end; returns the exit status."""
    while stage.app is None or not stage.app.has_ended:
        time.sleep(POLL_SECONDS)
    print(f"The app has ended.\n{stage.app.tail()}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
