"""What the demo plays: nodes and two daemons started, swaps agreed on, watched to their end, and all money counted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from rich.live import Live

from swapd.cli.demo_report import Played, Scenario, Story, progress, report
from swapd.cli.show import console
from swapd.coordinator.house import wall_clock
from swapd.devnet.money import Account, Bitcoins, Coin, Ether, count, fees
from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.errors import Unavailable
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset
from swapd.store import EffectRow, Store, SwapRow

PATIENCE_SECONDS = 170

COMMANDS_AT_ONCE = 2
"""Each needs a second of a processor, and between the two of an agreement little time may pass."""

COINS = 4
"""In how many coins the bitcoin come: locks of several swaps at once must not wait for each other's change."""


@dataclass(frozen=True)
class Purse:
    """start: what a party has at first, in smallest units. amount: about what it gives in one swap."""

    start: int
    amount: int


PURSES: Mapping[str, Purse] = {
    "BTC": Purse(500_000_000, 10_000_000),
    "ETH": Purse(50 * 10**18, 15 * 10**17),
    "ICP": Purse(20_000 * 10**8, 400 * 10**8),
}


def scenarios(assets: Sequence[Asset]) -> list[Scenario]:
    """Every ordered pair twice, with amounts that are all different: nothing that is missing hides behind another."""
    pairs = [(pair, ends) for ends in (Status.REFUNDED, Status.COMPLETED) for pair in permutations(assets, 2)]
    return [
        Scenario(give, _amount(give, place), get, _amount(get, place), ends)
        for place, ((give, get), ends) in enumerate(pairs)
    ]


def _amount(asset: Asset, place: int) -> int:
    return PURSES[asset.symbol].amount * (100 + place) // 100


@dataclass
class Stage:
    """commands: how many may run at once."""

    folder: Path
    devnet: Devnet
    house: Party
    other: Party
    stranger: Account
    commands: asyncio.Semaphore

    async def propose(self, scenario: Scenario) -> Played:
        """A swap with somebody who gave two addresses of theirs, and is never heard of again."""
        refund_to, receive_at = [await self._address(asset) for asset in (scenario.get, scenario.give)]
        async with self.commands:
            return await self._create(scenario, refund_to, receive_at)

    async def agree(self, scenario: Scenario) -> Played:
        """The counterparty reserves keys, the house makes terms with them, the counterparty checks and accepts."""
        async with self.commands:
            chains = ("--receive-on", scenario.give.chain, "--send-on", scenario.get.chain)
            keys = await self.other.ask("swap", "keys", *chains)
        async with self.commands:
            offer = self.folder / f"offer-{keys['index']}.json"
            words = ("--participant-claims-itself", "--offer", str(offer))
            played = await self._create(scenario, keys["refund_to"], keys["receive_at"], *words)
            await self.other.ask("swap", "accept", str(offer), "--index", str(keys["index"]))
            return played

    async def _create(self, scenario: Scenario, refund_to: str, receive_at: str, *words: str) -> Played:
        created = await self.house.ask(
            *("swap", "create", "--give", scenario.give.symbol, "--give-amount", str(scenario.give_amount)),
            *("--get", scenario.get.symbol, "--get-amount", str(scenario.get_amount)),
            *("--participant-refund-to", refund_to, "--participant-receive-at", receive_at, *words),
        )
        console.print(f"swap {created['id']}: {scenario.title}", highlight=False)
        return Played(scenario, created["id"])

    async def _address(self, asset: Asset) -> str:
        place = self.stranger.at[asset.chain]
        if asset.chain != Bitcoins.asset.chain:
            return place
        address: str = await self.devnet.bitcoind.rpc("getnewaddress", "", "bech32", wallet=place)
        return address


async def demo(folder: Path) -> tuple[bool, list[str], AsyncExitStack]:
    """Play everything. Returns whether all is as it should be, how to talk to it, and what is still running."""
    async with AsyncExitStack() as stack:
        console.print("starting bitcoind (regtest), anvil and a replica of the Internet Computer …")
        devnet = await stack.enter_async_context(Devnet(folder / "nodes"))
        house, other = parties = [Party(name, folder, devnet.state) for name in ("house", "counterparty")]
        await asyncio.gather(*(party.init() for party in parties))
        accounts = [party.account() for party in parties]
        for account in accounts:
            await devnet.fund(account, {symbol: purse.start for symbol, purse in PURSES.items()}, coins=COINS)
        contract = (await house.ask("contract", "deploy"))["contract"]
        for party in parties:
            party.overrides["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = contract
            stack.push_async_callback(party.stop)
        console.print("starting two swapd daemons …")
        await asyncio.gather(*(party.start() for party in parties))
        coins: list[Coin] = [Bitcoins(devnet.bitcoind), Ether(devnet.anvil, contract), devnet.world.token("ICP")]
        before = await count(coins, accounts)
        stage = Stage(folder, devnet, house, other, accounts[1], asyncio.Semaphore(COMMANDS_AT_ONCE))
        played = await _begin(stage, scenarios([coin.asset for coin in coins]))
        ours = await stack.enter_async_context(house.store())
        theirs = await stack.enter_async_context(other.store())
        rows = await _watch(parties, ours, theirs, played)
        after = await count(coins, accounts)
        effects = {"house": await _effects(ours), "counterparty": await _effects(theirs)}
        payers = {a.tx.txid: name for name, found in effects.items() for each in found for a in each.attempts}
        spent = await fees(coins, before, after, accounts, payers)
        good = report(Story(played, rows, effects), [coin.asset for coin in coins], before, after, spent)
        return good, [party.command_line() for party in parties], stack.pop_all()


async def _begin(stage: Stage, wanted: list[Scenario]) -> list[Played]:
    """Those that end at their timelock take longest, so they come first."""
    proposed = await asyncio.gather(*(stage.propose(scenario) for scenario in wanted if not scenario.completes))
    agreed = await asyncio.gather(*(stage.agree(scenario) for scenario in wanted if scenario.completes))
    return [*proposed, *agreed]


async def _watch(parties: Sequence[Party], ours: Store, theirs: Store, played: list[Played]) -> dict[str, SwapRow]:
    """A live table, until every swap has ended on both sides and every transaction is final."""
    deadline = wall_clock() + PATIENCE_SECONDS
    with Live(console=console, auto_refresh=False) as live:
        while True:
            for party in parties:
                party.require_running()
            async with ours.read() as reading:
                rows = {each.swap_id: await reading.swap(each.swap_id) for each in played}
                going = await reading.unfinished()
            async with theirs.read() as reading:
                others = (await reading.swaps()).swaps
                going += await reading.unfinished()
            now = wall_clock()
            for each in played:
                each.look(rows[each.swap_id], now)
            live.update(progress(played, rows, now), refresh=True)
            waiting = [row.id for row in [*rows.values(), *others] if not row.status.ended]
            if not waiting and not going:
                return rows
            if now > deadline:
                raise Unavailable(f"not every swap ended within {PATIENCE_SECONDS} s: {sorted({*waiting, *going})}")
            await asyncio.sleep(0.3)


async def _effects(store: Store) -> list[EffectRow]:
    async with store.read() as reading:
        found = (await reading.swaps()).swaps
        return [effect for row in found for effect in await reading.effects(row.id)]
