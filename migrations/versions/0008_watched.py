"""What is watched, and whether it has changed, is read from an index alone."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"

STAMPED = ["watched", "created_at", "id", "version", "touches", "next_due_at"]


def upgrade() -> None:
    op.drop_index("ix_swaps_watched", table_name="swaps")
    op.create_index("_".join(["ix_swaps", *STAMPED]), "swaps", STAMPED)
