"""`make demo`: four swaps on real nodes, between two swapd processes that know of each other only what swappers know.

The house runs one daemon, its counterparty another, with its own seed, wallets and database. Two swaps complete, in
both directions; in two the counterparty never locks, and the house's money goes back at its timelock. At the end every
satoshi and wei is accounted for from the chains alone, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.table import Table

from swapd.chains.base import TxState
from swapd.cli.show import amount, console, exact, swaps_table
from swapd.coordinator.house import wall_clock
from swapd.devnet.money import Account, Count, Fees, count, fees
from swapd.devnet.network import Devnet
from swapd.devnet.party import Party
from swapd.errors import SwapdError, Unavailable
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset
from swapd.store import EffectRow, Store, SwapRow

BTC = Asset("BTC", "bitcoin", 8)
ETH = Asset("ETH", "ethereum", 18)

START_SATOSHI = 500_000_000
START_WEI = 50 * 10**18
PATIENCE_SECONDS = 150
KEPT = Path(".cache/demo")


@dataclass(frozen=True)
class Scenario:
    give: Asset
    give_amount: int
    get: Asset
    get_amount: int
    ends: Status

    @property
    def completes(self) -> bool:
        return self.ends is Status.COMPLETED

    @property
    def title(self) -> str:
        return f"{self.give.symbol} → {self.get.symbol}, {self.ends.value}"


@dataclass
class Played:
    scenario: Scenario
    swap_id: str


SCENARIOS = (
    Scenario(BTC, 10_000_000, ETH, 15 * 10**17, Status.COMPLETED),
    Scenario(ETH, 2 * 10**18, BTC, 12_000_000, Status.COMPLETED),
    Scenario(BTC, 7_000_000, ETH, 10**18, Status.REFUNDED),
    Scenario(ETH, 3 * 10**18, BTC, 20_000_000, Status.REFUNDED),
)


async def demo(folder: Path) -> tuple[bool, list[str], AsyncExitStack]:
    """Play everything. Returns whether all is as it should be, how to talk to it, and what is still running."""
    async with AsyncExitStack() as stack:
        console.print("starting bitcoind (regtest) and anvil …")
        devnet = await stack.enter_async_context(Devnet(folder / "nodes"))
        house, other = parties = [Party(name, folder, devnet.state) for name in ("house", "counterparty")]
        await asyncio.gather(*(party.init() for party in parties))
        accounts = [await _fund(devnet, party) for party in parties]
        contract = (await house.ask("contract", "deploy"))["contract"]
        for party in parties:
            party.overrides["SWAPD__CHAINS__ETHEREUM__CONTRACT"] = contract
            stack.push_async_callback(party.stop)
        console.print("starting two swapd daemons …")
        await asyncio.gather(*(party.start() for party in parties))
        before = await count(devnet.bitcoind, devnet.anvil, accounts, contract)
        # those that end at their timelock take longest, so they come first
        played = await asyncio.gather(*(_propose(house, s, devnet, accounts[1]) for s in SCENARIOS if not s.completes))
        played += await asyncio.gather(*(_agree(house, other, s, folder) for s in SCENARIOS if s.completes))
        ours = await stack.enter_async_context(house.store())
        theirs = await stack.enter_async_context(other.store())
        rows = await _watch(parties, ours, theirs, played)
        after = await count(devnet.bitcoind, devnet.anvil, accounts, contract)
        effects = {"house": await _effects(ours), "counterparty": await _effects(theirs)}
        payers = {a.tx.txid: name for name, found in effects.items() for each in found for a in each.attempts}
        spent = await fees(devnet.bitcoind, devnet.anvil, before, after, accounts, payers)
        good = _report(played, rows, before, after, spent, effects)
        return good, [party.command_line() for party in parties], stack.pop_all()


async def _fund(devnet: Devnet, party: Party) -> Account:
    await devnet.bitcoind.create_wallet(party.name)
    address = await devnet.bitcoind.rpc("getnewaddress", "", "bech32", wallet=party.name)
    await devnet.bitcoind.fund(address, START_SATOSHI)
    account = Account(party.name, party.name, party.ethereum_address())
    await devnet.anvil.set_balance(account.address, START_WEI)
    return account


async def _propose(house: Party, scenario: Scenario, devnet: Devnet, stranger: Account) -> Played:
    """A swap with somebody who gave two addresses of theirs, and is never heard of again."""
    addresses = {
        "bitcoin": await devnet.bitcoind.rpc("getnewaddress", "", "bech32", wallet=stranger.wallet),
        "ethereum": stranger.address,
    }
    created = await _create(house, scenario, addresses[scenario.get.chain], addresses[scenario.give.chain])
    return _played(scenario, created["id"])


async def _agree(house: Party, other: Party, scenario: Scenario, folder: Path) -> Played:
    """The counterparty reserves keys, the house makes terms with them, the counterparty checks and accepts."""
    keys = await other.ask("swap", "keys", "--receive-on", scenario.give.chain, "--send-on", scenario.get.chain)
    offer = folder / f"offer-{keys['index']}.json"
    words = ("--participant-claims-itself", "--offer", str(offer))
    created = await _create(house, scenario, keys["refund_to"], keys["receive_at"], *words)
    await other.ask("swap", "accept", str(offer), "--index", str(keys["index"]))
    return _played(scenario, created["id"])


async def _create(house: Party, scenario: Scenario, refund_to: str, receive_at: str, *words: str) -> Any:
    return await house.ask(
        *("swap", "create", "--give", scenario.give.symbol, "--give-amount", str(scenario.give_amount)),
        *("--get", scenario.get.symbol, "--get-amount", str(scenario.get_amount)),
        *("--participant-refund-to", refund_to, "--participant-receive-at", receive_at, *words),
    )


def _played(scenario: Scenario, swap_id: str) -> Played:
    console.print(f"swap {swap_id}: {scenario.title}", highlight=False)
    return Played(scenario, swap_id)


async def _watch(parties: Sequence[Party], ours: Store, theirs: Store, played: list[Played]) -> dict[str, SwapRow]:
    """A live table, until every swap has ended on both sides and every transaction is final."""
    ids = [each.swap_id for each in played]
    deadline = wall_clock() + PATIENCE_SECONDS
    with Live(console=console, auto_refresh=False) as live:
        while True:
            for party in parties:
                party.require_running()
            async with ours.read() as reading:
                rows = {swap_id: await reading.swap(swap_id) for swap_id in ids}
                going = await reading.unfinished()
            async with theirs.read() as reading:
                others = (await reading.swaps()).swaps
                going += await reading.unfinished()
            live.update(swaps_table(tuple(rows.values()), wall_clock()), refresh=True)
            if all(row.status.ended for row in [*rows.values(), *others]) and not going:
                return rows
            if wall_clock() > deadline:
                raise Unavailable(f"not every swap ended within {PATIENCE_SECONDS} s: {going}")
            await asyncio.sleep(0.3)


async def _effects(store: Store) -> list[EffectRow]:
    async with store.read() as reading:
        found = (await reading.swaps()).swaps
        return [effect for row in found for effect in await reading.effects(row.id)]


def _report(
    played: list[Played],
    rows: dict[str, SwapRow],
    before: Count,
    after: Count,
    spent: Fees,
    effects: dict[str, list[EffectRow]],
) -> bool:
    """The tables at the end. True if every swap ended as it should and nothing is missing on any chain."""
    table = Table("swap", "expected", "status", "who", exact("what"), exact("fee"), title="swaps")
    lines = []
    for each in played:
        table.add_section()
        row = rows[each.swap_id]
        first = [each.swap_id, each.scenario.title, row.status.value]
        for name, found in effects.items():
            for effect in (e for e in found if e.swap_id == each.swap_id):
                asset = row.terms.leg(effect.effect.role).terms.asset
                for attempt in effect.attempts:
                    if attempt.fate is not None and attempt.fate.state is TxState.MINED:
                        coin = BTC if asset.chain == BTC.chain else ETH
                        cost = amount(spent.transactions.get(attempt.tx.txid, 0), coin)
                        value = row.terms.leg(effect.effect.role).terms.amount
                        what = f"{effect.effect.kind.value} {amount(value, asset)}"
                        table.add_row(*first, name, what, cost)
                        first = ["", "", ""]
                        lines.append(f"{each.swap_id} {name} {what}: {attempt.tx.txid}")
    console.print(table)
    console.print("\n".join(["", "transactions", *lines, ""]), highlight=False, soft_wrap=True)
    good = all(rows[each.swap_id].status is each.scenario.ends for each in played)
    return _report_money(played, before, after, spent) and good


def _report_money(played: list[Played], before: Count, after: Count, spent: Fees) -> bool:
    headings = ("before", "after", "swapped", "fees", "unexplained")
    table = Table("who", "coin", *(exact(heading) for heading in headings), title="money")
    good = True
    chains = (
        (BTC, before.satoshi, after.satoshi, spent.satoshi),
        (ETH, before.wei, after.wei, spent.wei),
    )
    for coin, had, has, paid in chains:
        for name in had:
            swapped = _expected(played, coin) * (1 if name == "house" else -1)
            missing = had[name] + swapped - paid[name] - has[name]
            good = good and missing == 0
            values = (had[name], has[name], swapped, paid[name], missing)
            table.add_row(name, coin.symbol, *(amount(value, coin) for value in values))
        total = sum(had.values()) - sum(has.values()) - sum(paid.values())
        values = (sum(had.values()), sum(has.values()), 0, sum(paid.values()), total)
        table.add_row("[bold]together", coin.symbol, *(amount(value, coin) for value in values))
        good = good and total == 0 and not paid["?"]
    console.print(table)
    console.print(f"left in the contract: {amount(after.contract - before.contract, ETH)}", highlight=False)
    return good and after.contract == before.contract


def _expected(played: list[Played], coin: Asset) -> int:
    """What the swaps that complete bring the house, fees aside."""
    done = [each.scenario for each in played if each.scenario.completes]
    return sum(s.get_amount for s in done if s.get == coin) - sum(s.give_amount for s in done if s.give == coin)


async def _play(folder: Path, keep: bool) -> int:
    """Until the end, or a signal; then everything that was started is stopped."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine that runs has a task
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    good, talk, running = await demo(folder)
    async with running:
        console.print(
            "[green]every swap ended as expected, and nothing is missing[/]" if good else "[red]NOT as expected[/]"
        )
        if keep:
            await _stay(folder, talk, good)
    return 0 if good else 1


async def _stay(folder: Path, talk: list[str], good: bool) -> None:
    """Leave nodes and daemons running: tell the process that waits for us that it may end, and wait ourselves."""
    console.print("\neverything is left running; to talk to the house and to its counterparty:")
    for line in talk:
        console.print(f"  {line} swap list", highlight=False, soft_wrap=True)
    console.print(f"to end it all: {sys.executable} -m swapd devnet down --folder {folder / 'nodes'}", soft_wrap=True)
    (folder / "outcome").write_text("0" if good else "1")
    await asyncio.Event().wait()


def _keep(folder: Path) -> int:
    """Run the demo in a process of its own that stays, and return when its swaps are done."""
    outcome = folder / "outcome"
    outcome.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        os._exit(_guarded(folder, keep=True))
    try:
        while not outcome.exists():
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status) or 1
            signal.sigtimedwait([], 0.2)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os.waitpid(child, 0)
        return 130
    return int(outcome.read_text())


def _guarded(folder: Path, *, keep: bool) -> int:
    try:
        return asyncio.run(_play(folder, keep))
    except SwapdError as error:
        console.print(f"[red]{error}[/]")
        return 1
    except (asyncio.CancelledError, KeyboardInterrupt):
        console.print("stopped; nothing is left running")
        return 130


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--keep", action="store_true", help="leave nodes and daemons running, and say how to talk to them"
    )
    if parser.parse_args().keep:
        shutil.rmtree(KEPT, ignore_errors=True)
        KEPT.mkdir(parents=True)
        return _keep(KEPT.resolve())
    with tempfile.TemporaryDirectory(prefix="swapd-demo-", ignore_cleanup_errors=True) as folder:
        return _guarded(Path(folder), keep=False)


if __name__ == "__main__":
    sys.exit(main())
