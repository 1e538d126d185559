"""What shows a leg to somebody who believes nobody but the chain: its transactions, each with the way to its block.

The way is the node's own `gettxoutproof` (a merkle block, BIP 37): the block's header, whose hash is its proof of work,
and the branch that leads from the header to the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from swapd.chains.base import WatchedLeg
from swapd.chains.bitcoin import blocks
from swapd.chains.bitcoin.blocks import absent
from swapd.chains.bitcoin.look import Coin, Look, the_leg
from swapd.chains.bitcoin.rpc import Call, Rpc
from swapd.chains.bitcoin.script import htlc_script
from swapd.chains.bitcoin.transaction import read
from swapd.errors import Unavailable

MOST_TRANSACTIONS = 16
"""Of one leg, its own lock and spend before those of strays, of which anybody can make any number."""

MOST_CHARACTERS = 2_000_000
"""Of hex, all in all. The largest transaction that nodes relay takes 800,000, and one that swapd makes some 1,000."""


async def prove(look: Look, watched: WatchedLeg) -> dict[str, str]:
    """See `Proves.prove`. Sightings only say where to look; what is proven is what the node itself has in blocks."""
    coins = await look.coins(watched)
    agreed = watched.leg.terms.amount
    places = _places(coins, agreed)
    if not places:
        return {}
    found = {"script": htlc_script(watched.leg.terms).hex()}
    leg = the_leg(coins, agreed)
    if leg is not None and leg.height is not None:
        found["outpoint"] = str(leg.outpoint)
    left, out = MOST_CHARACTERS, max(0, len(places) - MOST_TRANSACTIONS)
    for txid, height in list(places.items())[:MOST_TRANSACTIONS]:
        block_hash, branch, raw = await _proof(look.rpc, txid, height)
        size = len(branch) + len(raw)
        if size > left:
            out += 1
            continue
        left -= size
        found |= {f"{txid}.block": block_hash, f"{txid}.branch": branch, f"{txid}.raw": raw}
    if out:
        found["left_out"] = f"{out} transactions more, to keep this short"
    return found


def _places(coins: Sequence[Coin], agreed: int) -> dict[str, int]:
    """Heights by txid: what is in a block, the leg's own first."""
    leg = the_leg(coins, agreed)
    found: dict[str, int] = {}
    for coin in sorted(coins, key=lambda coin: coin is not leg):
        if coin.height is None:
            continue
        found.setdefault(coin.outpoint.txid, coin.height)
        if coin.spend is not None and coin.spend.depth > 0:
            tip = coin.height + coin.depth - 1
            found.setdefault(coin.spend.txid, tip - coin.spend.depth + 1)
    return found


async def _proof(rpc: Rpc, txid: str, height: int) -> tuple[str, str, str]:
    """The block's hash, its merkle block and the transaction, the latter two in hex."""
    (block_hash,) = await blocks.hashes(rpc, [height])
    answers = await rpc.batch(
        [Call("gettxoutproof", ([txid], block_hash)), Call("getrawtransaction", (txid, 0, block_hash))]
    )
    if block_hash is None or any(absent(answer) for answer in answers):
        raise Unavailable("bitcoin node: its chain was reorganised while it was read")
    try:
        branch, raw = (bytes.fromhex(blocks.text(answer)) for answer in answers)
        is_it = read(raw).txid == txid
    except (TypeError, ValueError):
        raise Unavailable(f"bitcoin node: its proof of {txid} makes no sense") from None
    if not is_it:
        raise Unavailable(f"bitcoin node: it gave another transaction than {txid}")
    return block_hash, branch.hex(), raw.hex()
