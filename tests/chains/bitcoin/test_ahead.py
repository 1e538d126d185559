"""Claims and refunds signed ahead, on a real node: each replaces the one before, and none can do what it must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.abilities import Prepared
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import BitcoinChain
from swapd.chains.bitcoin.ahead import HOLE, rungs
from swapd.chains.bitcoin.chain import BitcoinChain as Chain
from swapd.chains.bitcoin.transaction import dust, read
from swapd.devnet.bitcoind import Bitcoind
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.vault import Network
from swapd.vault.throwaway import throwaway_vault

from .conftest import AMOUNT, FAR, World, settings_for

CLAIM, REFUND = EffectKind.CLAIM, EffectKind.REFUND


def tower(world: World) -> BitcoinChain:
    """The same node, seen by somebody without wallet and keys."""
    settings = settings_for(world.node, "none").model_copy(update={"wallet": ""})
    return Chain(settings, throwaway_vault(None, Network.DEVNET))


def only(kind: EffectKind, prepared: Sequence[Prepared]) -> list[SignedTx]:
    return [each.tx for each in prepared if each.kind is kind]


async def pick(
    chain: BitcoinChain, kind: EffectKind, leg: WatchedLeg, prepared: Sequence[Prepared], left: int, **how: bytes
) -> SignedTx | None:
    effect = Effect(kind, leg.leg.role, 1_000_000 + left)
    return await chain.pick(effect, leg, prepared, how.get("preimage"), 1_000_000)


@given(st.integers(1, 2_000), st.integers(0, 3_000))
def test_rungs_go_from_the_lowest_to_the_highest_in_steps_of_two_at_most(lowest: int, highest: int) -> None:
    rates = rungs(lowest, highest)
    if lowest > highest:
        assert rates == []
        return
    assert (rates[0], rates[-1]) == (lowest, highest)
    assert all(before < after <= 2 * before for before, after in pairwise(rates))


async def test_every_refund_replaces_the_one_before_and_none_is_taken_before_its_time(own_world: World) -> None:
    world = own_world
    leg = await world.locked(timelock=(await world.chain.clock()).time + 600)
    refunds = only(REFUND, await world.chain.prepare(leg))
    rates = [tx.rate for tx in refunds]
    assert rates[:-1] == [2**n for n in range(len(rates) - 1)]
    assert rates[-1] > world.chain._settings.fee.cap_rate, "at the deadline the cap on the rate yields"
    assert AMOUNT // 2 - 200 < refunds[-1].fee <= AMOUNT // 2
    assert await world.refused(refunds[0].raw) == "non-final"

    await world.node.set_time(leg.leg.terms.timelock + 3600)
    await world.node.mine(7)

    chain = tower(world)
    await chain.start()
    for tx in refunds:
        await chain.broadcast(tx)
        assert await world.node.rpc("getrawmempool") == [tx.txid]
    await world.node.mine(1)
    paid = read(refunds[-1].raw).outputs[0]
    assert paid.amount == AMOUNT - refunds[-1].fee
    await chain.close()


async def test_s9_a_claim_signed_ahead_holds_no_preimage_and_is_nothing_without_it(world: World) -> None:
    leg = await world.locked()
    secret = world.vault.preimage(leg.index)

    prepared = await world.chain.prepare(leg)

    claims = only(CLAIM, prepared)
    assert claims
    assert all(secret not in tx.raw and HOLE in read(tx.raw).inputs[0].witness for tx in claims)
    assert "script" in await world.refused(claims[0].raw)
    chain = tower(world)
    with pytest.raises(Invalid, match="preimage"):
        await pick(chain, CLAIM, leg, prepared, FAR, preimage=bytes(31) + b"\x01")
    whole = await pick(chain, CLAIM, leg, prepared, FAR, preimage=secret)
    assert whole is not None
    assert whole.txid in {tx.txid for tx in claims}, "a txid does not cover the preimage"
    assert await world.refused(whole.raw) == ""
    await chain.close()


async def test_the_rung_follows_the_time_left_and_what_is_pending(world: World) -> None:
    leg, chain = await world.locked(), tower(world)
    secret, prepared = world.vault.preimage(leg.index), await world.chain.prepare(leg)

    first = await pick(chain, CLAIM, leg, prepared, FAR, preimage=secret)
    assert first is not None
    await chain.broadcast(first)
    seen = await world.seen(leg)
    assert await pick(chain, CLAIM, seen, prepared, FAR, preimage=secret) is None, "good enough"
    second = await pick(chain, CLAIM, seen, prepared, 0, preimage=secret)

    assert second is not None
    assert second.rate > first.rate
    await chain.broadcast(second)
    assert first.txid not in await world.node.rpc("getrawmempool")
    await world.node.mine(1)
    await chain.close()


async def test_what_swapd_itself_has_pending_is_not_outbid_while_it_is_good_enough(world: World) -> None:
    leg, chain = await world.locked(), tower(world)
    secret, prepared = world.vault.preimage(leg.index), await world.chain.prepare(leg)
    own = await world.send(CLAIM, leg)

    seen = await world.seen(leg)

    assert await pick(chain, CLAIM, seen, prepared, FAR, preimage=secret) is None
    assert own.txid in await world.node.rpc("getrawmempool")
    await world.node.mine(1)
    await chain.close()


async def test_what_was_signed_for_another_output_is_no_use_and_the_refusal_says_what_is(world: World) -> None:
    leg, chain = await world.locked(), tower(world)
    prepared = [replace(each, ref="00" * 32 + ":1") for each in await world.chain.prepare(leg)]

    with pytest.raises(Rejected, match="newer packet"):
        await pick(chain, REFUND, leg, prepared, FAR)
    await chain.close()


async def test_what_does_not_fit_the_terms_is_not_sent(world: World) -> None:
    """Somebody who can write to the folder can not have the tower send anything but what the terms say."""
    leg, other, chain = await world.locked(), await world.locked(), tower(world)
    prepared, theirs = await world.chain.prepare(leg), await world.chain.prepare(other)
    claim, refund = only(CLAIM, prepared)[0], only(REFUND, prepared)[0]
    broken = bytes([*refund.raw[:-200], refund.raw[-200] ^ 1, *refund.raw[-199:]])
    for wrong in (
        replace(refund, raw=only(REFUND, theirs)[0].raw),
        replace(refund, raw=claim.raw),
        replace(refund, fee=refund.fee + 1),
        replace(refund, raw=broken),
        replace(refund, raw=b"\x00"),
        replace(refund, rate=0),
    ):
        with pytest.raises(Rejected, match="do not fit the terms"):
            await pick(chain, REFUND, leg, [Prepared(REFUND, refund.spends[0], wrong)], FAR)
    await chain.close()


async def test_the_highest_rung_leaves_half_and_strays_get_a_way_back_too(world: World) -> None:
    leg = await world.locked()
    small = 20_000
    outpoint = await world.pay(leg, small)

    prepared = await world.chain.prepare(await world.seen(leg))

    of_stray = [each for each in prepared if each.ref == outpoint]
    assert {each.kind for each in of_stray} == {REFUND}, "what is not the leg is never claimed"
    highest = of_stray[-1].tx
    left = read(highest.raw).outputs[0]
    assert left.amount >= small // 2 > dust(left.script)


async def test_a_node_without_any_wallet_will_do(bitcoind: Bitcoind, world: World) -> None:
    chain = tower(world)
    await chain.start()
    assert not {health.name for health in await chain.examine()} & {"wallet", "reserved coins"}
    leg = await world.locked()
    prepared = await world.chain.prepare(leg)
    tx = await pick(chain, CLAIM, leg, prepared, FAR, preimage=world.vault.preimage(leg.index))
    assert tx is not None
    assert (await chain.fate(tx)).state.value == "missing"
    await chain.close()
