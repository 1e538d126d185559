"""Claims of several swaps in one Bitcoin transaction: each swap stores it, follows it and ends as if it were alone."""

from __future__ import annotations

from typing import Any

import pytest

from swapd.chains.base import SignedTx
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms
from swapd.store import Attempt, Conflict, EffectState
from swapd.store.outbox import OutboxWriting
from tests.scenarios.books import Gains
from tests.scenarios.rig import DIRECTIONS, Direction, Rig

TO_BITCOIN = pytest.mark.parametrize("direction", [DIRECTIONS[0]], ids=str)
"""The other initiates with Bitcoin, so the house claims it once the secrets are public."""


async def two_swaps(rig: Rig) -> tuple[SwapTerms, SwapTerms]:
    rig.house.more["SWAPD__CHAINS__BITCOIN__FEE__BATCH_SECONDS"] = "2"
    await rig.house.restart()
    return await rig.agreed(rig.other, rig.house), await rig.agreed(rig.other, rig.house)


async def claims(rig: Rig, *swaps: SwapTerms) -> list[tuple[Attempt, ...]]:
    effects = [(await rig.house.effects(terms.swap_id)).get("claim:initiator") for terms in swaps]
    return [effect.attempts if effect else () for effect in effects]


async def until_claimed(rig: Rig, *swaps: SwapTerms) -> list[tuple[Attempt, ...]]:
    for _ in range(12):
        if any(found := await claims(rig, *swaps)):
            return found
        await rig.block()
    raise AssertionError("nothing was claimed")


def twice(gains: Gains) -> Gains:
    return {name: {symbol: 2 * amount for symbol, amount in each.items()} for name, each in gains.items()}


@TO_BITCOIN
async def test_two_swaps_claim_in_one_transaction_and_both_complete(rig: Rig, direction: Direction) -> None:
    swaps = await two_swaps(rig)
    (one,), (two,) = await until_claimed(rig, *swaps)
    assert one.tx.txid == two.tx.txid
    assert one.sent_at is not None
    assert two.sent_at is not None
    await rig.house.restart()
    for terms in swaps:
        await rig.until_over(terms.swap_id, Status.COMPLETED)
    found = await claims(rig, *swaps)
    assert [len(attempts) for attempts in found] == [1, 1], "nothing of it was ever made again"
    assert [attempt.fate.fee for (attempt,) in found if attempt.fate] == [one.tx.fee, two.tx.fee]
    assert await rig.accounts_balance() == twice(rig.traded(rig.other, rig.house))


@TO_BITCOIN
async def test_a_member_that_does_not_come_to_store_the_batch_finds_its_claim_made(
    rig: Rig, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not wanted any more, or it dies there: the transaction goes out through the other."""
    swaps = await two_swaps(rig)
    add, late = OutboxWriting.add_attempt, swaps[1].swap_id

    async def conflict_once(self: OutboxWriting, effect_id: int, fence: int, tx: SignedTx, **how: Any) -> None:
        effect = await self.effect(effect_id)
        if effect.effect.key == "claim:initiator" and effect.swap_id == late and len(tx.spends) > 1:
            raise Conflict("it changed meanwhile")
        await add(self, effect_id, fence, tx, **how)

    monkeypatch.setattr(OutboxWriting, "add_attempt", conflict_once)
    stored, missed = await until_claimed(rig, *swaps)
    assert (len(stored), len(stored[0].tx.spends), missed) == (1, 2, ())
    await rig.house.daemon.sweep()
    await rig.house.look()
    assert (await claims(rig, *swaps))[1] == (), "its claim is pending: it makes no other"
    for terms in swaps:
        await rig.until_over(terms.swap_id, Status.COMPLETED)
    effect = (await rig.house.effects(swaps[0].swap_id))["claim:initiator"]
    assert effect.state is EffectState.DONE
    assert await rig.accounts_balance() == twice(rig.traded(rig.other, rig.house))
