"""The first tables: swaps, legs, sightings, the outbox, cursors, accounts, the audit chain, and facts about them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ROLE = KIND = STATE = sa.String(16)
SWAP_ID = sa.String(16)
CHAIN = sa.String(32)
SHA256 = sa.String(64)
WHOLE = sa.String(78)


def upgrade() -> None:
    _swaps()
    _legs()
    _sightings()
    _outbox()
    _chains()
    _audit()
    _meta()


def _swaps() -> None:
    op.create_table(
        "swaps",
        sa.Column("id", SWAP_ID, nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("hashlock", SHA256, nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("touches", sa.BigInteger(), nullable=False),
        sa.Column("next_due_at", sa.BigInteger(), nullable=True),
        sa.Column("watched", sa.Boolean(), nullable=False),
        sa.Column("cancelled_at", sa.BigInteger(), nullable=True),
        sa.Column("expired", sa.Boolean(), nullable=False),
        sa.Column("reveal_sent", sa.Boolean(), nullable=False),
        sa.Column("revealed_preimage", sa.LargeBinary(), nullable=True),
        sa.Column("leased_by", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_swaps"),
        sa.UniqueConstraint("hashlock", name="uq_swaps_hashlock"),
        sa.UniqueConstraint("index", name="uq_swaps_index"),
    )
    op.create_index("ix_swaps_next_due_at", "swaps", ["next_due_at"])
    op.create_index("ix_swaps_status_created_at", "swaps", ["status", "created_at"])
    op.create_index("ix_swaps_watched", "swaps", ["watched"])


def _legs() -> None:
    op.create_table(
        "legs",
        sa.Column("swap_id", SWAP_ID, nullable=False),
        sa.Column("role", ROLE, nullable=False),
        sa.Column("chain", CHAIN, nullable=False),
        sa.Column("birth", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("lock_ref", sa.Text(), nullable=True),
        sa.Column("lock_txid", sa.Text(), nullable=True),
        sa.Column("spend_txid", sa.Text(), nullable=True),
        sa.Column("strays", sa.Text(), nullable=False),
        sa.Column("lock_sent", sa.Boolean(), nullable=False),
        sa.Column("locked_once", sa.Boolean(), nullable=False),
        sa.Column("claim_final", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], ["swaps.id"], name="fk_legs_swap_id_swaps"),
        sa.PrimaryKeyConstraint("swap_id", "role", name="pk_legs"),
    )
    op.create_index("ix_legs_chain", "legs", ["chain"])
    op.create_index("ix_legs_fingerprint", "legs", ["fingerprint"])


def _sightings() -> None:
    op.create_table(
        "sightings",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("swap_id", SWAP_ID, nullable=False),
        sa.Column("chain", CHAIN, nullable=False),
        sa.Column("role", ROLE, nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("txid", sa.Text(), nullable=False),
        sa.Column("block_hash", sa.Text(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=True),
        sa.Column("preimage", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], ["swaps.id"], name="fk_sightings_swap_id_swaps"),
        sa.PrimaryKeyConstraint("id", name="pk_sightings"),
        sa.UniqueConstraint(
            *("swap_id", "role", "kind", "ref", "txid", "block_hash"),
            name="uq_sightings_swap_id_role_kind_ref_txid_block_hash",
        ),
    )
    op.create_index("ix_sightings_chain_height", "sightings", ["chain", "height"])


def _outbox() -> None:
    op.create_table(
        "effects",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("swap_id", SWAP_ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("role", ROLE, nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=False),
        sa.Column("reveals", sa.Boolean(), nullable=False),
        sa.Column("stray", sa.Text(), nullable=True),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], ["swaps.id"], name="fk_effects_swap_id_swaps"),
        sa.PrimaryKeyConstraint("id", name="pk_effects"),
        sa.UniqueConstraint("swap_id", "key", name="uq_effects_swap_id_key"),
    )
    op.create_index("ix_effects_state_deadline", "effects", ["state", "deadline"])
    op.create_table(
        "transactions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("effect_id", ROW_ID, nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("voiding", sa.Boolean(), nullable=False),
        sa.Column("txid", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("fee", WHOLE, nullable=False),
        sa.Column("rate", WHOLE, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("spends", sa.Text(), nullable=False),
        sa.Column("signed_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("fate", STATE, nullable=True),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("fee_paid", WHOLE, nullable=True),
        sa.ForeignKeyConstraint(["effect_id"], ["effects.id"], name="fk_transactions_effect_id_effects"),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint("effect_id", "attempt", name="uq_transactions_effect_id_attempt"),
        sa.UniqueConstraint("txid", name="uq_transactions_txid"),
    )


def _chains() -> None:
    op.create_table(
        "cursors",
        sa.Column("chain", CHAIN, nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("trail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_cursors"),
    )
    op.create_table(
        "accounts",
        sa.Column("chain", CHAIN, nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("next_sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "account", name="pk_accounts"),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("swap_id", SWAP_ID, nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("prev_hash", SHA256, nullable=False),
        sa.Column("hash", SHA256, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sa.UniqueConstraint("prev_hash", name="uq_audit_prev_hash"),
        sa.UniqueConstraint("hash", name="uq_audit_hash"),
    )
    op.create_index("ix_audit_swap_id", "audit", ["swap_id"])
    if op.get_bind().dialect.name == "sqlite":
        for act in ("update", "delete"):
            op.execute(
                f"CREATE TRIGGER audit_no_{act} BEFORE {act} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit is append-only'; END $$"
    )
    for name, acts in (("audit_no_update", "UPDATE"), ("audit_no_delete", "DELETE OR TRUNCATE")):
        # per statement, because TRUNCATE knows no rows
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {acts} ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
        )


def _meta() -> None:
    meta = op.create_table(
        "meta",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.bulk_insert(meta, [{"key": "next_index", "value": "0"}, {"key": "audit_head", "value": f"0 {'0' * 64}"}])
