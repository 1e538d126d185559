"""Partially signed transactions (BIP 174, version 0), as far as a leg's spend needs them.

Written and read: the unsigned transaction; of each input what it spends, its witness script, signatures, preimages, and
a witness that is whole already. What else stands in one is passed over. The kind of signature is not written, as none
said is SIGHASH_ALL: Bitcoin Core refuses to sign where it is said and not asked for in its call, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO

from bitcoin.core import CTransaction, CTxOut
from bitcoin.core.script import CScript, CScriptWitness
from bitcoin.core.serialize import BytesSerializer, SerializationError

from swapd.chains.bitcoin.script import output_script

MAGIC = b"psbt\xff"

MOST_AT_ONCE = 20
"""Joined by somebody; one for each fee is five."""

_UNSIGNED_TX = b"\x00"
_WITNESS_UTXO, _PARTIAL_SIG = b"\x01", b"\x02"
_WITNESS_SCRIPT, _FINAL_WITNESS, _SHA256 = b"\x05", b"\x08", b"\x0b"


@dataclass(frozen=True)
class PsbtInput:
    """amount: satoshi, of the P2WSH output that is spent, 0 if it is not said. signatures: with their sighash byte, by
    public key. preimages: by their SHA-256. final: the whole witness, once there is one."""

    amount: int
    script: bytes
    signatures: Mapping[bytes, bytes] = field(default_factory=dict)
    preimages: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)
    final: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Psbt:
    """unsigned: the transaction. inputs: as many as it has."""

    unsigned: bytes
    inputs: tuple[PsbtInput, ...]

    def encode(self) -> bytes:
        outputs = len(CTransaction.deserialize(self.unsigned).vout)
        maps = [{_UNSIGNED_TX: self.unsigned}, *map(_written, self.inputs), *({} for _ in range(outputs))]
        return MAGIC + b"".join(map(_encoded, maps))


def read_all(raw: bytes) -> list[Psbt]:
    """One or more, joined. Raises ValueError for anything else."""
    stream = BytesIO(raw)
    found: list[Psbt] = []
    try:
        while stream.tell() < len(raw):
            if len(found) == MOST_AT_ONCE:
                raise ValueError("too many at once")
            found.append(_read(stream))
    except SerializationError as error:
        raise ValueError("not a PSBT") from error
    if not found:
        raise ValueError("no PSBT")
    return found


def _read(stream: BytesIO) -> Psbt:
    if stream.read(len(MAGIC)) != MAGIC:
        raise ValueError("not a PSBT")
    unsigned = _map(stream).get(_UNSIGNED_TX, b"")
    tx = CTransaction.deserialize(unsigned)
    if tx.has_witness() or any(item.scriptSig for item in tx.vin):
        raise ValueError("its transaction is signed")
    inputs = tuple(_input(_map(stream)) for _ in tx.vin)
    for _ in tx.vout:
        _map(stream)
    return Psbt(unsigned, inputs)


def _input(fields: Mapping[bytes, bytes]) -> PsbtInput:
    def of(kind: bytes) -> dict[bytes, bytes]:
        return {key[1:]: value for key, value in fields.items() if key[:1] == kind and len(key) > 1}

    utxo = fields.get(_WITNESS_UTXO)
    final = fields.get(_FINAL_WITNESS)
    return PsbtInput(
        amount=int(CTxOut.deserialize(utxo).nValue) if utxo is not None else 0,
        script=fields.get(_WITNESS_SCRIPT, b""),
        signatures=of(_PARTIAL_SIG),
        preimages=of(_SHA256),
        final=tuple(map(bytes, CScriptWitness.deserialize(final).stack)) if final is not None else (),
    )


def _written(item: PsbtInput) -> dict[bytes, bytes]:
    fields = {
        _WITNESS_UTXO: bytes(CTxOut(item.amount, CScript(output_script(item.script))).serialize()),
        _WITNESS_SCRIPT: item.script,
    }
    fields |= {_PARTIAL_SIG + key: signature for key, signature in item.signatures.items()}
    fields |= {_SHA256 + digest: preimage for digest, preimage in item.preimages.items()}
    if item.final:
        fields[_FINAL_WITNESS] = bytes(CScriptWitness(list(item.final)).serialize())
    return fields


def _encoded(fields: Mapping[bytes, bytes]) -> bytes:
    pairs = (BytesSerializer.serialize(part) for key in sorted(fields) for part in (key, fields[key]))
    return b"".join(map(bytes, pairs)) + b"\x00"


def _map(stream: BytesIO) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    while key := bytes(BytesSerializer.stream_deserialize(stream)):
        if key in fields:
            raise ValueError("a key stands there twice")
        fields[key] = bytes(BytesSerializer.stream_deserialize(stream))
    return fields
