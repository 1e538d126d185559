"""The safety rules by their numbers, where two swapd daemons and two chains meet. `docs/safety.md` lists all rules."""

from __future__ import annotations

import sqlite3

import pytest

from swapd.chains.base import SignedTx
from swapd.errors import Unknown
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from tests.scenarios.rig import Rig


async def test_s1_the_participant_funds_only_when_the_initiator_leg_is_final(rig: Rig) -> None:
    terms = await rig.agreed(rig.other, rig.house)
    await rig.settle()
    await rig.block()
    assert (await rig.house.row(terms.swap_id)).legs[Role.INITIATOR].view.depth == 1
    assert not await rig.house.effects(terms.swap_id), "one confirmation of two"

    await rig.block()

    assert (await rig.house.effects(terms.swap_id))["lock:participant"].attempts
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def test_s1_a_lock_that_only_the_database_knows_of_is_believed_by_nobody(rig: Rig) -> None:
    rig.other.asleep = True
    terms = await rig.agreed(rig.other, rig.house)
    await rig.house.look()
    with sqlite3.connect(rig.house.database) as database:
        database.execute("update legs set state = 'locked', depth = 99, locked_once = 1 where role = 'initiator'")
        database.execute("update swaps set status = 'initiator_locked', next_due_at = 0")
        database.execute(
            "insert into sightings (swap_id, chain, role, kind, ref, txid, block_hash, height, note)"
            " values (?, ?, 'initiator', 'lock', ?, ?, ?, 1, '')",
            (terms.swap_id, terms.initiator.terms.chain, "11" * 32 + ":0", "11" * 32, "22" * 32),
        )

    await rig.block(4)

    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.INITIATOR].view.state is LegState.ABSENT
    assert not await rig.house.effects(terms.swap_id)
    assert await rig.accounts_balance(locks=0) == rig.nothing


async def test_s2_the_secret_is_shown_only_when_the_participant_leg_is_final(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.PARTICIPANT].view.depth == 1
    assert not row.reveal_sent, "one confirmation of two"

    await rig.block()

    assert (await rig.house.row(terms.swap_id)).reveal_sent
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s2_the_secret_is_not_shown_when_its_time_is_over(rig: Rig) -> None:
    terms = await _both_locked_while_the_house_sleeps(rig)
    await rig.chains.time_is(terms.reveal_by + 1)
    rig.house.asleep = False

    await rig.block(3)

    row = await rig.house.row(terms.swap_id)
    assert row.status is Status.REFUNDING
    assert not row.reveal_sent
    assert "claim:participant" not in await rig.house.effects(terms.swap_id)
    await _refunded(rig, terms)


async def test_s3_a_leg_is_not_funded_when_its_time_is_over(rig: Rig) -> None:
    ours = await rig.agreed(rig.house, rig.other)
    theirs = await rig.agreed(rig.other, rig.house)
    rig.house.asleep = True
    await rig.block(2)
    await rig.time_is(max(ours.initiator.lock_by, theirs.participant.lock_by) + 1)
    rig.house.asleep = False

    await rig.block(3)

    for terms in (ours, theirs):
        assert not any(effect.attempts for effect in (await rig.house.effects(terms.swap_id)).values())
    await rig.time_is(theirs.initiator.terms.timelock + 1)
    await rig.until_over(ours.swap_id, Status.EXPIRED)
    await rig.until_over(theirs.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing


async def test_s4_a_lock_whose_broadcast_was_not_answered_is_the_same_lock_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And rule S10: an unknown outcome is looked up, never made anew."""
    terms = await rig.agreed(rig.house, rig.other)
    chain = rig.house.house.chain(terms.initiator.terms.chain)
    broadcast, lost = chain.broadcast, []

    async def unanswered(tx: SignedTx) -> None:
        lost.append(tx.txid)
        await broadcast(tx)
        raise Unknown("the connection broke before the answer came")

    with monkeypatch.context() as patched:
        patched.setattr(chain, "broadcast", unanswered)
        await rig.house.look()
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    attempts = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts
    assert [attempt.tx.txid for attempt in attempts] == lost
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s5_a_refund_is_sent_when_it_is_due_and_not_a_block_before(rig: Rig) -> None:
    rig.other.asleep = True
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    timelock = terms.initiator.terms.timelock
    chain = rig.house.house.chain(terms.initiator.terms.chain)
    await rig.time_is(timelock - 30)

    while (await chain.clock()).time < timelock:
        assert "refund:initiator" not in await rig.house.effects(terms.swap_id)
        await rig.block()

    assert (await rig.house.effects(terms.swap_id))["refund:initiator"].attempts
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


async def test_s6_a_secret_shown_after_the_timelock_is_used(rig: Rig) -> None:
    """The initiator's claim of the participant leg is late, and still comes before the refund."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    await rig.chains.time_is(terms.participant.terms.timelock + 1)

    preimage = rig.other.house.secrets.preimage(terms.index)
    claim = await rig.other.act(EffectKind.CLAIM, terms, Role.PARTICIPANT, preimage)
    rig.books.payers[claim.txid] = rig.other.name
    await rig.chains.blocks()
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def test_s7_a_lock_that_is_reorged_out_takes_the_status_back_and_is_sent_again(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    lock = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts[-1].tx.txid

    if terms.initiator.terms.chain == "bitcoin":
        await rig.chains.bitcoind.invalidate((await rig.chains.bitcoind.best())[1])
    else:
        await rig.chains.anvil.reorg(1)
    await rig.settle()
    assert await rig.house.status(terms.swap_id) is Status.ACCEPTED
    assert await rig.other.status(terms.swap_id) is Status.ACCEPTED
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    attempts = (await rig.house.effects(terms.swap_id))["lock:initiator"].attempts
    assert [attempt.tx.txid for attempt in attempts] == [lock], "the same bytes"
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s9_the_secret_is_in_no_file_before_it_is_public_and_in_no_log_ever(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    preimage = rig.house.house.secrets.preimage(terms.index)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    for side in rig.sides:
        for file in (path for path in side.folder.rglob("*") if path.is_file()):
            content = file.read_bytes()
            assert preimage not in content, file
            assert preimage.hex().encode() not in content.lower(), file

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    said = "".join(capsys.readouterr())
    assert terms.swap_id in said, "there is a log"
    assert preimage.hex() not in said
    assert str(preimage) not in said
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def _both_locked_while_the_house_sleeps(rig: Rig) -> SwapTerms:
    """The house is the initiator, and stops looking before the participant leg is there."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.house.asleep = True
    await rig.until(rig.other, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    return terms


async def _refunded(rig: Rig, terms: SwapTerms) -> None:
    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.block(3)
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing
