"""A wallet that was emptied between the agreement and the lock: looked at again, and nothing is locked."""

from __future__ import annotations

from swapd.devnet.bitcoind import to_btc
from swapd.protocol.status import Status
from tests.scenarios.rig import AMOUNTS, Rig
from tests.scenarios.side import START_SATOSHI, START_WEI, Side

LEFT = {"BTC": 20_000, "ETH": 10**16}
"""What is left for the network's fees, and no leg."""


async def test_insufficient_funds_are_seen_again_before_the_initiator_locks(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    taken = await _empty(rig, rig.house, rig.direction.give)

    await rig.block(3)

    lock = (await rig.house.effects(terms.swap_id))["lock:initiator"]
    assert not lock.attempts, "nothing is even signed"
    assert f"not enough {rig.direction.give}" in lock.error
    assert await rig.house.status(terms.swap_id) is Status.ACCEPTED
    await rig.time_is(terms.initiator.terms.fund_by + 1)
    await rig.until_over(terms.swap_id, Status.EXPIRED)
    assert await rig.accounts_balance(locks=0) == _moved(rig, rig.direction.give, taken)


async def test_insufficient_funds_are_seen_again_before_the_participant_locks(rig: Rig) -> None:
    terms = await rig.agreed(rig.other, rig.house)
    taken = await _empty(rig, rig.house, rig.direction.get)

    await rig.block(4)

    lock = (await rig.house.effects(terms.swap_id))["lock:participant"]
    assert not lock.attempts
    assert f"not enough {rig.direction.get}" in lock.error
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED)
    assert await rig.accounts_balance() == _moved(rig, rig.direction.get, taken)


async def test_funds_that_come_back_in_time_are_locked_after_all(rig: Rig) -> None:
    terms = await rig.agreed(rig.house, rig.other)
    taken = await _empty(rig, rig.house, rig.direction.give)
    await rig.block(2)

    await _give(rig, rig.other, rig.house, rig.direction.give, taken)
    await rig.until_over(terms.swap_id, Status.COMPLETED)

    assert await rig.accounts_balance() == rig.traded(rig.house, rig.other)


async def _empty(rig: Rig, side: Side, symbol: str) -> int:
    """Its owner takes all but some fees out of the wallet, by hand. Returns how much."""
    amount = {"BTC": START_SATOSHI, "ETH": START_WEI}[symbol] - LEFT[symbol]
    assert LEFT[symbol] < AMOUNTS[symbol]
    await _give(rig, side, rig.other if side is rig.house else rig.house, symbol, amount)
    return amount


async def _give(rig: Rig, giver: Side, taker: Side, symbol: str, amount: int) -> None:
    """Outside of any swap, and in a block at once."""
    payer, payee = rig.account(giver), rig.account(taker)
    if symbol == "BTC":
        address = await rig.chains.bitcoind.rpc("getnewaddress", "", "bech32", wallet=payee.at["bitcoin"])
        await rig.pay(payer, address, to_btc(amount))
    else:
        await rig.call(payer, payee.at["ethereum"], amount, "0x")
    await rig.chains.blocks()


def _moved(rig: Rig, symbol: str, amount: int) -> dict[str, dict[str, int]]:
    expected = {name: dict(gain) for name, gain in rig.nothing.items()}
    expected["house"][symbol] -= amount
    expected["other"][symbol] += amount
    return expected
