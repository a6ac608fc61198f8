"""Builds the parts that every row needs: portals, network, certificates, load generator."""

from __future__ import annotations

import http.client
import json
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import trustme

from bench import load, network, portals
from bench.load import request_bytes
from bench.network import PING, address_of
from bench.processes import Part, part
from sandbox.world import seed

PORTALS = 50
MANAGER, ADMIN = seed.MANAGER, seed.ADMIN
QUERY = urlencode({"DOMAIN": "portal.example.com", "PROTOCOL": "1", "LANG": "en", "APP_SID": "b"})
TAB, MAIN = "CRM_DEAL_DETAIL_TAB", "DEFAULT"


@dataclass(frozen=True)
class Stage:
    folder: Path
    network: Part
    portals: Part
    load: Part
    far_port: int  # TLS, behind the delay
    near_port: int  # plain HTTP, at once
    quick: bool = False

    @property
    def authority(self) -> str:
        return str(self.folder / "authority.pem")

    def sqlite(self, name: str) -> str:
        return f"sqlite:///{self.folder / name}.sqlite3"

    def host(self, number: int) -> str:
        return f"{address_of(number)}:{self.far_port}"

    def opening(
        self, number: int = 1, *, placement: str = TAB, deal_id: int = seed.DEAL,
        user_id: int = seed.MANAGER,
    ) -> bytes:  # fmt: skip
        """Returns the body of an opening, with new tokens."""
        fields = {**self.portals.opening(number, user_id), "PLACEMENT": placement}
        if placement != MAIN:
            fields["PLACEMENT_OPTIONS"] = json.dumps({"ID": str(deal_id)})
        return urlencode(fields).encode()

    def openings(self, host: str, *, count: int = PORTALS, keep: bool = True) -> list[bytes]:
        """Returns whole requests that open the same tab on each portal."""
        return [
            request_bytes(f"/?{QUERY}", host, self.opening(number), keep=keep)
            for number in range(1, count + 1)
        ]

    def round_trip(self, *, times: int = 15) -> float:
        """Measures the median seconds of a round trip on a kept connection."""
        context = ssl.create_default_context(cafile=self.authority)
        connection = http.client.HTTPSConnection(
            address_of(1), self.far_port, timeout=10, context=context
        )
        taken = []
        for _ in range(times + 1):
            started = time.perf_counter()
            connection.request("GET", PING)
            connection.getresponse().read()
            taken.append(time.perf_counter() - started)
        connection.close()
        taken = sorted(taken[1:])
        return taken[len(taken) // 2]


@contextmanager
def built(*, quick: bool = False, count: int = PORTALS) -> Iterator[Stage]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        _certificates(folder, count)
        net = stack.enter_context(part(network.serve, count, str(folder)))
        far_port, near_port = net.ports()
        urls = [f"https://{address_of(number)}:{far_port}" for number in range(1, count + 1)]
        ends = stack.enter_context(
            part(portals.serve, urls, "http://127.0.0.1:9", "http://localhost:8000")
        )
        net.set_upstream("127.0.0.1", ends.port(), far_port)
        people = stack.enter_context(part(load.serve))
        yield Stage(folder, net, ends, people, far_port, near_port, quick)


def _certificates(folder: Path, count: int) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued = authority.issue_cert(*(address_of(number) for number in range(1, count + 1)))
    for blob in issued.cert_chain_pems:
        blob.write_to_path(folder / "certificate.pem", append=True)
    issued.private_key_pem.write_to_path(folder / "key.pem")
