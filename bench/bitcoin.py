"""Sizes of the HTLC on Bitcoin, from transactions that a real node has mined: `python -m bench.bitcoin`.

Worst case: signatures of 72 bytes (low S as nodes demand, high R), where swapd's own have 71. An input's size is what
remains of the node's weight of a transaction without its frame and output (BIP 141), in virtual bytes, not rounded.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bitcoin.core.script import OP_RETURN
from coincurve import PrivateKey
from rich.console import Console
from rich.table import Table

from swapd.chains.bitcoin import transaction
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.script import htlc_address, htlc_script
from swapd.chains.bitcoin.transaction import (
    LARGEST_SIGNATURE,
    HtlcInput,
    Joint,
    Outpoint,
    Output,
    Sign,
    Spend,
    claim_items,
    claim_witness_bytes,
    output_bytes,
    read,
    spend_vsize,
)
from swapd.devnet.bitcoind import Bitcoind
from swapd.protocol.terms import Asset, LegTerms

RESULT = Path(__file__).resolve().parent / "results" / "bitcoin.json"
TARGETS = {"p2wsh_claim_input_vb": 96.5}
PEERS = {"p2wsh_claim_input_vb": "dcrdex 101.5, loop v2 92.5 (160-bit hash)"}

AMOUNT, FEE = 1_000_000, 1_000
NOTE = bytes(40)
PREIMAGE = sha256(b"bench").digest()
CLAIM_KEY, REFUND_KEY = PrivateKey(b"\x01" * 32), PrivateKey(b"\x02" * 32)
FRAME_WEIGHT = 4 * (4 + 1 + 1 + 4) + 2  # version, two counts, locktime; segwit marker and flag


@dataclass
class Bench:
    node: Bitcoind
    terms: LegTerms
    payout: bytes

    async def sizes(self) -> dict[str, float]:
        claim = await self.mined(CLAIM_KEY, 0, lambda spend, sign: transaction.claim(spend, PREIMAGE, sign))
        await self.node.set_time(self.terms.timelock + 60)
        await self.node.mine(11)
        refund_key = REFUND_KEY.public_key.format()
        refund = await self.mined(
            REFUND_KEY, self.terms.timelock, lambda spend, sign: transaction.refund(spend, refund_key, sign)
        )
        return {
            "p2wsh_claim_input_vb": claim,
            "p2wsh_refund_input_vb": refund,
            "lock_output_vb": float(output_bytes(output_script(self.address, "regtest", "lock"))),
            "lock_note_output_vb": float(output_bytes(bytes([OP_RETURN, len(NOTE)]) + NOTE)),
            "five_claims_apart_vb": 5.0 * spend_vsize(claim_witness_bytes(LARGEST_SIGNATURE), self.payout),
            "five_claims_together_vb": await self.batch(5),
        }

    @property
    def address(self) -> str:
        return htlc_address(self.terms, "regtest")

    async def mined(self, key: PrivateKey, locktime: int, build: Callable[[Spend, Sign], bytes]) -> float:
        """Lock, spend with a signature of the largest size, mine, and tell the input's size in vB."""
        raw = self.largest(await self.lock(), key, locktime, build)
        await self.node.rpc("sendrawtransaction", raw.hex())
        await self.node.mine(1)
        weight: int = (await self.node.rpc("decoderawtransaction", raw.hex()))["weight"]
        return (weight - FRAME_WEIGHT - 4 * output_bytes(self.payout)) / 4

    async def batch(self, count: int) -> float:
        """The size of so many claims in one transaction, each to a payout of its own, mined."""
        inputs = tuple([HtlcInput(await self.lock(), AMOUNT, htlc_script(self.terms)) for _ in range(count)])
        scripts = [self.payout[:2] + bytes([n]) * (len(self.payout) - 2) for n in range(count)]
        whole = Joint(inputs, tuple(Output(AMOUNT - FEE, script) for script in scripts))
        raw = whole.with_witnesses(
            *(claim_items(PREIMAGE, CLAIM_KEY.sign(whole.sighash(n), hasher=None)) for n in range(count))
        )
        await self.node.rpc("sendrawtransaction", raw.hex())
        await self.node.mine(1)
        return float((await self.node.rpc("decoderawtransaction", raw.hex()))["vsize"])

    async def lock(self) -> Outpoint:
        txid = await self.node.fund(self.address, AMOUNT)
        decoded = (await self.node.rpc("gettransaction", txid, True, True, wallet="miner"))["decoded"]
        vout = next(o["n"] for o in decoded["vout"] if o["scriptPubKey"].get("address") == self.address)
        return Outpoint(txid, vout)

    def largest(self, lock: Outpoint, key: PrivateKey, locktime: int, build: Callable[[Spend, Sign], bytes]) -> bytes:
        """A satoshi of fee more or less gives another signature; half of all have a high R and so the largest size."""
        for fee in itertools.count(FEE):
            spend = Spend(lock, AMOUNT, htlc_script(self.terms), self.payout, fee, locktime)
            raw = build(spend, lambda sighash: key.sign(sighash, hasher=None))
            if LARGEST_SIGNATURE in map(len, read(raw).inputs[0].witness):
                return raw
        raise AssertionError("unreachable")


async def measure() -> dict[str, float]:
    async with Bitcoind() as node:
        await node.history()
        now = int(time.time())
        terms = LegTerms(
            Asset("BTC", "bitcoin", 8),
            AMOUNT,
            sha256(PREIMAGE).digest(),
            sender=REFUND_KEY.public_key.format().hex(),
            receiver=CLAIM_KEY.public_key.format().hex(),
            timelock=now + 7200,
            fund_by=now + 3600,
        )
        payout = await node.rpc("getnewaddress", "", "bech32", wallet="miner")
        return await Bench(node, terms, output_script(payout, "regtest", "payout")).sizes()


def main() -> int:
    """0 if every target is met."""
    sizes = asyncio.run(measure())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(sizes, indent=2) + "\n")
    table = Table("", "vB", "target", "elsewhere", title="Bitcoin HTLC in P2WSH, full SHA-256 hashlock, worst case")
    for name, size in sizes.items():
        target = TARGETS.get(name)
        met = "" if target is None else f"≤ {target:g} {'met' if size <= target else 'MISSED'}"
        table.add_row(name, f"{size:g}", met, PEERS.get(name, ""))
    Console().print(table)
    return int(any(sizes[name] > target for name, target in TARGETS.items()))


if __name__ == "__main__":
    sys.exit(main())
