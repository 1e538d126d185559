"""A refund by consent, long before the timelock, on each chain: the receiver signs what swapd hands it over HTTP."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from bitcoin.core import CTransaction
from bitcoin.core.script import SIGHASH_ALL, SIGVERSION_WITNESS_V0, CScript, SignatureHash
from coincurve import PrivateKey
from eth_account import Account as EthereumKey

from swapd.chains.abilities import Cooperates
from swapd.chains.bitcoin.psbt import read_all
from swapd.devnet.icp_world import IcpWorld
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, Wallet
from tests.scenarios.chains import Chains
from tests.scenarios.http import Http, Json, http_of
from tests.scenarios.rig import AMOUNTS, Direction, Rig, new_rig

BOB = PrivateKey(b"\x0b" * 32)
"""Who takes part, and would receive the initiator leg. The same key on Bitcoin and on Ethereum."""

on_each_chain = pytest.mark.parametrize(
    "direction",
    [Direction("ETH", "BTC"), Direction("BTC", "ETH"), Direction("ICP", "ETH")],
    indirect=True,
    ids=lambda direction: direction.give,
)
PLACES = {"BTC": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "ETH": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}


@pytest.fixture
async def rig(chains: Chains, world: IcpWorld, direction: Direction, tmp_path: Path) -> AsyncIterator[Rig]:
    async with new_rig(chains, direction, tmp_path, world) as made:
        made.other.asleep = True
        yield made


def address_of_bob(rig: Rig) -> str:
    match rig.direction.give:
        case "BTC":
            return str(BOB.public_key.format().hex())
        case "ETH":
            return str(EthereumKey.from_key(BOB.secret).address)
    return rig.account(rig.other).at["icp"]


def signature(give: str, fields: Json) -> bytes:
    """As a wallet makes it that knows nothing but what it was handed."""
    if give == "ETH":
        return bytes(EthereumKey.sign_typed_data(BOB.secret, full_message=json.loads(fields["typed_data"])).signature)
    return b"".join(_signed_psbt(text) for name, text in fields.items() if name.startswith("psbt_"))


def _signed_psbt(text: str) -> bytes:
    (psbt,) = read_all(base64.b64decode(text))
    (item,) = psbt.inputs
    tx = CTransaction.deserialize(psbt.unsigned)
    digest = SignatureHash(CScript(item.script), tx, 0, SIGHASH_ALL, item.amount, sigversion=SIGVERSION_WITNESS_V0)
    made = BOB.sign(digest, hasher=None) + bytes([SIGHASH_ALL])
    signed = replace(item, signatures={**item.signatures, BOB.public_key.format(): made})
    return bytes(replace(psbt, inputs=(signed,)).encode())


async def refund_decided(rig: Rig, http: Http) -> str:
    """The house has locked, nobody answered, and a handler has decided. Returns the swap's id."""
    give, get = rig.direction.give, rig.direction.get
    form = {
        "give": give,
        "give_amount": str(AMOUNTS[give]),
        "get": get,
        "get_amount": str(AMOUNTS[get]),
        "initiator": {"wallet": "hot"},
        "participant": {
            "wallet": "external",
            "refund_to": PLACES[get],
            "receive_at": address_of_bob(rig),
            "claims_itself": True,
        },
    }
    swap_id: str = (await http.post("shop", "/v1/swaps", form, 201))["id"]
    await rig.until(rig.house, swap_id, Status.INITIATOR_LOCKED)
    await rig.block(3)
    dispute = await http.post("dora", f"/v1/swaps/{swap_id}/disputes", {"reason": "bob has changed his mind"}, 201)
    await http.post("dora", f"/v1/disputes/{dispute['id']}/force-refund", {"why": "both want it"})
    return swap_id


@on_each_chain
async def test_s5_with_the_receivers_consent_it_goes_back_at_once(rig: Rig, direction: Direction) -> None:
    async with http_of(rig.house) as http:
        swap_id = await refund_decided(rig, http)
        terms = (await rig.house.row(swap_id)).terms
        path = f"/v1/swaps/{swap_id}/legs/initiator/consent"
        asked = await http.get("shop", path)
        if asked["answer"]:
            bad = bytearray(signature(direction.give, asked["fields"]))
            bad[-1 if direction.give == "BTC" else 40] ^= 1
            await http.post("shop", path, {"consent": bad.hex()}, 422)
            good = signature(direction.give, asked["fields"])
            assert (await http.post("shop", path, {"consent": good.hex()}))["initiator"]["given_back"]
        else:
            await _call_by_bob(rig, swap_id)
        await rig.until_over(swap_id, Status.REFUNDED, sides=(rig.house,))
        assert rig.chains.now < terms.participant.terms.timelock, "long before"
        assert not (await rig.house.row(swap_id)).reveal_sent
    assert await rig.accounts_balance() == rig.nothing


@pytest.mark.parametrize("direction", [Direction("ETH", "BTC")], indirect=True, ids=str)
async def test_a_consent_that_nobody_asked_for_is_refused(rig: Rig, direction: Direction) -> None:
    async with http_of(rig.house) as http:
        terms, _ = await rig.offer(rig.house, rig.other)
        await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
        path = f"/v1/swaps/{terms.swap_id}/legs/initiator/consent"
        await http.post("shop", path, {"consent": "00" * 65}, 404)
        refused = await http.post("olga", path, {"consent": "00" * 65}, 409)
        assert "dispute handler" in refused["detail"]
        await rig.time_is(terms.initiator.terms.timelock + 1)
        await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


async def _call_by_bob(rig: Rig, swap_id: str) -> None:
    """Where nothing is signed the receiver calls the chain by itself: here with the other swapd's identity."""
    chain = rig.other.house.chain("icp")
    row = await rig.house.row(swap_id)
    leg = row.watched_leg(Role.INITIATOR)
    mine = replace(leg, leg=replace(leg.leg, claimed_by=Wallet.HOT))
    assert isinstance(chain, Cooperates)
    mine = replace(mine, consent=await chain.own_consent(mine))
    refund = Effect(EffectKind.REFUND, Role.INITIATOR, row.terms.initiator.terms.timelock)
    draft = await chain.draft(refund, mine, None, (), rig.chains.now)
    assert draft is not None
    await chain.broadcast(draft.sign(None))


@pytest.mark.parametrize("direction", [Direction("ICP", "ETH"), Direction("ETH", "ICP")], indirect=True, ids=str)
async def test_s6_two_swapds_give_everything_back_and_neither_goes_first_at_its_own_risk(
    rig: Rig, direction: Direction
) -> None:
    """Who holds the secret gives back at once; the other one when its own leg is back, finally."""
    rig.other.asleep = False
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.house.asleep = True  # or it would show its secret as soon as the participant has locked
    await rig.until(rig.other, terms.swap_id, Status.PARTICIPANT_LOCKED)
    for side in rig.sides:
        async with http_of(side) as http:
            dispute = await http.post("dora", f"/v1/swaps/{terms.swap_id}/disputes", {"reason": "both agree"}, 201)
            await http.post("dora", f"/v1/disputes/{dispute['id']}/force-refund", {"why": "both agree"})
    rig.house.asleep = False

    await rig.until_over(terms.swap_id, Status.REFUNDED)

    assert rig.chains.now < terms.participant.terms.timelock
    async with rig.other.house.store.read() as reading:
        events = [(entry.event, entry.data) for entry in await reading.audit_trail(terms.swap_id)]
    (given,) = [number for number, (event, _) in enumerate(events) if event == "consent given"]
    back = next(n for n, (event, data) in enumerate(events) if event == "legs" and '"refunded"' in data)
    assert back < given
    assert await rig.accounts_balance() == rig.nothing
