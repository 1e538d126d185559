"""Sizes, computed before a transaction is built, are those that the node finds afterwards."""

from __future__ import annotations

import pytest

from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.transaction import (
    LARGEST_SIGNATURE,
    claim_witness_bytes,
    input_vbytes,
    read,
    refund_witness_bytes,
    spend_vsize,
)
from swapd.protocol.effects import EffectKind

from .conftest import World


def test_inputs_are_as_small_as_promised() -> None:
    assert input_vbytes(claim_witness_bytes(LARGEST_SIGNATURE)) == 96.5
    assert input_vbytes(claim_witness_bytes(71)) == 96.25, "the vault's signatures have a low R"
    assert input_vbytes(refund_witness_bytes(LARGEST_SIGNATURE)) == 97.0
    assert input_vbytes(refund_witness_bytes(LARGEST_SIGNATURE, LARGEST_SIGNATURE)) == 115.0, "signed by both"


@pytest.mark.parametrize("kind", ["legacy", "p2sh-segwit", "bech32", "bech32m"])
async def test_a_claim_to_any_kind_of_address_weighs_what_was_computed(world: World, kind: str) -> None:
    payout = await world.node.rpc("getnewaddress", "", kind, wallet="miner")
    leg = await world.leg(pay_to=payout)
    await world.pay(leg)
    claim = await world.send(EffectKind.CLAIM, await world.seen(leg))
    computed = spend_vsize(claim_witness_bytes(71), output_script(payout, "regtest", "pay_to"))
    said = (await world.node.rpc("getmempoolentry", claim.txid))["vsize"]
    assert said == read(claim.raw).vsize
    assert computed - 1 <= said <= computed, "one signature in 256 is a byte shorter"
    await world.node.mine(1)
