"""Our locks found by our address alone, and the notes that they carry behind their calldata (rule S14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.chains.abilities import Clues, Trace
from swapd.chains.base import SignedTx, WatchedLeg
from swapd.chains.ethereum.chain import EthereumChain
from swapd.chains.ethereum.htlc import HtlcTerms
from swapd.chains.ethereum.transactions import attempt_of
from swapd.errors import Invalid
from swapd.protocol.effects import EffectKind
from swapd.protocol.note import LONG, SHORT, Note, Unseen
from swapd.protocol.observation import LegState
from tests.chains.ethereum.test_tokens import lock_token, tok, token_artifact, world
from tests.chains.ethereum.world import PREIMAGE, World, preimage

fixtures = (token_artifact, world)  # a chain with a token on it

LOCK = EffectKind.LOCK
DEAR = Note(0xFFFFFF, 2**21 - 1, Unseen(7, b"\xff" * 34))
NO_CLUES = Clues(hashlock=lambda index: bytes(32), index=lambda low, time: low)


async def found(chain: EthereumChain, since: int = 0) -> list[Trace]:
    return list(await chain.discover(since, NO_CLUES, lambda words: None))


async def gas_of(world: World, tx: SignedTx) -> int:
    receipt = await world.node.rpc("eth_getTransactionReceipt", tx.txid)
    return int(receipt["gasUsed"], 16)


def noted(leg: WatchedLeg, note: Note = DEAR) -> WatchedLeg:
    return replace(leg, note=note.encode())


async def test_s14_a_note_changes_nothing_of_a_lock_but_16_gas_a_byte(world: World) -> None:
    plain = world.leg(preimage=preimage(1), swap_id="plain")
    short = noted(world.leg(preimage=preimage(2), swap_id="short"), Note(0xFFFFFF, 2**21 - 1))
    long = noted(world.leg(preimage=preimage(3), swap_id="long"))
    costs = [await gas_of(world, await world.lock(leg)) for leg in (plain, short, long)]
    assert {(await world.view(leg)).state for leg in (plain, short, long)} == {LegState.LOCKED}
    # a hashlock has about one zero byte in eight, which is 12 gas cheaper; the note's own bytes are all dear but two
    assert abs(costs[1] - costs[0] - 16 * SHORT) < 100
    assert abs(costs[2] - costs[0] - 16 * LONG) < 100


async def test_s14_a_lock_of_tokens_carries_its_note_too(world: World) -> None:
    plain, dear = tok(world, preimage=preimage(1), swap_id="plain"), noted(tok(world, preimage=preimage(2)))
    costs = [await gas_of(world, (await lock_token(world, leg))[-1]) for leg in (plain, dear)]
    assert (await world.view(dear)).state is LegState.LOCKED
    assert costs[1] - costs[0] < 17 * LONG
    assert [(trace.terms, trace.note) for trace in await found(world.chain)] == [
        (plain.leg.terms, None),
        (dear.leg.terms, DEAR),
    ]


async def test_s14_locks_by_us_and_for_us_are_found_whatever_became_of_them(world: World) -> None:
    ours = noted(world.leg(preimage=preimage(1), swap_id="ours"))
    for_us = world.leg(sender=world.alice, receiver=world.own, preimage=preimage(2))
    strange = world.leg(sender=world.alice, receiver=world.bob, preimage=preimage(3))
    claimed = world.leg(swap_id="claimed")
    for leg in (ours, claimed):
        await world.lock(leg)
    for leg in (for_us, strange):
        await world.lock_by(world.alice, leg.leg.terms)
    await world.send(EffectKind.CLAIM, claimed, secret=PREIMAGE)
    await world.node.mine()

    traces = await found(world.chain)

    assert [(t.terms, t.sends, t.theirs, t.note) for t in traces] == [
        (ours.leg.terms, True, world.bob, DEAR),
        (claimed.leg.terms, True, world.bob, None),
        (for_us.leg.terms, False, world.alice, None),
    ]
    tip = (await world.chain.clock()).tip
    assert all(0 < trace.height <= tip.height and world.start <= trace.time <= tip.time for trace in traces)


async def test_s14_nothing_older_than_asked_for_is_found(world: World) -> None:
    old = noted(world.leg(preimage=preimage(1)))
    await world.lock(old)
    later = world.start + 50_000
    await world.time_is(later)
    new = world.leg(preimage=preimage(2), fund_by=later + 3_600)
    await world.send(LOCK, new, now=later)
    await world.node.mine()

    assert [trace.terms for trace in await found(world.chain, later - 10)] == [new.leg.terms]
    assert len(await found(world.chain)) == 2


async def test_s14_a_forgotten_contract_is_found_by_our_locks_in_it(world: World) -> None:
    await world.lock(world.leg())
    forgetful = EthereumChain("ethereum", world.settings.model_copy(update={"contract": ""}), world.vault)
    try:
        assert await forgetful.contracts(0, lambda words: None) == [world.htlc.address]
        await world.node.mine()
        assert await forgetful.contracts(world.start + 10**6, lambda words: None) == []
    finally:
        await forgetful.close()


async def test_s4_a_lock_from_before_there_were_notes_is_the_same_lock(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    better = await world.draft(LOCK, noted(leg), [lock], left=60)
    assert better is not None
    assert better.call == attempt_of(lock).call
    await world.node.mine()
    assert await world.draft(LOCK, noted(leg), [lock]) is None


async def test_s4_another_call_is_no_attempt_at_a_lock_with_a_note(world: World) -> None:
    leg, other = noted(world.leg()), noted(world.leg(preimage=preimage(5)))
    lock = await world.send(LOCK, other)
    with pytest.raises(Invalid, match="attempts at this very effect"):
        await world.draft(LOCK, leg, [lock])
    assert world.htlc.note(HtlcTerms.of(leg.leg.terms), attempt_of(lock).call) is None
    assert world.htlc.note(HtlcTerms.of(other.leg.terms), attempt_of(lock).call) == DEAR.encode()
