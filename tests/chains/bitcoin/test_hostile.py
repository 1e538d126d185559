"""Wrong amounts, second locks, late money, invented sightings."""

from __future__ import annotations

import time
from dataclasses import replace
from decimal import Decimal

import pytest
from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxOut, lx
from bitcoin.core.script import CScript

from swapd.chains.base import Sighting, SightingKind, WatchedLeg
from swapd.chains.bitcoin import people, search
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.blocks import satoshi
from swapd.chains.bitcoin.hints import MOST_MINED, MOST_PENDING, hints_of
from swapd.errors import Rejected, Unavailable
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import ABSENT_VIEW, LegState
from swapd.protocol.terms import Wallet

from .conftest import AMOUNT, World


@pytest.mark.parametrize("amount", [AMOUNT - 1, AMOUNT + 1, 10 * AMOUNT, 1000])
async def test_s11_a_lock_of_another_amount_is_never_the_leg(world: World, amount: int) -> None:
    leg = await world.leg()
    ref = await world.pay(leg, amount)
    assert [s.kind for s in await world.chain.rescan([leg])] == [SightingKind.STRAY]
    view = await world.view(leg)
    assert view.state is LegState.ABSENT
    assert [(s.ref, s.amount, s.refundable) for s in view.strays] == [(ref, amount, True)]
    assert "instead of" in view.strays[0].why
    assert leg.leg.refund_to in view.strays[0].way_back


async def test_s11_an_external_owner_of_a_stray_is_told_how_to_get_it_back(world: World) -> None:
    leg = await world.leg()
    external = replace(leg.leg, refund_by_swapd=False, funded_by=Wallet.EXTERNAL)
    leg = replace(leg, leg=external)
    await world.pay(leg, AMOUNT + 5)
    stray = (await world.view(leg)).strays[0]
    assert not stray.refundable
    for needed in (stray.ref, leg.leg.terms.sender, str(leg.leg.terms.timelock), "nLockTime"):
        assert needed in stray.way_back


async def test_s11_of_two_exact_locks_the_first_in_the_chain_is_the_leg(world: World) -> None:
    leg = await world.leg()
    first = await world.pay(leg)
    second = await world.pay(leg)
    view = await world.view(leg)
    assert (view.state, view.depth, view.lock_ref) == (LegState.LOCKED, 2, first)
    assert [(s.ref, s.why) for s in view.strays] == [(second, "a second lock of the same terms")]


async def test_s11_of_two_exact_locks_in_one_block_the_earlier_transaction_is_the_leg(world: World) -> None:
    leg = await world.leg()
    for _ in range(4):
        await world.pay(leg, confirm=False)
    await world.node.mine(1)
    listed = (await world.node.rpc("getblock", (await world.node.best())[1], 1))["tx"]
    view = await world.view(leg)
    refs = [view.lock_ref, *(s.ref for s in view.strays)]
    places = [listed.index(str(ref).split(":")[0]) for ref in refs]
    assert places == sorted(places)
    assert len(refs) == 4


async def test_s12_strays_and_late_money_are_refunded_when_due(own_world: World) -> None:
    world = own_world
    timelock = int(time.time()) + 7200
    leg = await world.leg(timelock=timelock)
    refs = [await world.pay(leg, amount) for amount in (AMOUNT, AMOUNT, AMOUNT + 7, AMOUNT - 7)]
    await world.node.set_time(timelock + 60)
    await world.node.mine(11)
    refs.append(await world.pay(leg, 3 * AMOUNT))  # long after everything expired
    leg = await world.seen(leg)
    view = await world.chain.view(leg)
    assert view.lock_ref == refs[0]
    assert [s.ref for s in view.strays] == [refs[4], refs[2], refs[1], refs[3]], "the largest first"
    for stray in view.strays:
        refund = await world.send(EffectKind.REFUND, leg, stray=stray.ref)
        assert refund.spends == (stray.ref,)
        assert await world.draft(EffectKind.REFUND, leg, refund, stray=stray.ref) is None
    await world.node.mine(1)
    view = await world.view(leg)
    assert (view.state, view.strays) == (LegState.LOCKED, ())


async def test_s6_a_secret_shown_by_the_claim_of_a_stray_is_seen(world: World) -> None:
    leg = await world.leg()
    await world.pay(leg, AMOUNT + 1)
    generous = replace(leg, leg=replace(leg.leg, terms=replace(leg.leg.terms, amount=AMOUNT + 1)))
    await world.send(EffectKind.CLAIM, await world.seen(generous))
    view = await world.view(leg)
    assert (view.state, view.preimage) == (LegState.ABSENT, world.vault.preimage(leg.index))
    sightings = await world.chain.mempool([await world.seen(leg)])
    assert [s.preimage for s in sightings if s.kind is SightingKind.CLAIM] == [view.preimage]
    await world.node.mine(1)
    assert (await world.view(leg)).preimage == world.vault.preimage(leg.index)


def _invented(leg: WatchedLeg, kind: SightingKind, ref: str, txid: str, block_hash: str | None) -> Sighting:
    return Sighting(leg.swap_id, "initiator", kind, ref, txid, block_hash, 1, preimage=b"\x01" * 32)


async def test_s1_invented_sightings_change_nothing(world: World) -> None:
    """Whatever a poisoned database says was seen, only what the node has counts."""
    leg = await world.leg()
    other = await world.leg()
    foreign = await world.pay(other)
    foreign_txid = foreign.split(":")[0]
    tip = (await world.node.best())[1]
    nowhere = "ab" * 32
    refs = (foreign, f"{nowhere}:0", f"{foreign_txid}:999999", "rubbish", "", f"{nowhere}:-1", f"{nowhere}:99999999999")
    poison = tuple(
        _invented(leg, kind, ref, txid, block_hash)
        for ref in refs
        for kind in SightingKind
        for txid in (foreign_txid, nowhere, "zz", "")
        for block_hash in (None, tip, nowhere, "zz")
    )
    poisoned = replace(leg, sightings=poison)
    assert await world.chain.view(poisoned) == ABSENT_VIEW
    await world.chain.mempool([poisoned])
    cursor = (await world.chain.scan(None, [])).cursor
    await world.node.mine(1)
    assert (await world.chain.scan(cursor, [poisoned])).sightings == ()
    with pytest.raises(Rejected, match="not in a block"):
        await world.draft(EffectKind.CLAIM, poisoned)
    ref = await world.pay(leg)
    found = await world.chain.rescan([leg])
    view = await world.chain.view(replace(leg, sightings=(*poison, *found)))
    assert (view.state, view.depth, view.lock_ref, view.strays) == (LegState.LOCKED, 1, ref, ())


async def test_s1_a_sighting_of_another_legs_claim_is_not_this_legs(world: World) -> None:
    leg = await world.leg()
    other = await world.locked()
    claim = await world.send(EffectKind.CLAIM, other)
    await world.node.mine(1)
    other = await world.seen(other)
    assert (await world.chain.view(other)).spend_txid == claim.txid
    assert await world.chain.view(replace(leg, sightings=other.sightings)) == ABSENT_VIEW
    only_lock = tuple(s for s in other.sightings if s.kind is SightingKind.LOCK)
    assert await world.chain.view(replace(leg, sightings=only_lock)) == ABSENT_VIEW


async def test_s1_a_lock_that_was_claimed_is_not_locked_for_want_of_a_sighting(world: World) -> None:
    leg = await world.locked()
    only_lock = tuple(s for s in leg.sightings if s.kind is SightingKind.LOCK)
    await world.send(EffectKind.CLAIM, leg)
    await world.node.mine(2)
    view = await world.chain.view(replace(leg, sightings=only_lock))
    assert (view.state, view.depth, view.preimage) == (LegState.CLAIMED, 2, world.vault.preimage(leg.index))


async def test_s11_only_the_fifty_largest_strays_are_shown_and_dust_is_not_to_be_refunded(world: World) -> None:
    leg = await world.leg()
    least = people.least_refund(leg.leg, "regtest", world.chain._settings.fee.floor_rate)
    amounts = [*range(least - 5, least), *range(least, least + 50)]
    coin = max(await world.node.rpc("listunspent", wallet="miner"), key=lambda coin: coin["amount"])
    change = await world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    address = world.chain.fingerprint(leg.leg.terms)
    rest = satoshi(Decimal(str(coin["amount"]))) - sum(amounts) - 10_000
    script = CScript(output_script(address, "regtest", "address"))
    outputs = [CTxOut(amount, script) for amount in amounts]
    outputs.append(CTxOut(rest, CScript(output_script(change, "regtest", "address"))))
    raw = CTransaction([CTxIn(COutPoint(lx(coin["txid"]), coin["vout"]))], outputs).serialize().hex()
    signed = await world.node.rpc("signrawtransactionwithwallet", raw, wallet="miner")
    await world.node.rpc("sendrawtransaction", signed["hex"])
    await world.node.mine(1)
    leg = await world.seen(leg)
    strays = (await world.chain.view(leg)).strays
    assert [stray.amount for stray in strays] == sorted(amounts, reverse=True)[:50]
    assert all(stray.refundable for stray in strays)
    few = tuple(s for s in leg.sightings if int(s.ref.split(":")[1]) < 10)
    strays = (await world.chain.view(replace(leg, sightings=few))).strays
    assert [(stray.amount, stray.refundable) for stray in strays] == [
        (amount, amount >= least) for amount in sorted(amounts[:10], reverse=True)
    ]
    assert "does not pay for its own refund" in strays[-1].way_back


async def _calls_of(world: World, leg: WatchedLeg) -> int:
    before = world.chain.rpc.calls
    assert await world.chain.view(leg) == ABSENT_VIEW
    return world.chain.rpc.calls - before


def _lost(leg: WatchedLeg, count: int, block_hash: str | None, height: int | None) -> WatchedLeg:
    """With that many sightings of locks that are nowhere."""
    txids = [f"{number:064x}" for number in range(1, count + 1)]
    found = [_invented(leg, SightingKind.LOCK, f"{x}:0", x, block_hash) for x in txids]
    return replace(leg, sightings=tuple(replace(each, height=height) for each in found))


async def _spent(world: World, leg: WatchedLeg, count: int) -> WatchedLeg:
    """With locks that were really made, and spent where nobody saw it."""
    for _ in range(count):
        await world.pay(leg)
    leg = await world.seen(leg)
    for ref in {sighting.ref for sighting in leg.sightings}:
        await world.send(EffectKind.CLAIM, replace(leg, sightings=tuple(s for s in leg.sightings if s.ref == ref)))
    await world.node.mine(1)
    return leg


async def _looked(world: World, leg: WatchedLeg) -> tuple[LegState, int]:
    before = world.chain.rpc.calls
    return (await world.chain.view(leg)).state, world.chain.rpc.calls - before


async def test_one_search_reads_each_block_once_however_many_outputs_were_spent_and_what_it_found_is_remembered(
    world: World,
) -> None:
    leg = await world.leg()
    await world.node.mine(10)
    leg = await _spent(world, leg, 3)
    length = (await world.node.best())[0] - leg.birth + 1
    state, calls = await _looked(world, leg)
    assert (state, length <= calls <= length + 8) == (LegState.CLAIMED, True)
    assert await _looked(world, leg) < (LegState.CLAIMED, 8)


@pytest.mark.parametrize("count", [1, 300])
async def test_locks_that_no_block_of_this_node_ever_held_cost_no_search_at_all(world: World, count: int) -> None:
    """Replaced in the mempool, reorganised away, or invented by another node: as if in a block that there is, or not,
    before the leg was born or after the tip."""
    leg = await world.leg()
    await world.node.mine(10)
    height, tip = await world.node.best()
    old = await world.node.rpc("getblockhash", leg.birth - 1)
    for block_hash, at in ((None, None), ("ab" * 32, height), (tip, height), (old, leg.birth - 1), (tip, 10**9)):
        assert await _calls_of(world, _lost(leg, count, block_hash, at)) <= 3 + 1 + -(-count // 100)


async def test_s7_another_nodes_inventions_do_not_blind_this_one_to_what_is_there(world: World) -> None:
    leg = await world.leg()
    ref = await world.pay(leg)
    _, tip = await world.node.best()
    leg = await world.seen(leg)
    liar = _lost(leg, 1500, tip, leg.birth + 1).sightings
    view = await world.chain.view(replace(leg, sightings=(*liar, *leg.sightings)))
    assert (view.state, view.lock_ref) == (LegState.LOCKED, ref)
    await world.send(EffectKind.CLAIM, leg)
    await world.node.mine(1)
    view = await world.chain.view(replace(leg, sightings=(*leg.sightings, *liar)))
    assert view.state is LegState.CLAIMED


async def test_a_long_search_says_so_and_goes_on_at_the_next_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST_BLOCKS", 4)
    leg = await world.leg()
    await world.pay(leg)
    leg = await world.seen(leg)
    await world.node.mine(7)
    claim = await world.send(EffectKind.CLAIM, leg)
    await world.node.mine(1)
    for _ in range(2):  # ten blocks, from the leg's birth on
        before = world.chain.rpc.calls
        with pytest.raises(Unavailable, match="still to be searched"):
            await world.chain.view(leg)
        assert world.chain.rpc.calls - before <= 4 + 8
    view = await world.chain.view(leg)
    assert (view.state, view.depth, view.spend_txid) == (LegState.CLAIMED, 1, claim.txid)
    before = world.chain.rpc.calls
    assert await world.chain.view(leg) == view
    assert world.chain.rpc.calls - before <= 6, "what was found is remembered"


async def test_hints_of_a_flood_still_lead_to_what_may_be_the_leg(world: World) -> None:
    leg = await world.leg()
    ref = await world.pay(leg)
    (found,) = await world.chain.rescan([leg])
    strays = [_invented(leg, SightingKind.STRAY, f"{n:064x}:0", "ab" * 32, "ab" * 32) for n in range(MOST_MINED + 10)]
    pending = [_invented(leg, SightingKind.LOCK, f"{n:064x}:1", "ab" * 32, None) for n in range(MOST_PENDING + 10)]
    hints = hints_of([*strays, *pending, found])
    assert len(hints) == MOST_MINED + MOST_PENDING
    assert str(next(iter(hints))) == ref
    assert f"{MOST_PENDING + 9:064x}:1" in map(str, hints), "of the pending ones the newest"


async def test_s1_a_node_that_is_behind_the_swaps_birth_says_nothing_about_it(world: World) -> None:
    leg = await world.leg()
    early = replace(leg, birth=leg.birth + 2)
    with pytest.raises(Unavailable, match=f"tip {leg.birth} is below the height {leg.birth + 2}"):
        await world.chain.view(early)
    await world.node.mine(2)
    assert await world.chain.view(early) == ABSENT_VIEW
