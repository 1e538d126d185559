"""What shows a leg to somebody who does not believe swapd: from the hash of a block down to the lock, step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from swapd.chains.ethereum.htlc import artifact
from swapd.chains.ethereum.prove import encoded_header
from swapd.errors import Unavailable
from swapd.protocol.effects import EffectKind
from tests.chains.ethereum.merkle import value_at
from tests.chains.ethereum.proxy import Answer, changed, error, garbage
from tests.chains.ethereum.world import PREIMAGE, World, lock_strays

LOCKED = keccak(b"Locked(bytes32,bytes32,address,uint256,address,bytes32)")
CLAIMED = keccak(b"Claimed(bytes32,bytes32)")
REFUNDED = keccak(b"Refunded(bytes32)")
STATE_ROOT, RECEIPTS_ROOT, NUMBER = 3, 5, 8
"""Places in a header."""


# -- the checker


def data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def header(proofs: Mapping[str, str], part: str) -> list[bytes]:
    """Its fields, if the block's hash is theirs."""
    raw = data(proofs[f"{part}.header"])
    assert keccak(raw) == data(proofs[f"{part}.block"]), "the header is another one"
    fields: list[bytes] = rlp.decode(raw)
    return fields


def nodes(proofs: Mapping[str, str], name: str) -> list[bytes]:
    return [data(each) for each in json.loads(proofs[name])]


def word(proofs: Mapping[str, str]) -> int:
    """The lock's storage word, by the proof alone; of a contract with swapd's code. Zero is nothing at all, except on
    anvil, which keeps zeros in its tree."""
    root, contract = header(proofs, "state")[STATE_ROOT], data(proofs["contract"])
    account = value_at(root, keccak(contract), nodes(proofs, "state.account"))
    assert account is not None
    _, _, storage_root, code_hash = rlp.decode(account)
    assert code_hash == keccak(artifact().deployed)
    slot = value_at(storage_root, keccak(data(proofs["lock_id"])), nodes(proofs, "state.storage"))
    return 0 if slot is None else int.from_bytes(rlp.decode(slot))


def event(proofs: Mapping[str, str], part: str, topic: bytes) -> tuple[list[bytes], bytes]:
    """Topics and data of the lock's event in the receipt, by the proof alone."""
    root = header(proofs, part)[RECEIPTS_ROOT]
    receipt = value_at(root, rlp.encode(int(proofs[f"{part}.place"])), nodes(proofs, f"{part}.branch"))
    assert receipt is not None
    status, _, _, logs = rlp.decode(receipt[1:] if receipt[0] < 0x80 else receipt)
    assert status == b"\x01"
    wanted = [data(proofs["contract"]), [topic, data(proofs["lock_id"])]]
    ((_, topics, content),) = [log for log in logs if [log[0], log[1][:2]] == wanted]
    return topics, content


async def block_hash(world: World, fields: list[bytes]) -> str:
    """Of the chain that everybody sees, at this height."""
    number = hex(int.from_bytes(fields[NUMBER]))
    found: str = (await world.node.rpc("eth_getBlockByNumber", number, False))["hash"]
    return found


# -- what is proven


async def test_a_lock_is_proven_by_its_receipt_and_by_the_newest_state(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.node.mine(3)
    proofs = await world.chain.prove(leg)
    assert word(proofs) == 1
    topics, content = event(proofs, "locked", LOCKED)
    assert topics[2] == leg.leg.terms.hashlock
    assert int.from_bytes(content[32:64]) == leg.leg.terms.amount
    assert keccak(_id_words(proofs, topics[2] + content)) == data(proofs["lock_id"]), "the id is that of these terms"
    for part in ("state", "locked"):
        assert await block_hash(world, header(proofs, part)) == proofs[f"{part}.block"]
    assert proofs["state.block"] == (await world.node.best())[1]
    assert PREIMAGE.hex() not in json.dumps(dict(proofs))


def _id_words(proofs: Mapping[str, str], terms: bytes) -> bytes:
    return int(proofs["chain_id"]).to_bytes(32) + data(proofs["contract"]).rjust(32, b"\0") + terms


async def test_a_claim_is_proven_with_its_preimage_and_closes_the_slot(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    claim = await world.claim_by(world.bob, leg)
    pending = await world.chain.prove(await world.with_mempool(leg))
    assert PREIMAGE.hex() not in json.dumps(dict(pending)), "what is pending is not proven"
    assert not [name for name in pending if name.startswith("claimed")]
    await world.node.mine(2)
    proofs = await world.chain.prove(leg)
    assert word(proofs) == 2
    assert event(proofs, "claimed", CLAIMED)[1] == PREIMAGE
    assert event(proofs, "locked", LOCKED)[0][2] == leg.leg.terms.hashlock
    assert proofs["claimed.transaction"] == claim


async def test_a_refund_is_proven_though_its_slot_is_empty_again(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    await world.time_is(leg.leg.terms.timelock)
    await world.send(EffectKind.REFUND, leg)
    await world.node.mine()
    proofs = await world.chain.prove(leg)
    assert word(proofs) == 0
    assert event(proofs, "refunded", REFUNDED)[1] == b""
    assert event(proofs, "locked", LOCKED)[0][2] == leg.leg.terms.hashlock


async def test_a_receipt_among_many_of_every_kind_is_proven(world: World) -> None:
    """A tree with several levels: keys of one and of two bytes, and receipts of old transactions too."""
    leg = world.leg()
    await world.send(EffectKind.LOCK, leg)
    for number in range(140):
        kind: dict[str, Any] = {"gasPrice": hex(3 * 10**9)} if number % 2 else {}
        gift = {"from": world.alice, "to": world.bob, "value": "0x1", "gas": hex(21_000), **kind}
        await world.node.rpc("eth_sendTransaction", gift)
    await world.node.mine()
    proofs = await world.chain.prove(leg)
    assert event(proofs, "locked", LOCKED)[0][2] == leg.leg.terms.hashlock
    assert len(nodes(proofs, "locked.branch")) >= 2


async def test_the_checker_can_fail(world: World) -> None:
    leg = world.leg()
    await world.lock(leg)
    proofs = await world.chain.prove(leg)
    for name in ("state.header", "state.account", "state.storage", "locked.branch"):
        broken = {**proofs, name: proofs[name].replace("a", "b")}
        with pytest.raises(AssertionError):
            _whole(broken)
    assert word({**proofs, "lock_id": "0x" + "ab" * 32}) == 0, "the slot of another lock is not proven to be this one's"


def _whole(proofs: Mapping[str, str]) -> None:
    assert word(proofs) == 1
    event(proofs, "locked", LOCKED)


async def test_what_is_in_no_block_is_not_proven(world: World) -> None:
    leg = world.leg()
    assert await world.chain.prove(leg) == {}
    await world.send(EffectKind.LOCK, leg)
    assert await world.chain.prove(await world.with_mempool(leg)) == {}


def test_a_header_has_its_hash_with_the_fields_of_its_time() -> None:
    """The first block of the main network, from before any of the fields that forks have added."""
    zeros = dict.fromkeys(("parentHash", "mixHash"), "0x" + "00" * 32)
    empty = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    genesis = zeros | {
        "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
        "miner": "0x" + "00" * 20,
        "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
        "transactionsRoot": empty,
        "receiptsRoot": empty,
        "logsBloom": "0x" + "00" * 256,
        "difficulty": "0x400000000",
        "number": "0x0",
        "gasLimit": "0x1388",
        "gasUsed": "0x0",
        "timestamp": "0x0",
        "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
        "nonce": "0x0000000000000042",
        "totalDifficulty": "0x400000000",
    }
    _, raw = encoded_header(genesis)
    assert keccak(raw).hex() == "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"


# -- bounds and trouble


@pytest.mark.parametrize(
    ("method", "part"), [("eth_getProof", "state"), ("eth_getBlockReceipts", "locked")], ids=["state", "receipts"]
)
async def test_a_node_that_makes_one_kind_of_proof_only_gives_that(world: World, method: str, part: str) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead[method] = error(-32601, f"the method {method} does not exist")
    proofs = await world.chain.prove(leg)
    assert "does not exist" in proofs[f"{part}.none"]
    if part == "state":
        event(proofs, "locked", LOCKED)
    else:
        assert word(proofs) == 1


@pytest.mark.parametrize(
    ("method", "fault", "why"),
    [
        ("eth_getProof", garbage, "answer"),
        ("eth_getProof", changed(lambda proof: {**proof, "accountProof": ["0x80"]}), "does not lead to its block"),
        ("eth_getProof", error(-32000, "missing trie node"), "missing trie node"),
        ("eth_getBlockReceipts", changed(lambda receipts: [{**each, "status": "0x0"} for each in receipts]), "root"),
        ("eth_getBlockReceipts", changed(lambda _: []), "lack that one"),
        ("eth_getBlockReceipts", changed(lambda _: None), "makes no sense"),
        ("eth_getBlockByHash", changed(lambda block: {**block, "extraData": "0x01"}), "does not have that hash"),
        ("eth_getBlockByHash", changed(lambda _: None), "reorganised"),
        ("eth_getLogs", garbage, "answer"),
    ],
)
async def test_trouble_with_the_node_is_unavailable(world: World, method: str, fault: Answer, why: str) -> None:
    leg = world.leg()
    await world.lock(leg)
    world.proxy.instead[method] = fault
    with pytest.raises(Unavailable, match=why):
        await world.chain.prove(leg)


async def test_a_node_that_is_behind_the_leg_is_unavailable(world: World) -> None:
    with pytest.raises(Unavailable, match="behind block"):
        await world.chain.prove(replace(world.leg(), birth=10_000))


async def test_a_receipt_that_others_have_made_huge_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swapd.chains.ethereum.prove.MOST_CHARACTERS", 10_000)
    leg = world.leg(sender=world.alice, amount=7)
    await lock_strays(world, leg, 60)  # with the leg among them
    await world.node.mine()
    proofs = await world.chain.prove(leg)
    assert proofs["locked.none"] == "it has more than 10000 characters"
    assert word(proofs) == 1
