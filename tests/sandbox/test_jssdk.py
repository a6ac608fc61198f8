"""Runs the official JavaScript SDK, unchanged, in Node.js against the sandbox on a port.

tests/browser/test_jssdk.py runs it inside a portal's frame.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from sandbox.world import seed
from sandbox.world.world import Token
from tests.sandbox import jssdk_package
from tests.sandbox.jssdk_package import MINUTE, SOURCE
from tests.sandbox.wire import Wire, over_ports

Outcomes = list[dict[str, Any]]


@pytest.fixture(scope="module")
def package() -> Path:
    return jssdk_package.installed()


@pytest.fixture
def wire() -> Iterator[Wire]:
    with over_ports() as wire:
        yield wire


def run(
    package: Path, wire: Wire, token: Token, *steps: Sequence[Any]
) -> tuple[Outcomes, list[Any]]:
    """Runs the steps of the driver as the token's user; returns their outcomes, and the pairs of
    tokens that the SDK got by renewing."""
    rest = f"{wire.alpha.url}/rest/"
    auth = {
        "applicationToken": wire.alpha.installations[seed.OUR_CLIENT_ID].application_token,
        "userId": token.user_id,
        "memberId": token.member_id,
        "accessToken": token.access,
        "refreshToken": token.refresh,
        "expires": int(token.expires),
        "expiresIn": 3600,
        "scope": ",".join(seed.OUR_SCOPES),
        "domain": urlsplit(wire.alpha.url).netloc,
        "clientEndpoint": rest,  # with a slash at the end, as documented
        "serverEndpoint": f"{wire.sandbox.world.oauth_url}/rest/",
        "status": "L",
    }
    secret = {"clientId": seed.OUR_CLIENT_ID, "clientSecret": seed.OUR_SECRET}
    done = subprocess.run(
        ["node", "drive.mjs"],
        cwd=package,
        input=json.dumps({"auth": auth, "secret": secret, "steps": steps}),
        capture_output=True,
        text=True,
        timeout=MINUTE,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return told["outcomes"], told["renewed"]


def test_it_reads_calls_and_batches(package: Path, wire: Wire) -> None:
    token = wire.token(seed.MANAGER)
    steps: list[Sequence[Any]] = [
        ["call", "profile", {}],
        ["call", "sale.payment.get", {"id": seed.PAYMENT}],
        ["batch", {"who": ["profile"], "wrong": ["sale.payment.get", {"id": 1}]}],
        ["batch", [["profile"], ["sale.payment.get", {"id": seed.PAYMENT}]]],
        ["isAdmin"],
    ]
    outcomes, renewed = run(package, wire, token, *steps)
    profile, payment, named, listed, is_admin = (outcome["ok"] for outcome in outcomes)
    assert profile["ID"] == str(seed.MANAGER)
    assert (payment["payment"]["id"], payment["payment"]["paid"]) == (seed.PAYMENT, "N")
    assert named["data"]["who"]["ID"] == str(seed.MANAGER)
    assert named["errors"] == [["wrong", "200640400001", "payment is not exists"]]
    assert listed[1]["payment"]["sum"] == payment["payment"]["sum"]
    assert is_admin is False
    assert renewed == []
    assert {call.token_in for call in wire.sandbox.log} == {("body",)}


def test_it_keeps_the_code_of_an_error_that_is_text_made_of_digits(
    package: Path, wire: Wire
) -> None:
    """It reads texts only: of an older build, which sends a number, it keeps no code."""
    step = ["call", "sale.payment.get", {"id": 1}]
    [[found], _] = run(package, wire, wire.token(seed.MANAGER), step)
    assert (found["code"], found["status"]) == ("200640400001", 400)
    wire.alpha.older_build = True
    [[before], _] = run(package, wire, wire.token(seed.MANAGER), step)
    assert before["code"] == "ERR_BAD_REQUEST"


def test_it_recognises_refusals_of_both_versions(package: Path, wire: Wire) -> None:
    steps = [
        ["call", "no.such.method", {}],
        ["call", "bizproc.robot.list", {}],
        ["callV3", "profile", {}],
    ]
    outcomes, _ = run(package, wire, wire.token(seed.READER), *steps)
    assert [outcome.get("code") for outcome in outcomes[:2]] == [
        "ERROR_METHOD_NOT_FOUND", "insufficient_scope",
    ]  # fmt: skip
    [[_, code, text]] = outcomes[2]["ok"]["errors"]
    assert code == "BITRIX_REST_V3_EXCEPTION_METHODNOTFOUNDEXCEPTION"
    assert "profile" in text


def test_it_reads_every_page_of_a_list(package: Path, wire: Wire) -> None:
    seed.fill(wire.alpha, 120)
    options = {
        "method": "sale.payment.list",
        "params": {"select": ["id"]},
        "idKey": "id",
        "customKeyForResult": "payments",
    }
    [[found], _] = run(package, wire, wire.token(seed.MANAGER), ["list", options])
    assert [row["id"] for row in found["ok"]] == sorted(wire.alpha.payments)


@pytest.mark.parametrize("knows", [False, True])
def test_it_renews_an_expired_token_once(package: Path, wire: Wire, knows: bool) -> None:
    """By the portal's refusal, or before it calls if it knows the hour of the end."""
    token = wire.token(seed.MANAGER)
    wire.sandbox.world.advance(3601)
    if knows:
        token.expires = 0
    steps = [["call", "profile", {}]] * 2
    outcomes, [pair] = run(package, wire, token, *steps)
    assert [outcome["ok"]["ID"] for outcome in outcomes] == [str(seed.MANAGER)] * 2
    assert pair["accessToken"] in wire.sandbox.world.tokens
    assert pair["clientEndpoint"] == f"{wire.alpha.url}/rest/"
    refused = [] if knows else [("profile", "expired_token")]
    assert [(call.method, call.error) for call in wire.sandbox.log] == [
        *refused, ("oauth.token", None), ("profile", None), ("profile", None),
    ]  # fmt: skip


def test_it_tells_why_a_token_cannot_be_renewed(package: Path, wire: Wire) -> None:
    """By the text: it keeps no code of the OAuth server's refusals."""
    token = wire.token(seed.MANAGER)
    token.expires, token.refresh_spent = 0, True
    [[found], renewed] = run(package, wire, token, ["call", "profile", {}])
    assert ("Refresh token has expired" in found["message"], renewed) == (True, [])


def test_the_lock_file_names_hashes_and_no_address() -> None:
    text = (SOURCE / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    assert all(each["integrity"].startswith("sha512-") for name, each in packages.items() if name)
