"""Claim and refund transactions: one input, one output, weighed before they are built (BIP 141, 143)."""

from __future__ import annotations

from collections.abc import Callable
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


def refund_witness_bytes(signature: int) -> int:
    return _witness_bytes(signature, _KEY, 0, SCRIPT_BYTES)


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
        """What the one signature signs: BIP 143, SIGHASH_ALL."""
        return bytes(
            SignatureHash(
                CScript(self.script), self._unsigned(), 0, SIGHASH_ALL, self.amount, sigversion=SIGVERSION_WITNESS_V0
            )
        )

    def with_witness(self, *items: bytes) -> bytes:
        """The whole transaction with these witness items before the script."""
        witness = CTxWitness([CTxInWitness(CScriptWitness([*items, self.script]))])
        unsigned = self._unsigned()
        whole = CTransaction(unsigned.vin, unsigned.vout, unsigned.nLockTime, unsigned.nVersion, witness)
        return bytes(whole.serialize())

    def _unsigned(self) -> Any:
        source = CTxIn(COutPoint(lx(self.outpoint.txid), self.outpoint.vout), CScript(), SEQUENCE)
        target = CTxOut(self.amount - self.fee, CScript(self.payout))
        return CTransaction([source], [target], self.locktime, 2)


Sign = Callable[[bytes], bytes]
"""A sighash of 32 bytes to a DER signature without sighash byte."""


def claim(spend: Spend, preimage: bytes, sign: Sign) -> bytes:
    return spend.with_witness(preimage, _signature(spend, sign))


def refund(spend: Spend, refund_key: bytes, sign: Sign) -> bytes:
    # the empty item stands for the claim key's signature: anything else that is not valid breaks NULLFAIL (BIP 146)
    return spend.with_witness(_signature(spend, sign), refund_key, b"")


def _signature(spend: Spend, sign: Sign) -> bytes:
    return sign(spend.sighash()) + bytes([SIGHASH_ALL])


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
