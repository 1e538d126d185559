"""Claim and refund transactions, alone or several in one, weighed before they are built (BIP 141, 143)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxInWitness, CTxOut, CTxWitness, b2lx, lx
from bitcoin.core.script import SIGHASH_ALL, SIGVERSION_WITNESS_V0, CScript, CScriptWitness, SignatureHash
from bitcoin.core.serialize import SerializationError

from swapd.chains.bitcoin.script import SCRIPT_BYTES

SEQUENCE = 0xFFFFFFFD
"""Signals RBF (BIP 125), lets nLockTime count (BIP 65), and sets no relative timelock (BIP 68)."""

LARGEST_SIGNATURE = 72
"""Bytes of a low-S signature with a sighash byte. Ours have a low R too and take 71."""

_PREIMAGE, _KEY = 32, 33
_INPUT_BYTES = 32 + 4 + 1 + 4  # txid, index, length of an empty scriptSig, sequence
_FRAME_BYTES = 4 + 1 + 1 + 4  # version, number of inputs, number of outputs, locktime
_MARKER_WEIGHT = 2  # segwit marker and flag
_WITNESS_SCALE = 4


class Outpoint(NamedTuple):
    """An output by its transaction (display hex) and index there; `txid:vout` as text."""

    txid: str
    vout: int

    def __str__(self) -> str:
        return f"{self.txid}:{self.vout}"

    @classmethod
    def parse(cls, text: str) -> Outpoint | None:
        """None for anything that is no outpoint: what comes from a database need not be true."""
        txid, _, index = text.partition(":")
        is_txid = len(txid) == 64 and all(c in "0123456789abcdef" for c in txid)
        # no block has room for a million outputs; and the node takes 31 bits only
        return cls(txid, int(index)) if is_txid and index.isascii() and index.isdigit() and len(index) <= 6 else None


def _witness_bytes(*items: int) -> int:
    """Size of a witness with items of these sizes, each below 253 bytes: a count, and a length before each."""
    return 1 + sum(1 + item for item in items)


def claim_witness_bytes(signature: int) -> int:
    return _witness_bytes(_PREIMAGE, signature, SCRIPT_BYTES)


def refund_witness_bytes(signature: int, consent: int = 0) -> int:
    """consent: of the receiver's signature, if it agrees; else nothing."""
    return _witness_bytes(signature, _KEY, consent, SCRIPT_BYTES)


def input_vbytes(witness_bytes: int) -> float:
    """What one HTLC input adds to a transaction, in virtual bytes, not rounded."""
    return _INPUT_BYTES + witness_bytes / _WITNESS_SCALE


def output_bytes(script: bytes) -> int:
    """Size of an output: amount, length and script. No witness, so as many virtual bytes."""
    return 8 + 1 + len(script)


def spend_vsize(witness_bytes: int, payout: bytes) -> int:
    """Virtual bytes of a whole claim or refund to the `payout` script, rounded up as nodes do."""
    base = _FRAME_BYTES + _INPUT_BYTES + output_bytes(payout)
    weight = _WITNESS_SCALE * base + _MARKER_WEIGHT + witness_bytes
    return -(-weight // _WITNESS_SCALE)


def dust(payout: bytes) -> int:
    """The smallest output that nodes relay (satoshi): three times what spending it costs at 1 sat/vB."""
    is_witness = len(payout) >= 4 and (payout[0] == 0 or 0x51 <= payout[0] <= 0x60) and payout[1] == len(payout) - 2
    spending = 32 + 4 + 1 + 4 + (107 // _WITNESS_SCALE if is_witness else 107)  # GetDustThreshold in Bitcoin Core
    return 3 * (output_bytes(payout) + spending)


def worth_spending(witness_bytes: int, payout: bytes, rate: int) -> int:
    """The least amount (satoshi) that pays for its own claim or refund at `rate` sat/vB and leaves no dust."""
    return dust(payout) + rate * spend_vsize(witness_bytes, payout)


def joint_vsize(witnesses: Sequence[int], payouts: Iterable[bytes]) -> int:
    """The same of several in one: the size of each input's witness, and the output scripts."""
    base = _FRAME_BYTES + _INPUT_BYTES * len(witnesses) + sum(map(output_bytes, payouts))
    weight = _WITNESS_SCALE * base + _MARKER_WEIGHT + sum(witnesses)
    return -(-weight // _WITNESS_SCALE)


@dataclass(frozen=True)
class HtlcInput:
    """An HTLC output that is spent: where it is, how much it holds, and its witness script."""

    outpoint: Outpoint
    amount: int
    script: bytes


@dataclass(frozen=True)
class Joint:
    """HTLC outputs on their way to payout scripts. locktime: 0, or Unix seconds, of all of them."""

    inputs: tuple[HtlcInput, ...]
    outputs: tuple[Output, ...]
    locktime: int = 0

    def sighash(self, index: int) -> bytes:
        """What the one signature of an input signs: BIP 143, SIGHASH_ALL."""
        spent = self.inputs[index]
        return bytes(
            SignatureHash(
                CScript(spent.script),
                self._unsigned(),
                index,
                SIGHASH_ALL,
                spent.amount,
                sigversion=SIGVERSION_WITNESS_V0,
            )
        )

    def with_witnesses(self, *witnesses: Sequence[bytes]) -> bytes:
        """The whole transaction with these witness items before each script."""
        stacks = [
            CTxInWitness(CScriptWitness([*items, spent.script]))
            for items, spent in zip(witnesses, self.inputs, strict=True)
        ]
        unsigned = self._unsigned()
        whole = CTransaction(unsigned.vin, unsigned.vout, unsigned.nLockTime, unsigned.nVersion, CTxWitness(stacks))
        return bytes(whole.serialize())

    def _unsigned(self) -> Any:
        return _unsigned([spent.outpoint for spent in self.inputs], self.outputs, self.locktime)


@dataclass(frozen=True)
class Spend:
    """One HTLC output of `amount` on its way to one payout script. fee: satoshi. locktime: 0, or Unix seconds."""

    outpoint: Outpoint
    amount: int
    script: bytes
    payout: bytes
    fee: int
    locktime: int = 0

    def sighash(self) -> bytes:
        return self._joint.sighash(0)

    def with_witness(self, *items: bytes) -> bytes:
        """The whole transaction with these witness items before the script."""
        return self._joint.with_witnesses(items)

    def unsigned(self) -> bytes:
        """The same without any witness."""
        return bytes(self._joint._unsigned().serialize())

    @property
    def _joint(self) -> Joint:
        spent = HtlcInput(self.outpoint, self.amount, self.script)
        return Joint((spent,), (Output(self.amount - self.fee, self.payout),), self.locktime)


def unsigned_bytes(inputs: Sequence[Outpoint], outputs: Sequence[Output]) -> bytes:
    """A transaction that somebody else signs; replaceable, without locktime."""
    return bytes(_unsigned(inputs, outputs, 0).serialize())


def _unsigned(inputs: Sequence[Outpoint], outputs: Sequence[Output], locktime: int) -> Any:
    sources = [CTxIn(COutPoint(lx(o.txid), o.vout), CScript(), SEQUENCE) for o in inputs]
    targets = [CTxOut(output.amount, CScript(output.script)) for output in outputs]
    return CTransaction(sources, targets, locktime, 2)


Sign = Callable[[bytes], bytes]
"""A sighash of 32 bytes to a DER signature without sighash byte."""


def claim(spend: Spend, preimage: bytes, sign: Sign) -> bytes:
    return spend.with_witness(*claim_items(preimage, sign(spend.sighash())))


def refund(spend: Spend, refund_key: bytes, sign: Sign) -> bytes:
    return spend.with_witness(*refund_items(refund_key, sign(spend.sighash())))


def claim_items(preimage: bytes, signature: bytes) -> tuple[bytes, ...]:
    """What stands before the script in a claim's witness. signature: DER, without sighash byte."""
    return preimage, _typed(signature)


def refund_items(refund_key: bytes, signature: bytes, consent: bytes = b"") -> tuple[bytes, ...]:
    """consent: the claim key's signature, likewise; with it no timelock is asked for."""
    # nothing stands for no consent: anything else that is not valid breaks NULLFAIL (BIP 146)
    return _typed(signature), refund_key, _typed(consent) if consent else b""


def with_witness(unsigned: bytes, items: Sequence[bytes]) -> bytes:
    """A transaction of one input, whole with these witness items, the script among them."""
    bare = CTransaction.deserialize(unsigned)
    witness = CTxWitness([CTxInWitness(CScriptWitness(list(items)))])
    return bytes(CTransaction(bare.vin, bare.vout, bare.nLockTime, bare.nVersion, witness).serialize())


def _typed(signature: bytes) -> bytes:
    return signature + bytes([SIGHASH_ALL])


@dataclass(frozen=True)
class Input:
    outpoint: Outpoint
    witness: tuple[bytes, ...]


@dataclass(frozen=True)
class Output:
    amount: int
    script: bytes


@dataclass(frozen=True)
class Transaction:
    """A transaction as read from bytes, in plain types."""

    txid: str
    vsize: int
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]

    @property
    def spends_htlc(self) -> bool:
        """Whether it is a claim or a refund: an ordinary wallet's coin has no witness script of this size."""
        return any(item.witness and len(item.witness[-1]) == SCRIPT_BYTES for item in self.inputs)


def read(raw: bytes) -> Transaction:
    """Raises ValueError for bytes that are no transaction."""
    try:
        return plain(CTransaction.deserialize(raw))
    except SerializationError as error:
        raise ValueError("not a transaction") from error


def plain(tx: Any) -> Transaction:
    """From python-bitcoinlib's type."""
    witnesses = [tuple(map(bytes, item.scriptWitness.stack)) for item in tx.wit.vtxinwit] or [()] * len(tx.vin)
    return Transaction(
        txid=str(b2lx(tx.GetTxid())),
        vsize=-(-int(tx.calc_weight()) // _WITNESS_SCALE),
        inputs=tuple(
            Input(Outpoint(str(b2lx(item.prevout.hash)), int(item.prevout.n)), witness)
            for item, witness in zip(tx.vin, witnesses, strict=True)
        ),
        outputs=tuple(Output(int(item.nValue), bytes(item.scriptPubKey)) for item in tx.vout),
    )
