"""The hunt for secrets (S9) through a long day: a swap that is disputed, resumed and completed, another that goes back,
webhooks, keys, exports, every kind of bad request, and nodes that answer with garbage. All that was logged, stored,
answered or raised is looked through in between and at the end."""

from __future__ import annotations

import base64
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from swapd.api import keys
from swapd.errors import SwapdError
from swapd.protocol.status import Status
from swapd.protocol.terms import Role
from swapd.store import KeyRole
from tests.api.matrix import MATRIX, SAMPLES
from tests.api.test_bad_input import BODIES
from tests.chains.ethereum.proxy import KEY, Proxy
from tests.scenarios import hunt
from tests.scenarios.http import Http, http_of
from tests.scenarios.hunt import Hunt
from tests.scenarios.rig import Rig
from tests.scenarios.test_api import brokered, terms_of
from tests.scenarios.test_external import People

pytestmark = pytest.mark.usefixtures("as_in_production")

UNLIMITED = ("REQUESTS_PER_MINUTE", "REQUESTS_PER_MINUTE_ALL", "WRONG_KEYS")

WHO = {KeyRole.MARKETPLACE: "shop", KeyRole.OPERATOR: "olga", KeyRole.DISPUTE: "dora", KeyRole.AUDITOR: "aud"}


@dataclass
class Day:
    """answers: every one that the API gave, with its headers, but for the few that show a new secret to its owner.
    errors: all that Python could say about those that were raised. said: the log so far."""

    rig: Rig
    http: Http
    nodes: dict[str, Proxy]
    capsys: pytest.CaptureFixture[str]
    answers: bytes = b""
    errors: bytes = b""
    said: bytes = b""

    async def ask(self, who: str, method: str, path: str, *, secret: bool = False, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.http.tokens[who]}", "Idempotency-Key": secrets.token_hex(8)}
        answer = await self.http._client.request(method, path, **{"headers": headers, **more})  # type: ignore[arg-type]
        if not secret:
            self.answers += str(answer.headers).encode() + answer.content
        return answer

    def places(self) -> dict[str, bytes]:
        self.said += "".join(self.capsys.readouterr()).encode()
        return {
            "the log": self.said,
            "files": hunt.stored(self.rig),
            "answers": self.answers,
            "errors": self.errors,
        }


@pytest.fixture
async def day(rig: Rig, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[Day]:
    """The house reaches both of its nodes through somebody who may turn bad."""
    async with Proxy(rig.chains.bitcoind.rpc_url) as bitcoin, Proxy(rig.chains.anvil.rpc_url) as ethereum:
        rig.house.more |= {
            "SWAPD__CHAINS__BITCOIN__RPC_URL": bitcoin.url,
            "SWAPD__CHAINS__ETHEREUM__RPC_URL": ethereum.url,
            **{f"SWAPD__API__LIMITS__{name}": "1000000" for name in UNLIMITED},
        }
        await rig.house.restart()
        async with http_of(rig.house) as http:
            _, http.tokens["root"] = await keys.issue(rig.house.house.store, "operator", "root", KeyRole.ADMIN)
            yield Day(rig, http, {"bitcoin": bitcoin, "ethereum": ethereum}, capsys)


async def everything_is_asked(day: Day, swap_id: str, dispute_id: int) -> None:
    """Every question by everybody who may ask it, about this swap: figures, evidence, audit and all."""
    samples = SAMPLES | {"swap_id": swap_id, "seq": "1", "dispute_id": str(dispute_id)}
    for name, roles in MATRIX.items():
        method, pattern = name.split()
        if method == "GET" and "stream" not in pattern:
            for role in roles & WHO.keys():
                for leg in Role:
                    await day.ask(WHO[role], "GET", pattern.format(**(samples | {"role": leg.value})))
    async with day.rig.house.house.store.read() as reading:
        day.answers += "".join([repr(entry) async for entry in reading.audit_stream(0)]).encode()


async def everything_is_asked_badly(day: Day, swap_id: str) -> None:
    """Every body that is none, everywhere; and a good token where none belongs, or not quite good."""
    samples = SAMPLES | {"swap_id": swap_id}
    token = day.http.tokens["shop"]
    for name, roles in MATRIX.items():
        method, pattern = name.split()
        path = pattern.format(**samples)
        who = next((WHO[role] for role in sorted(roles & WHO.keys())), "root")
        if method != "GET":
            for body, _, _ in BODIES.values():
                await day.ask(who, method, path, content=body, headers=_bearer(day.http.tokens[who]))
        for headers in (
            _bearer(token[:-1] + ("0" if token[-1] != "0" else "1")),
            _bearer(f"{token} {token}"),
            {"Authorization": f"Basic {base64.b64encode(token.encode()).decode()}"},
            {"Signature": token, "Signature-Input": token},
        ):
            await day.ask(who, method, path, headers=headers)
        if "stream" in pattern:
            continue  # to a good key it answers for as long as somebody listens
        await day.ask(who, method, path, json={"token": token, token: 1})
        await day.ask(who, method, f"{path}?limit={token}&cursor={token}&swap_id={token}&after={token}")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}


async def nodes_answer_with_garbage(day: Day, swap_id: str) -> None:
    """They give back what they were trusted with: our own password, in an answer that is none."""
    user, password = day.rig.chains.bitcoind.auth
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    page = f"<html>Authorization: Basic {login} {KEY}</html>".encode()
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    for status in (b"200 OK", b"401 Unauthorized", b"500 Oh"):
        for node in day.nodes.values():
            node.always = lambda *_, status=status: head % (status, len(page)) + page  # type: ignore[misc]
        for path in ("/v1/chains", "/v1/wallets", f"/v1/swaps/{swap_id}", f"/v1/swaps/{swap_id}/evidence", "/metrics"):
            await day.ask("olga", "GET", path)
        for market in day.rig.house.house.markets.values():
            with pytest.raises(SwapdError) as raised:
                await market.chain.clock()
            day.errors += hunt.as_told(raised.value)
        await day.rig.house.daemon.turn()
    for node in day.nodes.values():
        node.always = None


async def test_s9_a_long_day_shows_no_secret_anywhere(rig: Rig, day: Day) -> None:
    hunted = Hunt({"the provider's key": KEY.rpartition("/")[2].encode()})
    for side in rig.sides:
        hunted.never |= hunt.of_a_house(side)
    hunted.never["the node's password"] = rig.chains.bitcoind.auth[1].encode()
    for name, token in day.http.tokens.items():
        secret = token.rpartition("_")[2]
        hunted.never |= {f"token of {name}": bytes.fromhex(secret), f"signing of {name}": keys.signing_key(secret)}

    # what shows a new secret to its owner shows it this once
    hook = await day.ask("shop", "POST", "/v1/webhooks", secret=True, json={"url": "https://shop.example/hooks"})
    again = await day.ask("shop", "POST", f"/v1/webhooks/{hook.json()['webhook']['id']}/rotate", secret=True, json=None)
    issued = await day.ask("root", "POST", "/v1/keys", secret=True, json={"name": "clerk", "role": "auditor"})
    for answer in (hook, again):
        told = answer.json()["secret"]
        hunted.never[f"webhook secret {told[-4:]}"] = base64.b64decode(told.removeprefix("whsec_"))
    hunted.never["token of clerk"] = bytes.fromhex(issued.json()["token"].rpartition("_")[2])

    # a swap between two houses: both legs are locked, a dispute is open
    terms = await rig.agreed(rig.house, rig.other)
    for side in rig.sides:
        hunted.never |= hunt.of_a_swap(side, terms.index)
    preimage = {"preimage": rig.house.house.secrets.preimage(terms.index)}
    hunted.unrevealed |= preimage
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    opened = await day.ask("dora", "POST", f"/v1/swaps/{terms.swap_id}/disputes", json={"reason": "a look"})
    dispute = opened.json()["id"]
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await everything_is_asked(day, terms.swap_id, dispute)
    await nodes_answer_with_garbage(day, terms.swap_id)
    await everything_is_asked_badly(day, terms.swap_id)
    assert not (await rig.house.row(terms.swap_id)).reveal_sent
    assert hunted.everywhere(day.places()) == [], "nothing is public yet"

    # it goes on and is done: the preimage is for everybody now, and still for no log
    await day.ask("dora", "POST", f"/v1/disputes/{dispute}/notes", json={"note": "all is well"})
    await day.ask("dora", "POST", f"/v1/disputes/{dispute}/resume", json={"why": "all is well"})
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    hunted.unrevealed.clear()
    await everything_is_asked(day, terms.swap_id, dispute)
    assert hunted.within(day.answers, preimage), "the hunter sees what there is"
    assert hunted.within(day.places()["the log"], preimage) == []

    # another one goes back: its preimage is never for anybody
    people = await People.met(rig)
    swap_id = await brokered(day.http, people)
    other = await terms_of(rig, swap_id)
    hunted.never |= hunt.of_a_swap(rig.house, other.index)
    hunted.never["preimage of the refunded"] = rig.house.house.secrets.preimage(other.index)
    await people.fund(people.alice, other, Role.INITIATOR)
    await rig.until(rig.house, swap_id, Status.INITIATOR_LOCKED)
    await rig.time_is(other.initiator.terms.timelock + 1)
    await rig.until_over(swap_id, Status.REFUNDED, sides=(rig.house,))
    await everything_is_asked(day, swap_id, dispute)
    places = day.places()
    assert hunted.everywhere(places) == []
    for place, sign in {"the log": terms.swap_id, "files": swap_id, "answers": "swapd_rpc_seconds_bucket"}.items():
        assert sign.encode() in places[place], f"{place} was looked at"

    await _planted(day, hunted, dispute)
    await rig.accounts_balance()


async def _planted(day: Day, hunted: Hunt, dispute: int) -> None:
    """The same hunt finds a secret that lies in any of these places."""
    seed = hunted.never["house: seed"]
    print(seed.hex().upper())
    await day.ask("dora", "POST", f"/v1/disputes/{dispute}/notes", json={"note": f"0x{seed[::-1].hex()}"})
    await day.ask("aud", "GET", "/v1/audit?limit=200&event=dispute%20note")
    try:
        raise RuntimeError(seed)
    except RuntimeError as error:
        day.errors += hunt.as_told(error)
    found = hunted.everywhere(day.places())
    for place in ("the log", "files", "answers", "errors"):
        assert any(each.startswith(f"{place}: house: seed") for each in found), place


@pytest.mark.parametrize("before", range(3))
def test_s9_the_hunter_finds_a_secret_in_every_form(before: int) -> None:
    secret = secrets.token_bytes(32)
    hunted = Hunt({"it": secret})
    for form, needle in hunt.forms(secret):
        assert hunted.within(b"x" * before + needle + b"y"), form
    for whole in (secret, secret[::-1]):
        surrounded = b"abc"[:before] + whole + b"defg"
        for text in (
            surrounded.hex(),
            surrounded.hex().upper(),
            base64.b64encode(surrounded).decode(),
            base64.urlsafe_b64encode(surrounded).decode(),
            repr(surrounded),
            str(list(surrounded)),
        ):
            assert hunted.within(f"some {text} words".encode()), text
    assert hunted.within(secrets.token_bytes(10_000)) == []
