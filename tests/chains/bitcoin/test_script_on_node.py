"""The script's two ways, and every way around them that we could think of, judged by a real node.

`refused` asks for policy and consensus at once; where policy alone says no, a block made by the node shows consensus.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace

import pytest
from bitcoin.core.script import OP_CHECKLOCKTIMEVERIFY, CScript

from swapd.chains.base import WatchedLeg
from swapd.chains.bitcoin.address import output_script
from swapd.chains.bitcoin.script import htlc_script, preimage_in
from swapd.chains.bitcoin.transaction import SEQUENCE, Outpoint, Spend, read
from swapd.errors import Rejected
from swapd.vault.derivation import KeyPurpose

from .conftest import AMOUNT, World

NON_FINAL = "non-final"
LOCKTIME = "Locktime requirement not satisfied"


@dataclass
class Output:
    """A leg's output, and how to spend it in whatever way."""

    world: World
    leg: WatchedLeg
    outpoint: Outpoint
    locktime: int = 0

    @property
    def preimage(self) -> bytes:
        return self.world.vault.preimage(self.leg.index)

    @property
    def refund_key(self) -> bytes:
        return bytes.fromhex(self.leg.leg.terms.sender)

    @property
    def spend(self) -> Spend:
        payout = output_script(self.leg.leg.pay_to, "regtest", "pay_to")
        return Spend(self.outpoint, AMOUNT, htlc_script(self.leg.leg.terms), payout, 1000, self.locktime)

    def signed_by(self, purpose: KeyPurpose) -> bytes:
        return self.world.vault.sign_bitcoin(self.leg.index, purpose, self.spend.sighash()) + b"\x01"

    async def refused(self, *witness: bytes) -> str:
        return await self.world.refused(self.spend.with_witness(*witness))

    async def in_a_block(self, *witness: bytes) -> bool:
        """Whether consensus alone takes it: offered to the node in a block, past the policy of its mempool."""
        raw = self.spend.with_witness(*witness).hex()
        try:
            await self.world.node.rpc("generateblock", self.leg.leg.pay_to, [raw])
        except Rejected:
            return False
        return True


@pytest.fixture
async def output(own_world: World) -> Output:
    leg = await own_world.leg(timelock=int(time.time()) + 7200)
    outpoint = Outpoint.parse(await own_world.pay(leg))
    assert outpoint is not None
    return Output(own_world, leg, outpoint)


async def after_timelock(output: Output) -> Output:
    """The same output once the median of the last eleven blocks is past the timelock, with a locktime for a refund."""
    timelock = output.leg.leg.terms.timelock
    await output.world.node.set_time(timelock + 60)
    await output.world.node.mine(11)
    return replace(output, locktime=timelock)


async def test_claim_with_preimage_and_signature(output: Output) -> None:
    assert await output.refused(output.preimage, output.signed_by(KeyPurpose.CLAIM)) == ""
    raw = output.spend.with_witness(output.preimage, output.signed_by(KeyPurpose.CLAIM))
    witness = read(raw).inputs[0].witness
    assert preimage_in(witness, output.spend.script, output.leg.leg.terms.hashlock) == output.preimage


async def test_claim_is_possible_after_the_timelock_too(output: Output) -> None:
    late = await after_timelock(output)
    assert await late.refused(late.preimage, late.signed_by(KeyPurpose.CLAIM)) == ""


async def test_claim_without_the_right_preimage_is_refused(output: Output) -> None:
    signature = output.signed_by(KeyPurpose.CLAIM)
    for wrong in (b"", b"\x00" * 32, output.leg.leg.terms.hashlock, output.preimage[::-1]):
        assert await output.refused(wrong, signature) != ""
        assert not await output.in_a_block(wrong, signature)


async def test_s13_a_preimage_of_another_length_is_refused_even_with_the_right_hash(own_world: World) -> None:
    for secret in (b"x" * 31, b"x" * 33, b"x", b""):
        leg = await own_world.leg()
        terms = replace(leg.leg.terms, hashlock=hashlib.sha256(secret).digest())
        leg = replace(leg, leg=replace(leg.leg, terms=terms))
        outpoint = Outpoint.parse(await own_world.pay(leg))
        assert outpoint is not None
        output = Output(own_world, leg, outpoint)
        signature = output.signed_by(KeyPurpose.CLAIM)
        assert await output.refused(secret, signature) != ""
        assert not await output.in_a_block(secret, signature)


async def test_claim_without_the_claim_keys_signature_is_refused(output: Output) -> None:
    for forged in (b"", output.signed_by(KeyPurpose.REFUND), output.signed_by(KeyPurpose.CLAIM)[:-1] + b"\x02"):
        assert await output.refused(output.preimage, forged) != ""
        assert not await output.in_a_block(output.preimage, forged)


async def test_a_claims_signature_covers_where_the_money_goes(output: Output) -> None:
    signature = output.signed_by(KeyPurpose.CLAIM)
    thief = await output.world.node.rpc("getnewaddress", "", "bech32", wallet="miner")
    stolen = replace(output.spend, payout=output_script(thief, "regtest", "pay_to"))
    assert await output.world.refused(stolen.with_witness(output.preimage, signature)) != ""


async def test_anything_left_on_the_stack_is_refused_by_consensus(output: Output) -> None:
    signature = output.signed_by(KeyPurpose.CLAIM)
    assert not await output.in_a_block(b"\x01", output.preimage, signature)
    late = await after_timelock(output)
    assert not await late.in_a_block(b"\x01", late.signed_by(KeyPurpose.REFUND), late.refund_key, b"")


async def test_refund_after_the_timelock(output: Output) -> None:
    late = await after_timelock(output)
    assert await late.refused(late.signed_by(KeyPurpose.REFUND), late.refund_key, b"") == ""
    assert await late.in_a_block(late.signed_by(KeyPurpose.REFUND), late.refund_key, b"")


async def test_refund_before_the_timelock_is_refused_whatever_its_locktime_says(output: Output) -> None:
    timelock = output.leg.leg.terms.timelock
    honest = replace(output, locktime=timelock)
    assert await honest.refused(honest.signed_by(KeyPurpose.REFUND), honest.refund_key, b"") == NON_FINAL
    earlier = int(time.time()) - 3600
    for locktime in (0, 100, earlier, timelock - 1):
        early = replace(output, locktime=locktime)
        witness = (early.signed_by(KeyPurpose.REFUND), early.refund_key, b"")
        assert await early.refused(*witness) != ""
        assert not await early.in_a_block(*witness)


async def test_after_the_timelock_a_refund_still_needs_its_locktime_and_a_sequence_that_lets_it_count(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = await after_timelock(output)
    unlocked = replace(late, locktime=0)
    assert LOCKTIME in await unlocked.refused(unlocked.signed_by(KeyPurpose.REFUND), late.refund_key, b"")
    height = replace(late, locktime=100)  # a block height instead of a time
    assert LOCKTIME in await height.refused(height.signed_by(KeyPurpose.REFUND), late.refund_key, b"")
    monkeypatch.setattr("swapd.chains.bitcoin.transaction.SEQUENCE", 0xFFFFFFFF)
    assert LOCKTIME in await late.refused(late.signed_by(KeyPurpose.REFUND), late.refund_key, b"")


async def test_refund_by_another_key_is_refused(output: Output) -> None:
    late = await after_timelock(output)
    claim_key = bytes.fromhex(late.leg.leg.terms.receiver)
    refund_signature = late.signed_by(KeyPurpose.REFUND)
    for witness in (
        (late.signed_by(KeyPurpose.CLAIM), claim_key, b""),
        (late.signed_by(KeyPurpose.CLAIM), late.refund_key, b""),
        (refund_signature, claim_key, b""),
        (b"", late.refund_key, b""),
        (refund_signature, late.refund_key + b"\x00", b""),
    ):
        assert await late.refused(*witness) != ""
        assert not await late.in_a_block(*witness)


async def test_with_both_signatures_it_goes_back_at_any_time_and_without_the_preimage(output: Output) -> None:
    witness = (output.signed_by(KeyPurpose.REFUND), output.refund_key, output.signed_by(KeyPurpose.CLAIM))
    assert await output.refused(*witness) == ""
    assert await output.in_a_block(*witness)


async def test_the_receivers_signature_alone_gives_nothing_back(output: Output) -> None:
    claim_key = bytes.fromhex(output.leg.leg.terms.receiver)
    signature = output.signed_by(KeyPurpose.CLAIM)
    for witness in (
        (signature, output.refund_key, signature),
        (signature, claim_key, signature),
        (b"", output.refund_key, signature),
        (b"\x01", signature),
        (b"\x00" * 32, signature),
    ):
        assert await output.refused(*witness) != ""
        assert not await output.in_a_block(*witness)


async def test_a_refund_with_a_broken_claim_signature_is_not_relayed(output: Output) -> None:
    """NULLFAIL (BIP 146): nobody on the way can change a refund's witness; a miner can, and gains nothing by it."""
    late = await after_timelock(output)
    broken = late.signed_by(KeyPurpose.REFUND)  # well formed, and not by the claim key
    words = await late.refused(late.signed_by(KeyPurpose.REFUND), late.refund_key, broken)
    assert "Signature must be zero for failed CHECK(MULTI)SIG operation" in words


async def test_the_timelock_is_pushed_as_nodes_want_it(output: Output) -> None:
    """MINIMALDATA: were the push one byte longer, no refund would be relayed."""
    elements = list(CScript(htlc_script(output.leg.leg.terms)))
    time_pushed = elements[elements.index(OP_CHECKLOCKTIMEVERIFY) - 1]
    assert time_pushed == output.leg.leg.terms.timelock.to_bytes(4, "little")


async def test_both_spends_signal_replacement_and_no_relative_timelock() -> None:
    assert SEQUENCE < 0xFFFFFFFE, "BIP 125"
    assert SEQUENCE & (1 << 31), "BIP 68 does not apply"
