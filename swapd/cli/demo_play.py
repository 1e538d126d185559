"""What the demo plays: nodes and two daemons started, swaps agreed on, watched to their end, and all money counted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path

from rich.live import Live

from swapd.cli.context import open_house, start_chains
from swapd.cli.demo_report import Played, Scenario, Story, progress, report
from swapd.cli.show import console
from swapd.coordinator import agree
from swapd.coordinator.house import House, Market, wall_clock
from swapd.devnet.money import Account, Bitcoins, Coin, Ether, count, fees
from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.errors import Unavailable
from swapd.protocol.request import Request, Side
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset, SwapTerms, Wallet
from swapd.store import EffectRow, Store, SwapRow
from swapd.store.codec import decode, encode

PATIENCE_SECONDS = 150
LOOK_SECONDS = 0.5

BETWEEN_SECONDS = 1.0
"""From one agreement to the next: with the devnet's margins a lock has to go out within three seconds, and a machine
with two processors does not get twelve out at once."""

PATIENT_INCLUSION, PATIENT_FUNDING_WINDOW = 20, 60
"""Margins of the swaps that complete, in seconds. They never wait for a timelock, so long ones cost nothing, and a busy
machine refunds none."""

COINS = 4
"""In how many coins the bitcoin come: locks of several swaps at once must not wait for each other's change."""

ACTOR = "demo"


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
    """house, other: what their owners' commands open, beside the daemons that do the work. stranger: an account of the
    other's owner, of which its swapd does not know that anything is to come."""

    devnet: Devnet
    house: House
    other: House
    stranger: Account
    played: list[Played] = field(default_factory=list)

    async def begin(self, wanted: list[Scenario]) -> None:
        """Those that end at their timelock take longest, so they come first."""
        for scenario in wanted:
            terms = await (self.agree(scenario) if scenario.completes else self.propose(scenario))
            console.print(f"swap {terms.swap_id}: {scenario.title}", highlight=False)
            self.played.append(Played(scenario, terms.swap_id))
            await asyncio.sleep(BETWEEN_SECONDS)

    async def propose(self, scenario: Scenario) -> SwapTerms:
        """A swap with somebody who gave two addresses of theirs, and is never heard of again."""
        refund_to, receive_at = [await self._address(asset) for asset in (scenario.get, scenario.give)]
        return await self._create(self.house, scenario, Side(Wallet.EXTERNAL, refund_to, receive_at))

    async def agree(self, scenario: Scenario) -> SwapTerms:
        """The counterparty reserves keys, the house makes terms with them, the counterparty checks and accepts."""
        keys = await agree.reserve_keys(self.other, scenario.give.chain, scenario.get.chain)
        index, receiver, sender = keys
        side = Side(Wallet.EXTERNAL, sender.identity, receiver.identity, claims_itself=True)
        terms = await self._create(_patient(self.house), scenario, side)
        offer = json.dumps(encode(terms))
        await agree.accept(self.other, decode(SwapTerms, json.loads(offer)), index, ACTOR)
        return terms

    async def _create(self, house: House, scenario: Scenario, participant: Side) -> SwapTerms:
        request = Request(
            give=scenario.give.symbol,
            give_amount=scenario.give_amount,
            get=scenario.get.symbol,
            get_amount=scenario.get_amount,
            initiator=Side(Wallet.HOT),
            participant=participant,
        )
        return await agree.create(house, request, ACTOR)

    async def _address(self, asset: Asset) -> str:
        place = self.stranger.at[asset.chain]
        if asset.chain != Bitcoins.asset.chain:
            return place
        address: str = await self.devnet.bitcoind.rpc("getnewaddress", "", "bech32", wallet=place)
        return address


def _patient(house: House) -> House:
    def wider(market: Market) -> Market:
        profile = replace(market.profile, inclusion=PATIENT_INCLUSION, funding_window=PATIENT_FUNDING_WINDOW)
        return replace(market, profile=profile)

    return replace(house, markets={name: wider(market) for name, market in house.markets.items()})


async def demo(folder: Path) -> tuple[bool, list[str], AsyncExitStack]:
    """Play everything. Returns whether all is as it should be, how to talk to it, and what is still running."""
    async with AsyncExitStack() as stack:
        console.print("starting bitcoind (regtest), anvil and a replica of the Internet Computer …")
        devnet = await stack.enter_async_context(Devnet(folder / "nodes"))
        parties = [Party(name, folder, devnet.state) for name in ("house", "counterparty")]
        await asyncio.gather(*(party.init() for party in parties))
        accounts = [party.account() for party in parties]
        for account in accounts:
            await devnet.fund(account, {symbol: purse.start for symbol, purse in PURSES.items()}, coins=COINS)
        contract = (await parties[0].ask("contract", "deploy"))["contract"]
        for party in parties:
            party.overrides["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = contract
            stack.push_async_callback(party.stop)
        console.print("starting two swapd daemons …")
        await asyncio.gather(*(party.start() for party in parties))
        houses = [await stack.enter_async_context(open_house(party.settings)) for party in parties]
        await asyncio.gather(*map(start_chains, houses))
        coins: list[Coin] = [Bitcoins(devnet.bitcoind), Ether(devnet.anvil, contract), devnet.world.token("ICP")]
        wanted = scenarios([coin.asset for coin in coins])
        before = await count(coins, accounts)
        stage = Stage(devnet, houses[0], houses[1], accounts[1])
        rows = await _watch(stage, parties, wanted)
        after = await count(coins, accounts)
        effects = {party.name: await _effects(house.store) for party, house in zip(parties, houses, strict=True)}
        payers = {a.tx.txid: name for name, found in effects.items() for each in found for a in each.attempts}
        spent = await fees(coins, before, after, accounts, payers)
        good = report(Story(stage.played, rows, effects), [coin.asset for coin in coins], before, after, spent)
        return good, [party.command_line() for party in parties], stack.pop_all()


async def _watch(stage: Stage, parties: Sequence[Party], wanted: list[Scenario]) -> dict[str, SwapRow]:
    """Begin all, and a live table until every swap has ended on both sides and every transaction is final."""
    deadline = wall_clock() + PATIENCE_SECONDS
    beginning = asyncio.create_task(stage.begin(wanted))
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                begun = beginning.done()  # before the look, which then sees everything
                if begun:
                    beginning.result()
                for party in parties:
                    party.require_running()
                rows, going = await _look(stage)
                live.update(progress(stage.played[: len(rows)], rows, wall_clock()), refresh=True)
                if begun and not going:
                    return rows
                if wall_clock() > deadline:
                    raise Unavailable(f"not every swap ended within {PATIENCE_SECONDS} s: {', '.join(going)}")
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        beginning.cancel()
        await asyncio.wait([beginning])


async def _look(stage: Stage) -> tuple[dict[str, SwapRow], list[str]]:
    """The house's rows of all swaps so far, and the ids of those with which somebody is not done."""
    going: set[str] = set()
    for house in (stage.house, stage.other):
        async with house.store.read() as reading:
            going |= {row.id for row in (await reading.swaps()).swaps if not row.status.ended}
            going |= {*await reading.unfinished()}
    async with stage.house.store.read() as reading:
        rows = {each.swap_id: await reading.swap(each.swap_id) for each in stage.played[:]}
    for each in stage.played[: len(rows)]:
        each.look(rows[each.swap_id], wall_clock())
    return rows, sorted(going)


async def _effects(store: Store) -> list[EffectRow]:
    async with store.read() as reading:
        found = (await reading.swaps()).swaps
        return [effect for row in found for effect in await reading.effects(row.id)]
