"""`swapd swap`: create, take part, look, watch, cancel, refund."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from rich.live import Live

from swapd.cli.context import Context, command, open_house, start_chains
from swapd.cli.options import AMOUNT, json_option, wallets
from swapd.cli.show import (
    console,
    instructions_dict,
    print_instructions,
    print_json,
    print_request,
    print_swap,
    request_dict,
    say,
    swap_dict,
    swaps_table,
)
from swapd.coordinator import agree
from swapd.coordinator.house import House
from swapd.coordinator.refunds import ask_refund
from swapd.errors import Invalid
from swapd.protocol.observation import LegState
from swapd.protocol.status import Status
from swapd.protocol.terms import Leg, Role, SwapTerms, Wallet
from swapd.store import SwapRow
from swapd.store.codec import encode, loads

ACTOR = "operator"

OFFER_LARGEST = 100_000
"""Characters. An offer has some two thousand; more than this is something else."""


@click.group()
def swap() -> None:
    """Swaps, one by one or all of them."""


@swap.command()
@click.option("--give", required=True, help="Asset of the initiator leg, e.g. BTC.")
@click.option("--give-amount", type=AMOUNT, required=True, help="In its smallest unit (satoshi, wei).")
@click.option("--get", required=True, help="Asset of the participant leg, e.g. ETH.")
@click.option("--get-amount", type=AMOUNT, required=True, help="In its smallest unit (satoshi, wei).")
@click.option("--initiator", type=wallets, default="hot", show_default=True, help="Whose wallet gives.")
@click.option("--initiator-refund-to", help="External initiator: where the initiator leg goes back to.")
@click.option("--initiator-receive-at", help="External initiator: where the participant leg is paid to.")
@click.option("--participant", type=wallets, default="external", show_default=True, help="Whose wallet gets.")
@click.option("--participant-refund-to", help="External participant: where the participant leg goes back to.")
@click.option("--participant-receive-at", help="External participant: where the initiator leg is paid to.")
@click.option("--participant-claims-itself", is_flag=True, help="It gave its own key, and claims without swapd's help.")
@click.option(
    "--offer", type=click.Path(dir_okay=False, path_type=Path), help="Write the terms here for the other party."
)
@json_option
@command
async def create(context: Context, /, as_json: bool, offer: Path | None, **asked: Any) -> None:
    """Create a swap with our own secret. Nothing is written unless everything about it is right."""
    request = agree.Request(
        give=asked["give"],
        give_amount=asked["give_amount"],
        get=asked["get"],
        get_amount=asked["get_amount"],
        initiator=agree.Side(Wallet(asked["initiator"]), asked["initiator_refund_to"], asked["initiator_receive_at"]),
        participant=agree.Side(
            Wallet(asked["participant"]),
            asked["participant_refund_to"],
            asked["participant_receive_at"],
            asked["participant_claims_itself"],
        ),
    )
    if offer is not None:
        _require_writable(offer)
    async with open_house(context.settings()) as house:
        await start_chains(house)
        terms = await agree.create(house, request, ACTOR)
        if offer is not None:
            _write_offer(offer, terms)
        await _print_one(house, terms.swap_id, as_json)


@swap.command()
@click.option("--receive-on", required=True, help="Chain of the initiator leg, which we claim.")
@click.option("--send-on", required=True, help="Chain of the participant leg, which we fund.")
@json_option
@command
async def keys(context: Context, receive_on: str, send_on: str, as_json: bool) -> None:
    """Reserve keys for taking part in somebody else's swap; give the printed identities to its initiator."""
    async with open_house(context.settings()) as house:
        await start_chains(house)
        index, receiver, sender = await agree.reserve_keys(house, receive_on, send_on)
    if as_json:
        print_json({"index": index, "receive_at": receiver.identity, "refund_to": sender.identity})
        return
    say(f"--participant-receive-at {receiver.identity}")
    say(f"--participant-refund-to {sender.identity}")
    say(f"then: swapd swap accept OFFER --index {index}")


@swap.command()
@click.argument("offer", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--index", type=int, required=True, help="As `swapd swap keys` printed it.")
@json_option
@command
async def accept(context: Context, offer: str, index: int, as_json: bool) -> None:
    """Take part in a swap that another swapd created, after checking its terms. Amounts in it are in smallest units
    (satoshi, wei). OFFER is a file, or - for standard input."""
    terms = _read_offer(offer)
    async with open_house(context.settings()) as house:
        await start_chains(house)
        await agree.accept(house, terms, index, ACTOR)
        await _print_one(house, terms.swap_id, as_json)


def _require_writable(offer: Path) -> None:
    """Before the swap is made: afterwards nobody could hear of its terms."""
    if not os.access(offer if offer.exists() else offer.parent, os.W_OK):
        raise Invalid("offer", str(offer), "a file that can be written")


def _write_offer(offer: Path, terms: SwapTerms) -> None:
    offer.write_text(json.dumps(encode(terms), indent=2) + "\n")


def _read_offer(path: str) -> SwapTerms:
    try:
        with click.open_file(path, encoding="utf-8") as file:
            text = file.read(OFFER_LARGEST)
    except (OSError, UnicodeDecodeError):
        raise Invalid("offer", path, "a text file that can be read") from None
    try:
        return loads(SwapTerms, text)
    except Invalid as error:
        raise Invalid(
            f"offer {error.field}", error.value, f"{error.expected}, as `swap create --offer` writes it"
        ) from None


@swap.command("list")
@click.option("--status", type=click.Choice([s.value for s in Status]), multiple=True)
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@command
async def list_(context: Context, status: tuple[str, ...], limit: int, as_json: bool) -> None:
    """The newest swaps."""
    async with open_house(context.settings()) as house:
        async with house.store.read() as reading:
            found = await reading.swaps(status=[Status(s) for s in status] or None, limit=limit)
        if as_json:
            print_json([swap_dict(row) for row in found.swaps])
        else:
            console.print(swaps_table(found.swaps, house.clock()))
        for damaged in found.damaged:
            click.echo(str(damaged), err=True)


@swap.command()
@click.argument("swap_id")
@json_option
@command
async def show(context: Context, swap_id: str, as_json: bool) -> None:
    """A swap's whole story; for an external leg that waits for its money, exactly how to fund it."""
    async with open_house(context.settings()) as house:
        await _print_one(house, swap_id, as_json)


@swap.command()
@click.argument("swap_id", required=False)
@click.option("--every", type=click.FloatRange(0.1, 60), default=1.0, show_default=True, help="Seconds.")
@json_option
@command
async def watch(context: Context, swap_id: str | None, every: float, as_json: bool) -> None:
    """A live table of one swap or all, until they have ended or Ctrl-C. With --json, a line for each change of one."""
    told: dict[str, str] = {}
    async with open_house(context.settings()) as house:
        with nullcontext() if as_json else Live(console=console, auto_refresh=False) as live:
            while True:
                async with house.store.read() as reading:
                    found = (await reading.swaps()).swaps if swap_id is None else (await reading.swap(swap_id),)
                if live is None:
                    _tell_changes(found, told)
                else:
                    live.update(swaps_table(found, house.clock()), refresh=True)
                if all(row.status.ended for row in found):
                    return
                await asyncio.sleep(every)


def _tell_changes(rows: tuple[SwapRow, ...], told: dict[str, str]) -> None:
    for row in rows:
        line = json.dumps(swap_dict(row))
        if told.get(row.id) != line:
            told[row.id] = line
            click.echo(line)


@swap.command()
@click.argument("swap_id")
@click.option("--why", default="asked for by an operator", show_default=True)
@json_option
@command
async def cancel(context: Context, swap_id: str, why: str, as_json: bool) -> None:
    """Call a swap off while nothing is locked. Money that comes later is sent back at its timelock."""
    async with open_house(context.settings()) as house:
        async with house.store.write(ACTOR) as writing:
            await writing.cancel(swap_id, why)
        await _print_one(house, swap_id, as_json)


@swap.command()
@click.argument("swap_id")
@json_option
@command
async def refund(context: Context, swap_id: str, as_json: bool) -> None:
    """Have the daemon look for anything of this swap that can go back now, and send it. Refused before the timelock."""
    async with open_house(context.settings()) as house:
        await start_chains(house)
        await ask_refund(house, swap_id, ACTOR)
        await _print_one(house, swap_id, as_json)


async def _print_one(house: House, swap_id: str, as_json: bool) -> None:
    async with house.store.read() as reading:
        row = await reading.swap(swap_id)
        effects = await reading.effects(swap_id)
        request = await reading.request_for(swap_id)
        trail = await reading.audit_trail(swap_id)
    now = house.clock()
    waiting = [
        (leg, house.chain(leg.terms.chain).instructions(leg), _not_before(row, leg))
        for leg in row.terms.legs
        if _waits_for_owner(row, leg, now)
    ]
    if as_json:
        told = swap_dict(row, effects)
        told["request"] = None if request is None else request_dict(request)
        print_json(told | {"instructions": [instructions_dict(*each) for each in waiting]})
        return
    print_swap(row, effects, trail, now)
    if request is not None:
        print_request(request, now)
    for each in waiting:
        print_instructions(*each)


def _waits_for_owner(row: SwapRow, leg: Leg, now: int) -> bool:
    """An external leg without its money, as long as money is welcome."""
    unfunded = row.legs[leg.role].view.state in (LegState.ABSENT, LegState.UNKNOWN)
    over = row.status.ended or row.cancelled_at is not None or now > leg.terms.fund_by
    return leg.funded_by is Wallet.EXTERNAL and unfunded and not over


def _not_before(row: SwapRow, leg: Leg) -> str:
    """What the leg's owner should see before it funds it; "" when there is nothing to wait for."""
    if leg.role is Role.INITIATOR:
        return "swapd has taken the swap up (its status is then accepted)" if row.status is Status.PROPOSED else ""
    first, view = row.terms.initiator, row.legs[Role.INITIATOR].view
    if view.state is LegState.LOCKED and view.depth >= first.confirmations:
        return ""
    return f"the initiator leg is final: {view.depth} of {first.confirmations} confirmations (rule S1)"
