"""Claims and refunds of several swaps in one transaction: cheaper for each, and in nobody's way."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.bitcoin import BitcoinChain, fees
from swapd.chains.bitcoin.batch import Together
from swapd.chains.bitcoin.fees import Market, Purse
from swapd.chains.bitcoin.look import Coin
from swapd.chains.bitcoin.settings import FeeSettings
from swapd.chains.bitcoin.spending import Exit
from swapd.chains.bitcoin.transaction import Outpoint, claim_witness_bytes, dust, joint_vsize, read, spend_vsize
from swapd.errors import Rejected
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role, Wallet

from .conftest import AMOUNT, FAR, World, settings_for
from .test_fees import MARKETS, fee_settings
from .test_stuck import ask_for, fates, into_a_block

CLAIM, REFUND = EffectKind.CLAIM, EffectKind.REFUND
WITNESS = claim_witness_bytes(71)
WAIT = 0.5
"""Seconds for which members wait for each other here: the machine may be busy."""


def wait(world: World, seconds: float) -> None:
    for peer in world.chain._endpoints.nodes:
        peer.batches._settings = peer.batches._settings.model_copy(update={"batch_seconds": seconds})


async def paid_legs(world: World, count: int, **how: Any) -> list[WatchedLeg]:
    wait(world, WAIT)
    legs = [await world.leg(**how) for _ in range(count)]
    for leg in legs:
        await world.pay(leg, confirm=False)
    await world.node.mine(1)
    return [await world.seen(leg) for leg in legs]


async def drafts(world: World, kind: EffectKind, *legs: WatchedLeg, sent: SignedTx | None = None) -> list[SignedTx]:
    before = () if sent is None else (sent,)
    found = await asyncio.gather(*(world.draft(kind, leg, *before) for leg in legs))
    assert all(found)
    return [tx for tx in found if tx]


async def payout(world: World, leg: WatchedLeg) -> bytes:
    return bytes.fromhex((await world.node.rpc("validateaddress", leg.leg.pay_to))["scriptPubKey"])


async def test_five_claims_go_in_one_transaction_that_costs_each_less_than_its_own(world: World) -> None:
    legs = await paid_legs(world, 5)
    single = await world.chain._spending.alone(await _exit(world, legs[0]))
    claims = await drafts(world, CLAIM, *legs)
    assert {claim.txid for claim in claims} == {claims[0].txid}
    whole = read(claims[0].raw)
    assert whole.vsize < 5 * read(single.raw).vsize
    assert sum(claim.fee for claim in claims) < 5 * single.fee
    assert max(claim.fee for claim in claims) < single.fee
    left = {output.script: output.amount for output in whole.outputs}
    for leg, claim in zip(legs, claims, strict=True):
        assert left[await payout(world, leg)] == AMOUNT - claim.fee, "each has its own address and its own share"
    await asyncio.gather(*(world.chain.broadcast(claim) for claim in claims))
    await world.node.mine(1)
    for leg, claim in zip(legs, claims, strict=True):
        fate = await world.chain.fate(claim)
        assert (fate.state.value, fate.fee) == ("mined", claim.fee)
        view = await world.view(leg)
        assert (view.state, view.preimage) == (LegState.CLAIMED, world.vault.preimage(leg.index))


async def _exit(world: World, leg: WatchedLeg) -> Exit:
    now = int(time.time())
    coins = await world.chain._endpoints.nodes[0].look.coins(leg)
    effect, market = Effect(CLAIM, leg.leg.role, now + FAR), await world.chain._market(FAR)
    found = await world.chain._spending.plan(effect, leg, coins, world.vault.preimage(leg.index), (), market, now)
    assert found is not None
    return found


async def test_who_is_paid_elsewhere_goes_alone_and_gets_the_amount_less_its_own_fee(world: World) -> None:
    """Whoever is paid by a transaction may hang on it what makes it dear to replace: not for others."""
    own = await paid_legs(world, 2)
    address = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    (foreign,) = await paid_legs(world, 1, pay_to=address, claimed_by=Wallet.EXTERNAL)
    one, two, alone = await drafts(world, CLAIM, *own, foreign)
    assert one.txid == two.txid != alone.txid
    (output,) = read(alone.raw).outputs
    assert (output.amount, output.script) == (AMOUNT - alone.fee, await payout(world, foreign))


async def test_refunds_go_together_when_all_are_due_and_never_with_claims(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    refunds = [*await paid_legs(world, 1, timelock=timelock), *await paid_legs(world, 1, timelock=timelock + 60)]
    claims = await paid_legs(world, 2, timelock=timelock + FAR)
    await world.node.set_time(timelock + 120)
    await world.node.mine(11)
    back, claimed = await asyncio.gather(drafts(world, REFUND, *refunds), drafts(world, CLAIM, *claims))
    assert back[0].txid == back[1].txid
    assert claimed[0].txid == claimed[1].txid != back[0].txid
    decoded = await world.node.rpc("decoderawtransaction", back[0].raw.hex())
    assert decoded["locktime"] == timelock + 60
    await world.chain.broadcast(back[0])
    await world.node.mine(1)
    assert [(await world.view(leg)).state for leg in refunds] == [LegState.REFUNDED] * 2


async def test_what_is_urgent_or_shows_its_secret_first_waits_for_nobody(world: World) -> None:
    legs = await paid_legs(world, 2)
    wait(world, 10)
    now = int(time.time())
    effects = [
        Effect(CLAIM, Role.INITIATOR, now + world.chain._settings.fee.rush_seconds - 60),
        Effect(CLAIM, Role.INITIATOR, now + FAR, reveals=True),
    ]
    async with asyncio.timeout(8):
        found = [
            await world.chain.draft(effect, leg, world.vault.preimage(leg.index), (), now)
            for effect, leg in zip(effects, legs, strict=True)
        ]
    assert [len(draft.sign(None).spends) for draft in found if draft] == [1, 1]


async def test_when_one_coin_is_lost_to_another_the_others_go_alone_at_once(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    legs = await paid_legs(world, 3, timelock=timelock)
    batch = await drafts(world, CLAIM, *legs)
    await world.chain.broadcast(batch[0])
    await world.node.set_time(timelock + 60)
    await world.node.mine(0)
    alone = await world.send(CLAIM, legs[0], left=0)  # as whoever else has the key
    await into_a_block(world, alone)
    for leg, lost in list(zip(legs, batch, strict=True))[1:]:
        claim = await world.send(CLAIM, leg, lost)
        assert claim.spends == (str(read(claim.raw).inputs[0].outpoint),)
        assert len(claim.spends) == 1
    await world.node.mine(1)
    assert [(await world.view(leg)).state for leg in legs] == [LegState.CLAIMED] * 3
    assert await fates(world, batch[1]) == ["replaced"]


async def test_who_becomes_urgent_leaves_by_itself_and_the_others_go_on(world: World) -> None:
    legs = await paid_legs(world, 3)
    batch = await drafts(world, CLAIM, *legs)
    await world.chain.broadcast(batch[0])
    urgent = await world.send(CLAIM, legs[0], batch[0], left=0)
    assert len(urgent.spends) == 1
    assert urgent.fee > sum(each.fee for each in batch), "BIP 125, rule 3"
    for leg, left in list(zip(legs, batch, strict=True))[1:]:
        with pytest.raises(Rejected):
            await world.chain.broadcast(left)
        await world.send(CLAIM, leg, left)
    await world.node.mine(1)
    assert [(await world.view(leg)).state for leg in legs] == [LegState.CLAIMED] * 3


async def test_a_batch_that_became_too_cheap_is_replaced_by_a_better_one_of_those_who_come(world: World) -> None:
    legs = await paid_legs(world, 3)
    batch = await drafts(world, CLAIM, *legs)
    await world.chain.broadcast(batch[0])
    assert await world.draft(CLAIM, legs[0], batch[0]) is None, "it is good enough"
    ask_for(world, 10)
    better = await drafts(world, CLAIM, *legs, sent=batch[0])
    assert {tx.txid for tx in better} == {better[0].txid}
    assert better[0].rate >= 10
    assert sum(tx.fee for tx in better) <= 11 * read(better[0].raw).vsize, "and no more than is right now"
    await world.chain.broadcast(better[0])
    await world.node.mine(1)
    assert await fates(world, batch[1], better[1]) == ["replaced", "mined"]


async def test_a_member_that_forgot_the_batch_finds_its_claim_made_and_makes_another_if_it_falls_out(
    own_world: World,
) -> None:
    """It dies when the batch is out through another member, and before it has stored the bytes itself."""
    world = own_world
    legs = await paid_legs(world, 2)
    batch = await drafts(world, CLAIM, *legs)
    await world.chain.broadcast(batch[0])
    again = World(world.node, world.wallet, world.vault, _new_life(world))
    forgetful = replace(legs[1], sightings=())
    assert await again.draft(CLAIM, await again.seen(forgetful)) is None
    world.node._options = ("-minrelaytxfee=0.00010",)
    await world.node.restart()
    claim = await again.send(CLAIM, await again.seen(forgetful))
    assert claim.rate >= 10
    await world.node.mine(1)
    assert (await again.view(forgetful)).state is LegState.CLAIMED
    await again.chain.close()


def _new_life(world: World) -> BitcoinChain:
    return BitcoinChain(settings_for(world.node, world.wallet), world.vault)


async def test_one_that_is_cancelled_while_it_waits_keeps_nobody(world: World) -> None:
    legs = await paid_legs(world, 3)
    batches, came = world.chain._endpoints.nodes[0].batches, asyncio.Semaphore(0)
    join = batches.join

    async def counted(exit_: Exit, market: Market) -> SignedTx | None:
        came.release()
        return await join(exit_, market)

    batches.join = counted  # type: ignore[method-assign]
    first = asyncio.create_task(world.draft(CLAIM, legs[0]))
    others = [asyncio.create_task(world.draft(CLAIM, leg)) for leg in legs[1:]]
    for _ in legs:
        await came.acquire()
    first.cancel()
    one, two = await asyncio.gather(*others)
    assert one is not None
    assert two is not None
    assert one.txid == two.txid
    assert len(one.spends) == 2, "nor is it in"


async def test_a_small_leg_that_could_not_leave_again_is_not_taken_along(world: World) -> None:
    large = await paid_legs(world, 4)
    (small,) = await paid_legs(world, 1, amount=10_000)
    *together, alone = await drafts(world, CLAIM, *large, small)
    assert {len(tx.spends) for tx in together} == {4}
    assert len(alone.spends) == 1, "outbidding the batch would take more than 5 % of it"


# -- for any market ----------------------------------------------------------------------------------------------------


@st.composite
def exits(draw: st.DrawFn, settings: FeeSettings, market: Market) -> list[Exit]:
    """Of several legs at one moment, each with the fee that it would pay alone."""
    found = []
    for index, amount in enumerate(draw(st.lists(st.integers(1_000, 10**8), min_size=2, max_size=8))):
        script = b"\x00\x14" + bytes([index]) * 20
        purse = Purse(amount, spend_vsize(WITNESS, script), dust(script), yields=True)
        fee = fees.next_fee(settings, market, purse, (), settings.rush_seconds)
        if fee is not None:
            found.append(
                _made(index, amount, script, purse, fee, fees.wanted_rate(settings, market, 10**9, yields=True))
            )
    return found


def _made(index: int, amount: int, script: bytes, purse: Purse, fee: int, wanted: int) -> Exit:
    coin = Coin(Outpoint(f"{index:064x}", 0), amount, 1, 1)
    effect = Effect(CLAIM, Role.INITIATOR, 0)
    nobody: Any = None  # whose it is plays no part here
    return Exit(effect, nobody, coin, script, purse, WITNESS, fee, wanted, (), None, True, True, bytes(32))


@given(st.data(), fee_settings(), MARKETS)
def test_nobody_pays_more_together_than_alone_and_each_can_leave_within_its_cap(
    data: st.DataObject, settings: FeeSettings, market: Market
) -> None:
    members = data.draw(exits(settings, market))
    together = Together.of(settings, market, members)
    if together is None:
        return
    vsize = joint_vsize([WITNESS] * len(together.exits), [each.payout for each in together.exits])
    assert together.fee >= market.minimum * vsize
    assert together.fee >= fees.wanted_rate(settings, market, settings.rush_seconds, yields=True) * vsize
    spent = sum(each.coin.amount for each in together.exits)
    assert spent - sum(output.amount for output in together.outputs) == together.fee
    for each, share in zip(together.exits, together.shares, strict=True):
        assert share <= each.fee
        assert each.coin.amount - share >= each.purse.keep
        most = fees.ceiling(settings, market, each.purse, settings.rush_seconds)
        assert together.fee + market.increment * each.purse.vsize <= most, "BIP 125 rules 3 and 4, for it alone"


@given(st.integers(2, 50))
def test_a_batch_is_smaller_than_its_members(count: int) -> None:
    script = b"\x00\x14" + bytes(20)
    assert joint_vsize([WITNESS] * count, [script] * count) < count * spend_vsize(WITNESS, script)
    assert joint_vsize([WITNESS], [script]) == spend_vsize(WITNESS, script)
