"""A claim that does not get through: refused for its fee, dropped, or with a node that has lost its sight (rule S6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from swapd.chains.base import WatchedLeg
from swapd.errors import Unavailable
from swapd.protocol.effects import Effect
from swapd.protocol.observation import LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import SwapTerms
from swapd.store import EffectRow
from tests.scenarios.rig import DIRECTIONS, Direction, Rig

ON_ETHEREUM = pytest.mark.parametrize("direction", [DIRECTIONS[0]], ids=str)
"""The house initiates with Bitcoin, so the claim that shows its secret is on Ethereum."""

USUAL_BASE_FEE = 10**9


async def revealed_but_not_mined(rig: Rig) -> tuple[SwapTerms, EffectRow]:
    """A swap whose house has just sent the claim that shows its secret."""
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.PARTICIPANT_LOCKED)
    rig.other.asleep = True
    for _ in range(4):
        claim = (await rig.house.effects(terms.swap_id)).get("claim:participant")
        if claim is not None and claim.attempts:
            return terms, claim
        await rig.block()
    raise AssertionError("the secret was not shown")


@ON_ETHEREUM
async def test_s6_a_claim_refused_for_its_fee_is_sent_again_with_a_better_one(rig: Rig, direction: Direction) -> None:
    """Dropped from the mempool and then under the price of the next block: the same bytes would be refused for ever."""
    terms, claim = await revealed_but_not_mined(rig)
    anvil = rig.chains.anvil
    (cheap,) = claim.attempts
    await anvil.rpc("anvil_dropTransaction", cheap.tx.txid)
    await anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(cheap.tx.rate * 3))
    try:
        await rig.chains.ethereum_block()
        await rig.settle()
        attempts = (await rig.house.effects(terms.swap_id))["claim:participant"].attempts
        assert len(attempts) > 1
        assert attempts[-1].tx.rate > cheap.tx.rate
        assert attempts[-1].tx.sequence == cheap.tx.sequence, "it takes the place of the first"
    finally:
        await anvil.rpc("anvil_setNextBlockBaseFeePerGas", hex(USUAL_BASE_FEE))
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


@ON_ETHEREUM
async def test_s6_not_to_see_a_leg_takes_no_claim_back(
    rig: Rig, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node forgets the claim and contradicts itself about the leg: nothing may use up the claim's nonce."""
    terms, claim = await revealed_but_not_mined(rig)
    chain = rig.house.house.chain("ethereum")

    async def confused(leg: WatchedLeg) -> LegView:
        raise Unavailable("the node contradicts itself")

    await rig.chains.anvil.rpc("anvil_dropTransaction", claim.attempts[-1].tx.txid)
    with monkeypatch.context() as patched:
        patched.setattr(chain, "view", confused)
        rig.chains.now += 5
        await rig.house.daemon.sweep()
        await rig.house.look()
        after = (await rig.house.effects(terms.swap_id))["claim:participant"]
        assert [a.tx.txid for a in after.attempts] == [a.tx.txid for a in claim.attempts]
        assert not any(attempt.voiding for attempt in after.attempts)
    await rig.house.daemon.sweep()
    rig.other.asleep = False
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s2_the_reveal_is_written_down_before_any_node_is_shown_the_secret(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that simulates a claim has seen it. If it then fails us, we must not act as if nothing was shown."""
    terms = await rig.agreed(rig.house, rig.other)
    chain = rig.house.house.chain(terms.participant.terms.chain)
    shown: list[bool] = []

    async def failing(effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[Any], now: int) -> Any:
        assert preimage is not None
        shown.append((await rig.house.row(terms.swap_id)).reveal_sent)
        raise Unavailable("the node went away with the secret")

    with monkeypatch.context() as patched:
        patched.setattr(chain, "draft", failing)
        for _ in range(8):
            await rig.block()
            if shown:
                break
        rig.chains.now += 5
        await rig.house.look()
    assert shown
    assert all(shown)
    assert terms.swap_id in rig.house.house.shown, "an older copy of the database is told of it"
    assert await rig.house.status(terms.swap_id) is Status.REDEEMING
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_s9_a_mistake_of_ours_is_written_down_without_its_text(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception nobody foresaw may quote anything, the secret too. And the swap goes on after it."""
    terms = await rig.agreed(rig.house, rig.other)
    chain = rig.house.house.chain(terms.participant.terms.chain)

    async def quoting(effect: Effect, leg: WatchedLeg, preimage: bytes | None, sent: Sequence[Any], now: int) -> Any:
        assert preimage is not None
        raise ValueError(preimage.hex())

    with monkeypatch.context() as patched:
        patched.setattr(chain, "draft", quoting)
        for _ in range(8):
            await rig.block()
            claim = (await rig.house.effects(terms.swap_id)).get("claim:participant")
            if claim is not None and claim.error:
                break
        assert claim is not None
        assert claim.error == "ValueError, a mistake of swapd's own"
    rig.chains.now += 5
    await rig.until_over(terms.swap_id, Status.COMPLETED)
    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)
