"""Everything that swapd knows of a swap and may show, in one document for those who have to judge.

What chains prove by themselves stands beside what swapd says; its own word is bound by the audit chain, whose end is in
the document. The document's hash is the SHA-256 of its canonical JSON (sorted keys, no spaces, ASCII).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from swapd.chains.abilities import Proves
from swapd.coordinator.house import House
from swapd.coordinator.sentences import sentence
from swapd.errors import SwapdError
from swapd.protocol.terms import Leg, Role
from swapd.store import AuditEntry, DisputeRow, EffectRow, SwapRow
from swapd.store.codec import Json, canonical, encode

VERSION = 1

ENTRIES = 5_000
"""Of the audit chain, in one document. A swap has some dozens; a hundred for each reorganisation."""


@dataclass(frozen=True)
class Evidence:
    """hash: of `bundle`, hex."""

    hash: str
    bundle: dict[str, Json]


async def gather_evidence(house: House, swap_id: str) -> Evidence:
    """Never holds a secret that is not public (S9). A chain that does not answer is said to be silent."""
    async with house.store.read() as reading:
        row = await reading.swap(swap_id)
        effects = await reading.effects(swap_id)
        disputes = await reading.disputes(swap_id, limit=1_000)
        entries = await reading.audit_trail(swap_id, limit=ENTRIES)
        head = await reading.audit_head()
    bundle: dict[str, Json] = {
        "version": VERSION,
        "made_at": house.clock(),
        "terms": _without_index(row),
        "status": row.status.value,
        "owner": row.owner,
        "cancelled_at": row.cancelled_at,
        "frozen_at": row.frozen_at,
        "forced_at": row.forced_at,
        "preimage": row.revealed_preimage.hex() if row.revealed_preimage else None,
        "legs": {leg.role.value: await _leg(house, row, leg) for leg in row.terms.legs},
        "effects": [_effect(effect) for effect in effects],
        "disputes": [_dispute(dispute) for dispute in disputes],
        "approvals": [encode(approval) for approval in row.approvals],
        "audit": {"head": encode(head), "entries": [_entry(entry) for entry in entries]},
    }
    return Evidence(sha256(canonical(bundle).encode()).hexdigest(), bundle)


def _without_index(row: SwapRow) -> Json:
    """The index leads to keys, and is nobody else's business."""
    terms = encode(row.terms)
    assert isinstance(terms, dict)  # noqa: S101 - a dataclass is
    return {name: value for name, value in terms.items() if name != "index"}


async def _leg(house: House, row: SwapRow, leg: Leg) -> Json:
    known, view = row.legs[leg.role], row.legs[leg.role].view
    return {
        "contract": known.fingerprint,
        "state": view.state.value,
        "depth": view.depth,
        "lock": view.lock_ref,
        "lock_txid": view.lock_txid,
        "spend_txid": view.spend_txid,
        "consent": row.consents[leg.role].hex() if leg.role in row.consents else None,
        "sightings": [encode(each) for each in row.sightings if each.role == leg.role],
        "proofs": await _proofs(house, row, leg.role),
    }


async def _proofs(house: House, row: SwapRow, role: Role) -> Json:
    chain = house.chain(row.terms.leg(role).terms.chain)
    if not isinstance(chain, Proves):
        return {"none": "this chain's adapter makes no proofs"}
    try:
        return dict(await chain.prove(row.watched_leg(role)))
    except SwapdError as error:
        return {"none": str(error)}


def _effect(row: EffectRow) -> Json:
    return {
        "key": row.effect.key,
        "state": row.state.value,
        "wanted": row.wanted,
        "deadline": row.effect.deadline,
        "transactions": [
            {
                "txid": attempt.tx.txid,
                "voiding": attempt.voiding,
                "signed_at": attempt.signed_at,
                "sent_at": attempt.sent_at,
                "fate": None if attempt.fate is None else attempt.fate.state.value,
                "depth": 0 if attempt.fate is None else attempt.fate.depth,
            }
            for attempt in row.attempts
        ],
    }


def _dispute(row: DisputeRow) -> Json:
    return encode(row)


def _entry(entry: AuditEntry) -> Json:
    told = encode(entry)
    assert isinstance(told, dict)  # noqa: S101 - a dataclass is
    return told | {"sentence": sentence(entry)}
