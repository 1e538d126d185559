"""Rows to records. A row that swapd cannot have written becomes `DamagedRow`, never a wrong value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

from sqlalchemy import RowMapping

from swapd.chains.base import Fate, Sighting, SightingKind, SignedTx, TxState
from swapd.errors import SwapdError
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState, LegView, Stray
from swapd.protocol.request import Refused, Request
from swapd.protocol.status import Status
from swapd.protocol.terms import Role, SwapTerms, swap_id_of
from swapd.store.codec import canonical, loads
from swapd.store.errors import DamagedRow
from swapd.store.records import (
    ApprovalRow,
    Attempt,
    DisputeRow,
    DisputeState,
    EffectRow,
    EffectState,
    LegRow,
    RequestRow,
    RequestState,
    SwapRow,
)
from swapd.store.sealing import Sealer, unseal

E = TypeVar("E", bound=StrEnum)


class _Words(dict[str, E]):
    """The members of an enum by their values. To call the enum takes ten times as long, and a sweep reads a hundred
    thousand of them."""

    def __init__(self, enum: type[E]) -> None:
        super().__init__({each.value: each for each in enum})

    def __missing__(self, word: str) -> E:
        raise ValueError(f"{word!r} is none of {', '.join(self)}")


_BOTH = frozenset(Role)
_ROLES = _Words(Role)
_LEG_STATES = _Words(LegState)
_SIGHTINGS = _Words(SightingKind)
_STATUSES = _Words(Status)


def terms_place(swap_id: str) -> str:
    return f"swaps/{swap_id}"


def raw_place(txid: str) -> str:
    return f"transactions/{txid}"


def request_place(chain: str, ref: str) -> str:
    return f"requests/{chain}/{ref}"


def answer_place(chain: str, ref: str) -> str:
    return f"answers/{chain}/{ref}"


def approval_place(swap_id: str, operator: str) -> str:
    return f"approvals/{swap_id}/{operator}"


def approval_digest(given_at: int, expires_at: int) -> bytes:
    """An approval that somebody plants in the database, or brings back to life, moves no money."""
    return sha256(canonical([given_at, expires_at]).encode()).digest()


def terms_digest(terms: str) -> bytes:
    return sha256(terms.encode()).digest()


def request_digest(asker: str, asked_at: int, request: str | None, swap_id: str | None, refusal: str | None) -> bytes:
    """Of what was asked and what was decided: a request that somebody plants in the database moves no money, and an
    answer names the swap that was made for it."""
    return sha256(canonical([asker, asked_at, request, swap_id, refusal]).encode()).digest()


def to_swap(
    row: RowMapping,
    legs: Sequence[RowMapping],
    sightings: Sequence[RowMapping],
    approvals: Sequence[RowMapping],
    consents: Sequence[RowMapping],
    sealer: Sealer,
) -> SwapRow:
    with _damage("swaps", row["id"]):
        terms = _terms(row, sealer)
        leg_rows = {leg.role: leg for leg in (_to_leg(leg, row["revealed_preimage"]) for leg in legs)}
        if leg_rows.keys() != _BOTH:
            raise DamagedRow("swaps", row["id"], f"it has {len(legs)} legs in table legs")
        return SwapRow(
            terms=terms,
            status=_STATUSES[row["status"]],
            note=row["note"],
            reason=row["reason"],
            version=row["version"],
            touches=row["touches"],
            next_due_at=row["next_due_at"],
            watched=row["watched"],
            cancelled_at=row["cancelled_at"],
            expired=row["expired"],
            reveal_sent=row["reveal_sent"],
            revealed_preimage=row["revealed_preimage"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            restored_at=row["restored_at"],
            owner=row["owner"],
            frozen_at=row["frozen_at"],
            forced_at=row["forced_at"],
            legs=leg_rows,
            sightings=_to_sightings(row["id"], sightings),
            approvals=tuple(_to_approval(each, sealer) for each in approvals),
            consents={_ROLES[each["role"]]: bytes(each["consent"]) for each in consents},
        )


def to_dispute(row: RowMapping) -> DisputeRow:
    with _damage("disputes", str(row["id"])):
        return DisputeRow(**{**row, "state": DisputeState(row["state"])})


def _to_approval(row: RowMapping, sealer: Sealer) -> ApprovalRow:
    digest = approval_digest(row["given_at"], row["expires_at"])
    if unseal(sealer, approval_place(row["swap_id"], row["operator"]), row["seal"]) != digest:
        raise DamagedRow("approvals", f"{row['swap_id']}/{row['operator']}", "it is not what was sealed")
    return ApprovalRow(
        **{name: row[name] for name in ("swap_id", "operator", "given_at", "expires_at", "withdrawn_at")}
    )


def to_effect(row: RowMapping, transactions: Sequence[RowMapping], sealer: Sealer) -> EffectRow:
    """An attempt that can not be read is left out, and told of: the others are still followed."""
    with _damage("effects", f"{row['id']} (swap {row['swap_id']})"):
        effect = Effect(EffectKind(row["kind"]), _ROLES[row["role"]], row["deadline"], row["reveals"], row["stray"])
        if effect.key != row["key"]:
            raise DamagedRow("effects", f"{row['id']} (swap {row['swap_id']})", "its columns and its key differ")
        attempts, damaged = [], []
        for transaction in transactions:
            try:
                attempts.append(_to_attempt(transaction, row["swap_id"], sealer))
            except DamagedRow as error:
                damaged.append(error)
        return EffectRow(
            id=row["id"],
            swap_id=row["swap_id"],
            effect=effect,
            wanted=row["wanted"],
            state=EffectState(row["state"]),
            error=row["error"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            attempts=tuple(attempts),
            damaged=tuple(damaged),
        )


def to_request(row: RowMapping, sealer: Sealer) -> RequestRow:
    chain, ref, request, refusal = row["chain"], row["ref"], row["request"], row["refusal"]
    with _damage("requests", f"{chain}/{ref}"):
        digest = request_digest(row["asker"], row["asked_at"], request, row["swap_id"], refusal)
        if unseal(sealer, request_place(chain, ref), row["seal"]) != digest:
            raise DamagedRow("requests", f"{chain}/{ref}", "it is not what was sealed")
        answer = None if row["answer"] is None else unseal(sealer, answer_place(chain, ref), row["answer"])
        return RequestRow(
            chain=chain,
            ref=ref,
            by=row["asker"],
            asked_at=row["asked_at"],
            request=None if request is None else loads(Request, request),
            swap_id=row["swap_id"],
            refusal=None if refusal is None else loads(Refused, refusal),
            state=RequestState(row["state"]),
            error=row["error"],
            answer=None if answer is None else loads(SignedTx, answer.decode()),
            attempts=row["attempts"],
            next_try_at=row["next_try_at"],
            taken_at=row["taken_at"],
            updated_at=row["updated_at"],
        )


def _terms(row: RowMapping, sealer: Sealer) -> SwapTerms:
    if unseal(sealer, terms_place(row["id"]), row["seal"]) != terms_digest(row["terms"]):
        raise DamagedRow("swaps", row["id"], "its terms are not those that were sealed")
    terms = _decoded(row["terms"])
    columns = (row["id"], row["index"], row["hashlock"])
    if columns != (swap_id_of(terms.hashlock), terms.index, terms.hashlock.hex()) or terms.swap_id != row["id"]:
        raise DamagedRow("swaps", row["id"], "its columns and its terms differ")
    return terms


@lru_cache(maxsize=32_768)
def _decoded(text: str) -> SwapTerms:
    """Terms never change, and every look at what is open reads them all again."""
    return loads(SwapTerms, text)


def _to_leg(row: RowMapping, preimage: bytes | None) -> LegRow:
    state = _LEG_STATES[row["state"]]
    view = LegView(
        state=state,
        depth=row["depth"],
        preimage=preimage if state is LegState.CLAIMED else None,
        lock_ref=row["lock_ref"],
        lock_txid=row["lock_txid"],
        spend_txid=row["spend_txid"],
        strays=_strays(row["strays"]),
    )
    return LegRow(
        role=_ROLES[row["role"]],
        chain=row["chain"],
        birth=row["birth"],
        fingerprint=row["fingerprint"],
        view=view,
        lock_sent=row["lock_sent"],
        locked_once=row["locked_once"],
        claim_final=row["claim_final"],
    )


@lru_cache(maxsize=256)
def _strays(text: str) -> tuple[Stray, ...]:
    """Most legs have none."""
    return loads(tuple[Stray, ...], text)


def _to_sightings(swap_id: str, rows: Sequence[RowMapping]) -> tuple[Sighting, ...]:
    """All or none: with one missing, a leg could look as if it were not there. They are named by their swap."""
    with _damage("sightings", swap_id):
        return tuple(map(_to_sighting, rows))


def _to_sighting(row: RowMapping) -> Sighting:
    return Sighting(
        swap_id=row["swap_id"],
        role=_ROLES[row["role"]],
        kind=_SIGHTINGS[row["kind"]],
        ref=row["ref"],
        txid=row["txid"],
        block_hash=row["block_hash"] or None,
        height=row["height"],
        preimage=row["preimage"],
        note=row["note"],
    )


def _to_attempt(row: RowMapping, swap_id: str, sealer: Sealer) -> Attempt:
    with _damage("transactions", f"{row['txid']} (swap {swap_id})"):
        tx = SignedTx(
            txid=row["txid"],
            raw=unseal(sealer, raw_place(row["txid"]), row["raw"]),
            fee=row["fee"],
            rate=row["rate"],
            sequence=row["sequence"],
            spends=loads(tuple[str, ...], row["spends"]),
        )
        fate = None if row["fate"] is None else Fate(TxState(row["fate"]), row["depth"], row["fee_paid"])
        return Attempt(row["attempt"], tx, row["voiding"], row["signed_at"], row["sent_at"], fate)


@contextmanager
def _damage(table: str, key: str) -> Iterator[None]:
    try:
        yield
    except DamagedRow:
        raise
    except (SwapdError, ValueError, TypeError) as error:
        raise DamagedRow(table, key, str(error)) from error
