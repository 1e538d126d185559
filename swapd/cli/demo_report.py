"""What the demo shows while it runs and at its end: every swap, every transaction, every coin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Column, Table

from swapd.chains.base import TxState
from swapd.cli.show import COLOURS, amount, console, exact
from swapd.devnet.money import NOBODY, Count, Fees
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset, Role
from swapd.store import EffectRow, SwapRow

HOUSE = "house"


@dataclass(frozen=True)
class Scenario:
    """give, get: of the house."""

    give: Asset
    give_amount: int
    get: Asset
    get_amount: int
    ends: Status

    @property
    def completes(self) -> bool:
        return self.ends is Status.COMPLETED

    @property
    def pair(self) -> str:
        return f"{self.give.symbol} → {self.get.symbol}"

    @property
    def title(self) -> str:
        return f"{self.pair}, to be {self.ends.value}"


@dataclass
class Played:
    """seconds: from the terms to the end, once it has come."""

    scenario: Scenario
    swap_id: str
    seconds: int | None = None

    def look(self, row: SwapRow, now: int) -> None:
        if self.seconds is None and row.status.ended:
            self.seconds = now - row.created_at


@dataclass(frozen=True)
class Story:
    """What became of the swaps. effects: by name of the party that carried them out."""

    played: Sequence[Played]
    rows: Mapping[str, SwapRow]
    effects: Mapping[str, Sequence[EffectRow]]


def progress(played: Sequence[Played], rows: Mapping[str, SwapRow], now: int) -> Table:
    """One line a swap, while they run."""
    table = Table("pair", "to be", "status", "first leg", "second leg")
    for each in played:
        row = rows[each.swap_id]
        legs = (_leg(row, role, now) for role in (Role.INITIATOR, Role.PARTICIPANT))
        table.add_row(each.scenario.pair, each.scenario.ends.value, _coloured(row.status), *legs)
    return table


def _leg(row: SwapRow, role: Role, now: int) -> str:
    """State, and seconds to its timelock or since then."""
    return f"{row.legs[role].view.state.value}, T{now - row.terms.leg(role).terms.timelock:+d} s"


def report(story: Story, coins: Sequence[Asset], before: Count, after: Count, spent: Fees) -> bool:
    """The tables at the end. True if every swap ended as it should and nothing is missing on any chain."""
    _list_transactions(story, {coin.chain: coin for coin in coins}, spent)
    console.print(_swaps(story))
    money, conserved = _money(story, coins, before, after, spent)
    console.print(money)
    left = ", ".join(amount(after.held[coin.symbol] - before.held[coin.symbol], coin) for coin in coins)
    console.print(f"left in contract and canister: {left}", highlight=False)
    return conserved and all(story.rows[each.swap_id].status is each.scenario.ends for each in story.played)


def _list_transactions(story: Story, coins: Mapping[str, Asset], spent: Fees) -> None:
    """Who sent what, and what it did cost: as the chain says, or where it does not, as the sender's swapd says."""
    lines = ["", "transactions"]
    for each in story.played:
        terms = story.rows[each.swap_id].terms
        lines.append(f"{each.swap_id} {each.scenario.pair}")
        for name, effects in story.effects.items():
            for effect in (e for e in effects if e.swap_id == each.swap_id):
                leg = terms.leg(effect.effect.role).terms
                mined = [a for a in effect.attempts if a.fate is not None and a.fate.state is TxState.MINED]
                for attempt in mined:
                    cost = spent.transactions.get(attempt.tx.txid, attempt.fate.fee or 0 if attempt.fate else 0)
                    what = f"{effect.effect.kind.value} {amount(leg.amount, leg.asset)}"
                    if attempt.voiding:
                        what += " given up"
                    elif attempt is not mined[-1]:
                        what = f"approval to {what}"
                    lines.append(f"  {name} {what}, fee {amount(cost, coins[leg.chain])}: {attempt.tx.txid}")
    console.print("\n".join([*lines, ""]), highlight=False, soft_wrap=True)


def _swaps(story: Story) -> Table:
    kept = [Column(heading, no_wrap=True) for heading in ("swap", "pair", "outcome")]
    table = Table(*kept, exact("gave"), exact("got"), "seconds", title="swaps")
    for each in story.played:
        row, scenario = story.rows[each.swap_id], each.scenario
        outcome = _coloured(row.status)
        if row.status is not scenario.ends:
            outcome += f" [bold red]and not {scenario.ends.value}[/]"
        amounts = (amount(scenario.give_amount, scenario.give), amount(scenario.get_amount, scenario.get))
        moved = amounts if row.status is Status.COMPLETED else ("-", "-")
        table.add_row(each.swap_id, scenario.pair, outcome, *moved, str(each.seconds))
    return table


def _money(story: Story, coins: Sequence[Asset], before: Count, after: Count, spent: Fees) -> tuple[Table, bool]:
    """The table, and whether nothing is missing."""
    headings = ("before", "after", "swapped", "fees", "missing")
    table = Table("who", "coin", *(exact(heading) for heading in headings), title="money")
    good = True
    for coin in coins:
        had, has, paid = before.had[coin.symbol], after.had[coin.symbol], spent.paid[coin.symbol]
        for name in had:
            swapped = _expected(story.played, coin) * (1 if name == HOUSE else -1)
            missing = had[name] + swapped - paid[name] - has[name]
            values = (had[name], has[name], swapped, paid[name], missing)
            table.add_row(name, coin.symbol, *(amount(value, coin) for value in values))
            good = good and missing == 0
        total = sum(had.values()) - sum(has.values()) - sum(paid.values())
        values = (sum(had.values()), sum(has.values()), 0, sum(paid.values()), total)
        table.add_row("[bold]together", coin.symbol, *(amount(value, coin) for value in values))
        table.add_section()
        good = good and total == 0 and not paid[NOBODY] and after.held[coin.symbol] == before.held[coin.symbol]
    return table, good


def _expected(played: Sequence[Played], coin: Asset) -> int:
    """What the swaps that complete bring the house, fees aside."""
    done = [each.scenario for each in played if each.scenario.completes]
    return sum(s.get_amount for s in done if s.get == coin) - sum(s.give_amount for s in done if s.give == coin)


def _coloured(status: Status) -> str:
    return f"[{COLOURS.get(status, 'cyan')}]{status.value}[/]"
