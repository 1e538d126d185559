"""Locks, claims and refunds on a real anvil: what is sent, what replaces it, what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.base import Fate, SignedTx, TxState
from swapd.chains.ethereum.act import MOST_FOREIGN_GAS, MOST_REVERTED
from swapd.chains.ethereum.fate import SETTLED_BLOCKS
from swapd.chains.ethereum.htlc import HtlcTerms
from swapd.chains.ethereum.transactions import attempt_of
from swapd.errors import Invalid, Rejected, Unavailable, Unknown
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.terms import Role
from tests.chains.ethereum import proxy
from tests.chains.ethereum.world import ETHER, GWEI, PREIMAGE, World, preimage

LOCK, CLAIM, REFUND = EffectKind.LOCK, EffectKind.CLAIM, EffectKind.REFUND


async def test_a_leg_is_locked_and_claimed_and_every_wei_is_accounted_for(world: World) -> None:
    leg = world.leg()
    ours, bobs = await world.balance(world.own), await world.balance(world.bob)
    lock = await world.lock(leg)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    await world.node.mine()
    fees = [(await world.chain.fate(tx)).fee for tx in (lock, claim)]
    assert all(fee is not None and 0 < fee <= tx.fee for fee, tx in zip(fees, (lock, claim), strict=True))
    assert await world.balance(world.bob) == bobs + leg.leg.terms.amount
    assert await world.balance(world.own) == ours - leg.leg.terms.amount - sum(fee or 0 for fee in fees)
    view = await world.view(leg)
    assert (view.state, view.preimage, view.spend_txid) == (LegState.CLAIMED, PREIMAGE, claim.txid)


async def test_a_leg_of_somebody_else_is_claimed_for_swapd_and_refunded_for_its_sender(world: World) -> None:
    one, two = (world.leg(sender=world.alice, receiver=world.own, preimage=preimage(n), swap_id=str(n)) for n in (1, 2))
    for leg in (one, two):
        await world.lock_by(world.alice, leg.leg.terms)
    claim = await world.send(CLAIM, one, secret=preimage(1))
    await world.time_is(two.leg.terms.timelock)
    alices = await world.balance(world.alice)
    refund = await world.send(REFUND, two)
    await world.node.mine()
    assert [(await world.chain.fate(tx)).state for tx in (claim, refund)] == [TxState.MINED, TxState.MINED]
    assert await world.balance(world.alice) == alices + two.leg.terms.amount


# -- rule S4 -----------------------------------------------------------------------------------------------------------


async def test_s4_a_lock_whose_attempt_is_good_enough_is_not_drafted_again(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    assert await world.draft(LOCK, leg, [lock]) is None
    await world.node.mine()
    assert await world.draft(LOCK, leg, [lock]) is None


async def test_s4_a_lock_is_only_ever_replaced_by_the_very_same_call_at_the_same_nonce(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    again = await world.draft(LOCK, leg, [lock], left=0)
    assert again is not None
    assert again.account is None
    bumped = again.sign(None)
    before, after = attempt_of(lock), attempt_of(bumped)
    assert (after.call, after.nonce, after.gas) == (before.call, before.nonce, before.gas)
    assert bumped.rate > lock.rate
    await world.chain.broadcast(bumped)
    await world.node.mine()
    assert (await world.chain.fate(bumped)).state is TxState.MINED
    assert (await world.chain.fate(lock)).state is TxState.REPLACED


async def test_s4_the_contract_refuses_a_second_lock_and_it_is_not_built(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    with pytest.raises(Rejected, match=f"UsedBefore.id={world.chain.fingerprint(leg.leg.terms)}"):
        await world.draft(LOCK, leg)


async def test_s4_a_lock_that_was_claimed_is_not_drafted_again(world: World) -> None:
    leg = world.leg()
    lock = await world.lock(leg)
    await world.claim_by(world.bob, leg)
    await world.node.mine()
    assert await world.draft(LOCK, leg, [lock]) is None
    with pytest.raises(Rejected, match="UsedBefore"):
        await world.draft(LOCK, leg)


async def test_s4_stored_attempts_of_another_effect_are_refused(world: World) -> None:
    one, two = world.leg(preimage=preimage(1)), world.leg(preimage=preimage(2))
    lock = await world.send(LOCK, one)
    with pytest.raises(Invalid, match="sent"):
        await world.draft(LOCK, two, [lock], left=0)


async def test_s4_a_voided_lock_never_takes_its_nonce_back(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    draft = await world.chain.void([lock])
    assert draft is not None
    void = draft.sign(None)
    assert attempt_of(void).nonce == lock.sequence
    await world.chain.broadcast(void)
    assert await world.draft(LOCK, leg, [lock, void], left=0) is None
    await world.node.mine()
    assert (await world.chain.fate(void)).state is TxState.MINED
    assert (await world.chain.fate(lock)).state is TxState.REPLACED
    assert (await world.view(leg)).state is LegState.ABSENT
    assert await world.chain.void([lock, void]) is None


async def test_s4_a_mined_lock_can_not_be_voided(world: World) -> None:
    leg = world.leg()
    lock = await world.lock(leg)
    assert await world.chain.void([lock]) is None


async def test_s4_a_lock_that_was_never_broadcast_is_voided_at_its_nonce(world: World) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    lock = draft.sign(draft.floor)
    void = await world.chain.void([lock])
    assert void is not None
    await world.chain.broadcast(void.sign(None))
    await world.node.mine()
    assert (await world.chain.fate(lock)).state is TxState.REPLACED


def market(base_fee: int, priority: int) -> proxy.Answer:
    """What others pay, in wei per gas."""
    return proxy.result({"baseFeePerGas": [hex(base_fee)], "reward": [[hex(priority)]]})


async def test_s4_a_void_that_got_stuck_is_replaced_by_dearer_ones_until_it_is_good_enough(world: World) -> None:
    leg = world.leg()
    sent = [await world.send(LOCK, leg)]
    for priority in (0, 20 * GWEI, 100 * GWEI):
        world.proxy.instead["eth_feeHistory"] = market(GWEI, priority)
        draft = await world.chain.void(sent)
        assert draft is not None
        void = draft.sign(None)
        last, now = attempt_of(sent[-1]), attempt_of(void)
        assert (now.nonce, now.call.to, now.call.value, now.call.data) == (last.nonce, world.own, 0, b"")
        assert now.fees.max_fee * 100 >= last.fees.max_fee * 113
        assert now.fees.priority * 100 >= last.fees.priority * 113
        await world.chain.broadcast(void)
        sent.append(void)
        assert await world.chain.void(sent) is None, "it is good enough now"
    await world.node.mine()
    assert [(await world.chain.fate(tx)).state for tx in sent] == [TxState.REPLACED] * 3 + [TxState.MINED]
    world.proxy.instead["eth_feeHistory"] = market(GWEI, 500 * GWEI)
    assert await world.chain.void(sent) is None, "its nonce is used"


async def test_s4_a_void_above_the_cap_because_of_what_it_had_to_outbid_is_still_bumped(world: World) -> None:
    world.proxy.instead["eth_feeHistory"] = market(500 * GWEI, GWEI)
    sent = [await world.send(LOCK, world.leg(), left=0)]
    assert attempt_of(sent[0]).fees.max_fee == world.settings.fee_cap_at_deadline
    for priority in (GWEI, 50 * GWEI):
        world.proxy.instead["eth_feeHistory"] = market(GWEI, priority)
        draft = await world.chain.void(sent)
        assert draft is not None
        sent.append(draft.sign(None))
        await world.chain.broadcast(sent[-1])
    assert attempt_of(sent[-1]).fees.priority == 500 * GWEI


async def test_a_void_is_not_bumped_while_the_cap_is_below_what_any_block_takes(world: World) -> None:
    lock = await world.send(LOCK, world.leg())
    draft = await world.chain.void([lock])
    assert draft is not None
    world.proxy.instead["eth_feeHistory"] = market(2 * world.settings.fee_cap_at_deadline, 0)
    assert await world.chain.void([lock, draft.sign(None)]) is None


async def test_s4_every_open_nonce_is_voided_the_lowest_first(world: World) -> None:
    one, two = [await world.send(LOCK, world.leg(preimage=preimage(n))) for n in (1, 2)]
    sent = [one, two]
    for nonce in (one.sequence, two.sequence):
        draft = await world.chain.void(sent)
        assert draft is not None
        assert draft.nonce == nonce
        sent.append(draft.sign(None))
        await world.chain.broadcast(sent[-1])
    assert await world.chain.void(sent) is None


async def test_s3_no_lock_is_drafted_or_bumped_after_fund_by(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    late = leg.leg.terms.fund_by + 1
    for sent in ([], [lock]):
        with pytest.raises(Rejected, match="too late to lock"):
            await world.draft(LOCK, leg, sent, now=late)
    await world.node.rpc("anvil_dropTransaction", lock.txid)
    await world.time_is(late)
    with pytest.raises(Rejected, match="too late to lock"):
        await world.draft(LOCK, leg)


async def test_s3_a_lock_that_is_mined_after_fund_by_locks_nothing(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    await world.time_is(leg.leg.terms.fund_by + 1)
    fate = await world.chain.fate(lock)
    assert fate.state is TxState.FAILED
    assert (await world.view(leg)).state is LegState.ABSENT


async def test_a_lock_must_come_from_swapds_own_account(world: World) -> None:
    with pytest.raises(Invalid, match="sender"):
        await world.draft(LOCK, world.leg(sender=world.alice))


async def test_a_lock_that_the_account_can_not_pay_is_refused_with_both_figures(world: World) -> None:
    await world.node.set_balance(world.own, ETHER // 10 + 1000)
    with pytest.raises(Rejected, match=f"has {ETHER // 10 + 1000} wei"):
        await world.draft(LOCK, world.leg())


# -- nonces and fees ---------------------------------------------------------------------------------------------------


async def test_the_nonce_floor_counts_what_waits_in_the_mempool(world: World) -> None:
    first = await world.send(LOCK, world.leg(preimage=preimage(1)))
    draft = await world.draft(LOCK, world.leg(preimage=preimage(2)))
    assert draft is not None
    assert draft.account == world.own
    assert draft.floor == (first.sequence or 0) + 1
    with pytest.raises(Invalid, match="sequence"):
        draft.sign(first.sequence)


async def test_a_caller_that_knows_better_may_use_a_higher_nonce(world: World) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    assert draft.sign(draft.floor + 5).sequence == draft.floor + 5


async def test_a_claim_is_bumped_as_its_deadline_comes_near_and_anvil_takes_each_replacement(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    sent = [await world.send(CLAIM, leg, secret=PREIMAGE)]
    for left in range(1700, -100, -100):
        draft = await world.draft(CLAIM, leg, sent, secret=PREIMAGE, left=left)
        if draft is not None:
            tx = draft.sign(None)
            await world.chain.broadcast(tx)
            old, new = attempt_of(sent[-1]), attempt_of(tx)
            assert new.nonce == old.nonce
            assert new.fees.max_fee * 8 >= old.fees.max_fee * 9
            assert new.fees.priority * 8 >= old.fees.priority * 9
            sent.append(tx)
    assert 4 <= len(sent) <= 20
    await world.node.mine()
    assert [(await world.chain.fate(tx)).state for tx in sent] == [TxState.REPLACED] * (len(sent) - 1) + [TxState.MINED]


async def test_an_older_attempt_that_was_mined_ends_the_replacements(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    first = await world.send(CLAIM, leg, secret=PREIMAGE)
    draft = await world.draft(CLAIM, leg, [first], secret=PREIMAGE, left=0)
    assert draft is not None
    unsent = draft.sign(None)
    await world.node.mine()
    assert await world.draft(CLAIM, leg, [first, unsent], secret=PREIMAGE, left=0) is None


# -- simulation --------------------------------------------------------------------------------------------------------


async def test_a_claim_of_what_is_not_locked_is_not_built_and_its_secret_not_shown_to_the_node(world: World) -> None:
    with pytest.raises(Rejected, match="NotLocked"):
        await world.draft(CLAIM, world.leg(), secret=PREIMAGE)
    assert world.proxy.calls["eth_estimateGas"] == world.proxy.calls["eth_call"] == 0


async def test_a_claim_without_the_right_secret_is_the_callers_fault_and_shows_no_secret(world: World) -> None:
    for secret in (None, preimage(7), PREIMAGE + b"\0"):
        with pytest.raises(Invalid, match="preimage") as caught:
            await world.draft(CLAIM, world.leg(), secret=secret)
        assert secret is None or secret.hex() not in str(caught.value)


async def test_s9_no_repr_shows_the_secret_of_a_claim(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    draft = await world.draft(CLAIM, leg, secret=PREIMAGE)
    assert draft is not None
    tx = draft.sign(draft.floor)
    assert PREIMAGE in tx.raw
    for shown in (repr(draft), repr(tx), repr(attempt_of(tx)), repr(world.chain)):
        assert PREIMAGE.hex() not in shown
        assert repr(PREIMAGE)[2:-1] not in shown


async def test_s9_an_answer_that_repeats_a_claim_is_cut_out_of_the_error(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead["eth_estimateGas"] = lambda params, answer: proxy.error(-32000, str(params))(params, answer)
    with pytest.raises(Rejected) as caught:
        await world.draft(CLAIM, leg, secret=PREIMAGE)
    assert PREIMAGE.hex() not in str(caught.value)


async def test_s5_a_refund_is_possible_exactly_when_the_clock_says_so(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    timelock = leg.leg.terms.timelock
    await world.time_is(timelock - 1)
    assert (await world.chain.clock()).time == timelock - 1
    with pytest.raises(Rejected, match=f"NotDue.timelock={timelock}"):
        await world.draft(REFUND, leg)
    await world.time_is(timelock)
    clock = await world.chain.clock()
    assert clock.time == timelock == clock.tip.time
    refund = await world.send(REFUND, leg)
    await world.node.set_next_timestamp(timelock + 1)  # the earliest that a next block can have
    await world.node.mine()
    assert (await world.chain.fate(refund)).state is TxState.MINED
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_s5_a_refund_mined_in_the_very_second_of_the_timelock_succeeds_and_one_before_does_not(
    world: World,
) -> None:
    one, two = (world.leg(preimage=preimage(n)) for n in (1, 2))
    for leg in (one, two):
        await world.lock(leg)
    htlc, timelock = world.htlc, one.leg.terms.timelock
    early = await world.call(world.alice, htlc.refund(HtlcTerms.of(one.leg.terms)))
    await world.time_is(timelock - 1)
    on_time = await world.call(world.alice, htlc.refund(HtlcTerms.of(two.leg.terms)))
    await world.time_is(timelock)
    receipts = [await world.node.rpc("eth_getTransactionReceipt", txid) for txid in (early, on_time)]
    assert [receipt["status"] for receipt in receipts] == ["0x0", "0x1"]


async def test_s5_a_due_refund_is_drafted_although_a_claim_is_pending(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.time_is(leg.leg.terms.timelock)
    await world.claim_by(world.bob, leg)
    assert await world.draft(REFUND, leg) is not None


async def test_s6_a_claim_is_possible_long_after_the_timelock(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.time_is(leg.leg.terms.timelock + 1_000_000)
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    await world.node.mine()
    assert (await world.chain.fate(claim)).state is TxState.MINED


async def test_the_refund_of_a_stray_is_left_to_its_owner(world: World) -> None:
    leg = world.leg()
    with pytest.raises(Invalid, match="way back"):
        await world.chain.draft(Effect(REFUND, Role.PARTICIPANT, 0, stray="0x" + "11" * 32), leg, None, [], 0)


# -- a claim's simulation shows the node its secret --------------------------------------------------------------------


async def test_s2_nothing_is_asked_after_the_simulation_of_a_claim(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    before: list[Counter[str]] = []

    def noted(params: Any, answer: Any) -> Any:
        assert PREIMAGE.hex() in params[0]["data"]
        before.append(Counter(world.proxy.calls))
        return answer

    world.proxy.instead["eth_estimateGas"] = noted
    assert await world.draft(CLAIM, leg, secret=PREIMAGE) is not None
    assert before == [world.proxy.calls]


@pytest.mark.parametrize("method", ["eth_getStorageAt", "eth_feeHistory", "eth_getTransactionCount", "eth_getBalance"])
async def test_s2_a_claim_that_can_not_be_drafted_is_not_simulated(world: World, method: str) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.calls.clear()
    world.proxy.instead[method] = proxy.status(500)
    with pytest.raises(Unavailable):
        await world.draft(CLAIM, leg, secret=PREIMAGE)
    assert world.proxy.calls["eth_estimateGas"] == world.proxy.calls["eth_call"] == 0


async def test_s2_a_claim_that_the_account_can_not_pay_is_not_simulated(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.calls.clear()
    await world.node.set_balance(world.own, 1000)
    with pytest.raises(Rejected, match="has 1000 wei"):
        await world.draft(CLAIM, leg, secret=PREIMAGE)
    assert world.proxy.calls["eth_estimateGas"] == 0


# -- payees that are contracts -----------------------------------------------------------------------------------------


def burner(size: int) -> str:
    """Code that hashes so many bytes: PUSH3 size, PUSH0, KECCAK256, POP, STOP."""
    return f"0x62{size:06x}5f205000"


REFUSER = "0x5f5ffd"  # PUSH0, PUSH0, REVERT


@pytest.mark.parametrize("kind", [CLAIM, REFUND])
async def test_a_payee_that_burns_gas_is_left_to_its_owner_with_calldata_that_works(
    world: World, kind: EffectKind
) -> None:
    leg = world.leg(sender=world.alice, receiver=world.bob)
    payee = world.bob if kind is CLAIM else world.alice
    await world.lock_by(world.alice, leg.leg.terms)
    await world.time_is(leg.leg.terms.timelock)
    await world.node.rpc("anvil_setCode", payee, burner(300_000))
    with pytest.raises(Rejected, match=f"more than {MOST_FOREIGN_GAS} gas.*owns {payee}") as caught:
        await world.draft(kind, leg, secret=PREIMAGE)
    assert PREIMAGE.hex() not in str(caught.value)
    given = str(caught.value).partition("data 0x")[2].split(" ")[0]
    htlc, terms = world.htlc, HtlcTerms.of(leg.leg.terms)
    call = htlc.claim(terms, PREIMAGE) if kind is CLAIM else htlc.refund(terms)
    assert given.replace("00" * 32, PREIMAGE.hex(), 1 if kind is CLAIM else 0) == call.data.hex()


async def test_a_payee_that_takes_some_gas_is_paid(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.node.rpc("anvil_setCode", world.bob, burner(100_000))
    claim = await world.send(CLAIM, leg, secret=PREIMAGE)
    await world.node.mine()
    assert (await world.chain.fate(claim)).state is TxState.MINED


async def test_what_pays_our_own_account_may_take_what_it_takes(world: World) -> None:
    leg = world.leg(sender=world.alice, receiver=world.own)
    await world.lock_by(world.alice, leg.leg.terms)
    world.proxy.instead["eth_estimateGas"] = proxy.result(hex(MOST_FOREIGN_GAS * 2))
    draft = await world.draft(CLAIM, leg, secret=PREIMAGE)
    assert draft is not None
    assert draft.gas == MOST_FOREIGN_GAS * 5 // 2


async def test_a_payee_that_takes_money_in_simulations_only_is_left_to_its_owner_after_a_few_times(
    world: World,
) -> None:
    leg = world.leg()
    await world.lock(leg)
    failed: list[SignedTx] = []
    for _ in range(MOST_REVERTED):
        failed.append(await world.send(CLAIM, leg, failed, secret=PREIMAGE))
        await world.node.rpc("anvil_setCode", world.bob, REFUSER)
        await world.node.mine()
        assert (await world.chain.fate(failed[-1])).state is TxState.FAILED
        await world.node.rpc("anvil_setCode", world.bob, "0x")
    world.proxy.calls.clear()
    with pytest.raises(Rejected, match=f"reverted {MOST_REVERTED} times"):
        await world.draft(CLAIM, leg, failed, secret=PREIMAGE)
    assert world.proxy.calls["eth_estimateGas"] == 0


# -- outcomes ----------------------------------------------------------------------------------------------------------


async def test_a_reverted_transaction_is_a_failure_with_a_fee_and_is_sent_anew_if_it_can_succeed_now(
    world: World,
) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.time_is(leg.leg.terms.timelock)
    refund = await world.send(REFUND, leg)
    await world.node.reorg(1)  # the refund, simulated in a block that was due, ends up in one that is not
    await world.chain.broadcast(refund)
    await world.time_is(leg.leg.terms.timelock - 10)
    fate = await world.chain.fate(refund)
    assert fate.state is TxState.FAILED
    assert fate.fee is not None
    assert fate.depth == 1
    with pytest.raises(Rejected, match="NotDue"):
        await world.draft(REFUND, leg, [refund])
    await world.time_is(leg.leg.terms.timelock)
    anew = await world.draft(REFUND, leg, [refund])
    assert anew is not None
    assert anew.account == world.own
    assert anew.floor == (refund.sequence or 0) + 1
    await world.chain.broadcast(anew.sign(anew.floor))
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.REFUNDED


async def test_s7_a_transaction_that_lost_its_nonce_comes_to_rest_once_no_block_can_give_it_back(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    await world.send(LOCK, leg, [lock], left=0)
    await world.node.mine(SETTLED_BLOCKS - 1)
    assert await world.chain.fate(lock) == Fate(TxState.REPLACED, 0)
    await world.node.mine()
    fate = await world.chain.fate(lock)
    assert fate.state is TxState.REPLACED
    assert fate.depth == (await world.node.best())[0] + 1


async def test_s7_a_transaction_that_a_reorg_threw_out_is_missing_and_its_bytes_are_taken_again(world: World) -> None:
    leg = world.leg()
    lock = await world.lock(leg)
    await world.node.mine(2)
    assert await world.chain.fate(lock) == replace(await world.chain.fate(lock), state=TxState.MINED, depth=3)
    await world.node.reorg(3)
    assert (await world.chain.fate(lock)).state is TxState.MISSING
    assert (await world.view(leg)).state is LegState.ABSENT
    await world.chain.broadcast(lock)
    assert (await world.chain.fate(lock)).state is TxState.PENDING
    await world.node.mine()
    assert (await world.view(leg)).state is LegState.LOCKED


async def test_s10_broadcasting_what_the_node_has_already_is_a_success(world: World) -> None:
    leg = world.leg()
    lock = await world.send(LOCK, leg)
    await world.chain.broadcast(lock)  # "already imported"
    await world.node.mine()
    await world.chain.broadcast(lock)  # "nonce too low", because of itself
    assert (await world.view(leg)).state is LegState.LOCKED


async def test_broadcasting_what_another_transaction_made_impossible_is_rejected_with_the_nodes_words(
    world: World,
) -> None:
    draft, other = await world.draft(LOCK, world.leg()), await world.draft(LOCK, world.leg(preimage=preimage(9)))
    assert draft is not None
    assert other is not None
    await world.chain.broadcast(other.sign(draft.floor))
    await world.node.mine()
    with pytest.raises(Rejected, match="nonce too low"):
        await world.chain.broadcast(draft.sign(draft.floor))


@pytest.mark.parametrize("fault", [proxy.silence, proxy.hang_up, proxy.status(502), proxy.garbage])
async def test_s10_a_broadcast_without_an_answer_is_unknown_and_found_by_its_hash(
    world: World, fault: proxy.Answer
) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    lock = draft.sign(draft.floor)
    world.proxy.instead["eth_sendRawTransaction"] = fault  # after the node has taken it
    async with world.another_chain(timeout_seconds=0.5) as chain:
        with pytest.raises(Unknown):
            await chain.broadcast(lock)
    assert world.proxy.calls["eth_sendRawTransaction"] == 1, "a send is never repeated behind the caller's back"
    assert (await world.chain.fate(lock)).state is TxState.PENDING


async def test_s10_a_refusal_whose_truth_can_not_be_looked_up_is_unknown(world: World) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    world.proxy.instead["eth_sendRawTransaction"] = proxy.error(-32000, "something is wrong")
    world.proxy.instead["eth_getTransactionByHash"] = proxy.status(500)
    with pytest.raises(Unknown, match="something is wrong"):
        await world.chain.broadcast(draft.sign(draft.floor))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (proxy.error(-32603, "internal error"), Unknown),  # said by nodes that have it all the same
        (proxy.error(-32005, "limit exceeded"), Unknown),
        (proxy.status(429), Unavailable),  # turned away at the door
    ],
)
async def test_s10_a_node_in_trouble_does_not_make_a_broadcast_rejected(
    world: World, fault: proxy.Answer, kind: type[Exception]
) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    world.proxy.instead["eth_sendRawTransaction"] = fault
    with pytest.raises(kind):
        await world.chain.broadcast(draft.sign(draft.floor))


async def test_s10_an_answer_with_another_hash_is_unknown(world: World) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    world.proxy.instead["eth_sendRawTransaction"] = proxy.result("0x" + "00" * 32)
    with pytest.raises(Unknown):
        await world.chain.broadcast(draft.sign(draft.floor))


async def test_a_node_that_can_not_be_reached_has_surely_not_taken_it(world: World) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    async with world.another_chain(rpc_url="http://127.0.0.1:1") as chain:
        with pytest.raises(Unavailable):
            await chain.broadcast(draft.sign(draft.floor))


async def test_s10_what_the_node_never_heard_of_is_missing_and_not_failed(world: World) -> None:
    draft = await world.draft(LOCK, world.leg())
    assert draft is not None
    assert (await world.chain.fate(draft.sign(draft.floor))).state is TxState.MISSING


async def test_stored_bytes_that_are_no_transaction_are_refused(world: World) -> None:
    for raw in (b"", b"\x02", b"\x02\xc0", b"\x01" + bytes(40), bytes(100)):
        with pytest.raises(Invalid, match="sent"):
            await world.chain.void([SignedTx("0x" + "00" * 32, raw, 0, 0, 0)])
