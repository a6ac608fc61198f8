"""Runs the main scenario over real HTTP, without a browser: install, open, pay, read back.

Exits with 0 only if the portal has the payment as paid, once, by the manager.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

from sandbox.api.faults import PLAIN_KINDS, Fault, Kind
from sandbox.host.panel import PAY_METHOD
from sandbox.tools import elements
from sandbox.tools.app_process import AppFailed
from sandbox.tools.demo import Stage, on_stage
from sandbox.tools.elements import Element
from sandbox.tools.visitor import TIMEOUT_SECONDS, AppPage, Unexpected, Visitor
from sandbox.world import seed

APPLICATION = "Pay for Bitrix24"
_ANY_PORT = 0
_REFUSALS = range(400, 500)

Found = TypeVar("Found")


@dataclass(frozen=True)
class Scenario:
    """The scenario; everything it reports comes from responses of a portal or the app."""

    portal_url: str
    oauth_url: str
    say: Callable[[str], None]
    member_id: str = seed.ALPHA
    app_certificates: bool | str = True

    def run(self) -> None:
        """Runs all steps. Raises Unexpected at the first failure."""
        self.install()
        self.open_main_page()
        self.pay()
        self.read_back()
        self.refuse_reader()

    def install(self) -> None:
        admin = self._visitor(seed.ADMIN)
        market = admin.page("/marketplace/")
        button = _found(
            next((b for b in market.all("button") if b.text == f"Install {APPLICATION}"), None),
            "the administrator finds the application to install",
        )
        page = admin.submit("/marketplace/install/", {"client_id": button.attributes["value"]})
        installer = admin.open_frame(page)
        target = _found(
            installer.tree.having("data-finish-url"), "the installer says where to set up"
        )
        set_up = installer.post(target.attributes["data-finish-url"], {})
        _expect(set_up.ok, f"the installation succeeds, not {set_up.status_code} {set_up.text}")
        reply = admin.ask(f"/_host/layout/{installer.sid}/installed", {"value": "Y"})
        _expect(reply == {"result": True}, "the portal takes the end of the installation")
        bound = admin.rest("placement.get", installer.auth)["result"]
        places = ", ".join(sorted(row["placement"] for row in bound))
        self.say(f"Installed. Places in the CRM: {places}")

    def open_main_page(self) -> None:
        manager = self._visitor(seed.MANAGER)
        links = manager.page("/crm/deal/").all("a")
        link = _found(
            next((link for link in links if link.text == APPLICATION), None),
            "the application is in the manager's menu",
        )
        page = manager.open_frame(manager.page(link.attributes["href"]))
        _expect(page.broken_assets() == [], f"these files load: {page.broken_assets()}")
        rows = page.payment_rows()
        _expect(seed.PAYMENT in rows, "the application's own page lists the payment")
        self.say(f"The application's own page lists {len(rows)} payments to the manager.")

    def pay(self) -> None:
        tab = self._open_tab(self._visitor(seed.MANAGER), seed.DEAL)
        row = _found(tab.payment_rows().get(seed.PAYMENT), "the deal's tab lists its payment")
        self.say(f"The tab of deal {seed.DEAL} shows: {row.text}")
        button = _found(_pay_button(row), "the manager may press Pay")
        asked = elements.read(tab.post(button.attributes["hx-post"], row.fields).text)
        form = _found(asked.first("form"), f"the app asks before it pays, not {asked.text}")
        self.say(f"The app asks: {form.text}")
        reply = elements.read(tab.post(form.attributes["hx-post"], form.fields).text)
        self.say(f"Pay was pressed. The app says: {reply.text}")
        _expect(reply.first("td", data_state="paid") is not None, "the app says Paid")
        again = elements.read(tab.post(form.attributes["hx-post"], form.fields).text)
        self.say(f"It was pressed once more. The app says: {again.text}")

    def read_back(self) -> None:
        """Reads the payment as the administrator, by the portal's REST, without the app."""
        admin = self._visitor(seed.ADMIN)
        auth = self._open_tab(admin, seed.DEAL).auth
        payment = admin.rest("sale.payment.get", auth, id=seed.PAYMENT)["result"]["payment"]
        times = self._record(seed.PAYMENT)["times_paid"]
        self.say(
            f"The portal says: payment {payment['accountNumber']}, paid {payment['paid']}, "
            f"by user {payment['empPaidId']}, on {payment['datePaid']}, carried out {times} time(s)"
        )
        _expect(payment["paid"] == "Y", "the portal says that the payment is paid")
        _expect(payment["empPaidId"] == seed.MANAGER, "the portal says that the manager paid it")
        _expect(times == 1, "the portal has carried out exactly one payment")

    def refuse_reader(self) -> None:
        unpaid = seed.SEVERAL_PAYMENTS[0]
        seen = self._open_tab(self._visitor(seed.MANAGER), seed.SEVERAL_DEAL).payment_rows()
        tab = self._open_tab(self._visitor(seed.READER), seed.SEVERAL_DEAL)
        rows = tab.payment_rows()
        _expect(unpaid in rows, "the person without the right sees the payments")
        _expect(
            not any(_pay_button(row) for row in rows.values()),
            "the person without the right has no Pay to press",
        )
        _expect("permission" in tab.tree.text, "the app says that a permission is missing")
        forced = tab.post("/payments/pay/", seen[unpaid].fields)
        self.say(
            f"A request without the right, forced: {forced.status_code}, "
            f"{elements.read(forced.text).text}"
        )
        _expect(forced.status_code in _REFUSALS, "a forced request is refused")
        record = self._record(unpaid)
        self.say(f"The portal says: paid {record['paid']}, {record['times_paid']} times")
        _expect(not record["paid"] and not record["times_paid"], "the portal has not paid it")

    def _visitor(self, user_id: int) -> Visitor:
        visitor = Visitor(self.portal_url, self.app_certificates)
        visitor.sign_in(user_id)
        return visitor

    def _open_tab(self, visitor: Visitor, deal_id: int) -> AppPage:
        """Opens the app's tab by its link in the card, as a person does."""
        card = visitor.page(f"/crm/deal/details/{deal_id}/")
        links = [
            link.attributes["href"] for link in card.all("a") if "?tab=" in link.attributes["href"]
        ]
        _expect(len(links) == 1, f"the card of deal {deal_id} has one tab of the app")
        return visitor.open_frame(visitor.page(links[0]))

    def _record(self, payment_id: int) -> Any:
        """Returns the sandbox's own record of a payment; it counts how often it was paid."""
        answer = requests.get(
            f"{self.oauth_url}/_sandbox/payment",
            params={"portal": self.member_id, "id": str(payment_id)},
            timeout=TIMEOUT_SECONDS,
        )
        return answer.json()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.tools.smoke", description=__doc__)
    parser.add_argument(
        "--fault",
        choices=[str(kind) for kind in PLAIN_KINDS if kind is not Kind.HOLD],
        help="make the payment fail, so that the run fails",
    )
    fault = parser.parse_args().fault
    try:
        with on_stage(
            port=_ANY_PORT, portal_ports=(_ANY_PORT, _ANY_PORT), app_port=_ANY_PORT, say=_say
        ) as stage:
            if fault:
                stage.sandbox.faults.add(Fault(fault, PAY_METHOD))
            _run_scenario(stage)
    except (AppFailed, Unexpected, requests.RequestException) as error:
        _say(f"FAILED: {error}")
        return 1
    _say("PASSED: paid once, by the manager only.")
    return 0


def _run_scenario(stage: Stage) -> None:
    try:
        Scenario(stage.portal_urls[0], stage.oauth_url, _say).run()
    except Exception:
        if stage.app is not None:
            _say(f"The app's log ends:\n{stage.app.tail()}")
        raise


def _pay_button(row: Element) -> Element | None:
    return next((button for button in row.buttons if button.text == "Pay"), None)


def _found(value: Found | None, sentence: str) -> Found:
    if value is None:
        raise Unexpected(f"expected that {sentence}")
    return value


def _expect(holds: bool, sentence: str) -> None:
    if not holds:
        raise Unexpected(f"expected that {sentence}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
