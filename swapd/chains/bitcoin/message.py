"""Messages signed by the owner of an address (BIP 322, "simple"), for those who have nothing but an address with us.

The signature is the witness of a virtual transaction that could never be mined. Addresses with one key are understood:
P2WPKH, and P2TR by its key.
"""

from __future__ import annotations

import hashlib

from bitcoin.core import COutPoint, CTransaction, CTxIn, CTxOut
from bitcoin.core.script import (
    OP_CHECKSIG,
    OP_DUP,
    OP_EQUALVERIFY,
    OP_HASH160,
    OP_RETURN,
    SIGHASH_ALL,
    SIGVERSION_WITNESS_V0,
    CScript,
    CScriptWitness,
    SignatureHash,
)
from bitcoin.core.serialize import BytesSerializer, SerializationError
from coincurve import PublicKey, PublicKeyXOnly

from swapd.chains.bitcoin.script import hash160

MOST_BYTES = 1_000
"""Of a signature: the largest here has 108."""

_P2WPKH, _P2TR = b"\x00\x14", b"\x51\x20"
_SCHNORR_BYTES = 64
_DEFAULT = 0  # hash type of BIP 341: as ALL, and not written


def is_understood(script: bytes) -> bool:
    """Whether the owner of the address with this output script can sign here."""
    return (len(script) == 22 and script.startswith(_P2WPKH)) or (len(script) == 34 and script.startswith(_P2TR))


def is_signed(script: bytes, message: str, signature: bytes) -> bool:
    """Whether this is the signature of the owner of this output script under the message."""
    if not is_understood(script) or len(signature) > MOST_BYTES:
        return False
    try:
        witness = [bytes(item) for item in CScriptWitness.deserialize(signature).stack]
        signed = _by_key_hash if script.startswith(_P2WPKH) else _by_taproot_key
        return signed(script, _to_sign(script, message), witness)
    except (SerializationError, ValueError):
        return False


def _to_sign(script: bytes, message: str) -> CTransaction:
    digest = tagged_hash("BIP0322-signed-message", message.encode())
    to_spend = CTransaction(
        [CTxIn(COutPoint(bytes(32), 0xFFFFFFFF), CScript([0, digest]), 0)], [CTxOut(0, CScript(script))], 0, 0
    )
    return CTransaction(
        [CTxIn(COutPoint(to_spend.GetTxid(), 0), CScript(), 0)], [CTxOut(0, CScript([OP_RETURN]))], 0, 0
    )


def _by_key_hash(script: bytes, to_sign: CTransaction, witness: list[bytes]) -> bool:
    """BIP 143."""
    if len(witness) != 2 or hash160(witness[1]) != script[2:] or witness[0][-1:] != bytes([SIGHASH_ALL]):
        return False
    code = CScript([OP_DUP, OP_HASH160, script[2:], OP_EQUALVERIFY, OP_CHECKSIG])
    digest = SignatureHash(code, to_sign, 0, SIGHASH_ALL, 0, sigversion=SIGVERSION_WITNESS_V0)
    return PublicKey(witness[1]).verify(witness[0][:-1], digest, hasher=None)


def _by_taproot_key(script: bytes, to_sign: CTransaction, witness: list[bytes]) -> bool:
    """BIP 340, BIP 341. python-bitcoinlib knows no signature hash of taproot; of one input and no annex it is this."""
    if len(witness) != 1:
        return False
    signature, kind = witness[0][:_SCHNORR_BYTES], witness[0][_SCHNORR_BYTES:] or bytes([_DEFAULT])
    if len(signature) != _SCHNORR_BYTES or (len(witness[0]) > _SCHNORR_BYTES and kind != bytes([SIGHASH_ALL])):
        return False
    (spent,), (output,) = to_sign.vin, to_sign.vout
    common = (
        bytes(4),  # version
        bytes(4),  # locktime
        _sha256(spent.prevout.serialize()),
        _sha256(bytes(8)),  # amounts
        _sha256(BytesSerializer.serialize(script)),
        _sha256(bytes(4)),  # sequences
        _sha256(output.serialize()),
    )
    # epoch, hash type, ..., by the key and without annex, index of the input
    digest = tagged_hash("TapSighash", b"\x00" + kind + b"".join(common) + b"\x00" + bytes(4))
    return PublicKeyXOnly(script[2:]).verify(signature, digest)


def tagged_hash(tag: str, data: bytes) -> bytes:
    """BIP 340."""
    prefix = _sha256(tag.encode())
    return _sha256(prefix + prefix + data)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
