"""Daemons as processes on a devnet with a block a second: stopped by a signal during swaps, and started again."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from swapd.cli.context import open_house
from swapd.coordinator import agree
from swapd.coordinator.house import House
from swapd.devnet.money import NOBODY, Account, Bitcoins, Coin, Count, Ether, count, fees
from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.protocol.status import Status
from swapd.protocol.terms import Wallet
from swapd.store import Attempt
from tests.scenarios.rig import AMOUNTS, CHAIN, DIRECTIONS, Direction
from tests.scenarios.side import START_SATOSHI, START_WEI

STOP_SECONDS = 10
"""`daemon.stop_seconds` of config/devnet.toml: an orderly stop takes no longer."""

PATIENCE_SECONDS = 90
POLL_SECONDS = 0.1

PATIENT = {
    f"SWAPD__CHAINS__{chain}__TIMING__{name}": value
    for chain in ("BITCOIN", "ETHEREUM")
    for name, value in {"INCLUSION": "120", "FUNDING_WINDOW": "300", "OUTAGE": "120"}.items()
}
"""Swaps that complete never wait for a timelock, so long ones cost nothing, and a slow machine refunds none."""

TWO_CHAINS = {"SWAPD__CHAINS__ICP__ENABLED": "false"}


@dataclass
class Scene:
    """Two daemons as processes, and beside them a look at each one's house."""

    parties: tuple[Party, Party]
    accounts: list[Account]
    coins: Sequence[Coin]
    houses: dict[str, House]
    before: Count

    @property
    def house(self) -> Party:
        return self.parties[0]

    async def agreed(self, direction: Direction) -> str:
        """A swap that the house initiates; its id."""
        give, get = direction.give, direction.get
        ours, theirs = (self.houses[party.name] for party in self.parties)
        index, receiver, sender = await agree.reserve_keys(theirs, CHAIN[give], CHAIN[get])
        request = agree.Request(
            *(give, AMOUNTS[give], get, AMOUNTS[get]),
            initiator=agree.Side(Wallet.HOT),
            participant=agree.Side(Wallet.EXTERNAL, sender.identity, receiver.identity, claims_itself=True),
        )
        terms = await agree.create(ours, request, "operator")
        await agree.accept(theirs, terms, index, "operator")
        return terms.swap_id

    async def status(self, party: Party, swap_id: str) -> Status:
        async with self.houses[party.name].store.read() as reading:
            return (await reading.swap(swap_id)).status

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await condition():
            assert time.monotonic() < deadline, "it does not come"
            await asyncio.sleep(POLL_SECONDS)

    async def over(self) -> bool:
        """Every swap ended for both, and every transaction is final."""
        for house in self.houses.values():
            async with house.store.read() as reading:
                rows = (await reading.swaps()).swaps
                if await reading.unfinished() or not all(row.status.ended for row in rows):
                    return False
        return True

    async def require_money_conserved(self) -> None:
        """Two swaps of the same amounts in opposite directions: each has what it had, less what it paid in fees."""
        after = await count(self.coins, self.accounts)
        payers: dict[str, str] = {}
        for name, house in self.houses.items():
            async with house.store.read() as reading:
                await reading.verify_audit()
                rows = (await reading.swaps()).swaps
                found = [each for row in rows for each in await reading.effects(row.id)]
            payers |= {attempt.tx.txid: name for each in found for attempt in each.attempts}
            for each in found:
                assert sum(_mined(attempt) for attempt in each.attempts) <= 1, f"{each.effect.key} was mined twice"
        spent = await fees(self.coins, self.before, after, self.accounts, payers)
        assert after.held == self.before.held
        for symbol, paid in spent.paid.items():
            assert not paid[NOBODY]
            for name in self.houses:
                assert after.had[symbol][name] == self.before.had[symbol][name] - paid[name]


def _mined(attempt: Attempt) -> bool:
    return attempt.fate is not None and attempt.fate.state.value == "mined"


@asynccontextmanager
async def _scene(folder: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        devnet = await stack.enter_async_context(Devnet(folder / "nodes"))
        parties = house, other = (Party("house", folder, devnet.state), Party("other", folder, devnet.state))
        await asyncio.gather(*(party.init() for party in parties))
        accounts = []
        for party in parties:
            await devnet.bitcoind.create_wallet(party.name)
            found = await party.ask("wallet", "addresses")
            await devnet.bitcoind.fund(found["bitcoin"]["BTC"], START_SATOSHI)
            await devnet.anvil.set_balance(found["ethereum"]["ETH"], START_WEI)
            accounts.append(party.account())
        contract = (await house.ask("contract", "deploy"))["contract"]
        for party in parties:
            party.overrides |= PATIENT | {"SWAPD__CHAINS__ETHEREUM__CONTRACT": contract, **TWO_CHAINS}
            stack.push_async_callback(party.stop)
        await asyncio.gather(*(party.start() for party in parties))
        houses = {party.name: await stack.enter_async_context(open_house(party.settings)) for party in parties}
        for each in houses.values():
            for market in each.markets.values():
                await market.chain.start()
        coins: list[Coin] = [Bitcoins(devnet.bitcoind), Ether(devnet.anvil, contract)]
        yield Scene((house, other), accounts, coins, houses, await count(coins, accounts))


@pytest.mark.parametrize(
    "signals", [(signal.SIGINT, signal.SIGTERM), (signal.SIGKILL,)], ids=["ctrl_c_and_sigterm", "sigkill"]
)
async def test_stopped_by_a_signal_during_swaps_it_goes_on_at_the_next_start(
    tmp_path: Path, signals: tuple[signal.Signals, ...]
) -> None:
    """Again and again, by each signal in turn: at each new status of the first swap, while the second runs the other
    way."""
    async with _scene(tmp_path) as scene:
        first, second = [await scene.agreed(direction) for direction in DIRECTIONS]
        seen = {Status.PROPOSED}
        turns = itertools.cycle(signals)

        async def somewhere_new() -> bool:
            status = await scene.status(scene.house, first)
            return status.ended or status not in seen

        while not (await scene.status(scene.house, first)).ended:
            await scene.until(somewhere_new)
            seen.add(await scene.status(scene.house, first))
            await _strike(scene.house, next(turns))
            await scene.house.start()
        await scene.until(scene.over)

        assert len(seen) > len(signals), "each signal came, in the middle of a swap"
        for party in scene.parties:
            for swap_id in (first, second):
                assert await scene.status(party, swap_id) is Status.COMPLETED
        await scene.require_money_conserved()


async def _strike(party: Party, number: signal.Signals) -> None:
    """Send the signal and wait for the end: in good order, and in bounded time, unless it is SIGKILL."""
    daemon = party._daemon
    assert daemon is not None
    began = time.monotonic()
    os.kill(daemon.pid, number)
    await daemon._until_gone(2 * STOP_SECONDS)
    assert daemon.exit_code == (-number if number is signal.SIGKILL else 0), daemon.log_tail()
    assert time.monotonic() - began < STOP_SECONDS + 5
