"""Values for the store's tests, also used by the processes that those tests start."""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import text

from swapd.chains.base import SignedTx
from swapd.errors import Invalid
from swapd.protocol.decide import Decision
from swapd.protocol.effects import Effect, EffectKind
from swapd.protocol.observation import LegState, LegView
from swapd.protocol.status import Status
from swapd.protocol.terms import Asset, Leg, LegTerms, Role, SecretHolder, SwapTerms, Wallet, swap_id_of
from swapd.store import EffectRow, Reading, Store, SwapRow, Transaction
from swapd.store.engine import make_engine, parse_url, writing

BTC = Asset("BTC", "bitcoin", 8)
ETH = Asset("ETH", "ethereum", 18)
START = 1_800_000_000
HOUR = 3600
AMOUNTS = {Role.INITIATOR: 123_456, Role.PARTICIPANT: 10**20 + 1}
"""Satoshi, and more wei than 64 bits hold."""

LOCK = Effect(EffectKind.LOCK, Role.PARTICIPANT, START + 2 * HOUR)
REVEAL = Effect(EffectKind.CLAIM, Role.PARTICIPANT, START + 5 * HOUR, reveals=True)


class AesSealer:
    def __init__(self, key: bytes = b"k" * 32) -> None:
        self._cipher = AESGCM(key)

    def seal(self, content: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._cipher.encrypt(nonce, content, None)

    def open(self, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            raise Invalid("seal", f"{len(sealed)} bytes", "something this key sealed") from None


def preimage_of(index: int) -> bytes:
    return hashlib.sha256(b"preimage %d" % index).digest()


def make_terms(index: int, created_at: int = START) -> SwapTerms:
    hashlock = hashlib.sha256(preimage_of(index)).digest()
    return SwapTerms(
        swap_id=swap_id_of(hashlock),
        index=index,
        secret=SecretHolder.SELF,
        initiator=_leg(Role.INITIATOR, BTC, hashlock, Wallet.EXTERNAL, Wallet.HOT, START + 8 * HOUR, START + HOUR),
        participant=_leg(
            *(Role.PARTICIPANT, ETH, hashlock, Wallet.HOT, Wallet.EXTERNAL), START + 5 * HOUR, START + 3 * HOUR
        ),
        reveal_by=START + 4 * HOUR,
        created_at=created_at,
    )


def _leg(
    role: Role, asset: Asset, hashlock: bytes, funded_by: Wallet, claimed_by: Wallet, timelock: int, fund_by: int
) -> Leg:
    return Leg(
        role=role,
        terms=LegTerms(asset, AMOUNTS[role], hashlock, "sender", "receiver", timelock, fund_by),
        funded_by=funded_by,
        claimed_by=claimed_by,
        pay_to="pay-to",
        refund_to="refund-to",
        claim_by_swapd=True,
        refund_by_swapd=funded_by is Wallet.HOT,
        claim_waived=False,
        confirmations=3,
        lock_by=fund_by - 600,
    )


def make_tx(txid: str, raw: bytes = b"signed bytes", sequence: int | None = None) -> SignedTx:
    return SignedTx(txid, raw, fee=10**20, rate=7, sequence=sequence, spends=(f"{txid}:0",))


def decision(
    *effects: Effect, status: Status | None = Status.ACCEPTED, due: int | None = None, preimage: bytes | None = None
) -> Decision:
    return Decision(status, effects, preimage, due)


def locked(depth: int = 1, state: LegState = LegState.LOCKED) -> LegView:
    return LegView(state, depth, lock_ref="lock:0", lock_txid="lock")


class RawSql:
    """Somebody with access to the database and no manners."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url)

    @property
    def sqlite(self) -> bool:
        return self._url.drivername.startswith("sqlite")

    async def run(self, *statements: str, **parameters: object) -> None:
        engine = make_engine(self._url)
        async with writing(engine).begin() as connection:
            for statement in statements:
                await connection.execute(text(statement), parameters)
        await engine.dispose()

    async def drop_audit_triggers(self) -> None:
        on = "" if self.sqlite else " ON audit"
        await self.run(*(f"DROP TRIGGER audit_no_{act}{on}" for act in ("update", "delete")))


async def insert_swap(tx: Transaction, created_at: int = START) -> str:
    terms = make_terms(await tx.next_index(), created_at)
    births = {Role.INITIATOR: 100, Role.PARTICIPANT: 200}
    fingerprints = {role: f"{role}-{terms.swap_id}" for role in Role}
    await tx.add_swap(terms, births, fingerprints, Status.ACCEPTED)
    return terms.swap_id


async def add_swap(store: Store, created_at: int = START) -> str:
    async with store.write() as tx:
        return await insert_swap(tx, created_at)


async def get(store: Store, swap_id: str) -> SwapRow:
    async with store.read() as tx:
        return await tx.swap(swap_id)


async def lease(store: Store, swap_id: str, worker: str = "worker") -> int:
    async with store.write() as tx:
        fence = await tx.lease(swap_id, worker, 60)
    assert fence is not None
    return fence


async def decide_on(store: Store, swap_id: str, fence: int, *effects: Effect) -> None:
    """Record a decision that wants these effects and sees nothing new."""
    row = await get(store, swap_id)
    async with store.write() as tx:
        await tx.record_decision(row, fence, decision(*effects), {})


async def get_effects(store: Store, swap_id: str) -> dict[str, EffectRow]:
    async with store.read() as tx:
        return {row.effect.key: row for row in await tx.effects(swap_id)}


async def due(reading: Reading, now: int, limit: int = 100) -> list[str]:
    """Ids of swaps to reconcile, the longest due first."""
    query = "SELECT id FROM swaps WHERE next_due_at <= :now ORDER BY next_due_at, id LIMIT :most"
    return list(await reading._connection.scalars(text(query), {"now": now, "most": limit}))
