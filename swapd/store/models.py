"""The tables. `migrations/` makes them; a test holds the two to each other.

Times are Unix seconds of the database's clock unless they belong to a swap's terms. Amounts and fees are decimal
strings (`Whole`), because a wei amount does not fit 64 bits. Whatever has the form of a protocol value is its canonical
JSON (`codec`). Sealed columns are opaque to the database (`sealing`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name that can be foretold, so that a later migration can change it on both engines."""

RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in a column of type INTEGER


class Whole(TypeDecorator[int]):
    """A whole number of any size as a decimal string: 78 digits hold a uint256."""

    impl = String(78)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {int: BigInteger(), str: Text(), bytes: LargeBinary()}  # noqa: RUF012 - SQLAlchemy's own form


class Swap(Base):
    """One swap. `terms` never change; the rest is what swapd last made of it."""

    __tablename__ = "swaps"
    __table_args__ = (
        Index(None, "status", "created_at"),
        Index(None, "owner", "created_at"),
        # each look at a chain asks for these columns of all that is watched (`remembered.STAMP`)
        Index(None, "watched", "created_at", "id", "version", "touches", "next_due_at"),
    )

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    index: Mapped[int] = mapped_column(unique=True)
    hashlock: Mapped[str] = mapped_column(String(64), unique=True)
    terms: Mapped[str]
    seal: Mapped[bytes]  # over the terms: see `sealing`
    created_at: Mapped[int]
    updated_at: Mapped[int]

    status: Mapped[str] = mapped_column(String(32))
    note: Mapped[str]
    reason: Mapped[str]
    version: Mapped[int]  # goes up with each decision: a decision on an older reading is refused
    touches: Mapped[int]  # goes up with each wake-up, so that one during a reconcile is not lost
    next_due_at: Mapped[int | None] = mapped_column(index=True)  # 0: now. None: only when something happens
    watched: Mapped[bool]

    approved: Mapped[bool]  # by somebody at some time: there are rows in table approvals
    owner: Mapped[str]  # the tenant whose key made it; "" for the house itself
    frozen_at: Mapped[int | None]  # a dispute is open: no secret is shown, nothing new is locked

    # what can never be taken back
    cancelled_at: Mapped[int | None]
    forced_at: Mapped[int | None]  # a dispute was decided: whatever is locked goes back
    expired: Mapped[bool]
    reveal_sent: Mapped[bool]
    restored_at: Mapped[int | None]  # it was in a backup that was restored: what was sent since then is not known
    revealed_preimage: Mapped[bytes | None]  # only after it was seen in public (S9)

    leased_by: Mapped[str | None]
    leased_until: Mapped[int]
    fence: Mapped[int]  # goes up with each lease and each release; a holder writes only with the number it was given


class Dispute(Base):
    """One dispute over a swap; its notes are in the audit chain. At most one of a swap's is open."""

    __tablename__ = "disputes"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id), index=True)
    state: Mapped[str] = mapped_column(String(16))
    opened_at: Mapped[int]
    opened_by: Mapped[str]
    reason: Mapped[str]
    decided_at: Mapped[int | None]
    decided_by: Mapped[str]
    decision: Mapped[str]


class Approval(Base):
    """One operator's word for a swap over the threshold. Withdrawn, it stays as a row, and does not count."""

    __tablename__ = "approvals"

    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id), primary_key=True)
    operator: Mapped[str] = mapped_column(primary_key=True)
    given_at: Mapped[int]
    expires_at: Mapped[int]
    withdrawn_at: Mapped[int | None]
    seal: Mapped[bytes]  # over all above: see `sealing`


class Consent(Base):
    """A leg's receiver agrees to give it back before its timelock: its signature, as the leg's chain reads it."""

    __tablename__ = "consents"

    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), primary_key=True)
    consent: Mapped[bytes]
    given_at: Mapped[int]


class Stake(Base):
    """What a party gives in a swap: for limits by party and day."""

    __tablename__ = "stakes"
    __table_args__ = (Index(None, "party", "created_at"),)

    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id), primary_key=True)
    party: Mapped[str] = mapped_column(primary_key=True)
    symbol: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[int] = mapped_column(Whole)
    created_at: Mapped[int]


class Answer(Base):
    """The first answer to a request that came with an idempotency key, to be given again. digest: of that request."""

    __tablename__ = "answers"
    __table_args__ = (Index(None, "created_at"),)

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    body: Mapped[str]
    created_at: Mapped[int]


class Leg(Base):
    """One leg as last seen, and what can never be un-known of it."""

    __tablename__ = "legs"

    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), primary_key=True)
    chain: Mapped[str] = mapped_column(String(32), index=True)
    birth: Mapped[int]
    fingerprint: Mapped[str] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(String(16))
    depth: Mapped[int]
    lock_ref: Mapped[str | None]
    lock_txid: Mapped[str | None]
    spend_txid: Mapped[str | None]
    strays: Mapped[str]

    lock_sent: Mapped[bool]
    locked_once: Mapped[bool]
    claim_final: Mapped[bool]


class Sighting(Base):
    """`base.Sighting`. block_hash is "" in the mempool: NULLs would not be equal, and equal rows must be one."""

    __tablename__ = "sightings"
    __table_args__ = (
        UniqueConstraint("swap_id", "role", "kind", "ref", "txid", "block_hash"),
        Index(None, "chain", "height"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id))
    chain: Mapped[str] = mapped_column(String(32))
    role: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    ref: Mapped[str]
    txid: Mapped[str]
    block_hash: Mapped[str]
    height: Mapped[int | None]
    preimage: Mapped[bytes | None]
    note: Mapped[str]


class Effect(Base):
    """The outbox: one intent, one chain of replacements (rule S4). wanted: the last decision asks for it."""

    __tablename__ = "effects"
    __table_args__ = (UniqueConstraint("swap_id", "key"), Index(None, "state", "deadline"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    swap_id: Mapped[str] = mapped_column(ForeignKey(Swap.id))
    key: Mapped[str]
    kind: Mapped[str] = mapped_column(String(16))
    role: Mapped[str] = mapped_column(String(16))
    deadline: Mapped[int]
    reveals: Mapped[bool]
    stray: Mapped[str | None]
    wanted: Mapped[bool]
    state: Mapped[str] = mapped_column(String(16))
    error: Mapped[str]
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Transaction(Base):
    """An attempt at an effect, as signed. sent_at is written before the first broadcast: from then on it may be out.
    Several effects may share one transaction, and each has its own row of it."""

    __tablename__ = "transactions"
    __table_args__ = (UniqueConstraint("effect_id", "attempt"), UniqueConstraint("effect_id", "txid"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    effect_id: Mapped[int] = mapped_column(ForeignKey(Effect.id))
    attempt: Mapped[int]
    voiding: Mapped[bool]
    txid: Mapped[str]
    raw: Mapped[bytes]  # sealed: see `sealing`
    fee: Mapped[int] = mapped_column(Whole)
    rate: Mapped[int] = mapped_column(Whole)
    sequence: Mapped[int | None]
    spends: Mapped[str]
    signed_at: Mapped[int]
    sent_at: Mapped[int | None]
    fate: Mapped[str | None] = mapped_column(String(16))
    depth: Mapped[int]
    fee_paid: Mapped[int | None] = mapped_column(Whole)


class Request(Base):
    """A request for a swap that stood on a chain: what was asked, what became of it, and the answer as signed."""

    __tablename__ = "requests"
    __table_args__ = (Index(None, "state", "asked_at"),)

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    ref: Mapped[str] = mapped_column(primary_key=True)
    asker: Mapped[str]
    asked_at: Mapped[int]
    request: Mapped[str | None]  # None if it could not be read
    swap_id: Mapped[str | None] = mapped_column(ForeignKey(Swap.id), unique=True)
    refusal: Mapped[str | None]
    seal: Mapped[bytes]  # over all above: see `sealing`
    state: Mapped[str] = mapped_column(String(16))
    error: Mapped[str]
    answer: Mapped[bytes | None]  # sealed: see `sealing`
    attempts: Mapped[int]
    next_try_at: Mapped[int]
    taken_at: Mapped[int]
    updated_at: Mapped[int]


class Cursor(Base):
    """`base.Cursor`, one a chain, and one more where a chain's board is read."""

    __tablename__ = "cursors"

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    height: Mapped[int]
    hash: Mapped[str]
    trail: Mapped[str]


class Account(Base):
    """One row an account: locking it is the right to use its next sequence, across all workers."""

    __tablename__ = "accounts"

    chain: Mapped[str] = mapped_column(String(32), primary_key=True)
    account: Mapped[str] = mapped_column(primary_key=True)
    next_sequence: Mapped[int]


class Audit(Base):
    """Append-only and hash-chained: triggers refuse UPDATE and DELETE, UNIQUE(prev_hash) refuses a second head."""

    __tablename__ = "audit"

    seq: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    at: Mapped[int]
    actor: Mapped[str]
    swap_id: Mapped[str | None] = mapped_column(String(16), index=True)
    event: Mapped[str]
    data: Mapped[str]
    prev_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hash: Mapped[str] = mapped_column(String(64), unique=True)


class ApiKey(Base):
    """Who may ask the API for what. Of its secret there is only what checks it: `store/keys.py`. `seal` covers every
    column but the last use, so that a key that somebody writes into the database opens nothing."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    chains: Mapped[str]  # [] for all
    rate: Mapped[int | None]  # requests a minute; None: as the settings say
    signed: Mapped[bool]
    digest: Mapped[bytes]
    signing: Mapped[bytes]  # sealed: see `sealing`
    previous_digest: Mapped[bytes | None]  # of the secret before, which is good until then
    previous_signing: Mapped[bytes | None]
    previous_until: Mapped[int]
    created_at: Mapped[int]
    rotated_at: Mapped[int | None]
    expires_at: Mapped[int | None]
    revoked_at: Mapped[int | None]
    seal: Mapped[bytes]
    used_at: Mapped[int | None]


class Nonce(Base):
    """One signed request, remembered for as long as its signature would be good."""

    __tablename__ = "api_nonces"

    key_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    nonce: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[int] = mapped_column(index=True)


class Webhook(Base):
    """Where somebody wants to be told of events. cursor: number of the last audit entry that was looked at for it."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(index=True)  # the tenant whose swaps it hears of; "" is the house, of all
    url: Mapped[str]
    types: Mapped[str]  # [] for all
    secret: Mapped[bytes]  # sealed, for this id, owner and URL: see `sealing`
    previous: Mapped[bytes | None]  # the secret before, sealed; it signs too until then
    previous_until: Mapped[int]
    cursor: Mapped[int]
    paused: Mapped[bool]
    created_at: Mapped[int]


class Delivery(Base):
    """One event for one webhook. What the event is stands in the audit chain. queue: the swap, whose events go out one
    after the other; "" for an event that waits for no other."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("webhook_id", "seq"),
        Index(None, "webhook_id", "queue", "seq"),
        Index(None, "state", "next_try_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey(Webhook.id))
    seq: Mapped[int]
    queue: Mapped[str] = mapped_column(String(16))
    type: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    tries: Mapped[int]
    next_try_at: Mapped[int]
    answer: Mapped[int | None]
    error: Mapped[str]
    leased_by: Mapped[str | None]
    leased_until: Mapped[int]
    fence: Mapped[int]  # goes up with each try: only its holder writes down what came of it
    created_at: Mapped[int]
    updated_at: Mapped[int]


class Meta(Base):
    """Facts about the database itself: what it is bound to, the next swap index, the audit chain's head."""

    __tablename__ = "meta"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str]


AUDIT_TRIGGERS = frozenset({"audit_no_update", "audit_no_delete"})
"""Made by the first migration; `schema` refuses a database without them."""
