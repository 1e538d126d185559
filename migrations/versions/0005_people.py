"""What people decide: owners, disputes, approvals, consents, stakes, and the answers that they were given."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SWAP = "swaps.id"


def upgrade() -> None:
    op.add_column("swaps", sa.Column("owner", sa.Text(), nullable=False, server_default=""))
    op.add_column("swaps", sa.Column("approved", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("swaps", sa.Column("frozen_at", sa.BigInteger(), nullable=True))
    op.add_column("swaps", sa.Column("forced_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_swaps_owner_created_at", "swaps", ["owner", "created_at"])
    op.create_table(
        "disputes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("swap_id", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("opened_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], [SWAP], name="fk_disputes_swap_id_swaps"),
        sa.PrimaryKeyConstraint("id", name="pk_disputes"),
    )
    op.create_index("ix_disputes_swap_id", "disputes", ["swap_id"])
    op.create_table(
        "approvals",
        sa.Column("swap_id", sa.String(16), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], [SWAP], name="fk_approvals_swap_id_swaps"),
        sa.PrimaryKeyConstraint("swap_id", "operator", name="pk_approvals"),
    )
    op.create_table(
        "consents",
        sa.Column("swap_id", sa.String(16), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("consent", sa.LargeBinary(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], [SWAP], name="fk_consents_swap_id_swaps"),
        sa.PrimaryKeyConstraint("swap_id", "role", name="pk_consents"),
    )
    op.create_table(
        "stakes",
        sa.Column("swap_id", sa.String(16), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("amount", sa.String(78), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["swap_id"], [SWAP], name="fk_stakes_swap_id_swaps"),
        sa.PrimaryKeyConstraint("swap_id", "party", "symbol", name="pk_stakes"),
    )
    op.create_index("ix_stakes_party_created_at", "stakes", ["party", "created_at"])
    op.create_table(
        "answers",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", name="pk_answers"),
    )
    op.create_index("ix_answers_created_at", "answers", ["created_at"])
