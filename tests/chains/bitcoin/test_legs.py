"""A leg from lock to claim or refund, on a real node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.chains.base import SightingKind, TxState
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.script import htlc_script
from swapd.chains.bitcoin.transaction import Outpoint, Spend, claim, read
from swapd.chains.bitcoin.watch import Mempool
from swapd.errors import Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState
from swapd.vault.derivation import KeyPurpose

from .conftest import AMOUNT, World


async def test_a_leg_is_absent_then_seen_then_locked_then_claimed(world: World) -> None:
    leg = await world.leg()
    assert await world.view(leg) == ABSENT_VIEW
    lock = await world.send(EffectKind.LOCK, leg)
    seen = await world.view(leg)
    assert (seen.state, seen.depth, seen.lock_txid) == (LegState.SEEN, 0, lock.txid)
    await world.node.mine(2)
    locked = await world.view(leg)
    assert (locked.state, locked.depth, locked.preimage) == (LegState.LOCKED, 2, None)
    claim = await world.send(EffectKind.CLAIM, await world.seen(leg))
    pending = await world.view(leg)
    assert (pending.state, pending.depth, pending.spend_txid) == (LegState.CLAIMED, 0, claim.txid)
    await world.node.mine(3)
    claimed = await world.view(leg)
    assert (claimed.state, claimed.depth, claimed.spend_txid) == (LegState.CLAIMED, 3, claim.txid)
    assert claimed.preimage == world.vault.preimage(leg.index)
    assert claimed.lock_ref == locked.lock_ref


async def test_money_is_conserved_to_the_satoshi(world: World) -> None:
    before = await world.spendable()
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    await world.node.mine(1)
    assert await world.spendable() == before - AMOUNT - lock.fee
    claim = await world.send(EffectKind.CLAIM, await world.seen(leg))
    await world.node.mine(1)
    assert await world.spendable() == before - lock.fee - claim.fee
    assert await world.chain.fate(lock) == await world.chain.fate(lock)
    assert [(await world.chain.fate(tx)).fee for tx in (lock, claim)] == [lock.fee, claim.fee]


async def test_the_secret_is_read_from_the_mempool_before_the_block(world: World) -> None:
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    sightings = await world.chain.mempool([leg])
    assert [(s.kind, s.txid, s.block_hash, s.preimage) for s in sightings] == [
        (SightingKind.CLAIM, claim.txid, None, world.vault.preimage(leg.index))
    ]


async def test_a_lock_and_its_claim_that_are_both_new_in_the_mempool_are_both_found(world: World) -> None:
    leg = await world.leg()
    outpoint = Outpoint.parse(await world.pay(leg, confirm=False))
    assert outpoint is not None
    payout = output_script(leg.leg.pay_to, "regtest", "pay_to")
    spend = Spend(outpoint, AMOUNT, htlc_script(leg.leg.terms), payout, fee=1000)
    raw = claim(
        spend,
        world.vault.preimage(leg.index),
        lambda sighash: world.vault.sign_bitcoin(leg.index, KeyPurpose.CLAIM, sighash),
    )
    await world.node.rpc("sendrawtransaction", raw.hex())
    sightings = await world.chain.mempool([leg])
    assert [s.kind for s in sightings] == [SightingKind.LOCK, SightingKind.CLAIM]
    assert await world.chain.mempool([leg]) == sightings, "what is pending is shown as long as it is"
    view = await world.view(leg)
    assert (view.state, view.depth, view.lock_ref) == (LegState.CLAIMED, 0, str(outpoint))
    assert view.preimage == world.vault.preimage(leg.index)
    await world.node.mine(1)


async def test_one_look_at_the_mempool_takes_as_many_requests_for_many_legs(world: World) -> None:
    legs = [await world.leg() for _ in range(20)]
    for leg in legs[:3]:
        await world.pay(leg, confirm=False)
    counts = []
    for some in (legs[:1], legs):
        before = world.chain.rpc.calls
        await world.chain.mempool(some)
        counts.append(world.chain.rpc.calls - before)
    assert counts[1] <= counts[0] <= 3
    await world.node.mine(1)


async def test_what_one_look_at_the_mempool_leaves_out_the_next_one_reads(world: World) -> None:
    legs = [await world.leg() for _ in range(5)]
    for leg in legs:
        await world.pay(leg, confirm=False)
    mempool = Mempool(world.chain.rpc, batch=2)
    found: set[str] = set()
    for _ in range(3):
        found |= {sighting.swap_id for sighting in await mempool.look(legs)}
    assert found == {leg.swap_id for leg in legs}
    await world.node.mine(1)


async def test_a_claim_with_a_wrong_preimage_is_never_built(world: World) -> None:
    leg = await world.locked()
    with pytest.raises(Exception, match="preimage") as caught:
        await world.draft(EffectKind.CLAIM, leg, preimage=b"x" * 32)
    assert (b"x" * 32).hex() not in str(caught.value)


async def test_a_claim_without_the_key_is_refused_in_words(world: World) -> None:
    leg = await world.locked()
    other = replace(leg, index=leg.index + 1000)
    with pytest.raises(Rejected, match="does not hold the key"):
        await world.draft(EffectKind.CLAIM, other, preimage=world.vault.preimage(leg.index))


async def test_a_claim_of_a_lock_that_is_in_no_block_is_refused(world: World) -> None:
    leg = await world.leg()
    await world.pay(leg, confirm=False)
    with pytest.raises(Rejected, match="not in a block"):
        await world.draft(EffectKind.CLAIM, await world.seen(leg))
    await world.node.mine(1)


async def test_a_second_claim_after_one_is_mined_is_refused(world: World) -> None:
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    await world.node.mine(1)
    with pytest.raises(Rejected, match=claim.txid):
        await world.draft(EffectKind.CLAIM, await world.seen(leg))


async def test_a_claim_pays_every_satoshi_but_the_fee_to_the_payout_address(world: World) -> None:
    leg = await world.locked()
    claim = await world.send(EffectKind.CLAIM, leg)
    paid = read(claim.raw)
    script = (await world.node.rpc("getaddressinfo", leg.leg.pay_to, wallet=world.wallet))["scriptPubKey"]
    assert [(o.amount, o.script.hex()) for o in paid.outputs] == [(AMOUNT - claim.fee, script)]
    assert paid.inputs[0].witness[-1] == htlc_script(leg.leg.terms)
    assert claim.fee >= paid.vsize * claim.rate
    await world.node.mine(1)


async def test_a_broadcast_of_what_the_node_has_already_is_a_success(world: World) -> None:
    leg = await world.leg()
    lock = await world.send(EffectKind.LOCK, leg)
    await world.chain.broadcast(lock)
    await world.node.mine(1)
    await world.chain.broadcast(lock)
    claim = await world.send(EffectKind.CLAIM, await world.seen(leg))
    await world.node.mine(1)
    for tx in (lock, claim):
        await world.chain.broadcast(tx)
        assert (await world.chain.fate(tx)).state is TxState.MINED


async def test_neither_drafts_nor_sightings_show_the_secret(world: World) -> None:
    leg = await world.locked()
    claim = await world.draft(EffectKind.CLAIM, leg)
    secret = world.vault.preimage(leg.index).hex()
    assert secret not in repr(claim)
