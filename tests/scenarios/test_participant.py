"""The house takes part in somebody else's swap: it funds second, and learns the secret from what the other one does."""

from __future__ import annotations

from swapd.chains.base import SignedTx, TxState
from swapd.protocol.effects import EffectKind
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms
from tests.scenarios.rig import Rig


async def test_secret_read_from_mempool_before_the_block(rig: Rig) -> None:
    terms = await _both_locked(rig)
    tips = await _tips(rig)

    claim = await _reveal(rig, terms)  # it goes to the mempool, and no block comes
    await rig.house.look()

    assert await _tips(rig) == tips
    assert (await rig.other.house.chain(terms.participant.terms.chain).fate(claim)).state is TxState.PENDING
    ours = (await rig.house.effects(terms.swap_id))["claim:initiator"].attempts[-1]
    assert ours.sent_at is not None
    assert (await rig.house.house.chain(terms.initiator.terms.chain).fate(ours.tx)).state is TxState.PENDING
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def test_completed_when_the_initiator_claims_at_the_last_moment(rig: Rig) -> None:
    terms = await _both_locked(rig)
    await rig.chains.time_is(terms.participant.terms.timelock - 120)
    await rig.settle()

    await _reveal(rig, terms)
    await rig.chains.blocks()
    await rig.settle()
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.other, rig.house)


async def test_refunded_before_the_initiator_when_the_initiator_never_claims(rig: Rig) -> None:
    terms = await _both_locked(rig)

    await rig.time_is(terms.participant.terms.timelock + 1)
    await rig.block(3)

    row = await rig.house.row(terms.swap_id)
    assert row.legs[Role.PARTICIPANT].view.state is LegState.REFUNDED, "at T_p the house has its money back"
    assert row.legs[Role.INITIATOR].view.state is LegState.LOCKED
    assert rig.chains.now < terms.initiator.terms.timelock, "while the initiator still has to wait"
    rig.other.asleep = False
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == rig.nothing


async def _both_locked(rig: Rig) -> SwapTerms:
    """Both legs are final, and the initiator's swapd sleeps before it shows its secret."""
    terms = await rig.agreed(rig.other, rig.house)
    await rig.until(rig.other, terms.swap_id, Status.INITIATOR_LOCKED)
    rig.other.asleep = True
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    await rig.block(2)
    return terms


async def _reveal(rig: Rig, terms: SwapTerms) -> SignedTx:
    """The initiator's claim of the participant leg, by hand."""
    preimage = rig.other.house.secrets.preimage(terms.index)
    claim = await rig.other.act(EffectKind.CLAIM, terms, Role.PARTICIPANT, preimage)
    rig.books.payers[claim.txid] = rig.other.name
    return claim


async def _tips(rig: Rig) -> list[tuple[int, str]]:
    return [await rig.chains.bitcoind.best(), await rig.chains.anvil.best()]
