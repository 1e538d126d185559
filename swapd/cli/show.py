"""How things look in a terminal, and the same things as JSON. Amounts are strings in JSON, times both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from swapd.chains.base import Instructions
from swapd.coordinator.sentences import sentence
from swapd.protocol.observation import LegView
from swapd.protocol.outlook import Deadline, outlook
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset, Leg, Role
from swapd.store import AuditEntry, EffectRow, RequestRow, RequestState, SwapRow
from swapd.store.codec import encode

console = Console()

COLOURS = {
    Status.COMPLETED: "green",
    Status.REFUNDED: "yellow",
    Status.REFUNDING: "yellow",
    Status.FAILED: "bold red",
    Status.EXPIRED: "dim",
    Status.CANCELLED: "dim",
}

REQUEST_COLOURS = {
    RequestState.WAITING: "cyan",
    RequestState.DECIDED: "cyan",
    RequestState.ANSWERED: "green",
}
"""All others want a look."""


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def say(*words: str | tuple[str, str]) -> None:
    """Print one line as it is; a pair is words and their style.

    Words may be a node's or a stranger's: square brackets in them are no markup. And they may be for copying: an
    address is never broken at the edge of a screen or of a pipe.
    """
    console.print(Text.assemble(*words), soft_wrap=True)


def amount(value: int, asset: Asset) -> str:
    """In whole coins, exactly: no float ever holds an amount.

    >>> amount(150_000_000, Asset("BTC", "bitcoin", 8))
    '1.5 BTC'
    """
    whole, part = divmod(abs(value), 10**asset.decimals)
    digits = f"{part:0{asset.decimals}d}".rstrip("0") if asset.decimals else ""
    return f"{'-' if value < 0 else ''}{whole}{'.' + digits if digits else ''} {asset.symbol}"


def moment(unix: int | None) -> str | None:
    """RFC 3339, in UTC."""
    return None if unix is None else datetime.fromtimestamp(unix, UTC).isoformat().replace("+00:00", "Z")


def when(unix: int, now: int) -> str:
    """A time for people: the clock, and how far it is."""
    away = unix - now
    minutes, seconds = divmod(abs(away), 60)
    hours, minutes = divmod(minutes, 60)
    distance = (f"{hours} h " if hours else "") + (f"{minutes} min " if minutes or hours else "") + f"{seconds} s"
    return f"{moment(unix)} ({'in ' + distance if away >= 0 else distance + ' ago'})"


def swap_dict(row: SwapRow, effects: tuple[EffectRow, ...] = ()) -> dict[str, Any]:
    """A swap as JSON. Holds nothing that is secret before it is public (rule S9)."""
    return {
        "id": row.id,
        "status": row.status.value,
        "next": row.note,
        "trouble": row.reason,
        "secret_holder": row.terms.secret.value,
        "hashlock": row.terms.hashlock.hex(),
        "preimage": row.revealed_preimage.hex() if row.revealed_preimage else None,
        "created_at": _both(row.created_at),
        "owner": row.owner,
        "cancelled_at": None if row.cancelled_at is None else _both(row.cancelled_at),
        "frozen_at": None if row.frozen_at is None else _both(row.frozen_at),
        "forced_at": None if row.forced_at is None else _both(row.forced_at),
        "approvals": [
            {"operator": a.operator, "expires_at": _both(a.expires_at), "withdrawn": a.withdrawn_at is not None}
            for a in row.approvals
        ],
        "reveal_by": _both(row.terms.reveal_by),
        "deadlines": [{"at": _both(each.at), "what": each.what, "after": each.after} for each in _outlook(row)],
        "legs": {leg.role.value: _leg_dict(leg, row.legs[leg.role].view, row) for leg in row.terms.legs},
        "effects": [_effect_dict(effect) for effect in effects],
    }


def _both(unix: int) -> dict[str, Any]:
    return {"unix": unix, "utc": moment(unix)}


def _leg_dict(leg: Leg, view: LegView, row: SwapRow) -> dict[str, Any]:
    terms = leg.terms
    return {
        "chain": terms.chain,
        "asset": terms.asset.symbol,
        "amount": str(terms.amount),
        "sender": terms.sender,
        "receiver": terms.receiver,
        "pay_to": leg.pay_to,
        "refund_to": leg.refund_to,
        "funded_by": leg.funded_by.value,
        "claimed_by": leg.claimed_by.value,
        "fund_by": _both(terms.fund_by),
        "timelock": _both(terms.timelock),
        "contract": row.legs[leg.role].fingerprint,
        "state": view.state.value,
        "depth": view.depth,
        "confirmations": leg.confirmations,
        "lock_txid": view.lock_txid,
        "spend_txid": view.spend_txid,
        "strays": [{"ref": s.ref, "amount": str(s.amount), "why": s.why, "way_back": s.way_back} for s in view.strays],
    }


def _effect_dict(effect: EffectRow) -> dict[str, Any]:
    return {
        "key": effect.effect.key,
        "state": effect.state.value,
        "trouble": effect.error,
        "attempts": [
            {
                "txid": attempt.tx.txid,
                "fee_at_most": str(attempt.tx.fee),
                "sent_at": moment(attempt.sent_at),
                "state": attempt.fate.state.value if attempt.fate else None,
                "fee_paid": str(attempt.fate.fee) if attempt.fate and attempt.fate.fee is not None else None,
            }
            for attempt in effect.attempts
        ],
    }


def request_dict(row: RequestRow) -> dict[str, Any]:
    """A request from a chain's board as JSON."""
    return {
        "chain": row.chain,
        "ref": row.ref,
        "by": row.by,
        "asked_at": _both(row.asked_at),
        "asked": encode(row.request),
        "state": row.state.value,
        "swap": row.swap_id,
        "refused": encode(row.refusal),
        "trouble": row.error,
        "attempts": row.attempts,
    }


def print_request(row: RequestRow, now: int) -> None:
    """Who asked for a swap, and whether the answer stands on the chain."""
    style = REQUEST_COLOURS.get(row.state, "red")
    say(f"\nasked for by {row.by} on {row.chain}, {when(row.asked_at, now)}: ", (row.state.value, style))
    say(f"  request {row.ref}")
    if row.error:
        say("  trouble: ", (row.error, "red"))


def requests_table(rows: tuple[RequestRow, ...]) -> Table:
    table = Table(
        *(Column("asked", no_wrap=True), "by", exact("gives"), exact("gets"), Column("state", no_wrap=True)),
        *(Column("swap", no_wrap=True), "refused, or trouble"),
        title="requests",
    )
    for row in rows:
        asked, refusal = row.request, row.refusal
        words = f"{refusal.field}: {refusal.reason}" if refusal else row.error
        table.add_row(
            moment(row.asked_at),
            f"{row.by} on {row.chain}",
            f"{asked.give_amount} {escape(asked.give)}" if asked else "?",
            f"{asked.get_amount} {escape(asked.get)}" if asked else "?",
            f"[{REQUEST_COLOURS.get(row.state, 'red')}]{row.state.value}[/]",
            row.swap_id or "",
            escape(words),
        )
    return table


def exact(heading: str) -> Column:
    """A column for amounts: on a narrow screen they take two lines, and no digit is left out."""
    return Column(heading, overflow="fold")


def swaps_table(rows: tuple[SwapRow, ...], now: int) -> Table:
    table = Table(
        Column("swap", no_wrap=True),
        exact("gives"),
        exact("gets"),
        Column("status", no_wrap=True),
        "initiator leg",
        "participant leg",
        "next",
        title="swaps",
    )
    for row in rows:
        first, second = row.terms.initiator.terms, row.terms.participant.terms
        colour = COLOURS.get(row.status, "cyan")
        table.add_row(
            row.id,
            amount(first.amount, first.asset),
            amount(second.amount, second.asset),
            f"[{colour}]{row.status.value}[/]",
            leg_cell(row, Role.INITIATOR, now),
            leg_cell(row, Role.PARTICIPANT, now),
            escape(row.note),
        )
    return table


def leg_cell(row: SwapRow, role: Role, now: int) -> str:
    """State, confirmations and the time to the leg's deadline, in one cell."""
    leg, view = row.terms.leg(role), row.legs[role].view
    depth = (
        f" {min(view.depth, leg.confirmations)}/{leg.confirmations}" if view.state not in ("absent", "unknown") else ""
    )
    return f"{leg.terms.chain}: {view.state.value}{depth}, T{now - leg.terms.timelock:+d} s"


def print_swap(row: SwapRow, effects: tuple[EffectRow, ...], trail: list[AuditEntry], now: int) -> None:
    """A swap's story for a person."""
    say("swap ", (row.id, "bold"), "  ", (row.status.value, COLOURS.get(row.status, "cyan")))
    say(f"next: {row.note or 'swapd has not looked at it yet'}")
    for deadline in _outlook(row):
        say(f"  until {when(deadline.at, now)}: {deadline.what}; after that {deadline.after}")
    if row.cancelled_at is not None:
        say(f"cancelled {when(row.cancelled_at, now)}")
    if row.reason:
        say("trouble: ", (row.reason, "red"))
    say(f"hashlock {row.terms.hashlock.hex()}, secret held by {row.terms.secret.value}")
    for leg in row.terms.legs:
        _print_leg(row, leg, now)
    for effect in effects:
        for attempt in effect.attempts:
            fate = attempt.fate.state.value if attempt.fate else ("sent" if attempt.sent_at else "signed")
            say(f"{effect.effect.key}: {attempt.tx.txid} {fate}")
        if effect.error:
            say(f"{effect.effect.key}: ", (effect.error, "red"))
    if trail:
        say("\nstory")
        for entry in trail:
            say(f"  {moment(entry.at)}  {entry.actor}: {sentence(entry)}")


def _outlook(row: SwapRow) -> tuple[Deadline, ...]:
    return outlook(row.terms, {role: row.legs[role].view for role in Role}, row.status)


def _print_leg(row: SwapRow, leg: Leg, now: int) -> None:
    view, terms = row.legs[leg.role].view, leg.terms
    say(
        *("\n", (f"{leg.role.value} leg", "bold"), f" {amount(terms.amount, terms.asset)} on {terms.chain}: "),
        f"{view.state.value}, {view.depth} of {leg.confirmations} confirmations",
    )
    say(f"  funded by {leg.funded_by.value}, until {when(terms.fund_by, now)}")
    say(f"  claimed by {leg.claimed_by.value}, paid to {leg.pay_to}")
    say(f"  refund to {leg.refund_to} from {when(terms.timelock, now)}")
    for name, txid in (("lock", view.lock_txid), ("spend", view.spend_txid)):
        if txid:
            say(f"  {name} {txid}")
    for stray in view.strays:
        say("  ", ("not the leg", "red"), f": {stray.ref}: {stray.why}. {stray.way_back}")


def instructions_dict(leg: Leg, instructions: Instructions, not_before: str) -> dict[str, Any]:
    """not_before: what the owner of the wallet should wait for first, None if for nothing."""
    return {
        "leg": leg.role.value,
        "not_before": not_before or None,
        "summary": instructions.summary,
        "fields": dict(instructions.fields),
    }


def print_instructions(leg: Leg, instructions: Instructions, not_before: str) -> None:
    say("\n", (f"to fund the {leg.role.value} leg", "bold"), f": {instructions.summary}")
    if not_before:
        say("  ", (f"not before {not_before}", "yellow"))
    for name, value in instructions.fields.items():
        say(f"  {name}: {value}")


def balances_dict(balances: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, str]]:
    return {chain: {symbol: str(value) for symbol, value in each.items()} for chain, each in balances.items()}
