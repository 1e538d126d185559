"""Locks, claims and refunds by swapd, on a replica with the real canister and a ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swapd.chains.base import TxState
from swapd.chains.icp import interface
from swapd.chains.icp.canister import COMPLETE, INITIATE, RESUME
from swapd.chains.icp.ledger import APPROVE
from swapd.errors import Invalid, Rejected
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from tests.chains.icp.proxy import reply
from tests.chains.icp.world import ALICE, BOB, DAY, FEE, ICP, PREIMAGE, World

LOCK, CLAIM, REFUND = EffectKind.LOCK, EffectKind.CLAIM, EffectKind.REFUND


def method(world: World, raw: bytes) -> str:
    return world.chain._agent.parse_call(raw).method


async def test_a_lock_is_an_approval_and_a_lock(world: World) -> None:
    leg = world.leg()
    before = world.balance(world.own)
    approval, lock = await world.lock(leg)
    assert (method(world, approval.raw), method(world, lock.raw)) == (APPROVE, INITIATE)
    assert (world.chain.prepares(approval), world.chain.prepares(lock)) == (True, False)
    view = await world.view(leg)
    assert (view.state, view.depth, view.lock_ref) == (LegState.LOCKED, 1, world.swap_id(leg).hex())
    assert world.balance(world.own) == before - ICP - 3 * FEE
    assert world.balance(world.escrow.account_of(world.swap_id(leg))) == ICP + FEE
    assert [(await world.chain.fate(tx)).state for tx in (approval, lock)] == [TxState.MINED, TxState.MINED]
    assert await world.draft(LOCK, leg, [approval, lock]) is None


async def test_costs_are_what_a_lock_takes(world: World) -> None:
    leg = world.leg()
    before = world.balance(world.own)
    assert await world.chain.balances() == {"ICP": before}
    await world.lock(leg)
    assert await world.chain.costs(leg.leg) == {"ICP": before - world.balance(world.own)}


async def test_a_claim_pays_the_receiver(world: World) -> None:
    leg, before = world.leg(), world.balance(BOB)
    await world.lock(leg)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    view = await world.view(leg)
    assert (view.state, view.depth, view.preimage) == (LegState.CLAIMED, 1, PREIMAGE)
    assert world.balance(BOB) == before + ICP
    assert world.balance(world.escrow.account_of(world.swap_id(leg))) == 0
    assert (await world.chain.fate(claim)).state is TxState.MINED
    assert await world.draft(CLAIM, leg, [claim], secret=PREIMAGE) is None


async def test_a_refund_pays_the_sender_when_it_is_due(world: World) -> None:
    world.sweep_but_once_a_day()
    leg = world.leg(timelock=world.start + 7_200)
    await world.lock(leg)
    early = await world.send(REFUND, leg)
    assert (await world.chain.fate(early)).state is TxState.FAILED
    with pytest.raises(Rejected, match="DeadlineNotReached"):
        await world.draft(REFUND, leg, [early])
    before = world.balance(world.own)
    world.replica.advance(7_200)
    await world.send(REFUND, leg, [early])
    view = await world.view(leg)
    assert (view.state, view.depth) == (LegState.REFUNDED, 1)
    assert world.balance(world.own) == before + ICP


async def test_what_is_due_comes_back_without_anybody(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.replica.advance(DAY + 61)
    assert (await world.view(leg)).state is LegState.REFUNDED
    assert await world.draft(REFUND, leg) is None


# -- S4: sent twice, done once ----------------------------------------------------------------


async def test_s4_the_same_bytes_twice_are_one_lock(world: World) -> None:
    leg = world.leg()
    _, lock = await world.lock(leg)
    before = world.balance(world.own)
    await world.chain.broadcast(lock)
    world.replica.settle()
    assert world.balance(world.own) == before


async def test_s4_another_request_for_the_same_lock_is_the_same_lock(world: World) -> None:
    leg = world.leg()
    approval = await world.send(LOCK, leg)
    first = await world.sign(LOCK, leg, [approval])
    second = await world.sign(LOCK, leg, [approval])
    assert first.txid != second.txid
    before = world.balance(world.own)
    for tx in (first, second):
        await world.chain.broadcast(tx)
        world.replica.settle()
    assert world.balance(world.own) == before - ICP - 2 * FEE
    assert (await world.chain.fate(second)).state is TxState.MINED


async def test_s4_no_second_request_is_drafted_while_one_may_still_be_taken(world: World) -> None:
    leg = world.leg()
    approval = await world.sign(LOCK, leg)
    assert (await world.chain.fate(approval)).state is TxState.MISSING
    assert await world.draft(LOCK, leg, [approval]) is None


async def test_s10_a_request_is_given_up_only_when_it_is_proven_that_it_never_comes(world: World) -> None:
    leg = world.leg()
    world.proxy.kept.add(APPROVE)
    kept = await world.send(LOCK, leg)
    assert (await world.chain.fate(kept)).state is TxState.MISSING
    world.replica.advance(119)
    assert (await world.chain.fate(kept)).state is TxState.MISSING
    world.replica.advance(2)
    assert (await world.chain.fate(kept)).state is TxState.REPLACED
    world.proxy.kept.clear()
    with pytest.raises(Rejected):
        await world.chain.broadcast(kept)
    assert world.chain.prepares(await world.send(LOCK, leg))


async def test_two_locks_do_not_share_an_approval(world: World) -> None:
    one, other = world.leg(), world.leg(preimage=bytes(32))
    approvals = [await world.send(LOCK, leg) for leg in (one, other)]
    for leg, approval in zip((one, other), approvals, strict=True):
        assert not world.chain.prepares(await world.send(LOCK, leg, [approval]))
        assert (await world.view(leg)).state is LegState.LOCKED


async def test_a_ledgers_lie_about_the_allowance_costs_one_approval(world: World) -> None:
    leg = world.leg()
    world.proxy.instead["icrc2_allowance"] = reply(interface.Allowance, {"allowance": 0, "expires_at": None})
    approval, lock = await world.lock(leg)
    assert (method(world, approval.raw), method(world, lock.raw)) == (APPROVE, INITIATE)
    assert (await world.view(leg)).state is LegState.LOCKED


# -- S3 ----------------------------------------------------------------


async def test_s3_no_lock_is_drafted_after_fund_by(world: World) -> None:
    leg = world.leg()
    world.replica.advance(3_601)
    with pytest.raises(Rejected, match="too late to lock"):
        await world.draft(LOCK, leg)


async def test_s3_a_lock_that_comes_after_fund_by_is_refused_by_the_canister(world: World) -> None:
    leg = world.leg()
    approval = await world.send(LOCK, leg)
    world.replica.advance(3_590)
    lock = await world.sign(LOCK, leg, [approval])
    world.replica.advance(20)
    before = world.balance(world.own)
    await world.chain.broadcast(lock)
    world.replica.settle()
    assert (await world.chain.fate(lock)).state is TxState.FAILED
    assert (await world.view(leg)).state is LegState.ABSENT
    assert world.balance(world.own) == before


# -- the program that runs ----------------------------------------------------------------


async def test_an_unknown_program_gets_no_money_and_no_secret_but_exits_go_on(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    async with world.another_chain(module_hashes=("00" * 32,)) as wary:
        mine = replace(world, chain=wary)
        with pytest.raises(Rejected, match="not in module_hashes"):
            await mine.draft(LOCK, world.leg(preimage=bytes(32)))
        with pytest.raises(Rejected, match="not in module_hashes"):
            await mine.draft(CLAIM, leg, secret=PREIMAGE, reveals=True)
        assert await mine.draft(CLAIM, leg, secret=PREIMAGE) is not None
        assert await mine.draft(REFUND, leg) is not None


async def test_what_an_unknown_program_shows_is_never_final_and_yet_there_for_exits(world: World) -> None:
    """S1, S2: nothing on another chain may rest on it."""
    leg = world.leg(sender=ALICE.text)
    world.lock_by(ALICE, leg.leg.terms)
    async with world.another_chain(module_hashes=("00" * 32,)) as wary:
        view = await wary.view(leg)
        assert (view.state, view.depth) == (LegState.LOCKED, 0)
    assert (await world.view(leg)).depth == 1


async def test_the_program_that_is_trusted_is_used(world: World) -> None:
    running = world.replica.canister(world.canister).module
    assert running is not None
    async with world.another_chain(module_hashes=("00" * 32, running.hash.hex())) as wary:
        assert await replace(world, chain=wary).draft(LOCK, world.leg()) is not None


# -- a ledger that is in trouble ----------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"Err": {"TemporarilyUnavailable": None}}, {"RejectBefore": None}])
async def test_a_claim_whose_payout_fails_is_under_way_and_resumed(world: World, fault: dict[str, None]) -> None:
    leg, before = world.leg(), world.balance(BOB)
    await world.lock(leg)
    world.misbehave("icrc1_transfer", fault)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    view = await world.view(leg)
    assert (view.state, view.depth, view.preimage) == (LegState.CLAIMED, 0, PREIMAGE)
    assert (await world.chain.fate(claim)).state is TxState.FAILED
    with pytest.raises(Rejected, match="LedgerUnavailable"):  # not at once again
        await world.draft(CLAIM, leg, [claim], secret=PREIMAGE)
    world.replica.clock.advance(5)
    again = await world.send(CLAIM, leg, [claim], secret=PREIMAGE)
    assert method(world, again.raw) == RESUME
    assert (await world.view(leg)).depth == 1
    assert world.balance(BOB) == before + ICP


async def test_a_payout_that_was_made_and_denied_is_not_made_twice(world: World) -> None:
    leg, before = world.leg(), world.balance(BOB)
    await world.lock(leg)
    world.misbehave("icrc1_transfer", {"RejectAfter": None})
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    assert (await world.view(leg)).depth == 0
    world.replica.clock.advance(5)
    await world.send(CLAIM, leg, [claim], secret=PREIMAGE)
    assert (await world.view(leg)).depth == 1
    assert world.balance(BOB) == before + ICP


async def test_a_lock_whose_funding_fails_is_taken_up_again(world: World) -> None:
    leg = world.leg()
    approval = await world.send(LOCK, leg)
    world.misbehave("icrc2_transfer_from", {"Err": {"TemporarilyUnavailable": None}})
    lock = await world.send(LOCK, leg, [approval])
    assert (await world.view(leg)).state is LegState.SEEN
    assert (await world.chain.fate(lock)).state is TxState.FAILED
    world.replica.clock.advance(9)
    again = await world.send(LOCK, leg, [approval, lock])
    assert method(world, again.raw) == RESUME
    assert (await world.view(leg)).state is LegState.LOCKED


# -- claims ----------------------------------------------------------------


async def test_s9_the_secret_goes_to_the_network_in_the_claim_alone(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    claim = await world.sign(CLAIM, leg, secret=PREIMAGE)
    assert not any(PREIMAGE in body for body in world.proxy.seen)
    await world.chain.broadcast(claim)
    assert sum(PREIMAGE in body for body in world.proxy.seen) == 1
    assert repr(PREIMAGE)[2:-1] not in repr(claim)


@pytest.mark.parametrize("secret", [None, bytes(32), bytes(31)])
async def test_a_claim_without_the_secret_is_refused(world: World, secret: bytes | None) -> None:
    leg = world.leg()
    await world.lock(leg)
    with pytest.raises(Invalid) as caught:
        await world.draft(CLAIM, leg, secret=secret)
    assert secret is None or secret.hex() not in str(caught.value)


async def test_a_claim_of_nothing_is_not_sent(world: World) -> None:
    with pytest.raises(Rejected, match="no such lock"):
        await world.draft(CLAIM, world.leg(), secret=PREIMAGE)
    assert COMPLETE not in world.proxy.calls


async def test_a_claim_of_what_was_refunded_is_not_sent(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.replica.advance(DAY + 61)
    with pytest.raises(Rejected, match="Refunded"):
        await world.draft(CLAIM, leg, secret=PREIMAGE)


async def test_somebody_elses_claim_is_as_good_as_ours(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    assert "Ok" in world.complete_by(ALICE, world.swap_id(leg))
    assert await world.draft(CLAIM, leg, secret=PREIMAGE) is None


async def test_only_our_own_money_is_locked(world: World) -> None:
    with pytest.raises(Invalid, match="sender"):
        await world.draft(LOCK, world.leg(sender=ALICE.text))
