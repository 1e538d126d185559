"""What shows a leg to somebody who does not believe swapd, checked by a few lines that know nothing of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

import pytest
from bitcoin.core import CTransaction, b2lx

from swapd.chains.base import WatchedLeg
from swapd.chains.bitcoin import BitcoinChain
from swapd.chains.bitcoin.prove import MOST_CHARACTERS, MOST_TRANSACTIONS
from swapd.errors import Unavailable
from swapd.protocol.effects import EffectKind
from tests.chains.ethereum.proxy import Proxy, error

from .conftest import AMOUNT, World, settings_for

# -- the checker


def double_sha256(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


class MerkleBlock:
    """BIP 37: a header, and a tree in depth-first order with everything left out that leads to no match."""

    def __init__(self, raw: bytes) -> None:
        self.header, self.size = raw[:80], int.from_bytes(raw[80:84], "little")
        hashes = raw[84]  # below 253, one byte
        self._hashes = [raw[85 + 32 * place : 117 + 32 * place] for place in range(hashes)]
        flags = raw[86 + 32 * hashes :]
        assert raw[85 + 32 * hashes] == len(flags)
        self._bits = [flags[place // 8] >> place % 8 & 1 for place in range(8 * len(flags))]
        self.matches: list[bytes] = []
        self.root = self._walk(next(h for h in range(32) if self._width(h) == 1))
        assert not self._hashes
        assert not any(self._bits)

    def _width(self, height: int) -> int:
        return (self.size + (1 << height) - 1) >> height

    def _walk(self, height: int, place: int = 0) -> bytes:
        matches = self._bits.pop(0)
        if height == 0 or not matches:
            found = self._hashes.pop(0)
            if matches:
                self.matches.append(found)
            return found
        left = self._walk(height - 1, 2 * place)
        has_right = 2 * place + 1 < self._width(height - 1)
        right = self._walk(height - 1, 2 * place + 1) if has_right else left
        assert not (has_right and left == right), "CVE-2012-2459"
        return double_sha256(left + right)


def check(proofs: Mapping[str, str], txid: str) -> CTransaction:
    """The transaction, if its block's work commits to it."""
    block = MerkleBlock(bytes.fromhex(proofs[f"{txid}.branch"]))
    block_hash = double_sha256(block.header)
    assert block_hash[::-1].hex() == proofs[f"{txid}.block"]
    bits = int.from_bytes(block.header[72:76], "little")
    target = (bits & 0xFFFFFF) << 8 * ((bits >> 24) - 3)
    assert int.from_bytes(block_hash, "little") <= target, "no proof of work"
    assert block.root == block.header[36:68], "the branch does not lead to the header"
    tx = CTransaction.deserialize(bytes.fromhex(proofs[f"{txid}.raw"]))
    assert block.matches == [tx.GetTxid()]
    assert b2lx(tx.GetTxid()) == txid
    return tx


def transactions(proofs: Mapping[str, str]) -> list[str]:
    return [name.removesuffix(".raw") for name in proofs if name.endswith(".raw")]


# -- what is proven


async def test_lock_and_claim_are_proven_by_the_work_of_their_blocks(world: World) -> None:
    leg = await world.leg()
    for _ in range(6):
        await world.pay(await world.leg(), confirm=False)  # so that the branch has something to leave out
    lock_ref = await world.pay(leg)
    await world.node.mine(1)
    seen = await world.seen(leg)
    locked = await world.chain.prove(seen)
    claim = await world.send(EffectKind.CLAIM, seen)
    assert await world.chain.prove(await world.seen(seen)) == locked, "a claim is in no block yet"
    assert world.vault.preimage(leg.index).hex() not in json.dumps(dict(locked))
    await world.node.mine(2)

    proofs = await world.chain.prove(await world.seen(seen))
    lock_txid, _, index = lock_ref.partition(":")
    assert transactions(proofs) == [lock_txid, claim.txid]
    assert proofs["outpoint"] == lock_ref
    script = bytes.fromhex(proofs["script"])
    output = check(proofs, lock_txid).vout[int(index)]
    assert (output.nValue, bytes(output.scriptPubKey)) == (AMOUNT, b"\x00\x20" + hashlib.sha256(script).digest())
    spend = check(proofs, claim.txid)
    assert (b2lx(spend.vin[0].prevout.hash), spend.vin[0].prevout.n) == (lock_txid, int(index))
    preimage, _, shown = (bytes(item) for item in spend.wit.vtxinwit[0].scriptWitness.stack)
    assert shown == script
    assert hashlib.sha256(preimage).digest() == leg.leg.terms.hashlock


async def test_the_checker_can_fail(world: World) -> None:
    leg = await world.leg()
    for _ in range(6):
        await world.pay(await world.leg(), confirm=False)
    txid = (await world.pay(leg)).partition(":")[0]
    proofs = await world.chain.prove(await world.seen(leg))
    branch = bytearray.fromhex(proofs[f"{txid}.branch"])
    branch[90] ^= 1
    with pytest.raises(AssertionError):
        check({**proofs, f"{txid}.branch": branch.hex()}, txid)
    with pytest.raises(AssertionError):
        check({**proofs, f"{txid}.block": "00" * 32}, txid)


async def test_what_is_in_no_block_is_not_proven(world: World) -> None:
    leg = await world.leg()
    assert await world.chain.prove(leg) == {}
    await world.pay(leg, confirm=False)
    assert await world.chain.prove(await world.seen(leg)) == {}
    await world.node.mine(1)


async def test_s1_a_sighting_of_another_block_is_not_believed(world: World) -> None:
    leg = await world.locked()
    invented = replace(leg.sightings[0], block_hash="ab" * 32)
    proofs = await world.chain.prove(replace(leg, sightings=(invented,)))
    (txid,) = transactions(proofs)
    check(proofs, txid)


async def test_after_a_reorganisation_the_new_block_is_the_proof(own_world: World) -> None:
    world = own_world
    leg = await world.leg()
    await world.pay(leg, confirm=False)
    hashes = await world.node.mine(1)
    seen = await world.seen(leg)
    (txid,) = transactions(await world.chain.prove(seen))
    await world.node.invalidate(hashes[0])
    assert await world.chain.prove(seen) == {}
    await world.node.mine(1, await world.node.rpc("getnewaddress", wallet="miner"))  # else it is the very same block
    proofs = await world.chain.prove(await world.seen(seen))
    check(proofs, txid)
    assert proofs[f"{txid}.block"] != hashes[0]


# -- bounds and trouble


async def test_however_many_strays_there_are_the_leg_is_proven_and_the_answer_short(world: World) -> None:
    leg = await world.leg()
    for _ in range(MOST_TRANSACTIONS + 2):
        await world.pay(leg, AMOUNT // 2, confirm=False)
    await world.node.mine(1)
    txid = (await world.pay(leg)).partition(":")[0]
    proofs = await world.chain.prove(await world.seen(leg))
    assert transactions(proofs)[0] == txid
    assert len(transactions(proofs)) == MOST_TRANSACTIONS
    assert proofs["left_out"].startswith("3 transactions")
    assert sum(map(len, proofs.values())) < MOST_CHARACTERS


async def test_trouble_with_the_node_is_unavailable(world: World) -> None:
    leg = await world.locked()
    async with Proxy(world.node.rpc_url) as proxy:
        chain = BitcoinChain(settings_for(world.node, world.wallet, rpc_url=proxy.url), world.vault)
        try:
            for fault, why in (
                (error(-1, "Block not available (pruned data)"), "thrown away a block"),
                (error(-5, "Not all transactions found in specified or retrieved block"), "reorganised"),
                (lambda _, answer: answer | {"result": "no hex"}, "makes no sense"),
            ):
                proxy.instead["gettxoutproof"] = fault
                with pytest.raises(Unavailable, match=why):
                    await chain.prove(leg)
            proxy.dead = True
            with pytest.raises(Unavailable):
                await chain.prove(leg)
        finally:
            await chain.close()


async def test_another_transaction_in_place_of_the_legs_is_refused(world: World) -> None:
    leg, other = await world.locked(), await world.locked()
    foreign = await _raw(world, other)
    async with Proxy(world.node.rpc_url) as proxy:
        chain = BitcoinChain(settings_for(world.node, world.wallet, rpc_url=proxy.url), world.vault)
        proxy.instead["getrawtransaction"] = lambda _, answer: answer | {"result": foreign}
        try:
            with pytest.raises(Unavailable, match="another transaction"):
                await chain.prove(leg)
        finally:
            await chain.close()


async def _raw(world: World, leg: WatchedLeg) -> str:
    proofs = await world.chain.prove(leg)
    return proofs[f"{transactions(proofs)[0]}.raw"]
