"""Both endings of a swap between two swapd daemons, in both directions, on real nodes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from swapd.chains.ethereum.htlc import Htlc, HtlcTerms
from swapd.devnet.anvil import CHAIN_ID
from swapd.devnet.bitcoind import to_btc
from swapd.protocol.observation import LegState, Stray
from swapd.protocol.status import Status
from swapd.protocol.terms import LegTerms, Role, SwapTerms
from tests.scenarios.rig import DIRECTIONS, Rig
from tests.scenarios.side import Side


async def test_completed_when_both_lock(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)

    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def test_refunded_when_the_other_never_locks(rig: Rig) -> None:
    terms, _ = await rig.offer(rig.house, rig.other)  # the other never accepts
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    await rig.time_is(terms.participant.terms.fund_by + 1)
    await rig.until(rig.house, terms.swap_id, Status.REFUNDING)

    await rig.chains.time_is(terms.initiator.terms.timelock - 60)
    await rig.settle()
    assert "refund:initiator" not in await rig.house.effects(terms.swap_id), "a refund before its time"
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    assert await rig.accounts_balance() == rig.nothing


WRONG: dict[str, dict[str, Any]] = {
    "less": {"amount": -1},
    "more": {"amount": +1},
    "hashlock": {"hashlock": bytes(range(32))},
    "receiver": {"receiver": "0x000000000000000000000000000000000000dEaD"},
    "timelock": {"timelock": +60},
}
"""What is different from the terms; a number is added. On Bitcoin any other term than the amount gives another address,
so money sent there is nobody's leg and can not be known."""

AMOUNTS_ONLY = [wrong for wrong in WRONG if "amount" in WRONG[wrong]]
BTC_TO_ETH, ETH_TO_BTC = DIRECTIONS


@pytest.mark.parametrize(
    ("direction", "wrong"),
    [(BTC_TO_ETH, wrong) for wrong in WRONG] + [(ETH_TO_BTC, wrong) for wrong in AMOUNTS_ONLY],
    indirect=["direction"],
    ids=str,
)
async def test_refunded_when_the_other_locks_wrong_terms(rig: Rig, wrong: str) -> None:
    await rig.other.restart(halted=True)  # it agrees, and then locks by hand
    terms = await rig.agreed(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    locked = _altered(terms.participant.terms, WRONG[wrong])
    await _lock(rig, rig.other, terms, Role.PARTICIPANT, locked)
    await rig.block(3)

    leg = (await rig.house.row(terms.swap_id)).legs[Role.PARTICIPANT].view
    assert leg.state is LegState.ABSENT, "it is not the leg"
    assert [(stray.amount, bool(stray.why)) for stray in leg.strays] == [(locked.amount, True)], "but it is shown"
    assert await rig.house.status(terms.swap_id) is Status.INITIATOR_LOCKED
    await rig.time_is(terms.participant.terms.timelock + 61)
    await _go_back(rig, rig.other, leg.strays[0])
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))

    row = await rig.house.row(terms.swap_id)
    assert not row.reveal_sent, "the secret is still a secret"
    assert row.legs[Role.PARTICIPANT].view.strays == (), "it went back"
    assert await rig.accounts_balance() == rig.nothing


@pytest.mark.parametrize(
    ("direction", "wrong"),
    [(ETH_TO_BTC, wrong) for wrong in WRONG] + [(BTC_TO_ETH, wrong) for wrong in AMOUNTS_ONLY],
    indirect=["direction"],
    ids=str,
)
async def test_nothing_is_locked_when_the_initiator_locks_wrong_terms(rig: Rig, wrong: str) -> None:
    await rig.other.restart(halted=True)
    terms = await rig.agreed(rig.other, rig.house)
    await rig.settle()
    locked = _altered(terms.initiator.terms, WRONG[wrong])
    await _lock(rig, rig.other, terms, Role.INITIATOR, locked)
    await rig.block(3)

    row = await rig.house.row(terms.swap_id)
    assert row.status is Status.ACCEPTED
    strays = row.legs[Role.INITIATOR].view.strays
    assert [stray.amount for stray in strays] == [locked.amount]
    await rig.time_is(terms.initiator.terms.fund_by + 1)
    await rig.until(rig.house, terms.swap_id, Status.EXPIRED)
    await rig.time_is(terms.initiator.terms.timelock + 61)
    await _go_back(rig, rig.other, strays[0])
    await rig.block(3)

    assert not await rig.house.effects(terms.swap_id), "the house did nothing at all"
    assert await rig.accounts_balance() == rig.nothing


# -- a dishonest, or careless, other side ------------------------------------------------------------------------------


def _altered(terms: LegTerms, changes: dict[str, Any]) -> LegTerms:
    return replace(
        terms,
        **{name: getattr(terms, name) + to if isinstance(to, int) else to for name, to in changes.items()},
    )


async def _lock(rig: Rig, side: Side, terms: SwapTerms, role: Role, locked: LegTerms) -> None:
    """Lock these terms in place of the agreed ones."""
    payer, chain = rig.account(side), side.house.chain(locked.chain)
    if locked.chain == "bitcoin":
        await rig.pay(payer, chain.fingerprint(terms.leg(role).terms), to_btc(locked.amount))
    else:
        call = Htlc(CHAIN_ID, rig.chains.contract).lock(HtlcTerms.of(locked))
        await rig.call(payer, call.to, call.value, "0x" + call.data.hex())


async def _go_back(rig: Rig, owner: Side, stray: Stray) -> None:
    """What the house tells the owner of a stray really brings it back."""
    if found := re.search(r"a transaction to (0x\w{40}) on chain \d+ with value 0 and data (0x\w+)", stray.way_back):
        await rig.call(rig.account(owner), found[1], 0, found[2])
    else:
        assert "nLockTime" in stray.way_back, "on Bitcoin the owner's own swapd sends it"
    await rig.block(3)
