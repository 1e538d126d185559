"""Signed requests: RFC 9421 in one profile, each good once and for a minute."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from structlog.testing import capture_logs

from docs.generate import FOLDER
from swapd.api import keys, signing
from swapd.api.app import ROUTERS
from swapd.store import KeyRole
from tests.api import trial
from tests.api.conftest import Api, Opening, problem

LABEL = b"swapd request signing v1"


@pytest.fixture
def routers() -> tuple[APIRouter, ...]:
    return (*ROUTERS, trial.router)


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    return variables | {"SWAPD__API__LIMITS__WRONG_KEYS": "1000"}


class Signer:
    """A client, written from the documentation and not from swapd's code."""

    def __init__(self, api: Api, key_id: str, token: str) -> None:
        self.api, self.key_id = api, key_id
        self.key = hmac.new(token.rpartition("_")[2].encode(), LABEL, hashlib.sha256).digest()

    def headers(self, method: str, path: str, body: bytes = b"", **changes: Any) -> dict[str, str]:
        path, _, query = path.partition("?")
        digest = "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"
        created = changes.get("created", self.api.clock())
        nonce = changes.get("nonce", secrets.token_urlsafe(16))
        parameters = (
            '("@method" "@path" "@query" "content-digest")'
            f';keyid="{changes.get("keyid", self.key_id)}";alg="hmac-sha256";nonce="{nonce}";created={created}'
        )
        base = (
            f'"@method": {method}\n"@path": {path}\n"@query": ?{query}\n'
            f'"content-digest": {digest}\n"@signature-params": {parameters}'
        )
        made = base64.b64encode(hmac.new(self.key, base.encode(), hashlib.sha256).digest()).decode()
        return {"Content-Digest": digest, "Signature-Input": f"me={parameters}", "Signature": f"me=:{made}:"}

    async def get(self, path: str, **changes: Any) -> httpx.Response:
        return await self.api.get(path, headers=self.headers("GET", path, **changes))


@pytest.fixture
async def signer(api: Api) -> Signer:
    row, token = await api.issue("signer", signed=True)
    return Signer(api, row.id, token)


async def test_a_signed_request_is_its_holders(signer: Signer) -> None:
    answer = await signer.get("/v1/me")
    assert answer.json()["name"] == "signer"
    assert (await signer.get("/v1/trial/numbers?limit=2&even=true")).json()["items"] == [0, 1]


async def test_a_body_is_covered(signer: Signer) -> None:
    body = b'{"amount":"5"}'
    more = {"Content-Type": "application/json", "Idempotency-Key": "a"}
    path = "/v1/trial/deposits"
    other = signer.headers("POST", path, body) | more
    problem(await signer.api.post(path, headers=other, content=b'{"amount":"6"}'), 401, "unauthorized")
    good = signer.headers("POST", path, body) | more
    assert (await signer.api.post(path, headers=good, content=body)).status_code == 201


async def test_a_key_that_signs_is_not_taken_as_a_bearer(api: Api) -> None:
    _, token = await api.issue("signer", signed=True)
    assert "signs" in problem(await api.get("/v1/me", token), 401, "unauthorized")["detail"]


async def test_a_key_that_need_not_sign_may(api: Api) -> None:
    signer = Signer(api, api.rows[KeyRole.OPERATOR].id, api.tokens[KeyRole.OPERATOR])
    assert (await signer.get("/v1/me")).json()["name"] == "olga"


async def test_a_key_and_a_signature_together_are_one_too_many(signer: Signer) -> None:
    headers = signer.headers("GET", "/v1/me")
    problem(await signer.api.get("/v1/me", KeyRole.ADMIN, headers=headers), 401, "unauthorized")


async def test_a_repeated_nonce_is_refused_over_a_restart_too(opening: Opening) -> None:
    async with opening() as api:
        row, token = await api.issue("signer", signed=True)
        headers = Signer(api, row.id, token).headers("GET", "/v1/me")
        assert (await api.get("/v1/me", headers=headers)).status_code == 200
        problem(await api.get("/v1/me", headers=headers), 401, "unauthorized")
    async with opening() as api:
        problem(await api.get("/v1/me", headers=headers), 401, "unauthorized")


async def test_a_nonce_is_spent_by_good_signatures_alone(signer: Signer) -> None:
    nonce = secrets.token_urlsafe(16)
    headers = signer.headers("GET", "/v1/me", nonce=nonce)
    forged = headers | {"Signature": f"me=:{base64.b64encode(b'x' * 32).decode()}:"}
    problem(await signer.api.get("/v1/me", headers=forged), 401, "unauthorized")
    assert (await signer.api.get("/v1/me", headers=headers)).status_code == 200


async def test_nonces_of_two_keys_are_two(api: Api) -> None:
    for name in ("one", "two"):
        row, token = await api.issue(name, signed=True)
        assert (await Signer(api, row.id, token).get("/v1/me", nonce="0123456789abcdef")).status_code == 200


@pytest.mark.parametrize(("skew", "status"), [(-61, 401), (-60, 200), (59, 200), (60, 200), (62, 401), (10**9, 401)])
async def test_a_clock_may_be_a_minute_wrong(signer: Signer, skew: int, status: int) -> None:
    now = signer.api.clock.stop()
    assert (await signer.get("/v1/me", created=now + skew)).status_code == status


async def test_a_nonce_is_remembered_for_as_long_as_its_signature_is_good(signer: Signer) -> None:
    headers = signer.headers("GET", "/v1/me", created=signer.api.clock() + 55)
    assert (await signer.api.get("/v1/me", headers=headers)).status_code == 200
    signer.api.clock.ahead = 110
    assert (await signer.get("/v1/me")).status_code == 200  # this one clears away what is too old
    problem(await signer.api.get("/v1/me", headers=headers), 401, "unauthorized")


async def test_after_a_rotation_both_secrets_sign_for_the_grace(signer: Signer) -> None:
    api = signer.api
    row, token = await keys.rotate(api.service.house.store, "operator", "signer", grace=3_600)
    assert (await signer.get("/v1/me")).status_code == 200
    assert (await Signer(api, row.id, token).get("/v1/me")).status_code == 200
    api.clock.ahead = 3_601
    assert (await signer.get("/v1/me")).status_code == 401
    assert (await Signer(api, row.id, token).get("/v1/me")).status_code == 200


CHANGES = {
    "another method": lambda headers: ("DELETE", "/v1/me", headers),
    "another path": lambda headers: ("GET", "/v1/settings", headers),
    "a query": lambda headers: ("GET", "/v1/me?x=1", headers),
    "no digest": lambda headers: ("GET", "/v1/me", {k: v for k, v in headers.items() if k != "Content-Digest"}),
    "no signature": lambda headers: ("GET", "/v1/me", {k: v for k, v in headers.items() if k != "Signature"}),
    "no input": lambda headers: ("GET", "/v1/me", {k: v for k, v in headers.items() if k != "Signature-Input"}),
    "less covered": lambda headers: ("GET", "/v1/me", _changed(headers, ' "content-digest")', ")")),
    "another order": lambda headers: ("GET", "/v1/me", _changed(headers, '"@method" "@path"', '"@path" "@method"')),
    "another algorithm": lambda headers: ("GET", "/v1/me", _changed(headers, "hmac-sha256", "none")),
    "another nonce": lambda headers: ("GET", "/v1/me", _changed(headers, 'nonce="', 'nonce="x')),
    "a nonce too short": lambda headers: ("GET", "/v1/me", _changed(headers, 'nonce="', 'nonce="" ;x="')),
    "a parameter twice": lambda headers: ("GET", "/v1/me", _changed(headers, ";alg", ';alg="hmac-sha256";alg')),
    "a parameter more": lambda headers: ("GET", "/v1/me", _changed(headers, ";alg", ";expires=1;alg")),
    "two signatures": lambda headers: ("GET", "/v1/me", headers | {"Signature": headers["Signature"] + ", b=:AA==:"}),
    "another label": lambda headers: (
        "GET",
        "/v1/me",
        headers | {"Signature": headers["Signature"].replace("me=", "b=")},
    ),
}


def _changed(headers: dict[str, str], old: str, new: str) -> dict[str, str]:
    assert old in headers["Signature-Input"]
    return headers | {"Signature-Input": headers["Signature-Input"].replace(old, new)}


@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_is_changed_on_the_way_is_refused(signer: Signer, change: str) -> None:
    method, path, headers = CHANGES[change](signer.headers("GET", "/v1/me"))
    with capture_logs():
        problem(await signer.api.ask(method, path, headers=headers), 401, "unauthorized")


async def test_a_signature_of_nobodys_key_is_refused_like_any_other(signer: Signer) -> None:
    one = problem(await signer.get("/v1/me", keyid="0" * 16), 401, "unauthorized")
    other = problem(await signer.get("/v1/me", created=5), 401, "unauthorized")
    assert one | {"request_id": ""} == other | {"request_id": ""}


def test_the_base_is_that_of_the_standard() -> None:
    """Built as RFC 9421, section 2.5, says, with its derived components of sections 2.2.1, 2.2.6 and 2.2.7."""
    base = signing.signature_base("POST", b"/foo", b"param=Value&Pet=dog", "sha-256=:AA==:", '("@method");created=1')
    assert base.decode().splitlines() == [
        '"@method": POST',
        '"@path": /foo',
        '"@query": ?param=Value&Pet=dog',
        '"content-digest": sha-256=:AA==:',
        '"@signature-params": ("@method");created=1',
    ]


async def test_what_swapd_signs_swapd_takes(api: Api) -> None:
    row, token = await api.issue("signer", signed=True)
    key = keys.signing_key(token.rpartition("_")[2])
    headers = signing.sign(key, row.id, "GET", "/v1/me", "", b"", created=api.clock(), nonce="n" * 16)
    assert (await api.get("/v1/me", headers=headers)).status_code == 200


def documented() -> str:
    page = (FOLDER / "api-keys.md").read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def signed" in block]
    return str(code)


async def test_the_documented_client_is_taken(api: Api) -> None:
    defined: dict[str, Any] = {}
    exec(documented(), defined)  # noqa: S102 - our own page
    _, token = await api.issue("signer", signed=True)
    path = "/v1/trial/numbers?limit=1"
    headers = defined["signed"](token, "GET", path, b"", api.clock(), secrets.token_hex(16))
    assert (await api.get(path, headers=headers)).json()["items"] == [0]
