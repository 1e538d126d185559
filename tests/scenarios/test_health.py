"""What an operator reads when something is wrong: a reason, what is done about it, what is needed, and until when."""

from __future__ import annotations

import sqlite3

from swapd.coordinator.health import Line
from swapd.protocol.status import Status
from tests.scenarios.rig import Rig
from tests.scenarios.side import Side
from tests.scenarios.test_stopping import _away


async def lines(side: Side) -> dict[str, Line]:
    return {line.name: line for line in await side.daemon.health.look()}


async def test_a_chain_that_is_away_says_what_it_needs_and_until_when(rig: Rig) -> None:
    terms, _ = await rig.offer(rig.house, rig.other)
    await rig.until(rig.house, terms.swap_id, Status.INITIATOR_LOCKED)
    assert all(line.ok for line in (await lines(rig.house)).values())

    chain = terms.initiator.terms.chain
    async with _away(rig, chain):
        await rig.house.look()
        told = (await lines(rig.house))[chain]
        others = [line for name, line in (await lines(rig.house)).items() if name != chain]

    assert not told.ok
    # a Bitcoin node that has ended takes its cookie with it
    assert any(words in told.says.lower() for words in ("connect", "cannot read its credentials"))
    assert "begins nothing new here" in told.doing
    assert told.needs
    assert told.until == terms.participant.terms.fund_by, "the next moment that means something to a swap there"
    assert all(line.ok for line in others)
    await rig.house.look()
    assert (await lines(rig.house))[chain].ok
    await rig.time_is(terms.initiator.terms.timelock + 1)
    await rig.until_over(terms.swap_id, Status.REFUNDED, sides=(rig.house,))
    assert await rig.accounts_balance() == rig.nothing


async def test_it_is_said_since_when(rig: Rig) -> None:
    rig.house.clock_error = 6 * 3_600
    began = rig.house.house.clock()
    first = await lines(rig.house)
    rig.chains.now += 60
    second = await lines(rig.house)

    assert not first["ethereum"].ok
    assert "NTP" in first["ethereum"].says
    assert first["ethereum"].since == began
    assert second["entry"].since == began
    rig.house.clock_error = 0
    await rig.chains.blocks()
    await rig.accounts_balance(locks=0)


async def test_a_damaged_row_is_named(rig: Rig) -> None:
    terms, _ = await rig.offer(rig.house, rig.other)
    with sqlite3.connect(rig.house.database) as database:
        (good,) = database.execute("select terms from swaps").fetchone()
        database.execute("update swaps set terms = replace(terms, 'hot', 'hat')")
    told = (await lines(rig.house))["store"]
    assert not told.ok
    assert terms.swap_id in told.says
    assert "backup" in told.needs
    with sqlite3.connect(rig.house.database) as database:
        database.execute("update swaps set terms = ?", (good,))
    await rig.chains.blocks()
    await rig.accounts_balance(locks=0)
